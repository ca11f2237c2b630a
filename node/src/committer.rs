//! The only writer of final blocks: consensus and block sync hand them over, in order.
//!
//! Runs on a thread of its own, so that neither waits for the disk of the other.

use std::sync::Arc;

use alloy_primitives::B256;
use assent_chain::Chain;
use assent_chain::block::Block;
use assent_chain::chain::{ExecutedBlock, FinalizeError, ImportError};
use tokio::sync::{mpsc, oneshot, watch};

use crate::crash_point::{self, Point};

/// Jobs that may wait. Consensus never has more than a few; sync waits for its turn.
const QUEUE: usize = 256;

enum Job {
    Finalize(B256, Vec<(B256, Vec<u8>)>),
    Import(Box<Block>, Vec<u8>, oneshot::Sender<Result<Arc<ExecutedBlock>, ImportError>>),
    Flush(oneshot::Sender<()>),
}

/// Hands final blocks to the thread that writes them.
#[derive(Clone, Debug)]
pub struct Committer {
    jobs: mpsc::Sender<Job>,
    failed: watch::Receiver<Option<String>>,
}

/// Why the thread ends.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Finalize(#[from] FinalizeError),
    #[error("{0}")]
    Storage(String),
}

/// The writing thread is gone: it failed, and [`Committer::failure`] says why.
#[derive(Debug, thiserror::Error)]
#[error("the thread that writes final blocks has ended")]
pub struct Ended;

impl Committer {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(chain: Arc<Chain>) -> std::io::Result<Self> {
        let (jobs, receiver) = mpsc::channel(QUEUE);
        let (failure, failed) = watch::channel(None);
        std::thread::Builder::new().name("committer".into()).spawn(move || {
            let outcome = work(&chain, receiver);
            // Before `failure`, whose end tells that this thread no longer has the chain.
            drop(chain);
            if let Err(error) = outcome {
                tracing::error!(target: "assent::chain", %error, "a final block could not be written");
                failure.send_replace(Some(error.to_string()));
            }
        })?;
        Ok(Self { jobs, failed })
    }

    /// Writes a block that consensus made final, with those before it.
    ///
    /// # Errors
    /// When the thread has ended.
    pub async fn finalize(&self, hash: B256, certificates: Vec<(B256, Vec<u8>)>) -> Result<(), Ended> {
        self.jobs.send(Job::Finalize(hash, certificates)).await.map_err(|_| Ended)
    }

    /// Executes and writes a block whose certificate was verified.
    ///
    /// # Errors
    /// When the block is refused; `None` when the thread has ended.
    pub async fn import(&self, block: Block, certificate: Vec<u8>) -> Option<Result<Arc<ExecutedBlock>, ImportError>> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Job::Import(Box::new(block), certificate, reply)).await.ok()?;
        answer.await.ok()
    }

    /// Waits until everything handed over before is written.
    ///
    /// # Errors
    /// When the thread has ended.
    pub async fn flush(&self) -> Result<(), Ended> {
        let (reply, done) = oneshot::channel();
        self.jobs.send(Job::Flush(reply)).await.map_err(|_| Ended)?;
        done.await.map_err(|_| Ended)
    }

    /// Waits until the thread has let go of the chain, which it does when the last committer is gone. A process
    /// that ends while a thread closes the database crashes: RocksDB's own globals are gone first.
    pub async fn close(self) {
        let Self { jobs, mut failed } = self;
        drop(jobs);
        while failed.changed().await.is_ok() {}
    }

    /// Resolves when the thread has failed, with the reason.
    pub async fn failure(&self) -> String {
        let mut failed = self.failed.clone();
        match failed.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            // The thread ended in order: there is no failure to come.
            Err(_) => std::future::pending().await,
        }
    }
}

fn work(chain: &Chain, mut jobs: mpsc::Receiver<Job>) -> Result<(), Failure> {
    while let Some(job) = jobs.blocking_recv() {
        match job {
            Job::Finalize(hash, certificates) => {
                crash_point::reached(Point::BeforeFinalWrite);
                chain.finalize(hash, &certificates)?;
                crash_point::reached(Point::FinalWritten);
            }
            Job::Import(block, certificate, reply) => {
                crash_point::reached(Point::BeforeImport);
                let outcome = chain.import(*block, certificate);
                crash_point::reached(Point::ImportWritten);
                let broken = match &outcome {
                    Err(ImportError::Finalize(FinalizeError::Storage(error))) => Some(error.to_string()),
                    _ => None,
                };
                // Whoever asked may have gone; the block is written all the same.
                let _ = reply.send(outcome);
                if let Some(error) = broken {
                    return Err(Failure::Storage(error));
                }
            }
            Job::Flush(reply) => {
                let _ = reply.send(());
            }
        }
    }
    Ok(())
}

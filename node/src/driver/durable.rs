//! Log and signer together: what must be on disk before a message leaves (SPEC rule D).

use std::fs::File;
use std::io;

use assent_consensus::{Ballot, Record, Signature};

use crate::signer::{Signer, SignerError};
use crate::wal::Wal;

/// The write-ahead log and the signer of one validator.
#[derive(Debug)]
pub(super) struct Durable {
    pub(super) wal: Wal,
    pub(super) signer: Signer,
    /// Whether a ballot was signed since the last sync.
    signed: bool,
}

impl Durable {
    pub(super) const fn new(wal: Wal, signer: Signer) -> Self {
        Self { wal, signer, signed: false }
    }

    pub(super) fn append(&mut self, record: &Record) -> io::Result<()> {
        self.wal.append(&record.encode())
    }

    pub(super) fn sign(&mut self, ballot: &Ballot) -> Result<Signature, SignerError> {
        let signature = self.signer.sign(ballot)?;
        self.signed = true;
        Ok(signature)
    }

    /// Makes everything signed durable, log and mark at the same time. Cheap when nothing was signed: what
    /// others signed can be had again.
    pub(super) async fn sync(&mut self) -> io::Result<()> {
        if !self.signed {
            return Ok(());
        }
        let started = std::time::Instant::now();
        self.signer.write()?;
        let (log, mark) = (self.wal.handle()?, self.signer.handle()?);
        let sync = |file: File| tokio::task::spawn_blocking(move || file.sync_data());
        let (log, mark) = tokio::try_join!(sync(log), sync(mark)).map_err(io::Error::other)?;
        log?;
        mark?;
        self.signer.log_is_durable();
        self.signed = false;
        metrics::histogram!(super::measures::SYNC).record(started.elapsed().as_secs_f64());
        Ok(())
    }
}

//! Log and signer together: what must be on disk before a message leaves (SPEC rule D).

use std::fs::File;
use std::io;

use assent_consensus::{Ballot, Record, Signature};

use crate::crash_point::{self, Point};
use crate::signer::{Signer, SignerError};
use crate::wal::Wal;

/// The write-ahead log and the signer of one validator.
#[derive(Debug)]
pub(super) struct Durable {
    pub(super) wal: Wal,
    pub(super) signer: Signer,
    /// This validator is a quorum alone: nobody else holds the block for which it votes, so the log goes first (SPEC
    /// rule D1).
    alone: bool,
    /// Whether a ballot was signed since the last sync.
    signed: bool,
}

impl Durable {
    pub(super) const fn new(wal: Wal, signer: Signer, alone: bool) -> Self {
        Self { wal, signer, alone, signed: false }
    }

    pub(super) fn append(&mut self, record: &Record) -> io::Result<()> {
        self.wal.append(&record.encode())?;
        crash_point::reached(Point::RecordAppended);
        Ok(())
    }

    pub(super) fn sign(&mut self, ballot: &Ballot) -> Result<Signature, SignerError> {
        let signature = self.signer.sign(ballot)?;
        self.signed = true;
        crash_point::reached(Point::BallotSigned);
        Ok(signature)
    }

    /// Makes everything signed durable, log and mark at the same time. Cheap when nothing was signed: what
    /// others signed can be had again.
    pub(super) async fn sync(&mut self) -> io::Result<()> {
        if !self.signed {
            return Ok(());
        }
        let started = std::time::Instant::now();
        // A validator without a mark begins its file here.
        let (log, mark) = (self.wal.handle()?, self.signer.handle()?);
        if self.alone {
            let log = log.try_clone()?;
            tokio::task::spawn_blocking(move || log.sync_data()).await.map_err(io::Error::other)??;
        }
        crash_point::reached(Point::BeforeMarkWrite);
        self.signer.write()?;
        crash_point::reached(Point::MarkWritten);
        sync_both(log, mark).await?;
        crash_point::reached(Point::BothSynced);
        self.signer.log_is_durable();
        self.signed = false;
        super::measures::synced(started.elapsed());
        Ok(())
    }
}

/// Syncs log and mark at the same time; before that one of them alone where a test has the process end in between.
async fn sync_both(log: File, mark: File) -> io::Result<()> {
    let sync = |file: File| tokio::task::spawn_blocking(move || file.sync_data());
    for (file, point) in [(&log, Point::LogSynced), (&mark, Point::MarkSynced)] {
        if crash_point::is_armed(point) {
            sync(file.try_clone()?).await.map_err(io::Error::other)??;
            crash_point::reached(point);
        }
    }
    let (log, mark) = tokio::try_join!(sync(log), sync(mark)).map_err(io::Error::other)?;
    log?;
    mark
}

//! Log and signer together: what must be on disk before a message leaves (SPEC rule D).

use std::fs::File;
use std::io;

use assent_consensus::durability::SyncOrder;
use assent_consensus::{Ballot, Record, Signature};

use crate::crash_point::{self, Point};
use crate::signer::{Signer, SignerError};
use crate::wal::Wal;

/// The write-ahead log and the signer of one validator.
#[derive(Debug)]
pub(super) struct Durable {
    pub(super) wal: Wal,
    pub(super) signer: Signer,
    /// Whether the log must be durable before the mark is written (SPEC rule D1).
    order: SyncOrder,
    /// Whether the mark changed since the last sync.
    changed: bool,
}

impl Durable {
    /// `alone`: this validator is a quorum alone.
    pub(super) fn new(wal: Wal, signer: Signer, alone: bool) -> Self {
        let changed = signer.is_raised();
        Self { wal, signer, order: SyncOrder::new(alone), changed }
    }

    pub(super) fn append(&mut self, record: &Record) -> io::Result<()> {
        self.wal.append(&record.encode())?;
        self.order.appended(record);
        crash_point::reached(Point::RecordAppended);
        Ok(())
    }

    pub(super) fn sign(&mut self, ballot: &Ballot) -> Result<Signature, SignerError> {
        let signature = self.signer.sign(ballot)?;
        self.order.signed(ballot);
        self.changed = true;
        crash_point::reached(Point::BallotSigned);
        Ok(signature)
    }

    /// The mark says from now on that it is lost (SPEC rule M3).
    pub(super) fn forget(&mut self) {
        self.changed |= self.signer.forget();
    }

    /// Makes everything signed durable. Cheap when nothing was signed: what others signed can be had again.
    ///
    /// Log and mark are synced at the same time where a loss of power in between does no harm; otherwise the log is on the
    /// disk before the mark is written.
    pub(super) async fn sync(&mut self) -> io::Result<()> {
        if !self.changed {
            return Ok(());
        }
        let started = std::time::Instant::now();
        // A validator without a mark begins its file here.
        let (log, mark) = (self.wal.handle()?, self.signer.handle()?);
        if self.order.log_first() {
            sync_data(log).await?;
            crash_point::reached(Point::LogSyncedFirst);
            self.signer.write()?;
            crash_point::reached(Point::MarkWrittenLast);
            sync_data(mark).await?;
        } else {
            crash_point::reached(Point::BeforeMarkWrite);
            self.signer.write()?;
            crash_point::reached(Point::MarkWritten);
            sync_both(log, mark).await?;
        }
        crash_point::reached(Point::BothSynced);
        self.signer.log_is_durable();
        self.order.synced();
        self.changed = false;
        super::measures::synced(started.elapsed());
        Ok(())
    }
}

/// Syncs log and mark at the same time; before that one of them alone where a test has the process end in between.
async fn sync_both(log: File, mark: File) -> io::Result<()> {
    for (file, point) in [(&log, Point::LogSynced), (&mark, Point::MarkSynced)] {
        if crash_point::is_armed(point) {
            sync_data(file.try_clone()?).await?;
            crash_point::reached(point);
        }
    }
    let ((), ()) = tokio::try_join!(sync_data(log), sync_data(mark))?;
    Ok(())
}

async fn sync_data(file: File) -> io::Result<()> {
    tokio::task::spawn_blocking(move || file.sync_data()).await.map_err(io::Error::other)?
}

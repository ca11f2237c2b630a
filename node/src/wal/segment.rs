//! One file of the log: its bytes are those of [`assent_consensus::log`].

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use assent_consensus::log::{self, LogError, Replay};
use assent_consensus::{Hash, View};

use crate::crash_point::{self, Point};

/// Why a segment is refused.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// Reading or writing failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is no log of this chain, or not a whole one.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// An open segment: reading is done, appending goes on.
#[derive(Debug)]
pub(super) struct Segment {
    file: File,
    number: u64,
    length: u64,
}

impl Segment {
    /// Writes a segment that begins with a snapshot. Not durable yet.
    pub(super) fn create(
        path: &Path,
        number: u64,
        genesis: &Hash,
        tip: Option<(View, u8)>,
        snapshot: &[Vec<u8>],
    ) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(path)?;
        let bytes = log::segment(number, genesis, tip, snapshot);
        let (first, rest) = bytes.split_at(bytes.len() / 2);
        file.write_all(first)?;
        crash_point::reached(Point::SegmentBegun);
        file.write_all(rest)?;
        Ok(Self { file, number, length: bytes.len() as u64 })
    }

    pub(super) fn append(&mut self, record: &[u8]) -> io::Result<()> {
        let bytes = log::record(self.number, self.length, record);
        self.file.write_all(&bytes)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    pub(super) fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// Reads a segment and changes nothing.
    pub(super) fn read(path: &Path, number: u64, genesis: &Hash) -> Result<Replay, SegmentError> {
        Ok(log::read(&std::fs::read(path)?, number, genesis)?)
    }

    /// Opens a segment that was read, and cuts off what is torn behind its last whole record.
    pub(super) fn open(path: &Path, number: u64, replay: &Replay) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).open(path)?;
        if replay.torn_bytes > 0 {
            file.set_len(replay.length)?;
        }
        // A process that was killed leaves records that power could still take. They are about to be said again, and
        // nothing need be signed before that.
        file.sync_all()?;
        Ok(Self { file, number, length: replay.length })
    }
}

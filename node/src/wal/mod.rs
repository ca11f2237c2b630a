//! The write-ahead log of consensus: what a validator must not forget (SPEC rule D).
//!
//! A folder of segments, of which only the newest is alive. A new segment begins with a snapshot of everything
//! that still matters; when it is durable the older one is deleted. So the log stays small, and replaying it is
//! reading one file. The format of a segment is documented in [`assent_consensus::log`].

mod segment;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

pub use assent_consensus::log::Replay;
use assent_consensus::{Hash, View};

use crate::crash_point::{self, Point};

use segment::Segment;
pub use segment::SegmentError;

/// A segment is followed by a new one when it is longer than this.
pub const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

/// Why the log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum WalError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A segment is damaged or foreign.
    #[error("{path}: {source}")]
    Segment {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: SegmentError,
    },
}

/// A log that is only looked at.
#[derive(Debug)]
pub struct WalContents {
    /// The number of files; more than one after a crash while a new one was begun.
    pub segments: usize,
    /// Bytes of all files.
    pub bytes: u64,
    /// What stands in the one that counts.
    pub replay: Replay,
}

/// The open log.
#[derive(Debug)]
pub struct Wal {
    folder: PathBuf,
    genesis: Hash,
    segment: Segment,
    /// The length from which on a new segment is begun.
    full_at: u64,
}

impl Wal {
    /// Opens the log of a folder, or begins one. `accept` is asked whether what was read is all that it must be, before
    /// a torn tail is cut off or an older segment removed; its refusal leaves every file as it was.
    ///
    /// # Errors
    /// When a file is unreadable, of another chain, of another version or never completed, or `accept` refuses.
    pub fn open<T, E: From<WalError>>(
        folder: &Path,
        genesis: Hash,
        accept: impl FnOnce(&Replay) -> Result<T, E>,
    ) -> Result<(Self, Replay, T), E> {
        let io = |source| WalError::Io { path: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(io)?;
        let found = find(folder, &genesis)?;
        let (numbers, replay) = match found {
            None => (None, Replay::default()),
            Some(Found { number, replay, others }) => (Some((number, others)), replay),
        };
        let accepted = accept(&replay)?;
        let segment = match numbers {
            None => begin(folder, 1, genesis, None, &[])?,
            Some((number, others)) => {
                let path = segment_path(folder, number);
                let segment = Segment::open(&path, number, &replay);
                let segment = segment.map_err(|source| WalError::Io { path, source })?;
                for number in others {
                    tracing::info!(target: "assent::wal", number, "unfinished or older segment dropped");
                    fs::remove_file(segment_path(folder, number)).map_err(io)?;
                }
                segment
            }
        };
        let full_at = segment_bytes();
        Ok((Self { folder: folder.to_owned(), genesis, segment, full_at }, replay, accepted))
    }

    /// Reads the log of a folder as [`Self::open`] would, and changes nothing. `None`: there is none.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn read(folder: &Path, genesis: Hash) -> Result<Option<WalContents>, WalError> {
        let io = |source| WalError::Io { path: folder.to_owned(), source };
        if !folder.try_exists().map_err(io)? {
            return Ok(None);
        }
        let numbers = segment_numbers(folder).map_err(io)?;
        let length = |number: &u64| fs::metadata(segment_path(folder, *number)).map(|file| file.len());
        let bytes = numbers.iter().map(length).sum::<io::Result<u64>>().map_err(io)?;
        let contents = |found: Found| WalContents { segments: numbers.len(), bytes, replay: found.replay };
        Ok(find(folder, &genesis)?.map(contents))
    }

    /// Appends a record of the state machine; durable after the next [`Self::sync`].
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn append(&mut self, record: &[u8]) -> io::Result<()> {
        self.segment.append(record)
    }

    /// The file to sync, for a thread that waits for the disk. What was appended before is durable after its
    /// `sync_data`.
    ///
    /// # Errors
    /// When no further handle can be had.
    pub fn handle(&self) -> io::Result<File> {
        self.segment.handle()
    }

    /// Makes everything appended durable.
    ///
    /// # Errors
    /// When the disk refuses. The process must end then: what was written is in doubt (RELIABILITY rule 7).
    pub fn sync(&self) -> io::Result<()> {
        self.segment.handle()?.sync_data()
    }

    /// Whether it is time for a new segment.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.segment.length() > self.full_at
    }

    /// Begins a new segment with a snapshot and drops the older one. What the snapshot leaves out must be
    /// durable elsewhere.
    ///
    /// # Errors
    /// When a file cannot be written or removed.
    pub fn rotate(&mut self, tip: (View, u8), snapshot: &[Vec<u8>]) -> Result<(), WalError> {
        crash_point::reached(Point::BeforeSegment);
        let old = self.segment.number();
        let next = begin(&self.folder, old + 1, self.genesis, Some(tip), snapshot)?;
        crash_point::reached(Point::SegmentComplete);
        self.segment = next;
        // A snapshot that is large by itself must not be written again at once.
        self.full_at = segment_bytes().max(self.segment.length().saturating_mul(2));
        let path = segment_path(&self.folder, old);
        fs::remove_file(&path).map_err(|source| WalError::Io { path, source })?;
        crash_point::reached(Point::SegmentReplaced);
        Ok(())
    }
}

/// Writes a whole segment, makes it and its name durable, and leaves it open.
fn begin(
    folder: &Path,
    number: u64,
    genesis: Hash,
    tip: Option<(View, u8)>,
    snapshot: &[Vec<u8>],
) -> Result<Segment, WalError> {
    let path = segment_path(folder, number);
    let write = || -> io::Result<Segment> {
        let segment = Segment::create(&path, number, &genesis, tip, snapshot)?;
        segment.handle()?.sync_all()?;
        File::open(folder)?.sync_all()?;
        Ok(segment)
    };
    write().map_err(|source| WalError::Io { path: path.clone(), source })
}

/// The length after which a segment is followed by a new one; tests may have it shorter.
fn segment_bytes() -> u64 {
    crash_point::segment_bytes().unwrap_or(SEGMENT_BYTES)
}

fn segment_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:010}.wal"))
}

/// The numbers of the segments in a folder, ascending. Other files are left alone.
fn segment_numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number: Option<u64> = name.to_str().and_then(|name| name.strip_suffix(".wal")?.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The segment that counts.
struct Found {
    number: u64,
    replay: Replay,
    /// A newer one that was never completed, and older ones.
    others: Vec<u64>,
}

/// A crash while a segment was begun leaves a newer one that is not complete: the older one is still whole.
fn find(folder: &Path, genesis: &Hash) -> Result<Option<Found>, WalError> {
    let io = |source| WalError::Io { path: folder.to_owned(), source };
    let numbers = segment_numbers(folder).map_err(io)?;
    let oldest = numbers.first().copied();
    for number in numbers.iter().rev().copied() {
        let path = segment_path(folder, number);
        match Segment::read(&path, number, genesis) {
            Ok(replay) => {
                let others = numbers.into_iter().filter(|other| *other != number).collect();
                return Ok(Some(Found { number, replay, others }));
            }
            Err(SegmentError::Log(error)) if error.gives_way() && Some(number) != oldest => {}
            Err(source) => return Err(WalError::Segment { path, source }),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Write;

    const GENESIS: Hash = Hash([7; 32]);

    fn open(folder: &Path) -> (Wal, Replay) {
        let (wal, replay, ()) = Wal::open(folder, GENESIS, |_| Ok::<(), WalError>(())).unwrap();
        (wal, replay)
    }

    fn filled(folder: &Path, records: &[&[u8]]) {
        let (mut wal, _) = open(folder);
        for record in records {
            wal.append(record).unwrap();
        }
        wal.sync().unwrap();
    }

    fn file(folder: &Path) -> PathBuf {
        segment_path(folder, *segment_numbers(folder).unwrap().last().unwrap())
    }

    #[test]
    fn what_was_appended_is_replayed_in_order() {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path(), &[b"one", b"two"]);
        filled(dir.path(), &[b"three"]);
        let (_, replay) = open(dir.path());
        assert_eq!(replay.records, [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
        assert_eq!(replay.torn_bytes, 0);
    }

    #[test]
    fn reliability_7_a_torn_tail_is_cut_at_every_length() {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path(), &[b"one"]);
        let whole = fs::read(file(dir.path())).unwrap().len();
        filled(dir.path(), &[b"two, the last"]);
        let bytes = fs::read(file(dir.path())).unwrap();
        for cut in whole..bytes.len() {
            fs::write(file(dir.path()), &bytes[..cut]).unwrap();
            let (_, replay) = open(dir.path());
            assert_eq!(replay.records, [b"one".to_vec()], "cut at {cut}");
            assert_eq!(replay.torn_bytes, (cut - whole) as u64);
            // Mended: a second opening finds nothing torn, and appending goes on.
            filled(dir.path(), &[b"three"]);
            assert_eq!(open(dir.path()).1.records.len(), 2);
        }
    }

    #[test]
    fn reliability_7_nothing_is_cut_off_before_it_is_accepted() {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path(), &[b"one", b"two", b"three"]);
        let mut bytes = fs::read(file(dir.path())).unwrap();
        let at = bytes.len() - 60;
        bytes[at] ^= 0x10;
        fs::write(file(dir.path()), &bytes).unwrap();
        let refuse = |replay: &Replay| -> Result<(), WalError> {
            assert!(replay.torn_bytes > 0);
            Err(WalError::Io { path: PathBuf::new(), source: io::Error::other("votes are lost") })
        };
        let error = Wal::open(dir.path(), GENESIS, refuse).unwrap_err();
        assert!(error.to_string().contains("votes are lost"));
        assert_eq!(fs::read(file(dir.path())).unwrap(), bytes, "nothing is repaired silently");
        assert_eq!(open(dir.path()).1.records, [b"one".to_vec()]);
        assert_eq!(open(dir.path()).1.torn_bytes, 0);
    }

    #[test]
    fn rotation_keeps_the_snapshot_and_drops_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let (mut wal, _) = open(dir.path());
        wal.append(b"old").unwrap();
        wal.rotate((View(9), 2), &[b"kept".to_vec()]).unwrap();
        wal.append(b"new").unwrap();
        drop(wal);
        let (_, replay) = open(dir.path());
        assert_eq!(replay.records, [b"kept".to_vec(), b"new".to_vec()]);
        assert_eq!(replay.tip, Some((View(9), 2)));
        assert_eq!(segment_numbers(dir.path()).unwrap().len(), 1);
    }

    #[test]
    fn a_large_snapshot_is_not_rotated_again_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let (mut wal, _) = open(dir.path());
        let block = vec![7; 8 * 1024 * 1024];
        wal.rotate((View(9), 2), &vec![block.clone(); 9]).unwrap();
        assert!(!wal.is_full());
        (0..9).for_each(|_| wal.append(&block).unwrap());
        assert!(!wal.is_full());
        wal.append(&block).unwrap();
        assert!(wal.is_full());
    }

    #[test]
    fn a_segment_that_was_never_completed_gives_way_to_the_older_one() {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path(), &[b"one"]);
        // The crash came after the first bytes of the next segment.
        let bytes = fs::read(file(dir.path())).unwrap();
        File::create(segment_path(dir.path(), 2)).unwrap().write_all(&bytes[..20]).unwrap();
        let (_, replay) = open(dir.path());
        assert_eq!(replay.records, [b"one".to_vec()]);
        assert_eq!(segment_numbers(dir.path()).unwrap(), [1]);
    }

    #[test]
    fn reading_finds_what_opening_would_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Wal::read(&dir.path().join("none"), GENESIS).unwrap().is_none());
        assert!(Wal::read(dir.path(), GENESIS).unwrap().is_none());
        filled(dir.path(), &[b"one", b"two"]);
        let path = file(dir.path());
        let mut bytes = fs::read(&path).unwrap();
        bytes.truncate(bytes.len() - 1);
        fs::write(&path, &bytes).unwrap();
        File::create(segment_path(dir.path(), 2)).unwrap().write_all(&bytes[..20]).unwrap();
        let contents = Wal::read(dir.path(), GENESIS).unwrap().unwrap();
        assert_eq!((contents.segments, contents.bytes), (2, bytes.len() as u64 + 20));
        assert_eq!(contents.replay.records, [b"one".to_vec()]);
        assert!(contents.replay.torn_bytes > 0);
        assert_eq!(fs::read(&path).unwrap(), bytes);
        assert_eq!(segment_numbers(dir.path()).unwrap(), [1, 2]);
        assert!(Wal::read(dir.path(), Hash([8; 32])).is_err());
    }

    #[test]
    fn another_chains_log_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path(), &[b"one"]);
        let error = Wal::open(dir.path(), Hash([8; 32]), |_| Ok::<(), WalError>(())).unwrap_err();
        assert!(error.to_string().contains("another chain"), "{error}");
    }
}

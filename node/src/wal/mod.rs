//! The write-ahead log of consensus: what a validator must not forget (SPEC rule D).
//!
//! A folder of segments, of which only the newest is alive. A new segment begins with a snapshot of everything
//! that still matters; when it is durable the older one is deleted. So the log stays small, and replaying it is
//! reading one file. The format of a segment is documented in [`segment`].

mod segment;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

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

/// What stood in the log when it was opened.
#[derive(Debug, Default)]
pub struct Replay {
    /// The bytes of the records of the state machine, oldest first.
    pub records: Vec<Vec<u8>>,
    /// The highest (view, step) that the log knows to have been signed.
    pub tip: Option<(View, u8)>,
    /// Bytes of a torn tail that were cut off: the trace of a crash during a write.
    pub torn_bytes: u64,
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

/// The kinds of records.
const CORE: u8 = 1;
const TIP: u8 = 2;

impl Wal {
    /// Opens the log of a folder, or begins one.
    ///
    /// # Errors
    /// When a file is unreadable, of another chain, of another version, or damaged anywhere but at its torn tail.
    pub fn open(folder: &Path, genesis: Hash) -> Result<(Self, Replay), WalError> {
        let io = |source| WalError::Io { path: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(io)?;
        let mut numbers = segment_numbers(folder).map_err(io)?;
        // A crash while a segment was begun leaves a newer one that is not complete: the older one is still whole.
        while let Some(number) = numbers.pop() {
            let path = segment_path(folder, number);
            let opened = Segment::open(&path, number, genesis);
            let (segment, found) = match opened {
                Ok(opened) => opened,
                Err(SegmentError::Incomplete) if !numbers.is_empty() => {
                    tracing::warn!(target: "assent::wal", path = %path.display(), "unfinished segment dropped");
                    fs::remove_file(&path).map_err(io)?;
                    continue;
                }
                Err(source) => return Err(WalError::Segment { path, source }),
            };
            for older in numbers {
                fs::remove_file(segment_path(folder, older)).map_err(io)?;
            }
            let replay = sort_records(found.records, found.torn_bytes);
            let full_at = segment_bytes();
            return Ok((Self { folder: folder.to_owned(), genesis, segment, full_at }, replay));
        }
        let segment = begin(folder, 1, genesis, None, &[])?;
        Ok((Self { folder: folder.to_owned(), genesis, segment, full_at: segment_bytes() }, Replay::default()))
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
        let mut numbers = segment_numbers(folder).map_err(io)?;
        let segments = numbers.len();
        let length = |number: &u64| fs::metadata(segment_path(folder, *number)).map(|file| file.len());
        let bytes = numbers.iter().map(length).sum::<io::Result<u64>>().map_err(io)?;
        while let Some(number) = numbers.pop() {
            let path = segment_path(folder, number);
            match Segment::read(&path, number, genesis) {
                Ok(found) => {
                    let replay = sort_records(found.records, found.torn_bytes);
                    return Ok(Some(WalContents { segments, bytes, replay }));
                }
                Err(SegmentError::Incomplete) if !numbers.is_empty() => {}
                Err(source) => return Err(WalError::Segment { path, source }),
            }
        }
        Ok(None)
    }

    /// Appends a record of the state machine; durable after the next [`Self::sync`].
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn append(&mut self, record: &[u8]) -> io::Result<()> {
        self.segment.append(&[&[CORE], record])
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
        let mut segment = Segment::create(&path, number, genesis)?;
        if let Some((view, step)) = tip {
            segment.append(&[&[TIP], &view.0.to_be_bytes(), &[step]])?;
        }
        for record in snapshot {
            segment.append(&[&[CORE], record])?;
        }
        crash_point::reached(Point::SegmentBegun);
        segment.complete()?;
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

fn sort_records(found: Vec<Vec<u8>>, torn_bytes: u64) -> Replay {
    let mut replay = Replay { torn_bytes, ..Replay::default() };
    for mut bytes in found {
        match bytes.split_first() {
            Some((&CORE, _)) => replay.records.push(bytes.split_off(1)),
            Some((&TIP, [view @ .., step])) => {
                if let Ok(view) = view.try_into() {
                    replay.tip = replay.tip.max(Some((View(u64::from_be_bytes(view)), *step)));
                }
            }
            _ => {}
        }
    }
    replay
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Write;

    const GENESIS: Hash = Hash([7; 32]);

    fn filled(folder: &Path, records: &[&[u8]]) {
        let (mut wal, _) = Wal::open(folder, GENESIS).unwrap();
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
        let (_, replay) = Wal::open(dir.path(), GENESIS).unwrap();
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
            let (_, replay) = Wal::open(dir.path(), GENESIS).unwrap();
            assert_eq!(replay.records, [b"one".to_vec()], "cut at {cut}");
            assert_eq!(replay.torn_bytes, (cut - whole) as u64);
            // Mended: a second opening finds nothing torn, and appending goes on.
            filled(dir.path(), &[b"three"]);
            assert_eq!(Wal::open(dir.path(), GENESIS).unwrap().1.records.len(), 2);
        }
    }

    #[test]
    fn reliability_7_damage_before_the_tail_is_refused_at_every_byte() {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path(), &[b"one", b"two", b"three"]);
        let bytes = fs::read(file(dir.path())).unwrap();
        let last = bytes.len() - (segment::RECORD_OVERHEAD + 1 + b"three".len());
        for at in 0..last {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            fs::write(file(dir.path()), &damaged).unwrap();
            assert!(Wal::open(dir.path(), GENESIS).is_err(), "flipped at {at}");
            assert_eq!(fs::read(file(dir.path())).unwrap(), damaged, "nothing is repaired silently");
        }
    }

    #[test]
    fn rotation_keeps_the_snapshot_and_drops_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let (mut wal, _) = Wal::open(dir.path(), GENESIS).unwrap();
        wal.append(b"old").unwrap();
        wal.rotate((View(9), 2), &[b"kept".to_vec()]).unwrap();
        wal.append(b"new").unwrap();
        drop(wal);
        let (_, replay) = Wal::open(dir.path(), GENESIS).unwrap();
        assert_eq!(replay.records, [b"kept".to_vec(), b"new".to_vec()]);
        assert_eq!(replay.tip, Some((View(9), 2)));
        assert_eq!(segment_numbers(dir.path()).unwrap().len(), 1);
    }

    #[test]
    fn a_large_snapshot_is_not_rotated_again_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let (mut wal, _) = Wal::open(dir.path(), GENESIS).unwrap();
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
        let (_, replay) = Wal::open(dir.path(), GENESIS).unwrap();
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
        let error = Wal::open(dir.path(), Hash([8; 32])).unwrap_err();
        assert!(error.to_string().contains("another chain"), "{error}");
    }
}

//! One file of the log.
//!
//! ```text
//! header   "ASSENT-WAL/1\n" (13)  number u64  genesis hash (32)  SHA-256 of these (32)
//! record   "\xA5REC" (4)  length u32  SHA-256 (32)  payload (length)
//! ```
//! Integers are big-endian. A record's SHA-256 is over segment number, offset of the record, length and
//! payload: a record is valid only in its own place. The records of the snapshot, with which a segment
//! begins, end with an empty one; without it the segment was never completed.
//!
//! What cannot be read at the end of the file is a torn tail and is cut off, when no valid record follows. If one
//! follows, something in the middle was damaged after it was durable: that is refused, because votes may be gone.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use assent_consensus::{Hash, MAX_MESSAGE_BYTES};
use sha2::{Digest, Sha256};

const MAGIC: &[u8; 13] = b"ASSENT-WAL/1\n";
const RECORD: &[u8; 4] = b"\xA5REC";
const HEADER_BYTES: usize = MAGIC.len() + 8 + 32 + 32;

/// Bytes of a record before its payload.
pub(super) const RECORD_OVERHEAD: usize = 4 + 4 + 32;

/// Longest payload: the longest message, and the kind.
const MAX_RECORD_BYTES: usize = MAX_MESSAGE_BYTES + 64;

/// Why a segment is refused.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// Reading or writing failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It was begun and not completed: a crash came between.
    #[error(
        "the consensus log was begun and not completed, and there is no older one. If this node never voted, remove \
         the file; otherwise treat the node as one that lost its disk"
    )]
    Incomplete,
    /// Not a log of this version.
    #[error(
        "not a consensus log of version 1: its header is damaged, or another program wrote it. Restore the file; do not delete it, or the node forgets what it signed"
    )]
    NotALog,
    /// A log of another network.
    #[error("the consensus log of another chain: genesis {got}, {expected} expected. Check --home and genesis.json")]
    OtherChain {
        /// Our genesis hash.
        expected: Hash,
        /// The log's.
        got: Hash,
    },
    /// Damage before the tail.
    #[error(
        "damaged at byte {at}: valid records follow, so this is not the trace of a crash but of the disk or of a hand. \
         Votes may be lost: restore the file, or wipe the node's data folder and let it join again"
    )]
    Damaged {
        /// Offset of the first record that cannot be read.
        at: u64,
    },
}

/// What a segment held.
pub(super) struct Found {
    pub(super) records: Vec<Vec<u8>>,
    /// Bytes up to the end of the last record.
    pub(super) length: u64,
    pub(super) torn_bytes: u64,
}

/// An open segment: reading is done, appending goes on.
#[derive(Debug)]
pub(super) struct Segment {
    file: File,
    number: u64,
    length: u64,
}

fn digest(number: u64, offset: u64, payload: &[&[u8]]) -> [u8; 32] {
    let length: usize = payload.iter().map(|part| part.len()).sum();
    let mut hasher = Sha256::new();
    hasher.update(number.to_be_bytes());
    hasher.update(offset.to_be_bytes());
    hasher.update((length as u64).to_be_bytes());
    payload.iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}

fn header(number: u64, genesis: Hash) -> Vec<u8> {
    let mut bytes = [&MAGIC[..], &number.to_be_bytes(), &genesis.0].concat();
    let digest: [u8; 32] = Sha256::digest(&bytes).into();
    bytes.extend(digest);
    bytes
}

impl Segment {
    pub(super) fn create(path: &Path, number: u64, genesis: Hash) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(path)?;
        let header = header(number, genesis);
        file.write_all(&header)?;
        Ok(Self { file, number, length: header.len() as u64 })
    }

    /// Ends the snapshot with which a segment begins.
    pub(super) fn complete(&mut self) -> io::Result<()> {
        self.append(&[])
    }

    pub(super) fn append(&mut self, payload: &[&[u8]]) -> io::Result<()> {
        let length: usize = payload.iter().map(|part| part.len()).sum();
        let length = u32::try_from(length).map_err(io::Error::other)?;
        let mut bytes = Vec::with_capacity(RECORD_OVERHEAD + length as usize);
        bytes.extend(RECORD);
        bytes.extend(length.to_be_bytes());
        bytes.extend(digest(self.number, self.length, payload));
        payload.iter().for_each(|part| bytes.extend_from_slice(part));
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

    /// Reads a segment and changes nothing. Refuses what is damaged anywhere but at its torn tail.
    pub(super) fn read(path: &Path, number: u64, genesis: Hash) -> Result<Found, SegmentError> {
        let mut bytes = Vec::new();
        File::open(path)?.read_to_end(&mut bytes)?;
        check_header(&bytes, number, genesis)?;
        let (records, end) = read_records(&bytes, number)?;
        Ok(Found { records, length: end as u64, torn_bytes: (bytes.len() - end) as u64 })
    }

    /// Reads a segment, mends a torn tail, refuses anything else, and opens it for appending.
    pub(super) fn open(path: &Path, number: u64, genesis: Hash) -> Result<(Self, Found), SegmentError> {
        let found = Self::read(path, number, genesis)?;
        let file = OpenOptions::new().append(true).open(path)?;
        if found.torn_bytes > 0 {
            file.set_len(found.length)?;
            file.sync_all()?;
        }
        Ok((Self { file, number, length: found.length }, found))
    }
}

fn check_header(bytes: &[u8], number: u64, genesis: Hash) -> Result<(), SegmentError> {
    let Some(found) = bytes.get(..HEADER_BYTES) else {
        let prefix = MAGIC.get(..bytes.len().min(MAGIC.len())).unwrap_or_default();
        return Err(if bytes.starts_with(prefix) { SegmentError::Incomplete } else { SegmentError::NotALog });
    };
    if found == header(number, genesis) {
        return Ok(());
    }
    let digest_at = HEADER_BYTES - 32;
    let intact = Sha256::digest(&found[..digest_at])[..] == found[digest_at..];
    match found[digest_at - 32..digest_at].try_into() {
        Ok(got) if intact && found.starts_with(MAGIC) => {
            Err(SegmentError::OtherChain { expected: genesis, got: Hash(got) })
        }
        _ => Err(SegmentError::NotALog),
    }
}

/// The payload of the record at an offset, if one is there.
fn record_at(bytes: &[u8], number: u64, at: usize) -> Option<&[u8]> {
    let rest = bytes.get(at..)?.strip_prefix(RECORD)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok().filter(|length| *length <= MAX_RECORD_BYTES)?;
    let (claimed, rest) = rest.split_first_chunk::<32>()?;
    let payload = rest.get(..length)?;
    (digest(number, at as u64, &[payload]) == *claimed).then_some(payload)
}

/// All records, and the offset behind the last.
fn read_records(bytes: &[u8], number: u64) -> Result<(Vec<Vec<u8>>, usize), SegmentError> {
    let mut at = HEADER_BYTES;
    let (mut records, mut complete) = (Vec::new(), false);
    while let Some(payload) = record_at(bytes, number, at) {
        at += RECORD_OVERHEAD + payload.len();
        if payload.is_empty() {
            complete = true;
        } else {
            records.push(payload.to_vec());
        }
    }
    let follows = (at + 1..bytes.len()).any(|later| record_at(bytes, number, later).is_some());
    match (follows, complete) {
        (true, _) => Err(SegmentError::Damaged { at: at as u64 }),
        (false, false) => Err(SegmentError::Incomplete),
        (false, true) => Ok((records, at)),
    }
}

//! The format of the write-ahead log: what a validator must not forget (SPEC rule D). Bytes in, records out; the node
//! and the simulator keep the bytes, on a real and on a simulated disk.
//!
//! ```text
//! header   "ASSENT-WAL/1\n" (13)  number u64  genesis hash (32)  SHA-256 of these (32)
//! record   "\xA5REC" (4)  length u32  SHA-256 (32)  payload (length)
//! ```
//! A log is a row of segments, of which only the newest is alive. Integers are big-endian. A record's SHA-256 is over
//! segment number, offset of the record, length and payload: a record is valid only in its own place. A payload is a
//! kind (1: a record of the state machine, 2: the signer's mark when the segment began) and its bytes. The records of
//! the snapshot, with which a segment begins, end with an empty one; without it the segment was never completed.
//!
//! Reading ends at the first record that is not whole. What follows it is a torn tail: a crash may lose any part of what
//! was not synced, the first bytes as well as the last. Whether it is more than that, and votes are gone, is decided with the
//! signer's mark ([`crate::recovery`]).

use sha2::{Digest, Sha256};

use crate::{Hash, MAX_MESSAGE_BYTES, View};

const MAGIC: &[u8; 13] = b"ASSENT-WAL/1\n";
const RECORD: &[u8; 4] = b"\xA5REC";

/// Bytes of a segment before its first record.
pub const HEADER_BYTES: usize = MAGIC.len() + 8 + 32 + 32;

/// Bytes of a record before its payload.
pub const RECORD_OVERHEAD: usize = 4 + 4 + 32;

/// Longest payload: the longest message, and the kind.
const MAX_RECORD_BYTES: usize = MAX_MESSAGE_BYTES + 64;

const CORE: u8 = 1;
const TIP: u8 = 2;

/// Why a segment is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// It was begun and not completed: a crash came between.
    #[error(
        "the consensus log was begun and not completed, and there is no older one. If this node never voted, remove \
         the file; otherwise treat the node as one that lost its disk"
    )]
    Incomplete,
    /// Not a log of this version.
    #[error(
        "not a consensus log of version 1: its header is damaged, or another program wrote it. Restore the file; do not \
         delete it, or the node forgets what it signed"
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
}

impl LogError {
    /// Whether an older segment, if there is one, counts in place of this one: it is only removed when the newer one is
    /// durable. If the newer one was durable and damaged, the signer's floor tells that votes are missing.
    #[must_use]
    pub const fn gives_way(&self) -> bool {
        matches!(self, Self::Incomplete | Self::NotALog)
    }
}

/// What a segment held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// The bytes of the records of the state machine, oldest first.
    pub records: Vec<Vec<u8>>,
    /// The signer's mark when the segment began.
    pub tip: Option<(View, u8)>,
    /// Bytes up to the end of the last whole record.
    pub length: u64,
    /// Bytes behind them, which are cut off.
    pub torn_bytes: u64,
}

/// The beginning of a segment.
#[must_use]
pub fn header(number: u64, genesis: &Hash) -> Vec<u8> {
    let mut bytes = [&MAGIC[..], &number.to_be_bytes(), &genesis.0].concat();
    let digest: [u8; 32] = Sha256::digest(&bytes).into();
    bytes.extend(digest);
    bytes
}

/// A whole segment with nothing but a snapshot: what still matters when the one before it is dropped.
#[must_use]
pub fn segment(number: u64, genesis: &Hash, tip: Option<(View, u8)>, snapshot: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = header(number, genesis);
    if let Some((view, step)) = tip {
        push(&mut bytes, number, &[&[TIP], &view.0.to_be_bytes(), &[step]]);
    }
    for record in snapshot {
        push(&mut bytes, number, &[&[CORE], record]);
    }
    push(&mut bytes, number, &[]);
    bytes
}

fn push(bytes: &mut Vec<u8>, number: u64, payload: &[&[u8]]) {
    let record = frame(number, bytes.len() as u64, payload);
    bytes.extend(record);
}

/// A record of the state machine, to be written at an offset of a segment. It is at most as long as the longest
/// message.
#[must_use]
pub fn record(number: u64, offset: u64, bytes: &[u8]) -> Vec<u8> {
    frame(number, offset, &[&[CORE], bytes])
}

fn frame(number: u64, offset: u64, payload: &[&[u8]]) -> Vec<u8> {
    let length: usize = payload.iter().map(|part| part.len()).sum();
    let mut bytes = Vec::with_capacity(RECORD_OVERHEAD + length);
    bytes.extend(RECORD);
    bytes.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend(digest(number, offset, payload));
    payload.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes
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

/// Reads a segment up to the first place that is not whole.
///
/// # Errors
/// When it is no segment of this number and chain, or was never completed.
pub fn read(bytes: &[u8], number: u64, genesis: &Hash) -> Result<Replay, LogError> {
    check_header(bytes, number, genesis)?;
    let mut at = HEADER_BYTES;
    let (mut replay, mut complete) = (Replay::default(), false);
    while let Some(payload) = record_at(bytes, number, at) {
        at += RECORD_OVERHEAD + payload.len();
        match payload.split_first() {
            None => complete = true,
            Some((&CORE, record)) => replay.records.push(record.to_vec()),
            Some((&TIP, [view @ .., step])) => {
                let view = view.try_into().map(u64::from_be_bytes);
                replay.tip = replay.tip.max(view.ok().map(|view| (View(view), *step)));
            }
            Some(_) => {}
        }
    }
    if !complete {
        return Err(LogError::Incomplete);
    }
    replay.length = at as u64;
    replay.torn_bytes = (bytes.len() - at) as u64;
    Ok(replay)
}

fn check_header(bytes: &[u8], number: u64, genesis: &Hash) -> Result<(), LogError> {
    let Some(found) = bytes.get(..HEADER_BYTES) else {
        let prefix = MAGIC.get(..bytes.len().min(MAGIC.len())).unwrap_or_default();
        return Err(if bytes.starts_with(prefix) { LogError::Incomplete } else { LogError::NotALog });
    };
    if found == header(number, genesis) {
        return Ok(());
    }
    // A file system may lose the bytes of a file that was never synced and keep its length.
    if bytes.iter().all(|byte| *byte == 0) {
        return Err(LogError::Incomplete);
    }
    let digest_at = HEADER_BYTES - 32;
    let intact = Sha256::digest(&found[..digest_at])[..] == found[digest_at..];
    match found[digest_at - 32..digest_at].try_into() {
        Ok(got) if intact && found.starts_with(MAGIC) && Hash(got) != *genesis => {
            Err(LogError::OtherChain { expected: *genesis, got: Hash(got) })
        }
        _ => Err(LogError::NotALog),
    }
}

/// The payload of the record at an offset of a segment, if one is there.
fn record_at(bytes: &[u8], number: u64, at: usize) -> Option<&[u8]> {
    let rest = bytes.get(at..)?.strip_prefix(RECORD)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok().filter(|length| *length <= MAX_RECORD_BYTES)?;
    let (claimed, rest) = rest.split_first_chunk::<32>()?;
    let payload = rest.get(..length)?;
    (digest(number, at as u64, &[payload]) == *claimed).then_some(payload)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const GENESIS: Hash = Hash([7; 32]);

    fn filled(records: &[&[u8]]) -> Vec<u8> {
        let mut bytes = segment(3, &GENESIS, Some((View(9), 2)), &[b"kept".to_vec()]);
        for bytes_of in records {
            let framed = record(3, bytes.len() as u64, bytes_of);
            bytes.extend(framed);
        }
        bytes
    }

    #[test]
    fn a_segment_is_read_as_it_was_written() {
        let bytes = filled(&[b"one", b"two"]);
        let replay = read(&bytes, 3, &GENESIS).unwrap();
        assert_eq!(replay.records, [b"kept".to_vec(), b"one".to_vec(), b"two".to_vec()]);
        assert_eq!((replay.tip, replay.torn_bytes), (Some((View(9), 2)), 0));
        assert_eq!(replay.length, bytes.len() as u64);
    }

    #[test]
    fn reliability_7_reading_ends_at_the_first_damaged_byte() {
        let bytes = filled(&[b"one", b"two", b"three"]);
        let sizes = [3, 3, 5].map(|payload: usize| RECORD_OVERHEAD + 1 + payload);
        let first = bytes.len() - sizes.iter().sum::<usize>();
        for at in first..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            let replay = read(&damaged, 3, &GENESIS).unwrap();
            let whole = 1 + usize::from(at >= first + sizes[0]) + usize::from(at >= first + sizes[0] + sizes[1]);
            assert_eq!(replay.records.len(), whole, "flipped at {at}");
        }
        for at in 0..first {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(read(&damaged, 3, &GENESIS).is_err(), "flipped at {at}");
        }
    }

    #[test]
    fn a_segment_is_of_its_number_and_chain() {
        let bytes = filled(&[]);
        assert_eq!(read(&bytes, 4, &GENESIS), Err(LogError::NotALog));
        let other = Hash([8; 32]);
        assert_eq!(read(&bytes, 3, &other), Err(LogError::OtherChain { expected: other, got: GENESIS }));
        for cut in 0..bytes.len() {
            assert_eq!(read(&bytes[..cut], 3, &GENESIS), Err(LogError::Incomplete), "cut at {cut}");
        }
        assert_eq!(read(&vec![0; bytes.len()], 3, &GENESIS), Err(LogError::Incomplete));
        assert_eq!(read(b"something else", 3, &GENESIS), Err(LogError::NotALog));
    }
}

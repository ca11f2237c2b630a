//! The signer's mark: the last ballot that a validator signed, so that no fault of log, program or operator makes it
//! contradict itself (SPEC rule S). Plain data and its bytes; the node and the simulator keep them.
//!
//! The bytes are two slots of 1,024 that are written in turn, so that a torn write leaves the other:
//!
//! ```text
//! "ASSENT-MARK/1\n" (14)  sequence u64  genesis hash (32)  floor view u64, step u8  mark view u64, step u8
//! votes u8, at most 4, each: epoch u64, view u64, phase u8, block (32), signature (64)   SHA-256 of all before (32)
//! ```
//! `mark` is the last ballot signed. `floor` is the mark whose log records were durable when the slot was written: a log
//! that ends below it has lost votes. The last ballots are kept with their signatures, because the log may be synced at
//! the same time as the mark ([`crate::durability`]), and a crash may then leave it one step behind.
//!
//! A floor of view 2^64 - 1 and step 255, which no log reaches, says that the mark is *lost*: others showed a signature
//! that it does not know (SPEC rule M3). A program that does not know of this refuses such a mark together with any log.

use sha2::{Digest, Sha256};

use crate::codec::{Reader, Writer};
use crate::{Ballot, Hash, Signature, View};

const MAGIC: &[u8; 14] = b"ASSENT-MARK/1\n";

/// Bytes of one of the two slots.
pub const SLOT_BYTES: usize = 1024;

/// Ballots that are kept with their signatures.
const MAX_KEPT: usize = 4;

/// The floor of a mark that is lost.
const LOST: (View, u8) = (View(u64::MAX), u8::MAX);

/// What a validator signed last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignerMark {
    sequence: u64,
    /// The log was durable up to here.
    pub floor: (View, u8),
    /// The last ballot signed.
    pub mark: (View, u8),
    /// Signatures exist that this mark does not know: it counts as none until a ballot is signed again.
    pub lost: bool,
    /// The last ballots with their signatures, oldest first.
    pub kept: Vec<(Ballot, Signature)>,
}

/// Why bytes are no mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MarkError {
    /// Both slots are unreadable.
    #[error("damaged in both slots")]
    Damaged,
    /// The mark of another network.
    #[error("of the chain with genesis {0}")]
    OtherChain(Hash),
}

impl SignerMark {
    /// The mark of a validator that has signed nothing; it is not written yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { sequence: 0, floor: (View(0), 0), mark: (View(0), 0), lost: false, kept: Vec::new() }
    }

    /// Whether a ballot is above the mark and may be signed.
    #[must_use]
    pub fn allows(&self, ballot: &Ballot) -> bool {
        ballot.mark() > self.mark
    }

    /// Takes a ballot in, which was above the mark. Who signs knows again what it signed: whoever had forgotten it abstained
    /// until it was behind (SPEC rule M4), and what is signed now is above all of it.
    pub fn signed(&mut self, ballot: Ballot, signature: Signature) {
        self.lost = false;
        self.mark = self.mark.max(ballot.mark());
        self.kept.push((ballot, signature));
        let surplus = self.kept.len().saturating_sub(MAX_KEPT);
        self.kept.drain(..surplus);
    }

    /// The slot to write next, as (offset, bytes).
    #[must_use]
    pub fn next_slot(&mut self, genesis: &Hash) -> (usize, Vec<u8>) {
        self.sequence += 1;
        (self.slot(), self.encode(genesis))
    }

    /// The offset of the slot that was written last.
    #[must_use]
    pub fn slot(&self) -> usize {
        if self.sequence.is_multiple_of(2) { 0 } else { SLOT_BYTES }
    }

    fn encode(&self, genesis: &Hash) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.raw(MAGIC).u64(self.sequence).raw(&genesis.0);
        let floor = if self.lost { LOST } else { self.floor };
        for (view, step) in [floor, self.mark] {
            writer.u64(view.0).u8(step);
        }
        writer.u8(u8::try_from(self.kept.len()).unwrap_or(0));
        for (ballot, signature) in &self.kept {
            ballot.write(&mut writer);
            writer.raw(&signature.0);
        }
        let digest: [u8; 32] = Sha256::digest(&writer.0).into();
        writer.raw(&digest);
        writer.0.resize(SLOT_BYTES, 0);
        writer.0
    }

    /// Reads one slot: the mark and the genesis hash it belongs to.
    fn decode(slot: &[u8]) -> Option<(Self, Hash)> {
        let rest = slot.strip_prefix(MAGIC)?;
        let mut reader = Reader::new(rest);
        let sequence = reader.u64("sequence").ok()?;
        let genesis = reader.hash("genesis").ok()?;
        let mut mark = || Some((View(reader.u64("view").ok()?), reader.u8("step").ok()?));
        let (floor, last) = (mark()?, mark()?);
        let lost = floor == LOST;
        let floor = if lost { (View(0), 0) } else { floor };
        let count = usize::from(reader.u8("votes").ok()?);
        let mut kept = Vec::new();
        for _ in 0..Some(count).filter(|count| *count <= MAX_KEPT)? {
            kept.push((Ballot::read(&mut reader).ok()?, reader.signature().ok()?));
        }
        let covered = slot.len() - reader.remaining();
        let digest = reader.take("digest", 32).ok()?;
        (Sha256::digest(&slot[..covered])[..] == *digest)
            .then_some((Self { sequence, floor, mark: last, lost, kept }, genesis))
    }

    /// Reads both slots; the newer one counts.
    ///
    /// # Errors
    /// When neither can be read, or the mark is of another chain.
    pub fn read(bytes: &[u8], genesis: &Hash) -> Result<Self, MarkError> {
        let slots = bytes.chunks(SLOT_BYTES).take(2).filter_map(Self::decode);
        match slots.max_by_key(|(mark, _)| mark.sequence) {
            None => Err(MarkError::Damaged),
            Some((_, got)) if got != *genesis => Err(MarkError::OtherChain(got)),
            Some((mark, _)) => Ok(mark),
        }
    }
}

impl Default for SignerMark {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Epoch, Phase};

    const GENESIS: Hash = Hash([7; 32]);

    fn ballot(view: u64, phase: Phase) -> Ballot {
        Ballot { epoch: Epoch(0), view: View(view), phase, block: Hash([1; 32]) }
    }

    #[test]
    fn two_slots_are_written_in_turn_and_the_newer_one_counts() {
        let (mut mark, mut file) = (SignerMark::new(), vec![0; 2 * SLOT_BYTES]);
        for view in 1..7 {
            mark.signed(ballot(view, Phase::Prepare), Signature([3; 64]));
            let (at, bytes) = mark.next_slot(&GENESIS);
            file[at..at + SLOT_BYTES].copy_from_slice(&bytes);
            assert_eq!(SignerMark::read(&file, &GENESIS).as_ref(), Ok(&mark));
        }
        assert_eq!(mark.kept.len(), MAX_KEPT);
        assert_eq!(SignerMark::read(&file, &Hash([8; 32])), Err(MarkError::OtherChain(GENESIS)));
        file[mark.slot() + 60] ^= 1;
        assert_eq!(SignerMark::read(&file, &GENESIS).unwrap().mark, (View(5), 1));
        file[SLOT_BYTES - mark.slot() + 60] ^= 1;
        assert_eq!(SignerMark::read(&file, &GENESIS), Err(MarkError::Damaged));
        assert_eq!(SignerMark::read(&[], &GENESIS), Err(MarkError::Damaged));
    }

    #[test]
    fn rule_m3_a_lost_mark_is_read_as_one_and_ends_with_the_next_ballot() {
        let (mut mark, mut file) = (SignerMark::new(), vec![0; 2 * SLOT_BYTES]);
        let mut written = |mark: &mut SignerMark| {
            let (at, bytes) = mark.next_slot(&GENESIS);
            file[at..at + SLOT_BYTES].copy_from_slice(&bytes);
            SignerMark::read(&file, &GENESIS).unwrap()
        };
        mark.signed(ballot(5, Phase::Commit), Signature([3; 64]));
        assert!(!written(&mut mark).lost);
        mark.lost = true;
        let lost = written(&mut mark);
        assert_eq!((lost.lost, lost.mark, lost.kept.len()), (true, (View(5), 2), 1));
        // What knows nothing of lost marks takes it for one whose log has lost votes.
        let (_, slot) = mark.next_slot(&GENESIS);
        let floor = MAGIC.len() + 8 + 32;
        assert_eq!(slot[floor..floor + 9], [0xff; 9]);
        mark.signed(ballot(9, Phase::Prepare), Signature([3; 64]));
        assert!(!written(&mut mark).lost);
    }

    #[test]
    fn every_bit_of_a_slot_that_says_something_counts() {
        let mut mark = SignerMark::new();
        mark.signed(ballot(5, Phase::Commit), Signature([3; 64]));
        let (_, slot) = mark.next_slot(&GENESIS);
        let used = slot.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        for at in 0..used {
            let mut damaged = slot.clone();
            damaged[at] ^= 0x20;
            assert_eq!(SignerMark::read(&damaged, &GENESIS), Err(MarkError::Damaged), "byte {at}");
        }
    }
}

//! The simulated disk of one node: log and mark in their real formats, and the final blocks, each with a durable part
//! and a part that a crash may take or tear. Log and mark are synced together or one before the other, as the node does
//! it; a crash in between may leave either behind.

use std::sync::Arc;

use super::application::{Application, FinalBlock};
use super::kinds::{Counts, FaultKind};
use super::rng::Rng;
use crate::durability::SyncOrder;
use crate::mark::{SLOT_BYTES, SignerMark};
use crate::recovery::{Recovered, recover};
use crate::{Ballot, Hash, Phase, Record, Signature, ValidatorIndex, ValidatorSet, log};

/// Bytes after which the log is replaced by a snapshot.
const FULL: usize = 64 * 1024;

/// What is written or lost at once when a crash leaves holes.
const PAGE: usize = 64;

#[derive(Clone, Debug)]
struct Segment {
    number: u64,
    bytes: Vec<u8>,
    durable: usize,
}

/// The disk of one node.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    genesis: Hash,
    /// Oldest first; more than one after a crash while a new one was begun.
    segments: Vec<Segment>,
    /// What the signer knows.
    mark: SignerMark,
    /// The file of the mark, if there is one: as written, and as synced.
    mark_file: Option<Vec<u8>>,
    durable_mark: Option<Vec<u8>>,
    /// Whether the log is synced before the mark is written.
    pub(super) order: SyncOrder,
    /// What was signed and not synced yet.
    unsynced: Vec<Ballot>,
    /// The mark changed since the last sync.
    changed: bool,
    /// A sync was begun and may have come half-way.
    syncing: bool,
    chain: Vec<Arc<FinalBlock>>,
    durable_blocks: usize,
    /// Somebody flipped a bit: the node may refuse to start.
    pub(super) damaged: bool,
}

impl Disk {
    /// The disk of a new validator, with the first mark beside its key.
    pub(super) fn new(genesis: Hash) -> Self {
        let mut disk = Self::wiped(genesis);
        disk.write_mark();
        disk.durable_mark = disk.mark_file.clone();
        disk
    }

    /// The disk of a validator that has nothing but its key.
    pub(super) fn wiped(genesis: Hash) -> Self {
        let bytes = log::segment(1, &genesis, None, &[]);
        let durable = bytes.len();
        Self {
            genesis,
            segments: vec![Segment { number: 1, bytes, durable }],
            mark: SignerMark::new(),
            mark_file: None,
            durable_mark: None,
            order: SyncOrder::new(false),
            unsynced: Vec::new(),
            changed: false,
            syncing: false,
            chain: Vec::new(),
            durable_blocks: 0,
            damaged: false,
        }
    }

    fn segment(&mut self) -> &mut Segment {
        let last = self.segments.len() - 1;
        &mut self.segments[last]
    }

    pub(super) fn append(&mut self, record: &Record) {
        let segment = self.segment();
        let bytes = log::record(segment.number, segment.bytes.len() as u64, &record.encode());
        segment.bytes.extend(bytes);
        self.order.appended(record);
    }

    /// Moves the mark; false when the ballot is not above it.
    pub(super) fn sign(&mut self, ballot: Ballot, signature: Signature) -> bool {
        let allowed = self.mark.allows(&ballot);
        if allowed {
            self.mark.signed(ballot, signature);
            self.order.signed(&ballot);
            self.unsynced.push(ballot);
            self.changed = true;
        }
        allowed
    }

    /// The mark says from now on that it is lost; without one there is nothing to say.
    pub(super) fn forget(&mut self) {
        self.mark.lost = true;
        self.changed |= self.mark_file.is_some();
    }

    fn write_mark(&mut self) {
        let (offset, bytes) = self.mark.next_slot(&self.genesis);
        let file = self.mark_file.get_or_insert_with(|| vec![0; 2 * SLOT_BYTES]);
        file[offset..offset + SLOT_BYTES].copy_from_slice(&bytes);
    }

    /// Whether a crash could still make this ballot forgotten.
    pub(super) fn may_forget(&self, ballot: &Ballot) -> bool {
        self.unsynced.contains(ballot)
    }

    /// Begins a sync; it is done with [`Self::synced`]. False when there is nothing to sync.
    pub(super) fn begin_sync(&mut self) -> bool {
        self.syncing = self.changed;
        if self.changed {
            self.write_mark();
        }
        self.changed
    }

    pub(super) fn synced(&mut self) {
        let segment = self.segment();
        segment.durable = segment.bytes.len();
        self.durable_mark.clone_from(&self.mark_file);
        self.mark.floor = self.mark.mark;
        self.unsynced.clear();
        self.order.synced();
        (self.changed, self.syncing) = (false, false);
    }

    pub(super) fn is_full(&self) -> bool {
        self.segments.last().is_some_and(|segment| segment.bytes.len() > FULL)
    }

    /// Makes the chain durable and begins a new segment, of which a crash may leave a part: then the older one counts.
    pub(super) fn begin_rotation(&mut self, snapshot: &[Record]) {
        self.durable_blocks = self.chain.len();
        let number = self.segment().number + 1;
        let snapshot: Vec<Vec<u8>> = snapshot.iter().map(Record::encode).collect();
        let bytes = log::segment(number, &self.genesis, Some(self.mark.mark), &snapshot);
        self.segments.push(Segment { number, bytes, durable: 0 });
    }

    /// The new segment is durable; the older one goes.
    pub(super) fn end_rotation(&mut self) {
        let segment = self.segment();
        segment.durable = segment.bytes.len();
        self.segments.drain(..self.segments.len() - 1);
    }

    pub(super) fn height(&self) -> u64 {
        self.chain.len() as u64
    }

    pub(super) fn push(&mut self, block: Arc<FinalBlock>) {
        self.chain.push(block);
    }

    pub(super) fn blocks(&self) -> &[Arc<FinalBlock>] {
        &self.chain
    }

    /// Final blocks above a height, at most `limit`, the last one with a commit certificate.
    pub(super) fn blocks_above(&self, height: u64, limit: usize) -> Vec<Arc<FinalBlock>> {
        let from = usize::try_from(height).unwrap_or(usize::MAX).min(self.chain.len());
        let mut blocks: Vec<Arc<FinalBlock>> = self.chain[from..].iter().take(limit).cloned().collect();
        let proven = blocks.iter().rposition(|block| block.certificate.phase == Phase::Commit);
        blocks.truncate(proven.map_or(0, |last| last + 1));
        blocks
    }

    /// Power is lost: what was not synced is there, gone, torn or full of holes.
    pub(super) fn crash(&mut self, rng: &mut Rng, counts: &mut Counts) {
        let syncing = std::mem::take(&mut self.syncing);
        self.changed = false;
        self.unsynced.clear();
        let log_kept = self.segments.iter_mut().map(|segment| tear(segment, rng, counts)).last().unwrap_or(true);
        let mark_kept = if syncing && self.order.log_first() && !log_kept {
            false
        } else if syncing {
            self.tear_mark(rng, counts)
        } else {
            self.mark_file == self.durable_mark
        };
        self.mark_file.clone_from(&self.durable_mark);
        if syncing {
            counts.did(FaultKind::CrashInSync);
            match (log_kept, mark_kept) {
                (true, false) => counts.did(FaultKind::MarkBehind),
                (false, true) => counts.did(FaultKind::LogBehind),
                _ => {}
            }
        }
        if self.segments.len() > 1 {
            counts.did(FaultKind::CrashInRotation);
        }
        let lost = rng.index(self.chain.len().saturating_sub(self.durable_blocks) + 1);
        if lost > 0 {
            counts.did(FaultKind::BlocksLost);
        }
        self.chain.truncate(self.chain.len() - lost);
        self.durable_blocks = self.chain.len();
    }

    /// What becomes of a mark that was being synced. True: the new one is there.
    fn tear_mark(&mut self, rng: &mut Rng, counts: &mut Counts) -> bool {
        match rng.below(3) {
            0 => false,
            1 => {
                self.durable_mark.clone_from(&self.mark_file);
                true
            }
            _ => {
                counts.did(FaultKind::MarkTorn);
                let (slot, cut) = (self.mark.slot(), rng.index(SLOT_BYTES));
                if let (Some(old), Some(new)) = (&mut self.durable_mark, &self.mark_file) {
                    old[slot..slot + cut].copy_from_slice(&new[slot..slot + cut]);
                }
                false
            }
        }
    }

    /// Flips one bit of what is on the disk of a node that is down.
    pub(super) fn flip(&mut self, rng: &mut Rng) {
        self.damaged = true;
        let log_bytes = self.segment().bytes.len();
        let mark = self.durable_mark.as_mut().filter(|_| rng.per_mille(300));
        let (bytes, length) = match mark {
            Some(mark) => (mark, 2 * SLOT_BYTES),
            None => (&mut self.segment().bytes, log_bytes),
        };
        bytes[rng.index(length)] ^= 1 << rng.below(8);
        self.mark_file.clone_from(&self.durable_mark);
    }

    /// What the node finds when it starts: what to restore the state machine with, and the records.
    pub(super) fn open(
        &mut self,
        me: ValidatorIndex,
        set: &ValidatorSet,
        application: &dyn Application,
    ) -> Result<(Recovered, Vec<Record>), String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let found = self.mark_file.as_ref().map(|file| SignerMark::read(file, &self.genesis));
        let found = found.transpose().map_err(|error| text(&error))?;
        let (position, replay) = loop {
            let last = self.segments.len() - 1;
            match log::read(&self.segments[last].bytes, self.segments[last].number, &self.genesis) {
                Err(error) if error.gives_way() && last > 0 => drop(self.segments.pop()),
                read => break (last, read.map_err(|error| text(&error))?),
            }
        };
        let read = |payload: &[u8]| application.read(payload);
        let records = replay.records.iter().map(|bytes| Record::decode(bytes, set.len(), &read));
        let records = records.collect::<Result<Vec<_>, _>>().map_err(|error| text(&error))?;
        let recovered = recover(found.as_ref(), &replay, &records, me, set).map_err(|error| text(&error))?;
        self.segments.drain(..position);
        let segment = self.segment();
        segment.bytes.truncate(usize::try_from(replay.length).unwrap_or(usize::MAX));
        segment.durable = segment.bytes.len();
        self.mark = found.unwrap_or_default();
        self.mark.mark = recovered.mark;
        self.damaged = false;
        Ok((recovered, records))
    }
}

/// What becomes of a segment's unsynced bytes. True: all are there.
fn tear(segment: &mut Segment, rng: &mut Rng, counts: &mut Counts) -> bool {
    let unsynced = segment.bytes.len() - segment.durable;
    if unsynced == 0 {
        return true;
    }
    match rng.below(4) {
        0 => return true,
        1 => {
            counts.did(FaultKind::WritesLost);
            segment.bytes.truncate(segment.durable);
        }
        2 => {
            counts.did(FaultKind::WriteTorn);
            segment.bytes.truncate(segment.durable + rng.index(unsynced));
        }
        _ => {
            counts.did(FaultKind::WriteHoles);
            for page in segment.bytes[segment.durable..].chunks_mut(PAGE) {
                if rng.per_mille(400) {
                    page.fill(0);
                }
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sim::{Ledger, Signers, ideal_validators};
    use crate::{Certificate, Epoch, View, Vote};

    /// The driver of one validator of four, with what its state machine has it write.
    struct Life<'a> {
        disk: Disk,
        rng: Rng,
        set: &'a ValidatorSet,
        signers: &'a Signers,
    }

    impl Life<'_> {
        fn vote(&self, who: u16, phase: Phase, view: u64) -> Vote {
            let block = if phase == Phase::ViewChange { Hash::ZERO } else { Hash([1; 32]) };
            let (ballot, voter) = (Ballot { epoch: Epoch(0), view: View(view), phase, block }, ValidatorIndex(who));
            let signature = self.signers.sign(voter, &ballot.sign_bytes(&Hash([7; 32])));
            Vote { ballot, voter, signature, named: None }
        }

        fn sign_or_not(&mut self, phase: Phase, view: u64) {
            let vote = self.vote(1, phase, view);
            if self.rng.per_mille(600) && self.disk.sign(vote.ballot, vote.signature) {
                self.disk.append(&Record::Vote(vote));
            }
        }

        fn sync_or_not(&mut self) {
            if self.rng.per_mille(500) && self.disk.begin_sync() {
                self.disk.synced();
            }
        }

        /// A certificate that leads out of a view, of the others' votes.
        fn certify(&mut self, phase: Phase, view: u64) {
            let votes = [0, 2, 3].map(|who| self.vote(who, phase, view));
            let certificate = Certificate::form(self.set, votes[0].ballot, votes.iter());
            self.disk.append(&Record::Certificate(certificate));
        }

        /// A view with its block, or one that is given up.
        fn pass(&mut self, view: u64) {
            self.sign_or_not(Phase::Prepare, view);
            self.sync_or_not();
            if self.rng.per_mille(500) {
                self.certify(Phase::Prepare, view);
                self.sign_or_not(Phase::Commit, view);
            } else {
                self.sign_or_not(Phase::ViewChange, view);
                self.sync_or_not();
                self.certify(Phase::ViewChange, view);
            }
            self.sync_or_not();
        }
    }

    /// A validator stands in the view of its mark or beyond, and has the Commit or ViewChange that its mark forbids to sign
    /// anew: otherwise it would be mute in a view that may need its vote.
    #[test]
    fn rule_d1_no_crash_leaves_a_mark_from_which_its_validator_cannot_go_on() {
        let (set, signers) = ideal_validators(&[1, 1, 1, 1], 5);
        let (mut behind, mut last) = (0, 0);
        for seed in 0..4_000 {
            let (disk, rng) = (Disk::new(Hash([7; 32])), Rng::new(seed));
            let mut life = Life { disk, rng, set: &set, signers: &signers };
            let views = life.rng.between(0, 8);
            (1..=views).for_each(|view| life.pass(view));
            life.sign_or_not(Phase::Prepare, views + 1);
            life.disk.begin_sync();
            life.disk.crash(&mut life.rng, &mut Counts::default());
            let (recovered, records) = life.disk.open(ValidatorIndex(1), &set, &Ledger::new()).unwrap();
            let (view, step) = recovered.mark;
            let entered = records.iter().filter_map(|record| match record {
                Record::Certificate(certificate) => Some(certificate.view.next()),
                _ => None,
            });
            let stands = entered.max().unwrap_or(View(1));
            assert!(view <= stands, "seed {seed}: it stands in view {stands} and has signed in {view}");
            let own = |record: &Record| matches!(record, Record::Vote(vote) if vote.ballot.mark() == recovered.mark);
            let kept = records.iter().any(own);
            assert!(kept || step < Phase::Commit.step(), "seed {seed}: step {step} of view {view} is not in the log");
            behind += u32::from(!kept && step == Phase::Prepare.step());
            last += u32::from(step == Phase::Commit.step());
        }
        assert!(behind > 20 && last > 200, "{behind} logs were behind their marks, {last} marks at a last ballot");
    }

    /// Whatever a crash does to what was being synced: the mark never goes back below what had been synced before.
    #[test]
    fn reliability_8_no_crash_takes_back_what_was_synced() {
        let (set, signers) = ideal_validators(&[1, 1, 1, 1], 5);
        let me = ValidatorIndex(1);
        for seed in 0..2_000 {
            let (mut rng, mut counts) = (Rng::new(seed), Counts::default());
            let mut disk = Disk::new(Hash([7; 32]));
            let mut synced = (View(0), 0);
            for view in 1..20 {
                let ballot = Ballot { epoch: Epoch(0), view: View(view), phase: Phase::Prepare, block: Hash([1; 32]) };
                let signature = signers.sign(me, &ballot.sign_bytes(&Hash([7; 32])));
                if !disk.sign(ballot, signature) {
                    continue;
                }
                disk.append(&Record::Vote(Vote { ballot, voter: me, signature, named: None }));
                assert!(disk.begin_sync());
                if rng.per_mille(300) {
                    disk.crash(&mut rng, &mut counts);
                    let (recovered, _) = disk.open(me, &set, &Ledger::new()).unwrap();
                    assert!(recovered.mark >= synced, "seed {seed} view {view}");
                } else {
                    disk.synced();
                    synced = ballot.mark();
                }
            }
        }
    }
}

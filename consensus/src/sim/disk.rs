//! The simulated disk of one node: log, signer's file and chain, each with a durable part and a part that a crash may
//! take. Log and signer are synced together, as the node does it; a crash in between may leave either behind.

use std::sync::Arc;

use super::application::{Body, FinalBlock, genesis, read_block};
use super::rng::Rng;
use crate::core::Memory0;
use crate::{Ballot, Record, Signature, ValidatorIndex, View, Vote};

/// Ballots that the signer keeps with their signatures.
const KEPT: usize = 4;

/// Records after which the log is replaced by a snapshot.
const FULL: usize = 400;

/// What the signer's file says.
#[derive(Clone, Debug, Default)]
struct Signer {
    mark: (View, u8),
    kept: Vec<(Ballot, Signature)>,
}

/// The disk of one node.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    log: Vec<Record>,
    durable_records: usize,
    signer: Signer,
    durable_signer: Signer,
    /// Whether there is a signer's file at all.
    marked: bool,
    signed: bool,
    /// A sync was begun and may have come half-way.
    syncing: bool,
    chain: Vec<Arc<FinalBlock>>,
    durable_blocks: usize,
}

impl Disk {
    /// The disk of a new validator, with the first mark beside its key.
    pub(super) fn new() -> Self {
        Self { marked: true, ..Self::wiped() }
    }

    /// The disk of a validator that has nothing but its key.
    pub(super) fn wiped() -> Self {
        Self {
            log: Vec::new(),
            durable_records: 0,
            signer: Signer::default(),
            durable_signer: Signer::default(),
            marked: false,
            signed: false,
            syncing: false,
            chain: Vec::new(),
            durable_blocks: 0,
        }
    }

    pub(super) fn append(&mut self, record: Record) {
        self.log.push(record);
    }

    /// Moves the mark; false when the ballot is not above it.
    pub(super) fn sign(&mut self, ballot: Ballot, signature: Signature) -> bool {
        if ballot.mark() <= self.signer.mark {
            return false;
        }
        self.signer.mark = ballot.mark();
        self.signer.kept.push((ballot, signature));
        let surplus = self.signer.kept.len().saturating_sub(KEPT);
        self.signer.kept.drain(..surplus);
        self.signed = true;
        true
    }

    /// Begins a sync; it is done with [`Self::synced`]. False when there is nothing to sync.
    pub(super) fn begin_sync(&mut self) -> bool {
        self.syncing = self.signed;
        self.signed
    }

    pub(super) fn synced(&mut self) {
        self.durable_records = self.log.len();
        self.durable_signer = self.signer.clone();
        (self.marked, self.signed, self.syncing) = (true, false, false);
    }

    pub(super) fn is_full(&self) -> bool {
        self.log.len() > FULL
    }

    /// Replaces the log by a snapshot, once the chain is durable.
    pub(super) fn rotate(&mut self, snapshot: Vec<Record>) {
        self.durable_blocks = self.chain.len();
        self.log = snapshot;
        self.synced();
    }

    pub(super) fn height(&self) -> u64 {
        self.chain.len() as u64
    }

    pub(super) fn push(&mut self, block: Arc<FinalBlock>) {
        self.chain.push(block);
    }

    /// Final blocks above a height, at most `limit`, the last one with a commit certificate.
    pub(super) fn blocks_above(&self, height: u64, limit: usize) -> Vec<Arc<FinalBlock>> {
        let from = usize::try_from(height).unwrap_or(usize::MAX).min(self.chain.len());
        let mut blocks: Vec<Arc<FinalBlock>> = self.chain[from..].iter().take(limit).cloned().collect();
        let proven = blocks.iter().rposition(|block| block.certificate.phase == crate::Phase::Commit);
        blocks.truncate(proven.map_or(0, |last| last + 1));
        blocks
    }

    /// The last final block.
    pub(super) fn head(&self) -> (Body, Option<&FinalBlock>) {
        let last = self.chain.last().map(Arc::as_ref);
        (last.map_or_else(genesis, |block| block.body), last)
    }

    /// Power is lost: of what was not synced some prefix survives.
    pub(super) fn crash(&mut self, rng: &mut Rng) {
        let keep = |rng: &mut Rng, durable: usize, all: usize| durable + rng.index(all.saturating_sub(durable) + 1);
        let records = keep(rng, self.durable_records, self.log.len());
        self.log.truncate(records);
        let blocks = keep(rng, self.durable_blocks, self.chain.len());
        self.chain.truncate(blocks);
        if self.syncing && rng.per_mille(500) {
            self.durable_signer = self.signer.clone();
            self.marked = true;
        }
        self.signer = self.durable_signer.clone();
        (self.durable_records, self.durable_blocks) = (records, blocks);
        (self.signed, self.syncing) = (false, false);
    }

    /// What the node finds when it starts: its memory, and the records to restore. The records go through their
    /// bytes, as on a real disk.
    pub(super) fn open(&mut self, me: ValidatorIndex, validators: usize) -> Result<(Memory0, Vec<Record>), String> {
        let mut records = Vec::with_capacity(self.log.len() + KEPT);
        for record in &self.log {
            let read = Record::decode(&record.encode(), validators, &read_block).map_err(|error| error.to_string())?;
            if read != *record {
                return Err(format!("a record is read as another one: {record:?}"));
            }
            records.push(read);
        }
        let kept = self.signer.kept.iter().filter(|(ballot, _)| ballot.phase != crate::Phase::Propose);
        records.extend(kept.map(|(ballot, signature)| {
            Record::Vote(Vote { ballot: *ballot, voter: me, signature: *signature, named: None })
        }));
        let votes = records.iter().filter_map(|record| match record {
            Record::Vote(vote) => Some(vote.ballot.mark()),
            _ => None,
        });
        self.signer.mark = votes.chain([self.signer.mark]).max().unwrap_or_default();
        let (view, step) = self.signer.mark;
        let memory = if self.marked { Memory0::Mark(view, step) } else { Memory0::Lost };
        Ok((memory, records))
    }
}

//! The account of a run: what became of each transaction, and how long it took.
//!
//! Pure bookkeeping: the lanes tell it what was sent and refused, the watchers which blocks they
//! saw and when. Times are offsets from the start of the run, so that it needs no clock.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use alloy_primitives::B256;
use hdrhistogram::Histogram;

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Its time has not come yet, or its first request is under way.
    Waiting,
    /// The node has it, or may have it (a request without an answer).
    Sent,
    /// In a block that its node serves.
    Included {
        /// The block's number.
        block: u64,
        /// When its node first served it.
        at: Duration,
    },
    /// Included, but its receipt says that execution failed.
    Failed,
    /// The node refused it; the number leads to the reason.
    Refused(usize),
    /// Never sent: an earlier one of its sender was refused, or the run was broken off.
    Skipped,
}

/// One transaction of the plan.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    pub(super) hash: B256,
    pub(super) sender: u32,
    /// Index of the URL that it goes to.
    pub(super) url: usize,
    /// When it should be sent.
    pub(super) due: Duration,
    /// Whether it counts: not while the run warms up.
    pub(super) measured: bool,
}

struct Entry {
    planned: Planned,
    fate: Fate,
}

/// A block as a watcher saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SeenBlock {
    pub(super) number: u64,
    pub(super) hash: B256,
    /// All its transactions, ours or not.
    pub(super) transactions: usize,
    pub(super) at: Duration,
}

/// What became of each transaction.
pub(super) struct Ledger {
    entries: Vec<Entry>,
    by_hash: HashMap<B256, u32>,
    /// Senders with a refused transaction: what follows it could never be executed.
    broken: Vec<bool>,
    reasons: Vec<String>,
    retries: BTreeMap<String, u64>,
    blocks: Vec<Vec<SeenBlock>>,
    open: usize,
    included: u64,
    send_delay: Histogram<u64>,
}

/// How many transactions came to which end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) planned: u64,
    pub(super) included: u64,
    pub(super) failed: u64,
    pub(super) refused: u64,
    pub(super) skipped: u64,
    pub(super) lost: u64,
}

/// A histogram of microseconds with three digits, up to an hour.
pub(super) fn histogram() -> Histogram<u64> {
    let hour = 3_600_000_000;
    Histogram::new_with_bounds(1, hour, 3).expect("these bounds are valid")
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Ledger {
    /// Opens the account of a plan. `urls` and `senders` are how many there are.
    pub(super) fn new(plan: Vec<Planned>, urls: usize, senders: usize) -> Self {
        let by_hash = (0_u32..).zip(&plan).map(|(index, planned)| (planned.hash, index)).collect();
        let open = plan.len();
        let entries = plan.into_iter().map(|planned| Entry { planned, fate: Fate::Waiting });
        Self {
            entries: entries.collect(),
            by_hash,
            broken: vec![false; senders],
            reasons: Vec::new(),
            retries: BTreeMap::new(),
            blocks: vec![Vec::new(); urls],
            open,
            included: 0,
            send_delay: histogram(),
        }
    }

    /// Whether `index` should be sent. Marks it as skipped when an earlier one of its sender was
    /// refused.
    pub(super) fn may_send(&mut self, index: u32) -> bool {
        let sender = self.entries[index as usize].planned.sender;
        if self.broken[sender as usize] {
            self.close(index, Fate::Skipped);
            return false;
        }
        true
    }

    /// The first request with `index` leaves now.
    pub(super) fn sent(&mut self, index: u32, at: Duration) {
        let entry = &mut self.entries[index as usize];
        if entry.fate == Fate::Waiting {
            entry.fate = Fate::Sent;
            if entry.planned.measured {
                let delay = at.saturating_sub(entry.planned.due);
                self.send_delay.saturating_record(micros(delay));
            }
        }
    }

    /// The node refused `index` for good.
    pub(super) fn refused(&mut self, index: u32, reason: &str) {
        let sender = self.entries[index as usize].planned.sender;
        self.broken[sender as usize] = true;
        let known = self.reasons.iter().position(|known| known == reason);
        let reason = known.unwrap_or_else(|| {
            self.reasons.push(reason.to_string());
            self.reasons.len() - 1
        });
        self.close(index, Fate::Refused(reason));
    }

    /// `index` will be sent again because of `reason`.
    pub(super) fn retried(&mut self, reason: &str) {
        *self.retries.entry(reason.to_string()).or_default() += 1;
    }

    /// `index` is not sent any more.
    pub(super) fn skipped(&mut self, index: u32) {
        if self.entries[index as usize].fate == Fate::Waiting {
            self.close(index, Fate::Skipped);
        }
    }

    /// The node at `url` serves a block with these transactions.
    pub(super) fn block(&mut self, url: usize, block: SeenBlock, hashes: &[B256]) {
        self.blocks[url].push(block);
        for hash in hashes {
            let Some(&index) = self.by_hash.get(hash) else {
                continue;
            };
            if self.entries[index as usize].planned.url == url {
                let fate = Fate::Included { block: block.number, at: block.at };
                self.close(index, fate);
            }
        }
    }

    /// The receipt of `index` says that execution failed.
    pub(super) fn failed(&mut self, index: u32) {
        if matches!(self.entries[index as usize].fate, Fate::Included { .. }) {
            self.entries[index as usize].fate = Fate::Failed;
        }
    }

    /// A block outweighs whatever was believed before: a request may have been refused (nonce too
    /// low) because an earlier one without an answer had got through.
    fn close(&mut self, index: u32, fate: Fate) {
        let old = &mut self.entries[index as usize].fate;
        let was_open = matches!(old, Fate::Waiting | Fate::Sent);
        if matches!(old, Fate::Included { .. } | Fate::Failed) {
            return;
        }
        if !was_open && !matches!(fate, Fate::Included { .. }) {
            return;
        }
        *old = fate;
        self.included += u64::from(matches!(fate, Fate::Included { .. }));
        self.open -= usize::from(was_open);
    }

    /// Whether `index` has been sent and has come to no end.
    pub(super) fn is_under_way(&self, index: u32) -> bool {
        self.entries[index as usize].fate == Fate::Sent
    }

    /// Transactions without an end so far.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// Transactions that were seen in a block so far.
    pub(super) fn included(&self) -> u64 {
        self.included
    }

    /// How many came to which end; of all, or only of those that are measured. What is still
    /// under way counts as lost, and what still waits as skipped.
    pub(super) fn totals(&self, measured_only: bool) -> Totals {
        let mut totals = Totals::default();
        for entry in &self.entries {
            if measured_only && !entry.planned.measured {
                continue;
            }
            totals.planned += 1;
            *match entry.fate {
                Fate::Included { .. } => &mut totals.included,
                Fate::Failed => &mut totals.failed,
                Fate::Refused(_) => &mut totals.refused,
                Fate::Skipped | Fate::Waiting => &mut totals.skipped,
                Fate::Sent => &mut totals.lost,
            } += 1;
        }
        totals
    }

    /// Reasons of refusals and how often each came, most frequent first.
    pub(super) fn refusals(&self) -> Vec<(String, u64)> {
        let mut counts: Vec<(String, u64)> = self.reasons.iter().map(|text| (text.clone(), 0)).collect();
        for entry in &self.entries {
            if let Fate::Refused(reason) = entry.fate {
                counts[reason].1 += 1;
            }
        }
        counts.retain(|(_, count)| *count > 0);
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        counts
    }

    /// Reasons for which transactions were sent again, and how often.
    pub(super) fn retries(&self) -> &BTreeMap<String, u64> {
        &self.retries
    }

    /// Latencies of the measured transactions, of one URL or of all.
    pub(super) fn latencies(&self, url: Option<usize>) -> Histogram<u64> {
        let mut latencies = histogram();
        for Entry { planned, fate } in &self.entries {
            if let Fate::Included { at, .. } = fate
                && planned.measured
                && url.is_none_or(|url| url == planned.url)
            {
                latencies.saturating_record(micros(at.saturating_sub(planned.due)).max(1));
            }
        }
        latencies
    }

    /// How late measured transactions left: the client's own part of the latency.
    pub(super) fn send_delays(&self) -> &Histogram<u64> {
        &self.send_delay
    }

    /// How many transactions, the warm-up's too, were seen in a block within a time.
    pub(super) fn included_during(&self, begin: Duration, end: Duration) -> u64 {
        let times = self.entries.iter().filter_map(|entry| match entry.fate {
            Fate::Included { at, .. } => Some(at),
            _ => None,
        });
        times.filter(|at| (begin..end).contains(at)).count() as u64
    }

    /// Included transactions: index, URL, hash and block.
    pub(super) fn included_in(&self) -> impl Iterator<Item = (u32, usize, B256, u64)> {
        let indexed = (0_u32..).zip(&self.entries);
        indexed.filter_map(|(index, Entry { planned, fate })| match fate {
            Fate::Included { block, .. } => Some((index, planned.url, planned.hash, *block)),
            _ => None,
        })
    }

    /// Blocks that the watcher of `url` saw, in order.
    pub(super) fn blocks(&self, url: usize) -> &[SeenBlock] {
        &self.blocks[url]
    }

    /// The first height at which two nodes served different blocks.
    pub(super) fn disagreement(&self) -> Option<u64> {
        let mut hashes: BTreeMap<u64, B256> = BTreeMap::new();
        for block in self.blocks.iter().flatten() {
            let first = hashes.entry(block.number).or_insert(block.hash);
            if *first != block.hash {
                return Some(block.number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// `n` transactions of two senders to two URLs, one per millisecond, the first not measured.
    fn ledger(n: u8) -> Ledger {
        let plan = (0..n).map(|index| Planned {
            hash: hash(index),
            sender: u32::from(index % 2),
            url: usize::from(index % 2),
            due: MS * u32::from(index),
            measured: index > 0,
        });
        Ledger::new(plan.collect(), 2, 2)
    }

    fn hash(index: u8) -> B256 {
        B256::repeat_byte(index + 1)
    }

    fn block(number: u64, at: Duration) -> SeenBlock {
        SeenBlock { number, hash: B256::with_last_byte(number as u8), transactions: 1, at }
    }

    #[test]
    fn latency_runs_from_the_intended_time_to_the_own_nodes_block() {
        let mut ledger = ledger(4);
        for index in 0..4 {
            assert!(ledger.may_send(index));
            ledger.sent(index, MS * (index + 5));
        }
        let hashes = [0, 1, 2, 3].map(hash);
        ledger.block(0, block(1, MS * 20), &hashes);
        assert_eq!(ledger.open(), 2, "the other node has not served it yet");
        ledger.block(1, block(1, MS * 33), &hashes);
        assert_eq!(ledger.open(), 0);
        let latencies = ledger.latencies(None);
        assert_eq!(latencies.len(), 3, "the first one only warms up");
        // Due at 1, 2 and 3 ms; seen at 33, 20 and 33 ms.
        assert!(latencies.equivalent(latencies.min(), 18_000));
        assert!(latencies.equivalent(latencies.max(), 32_000));
        assert_eq!(ledger.latencies(Some(0)).len(), 1);
        assert!(ledger.send_delays().equivalent(ledger.send_delays().max(), 5_000));
        assert_eq!(ledger.included_during(MS * 20, MS * 33), 2);
        assert_eq!(ledger.included_in().count(), 4);
    }

    #[test]
    fn every_transaction_comes_to_one_end() {
        let mut ledger = ledger(7);
        for index in 0..3 {
            ledger.sent(index, MS);
        }
        ledger.block(0, block(1, MS), &[hash(0), hash(2)]);
        ledger.failed(2);
        ledger.refused(1, "nonce too low");
        assert!(!ledger.may_send(3), "its sender is broken");
        assert!(ledger.may_send(4));
        ledger.sent(4, MS);
        ledger.skipped(6);
        let totals = ledger.totals(false);
        assert_eq!(totals, Totals { planned: 7, included: 1, failed: 1, refused: 1, skipped: 3, lost: 1 });
        assert_eq!(ledger.refusals(), [("nonce too low".to_string(), 1)]);
        assert_eq!(ledger.totals(true).planned, 6);
        // Number 5 waits and number 4 is under way.
        assert_eq!(ledger.open(), 2);
    }

    #[test]
    fn a_block_outweighs_a_refusal() {
        let mut ledger = ledger(2);
        ledger.sent(0, MS);
        ledger.retried("no answer");
        ledger.refused(0, "nonce too low");
        assert_eq!(ledger.open(), 1);
        ledger.block(0, block(1, MS), &[hash(0)]);
        ledger.refused(0, "nonce too low");
        assert_eq!(ledger.open(), 1);
        assert_eq!(ledger.totals(false).included, 1);
        assert!(ledger.refusals().is_empty());
        assert_eq!(ledger.retries()["no answer"], 1);
    }

    #[test]
    fn two_blocks_at_one_height_are_noticed() {
        let mut ledger = ledger(1);
        ledger.block(0, block(1, MS), &[]);
        ledger.block(1, block(1, MS), &[]);
        assert_eq!(ledger.disagreement(), None);
        ledger.block(0, block(2, MS), &[]);
        let mut other = block(2, MS);
        other.hash = B256::ZERO;
        ledger.block(1, other, &[]);
        assert_eq!(ledger.disagreement(), Some(2));
    }
}

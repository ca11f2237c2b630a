//! The last final blocks in memory: what pages ask for again and again, and what only many blocks together tell, such as
//! who has been up.

use std::collections::VecDeque;

use alloy_primitives::B256;
use alloy_trie::EMPTY_ROOT_HASH;
use assent_chain::{Chain, chain::FinalHeader};
use assent_consensus::{Certificate, Phase, ValidatorSet, View};

use crate::explorer::page::Failure;

/// Blocks that are kept: a minute of them when they come as fast as they can.
const KEPT: u64 = 1_500;

/// Blocks over which it is counted who took part.
pub(crate) const COUNTED: usize = 1_000;

/// Parts of these blocks; in each it is asked whether a validator showed up at all.
pub(crate) const PARTS: usize = 50;

/// Blocks that a part has at least: enough for a light validator to have its turn to propose, whose votes often come
/// after a certificate is closed.
const PART_BLOCKS: usize = 20;

/// The time that the chart of throughput spans, in seconds.
pub(crate) const CHART_SECONDS: usize = 60;

/// Times from proposal to finality that are kept.
const FINALITIES: usize = 200;

/// Views without a block that are named between two blocks; consensus skips far fewer.
const MOST_SKIPPED: u64 = 64;

/// A set of validators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Signers([u64; 4]);

impl Signers {
    /// The signers of a certificate of Commit votes; `None` for any other one.
    pub(crate) fn of(certificate: &[u8], set: &ValidatorSet) -> Option<Self> {
        let certificate = Certificate::decode(certificate, set.len()).ok()?;
        (certificate.phase == Phase::Commit).then(|| {
            let mut signers = Self::default();
            for index in certificate.signers() {
                signers.insert(index.0);
            }
            signers
        })
    }

    fn insert(&mut self, index: u16) {
        if let Some(word) = self.0.get_mut(usize::from(index) / 64) {
            *word |= 1 << (index % 64);
        }
    }

    pub(crate) fn contains(self, index: u16) -> bool {
        self.0.get(usize::from(index) / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }
}

/// A final block, as far as lists and counts need it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) number: u64,
    pub(crate) hash: B256,
    pub(crate) time_ms: u64,
    pub(crate) view: u64,
    pub(crate) proposer: u16,
    pub(crate) gas_used: u64,
    pub(crate) gas_limit: u64,
    /// How many transactions it has, where that has been looked up.
    pub(crate) transactions: Option<usize>,
    /// Who signed its certificate of Commit votes, if it has one of its own.
    pub(crate) signers: Option<Signers>,
}

impl Entry {
    /// Without the number of its transactions, unless it is none: that takes a read of them all.
    pub(crate) fn read(chain: &Chain, set: &ValidatorSet, number: u64) -> Result<Option<Self>, Failure> {
        let Some(FinalHeader { hash, header, seal }) = chain.header_by_number(number)? else { return Ok(None) };
        let certificate = chain.certificate(number)?;
        Ok(Some(Self {
            number,
            hash,
            // Block 0 has no seal.
            time_ms: if number == 0 { header.timestamp.saturating_mul(1_000) } else { seal.time_ms },
            view: seal.view,
            proposer: seal.proposer,
            gas_used: header.gas_used,
            gas_limit: header.gas_limit,
            transactions: (header.transactions_root == EMPTY_ROOT_HASH).then_some(0),
            signers: certificate.and_then(|bytes| Signers::of(&bytes, set)),
        }))
    }

    /// The same with the number of its transactions.
    pub(crate) fn counted(mut self, chain: &Chain) -> Result<Self, Failure> {
        if self.transactions.is_none() {
            self.transactions = chain.transaction_count(self.number)?;
        }
        Ok(self)
    }
}

/// A view that gave no block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Skipped {
    pub(crate) view: u64,
    pub(crate) leader: u16,
    /// The block that came after it, and how long after the block before.
    pub(crate) next: u64,
    pub(crate) gap_ms: u64,
    pub(crate) time_ms: u64,
}

/// What one validator did in the blocks that are counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    /// Blocks that it proposed.
    pub(crate) proposed: usize,
    /// Views that it should have led to a block and that gave none.
    pub(crate) missed: usize,
    /// Certificates that carry its vote.
    pub(crate) signed: usize,
    /// The last block that it proposed or signed.
    pub(crate) last: Option<(u64, u64)>,
    /// Whether it proposed or signed in each part of the blocks, oldest first.
    pub(crate) parts: Vec<bool>,
}

impl Record {
    /// The parts in which it showed up.
    pub(crate) fn up(&self) -> usize {
        self.parts.iter().filter(|up| **up).count()
    }
}

/// What all validators did.
#[derive(Clone, Debug)]
pub(crate) struct Participation {
    /// First and last block that are counted; `None` when there is nothing but block 0.
    pub(crate) range: Option<(u64, u64)>,
    /// Blocks that are counted.
    pub(crate) blocks: usize,
    /// Those among them that have a certificate of Commit votes.
    pub(crate) certificates: usize,
    /// In the order of the validators.
    pub(crate) records: Vec<Record>,
}

/// Transactions in each of the last seconds.
#[derive(Clone, Debug)]
pub(crate) struct Throughput {
    /// Oldest first.
    pub(crate) per_second: Vec<u64>,
    /// When the last of these seconds ends: with the head.
    pub(crate) end_ms: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    entries: VecDeque<Entry>,
    finality_ms: VecDeque<u64>,
}

impl Recent {
    /// Reads the blocks up to the head that are missing.
    pub(super) fn catch_up(&mut self, chain: &Chain, set: &ValidatorSet) -> Result<(), Failure> {
        let head = chain.head();
        let oldest = head.number.saturating_sub(KEPT - 1);
        let first = match self.entries.back() {
            Some(last) if last.number + 1 >= oldest => last.number + 1,
            Some(_) => {
                self.entries.clear();
                oldest
            }
            None => oldest,
        };
        let in_chart = head.time_ms.saturating_sub(CHART_SECONDS as u64 * 1_000);
        for number in first..=head.number {
            let Some(entry) = Entry::read(chain, set, number)? else { break };
            let entry = if entry.time_ms >= in_chart { entry.counted(chain)? } else { entry };
            self.entries.push_back(entry);
        }
        while self.entries.len() as u64 > KEPT {
            self.entries.pop_front();
        }
        Ok(())
    }

    /// The number of the last block that is here.
    pub(super) fn last(&self) -> Option<u64> {
        self.entries.back().map(|entry| entry.number)
    }

    /// Notes how long a block took from its proposal until it was final here.
    pub(super) fn note_finality(&mut self, ms: u64) {
        self.finality_ms.push_back(ms);
        if self.finality_ms.len() > FINALITIES {
            self.finality_ms.pop_front();
        }
    }

    /// The median time to finality, and of how many blocks.
    pub(crate) fn finality(&self) -> Option<(u64, usize)> {
        let mut times: Vec<u64> = self.finality_ms.iter().copied().collect();
        times.sort_unstable();
        times.get(times.len() / 2).map(|median| (*median, times.len()))
    }

    /// The blocks that are here, newest first.
    pub(crate) fn newest(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().rev()
    }

    /// The mean time between the last blocks, and how many pauses that is.
    pub(crate) fn interval(&self) -> Option<(u64, u64)> {
        const BLOCKS: usize = 100;
        let last: Vec<&Entry> = self.newest().take(BLOCKS + 1).filter(|entry| entry.number > 0).collect();
        let (newest, oldest) = (last.first()?, last.last()?);
        let pauses = newest.number - oldest.number;
        (pauses > 0).then(|| (newest.time_ms.saturating_sub(oldest.time_ms) / pauses, pauses))
    }

    /// Transactions in the seconds before the head.
    pub(crate) fn throughput(&self) -> Throughput {
        let end_ms = self.entries.back().map_or(0, |entry| entry.time_ms);
        let mut per_second = vec![0; CHART_SECONDS];
        for entry in self.newest() {
            let ago = (end_ms.saturating_sub(entry.time_ms) / 1_000) as usize;
            if ago >= CHART_SECONDS {
                break;
            }
            per_second[CHART_SECONDS - 1 - ago] += entry.transactions.unwrap_or(0) as u64;
        }
        Throughput { per_second, end_ms }
    }

    /// Views between the blocks that are here that gave no block, newest first.
    pub(crate) fn skipped(&self, set: &ValidatorSet) -> Vec<Skipped> {
        let mut all = Vec::new();
        for (before, after) in self.pairs() {
            for view in skipped_views(before, after) {
                let leader = set.leader(View(view)).0;
                let gap_ms = after.time_ms.saturating_sub(before.time_ms);
                all.push(Skipped { view, leader, next: after.number, gap_ms, time_ms: after.time_ms });
            }
        }
        all.reverse();
        all
    }

    /// Each block with the one before it, oldest first. Block 0 was made in no view.
    fn pairs(&self) -> impl Iterator<Item = (&Entry, &Entry)> {
        self.entries.iter().zip(self.entries.iter().skip(1)).filter(|(before, _)| before.number > 0)
    }

    /// What the validators did in the last blocks.
    pub(crate) fn participation(&self, set: &ValidatorSet) -> Participation {
        let counted: Vec<&Entry> = self.newest().take(COUNTED).filter(|entry| entry.number > 0).collect();
        let blocks = counted.len();
        let parts = PARTS.min(blocks.div_ceil(PART_BLOCKS));
        let mut records = vec![Record { parts: vec![false; parts], ..Record::default() }; set.len()];
        for (position, entry) in counted.iter().rev().enumerate() {
            let part = position * parts / blocks;
            for ((index, _), record) in set.iter().zip(&mut records) {
                let signed = entry.signers.is_some_and(|signers| signers.contains(index.0));
                let proposed = entry.proposer == index.0;
                record.signed += usize::from(signed);
                record.proposed += usize::from(proposed);
                if signed || proposed {
                    record.last = Some((entry.number, entry.time_ms));
                    record.parts[part] = true;
                }
            }
        }
        let range = counted.last().zip(counted.first()).map(|(first, last)| (first.number, last.number));
        let first = range.map_or(0, |(first, _)| first);
        for (before, after) in self.pairs().filter(|(before, _)| before.number >= first) {
            for view in skipped_views(before, after) {
                if let Some(record) = records.get_mut(set.leader(View(view)).position()) {
                    record.missed += 1;
                }
            }
        }
        let certificates = counted.iter().filter(|entry| entry.signers.is_some()).count();
        Participation { range, blocks, certificates, records }
    }
}

/// The views between those of two blocks that follow each other.
fn skipped_views(before: &Entry, after: &Entry) -> std::ops::Range<u64> {
    let first = before.view.saturating_add(1);
    first.max(after.view.saturating_sub(MOST_SKIPPED))..after.view
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use assent_consensus::{Epoch, Validator, Weight};
    use assent_genesis::NetworkPlan;

    use super::*;

    fn set(weights: &[u64]) -> ValidatorSet {
        let (genesis, _) = NetworkPlan::new(31337, weights.to_vec()).build().unwrap();
        let keys = genesis.assent.validators.iter().map(|validator| validator.key);
        let validators = keys.zip(weights).map(|(key, weight)| Validator { key, weight: Weight(*weight) });
        ValidatorSet::new(Epoch(0), validators.collect()).unwrap()
    }

    fn entry(number: u64, view: u64, time_ms: u64, proposer: u16, signers: &[u16]) -> Entry {
        let mut all = Signers::default();
        signers.iter().for_each(|index| all.insert(*index));
        Entry {
            number,
            hash: B256::ZERO,
            time_ms,
            view,
            proposer,
            gas_used: 0,
            gas_limit: 1,
            transactions: Some(2),
            signers: Some(all),
        }
    }

    fn recent(entries: Vec<Entry>) -> Recent {
        Recent { entries: entries.into(), finality_ms: VecDeque::new() }
    }

    #[test]
    fn proposals_votes_and_skipped_views_are_counted() {
        let set = set(&[1, 1, 1, 1]);
        // Views 3 and 4 gave no block.
        let recent = recent(vec![
            entry(0, 0, 0, 0, &[]),
            entry(1, 1, 1_000, 1, &[0, 1, 2]),
            entry(2, 2, 1_500, 2, &[0, 1, 2]),
            entry(3, 5, 4_500, 1, &[0, 2, 1]),
        ]);
        let all = recent.participation(&set);
        assert_eq!((all.range, all.blocks, all.certificates), (Some((1, 3)), 3, 3));
        let counts: Vec<_> = all.records.iter().map(|it| (it.proposed, it.signed, it.up())).collect();
        assert_eq!(counts, [(0, 3, 1), (2, 3, 1), (1, 3, 1), (0, 0, 0)]);
        assert_eq!(all.records[3].last, None);
        assert_eq!(all.records[1].last, Some((3, 4_500)));
        assert_eq!(all.records.iter().map(|it| it.missed).sum::<usize>(), 2);
        let skipped = recent.skipped(&set);
        assert_eq!(
            skipped.iter().map(|it| (it.view, it.next, it.gap_ms)).collect::<Vec<_>>(),
            [(4, 3, 3_000), (3, 3, 3_000)]
        );
        for one in skipped {
            assert_eq!(one.leader, set.leader(View(one.view)).0);
        }
    }

    #[test]
    fn throughput_ends_with_the_head() {
        let mut entries = vec![entry(1, 1, 1_000, 0, &[]), entry(2, 2, 100_000, 0, &[])];
        entries.push(entry(3, 3, 100_900, 0, &[]));
        entries.push(entry(4, 4, 159_500, 0, &[]));
        let recent = recent(entries);
        let throughput = recent.throughput();
        assert_eq!(throughput.end_ms, 159_500);
        assert_eq!(throughput.per_second.len(), CHART_SECONDS);
        assert_eq!(throughput.per_second.iter().sum::<u64>(), 6);
        assert_eq!((throughput.per_second[0], throughput.per_second[1], throughput.per_second[59]), (2, 2, 2));
        assert_eq!(recent.interval(), Some((158_500 / 3, 3)));
    }

    #[test]
    fn nothing_is_counted_where_nothing_is() {
        let (set, recent) = (set(&[1]), recent(vec![entry(0, 0, 5, 0, &[])]));
        let all = recent.participation(&set);
        assert_eq!((all.range, all.blocks, all.records.len()), (None, 0, 1));
        assert_eq!((recent.finality(), recent.interval()), (None, None));
        assert!(recent.skipped(&set).is_empty());
        assert!(Recent::default().throughput().per_second.iter().all(|count| *count == 0));
    }

    #[test]
    fn finality_is_the_median_of_the_last() {
        let mut recent = Recent::default();
        (0..1_000).for_each(|ms| recent.note_finality(ms));
        assert_eq!(recent.finality(), Some((900, FINALITIES)));
    }

    #[test]
    fn signers_are_those_of_a_commit_certificate() {
        let set = set(&[1, 1, 1, 1]);
        let mut bytes = vec![2];
        bytes.extend_from_slice(&[0; 8 + 8]);
        bytes.extend_from_slice(&[9; 32]);
        bytes.extend_from_slice(&[0, 4, 0b1011]);
        bytes.extend_from_slice(&[7; 3 * 64]);
        let signers = Signers::of(&bytes, &set).unwrap();
        assert_eq!((0..5).map(|index| signers.contains(index)).collect::<Vec<_>>(), [true, true, false, true, false]);
        assert!(!signers.contains(u16::MAX));
        bytes[0] = 1;
        assert_eq!(Signers::of(&bytes, &set), None, "of Prepare votes");
        assert_eq!(Signers::of(&bytes[..40], &set), None);
    }
}

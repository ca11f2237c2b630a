//! Blocks that have a log with given addresses and topics.
//!
//! Each address or topic has a list of the blocks with it, in order. Alternatives (any of these addresses) are merged;
//! positions (this address and that topic) are intersected by leaping: each in turn says its first block from some number
//! on, and whoever is ahead sets the number for the others. So a search reads about as many entries as the rarest of its
//! terms has. That one log has all of them is for the caller to see.

use std::ops::RangeInclusive;

use alloy_primitives::{Address, B256};
use rocksdb::DBRawIterator;

use super::super::{StorageError, Store, read::malformed, schema};
use super::{address_term, topic_term};

/// What the logs must have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogTerms {
    /// One of these addresses; empty: any.
    pub addresses: Vec<Address>,
    /// For each position one of these topics; empty: any.
    pub topics: Vec<Vec<B256>>,
}

impl LogTerms {
    /// The alternatives of each position that is not open, as beginnings of keys.
    fn positions(&self) -> Vec<Vec<Vec<u8>>> {
        let addresses = self.addresses.iter().map(address_term).collect();
        let topic = |(position, any): (u8, &Vec<B256>)| {
            any.iter().map(|topic| topic_term(position, topic.as_slice())).collect::<Vec<_>>()
        };
        let topics = (0u8..4).zip(&self.topics).map(topic);
        std::iter::once(addresses).chain(topics).filter(|any: &Vec<_>| !any.is_empty()).collect()
    }

    /// Whether they say anything; only then is there something to look up.
    pub fn is_selective(&self) -> bool {
        !self.addresses.is_empty() || self.topics.iter().any(|any| !any.is_empty())
    }
}

/// The blocks of one address or topic.
struct Postings<'a> {
    term: Vec<u8>,
    entries: DBRawIterator<'a>,
    /// The first block from the number on that was last asked for; `None`: not asked yet.
    next: Option<u64>,
}

/// No block has so high a number.
const END: u64 = u64::MAX;

impl Postings<'_> {
    /// The first block from `number` on, or [`END`].
    fn seek(&mut self, number: u64) -> Result<u64, StorageError> {
        if let Some(next) = self.next.filter(|next| *next >= number) {
            return Ok(next);
        }
        self.entries.seek(schema::at_block(&self.term, number));
        self.entries.status()?;
        let found = self.entries.key().and_then(|key| key.strip_prefix(self.term.as_slice()));
        let next = match found {
            None => END,
            Some(number) => <[u8; 8]>::try_from(number)
                .map(u64::from_be_bytes)
                .map_err(|_| malformed(schema::LOG_INDEX, &self.term, "expected 8 bytes behind the term"))?,
        };
        self.next = Some(next);
        Ok(next)
    }
}

/// See the module. Ends at the end of its range.
pub(crate) struct BlocksWithLogs<'a> {
    positions: Vec<Vec<Postings<'a>>>,
    next: u64,
    last: u64,
}

impl BlocksWithLogs<'_> {
    fn advance(&mut self) -> Result<Option<u64>, StorageError> {
        let mut number = self.next;
        let mut agreed = 0;
        let positions = self.positions.len();
        for position in (0..positions).cycle() {
            if number > self.last || agreed == positions {
                break;
            }
            let mut first = END;
            for postings in &mut self.positions[position] {
                first = first.min(postings.seek(number)?);
            }
            agreed = if first == number { agreed + 1 } else { 1 };
            number = first;
        }
        self.next = number.saturating_add(1);
        Ok((number <= self.last && number != END).then_some(number))
    }
}

impl Iterator for BlocksWithLogs<'_> {
    type Item = Result<u64, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

impl Store {
    /// The blocks of a range that have logs with each of these terms, though maybe not one log with all; all blocks when
    /// there are no terms.
    pub(crate) fn blocks_with_logs(&self, terms: &LogTerms, range: RangeInclusive<u64>) -> BlocksWithLogs<'_> {
        let postings = |term| {
            let entries = self.db.raw_iterator_cf(self.column(schema::LOG_INDEX));
            Postings { term, entries, next: None }
        };
        let positions = terms.positions().into_iter().map(|any| any.into_iter().map(postings).collect()).collect();
        BlocksWithLogs { positions, next: *range.start(), last: *range.end() }
    }
}

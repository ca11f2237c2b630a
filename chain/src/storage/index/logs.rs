//! Blocks that have a log with given addresses and topics.
//!
//! Each address or topic has a list of the blocks with it, in order. Alternatives (any of these addresses) are merged;
//! positions (this address and that topic) are intersected by leaping: each in turn says its first block from some number
//! on, and whoever is ahead sets the number for the others. So a search reads about as many entries as the rarest of its
//! terms has. Two long lists without a common block take their time all the same, so a search says now and then how far
//! it is ([`Searched::Below`]). That one log has all of them is for the caller to see.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
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

/// A step of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Searched {
    /// The block has logs with each of the terms, though maybe not one log with all of them.
    Block(u64),
    /// No further block below this number has; the search has taken a while and goes on there.
    Below(u64),
}

/// Looks at a position after which a search without a block says how far it is: some milliseconds.
const LOOKS: usize = 1024;

/// Entries that are looked at one by one before the place of a further one is searched.
const NEAR: usize = 8;

/// Where the list of an address or topic goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Next {
    /// Its first block from where it was last read, or a number that is not above it.
    number: u64,
    /// Whether it has been read.
    read: bool,
    /// Which of the alternatives it is.
    term: usize,
}

/// A position: the merged lists of its alternatives. They share one iterator, since there may be a thousand of them.
struct Position<'a> {
    terms: Vec<Vec<u8>>,
    entries: DBRawIterator<'a>,
    /// In whose list `entries` stands, at its next block.
    at: Option<usize>,
    /// The lowest first, without lists that are over.
    next: BinaryHeap<Reverse<Next>>,
}

/// No block has so high a number.
const END: u64 = u64::MAX;

impl<'a> Position<'a> {
    fn new(terms: Vec<Vec<u8>>, entries: DBRawIterator<'a>) -> Self {
        let next = (0..terms.len()).map(|term| Reverse(Next { number: 0, read: false, term })).collect();
        Self { terms, entries, at: None, next }
    }

    /// The first block from `number` on, or [`END`].
    fn first_from(&mut self, number: u64) -> Result<u64, StorageError> {
        while let Some(Reverse(lowest)) = self.next.peek().copied() {
            if lowest.read && lowest.number >= number {
                return Ok(lowest.number);
            }
            self.next.pop();
            if let Some(number) = self.read(lowest.term, number)? {
                self.next.push(Reverse(Next { number, read: true, term: lowest.term }));
            }
        }
        Ok(END)
    }

    /// The first block from `number` on in one of the lists.
    fn read(&mut self, term: usize, number: u64) -> Result<Option<u64>, StorageError> {
        if self.at == Some(term) {
            for _ in 0..NEAR {
                self.entries.next();
                match self.current(term)? {
                    Some(next) if next < number => {}
                    next => return Ok(next),
                }
            }
        }
        self.entries.seek(schema::at_block(&self.terms[term], number));
        self.at = Some(term);
        self.current(term)
    }

    /// The block of the entry where the iterator stands, if it is one of this list.
    fn current(&self, term: usize) -> Result<Option<u64>, StorageError> {
        let term = self.terms[term].as_slice();
        self.entries.status()?;
        let Some(number) = self.entries.key().and_then(|key| key.strip_prefix(term)) else { return Ok(None) };
        match <[u8; 8]>::try_from(number) {
            Ok(number) => Ok(Some(u64::from_be_bytes(number))),
            Err(_) => Err(malformed(schema::LOG_INDEX, term, "expected 8 bytes behind the term")),
        }
    }
}

/// See the module. Ends at the end of its range.
pub(crate) struct BlocksWithLogs<'a> {
    positions: Vec<Position<'a>>,
    /// Whose turn it is.
    turn: usize,
    next: u64,
    last: u64,
}

impl BlocksWithLogs<'_> {
    fn advance(&mut self) -> Result<Option<Searched>, StorageError> {
        let (mut number, mut agreed) = (self.next, 0);
        for looks in 0.. {
            if number > self.last || number == END {
                self.next = END;
                return Ok(None);
            }
            if agreed == self.positions.len() {
                break;
            }
            if looks == LOOKS {
                self.next = number;
                return Ok(Some(Searched::Below(number)));
            }
            let first = self.positions[self.turn].first_from(number)?;
            agreed = if first == number { agreed + 1 } else { 1 };
            number = first;
            self.turn = (self.turn + 1) % self.positions.len();
        }
        self.next = number.saturating_add(1);
        Ok(Some(Searched::Block(number)))
    }
}

impl Iterator for BlocksWithLogs<'_> {
    type Item = Result<Searched, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

impl Store {
    /// The blocks of a range that have logs with each of these terms, though maybe not one log with all; all blocks when
    /// there are no terms.
    pub(crate) fn blocks_with_logs(&self, terms: &LogTerms, range: RangeInclusive<u64>) -> BlocksWithLogs<'_> {
        let position = |terms| Position::new(terms, self.db.raw_iterator_cf(self.column(schema::LOG_INDEX)));
        let positions = terms.positions().into_iter().map(position).collect();
        BlocksWithLogs { positions, turn: 0, next: *range.start(), last: *range.end() }
    }
}

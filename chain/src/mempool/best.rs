//! The executable transactions in the order in which a block takes them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet, VecDeque};
use std::sync::Arc;

use alloy_consensus::Transaction as _;
use alloy_primitives::Address;

use super::Mempool;
use super::index::HeadKey;
use super::sender::Entry;
use crate::transaction::Recovered;

/// Senders that are fetched from the pool at a time.
const FETCH: usize = 64;

/// Walks through the executable transactions: highest tip first, with equal tips in the order of
/// arrival, each sender's in the order of nonces. Made by [`Mempool::best`].
///
/// It takes the pool's lock for moments only and copies nothing ahead, so that the pool goes on
/// admitting while a block is being built; what arrives meanwhile may be missed. A sender whose
/// first transactions are in unfinal blocks already is placed by the first of them.
#[derive(Debug)]
pub struct BestTransactions<'a> {
    pool: &'a Mempool,
    base_fee: u64,
    /// Senders by their first executable transaction, fetched and not yet looked at.
    fetched: VecDeque<Candidate>,
    /// The last sender that was fetched.
    cursor: Option<HeadKey>,
    /// No more senders to fetch.
    exhausted: bool,
    /// Next transactions of the senders that were looked at.
    ready: BinaryHeap<Reverse<Candidate>>,
    /// Senders that were looked at: a sender may move in the pool's order meanwhile.
    seen: HashSet<Address>,
    /// The last transaction that was given out; its successor is not in `ready` yet.
    last: Option<(Address, u64)>,
}

#[derive(Debug)]
struct Candidate {
    key: HeadKey,
    tx: Arc<Recovered>,
}

impl Candidate {
    fn of(entry: &Entry) -> Self {
        Self { key: HeadKey::of(entry), tx: Arc::clone(&entry.tx) }
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Candidate {}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

impl<'a> BestTransactions<'a> {
    pub(super) fn new(pool: &'a Mempool, base_fee: u64) -> Self {
        Self {
            pool,
            base_fee,
            fetched: VecDeque::new(),
            cursor: None,
            exhausted: false,
            ready: BinaryHeap::new(),
            seen: HashSet::new(),
            last: None,
        }
    }

    /// The next transaction. `nonce_of` gives a sender's nonce at the state that the block builds
    /// upon (`None`: leave the sender out); it is called once for each sender, without any lock.
    pub fn next_with(&mut self, mut nonce_of: impl FnMut(Address) -> Option<u64>) -> Option<Arc<Recovered>> {
        if let Some((sender, nonce)) = self.last.take() {
            self.push_ready(sender, nonce.saturating_add(1));
        }
        loop {
            self.fetch();
            let from_ready = match (self.fetched.front(), self.ready.peek()) {
                (None, None) => return None,
                (Some(fetched), Some(Reverse(ready))) => ready.key < fetched.key,
                (fetched, _) => fetched.is_none(),
            };
            let tx = if from_ready {
                self.ready.pop()?.0.tx
            } else {
                let tx = self.fetched.pop_front()?.tx;
                let sender = tx.sender();
                if !self.seen.insert(sender) {
                    continue;
                }
                match nonce_of(sender) {
                    None => continue,
                    Some(nonce) if nonce != tx.nonce() => {
                        self.push_ready(sender, nonce);
                        continue;
                    }
                    Some(_) => tx,
                }
            };
            if tx.tx().max_fee_per_gas() < u128::from(self.base_fee) {
                // The sender's later ones cannot run without it.
                continue;
            }
            self.last = Some((tx.sender(), tx.nonce()));
            return Some(tx);
        }
    }

    /// Leaves out the rest of the last transaction's sender, because that transaction could not
    /// be put into the block.
    pub fn skip_sender(&mut self) {
        self.last = None;
    }

    fn push_ready(&mut self, sender: Address, nonce: u64) {
        let next = self.pool.lock().pool.executable_at(sender, nonce).map(Candidate::of);
        self.ready.extend(next.map(Reverse));
    }

    fn fetch(&mut self) {
        if self.exhausted || !self.fetched.is_empty() {
            return;
        }
        let state = self.pool.lock();
        let pool = &state.pool;
        let after = match self.cursor {
            None => pool.indices.heads.range(..),
            Some(cursor) => {
                use std::ops::Bound::{Excluded, Unbounded};
                pool.indices.heads.range((Excluded(cursor), Unbounded))
            }
        };
        let heads: Vec<_> = after.take(FETCH).map(|(key, sender)| (*key, *sender)).collect();
        self.exhausted = heads.len() < FETCH;
        self.cursor = heads.last().map(|(key, _)| *key).or(self.cursor);
        self.fetched.extend(
            heads.iter().filter_map(|(_, sender)| pool.senders.get(sender)?.executable.front().map(Candidate::of)),
        );
    }
}

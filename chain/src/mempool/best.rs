//! The executable transactions in the order in which a block takes them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet, VecDeque};
use std::sync::Arc;

use alloy_consensus::Transaction as _;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256};

use super::Mempool;
use super::index::HeadKey;
use super::sender::Entry;
use crate::transaction::Recovered;

/// Senders that are fetched from the pool at a time.
const FETCH: usize = 64;

/// What is left of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Gas.
    pub gas: u64,
    /// Bytes, as transactions are encoded in a block.
    pub bytes: usize,
}

impl Room {
    /// Room for anything.
    pub const ENDLESS: Self = Self { gas: u64::MAX, bytes: usize::MAX };

    /// Whether the transaction fits, as far as that is known before it runs.
    pub fn holds(&self, tx: &Recovered) -> bool {
        tx.tx().gas_limit() <= self.gas && tx.signed().network_len() <= self.bytes
    }
}

/// Walks through the executable transactions: highest tip first, with equal tips in the order of
/// arrival, each sender's in the order of nonces. Made by [`Mempool::best`].
///
/// It takes the pool's lock for moments only and copies nothing ahead, so that the pool goes on
/// admitting while a block is being built; what arrives meanwhile may be missed. A sender whose
/// first transactions are in unfinal blocks already is placed by the first of them.
///
/// A sender whose next transaction does not fit into what is left ([`BestTransactions::leave`]) is
/// left out without a look at its account, however many such senders there are.
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
    /// What fits into the largest block.
    whole: Room,
    /// What is left.
    left: Room,
    /// Those that fit into no block.
    misfits: Vec<B256>,
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
            whole: Room::ENDLESS,
            left: Room::ENDLESS,
            misfits: Vec::new(),
        }
    }

    /// Sets what fits into an empty block, which nothing is expected to exceed.
    #[must_use]
    pub fn within(mut self, whole: Room) -> Self {
        self.whole = whole;
        self.left = whole;
        self
    }

    /// Sets what is left. It never grows while a block is being built.
    pub fn leave(&mut self, left: Room) {
        self.left = left;
    }

    /// The transactions met so far that do not fit into an empty block either.
    pub fn misfits(&self) -> &[B256] {
        &self.misfits
    }

    /// The next transaction that fits. `nonce_of` gives a sender's nonce at the state that the block builds
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
                let tx = self.ready.pop()?.0.tx;
                if !self.fits(&tx) {
                    continue;
                }
                tx
            } else {
                let tx = self.fetched.pop_front()?.tx;
                let sender = tx.sender();
                // There may have been more room when it was fetched.
                if !self.seen.insert(sender) || !self.fits(&tx) {
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

    /// Whether it fits; the sender's later ones cannot run without it.
    fn fits(&mut self, tx: &Recovered) -> bool {
        let fits = self.left.holds(tx);
        if !fits && !self.whole.holds(tx) {
            self.misfits.push(*tx.hash());
        }
        fits
    }

    fn push_ready(&mut self, sender: Address, nonce: u64) {
        let next = self.pool.lock().pool.executable_at(sender, nonce).map(Candidate::of);
        self.ready.extend(next.map(Reverse));
    }

    /// Fetches until there is something that fits, or no more.
    fn fetch(&mut self) {
        while self.fetched.is_empty() && !self.exhausted {
            self.fetch_some();
        }
    }

    fn fetch_some(&mut self) {
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
        for (_, sender) in heads {
            let Some(front) = pool.senders.get(&sender).and_then(|queue| queue.executable.front()) else { continue };
            if self.left.holds(&front.tx) {
                self.fetched.push_back(Candidate::of(front));
            } else if !self.whole.holds(&front.tx) {
                self.misfits.push(*front.tx.hash());
            }
        }
    }
}

//! The transactions of one sender.
//!
//! *Executable* ones follow the account's nonce without a gap and are paid for together by its
//! balance. All others are *queued*: behind a gap, beyond the balance, or beyond the number of
//! executable transactions that one sender may have.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use alloy_primitives::{Address, B256, U256};

use super::index::{HeadKey, TailKey};
use super::rules::Account;
use crate::transaction::Recovered;

/// A transaction in the pool.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) tx: Arc<Recovered>,
    /// `gas limit * fee cap + value`.
    pub(super) cost: U256,
    /// Tip per gas at the rules' base fee.
    pub(super) tip: u128,
    /// Lowest tip from the sender's first executable transaction up to this one: it cannot run
    /// before them, so it is worth no more. Only of meaning for executable ones.
    pub(super) floor: u128,
    /// Order of arrival.
    pub(super) seq: u64,
    /// What this nonce held before, as far as it was replaced for free.
    pub(super) replaced: Vec<B256>,
}

/// Keys under which a sender stands in the pool's indices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Keys {
    pub(super) head: Option<HeadKey>,
    pub(super) executable_tail: Option<TailKey>,
    pub(super) queued_tail: Option<TailKey>,
}

/// What a change of a sender's account or entries did to its transactions.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// No longer in the pool: included, overtaken, or beyond its means.
    pub(super) dropped: Vec<Arc<Recovered>>,
    /// Queued before, executable now.
    pub(super) promoted: Vec<Arc<Recovered>>,
}

/// The transactions of one sender, with the account they are judged by.
#[derive(Debug)]
pub(super) struct SenderQueue {
    pub(super) nonce: u64,
    pub(super) balance: U256,
    /// Entry `i` has nonce `self.nonce + i`.
    pub(super) executable: VecDeque<Entry>,
    pub(super) queued: BTreeMap<u64, Entry>,
    /// Sum of the executable entries' costs; at most the balance.
    pub(super) spent: U256,
    /// The keys under which this sender is indexed at the moment.
    pub(super) indexed: Keys,
}

impl SenderQueue {
    pub(super) fn new(account: Account) -> Self {
        Self {
            nonce: account.nonce,
            balance: account.balance,
            executable: VecDeque::new(),
            queued: BTreeMap::new(),
            spent: U256::ZERO,
            indexed: Keys::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.executable.is_empty() && self.queued.is_empty()
    }

    /// The nonce after the last executable transaction.
    pub(super) fn next_nonce(&self) -> u64 {
        self.nonce.saturating_add(self.executable.len() as u64)
    }

    /// Where a nonce stands among the executable entries.
    pub(super) fn position(&self, nonce: u64) -> Option<usize> {
        let position = usize::try_from(nonce.checked_sub(self.nonce)?).ok()?;
        (position < self.executable.len()).then_some(position)
    }

    pub(super) fn executable_at(&self, nonce: u64) -> Option<&Entry> {
        self.executable.get(self.position(nonce)?)
    }

    pub(super) fn get(&self, nonce: u64) -> Option<&Entry> {
        self.executable_at(nonce).or_else(|| self.queued.get(&nonce))
    }

    /// For each executable entry when its turn comes: the latest place of those up to it, since it cannot run before them.
    pub(super) fn places(&self) -> impl Iterator<Item = HeadKey> {
        self.executable.iter().map(HeadKey::of).scan(None, |latest, key| {
            *latest = (*latest).max(Some(key));
            *latest
        })
    }

    /// The same for one entry.
    pub(super) fn place(&self, position: usize) -> Option<HeadKey> {
        self.places().nth(position)
    }

    /// What the account can still pay for.
    pub(super) fn unspent(&self) -> U256 {
        self.balance.saturating_sub(self.spent)
    }

    /// The floor that an entry with this tip would get behind the executable ones.
    pub(super) fn floor_of_next(&self, tip: u128) -> u128 {
        self.executable.back().map_or(tip, |last| last.floor.min(tip))
    }

    /// Appends to the executable entries. The caller has checked nonce, funds and limit.
    pub(super) fn push_executable(&mut self, mut entry: Entry) {
        debug_assert_eq!(entry.tx.nonce(), self.next_nonce());
        entry.floor = self.floor_of_next(entry.tip);
        self.spent = self.spent.saturating_add(entry.cost);
        self.executable.push_back(entry);
    }

    pub(super) fn pop_executable(&mut self) -> Option<Entry> {
        let entry = self.executable.pop_back()?;
        self.spent = self.spent.saturating_sub(entry.cost);
        Some(entry)
    }

    /// Puts an entry in the place of the one with its nonce, which it returns.
    pub(super) fn replace(&mut self, entry: Entry) -> Option<Entry> {
        let nonce = entry.tx.nonce();
        let Some(position) = self.position(nonce) else {
            return self.queued.insert(nonce, entry);
        };
        let cost = entry.cost;
        let old = std::mem::replace(self.executable.get_mut(position)?, entry);
        self.spent = self.spent.saturating_sub(old.cost).saturating_add(cost);
        self.refresh_floors(position);
        Some(old)
    }

    /// Recomputes the floors from `start` on, as far as they change.
    fn refresh_floors(&mut self, start: usize) {
        let mut floor = start.checked_sub(1).and_then(|i| self.executable.get(i)).map_or(u128::MAX, |e| e.floor);
        for (i, entry) in self.executable.iter_mut().enumerate().skip(start) {
            floor = floor.min(entry.tip);
            if i > start && entry.floor == floor {
                break;
            }
            entry.floor = floor;
        }
    }

    /// Makes queued entries executable as far as nonce, funds and `limit` allow.
    pub(super) fn promote(&mut self, limit: usize, changes: &mut Changes) {
        while self.executable.len() < limit {
            let nonce = self.next_nonce();
            match self.queued.get(&nonce) {
                Some(entry) if entry.cost <= self.unspent() => {}
                _ => return,
            }
            let Some(entry) = self.queued.remove(&nonce) else {
                return;
            };
            changes.promoted.push(Arc::clone(&entry.tx));
            self.push_executable(entry);
        }
    }

    /// Takes over the account after a final block: drops what is used up or beyond the whole
    /// balance, takes back what the balance does not cover any more, promotes what it covers now.
    pub(super) fn settle(
        &mut self,
        nonce: u64,
        balance: U256,
        executable_limit: usize,
        queued_limit: usize,
        changes: &mut Changes,
    ) {
        if nonce < self.nonce {
            // Never on a chain whose blocks are final; but then nothing follows on the account.
            self.take_back(0);
        }
        while self.nonce < nonce {
            let Some(entry) = self.executable.pop_front() else {
                break;
            };
            self.spent = self.spent.saturating_sub(entry.cost);
            self.nonce += 1;
            changes.dropped.push(entry.tx);
        }
        self.nonce = nonce;
        self.balance = balance;
        self.refresh_floors(0);
        let mut covered = self.executable.len();
        let mut spent = self.spent;
        while spent > balance && covered > 0 {
            covered -= 1;
            spent = spent.saturating_sub(self.executable[covered].cost);
        }
        self.take_back(covered);
        self.queued.retain(|&nonce, entry| {
            let keep = nonce >= self.nonce && entry.cost <= balance;
            if !keep {
                changes.dropped.push(Arc::clone(&entry.tx));
            }
            keep
        });
        self.promote(executable_limit, changes);
        self.shorten_queued(queued_limit, changes);
    }

    /// Removes the transaction with this nonce; those behind it are queued.
    pub(super) fn remove(&mut self, nonce: u64, queued_limit: usize, changes: &mut Changes) {
        if let Some(position) = self.position(nonce) {
            self.take_back(position);
        }
        changes.dropped.extend(self.queued.remove(&nonce).map(|entry| entry.tx));
        self.shorten_queued(queued_limit, changes);
    }

    fn shorten_queued(&mut self, limit: usize, changes: &mut Changes) {
        while self.queued.len() > limit {
            let Some((_, entry)) = self.queued.pop_last() else {
                break;
            };
            changes.dropped.push(entry.tx);
        }
    }

    /// Queues the executable entries from `position` on.
    fn take_back(&mut self, position: usize) {
        while self.executable.len() > position {
            let Some(entry) = self.pop_executable() else {
                return;
            };
            self.queued.insert(entry.tx.nonce(), entry);
        }
    }

    /// The keys under which this sender belongs into the pool's indices now.
    pub(super) fn keys(&self, sender: Address) -> Keys {
        Keys {
            head: self.executable.front().map(HeadKey::of),
            executable_tail: self
                .executable
                .back()
                .map(|e| TailKey::new(e.floor, self.executable.len(), e.seq, sender)),
            queued_tail: self
                .queued
                .last_key_value()
                .map(|(_, e)| TailKey::new(e.tip, self.queued.len(), e.seq, sender)),
        }
    }
}

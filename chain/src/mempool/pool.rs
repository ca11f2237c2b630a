//! The pool's content under its lock: plain data and plain functions, no clock, no IO.

use std::collections::HashMap;
use std::sync::Arc;

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, U256};

use super::eviction::{self, Class, Newcomer, Room};
use super::index::Indices;
use super::replacement::{is_free_replacement, may_replace};
use super::rules::{Account, PoolRules};
use super::sender::{Changes, Entry, SenderQueue};
use super::{MempoolLimits, PoolError};
use crate::transaction::Recovered;

/// Memory that a transaction takes beside its bytes: the decoded form, its entry, its share of
/// maps and orders. Measured with one transaction per sender, the worst case, and rounded up.
pub(super) const ENTRY_BYTES: usize = 1536;

/// A transaction that passed all checks that need neither account nor pool.
#[derive(Clone, Debug)]
pub(super) struct Checked {
    pub(super) tx: Arc<Recovered>,
    pub(super) cost: U256,
    pub(super) tip: u128,
}

/// What admission did.
#[derive(Debug, Default)]
pub(super) struct Admitted {
    pub(super) executable: bool,
    pub(super) replaced: Option<Arc<Recovered>>,
    pub(super) promoted: Vec<Arc<Recovered>>,
    /// Each with whether it was executable.
    pub(super) evicted: Vec<(Class, Arc<Recovered>)>,
}

/// The content.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) limits: MempoolLimits,
    pub(super) rules: Arc<PoolRules>,
    pub(super) senders: HashMap<Address, SenderQueue>,
    pub(super) by_hash: HashMap<B256, Arc<Recovered>>,
    pub(super) indices: Indices,
    /// How many of all are executable.
    pub(super) executable: usize,
    /// Memory that the transactions take (see [`charge`]).
    pub(super) bytes: usize,
    /// Encoded bytes of all transactions.
    pub(super) encoded_bytes: usize,
    next_seq: u64,
}

impl Pool {
    pub(super) fn new(limits: MempoolLimits, rules: PoolRules) -> Self {
        Self {
            limits,
            rules: Arc::new(rules),
            senders: HashMap::new(),
            by_hash: HashMap::new(),
            indices: Indices::default(),
            executable: 0,
            bytes: 0,
            encoded_bytes: 0,
            next_seq: 0,
        }
    }

    /// The executable transaction of a sender with this nonce.
    pub(super) fn executable_at(&self, sender: Address, nonce: u64) -> Option<&Entry> {
        self.senders.get(&sender)?.executable_at(nonce)
    }

    /// Whether the pool holds the transaction among the executable ones.
    pub(super) fn is_executable(&self, hash: &B256) -> bool {
        self.by_hash.get(hash).is_some_and(|tx| self.executable_at(tx.sender(), tx.nonce()).is_some())
    }

    /// Admits a transaction. `account` is needed (and used) only for a sender of whom the pool
    /// holds nothing. After an error nothing has changed.
    pub(super) fn insert(&mut self, checked: Checked, account: Option<Account>) -> Result<Admitted, PoolError> {
        let hash = *checked.tx.hash();
        if self.by_hash.contains_key(&hash) {
            return Err(PoolError::AlreadyKnown { hash });
        }
        let (sender, nonce) = (checked.tx.sender(), checked.tx.nonce());
        let fresh = SenderQueue::new(account.unwrap_or_default());
        let queue = self.senders.get(&sender).unwrap_or(&fresh);
        if nonce < queue.nonce {
            return Err(PoolError::NonceTooLow { expected: queue.nonce, got: nonce });
        }
        let limit = queue.nonce.saturating_add(self.limits.nonces_per_sender() - 1);
        if nonce > limit {
            return Err(PoolError::NonceTooHigh { limit, got: nonce });
        }
        match queue.get(nonce) {
            Some(_) => self.insert_replacement(checked),
            None => self.insert_new(checked, fresh),
        }
    }

    fn insert_replacement(&mut self, new: Checked) -> Result<Admitted, PoolError> {
        let (sender, nonce) = (new.tx.sender(), new.tx.nonce());
        let kept = PoolError::ReplacementUnderpriced { kept: B256::ZERO };
        let Some(queue) = self.senders.get(&sender) else {
            return Err(kept);
        };
        let Some(old) = queue.get(nonce) else {
            return Err(kept);
        };
        let base_fee = self.rules.base_fee;
        if !may_replace(&old.tx, &old.replaced, &new.tx, base_fee) {
            return Err(PoolError::ReplacementUnderpriced { kept: *old.tx.hash() });
        }
        let executable = queue.position(nonce);
        let others = executable.map_or(U256::ZERO, |_| queue.spent.saturating_sub(old.cost));
        check_funds(queue.balance, others, new.cost)?;

        let grows = charge(&new.tx).saturating_sub(charge(&old.tx));
        let mut replaced = Vec::new();
        if is_free_replacement(&old.tx, &new.tx, base_fee) {
            replaced.clone_from(&old.replaced);
            replaced.push(*old.tx.hash());
        }
        let newcomer = match executable {
            Some(i) => {
                let before = i.checked_sub(1).and_then(|i| queue.executable.get(i));
                let worth = before.map_or(new.tip, |e| e.floor.min(new.tip));
                let count = queue.executable.len();
                Newcomer { sender, executable: true, worth, count }
            }
            None => {
                let count = queue.queued.len();
                Newcomer { sender, executable: false, worth: new.tip, count }
            }
        };
        let evicted = self.make_room(newcomer, 0, grows)?;
        let hash = *new.tx.hash();
        let entry = self.entry(new, replaced);
        let mut admitted = Admitted { evicted, ..Admitted::default() };
        self.count(&entry.tx);
        let limit = self.limits.executable_per_sender;
        let mut changes = Changes::default();
        if let Some(queue) = self.senders.get_mut(&sender) {
            admitted.replaced = queue.replace(entry).map(|old| old.tx);
            // It may cost less than the one before.
            queue.promote(limit, &mut changes);
            admitted.executable = queue.position(nonce).is_some();
        }
        if let Some(old) = &admitted.replaced {
            self.discount(old);
        }
        self.executable += changes.promoted.len();
        admitted.promoted = changes.promoted;
        admitted.promoted.retain(|tx| *tx.hash() != hash);
        self.reindex(sender);
        Ok(admitted)
    }

    fn insert_new(&mut self, new: Checked, fresh: SenderQueue) -> Result<Admitted, PoolError> {
        let (sender, nonce) = (new.tx.sender(), new.tx.nonce());
        let queue = self.senders.get(&sender).unwrap_or(&fresh);
        let executable = nonce == queue.next_nonce();
        let newcomer = if executable {
            check_funds(queue.balance, queue.spent, new.cost)?;
            let worth = queue.floor_of_next(new.tip);
            Newcomer { sender, executable, worth, count: queue.executable.len() + 1 }
        } else {
            check_funds(queue.balance, U256::ZERO, new.cost)?;
            Newcomer { sender, executable, worth: new.tip, count: queue.queued.len() + 1 }
        };
        let limit = match executable {
            true => self.limits.executable_per_sender,
            false => self.limits.queued_per_sender,
        };
        if newcomer.count > limit {
            return Err(PoolError::AccountLimit { limit });
        }
        let bytes = charge(&new.tx);
        let evicted = self.make_room(newcomer, 1, bytes)?;
        let entry = self.entry(new, Vec::new());
        self.count(&entry.tx);
        let mut changes = Changes::default();
        let executable_limit = self.limits.executable_per_sender;
        let queue = self.senders.entry(sender).or_insert(fresh);
        if executable {
            queue.push_executable(entry);
            queue.promote(executable_limit, &mut changes);
            self.executable += 1 + changes.promoted.len();
        } else {
            queue.queued.insert(nonce, entry);
        }
        self.reindex(sender);
        Ok(Admitted { executable, promoted: changes.promoted, evicted, replaced: None })
    }

    fn entry(&mut self, checked: Checked, replaced: Vec<B256>) -> Entry {
        let Checked { tx, cost, tip } = checked;
        self.next_seq += 1;
        Entry { tx, cost, tip, floor: tip, seq: self.next_seq, replaced }
    }

    /// Evicts what must go for the newcomer, or nothing at all.
    fn make_room(
        &mut self,
        newcomer: Newcomer,
        transactions: usize,
        bytes: usize,
    ) -> Result<Vec<(Class, Arc<Recovered>)>, PoolError> {
        let room = Room {
            transactions: (self.by_hash.len() + transactions).saturating_sub(self.limits.transactions),
            bytes: (self.bytes + bytes).saturating_sub(self.limits.bytes),
        };
        let victims = eviction::choose(self, newcomer, room).ok_or(PoolError::Full)?;
        let mut evicted = Vec::with_capacity(victims.len());
        for (class, sender) in victims {
            let Some(queue) = self.senders.get_mut(&sender) else {
                continue;
            };
            let entry = match class {
                Class::Queued => queue.queued.pop_last().map(|(_, entry)| entry),
                Class::Executable => queue.pop_executable(),
            };
            let Some(entry) = entry else { continue };
            if class == Class::Executable {
                self.executable -= 1;
            }
            self.discount(&entry.tx);
            self.reindex(sender);
            evicted.push((class, entry.tx));
        }
        Ok(evicted)
    }

    /// Takes over a sender's account at a new head. Returns what changed for it, if the pool
    /// holds something of that sender.
    pub(super) fn settle(&mut self, sender: Address, nonce: u64, balance: U256) -> Option<Changes> {
        let MempoolLimits { executable_per_sender, queued_per_sender, .. } = self.limits;
        self.change(sender, |queue, changes| {
            queue.settle(nonce, balance, executable_per_sender, queued_per_sender, changes);
        })
    }

    /// Removes a transaction; what its sender has behind it is queued.
    pub(super) fn remove(&mut self, hash: &B256) -> Option<Changes> {
        let tx = Arc::clone(self.by_hash.get(hash)?);
        let limit = self.limits.queued_per_sender;
        self.change(tx.sender(), |queue, changes| queue.remove(tx.nonce(), limit, changes))
    }

    /// Changes a sender's transactions and brings everything else up to date with it.
    fn change(&mut self, sender: Address, change: impl FnOnce(&mut SenderQueue, &mut Changes)) -> Option<Changes> {
        let queue = self.senders.get_mut(&sender)?;
        let before = queue.executable.len();
        let mut changes = Changes::default();
        change(queue, &mut changes);
        self.executable = self.executable - before + queue.executable.len();
        for tx in &changes.dropped {
            self.discount(tx);
        }
        self.reindex(sender);
        Some(changes)
    }

    /// Everything in the order of arrival.
    pub(super) fn by_arrival(&self) -> Vec<Arc<Recovered>> {
        let mut all: Vec<_> = self
            .senders
            .values()
            .flat_map(|queue| queue.executable.iter().chain(queue.queued.values()))
            .map(|entry| (entry.seq, &entry.tx))
            .collect();
        all.sort_unstable_by_key(|(seq, _)| *seq);
        all.into_iter().map(|(_, tx)| Arc::clone(tx)).collect()
    }

    /// Empties the pool and returns everything in the order of arrival, with the accounts that
    /// their senders were judged by.
    pub(super) fn drain(&mut self) -> Vec<(Arc<Recovered>, Account)> {
        let mut all: Vec<_> = std::mem::take(&mut self.senders)
            .into_values()
            .flat_map(|queue| {
                let account = Account { nonce: queue.nonce, balance: queue.balance, is_contract: false };
                let queued = queue.queued.into_values();
                queue.executable.into_iter().chain(queued).map(move |entry| (entry, account))
            })
            .collect();
        all.sort_unstable_by_key(|(entry, _)| entry.seq);
        self.by_hash.clear();
        self.indices = Indices::default();
        (self.executable, self.bytes, self.encoded_bytes) = (0, 0, 0);
        all.into_iter().map(|(entry, account)| (entry.tx, account)).collect()
    }

    fn count(&mut self, tx: &Arc<Recovered>) {
        self.bytes += charge(tx);
        self.encoded_bytes += tx.size();
        self.by_hash.insert(*tx.hash(), Arc::clone(tx));
    }

    fn discount(&mut self, tx: &Arc<Recovered>) {
        if self.by_hash.remove(tx.hash()).is_some() {
            self.bytes -= charge(tx);
            self.encoded_bytes -= tx.size();
        }
    }

    /// Brings a sender's places in the orders up to date, and forgets a sender without
    /// transactions.
    fn reindex(&mut self, sender: Address) {
        let Some(queue) = self.senders.get_mut(&sender) else {
            return;
        };
        let keys = queue.keys(sender);
        let old = std::mem::replace(&mut queue.indexed, keys);
        self.indices.update(sender, &old, &keys);
        if queue.is_empty() {
            self.senders.remove(&sender);
        }
    }
}

/// The memory that a transaction is counted with.
pub(super) fn charge(tx: &Recovered) -> usize {
    // Access lists and authorizations take up to about twice their encoding once decoded; a large
    // input shares the encoded bytes.
    let input = tx.tx().input().len();
    tx.size() + 2 * tx.size().saturating_sub(input) + ENTRY_BYTES
}

/// Whether the balance covers a cost beside what is spent already (which it does cover).
fn check_funds(balance: U256, spent: U256, cost: U256) -> Result<(), PoolError> {
    if cost > balance.saturating_sub(spent) {
        let needed = spent.saturating_add(cost);
        return Err(PoolError::InsufficientFunds { balance, needed });
    }
    Ok(())
}

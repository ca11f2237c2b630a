//! Why transactions that were here are gone, for whoever asks soon after: a bounded memory, the oldest entry goes first.
//!
//! It decides nothing, and it knows only this node's part: a transaction that left the pool here may be final all the same.

use std::collections::{HashMap, VecDeque};

use alloy_primitives::{B256, U256};

use super::{Account, PoolError};
use crate::transaction::Recovered;

/// Entries that are kept. They take some hundred bytes each.
const REMEMBERED: usize = 4_096;

/// Why a transaction is not in the pool any more, or never was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gone {
    /// This node's own clients sent it, and it was refused; or new rules of the chain refuse it.
    Refused(PoolError),
    /// Another one of its sender with its nonce took its place.
    Replaced {
        /// The hash of that one.
        by: B256,
    },
    /// The pool was full, and others were worth more.
    Evicted,
    /// The account's nonce went on without it: another one with its nonce is final.
    NonceUsed {
        /// The account's nonce then.
        next: u64,
    },
    /// The account could not pay for it any more.
    Unaffordable {
        /// What it had.
        balance: U256,
        /// What the transaction costs at most; saturated.
        cost: U256,
    },
    /// Its sender had more waiting than one sender may have.
    TooMany,
    /// It could not be put into any block.
    Impossible,
}

impl Gone {
    /// Why a sender's transaction was dropped when its account became this one.
    pub(super) fn after(tx: &Recovered, account: &Account) -> Self {
        let cost = tx.cost().unwrap_or(U256::MAX);
        if tx.nonce() < account.nonce {
            Self::NonceUsed { next: account.nonce }
        } else if cost > account.balance {
            Self::Unaffordable { balance: account.balance, cost }
        } else {
            Self::TooMany
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Memory {
    by_hash: HashMap<B256, Gone>,
    /// The oldest first; with an entry for each in the map.
    order: VecDeque<B256>,
}

impl Memory {
    pub(super) fn note(&mut self, hash: B256, gone: Gone) {
        if self.by_hash.insert(hash, gone).is_none() {
            self.order.push_back(hash);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_hash.remove(&oldest);
        }
    }

    pub(super) fn get(&self, hash: &B256) -> Option<Gone> {
        self.by_hash.get(hash).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_and_the_last_word_counts() {
        let hash = |number: usize| B256::from(U256::from(number));
        let mut memory = Memory::default();
        for number in 0..=REMEMBERED {
            memory.note(hash(number), Gone::Evicted);
        }
        assert_eq!(memory.get(&hash(0)), None);
        assert_eq!(memory.get(&hash(1)), Some(Gone::Evicted));
        memory.note(hash(1), Gone::TooMany);
        assert_eq!(memory.get(&hash(1)), Some(Gone::TooMany));
        assert_eq!((memory.by_hash.len(), memory.order.len()), (REMEMBERED, REMEMBERED));
    }
}

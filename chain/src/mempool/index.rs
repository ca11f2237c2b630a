//! The orders in which the pool's senders stand: for the builder, and for eviction.
//!
//! A sender stands in each order once, with one key, so that a sender with thousands of
//! transactions costs the orders as little as a sender with one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::Address;

use super::sender::{Entry, Keys};

/// Place of an executable transaction in the builder's order: the highest tip first, with equal
/// tips the first arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct HeadKey {
    tip: Reverse<u128>,
    seq: u64,
}

impl HeadKey {
    pub(super) fn of(entry: &Entry) -> Self {
        Self { tip: Reverse(entry.tip), seq: entry.seq }
    }
}

/// Place of a sender's last transaction (executable or queued) in the order of eviction, the
/// first to go first: the lowest worth; with equal worth the sender with the most transactions;
/// then the latest arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TailKey {
    worth: u128,
    count: Reverse<usize>,
    seq: Reverse<u64>,
    sender: Address,
}

impl TailKey {
    pub(super) fn new(worth: u128, count: usize, seq: u64, sender: Address) -> Self {
        Self { worth, count: Reverse(count), seq: Reverse(seq), sender }
    }

    pub(super) fn sender(&self) -> Address {
        self.sender
    }

    /// Whether this one may be evicted for a newcomer of that worth whose sender would then have
    /// `count` transactions of the kind. Never between equals: arrival alone decides nothing.
    pub(super) fn yields_to(&self, worth: u128, count: usize) -> bool {
        self.worth < worth || (self.worth == worth && self.count.0 > count)
    }
}

/// All orders.
#[derive(Debug, Default)]
pub(super) struct Indices {
    /// Senders by their first executable transaction.
    pub(super) heads: BTreeMap<HeadKey, Address>,
    /// Senders by their last executable transaction.
    pub(super) executable_tails: BTreeSet<TailKey>,
    /// Senders by their last queued transaction.
    pub(super) queued_tails: BTreeSet<TailKey>,
}

impl Indices {
    /// Moves a sender from the places it has to those it should have.
    pub(super) fn update(&mut self, sender: Address, old: &Keys, new: &Keys) {
        if old.head != new.head {
            if let Some(key) = &old.head {
                self.heads.remove(key);
            }
            if let Some(key) = new.head {
                self.heads.insert(key, sender);
            }
        }
        for (set, old, new) in [
            (&mut self.executable_tails, old.executable_tail, new.executable_tail),
            (&mut self.queued_tails, old.queued_tail, new.queued_tail),
        ] {
            if old != new {
                if let Some(key) = &old {
                    set.remove(key);
                }
                set.extend(new);
            }
        }
    }
}

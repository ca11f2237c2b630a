//! Making room in a full pool.
//!
//! Only a sender's last transaction is ever evicted, so that nothing behind it loses its place.
//! Queued ones go first, in the order of their tips; an executable one goes only for another
//! executable one that is worth more, where the worth of a transaction is the lowest tip among
//! it and those that its sender must run before it. With equal worth, a sender with more
//! transactions yields to one with fewer. Nothing is evicted for an equal, and nothing at all
//! when it would not make enough room.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::Address;

use super::index::TailKey;
use super::pool::{Pool, charge};
use super::sender::{Entry, SenderQueue};

/// What must become free.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) transactions: usize,
    pub(super) bytes: usize,
}

impl Room {
    fn is_made(self) -> bool {
        self.transactions == 0 && self.bytes == 0
    }

    fn free(&mut self, bytes: usize) {
        self.transactions = self.transactions.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// The newcomer that wants room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Newcomer {
    pub(super) sender: Address,
    pub(super) executable: bool,
    /// See [`TailKey::yields_to`].
    pub(super) worth: u128,
    /// Transactions of its kind that its sender would have.
    pub(super) count: usize,
}

/// Which class of a sender's transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Queued,
    Executable,
}

/// From whom, and how often, the last transaction of a class has to go.
pub(super) type Victims = Vec<(Class, Address)>;

/// Chooses whom to evict; `None` when there are not enough transactions that yield.
pub(super) fn choose(pool: &Pool, newcomer: Newcomer, mut room: Room) -> Option<Victims> {
    let mut victims = Victims::new();
    if !room.is_made() {
        let yields = |key: &TailKey| newcomer.executable || key.yields_to(newcomer.worth, newcomer.count);
        choose_from(pool, Class::Queued, newcomer.sender, yields, &mut room, &mut victims);
    }
    if !room.is_made() && newcomer.executable {
        let yields = |key: &TailKey| key.yields_to(newcomer.worth, newcomer.count);
        choose_from(pool, Class::Executable, newcomer.sender, yields, &mut room, &mut victims);
    }
    room.is_made().then_some(victims)
}

/// Walks through one order as if each victim had been removed already.
fn choose_from(
    pool: &Pool,
    class: Class,
    spared: Address,
    yields: impl Fn(&TailKey) -> bool,
    room: &mut Room,
    victims: &mut Victims,
) {
    let tails = match class {
        Class::Queued => &pool.indices.queued_tails,
        Class::Executable => &pool.indices.executable_tails,
    };
    let mut standing = tails.iter().copied().peekable();
    // Senders that have lost some already, under the keys that they would then have.
    let mut reduced: BTreeSet<TailKey> = BTreeSet::new();
    let mut lost: BTreeMap<Address, usize> = BTreeMap::new();
    while !room.is_made() {
        let next = match (standing.peek(), reduced.first()) {
            (Some(a), Some(b)) if b < a => reduced.pop_first(),
            (None, _) => reduced.pop_first(),
            (Some(_), _) => standing.next(),
        };
        let Some(key) = next else { return };
        let sender = key.sender();
        if sender == spared {
            continue;
        }
        if !yields(&key) {
            return;
        }
        let Some(queue) = pool.senders.get(&sender) else {
            continue;
        };
        let gone = lost.entry(sender).or_default();
        if let Some(entry) = nth_last(queue, class, *gone) {
            room.free(charge(&entry.tx));
            victims.push((class, sender));
        }
        *gone += 1;
        if let Some(entry) = nth_last(queue, class, *gone) {
            let (worth, count) = match class {
                Class::Queued => (entry.tip, queue.queued.len() - *gone),
                Class::Executable => (entry.floor, queue.executable.len() - *gone),
            };
            reduced.insert(TailKey::new(worth, count, entry.seq, sender));
        }
    }
}

fn nth_last(queue: &SenderQueue, class: Class, n: usize) -> Option<&Entry> {
    match class {
        Class::Queued => queue.queued.values().nth_back(n),
        Class::Executable => queue.executable.iter().nth_back(n),
    }
}

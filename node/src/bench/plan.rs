//! The plan of a run: which transaction goes where and when, signed before the start.

use std::time::Duration;

use alloy_primitives::{Address, U256};
use anyhow::{Result, bail};
use rayon::prelude::*;

use super::{
    account::{Account, Terms},
    args::Kind,
    lane::Item,
    ledger::Planned,
};

/// Transactions that one run may have: they are signed beforehand and held in memory, some 400
/// bytes each.
const MAX_TRANSACTIONS: u64 = 20_000_000;

/// How many transactions, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    pub(super) rate: u32,
    /// Transactions before the measured ones.
    pub(super) warmup: u32,
    /// Transactions in all.
    pub(super) total: u32,
}

impl Schedule {
    pub(super) fn new(rate: u32, warmup: Duration, duration: Duration) -> Result<Self> {
        let count = |time: Duration| time.as_nanos() * u128::from(rate) / 1_000_000_000;
        let (before, measured) = (count(warmup), count(duration));
        let total = before + measured;
        if measured == 0 {
            bail!(
                "expected a --duration in which at least one transaction is due, got {duration:?} at {rate} per second"
            );
        }
        if total > u128::from(MAX_TRANSACTIONS) {
            bail!("expected at most {MAX_TRANSACTIONS} transactions in a run, got {total}: lower --rate or --duration");
        }
        Ok(Self {
            rate,
            // Both fit u32 because the total is below MAX_TRANSACTIONS.
            warmup: before as u32,
            total: total as u32,
        })
    }

    /// When transaction `index` is due.
    pub(super) fn due(&self, index: u32) -> Duration {
        Duration::from_nanos(u64::from(index) * 1_000_000_000 / u64::from(self.rate))
    }

    /// How many transactions sender `sender` of `senders` has.
    pub(super) fn of_sender(&self, sender: u32, senders: u32) -> u32 {
        (self.total + senders - 1 - sender) / senders
    }
}

/// Where senders send: each keeps to one URL and one of its connections.
#[derive(Debug, Clone, Copy)]
pub(super) struct Routes {
    pub(super) urls: usize,
    pub(super) connections: usize,
}

impl Routes {
    fn url(&self, sender: u32) -> usize {
        sender as usize % self.urls
    }

    fn lane(&self, sender: u32) -> usize {
        let connection = sender as usize / self.urls % self.connections;
        self.url(sender) * self.connections + connection
    }
}

/// The signed plan: for the ledger, and for each lane (lane = URL * connections + connection).
pub(super) struct Plan {
    pub(super) planned: Vec<Planned>,
    pub(super) lanes: Vec<Vec<Item>>,
}

/// Signs everything, on all processors. `progress` is told of each signature.
pub(super) fn sign(
    schedule: &Schedule,
    routes: &Routes,
    senders: &[Account],
    nonces: &[u64],
    terms: &Terms,
    kind: Kind,
    progress: impl Fn() + Sync,
) -> Plan {
    let count = senders.len() as u32;
    let signed: Vec<_> = (0..schedule.total)
        .into_par_iter()
        .map(|index| {
            let sender = index % count;
            let nonce = nonces[sender as usize] + u64::from(index / count);
            let to = recipient(kind, sender);
            progress();
            senders[sender as usize].transfer(terms, nonce, to, U256::ONE)
        })
        .collect();
    let mut lanes: Vec<Vec<Item>> = Vec::new();
    lanes.resize_with(routes.urls * routes.connections, Vec::new);
    let mut planned = Vec::with_capacity(signed.len());
    for (index, signed) in (0..).zip(signed) {
        let sender = index % count;
        let due = schedule.due(index);
        planned.push(Planned {
            hash: signed.hash,
            sender,
            url: routes.url(sender),
            due,
            measured: index >= schedule.warmup,
        });
        lanes[routes.lane(sender)].push(Item { index, due, raw: signed.raw, tried: false });
    }
    Plan { planned, lanes }
}

/// Whom a sender pays: an address of its own that has no key, or the one address for all.
fn recipient(kind: Kind, sender: u32) -> Address {
    let number = match kind {
        Kind::Transfer => u64::from(sender),
        Kind::HotRecipient => u64::from(u32::MAX) + 1,
    };
    let mut bytes = [0xbe; 20];
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    Address::from(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{collections::HashSet, sync::atomic};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_schedule_is_even_and_counts() {
        let schedule = Schedule::new(300, SECOND, 2 * SECOND).unwrap();
        assert_eq!((schedule.warmup, schedule.total), (300, 900));
        assert_eq!(schedule.due(0), Duration::ZERO);
        assert_eq!(schedule.due(300), SECOND);
        let per_sender: u32 = (0..7).map(|sender| schedule.of_sender(sender, 7)).sum();
        assert_eq!(per_sender, 900);
        assert!(Schedule::new(1, SECOND, SECOND / 2).is_err());
        assert!(Schedule::new(u32::MAX, SECOND, SECOND).is_err());
    }

    #[test]
    fn each_sender_keeps_to_a_lane_and_its_order() {
        let senders: Vec<Account> = (0..5).map(|i| Account::derive(0, i).unwrap()).collect();
        let schedule = Schedule::new(17, Duration::ZERO, SECOND).unwrap();
        let routes = Routes { urls: 2, connections: 2 };
        let terms = Terms { chain_id: 1, legacy: false, max_fee: 0, priority_fee: 0 };
        let signatures = atomic::AtomicU32::new(0);
        let progress = || {
            signatures.fetch_add(1, atomic::Ordering::Relaxed);
        };
        let plan = sign(&schedule, &routes, &senders, &[0; 5], &terms, Kind::Transfer, progress);
        assert_eq!(signatures.into_inner(), 17);
        assert_eq!(plan.planned.len(), 17);
        let mut seen = HashSet::new();
        for (lane, items) in plan.lanes.iter().enumerate() {
            assert!(items.is_sorted_by_key(|item| item.due));
            for item in items {
                assert!(seen.insert(item.index));
                let planned = &plan.planned[item.index as usize];
                assert_eq!(routes.lane(planned.sender), lane);
                assert_eq!(planned.url, lane / routes.connections);
            }
        }
        assert_eq!(seen.len(), 17);
        let hashes: HashSet<_> = plan.planned.iter().map(|planned| planned.hash).collect();
        assert_eq!(hashes.len(), 17, "no two transactions are the same");
    }
}

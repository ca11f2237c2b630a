//! Random admissions, final blocks and removals: everything holds after each step.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256};
use proptest::prelude::*;

use crate::mempool::eviction::Class;
use crate::mempool::testing::{
    Accounts, BLOCK_GAS, CHAIN_ID, Contents, Draft, address, check_invariants, contents, pool_with,
};
use crate::mempool::{Mempool, MempoolLimits, Origin, PoolError, PoolRules};
use revm::primitives::hardfork::SpecId;

const SENDERS: u64 = 6;

#[derive(Clone, Debug)]
enum Step {
    Add { sender: u64, ahead: u64, tip: u128, value: u64, input: usize, cancel: bool },
    Final { sender: u64, included: u64, balance: u128 },
    Discard { pick: usize },
    BaseFee(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let sender = || 0..SENDERS;
    prop_oneof![
        20 => (
            sender(), 0..9u64, prop_oneof![3 => Just(0), 2 => 0..4u128], 0..5u64,
            prop_oneof![5 => Just(0), 1 => 0..4_000usize], prop::bool::weighted(0.1),
        ).prop_map(|(sender, ahead, tip, value, input, cancel)| {
            Step::Add { sender, ahead, tip, value, input, cancel }
        }),
        4 => (sender(), 0..4u64, prop_oneof![Just(1 << 60), 0..400_000u128])
            .prop_map(|(sender, included, balance)| Step::Final { sender, included, balance }),
        1 => (0..20usize).prop_map(|pick| Step::Discard { pick }),
        1 => (0..3u64).prop_map(Step::BaseFee),
    ]
}

/// Worth of each executable transaction, and its place among its sender's, from 1.
type Standing = BTreeMap<(Address, u64), (u128, usize)>;

fn standing(pool: &Mempool) -> Standing {
    let state = pool.lock();
    let queues = state.pool.senders.iter();
    queues
        .flat_map(|(sender, queue)| {
            let entries = queue.executable.iter().enumerate();
            entries.map(|(i, entry)| ((*sender, entry.tx.nonce()), (entry.floor, i + 1)))
        })
        .collect()
}

/// What may have left for an admitted newcomer: nothing executable for a queued one or before a
/// queued one; only last ones; and only such that were worth less, or equally much from a sender
/// that held more.
fn check_evictions(
    before: &(Contents, Contents),
    after: &(Contents, Contents),
    standing: &Standing,
    newcomer: (Address, u64),
    pool: &Mempool,
) {
    let (executable, queued) = after;
    let stays = |key: &(Address, u64)| executable.contains_key(key) || queued.contains_key(key);
    let gone: Vec<_> = before.0.keys().filter(|key| !stays(key)).collect();
    if gone.is_empty() {
        return;
    }
    assert!(executable.contains_key(&newcomer), "an executable one went for a queued one");
    let own = queued.keys().all(|(sender, _)| *sender == newcomer.0);
    assert!(own, "an executable one went before a queued one");
    let worth = pool.lock().pool.executable_at(newcomer.0, newcomer.1).unwrap().floor;
    let own = standing.keys().filter(|(sender, _)| *sender == newcomer.0).count();
    let own = if before.0.contains_key(&newcomer) { own } else { own + 1 };
    for (sender, nonce) in gone {
        assert_ne!(*sender, newcomer.0);
        assert!(!executable.contains_key(&(*sender, nonce + 1)), "only last ones go");
        let (floor, place) = standing[&(*sender, *nonce)];
        assert!(floor < worth || (floor == worth && place > own), "one went for an equal");
    }
}

fn run_add(pool: &Mempool, accounts: &Accounts, step: &Step) {
    let Step::Add { sender, ahead, tip, value, input, cancel } = step else {
        return;
    };
    let nonce = accounts.get(address(*sender)).nonce + ahead;
    let nonce = nonce.saturating_sub(1);
    let mut draft = Draft::new(*sender, nonce).fees(tip * 2, *tip);
    if *cancel {
        draft = draft.to(address(*sender));
    } else {
        draft = draft.value(*value).input(vec![0; *input]).gas(21_000 + 10 * *input as u64);
    }
    let tx = draft.recovered();
    let before = contents(pool);
    let ranks = standing(pool);
    match pool.add(tx.clone(), Origin::Peer) {
        Ok(outcome) => {
            let after = contents(pool);
            let class = if outcome.executable { &after.0 } else { &after.1 };
            assert_eq!(class.get(&(address(*sender), nonce)), Some(tx.hash()));
            check_evictions(&before, &after, &ranks, (address(*sender), nonce), pool);
        }
        Err(error) => {
            assert_eq!(contents(pool), before, "a refusal changes nothing ({error})");
            let known = matches!(error, PoolError::AlreadyKnown { .. });
            assert_eq!(pool.contains(tx.hash()), known);
        }
    }
}

/// The builder's order by the plainest means: each time the best of all senders' next ones.
fn naive_order(pool: &Mempool) -> Vec<B256> {
    let state = pool.lock();
    let mut chains: Vec<Vec<_>> = state
        .pool
        .senders
        .values()
        .map(|queue| queue.executable.iter().rev().map(|e| (e.tip, e.seq, *e.tx.hash())).collect())
        .collect();
    let mut order = Vec::new();
    loop {
        chains.retain(|chain| !chain.is_empty());
        let best = chains.iter_mut().max_by_key(|chain| {
            let (tip, seq, _) = chain[chain.len() - 1];
            (tip, std::cmp::Reverse(seq))
        });
        let Some(best) = best else { return order };
        order.extend(best.pop().map(|(_, _, hash)| hash));
    }
}

fn run(steps: Vec<Step>, limits: MempoolLimits) {
    let mut base_fee = 0;
    let rules = |base_fee| PoolRules::new(CHAIN_ID, SpecId::PRAGUE, base_fee, 0, BLOCK_GAS);
    let (pool, accounts) = pool_with(limits, rules(0));
    for step in steps {
        match step {
            Step::Add { .. } => run_add(&pool, &accounts, &step),
            Step::Final { sender, included, balance } => {
                let account = accounts.get(address(sender));
                let touched = accounts.set(sender, account.nonce + included, balance);
                pool.on_final(&[], &[touched]);
            }
            Step::Discard { pick } => {
                let (executable, queued) = contents(&pool);
                if let Some(hash) = executable.values().chain(queued.values()).nth(pick) {
                    pool.discard(hash);
                    assert!(!pool.contains(hash));
                }
            }
            Step::BaseFee(fee) => {
                base_fee = fee;
                pool.set_rules(rules(fee));
            }
        }
        check_invariants(&pool.lock().pool);
        let mut best = pool.best(base_fee);
        let nonce_of = |sender| Some(accounts.get(sender).nonce);
        let order: Vec<_> = std::iter::from_fn(|| best.next_with(nonce_of)).map(|tx| *tx.hash()).collect();
        assert_eq!(order, naive_order(&pool));
    }
    // Whatever was admitted can leave again.
    for sender in 0..SENDERS {
        pool.on_final(&[], &[accounts.set(sender, 1_000_000, 0)]);
    }
    assert!(pool.is_empty());
    check_invariants(&pool.lock().pool);
    let empty = pool.status();
    assert_eq!((empty.bytes, empty.senders, empty.executable, empty.queued), (0, 0, 0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn everything_holds(
        steps in prop::collection::vec(step(), 1..120),
        transactions in 3..14usize,
        places in 3..14usize,
        executable_per_sender in 1..6usize,
        queued_per_sender in 0..4usize,
    ) {
        let bytes = places * 2_200;
        run(steps, MempoolLimits { transactions, bytes, executable_per_sender, queued_per_sender });
    }
}

#[test]
fn classes_are_ordered_as_they_go() {
    assert!(Class::Queued < Class::Executable);
}

//! The order in which the builder gets the transactions.

use alloy_primitives::Address;

use crate::mempool::testing::{Draft, PLENTY, address, pool};
use crate::mempool::{Mempool, Origin};

fn add(pool: &Mempool, draft: &Draft) {
    pool.add(draft.recovered(), Origin::Peer).unwrap();
}

/// (sender, nonce) in the builder's order.
fn order(pool: &Mempool, mut nonce_of: impl FnMut(Address) -> Option<u64>) -> Vec<(u64, u64)> {
    let mut best = pool.best(0);
    std::iter::from_fn(|| best.next_with(&mut nonce_of)).map(|tx| name(&tx)).collect()
}

fn name(tx: &crate::transaction::Recovered) -> (u64, u64) {
    let sender = tx.sender();
    let number = (0..1_000).find(|n| address(*n) == sender).unwrap();
    (number, tx.nonce())
}

#[test]
fn equal_prices_in_order_of_arrival() {
    let (pool, _) = pool();
    let arrivals = [(1, 0), (2, 0), (2, 1), (1, 1), (3, 1), (3, 0), (2, 2)];
    for (sender, nonce) in arrivals {
        add(&pool, &Draft::new(sender, nonce));
    }
    // (3, 1) came before (3, 0), but runs after it.
    let expected = [(1, 0), (2, 0), (2, 1), (1, 1), (3, 0), (3, 1), (2, 2)];
    assert_eq!(order(&pool, |_| Some(0)), expected);
    assert_eq!(order(&pool, |_| Some(0)), expected, "walking changes nothing");
}

#[test]
fn higher_tips_first_but_nonces_in_order() {
    let (pool, _) = pool();
    for (sender, nonce, price) in [(1, 0, 1), (1, 1, 50), (2, 0, 9), (2, 1, 2), (3, 0, 9)] {
        add(&pool, &Draft::new(sender, nonce).price(price));
    }
    let expected = [(2, 0), (3, 0), (2, 1), (1, 0), (1, 1)];
    assert_eq!(order(&pool, |_| Some(0)), expected);
}

#[test]
fn tips_count_not_caps() {
    let (pool, _) = pool();
    add(&pool, &Draft::new(1, 0).fees(100, 1));
    add(&pool, &Draft::new(2, 0).fees(2, 2));
    assert_eq!(order(&pool, |_| Some(0)), [(2, 0), (1, 0)]);
}

#[test]
fn what_unfinal_blocks_hold_is_passed_over() {
    let (pool, _) = pool();
    for (sender, nonce) in [(1, 0), (2, 0), (1, 1), (2, 1), (1, 2), (3, 0)] {
        add(&pool, &Draft::new(sender, nonce));
    }
    let at_parent = |sender| match sender {
        s if s == address(1) => Some(1),
        s if s == address(2) => Some(2),
        _ => Some(0),
    };
    assert_eq!(order(&pool, at_parent), [(1, 1), (1, 2), (3, 0)]);
    assert_eq!(order(&pool, |sender| (sender == address(3)).then_some(0)), [(3, 0)]);
}

#[test]
fn skipping_a_sender() {
    let (pool, _) = pool();
    for (sender, nonce) in [(1, 0), (1, 1), (2, 0), (2, 1)] {
        add(&pool, &Draft::new(sender, nonce));
    }
    let mut best = pool.best(0);
    let mut got = Vec::new();
    while let Some(tx) = best.next_with(|_| Some(0)) {
        got.push(name(&tx));
        if name(&tx) == (1, 0) {
            best.skip_sender();
        }
    }
    assert_eq!(got, [(1, 0), (2, 0), (2, 1)]);
}

#[test]
fn below_the_base_fee_nothing_of_the_sender() {
    let (pool, _) = pool();
    add(&pool, &Draft::new(1, 0).price(4));
    add(&pool, &Draft::new(1, 1).price(9));
    add(&pool, &Draft::new(2, 0).price(5));
    let mut best = pool.best(5);
    assert_eq!(name(&best.next_with(|_| Some(0)).unwrap()), (2, 0));
    assert!(best.next_with(|_| Some(0)).is_none());
}

/// More senders than are fetched at a time, each asked for once.
#[test]
fn every_sender_is_asked_once() {
    let (pool, _) = pool();
    for nonce in 0..2 {
        for sender in 0..200 {
            add(&pool, &Draft::new(sender, nonce));
        }
    }
    let mut asked = Vec::new();
    let got = order(&pool, |sender| {
        asked.push(sender);
        Some(0)
    });
    let expected: Vec<_> = (0..2).flat_map(|nonce| (0..200).map(move |sender| (sender, nonce))).collect();
    assert_eq!(got, expected);
    assert_eq!(asked, (0..200).map(address).collect::<Vec<_>>());
}

/// The pool goes on while a block is being built.
#[test]
fn changes_meanwhile() {
    let (pool, accounts) = pool();
    for sender in 0..70 {
        add(&pool, &Draft::new(sender, 0));
        add(&pool, &Draft::new(sender, 1));
    }
    let mut best = pool.best(0);
    assert_eq!(name(&best.next_with(|_| Some(0)).unwrap()), (0, 0));
    // Sender 0 moves to the end of the order, sender 1's are final, sender 69 leaves.
    add(&pool, &Draft::new(0, 0).value(5));
    pool.on_final(&[], &[accounts.set(1, 1, PLENTY), accounts.set(69, 2, PLENTY)]);
    let rest: Vec<_> = std::iter::from_fn(|| best.next_with(|_| Some(0))).map(|tx| name(&tx)).collect();
    assert_eq!(rest.iter().filter(|(sender, _)| *sender == 0).count(), 1, "only its nonce 1");
    assert!(!rest.iter().any(|(sender, _)| *sender == 69));
    let mut once = rest.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), rest.len(), "nothing twice");
}

//! Limits, at the limit and one beyond, and who is evicted for whom.

use crate::mempool::pool::charge;
use crate::mempool::testing::{Draft, address, check_invariants, contents, pool_with, rules};
use crate::mempool::{Mempool, MempoolLimits, Origin, PoolError};

fn small(transactions: usize) -> MempoolLimits {
    MempoolLimits { transactions, bytes: usize::MAX, executable_per_sender: 4, queued_per_sender: 3 }
}

fn add(pool: &Mempool, draft: Draft) -> Result<bool, PoolError> {
    let result = pool.add(draft.recovered(), Origin::Peer).map(|outcome| outcome.executable);
    check_invariants(&pool.lock().pool);
    result
}

fn holds(pool: &Mempool, draft: Draft) -> bool {
    pool.contains(draft.recovered().hash())
}

#[test]
fn per_sender() {
    let (pool, accounts) = pool_with(small(100), rules());
    for nonce in 0..4 {
        assert_eq!(add(&pool, Draft::new(1, nonce)), Ok(true));
    }
    assert_eq!(add(&pool, Draft::new(1, 4)), Err(PoolError::AccountLimit { limit: 4 }));
    for nonce in [5, 6] {
        assert_eq!(add(&pool, Draft::new(1, nonce)), Ok(false));
    }
    assert_eq!(add(&pool, Draft::new(1, 7)), Err(PoolError::NonceTooHigh { limit: 6, got: 7 }));
    for nonce in [2, 3, 4] {
        assert_eq!(add(&pool, Draft::new(2, nonce)), Ok(false));
    }
    assert_eq!(add(&pool, Draft::new(2, 5)), Err(PoolError::AccountLimit { limit: 3 }));
    assert_eq!(PoolError::AccountLimit { limit: 3 }.to_string(), "account limit exceeded");
    // Filling the gap promotes up to the limit, and a final block makes room for the rest.
    assert_eq!(add(&pool, Draft::new(2, 0)), Ok(true));
    assert_eq!(add(&pool, Draft::new(2, 1)), Ok(true));
    assert_eq!(pool.content_from(address(2)).unwrap().executable.len(), 4);
    assert_eq!(pool.content_from(address(2)).unwrap().queued.len(), 1);
    pool.on_final(&[], &[accounts.set(2, 1, 0)]);
    check_invariants(&pool.lock().pool);
    assert_eq!(pool.content_from(address(2)).unwrap().executable.len(), 4);
}

#[test]
fn in_all_by_count() {
    let (pool, _) = pool_with(small(3), rules());
    for sender in 0..3 {
        assert_eq!(add(&pool, Draft::new(sender, 0)), Ok(true));
    }
    let error = add(&pool, Draft::new(3, 0)).unwrap_err();
    assert_eq!(error.to_string(), "txpool is full");
    assert_eq!(pool.len(), 3);
}

#[test]
fn in_all_by_bytes() {
    let one = charge(&Draft::new(1, 0).recovered());
    let limits = MempoolLimits { bytes: 3 * one, ..small(100) };
    let (pool, _) = pool_with(limits, rules());
    for sender in 0..3 {
        assert_eq!(add(&pool, Draft::new(sender, 0)), Ok(true));
    }
    assert_eq!(add(&pool, Draft::new(3, 0)), Err(PoolError::Full));
    // A larger replacement needs room as well.
    let larger = Draft::new(0, 0).input(vec![0; 10]).gas(30_000);
    assert_eq!(add(&pool, larger.clone()), Err(PoolError::Full));
    // A better one takes it from the worst.
    assert_eq!(add(&pool, larger.price(1)), Ok(true));
    assert_eq!(pool.len(), 2);
    assert!(!holds(&pool, Draft::new(2, 0)), "the latest of the equals goes");
}

#[test]
fn queued_ones_go_first_and_never_push_out_executable_ones() {
    let (pool, _) = pool_with(small(4), rules());
    assert_eq!(add(&pool, Draft::new(1, 0)), Ok(true));
    assert_eq!(add(&pool, Draft::new(2, 2).price(9)), Ok(false));
    assert_eq!(add(&pool, Draft::new(2, 1).price(50)), Ok(false));
    assert_eq!(add(&pool, Draft::new(3, 1).price(7)), Ok(false));
    // Executable for nothing evicts queued for something: the cheapest tail.
    assert_eq!(add(&pool, Draft::new(4, 0)), Ok(true));
    assert!(!holds(&pool, Draft::new(3, 1).price(7)));
    assert_eq!(add(&pool, Draft::new(5, 0)), Ok(true));
    assert_eq!(add(&pool, Draft::new(6, 0)), Ok(true));
    let (executable, queued) = contents(&pool);
    assert_eq!((executable.len(), queued.len()), (4, 0));
    // However much a queued one offers, it stays outside.
    assert_eq!(add(&pool, Draft::new(7, 1).price(1_000)), Err(PoolError::Full));
}

#[test]
fn queued_against_queued() {
    let (pool, _) = pool_with(small(2), rules());
    add(&pool, Draft::new(1, 1).price(5)).unwrap();
    add(&pool, Draft::new(2, 1).price(6)).unwrap();
    assert_eq!(add(&pool, Draft::new(3, 1).price(5)), Err(PoolError::Full), "an equal");
    assert_eq!(add(&pool, Draft::new(3, 1).price(6)), Ok(false));
    assert!(!holds(&pool, Draft::new(1, 1).price(5)));
}

#[test]
fn executable_ones_by_price() {
    let (pool, _) = pool_with(small(3), rules());
    for (sender, price) in [(1, 5), (2, 3), (3, 4)] {
        add(&pool, Draft::new(sender, 0).price(price)).unwrap();
    }
    assert_eq!(add(&pool, Draft::new(4, 0).price(3)), Err(PoolError::Full), "an equal");
    assert_eq!(add(&pool, Draft::new(4, 0).price(4)), Ok(true));
    assert!(!holds(&pool, Draft::new(2, 0).price(3)));
}

/// A high price behind a low one is worth the low one: nobody can run it before.
#[test]
fn a_chain_is_worth_its_cheapest_link() {
    let (pool, _) = pool_with(small(3), rules());
    add(&pool, Draft::new(1, 0).price(1)).unwrap();
    add(&pool, Draft::new(1, 1).price(1_000)).unwrap();
    add(&pool, Draft::new(2, 0).price(5)).unwrap();
    assert_eq!(add(&pool, Draft::new(3, 0).price(5)), Ok(true));
    assert!(!holds(&pool, Draft::new(1, 1).price(1_000)));
    // And as a newcomer it is worth no more.
    assert_eq!(add(&pool, Draft::new(1, 1).price(1_000)), Err(PoolError::Full));
    assert_eq!(add(&pool, Draft::new(4, 0).price(2)), Ok(true));
    assert!(!holds(&pool, Draft::new(1, 0).price(1)));
}

/// With equal prices nobody can fill the pool alone.
#[test]
fn equal_prices_are_shared_fairly() {
    let (pool, _) = pool_with(small(4), rules());
    for nonce in 0..4 {
        add(&pool, Draft::new(1, nonce)).unwrap();
    }
    assert_eq!(add(&pool, Draft::new(2, 0)), Ok(true));
    assert_eq!(add(&pool, Draft::new(2, 1)), Ok(true));
    assert_eq!(add(&pool, Draft::new(2, 2)), Err(PoolError::Full), "no more than the other");
    assert_eq!(add(&pool, Draft::new(1, 2)), Err(PoolError::Full));
    assert_eq!(add(&pool, Draft::new(3, 0)), Ok(true));
    assert_eq!(add(&pool, Draft::new(4, 0)), Ok(true));
    assert_eq!(add(&pool, Draft::new(5, 0)), Err(PoolError::Full), "everybody has one");
}

/// What would not make enough room is not evicted.
#[test]
fn all_or_nothing() {
    let one = charge(&Draft::new(1, 0).recovered());
    let limits = MempoolLimits { bytes: 4 * one, ..small(100) };
    let (pool, _) = pool_with(limits, rules());
    add(&pool, Draft::new(1, 0)).unwrap();
    add(&pool, Draft::new(2, 0).price(9)).unwrap();
    add(&pool, Draft::new(3, 1)).unwrap();
    add(&pool, Draft::new(4, 1)).unwrap();
    let before = contents(&pool);
    let huge = Draft::new(5, 0).price(5).gas(1_000_000).input(vec![0; 4 * one]);
    assert_eq!(add(&pool, huge), Err(PoolError::Full));
    assert_eq!(contents(&pool), before);
    // This one needs three places: those of both queued ones and of the worst executable one.
    let large = Draft::new(5, 0).price(5).gas(1_000_000).input(vec![0; one + one / 2]);
    assert_eq!(add(&pool, large), Ok(true));
    assert_eq!(pool.len(), 2);
    assert!(holds(&pool, Draft::new(2, 0).price(9)));
}

#[test]
fn several_from_one_sender() {
    let one = charge(&Draft::new(1, 0).recovered());
    let limits = MempoolLimits { bytes: 5 * one, ..small(100) };
    let (pool, _) = pool_with(limits, rules());
    for nonce in 0..3 {
        add(&pool, Draft::new(1, nonce).price(1)).unwrap();
    }
    add(&pool, Draft::new(2, 0).price(2)).unwrap();
    add(&pool, Draft::new(3, 0).price(3)).unwrap();
    let large = Draft::new(4, 0).price(5).gas(1_000_000).input(vec![0; 2 * one + one / 2]);
    assert_eq!(add(&pool, large), Ok(true));
    let left: Vec<_> = contents(&pool).0.into_keys().collect();
    assert_eq!(left, [(address(3), 0), (address(4), 0)]);
}

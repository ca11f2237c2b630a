//! What the pool remembers of those that it does not hold, and where one stands among those that it does.

use alloy_primitives::B256;
use revm::primitives::hardfork::SpecId;

use crate::mempool::testing::{BLOCK_GAS, CHAIN_ID, Draft, pool, pool_with, rules};
use crate::mempool::{Gone, Mempool, MempoolLimits, Origin, PoolError, PoolRules};

fn add(pool: &Mempool, draft: &Draft) -> B256 {
    pool.add(draft.recovered(), Origin::Local).unwrap().hash
}

#[test]
fn the_reason_is_remembered() {
    let (pool, accounts) = pool();
    accounts.set(1, 0, 100);
    let [first, second, third] = [0, 1, 2].map(|nonce| add(&pool, &Draft::new(1, nonce).value(10)));
    let paid = Draft::new(1, 1).value(10).price(1).gas(21_000);
    assert!(pool.add(paid.recovered(), Origin::Local).is_err(), "it costs too much");
    let refused = pool.gone(paid.recovered().hash());
    assert!(matches!(refused, Some(Gone::Refused(PoolError::InsufficientFunds { .. }))), "{refused:?}");

    let other = add(&pool, &Draft::new(1, 1).value(20));
    assert_eq!(pool.gone(&second), Some(Gone::Replaced { by: other }));
    pool.on_final(&[first], &[accounts.set(1, 1, 100)]);
    assert_eq!(pool.gone(&first), None, "it is final");
    pool.on_final(&[], &[accounts.set(1, 2, 5)]);
    assert_eq!(pool.gone(&other), Some(Gone::NonceUsed { next: 2 }));
    assert!(matches!(pool.gone(&third), Some(Gone::Unaffordable { .. })), "{:?}", pool.gone(&third));

    let cheap = add(&pool, &Draft::new(2, 0));
    let odd = add(&pool, &Draft::new(3, 0).price(9));
    pool.discard(&odd);
    assert_eq!(pool.gone(&odd), Some(Gone::Impossible));
    pool.set_rules(PoolRules::new(CHAIN_ID, SpecId::PRAGUE, 5, 0, BLOCK_GAS));
    assert_eq!(pool.gone(&cheap), Some(Gone::Refused(PoolError::FeeCapTooLow { fee_cap: 0, base_fee: 5 })));
    assert_eq!(pool.gone(&B256::ZERO), None);
}

#[test]
fn peers_do_not_fill_the_memory() {
    let (pool, accounts) = pool();
    accounts.set(1, 5, 100);
    let old = Draft::new(1, 4).recovered();
    assert!(pool.add(old.clone(), Origin::Peer).is_err());
    assert_eq!(pool.gone(old.hash()), None);
}

#[test]
fn who_was_evicted_is_told() {
    let limits = MempoolLimits { transactions: 1, ..MempoolLimits::default() };
    let (pool, _) = pool_with(limits, rules());
    let cheap = add(&pool, &Draft::new(1, 0).price(1));
    add(&pool, &Draft::new(2, 0).price(2));
    assert_eq!(pool.gone(&cheap), Some(Gone::Evicted));
}

/// The number that come before is where the builder puts it.
#[test]
fn the_place_is_that_in_the_order_of_blocks() {
    let (pool, _) = pool();
    let prices: [&[u128]; 4] = [&[5, 9, 1, 7], &[6, 2], &[5, 5, 5], &[1, 9]];
    for (sender, prices) in (1..).zip(prices) {
        for (nonce, price) in (0..).zip(prices) {
            add(&pool, &Draft::new(sender, nonce).price(*price));
        }
    }
    let queued = add(&pool, &Draft::new(1, 9));
    let mut best = pool.best(0);
    let order: Vec<B256> = std::iter::from_fn(|| best.next_with(|_| Some(0))).map(|tx| *tx.hash()).collect();
    assert_eq!(order.len(), 11);
    let places: Vec<_> = order.iter().map(|hash| pool.ahead_of(hash)).collect();
    assert_eq!(places, (0..11).map(Some).collect::<Vec<_>>());
    assert_eq!(pool.ahead_of(&queued), None);
    assert_eq!(pool.ahead_of(&B256::ZERO), None);
}

//! What final blocks, new rules and time do to the pool.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256};
use revm::primitives::hardfork::SpecId;

use crate::mempool::testing::{
    Accounts, BLOCK_GAS, CHAIN_ID, Draft, PLENTY, address, check_invariants, contents, pool, rules,
};
use crate::mempool::{Account, AccountSource, Mempool, MempoolLimits, Origin, PoolError, PoolEvent, PoolRules};

fn add(pool: &Mempool, draft: &Draft) -> B256 {
    let outcome = pool.add(draft.recovered(), Origin::Peer).unwrap();
    check_invariants(&pool.lock().pool);
    outcome.hash
}

/// Nonces of a sender: executable, queued.
fn nonces(pool: &Mempool, sender: u64) -> (Vec<u64>, Vec<u64>) {
    check_invariants(&pool.lock().pool);
    let Some(content) = pool.content_from(address(sender)) else {
        return (vec![], vec![]);
    };
    (content.executable.iter().map(|tx| tx.nonce()).collect(), content.queued.iter().map(|tx| tx.nonce()).collect())
}

/// (account's nonce and balance after the block, executable, queued) from nonces 0, 1, 2 and 4, 5
/// of value 10 each and a balance of 40.
#[test]
fn accounts_are_taken_over() {
    let table: [(u64, u128, &[u64], &[u64]); 9] = [
        (0, 40, &[0, 1, 2], &[4, 5]),
        (1, 40, &[1, 2], &[4, 5]),
        (3, 40, &[], &[4, 5]),
        (4, 40, &[4, 5], &[]),
        (5, 40, &[5], &[]),
        (6, 40, &[], &[]),
        (0, 29, &[0, 1], &[2, 4, 5]),
        (4, 10, &[4], &[5]),
        (1, 9, &[], &[]),
    ];
    for (nonce, balance, executable, queued) in table {
        let (pool, accounts) = pool();
        accounts.set(1, 0, 40);
        for nonce in [0, 1, 2, 4, 5] {
            add(&pool, &Draft::new(1, nonce).value(10));
        }
        add(&pool, &Draft::new(2, 0));
        pool.on_final(&[], &[accounts.set(1, nonce, balance), accounts.set(9, 1, 1)]);
        let expected = (executable.to_vec(), queued.to_vec());
        assert_eq!(nonces(&pool, 1), expected, "nonce {nonce}, balance {balance}");
        assert_eq!(nonces(&pool, 2).0, [0], "others are left alone");
    }
}

#[test]
fn money_that_comes_promotes() {
    let (pool, accounts) = pool();
    accounts.set(1, 0, 10);
    add(&pool, &Draft::new(1, 1).value(10));
    add(&pool, &Draft::new(1, 0).value(10));
    assert_eq!(nonces(&pool, 1), (vec![0], vec![1]));
    let mut events = pool.subscribe();
    pool.on_final(&[], &[accounts.set(1, 0, 20)]);
    assert_eq!(nonces(&pool, 1), (vec![0, 1], vec![]));
    assert!(matches!(events.try_recv(), Ok(PoolEvent::Promoted { tx }) if tx.nonce() == 1));
    assert!(events.try_recv().is_err());
}

#[test]
fn included_ones_leave_even_if_their_sender_was_not_named() {
    let (pool, _) = pool();
    let first = add(&pool, &Draft::new(1, 0));
    add(&pool, &Draft::new(1, 1));
    pool.on_final(&[first, B256::ZERO], &[]);
    assert_eq!(nonces(&pool, 1), (vec![], vec![1]));
}

#[test]
fn an_account_is_read_again_once_its_sender_was_gone() {
    let (pool, accounts) = pool();
    let hash = add(&pool, &Draft::new(1, 0));
    pool.on_final(&[hash], &[accounts.set(1, 1, 5)]);
    assert!(pool.is_empty() && pool.status().senders == 0);
    let error = pool.add(Draft::new(1, 0).recovered(), Origin::Peer).unwrap_err();
    assert_eq!(error, PoolError::NonceTooLow { expected: 1, got: 0 });
    assert!(pool.add(Draft::new(1, 1).value(6).recovered(), Origin::Peer).is_err());
    add(&pool, &Draft::new(1, 1).value(5));
}

#[test]
fn discarding_queues_what_follows() {
    let (pool, _) = pool();
    add(&pool, &Draft::new(1, 0));
    let hash = add(&pool, &Draft::new(1, 1));
    add(&pool, &Draft::new(1, 2));
    pool.discard(&hash);
    assert_eq!(nonces(&pool, 1), (vec![0], vec![2]));
    pool.discard(&hash);
    add(&pool, &Draft::new(1, 1));
    assert_eq!(nonces(&pool, 1), (vec![0, 1, 2], vec![]));
}

#[test]
fn new_rules_judge_again() {
    let (pool, _) = pool();
    add(&pool, &Draft::new(1, 0).price(3));
    add(&pool, &Draft::new(1, 1).price(9));
    add(&pool, &Draft::new(2, 0).price(5).gas(50_000));
    add(&pool, &Draft::new(3, 0).fees(8, 1));
    add(&pool, &Draft::new(4, 0).fees(8, 2));
    pool.set_rules(PoolRules::new(CHAIN_ID, SpecId::PRAGUE, 5, 0, 40_000));
    check_invariants(&pool.lock().pool);
    assert_eq!(nonces(&pool, 1), (vec![], vec![1]), "below the base fee");
    assert_eq!(nonces(&pool, 2), (vec![], vec![]), "above the gas limit");
    let mut best = pool.best(5);
    let order: Vec<_> = std::iter::from_fn(|| best.next_with(|_| Some(0))).map(|tx| tx.sender()).collect();
    assert_eq!(order, [address(4), address(3)], "ordered by the new tips");
}

#[test]
fn work_is_what_unfinal_blocks_do_not_hold() {
    let (pool, _) = pool();
    let none: &[&HashSet<B256>] = &[];
    assert!(!pool.has_executable_excluding(none));
    let a = add(&pool, &Draft::new(1, 0));
    let b = add(&pool, &Draft::new(2, 0));
    let queued = add(&pool, &Draft::new(3, 1));
    let foreign = B256::repeat_byte(7);
    let table: [(Vec<Vec<B256>>, usize); 6] = [
        (vec![], 2),
        (vec![vec![a]], 1),
        (vec![vec![a], vec![b]], 0),
        (vec![vec![a, b, foreign], vec![queued]], 0),
        (vec![vec![foreign, queued], vec![]], 2),
        (vec![vec![a, foreign, queued]], 1),
    ];
    for (sets, expected) in table {
        let sets: Vec<HashSet<B256>> = sets.into_iter().map(|set| set.into_iter().collect()).collect();
        let sets: Vec<_> = sets.iter().collect();
        assert_eq!(pool.executable_excluding(&sets), expected);
        assert_eq!(pool.has_executable_excluding(&sets), expected > 0);
    }
}

#[test]
fn stale_ones_are_given_out_once_per_wait() {
    let (pool, accounts) = pool();
    let hashes: Vec<_> = (0..3).map(|sender| add(&pool, &Draft::new(sender, 0))).collect();
    add(&pool, &Draft::new(9, 1));
    let wait = Duration::from_secs(3);
    let start = Instant::now();
    let ask = |after: u64, count: usize| -> Vec<B256> {
        let now = start + Duration::from_secs(after);
        pool.lock().stale_at(now, wait, count).iter().map(|tx| *tx.hash()).collect()
    };
    assert!(ask(2, 10).is_empty());
    assert_eq!(ask(4, 2), hashes[..2], "the oldest first");
    assert_eq!(ask(5, 10), hashes[2..], "the queued one is not for pushing");
    assert!(ask(6, 10).is_empty());
    pool.on_final(&[hashes[0]], &[accounts.set(0, 1, PLENTY)]);
    assert_eq!(ask(100, 10), hashes[1..], "what is gone is not pushed");
    assert_eq!(pool.stale(Duration::ZERO, 10).len(), 2, "no wait: each once, and it ends");
    assert!(pool.stale(Duration::from_secs(3600), 10).is_empty());
}

#[test]
fn the_order_of_pushes_stays_small() {
    let (pool, accounts) = pool();
    for nonce in 0..5_000 {
        let hash = add(&pool, &Draft::new(1, nonce));
        pool.on_final(&[hash], &[accounts.set(1, nonce + 1, 0)]);
    }
    assert!(pool.lock().pushes.len() <= 1_025);
    assert_eq!(contents(&pool).0.len(), 0);
}

#[test]
fn limits_of_a_block_are_rules_of_the_chain() {
    let rules = PoolRules::new(1, SpecId::OSAKA, 0, 0, BLOCK_GAS);
    assert_eq!(rules.tx_gas_limit_cap, Some(1 << 24));
    assert_eq!(PoolRules::new(1, SpecId::PRAGUE, 0, 0, 1).tx_gas_limit_cap, None);
}

/// Reads an account and then has a block become final before it answers, once.
#[derive(Default)]
struct Overtaken {
    accounts: Accounts,
    pool: OnceLock<Weak<Mempool>>,
}

impl AccountSource for Overtaken {
    fn account(&self, address: Address) -> Result<Account, Box<dyn std::error::Error + Send + Sync>> {
        let account = self.accounts.account(address)?;
        if account.nonce == 0 {
            let pool = self.pool.get().unwrap().upgrade().unwrap();
            pool.on_final(&[], &[self.accounts.set(1, 1, PLENTY)]);
        }
        Ok(account)
    }
}

#[test]
fn an_account_that_a_block_overtakes_is_read_again() {
    let source = Arc::new(Overtaken::default());
    let pool = Mempool::open(MempoolLimits::default(), rules(), source.clone(), None).unwrap();
    let pool = Arc::new(pool);
    source.pool.set(Arc::downgrade(&pool)).unwrap();
    let error = pool.add(Draft::new(1, 0).recovered(), Origin::Peer).unwrap_err();
    assert_eq!(error, PoolError::NonceTooLow { expected: 1, got: 0 });
    assert_eq!(source.accounts.reads.load(Ordering::Relaxed), 2);
    add(&pool, &Draft::new(1, 1));
}

/// The same with threads, however they fall.
#[test]
fn admission_during_final_blocks() {
    let (pool, accounts) = pool();
    std::thread::scope(|scope| {
        for part in 0..3u64 {
            let pool = &pool;
            scope.spawn(move || {
                for nonce in 0..300 {
                    for sender in 0..4 {
                        // Most are refused: their nonce is used or taken already.
                        let draft = Draft::new(sender, nonce).value(part);
                        let _ = pool.add(draft.recovered(), Origin::Peer);
                    }
                }
            });
        }
        scope.spawn(|| {
            for nonce in 1..=300 {
                let touched: Vec<_> = (0..4).map(|sender| accounts.set(sender, nonce, PLENTY)).collect();
                pool.on_final(&[], &touched);
            }
        });
    });
    check_invariants(&pool.lock().pool);
    assert!(pool.is_empty(), "all nonces are used");
}

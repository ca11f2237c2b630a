//! Measurements, not tests: run them with `--ignored --nocapture`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_primitives::B256;

use crate::mempool::testing::{Draft, PLENTY, address, pool};
use crate::mempool::{Account, Mempool, Origin};
use crate::transaction::Recovered;

fn drafts(senders: u64, each: u64) -> Vec<Arc<Recovered>> {
    (0..each).flat_map(|nonce| (0..senders).map(move |s| Arc::new(Draft::new(s, nonce).recovered()))).collect()
}

fn per(start: Instant, count: usize) -> Duration {
    start.elapsed() / u32::try_from(count).unwrap()
}

fn walk(pool: &Mempool) -> usize {
    let mut best = pool.best(0);
    std::iter::from_fn(|| best.next_with(|_| Some(0))).count()
}

fn measure(senders: u64, each: u64) {
    let (pool, _) = pool();
    let all = drafts(senders, each);
    println!("{senders} senders with {each} each:");
    let start = Instant::now();
    for tx in &all {
        pool.add(Arc::clone(tx), Origin::Peer).unwrap();
    }
    println!("  add                 {:?} each", per(start, all.len()));
    let start = Instant::now();
    assert_eq!(walk(&pool), all.len());
    println!("  best, all           {:?} each", per(start, all.len()));
    let start = Instant::now();
    let mut best = pool.best(0);
    for _ in 0..100 {
        best.next_with(|_| Some(0)).unwrap();
    }
    println!("  best, the first 100 {:?} together", start.elapsed());
    let (in_blocks, _): (Vec<B256>, Vec<B256>) = all.iter().map(|tx| (*tx.hash(), B256::ZERO)).unzip();
    let half: HashSet<B256> = in_blocks[..in_blocks.len() / 2].iter().copied().collect();
    let start = Instant::now();
    assert!(pool.has_executable_excluding(&[&half]));
    println!("  has work, half in   {:?}", start.elapsed());
    let start = Instant::now();
    assert_eq!(pool.executable_excluding(&[&half]), all.len() - half.len());
    println!("  count, half in      {:?}", start.elapsed());
    let account =
        Account { nonce: each.div_ceil(2), balance: alloy_primitives::U256::from(PLENTY), is_contract: false };
    let touched: Vec<_> = (0..senders).map(|sender| (address(sender), account)).collect();
    let start = Instant::now();
    pool.on_final(&in_blocks[..in_blocks.len() / 2], &touched);
    println!("  on_final, half      {:?}", start.elapsed());
}

#[test]
#[ignore = "a measurement"]
fn rates() {
    measure(10_000, 1);
    measure(1_000, 10);
    measure(1, 5_000);
}

/// Several threads add while one walks.
#[test]
#[ignore = "a measurement"]
fn contention() {
    let (pool, _) = pool();
    let all = drafts(10_000, 4);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for part in all.chunks(all.len() / 4) {
            let pool = &pool;
            scope.spawn(move || {
                for tx in part {
                    pool.add(Arc::clone(tx), Origin::Peer).unwrap();
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..20 {
                walk(&pool);
            }
        });
    });
    println!("four adding, one walking: {:?} per add", per(start, all.len()));
}

/// A full pool in which each newcomer evicts somebody.
#[test]
#[ignore = "a measurement"]
fn full() {
    let (pool, _) = pool();
    for tx in drafts(10, 5_000) {
        pool.add(tx, Origin::Peer).unwrap();
    }
    let newcomers: Vec<_> = (0..10_000).map(|s| Arc::new(Draft::new(1_000 + s, 0).recovered())).collect();
    let start = Instant::now();
    for tx in &newcomers {
        pool.add(Arc::clone(tx), Origin::Peer).unwrap();
    }
    println!("add with eviction: {:?} each", per(start, newcomers.len()));
    println!("{:?}", pool.status());
}

/// Memory per transaction, to compare with what it is counted with: look at VmRSS.
#[test]
#[ignore = "a measurement"]
fn memory() {
    let rss = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
    };
    let (pool, _) = pool();
    let before = rss();
    for sender in 0..40_000 {
        pool.add(Draft::new(sender, 0).recovered(), Origin::Peer).unwrap();
    }
    let grown = rss() - before;
    println!("{} bytes each, counted {}", grown / 40_000, pool.status().bytes / 40_000);
}

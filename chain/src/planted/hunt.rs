//! The hunt: whether the harness of this crate finds the planted bugs, and after how many seeds.

use std::time::Instant;

use super::{Bug, pair, plant};

/// How many seeds a hunt may take.
const SEEDS: u64 = 10;

/// The first seed with which the bug is found, and what did not hold then.
fn hunt(bug: Bug) -> Option<(u64, String)> {
    let _planted = plant(bug);
    (0..SEEDS).find_map(|seed| pair::play(seed).map(|failure| (seed, failure)))
}

/// The bug is found by what it breaks.
fn is_found(bug: Bug, by: &str) {
    let found = hunt(bug);
    assert!(found.as_ref().is_some_and(|(_, failure)| failure.contains(by)), "{found:?}");
}

#[test]
fn without_a_bug_two_chains_stay_the_same() {
    for seed in 0..SEEDS {
        assert_eq!(pair::play(seed), None, "seed {seed}");
    }
}

#[test]
fn the_order_of_a_hash_map_in_a_root_is_found() {
    is_found(Bug::HashMapOrder, "receiptsRoot");
}

#[test]
fn a_local_clock_in_a_block_is_found() {
    is_found(Bug::LocalClock, "stateRoot");
}

#[test]
fn a_nonce_check_that_is_off_by_one_is_found() {
    is_found(Bug::NonceOffByOne, "was executed again");
}

/// The rows of docs/planted-bugs.md.
#[test]
#[ignore = "prints a table: `make planted`"]
fn table() {
    println!();
    for bug in Bug::ALL {
        let start = Instant::now();
        let found = hunt(bug);
        assert!(found.is_some(), "{} is not found", bug.name());
        let (count, ms) = (found.map_or(0, |(seed, _)| seed + 1), start.elapsed().as_millis());
        println!("| {} | {} | two chains, one builds, one judges | {count} | {ms} |", bug.name(), bug.imitates());
    }
}

//! The simulator's runs with the real execution: each simulated node has a chain of its own, with EVM, mempool and
//! RocksDB, where the quick runs have a ledger that only counts. What is checked besides: nothing is made or lost, and
//! each transaction is executed once.
//!
//! The network, the disks of log and mark, the clocks and the crashes are the simulator's. A restarted node opens its
//! database again, or begins a new one with the blocks that its simulated disk kept.

mod chain;

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use assent_consensus::sim::{Faults, Goal, Load, Report, Rng, Scenario, Stakes, run_with};
use assent_tests::dice::Soak;

use chain::{Network, RealChain};

/// Blocks that a run makes at least.
const HEIGHTS: u64 = 12;
/// How long faults last in a quick run, in milliseconds.
const QUICK_MS: u64 = 6_000;
/// Four or five validators with weights from 1 to this.
const MOST_WEIGHT: u64 = 100;

/// The scenario with fewer blocks, and with faults for so many milliseconds at most.
fn small(scenario: Scenario, faults_ms: u64) -> Scenario {
    let faults = Faults { for_ms: scenario.faults.for_ms.min(faults_ms), ..scenario.faults };
    let (load, goal) = (Load::Every(25), Goal::Heights(HEIGHTS));
    Scenario { min_block_interval_ms: 200, load, goal, faults, ..scenario }
}

/// Plays a run; how it went, and how many transactions were executed.
fn play(scenario: &Scenario, seed: u64) -> (Report, u64) {
    let mut rng = Rng::new(seed);
    let count = rng.between(4, 5);
    let weights: Vec<u64> = (0..count).map(|_| rng.between(1, MOST_WEIGHT)).collect();
    let network = Arc::new(Network::new(&weights, seed));
    let scenario = Scenario { stakes: Stakes::Given(weights), ..scenario.clone() };
    let report = run_with(&scenario, seed, &mut || Box::new(RealChain::new(network.clone())));
    assert!(report.is_ok(), "with the real execution:\n{report}");
    let executed = network.executed();
    assert!(executed > 0, "nothing was executed:\n{report}");
    (report, executed)
}

/// Plays some seeds of the scenario.
fn play_some(scenario: Scenario, seeds: std::ops::Range<u64>) -> Vec<Report> {
    let scenario = small(scenario, QUICK_MS);
    seeds.map(|seed| play(&scenario, seed).0).collect()
}

#[test]
fn a_calm_network_executes_each_transaction_once_and_loses_nothing() {
    for report in play_some(Scenario::calm(), 0..2) {
        assert_eq!(report.view_changes, 0, "\n{report}");
        assert!(report.heights >= HEIGHTS, "\n{report}");
    }
}

#[test]
fn nodes_that_lose_power_open_their_chains_again_and_go_on() {
    let reports = play_some(Scenario::crashes(), 0..3);
    let crashes: u64 = reports.iter().map(|report| report.crashes).sum();
    assert!(crashes >= 10, "{crashes} crashes in all runs");
}

#[test]
fn parts_of_a_network_come_together_upon_one_state() {
    play_some(Scenario::partitions(), 0..2);
}

#[test]
fn a_network_in_chaos_executes_each_transaction_once_and_loses_nothing() {
    play_some(Scenario::chaos(), 0..2);
}

#[test]
fn one_seed_is_one_run_with_the_real_execution_too() {
    let scenario = small(Scenario::chaos(), QUICK_MS);
    assert_eq!(play(&scenario, 7), play(&scenario, 7));
}

/// All scenarios but the one without transactions, and the one with twins: of two real blocks that one validator
/// makes of the same transactions at the same time there is only one.
#[test]
#[ignore = "long: make soak"]
fn soak_of_the_real_execution() -> Result<()> {
    let soak = Soak::from_environment()?;
    let all: Vec<Scenario> = Scenario::all().into_iter().filter(|it| !["idle", "twins"].contains(&it.name)).collect();
    let (mut seed, mut heights, mut executed, mut crashes) = (soak.seed, 0, 0, 0);
    let start = Instant::now();
    while start.elapsed() < soak.time {
        for scenario in &all {
            let (report, transactions) = play(&small(scenario.clone(), u64::MAX), seed);
            heights += report.heights;
            executed += transactions;
            crashes += report.crashes;
        }
        seed = seed.wrapping_add(1);
    }
    println!("seeds {} to {seed} of {} scenarios with the real execution:", soak.seed, all.len());
    println!("{heights} heights, {executed} transactions, {crashes} crashes; failures: none");
    Ok(())
}

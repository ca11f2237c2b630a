//! The hunt: which harness finds which planted bug, and after how many seeds.

use super::{Bug, one_core, plant};
use crate::sim::{Scenario, Stakes, run};

/// Something that plays a seed and tells what did not hold.
struct Harness {
    name: &'static str,
    play: fn(u64) -> Option<String>,
    /// How many seeds a hunt may take.
    seeds: u64,
    /// The bugs that it has to find within them.
    finds: &'static [Bug],
}

/// All harnesses of this crate. A new one is added here; `finds` is what the quick tests hold it to, `make planted`
/// tries it on every bug.
const HARNESSES: &[Harness] = &[
    Harness {
        name: "one core among hostile peers",
        play: one_core::play,
        seeds: 200,
        finds: &[
            Bug::QuorumOf2f,
            Bug::PrepareAfterViewChange,
            Bug::CommitAndViewChange,
            Bug::DuplicateSigner,
            Bug::ChainIdMissing,
            Bug::ThresholdInconsistent,
            Bug::StaleTimeout,
            Bug::CertificateOfAnotherBlock,
        ],
    },
    Harness { name: "simulator: calm", play: calm, seeds: 10, finds: &[Bug::StaleTimeout] },
    Harness { name: "simulator: lossy", play: lossy, seeds: 30, finds: &[Bug::DuplicateSigner] },
    Harness {
        name: "simulator: partitions, equal stakes",
        play: partitions,
        seeds: 60,
        finds: &[Bug::QuorumOf2f, Bug::PrepareAfterViewChange, Bug::CommitAndViewChange],
    },
    Harness { name: "simulator: crashes", play: crashes, seeds: 60, finds: &[Bug::VoteBeforeSync] },
    Harness { name: "simulator: twins", play: twins, seeds: 60, finds: &[Bug::CertificateOfAnotherBlock] },
    Harness { name: "simulator: chaos", play: chaos, seeds: 30, finds: &[] },
    Harness { name: "simulator: random, with Byzantine validators", play: random, seeds: 200, finds: &[] },
    Harness { name: "twins, cuts enumerated", play: crate::sim::twins::hunt, seeds: 300, finds: &[] },
];

/// Beside everything that the simulator checks: without faults no view is given up.
fn calm(seed: u64) -> Option<String> {
    let report = run(&Scenario::calm(), seed);
    let gave_up = (report.view_changes > 0).then(|| format!("{} view changes without a fault", report.view_changes));
    report.failure.or(gave_up)
}

fn lossy(seed: u64) -> Option<String> {
    run(&Scenario::lossy(), seed).failure
}

/// With four equal validators no side of a network that fell in two is a quorum.
fn partitions(seed: u64) -> Option<String> {
    let scenario = Scenario { stakes: Stakes::Given(vec![1, 1, 1, 1]), ..Scenario::partitions() };
    run(&scenario, seed).failure
}

fn crashes(seed: u64) -> Option<String> {
    run(&Scenario::crashes(), seed).failure
}

fn twins(seed: u64) -> Option<String> {
    run(&Scenario::twins(), seed).failure
}

fn chaos(seed: u64) -> Option<String> {
    run(&Scenario::chaos(), seed).failure
}

fn random(seed: u64) -> Option<String> {
    run(&Scenario::random(seed), seed).failure
}

/// The first seed with which a harness finds a bug, and what it then says.
fn hunt(harness: &Harness, bug: Bug) -> Option<(u64, String)> {
    let _planted = plant(bug);
    (0..harness.seeds).find_map(|seed| (harness.play)(seed).map(|failure| (seed, failure)))
}

/// Each harness that has to find a bug does; and what it finds is the bug: without it the same seeds pass.
fn is_found(bug: Bug) {
    let hunters: Vec<&Harness> = HARNESSES.iter().filter(|harness| harness.finds.contains(&bug)).collect();
    assert!(!hunters.is_empty(), "no harness looks for it");
    for harness in hunters {
        let found = hunt(harness, bug);
        assert!(found.is_some(), "{} does not find it with {} seeds", harness.name, harness.seeds);
        let seeds = found.map_or(0, |(seed, _)| seed + 1);
        for seed in 0..seeds {
            assert_eq!((harness.play)(seed), None, "{}, seed {seed}, without the bug", harness.name);
        }
    }
}

#[test]
fn a_quorum_of_2f_is_found() {
    is_found(Bug::QuorumOf2f);
}

#[test]
fn a_prepare_after_a_view_change_is_found() {
    is_found(Bug::PrepareAfterViewChange);
}

#[test]
fn commit_and_view_change_of_one_view_are_found() {
    is_found(Bug::CommitAndViewChange);
}

#[test]
fn a_vote_that_leaves_before_the_sync_is_found() {
    is_found(Bug::VoteBeforeSync);
}

#[test]
fn a_signer_who_counts_twice_is_found() {
    is_found(Bug::DuplicateSigner);
}

#[test]
fn sign_bytes_without_the_chain_are_found() {
    is_found(Bug::ChainIdMissing);
}

#[test]
fn a_second_threshold_is_found() {
    is_found(Bug::ThresholdInconsistent);
}

#[test]
fn a_stale_timeout_that_is_acted_on_is_found() {
    is_found(Bug::StaleTimeout);
}

#[test]
fn a_certificate_of_another_block_that_counts_is_found() {
    is_found(Bug::CertificateOfAnotherBlock);
}

/// The rows of docs/planted-bugs.md: each harness on each bug.
#[test]
#[ignore = "prints a table: `make planted`"]
#[allow(clippy::disallowed_types, reason = "tells how long a hunt takes")]
fn table() {
    println!();
    for bug in Bug::ALL {
        let mut blind = Vec::new();
        for harness in HARNESSES {
            let start = std::time::Instant::now();
            match hunt(harness, bug) {
                Some((seed, _)) => {
                    let (count, ms) = (seed + 1, start.elapsed().as_millis());
                    println!("| {} | {} | {} | {count} | {ms} |", bug.name(), bug.imitates(), harness.name);
                }
                None => blind.push(format!("{} ({})", harness.name, harness.seeds)),
            }
        }
        assert!(blind.len() < HARNESSES.len(), "{} is found by no harness", bug.name());
        if !blind.is_empty() {
            println!("| {} | | not found by: {} | | |", bug.name(), blind.join(", "));
        }
    }
}

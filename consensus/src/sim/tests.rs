//! Runs of the simulator. A failing seed prints its timeline and the command that plays it again.
#![allow(clippy::unwrap_used)]

use super::*;

fn sound(scenario: &Scenario, seed: u64) -> Report {
    let report = run(scenario, seed);
    assert!(report.is_ok(), "\n{report}");
    report
}

/// Plays seeds and stops at the first that fails.
fn play(scenario: &Scenario, seeds: std::ops::Range<u64>) -> Vec<Report> {
    seeds.map(|seed| sound(scenario, seed)).collect()
}

fn worst_recovery(reports: &[Report]) -> u64 {
    reports.iter().filter_map(|report| report.recovery_ms).max().unwrap_or(0)
}

fn sum(reports: &[Report], of: impl Fn(&Report) -> u64) -> u64 {
    reports.iter().map(of).sum()
}

/// One seed of one scenario, named by environment variables.
#[test]
#[allow(clippy::disallowed_methods, reason = "a test that a person points at a seed")]
fn replay() {
    let seed = std::env::var("ASSENT_SIM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let name = std::env::var("ASSENT_SIM_SCENARIO").unwrap_or_else(|_| "calm".to_owned());
    let scenario = Scenario { whole_timeline: true, ..Scenario::named(&name, seed).unwrap() };
    let report = run(&scenario, seed);
    println!("{report}");
    assert!(report.is_ok(), "\n{report}");
}

/// More seeds of all scenarios: ASSENT_SIM_SEEDS=FROM..TO, and for one scenario ASSENT_SIM_SCENARIO=NAME.
#[test]
#[allow(clippy::disallowed_methods, reason = "a test that a person gives more seeds")]
fn sweep() {
    let range = std::env::var("ASSENT_SIM_SEEDS").unwrap_or_else(|_| "0..3".to_owned());
    let (from, to) = range.split_once("..").unwrap();
    let chosen = std::env::var("ASSENT_SIM_SCENARIO").ok();
    let (from, to): (u64, u64) = (from.parse().unwrap(), to.parse().unwrap());
    for name in Scenario::all().iter().map(|scenario| scenario.name).chain(["random"]) {
        let chosen = chosen.as_ref().is_none_or(|chosen| chosen == name);
        let seeds = if chosen { from..to } else { 0..0 };
        let reports: Vec<Report> = seeds.map(|seed| sound(&Scenario::named(name, seed).unwrap(), seed)).collect();
        if reports.is_empty() {
            continue;
        }
        println!(
            "{:12} {} runs, {} heights, {} view changes, {} crashes, {} accused, {} messages, {} s of virtual time; worst recovery {} ms",
            name,
            reports.len(),
            sum(&reports, |r| r.heights),
            sum(&reports, |r| r.view_changes),
            sum(&reports, |r| r.crashes),
            sum(&reports, |r| r.accused),
            sum(&reports, |r| r.messages),
            sum(&reports, |r| r.virtual_ms) / 1000,
            worst_recovery(&reports),
        );
        println!("             worst recovery in views: {:?}", reports.iter().filter_map(|r| r.recovery_views).max());
    }
}

#[test]
fn the_same_seed_plays_the_same_run() {
    for scenario in Scenario::all() {
        assert_eq!(run(&scenario, 7), run(&scenario, 7), "{}", scenario.name);
    }
    assert_ne!(run(&Scenario::chaos(), 7).trace, run(&Scenario::chaos(), 8).trace);
}

#[test]
fn calm_networks_make_blocks_and_no_view_changes() {
    let reports = play(&Scenario::calm(), 0..300);
    assert_eq!(sum(&reports, |report| report.view_changes), 0);
    // 50 blocks at 50 ms, and what starting takes.
    assert!(reports.iter().all(|report| report.virtual_ms < 6_000));
}

#[test]
fn an_idle_chain_does_nothing() {
    for report in play(&Scenario::idle(), 0..20) {
        assert_eq!((report.heights, report.view_changes), (0, 0), "{report}");
    }
}

#[test]
fn an_idle_chain_makes_empty_blocks_at_their_interval() {
    let scenario = Scenario { empty_block_interval_ms: 10_000, ..Scenario::idle() };
    for report in play(&scenario, 0..20) {
        assert_eq!(report.view_changes, 0, "{report}");
        assert!((11..=12).contains(&report.heights), "{report}");
    }
}

#[test]
fn bursts_of_work_leave_no_view_changes_behind() {
    let scenario = Scenario { load: Load::Every(3_000), goal: Goal::Time(60_000), ..Scenario::calm() };
    for report in play(&scenario, 0..50) {
        assert_eq!(report.view_changes, 0, "{report}");
        assert!((19..=21).contains(&report.heights), "one block for each: {report}");
    }
}

#[test]
fn lossy_networks() {
    play(&Scenario::lossy(), 0..60);
}

#[test]
fn a_dead_third_minus_one() {
    play(&Scenario::dead_third(), 0..60);
}

#[test]
fn crashes_and_restarts() {
    let reports = play(&Scenario::crashes(), 0..60);
    assert!(sum(&reports, |report| report.crashes) > 400);
}

#[test]
fn all_at_once() {
    play(&Scenario::blackouts(), 0..60);
}

#[test]
fn wiped_validators() {
    play(&Scenario::wiped(), 0..60);
}

#[test]
fn restored_backups() {
    play(&Scenario::rolled_back(), 0..60);
}

#[test]
fn partitions() {
    play(&Scenario::partitions(), 0..60);
}

#[test]
fn twins_are_found_and_agreement_holds() {
    let reports = play(&Scenario::twins(), 0..60);
    let found = sum(&reports, |report| report.accused);
    assert!(found >= 40, "evidence in {found} of 60 runs");
}

#[test]
fn everything_at_once() {
    play(&Scenario::chaos(), 0..60);
}

#[test]
fn thousands_of_heights() {
    let scenario = Scenario { goal: Goal::Heights(2_000), ..Scenario::calm() };
    let report = play(&scenario, 1..2).remove(0);
    assert!(report.heights >= 2_000 && report.view_changes == 0);
}

/// Plays the seeds of `random` scenarios on two cores.
fn play_random(seeds: std::ops::Range<u64>) -> Vec<Report> {
    let half = |first: u64| seeds.clone().filter(move |seed| seed % 2 == first);
    let part = |first| half(first).map(|seed| sound(&Scenario::random(seed), seed)).collect::<Vec<_>>();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| part(1));
        let mut reports = part(0);
        reports.extend(other.join().unwrap());
        reports
    })
}

fn faults_of(reports: &[Report]) -> Counts {
    let mut faults = Counts::default();
    reports.iter().for_each(|report| faults.extend(&report.faults));
    faults
}

fn print_faults(faults: &Counts) {
    let (behaviours, kinds): (Vec<_>, Vec<_>) =
        faults.iter().partition(|(name, _)| Byzantine::from_name(name).is_some());
    for (title, list) in [("fault kinds", kinds), ("Byzantine behaviours", behaviours)] {
        println!("{} {title}:", list.len());
        list.iter().for_each(|(name, count)| println!("  {count:>12}  {name}"));
    }
}

/// Seeds of long sweeps that failed once.
#[test]
fn seeds_that_failed_once() {
    // A verdict was lost, and views went by too quickly for it to be asked for again: the blocks of the others waited for
    // this validator's Commit for ever.
    play_random(53_089..53_090);
    // A lone quorum's clock was ahead and set right, the disk lost the last blocks: its own final blocks, still in the log,
    // were too far ahead of its clock to be taken again.
    play_random(112_265..112_266);
}

/// The quick share of the sweep: 2,000 seeds of at least 50 heights, in which each kind of fault and each Byzantine
/// behaviour comes to pass.
#[test]
#[allow(clippy::disallowed_types, reason = "it says how long it took")]
fn two_thousand_seeds_of_fifty_heights() {
    let started = std::time::Instant::now();
    let reports = play_random(0..2_000);
    let took = started.elapsed();
    let simulated = sum(&reports, |report| report.virtual_ms);
    println!(
        "{} seeds, {} heights, {} s simulated in {took:?} on two threads; worst recovery {} ms, {:?} views",
        reports.len(),
        sum(&reports, |report| report.heights),
        simulated / 1000,
        worst_recovery(&reports),
        reports.iter().filter_map(|report| report.recovery_views).max(),
    );
    let faults = faults_of(&reports);
    print_faults(&faults);
    assert!(reports.iter().all(|report| report.heights >= 50));
    for name in FaultKind::ALL.iter().map(|kind| kind.name()).chain(Byzantine::ALL.iter().map(|kind| kind.name())) {
        assert!(faults.of(name) > 0, "{name} never happened");
    }
    assert!(FaultKind::ALL.len() >= 41 && Byzantine::ALL.len() >= 20);
}

/// Seeds without end: for ASSENT_SOAK_SECONDS (60) from ASSENT_SOAK_SEED (0) on.
#[test]
#[ignore = "long: make soak"]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "it goes on for a time that a person says")]
fn soak_of_random_seeds() {
    let number = |name: &str, unset: u64| std::env::var(name).map_or(unset, |text| text.parse().unwrap());
    let (seconds, first) = (number("ASSENT_SOAK_SECONDS", 60), number("ASSENT_SOAK_SEED", 0));
    let started = std::time::Instant::now();
    let (mut seed, mut heights, mut simulated, mut faults) = (first, 0, 0, Counts::default());
    while started.elapsed().as_secs() < seconds {
        let reports = play_random(seed..seed + 200);
        seed += 200;
        heights += sum(&reports, |report| report.heights);
        simulated += sum(&reports, |report| report.virtual_ms) / 1000;
        faults.extend(&faults_of(&reports));
    }
    let took = started.elapsed().as_secs().max(1);
    println!("seeds {first} to {seed}: {} in {took} s ({} an hour)", seed - first, (seed - first) * 3600 / took);
    println!(
        "{heights} heights, {simulated} s simulated ({} times real time), {} faults",
        simulated / took,
        faults.total()
    );
    print_faults(&faults);
    println!("failures: none");
}

/// Each step of the driver, in turn, is the last one before a crash, as leader and as voter.
#[test]
fn a_crash_at_every_step() {
    let mut crashes = 0;
    for node in 0..4 {
        for step in 0..400 {
            let fault =
                Planned { at_ms: 0, for_ms: 300, kind: FaultKind::CrashAtStep, fault: Fault::CrashIn(node, step) };
            let faults = Faults { for_ms: 2_000, planned: vec![fault], ..Faults::default() };
            let stakes = Stakes::Given(vec![4, 3, 2, 2]);
            let goal = Goal::Heights(5);
            let scenario =
                Scenario { stakes, faults, goal, recovery_ms: 20_000, recovery_views: 10, ..Scenario::calm() };
            let report = run(&scenario, step);
            assert!(report.is_ok(), "node {node} step {step}\n{report}");
            crashes += report.crashes;
        }
    }
    assert!(crashes >= 1_500, "{crashes}");
}

/// The one predicate of signatures, in a few runs of everything.
#[test]
fn real_signatures() {
    for seed in 0..6 {
        let scenario = Scenario { real_signatures: true, ..Scenario::random(seed) };
        let (real, ideal) = (sound(&scenario, seed), sound(&Scenario::random(seed), seed));
        assert_eq!((real.heights, real.virtual_ms, real.messages), (ideal.heights, ideal.virtual_ms, ideal.messages));
    }
}

/// How fast one core simulates the network of a default genesis and a slower one.
#[test]
#[allow(clippy::disallowed_types, reason = "a measurement")]
fn speed() {
    for (name, interval, load) in [("a block every 50 ms", 50, 20), ("a block every second", 1_000, 500)] {
        let scenario = Scenario { min_block_interval_ms: interval, load: Load::Every(load), ..Scenario::calm() };
        let started = std::time::Instant::now();
        let reports = play(&scenario, 0..40);
        let (took, simulated) = (started.elapsed().as_micros(), sum(&reports, |report| report.virtual_ms) * 1000);
        println!("{name}: {} times real time on one core", u128::from(simulated) / took.max(1));
    }
}

/// A vote of a validator that is a quorum alone is a certificate. It must not outlive its block: such a network halted for
/// ever when power was lost between the sync of the mark and that of the log.
#[test]
fn a_validator_that_is_a_quorum_alone_loses_no_block_of_its_own() {
    let random = vec![(FaultKind::CrashInSync, 8), (FaultKind::Blackout, 2)];
    let faults = Faults { for_ms: 15_000, random, ..Faults::default() };
    let stakes = Stakes::Given(vec![81, 30, 7, 2]);
    play(&Scenario { stakes, faults, recovery_ms: 20_000, recovery_views: 20, ..Scenario::calm() }, 0..100);
}

/// Inputs that share a sync (a verdict and the end of the view's timer, a certificate and what is signed in the view to
/// which it leads) must not leave a mark behind whose votes the log has lost: with as many validators as a quorum needs,
/// one that is mute in its view halts the network for ever.
#[test]
fn power_lost_in_a_shared_sync_leaves_nobody_mute() {
    for weights in [vec![1, 1, 1], vec![1, 1, 1, 1]] {
        let random = vec![
            (FaultKind::CrashInSync, 10),
            (FaultKind::CrashAtStep, 4),
            (FaultKind::Blackout, 1),
            (FaultKind::ApplicationSlow, 4),
            (FaultKind::SlowValidator, 3),
        ];
        let faults = Faults { for_ms: 15_000, random, dead_third: weights.len() > 3, ..Faults::default() };
        let (stakes, links) = (Stakes::Given(weights), Links::LOSSY);
        let limits = Scenario { recovery_ms: 60_000, recovery_views: 30, ..Scenario::calm() };
        let reports = play(&Scenario { stakes, links, faults, gathered: 500, ..limits }, 0..60);
        let of = |kind: FaultKind| sum(&reports, |report| report.faults.of(kind.name()));
        assert!(of(FaultKind::LogBehind) > 0 && of(FaultKind::CrashInSync) > 100);
    }
}

//! The model check: the real state machine on three honest validators, explored with stateright against a Byzantine one
//! that weighs less than a third, over three views, for all weights from 1 to 3.
//!
//! `cluster` says what is modelled and what is left out. Of the 240 weights below the bound those that differ in names
//! alone are one class, and of each of the 16 classes one is explored: breadth first as far as a number of states goes
//! (the shortest histories, all of them), and by random walks (whole histories, some of them). Where the states end before
//! their number, the exploration was complete. Run with `--nocapture` to see how far each went.

mod cluster;
mod forge;
mod seat;
mod tables;
mod walk;
mod weights;

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::Result;
use assent_tests::dice::Soak;
use stateright::{Checker, Expectation, HasDiscoveries, Model};

use cluster::{
    ACCUSATION, AGREEMENT, Action, CAUGHT, Cluster, FIRST_FINAL, GIVEN_UP, Grain, LATE_FINAL, Setting, State,
};
use walk::Walk;
use weights::{VIEWS, Weights};

/// States that a quick breadth-first exploration generates for one class of weights, repetitions included.
const QUICK_STATES: usize = 400_000;
/// The same with votes one by one.
const QUICK_VOTE_STATES: usize = 100_000;
/// Steps of quick random walks for one class.
const QUICK_STEPS: usize = 10_000;
/// Most steps of one walk. Walks end long before, when nothing more can change.
const WALK_STEPS: usize = 400;

/// How far an exploration went, and what it found.
struct Explored {
    /// Whether nothing was left to explore.
    complete: bool,
    /// States, repetitions included.
    states: usize,
    /// States.
    unique: usize,
    /// The properties of which there is an example, or a counterexample.
    found: BTreeSet<&'static str>,
    /// Those of them that must always hold.
    broken: Vec<&'static str>,
}

impl Explored {
    /// The outcome; a history that breaks what must always hold is told step by step.
    fn of(cluster: &Cluster, checker: &impl Checker<Cluster>, complete: bool) -> Self {
        let discoveries = checker.discoveries();
        let mut broken = Vec::new();
        for property in cluster.properties() {
            if property.expectation == Expectation::Always
                && let Some(path) = discoveries.get(property.name)
            {
                broken.push(property.name);
                println!("not so: {}", property.name);
                for (number, action) in (1..).zip(path.clone().into_actions()) {
                    println!("{number:>4}  {}", cluster.describe(action));
                }
            }
        }
        let (states, unique) = (checker.state_count(), checker.unique_state_count());
        Self { complete, states, unique, found: discoveries.into_keys().collect(), broken }
    }
}

fn setting((weights, byzantine): Weights, grain: Grain, crashes: u8) -> Setting {
    Setting { weights, byzantine, views: VIEWS, grain, crashes }
}

fn title(setting: &Setting) -> String {
    let Setting { weights, byzantine, views, grain, crashes } = setting;
    format!("weights {weights:?}, Byzantine {byzantine}, {views} views, {grain:?}, crashes {crashes}")
}

/// Breadth first, until so many states were generated.
fn breadth_first(setting: Setting, states: usize, until: HasDiscoveries) -> Explored {
    let (cluster, start) = (Cluster::new(setting), Instant::now());
    let checker = cluster.clone().checker().finish_when(until).target_state_count(states).spawn_bfs().join();
    let complete = checker.state_count() < states && !cluster.cut();
    let explored = Explored::of(&cluster, &checker, complete);
    println!(
        "{}: {} states, {} different ({} of single validators), depth {}, {}, {:.1} s",
        title(&setting),
        explored.states,
        explored.unique,
        cluster.seats(),
        // The checker counts the first state as depth 1.
        checker.max_depth().saturating_sub(1),
        if complete { "complete" } else { "bounded" },
        start.elapsed().as_secs_f64(),
    );
    explored
}

/// Random walks, until so many steps were taken.
fn walks(setting: Setting, seed: u64, steps: usize) -> Explored {
    let (cluster, start) = (Cluster::new(setting), Instant::now());
    let checker = cluster
        .clone()
        .checker()
        .finish_when(HasDiscoveries::AnyFailures)
        .target_state_count(steps)
        .target_max_depth(WALK_STEPS)
        .spawn_simulation(seed, Walk(cluster.clone()))
        .join();
    let explored = Explored::of(&cluster, &checker, false);
    println!(
        "{}: walks of seed {seed}, {} states ({} of single validators), depth {}, {:.1} s",
        title(&setting),
        explored.states,
        cluster.seats(),
        checker.max_depth(),
        start.elapsed().as_secs_f64(),
    );
    explored
}

/// Whatever must always hold did.
fn assert_safe(explored: &Explored) {
    assert!(explored.broken.is_empty(), "not so (the history is above): {:?}", explored.broken);
}

fn assert_seen(seen: &BTreeSet<&'static str>, wanted: &[&'static str]) {
    for name in wanted {
        assert!(seen.contains(name), "never met: {name}. The exploration is too shallow to mean much");
    }
}

#[test]
fn three_views_agree_whichever_of_four_is_byzantine_and_whatever_it_signs() {
    let mut seen: BTreeSet<&'static str> = BTreeSet::new();
    let (mut states, mut unique) = (0, 0);
    for (class, count) in weights::classes() {
        println!("{count} of 240 weights:");
        let explored = breadth_first(setting(class, Grain::Certificates, 0), QUICK_STATES, HasDiscoveries::AnyFailures);
        assert_safe(&explored);
        states += explored.states;
        unique += explored.unique;
        seen.extend(explored.found);
    }
    println!("in all: {states} states, {unique} different");
    assert_seen(&seen, &[FIRST_FINAL, GIVEN_UP, LATE_FINAL, CAUGHT]);
}

#[test]
fn votes_one_by_one_and_a_crash_change_nothing() {
    let mut seen: BTreeSet<&'static str> = BTreeSet::new();
    for (number, (class, _)) in (1..).zip(weights::classes()) {
        let explored = breadth_first(setting(class, Grain::Votes, 0), QUICK_VOTE_STATES, HasDiscoveries::AnyFailures);
        assert_safe(&explored);
        let walked = walks(setting(class, Grain::Votes, 1), number, QUICK_STEPS);
        assert_safe(&walked);
        seen.extend(walked.found);
    }
    assert_seen(&seen, &[FIRST_FINAL, GIVEN_UP, LATE_FINAL, CAUGHT]);
}

/// The exploration finds forks where there are some: 3 of 7 is more than a third, and makes a quorum both with 2 and with
/// 1 + 1.
#[test]
fn more_than_a_third_forks_and_accuses_no_honest_one() {
    let weights = ([3, 2, 1, 1], 0);
    assert!(!weights::all().contains(&weights));
    let fork = Setting { views: 1, ..setting(weights, Grain::Certificates, 0) };
    let explored = breadth_first(fork, 12_000_000, HasDiscoveries::AnyOf(BTreeSet::from([AGREEMENT])));
    assert!(explored.found.contains(AGREEMENT), "two final blocks of height 1 were not found");
    assert!(!explored.found.contains(ACCUSATION));
}

/// The same exploration with a light one Byzantine comes to its end, and finds none.
#[test]
fn one_view_of_the_same_weights_has_no_fork_when_the_heavy_one_is_honest() {
    let one = Setting { views: 1, ..setting(([3, 2, 1, 1], 2), Grain::Certificates, 0) };
    let explored = breadth_first(one, 400_000, HasDiscoveries::AnyFailures);
    assert_safe(&explored);
    assert!(explored.complete, "{} states were not all", explored.states);
    assert_seen(&explored.found, &[FIRST_FINAL, GIVEN_UP]);
}

#[test]
fn what_happens_at_different_validators_may_come_in_either_order() {
    let cluster = Cluster::new(setting(([1, 1, 1, 1], 0), Grain::Votes, 1));
    let mut state: State = cluster.init_states().remove(0);
    let mut other = state.clone();
    // Timers of different validators end in either order.
    let timers = |state: &State| {
        let mut actions = Vec::new();
        cluster.actions(state, &mut actions);
        actions.retain(|action| matches!(action, Action::TimeOut { .. }));
        actions
    };
    let mut actions = timers(&state);
    assert_eq!(actions.len(), 3);
    // A third would make two different certificates possible, of which the first one counts.
    actions.truncate(2);
    for action in &actions {
        state = cluster.next_state(&state, *action).expect("a timer gives the view up");
    }
    for action in actions.iter().rev() {
        other = cluster.next_state(&other, *action).expect("a timer gives the view up");
    }
    assert_eq!(state, other);
    for action in actions {
        assert!(cluster.next_state(&state, action).is_none(), "a view is given up once");
    }
}

/// `ASSENT_SOAK_SECONDS` (60) of exploration: each round goes twice as far, until a class is complete.
#[test]
#[ignore = "long: make soak"]
fn three_views_for_a_long_time() -> Result<()> {
    let Soak { time: limit, mut seed } = Soak::from_environment()?;
    let start = Instant::now();
    let mut complete: BTreeSet<Weights> = BTreeSet::new();
    let mut states = 100_000;
    while start.elapsed() < limit {
        for (class, _) in weights::classes() {
            if start.elapsed() > limit {
                break;
            }
            if !complete.contains(&class) {
                let until = HasDiscoveries::AnyFailures;
                let explored = breadth_first(setting(class, Grain::Certificates, 0), states, until);
                assert_safe(&explored);
                if explored.complete {
                    complete.insert(class);
                }
            }
            assert_safe(&breadth_first(setting(class, Grain::Votes, 1), states / 4, HasDiscoveries::AnyFailures));
            for crashes in 0..=2 {
                seed += 1;
                assert_safe(&walks(setting(class, Grain::Votes, crashes), seed, 20_000));
            }
        }
        states = (2 * states).min(1_600_000);
    }
    println!("{} of {} classes explored to the end", complete.len(), weights::classes().len());
    Ok(())
}

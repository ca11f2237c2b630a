//! Runs of twins. A failing one prints its cuts and a line that plays it again.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use super::enumerate::{Scope, enumerate, partitions};
use super::plan::{After, Round, script};
use super::*;
use crate::{ValidatorIndex, View};

/// A number from the environment, for a person or a soak.
#[allow(clippy::disallowed_methods, reason = "a test that a person gives more runs")]
fn wanted(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn assert_holds(what: &str, summary: &Summary) {
    println!("{what}: {summary}");
    assert_eq!(summary.failed, 0, "\n{summary}");
}

fn together(rounds: usize, instances: usize) -> Plan {
    let rounds = vec![Round::of(&vec![0; instances]); rounds];
    Plan { rounds, after: After::Both, late: false, talkative: false }
}

/// One line that a failure told: ASSENT_TWINS_PLAN.
#[test]
#[allow(clippy::disallowed_methods, reason = "a test that a person points at a failure")]
fn replay_of_a_line() {
    let calm = "weights=1,1,1,1 twins=3 first=0 rounds=00000 after=both late=no talkative=no";
    let line = std::env::var("ASSENT_TWINS_PLAN").unwrap_or_else(|_| calm.to_owned());
    if let Some(failure) = replay(&line).unwrap() {
        panic!("\n{failure}");
    }
}

#[test]
fn all_cuts_of_two_rounds_or_three_with_four_validators_and_a_twin_keep_agreement() {
    let summary = enumerate_small(u64::MAX);
    assert_holds("twins, small", &summary);
    // With two groups there are 16 cuts of five instances, 8 of them their own mirror images. Four set-ups have three
    // rounds, 22 have two.
    assert_eq!(summary.runs, 4 * (16 * 16 * 16 + 8 * 8 * 8) / 2 + 22 * (16 * 16 + 8 * 8) / 2);
    assert!(summary.offences > 0 && summary.final_blocks >= 2 * summary.runs);
}

/// A share of a million; all of them with ASSENT_TWINS_PLANS.
#[test]
fn cuts_into_three_groups_keep_agreement() {
    let limit = wanted("ASSENT_TWINS_PLANS", 500);
    let summary = enumerate_wide(limit);
    assert_holds("twins, wide", &summary);
    assert!(summary.runs > 0 && summary.runs <= limit);
}

/// More with ASSENT_TWINS_SAMPLES, others with ASSENT_TWINS_FIRST.
#[test]
fn seven_validators_with_two_twins_keep_agreement() {
    let (first, count) = (wanted("ASSENT_TWINS_FIRST", 0), wanted("ASSENT_TWINS_SAMPLES", 2_000));
    let summary = sample(first..first.saturating_add(count));
    assert_holds("twins, sampled", &summary);
    assert_eq!(summary.runs, count);
    assert!(summary.offences > 0);
}

#[test]
fn the_hunt_finds_nothing_in_sound_code() {
    for seed in 0..300 {
        let failure = hunt(seed);
        assert_eq!(failure, None, "seed {seed}: {}", failure.as_deref().unwrap_or_default());
    }
}

/// The harness bites: with half of the weight a twin makes two blocks of one height final, and this is found.
#[test]
fn a_twin_of_half_the_weight_breaks_agreement_and_is_caught() {
    let size = Size { rounds: 2, groups: 2 };
    let scope = Scope { weights: [4, 2, 1, 1], twin: ValidatorIndex(0), first: View(0), size };
    let summary = enumerate(&[scope], u64::MAX);
    println!("twins, too heavy: {summary}");
    assert!(summary.failed > 0);
    assert!(summary.failures.iter().all(|failure| failure.starts_with("disagreement")), "{summary}");
    // Its line plays the same failure again.
    let failure = &summary.failures[0];
    let (_, rest) = failure.split_once("ASSENT_TWINS_PLAN='").unwrap();
    let (line, _) = rest.split_once('\'').unwrap();
    assert_eq!(replay(line).unwrap().as_ref(), Some(failure));
}

/// Exactly a third is too much for progress to be promised. Two quorums still share more than that.
#[test]
fn a_twin_of_exactly_a_third_does_not_break_agreement() {
    let size = Size { rounds: 2, groups: 2 };
    let twin_at = |twin| Scope { weights: [2, 1, 1, 2], twin: ValidatorIndex(twin), first: View(0), size };
    assert_holds("twins, a third", &enumerate(&[twin_at(0), twin_at(3)], u64::MAX));
}

#[test]
fn without_cuts_each_view_makes_a_block_final() {
    for twins in [vec![], vec![ValidatorIndex(3)]] {
        let setup = Setup::new(&[1, 1, 1, 1], &twins, View(0));
        let plan = together(3, setup.instances.len());
        let outcome = play(&setup, &plan);
        assert_eq!(outcome.failure, None);
        // Three in the rounds, in none of which the twin leads, and some after them.
        assert!(outcome.final_blocks >= 3 + play::BLOCKS_AFTER, "{outcome:?}");
    }
}

#[test]
fn a_twin_that_leads_proposes_twice_and_is_reported() {
    let setup = Setup::new(&[1, 1, 1, 1], &[ValidatorIndex(0)], View(0));
    let outcome = play(&setup, &together(1, setup.instances.len()));
    assert_eq!(outcome.failure, None);
    assert!(outcome.offences > 0, "{outcome:?}");
}

#[test]
fn the_rounds_begin_at_any_place_of_the_rotation() {
    let weights = [3, 3, 3, 1];
    for first in 0..10 {
        let setup = Setup::new(&weights, &[ValidatorIndex(1)], View(first));
        let outcome = play(&setup, &together(2, setup.instances.len()));
        assert_eq!(outcome.failure, None, "beginning behind view {first}");
    }
}

#[test]
fn partitions_are_counted_by_stirling_and_bell() {
    // (instances, groups, partitions)
    for (instances, groups, count) in
        [(1, 1, 1), (4, 4, 15), (5, 1, 1), (5, 2, 16), (5, 3, 41), (5, 5, 52), (9, 2, 256)]
    {
        let all = partitions(instances, groups);
        let different: BTreeSet<&Vec<u8>> = all.iter().collect();
        assert_eq!((all.len(), different.len()), (count, count), "{instances} in {groups}");
        assert!(all.iter().flatten().all(|group| *group < groups));
    }
}

#[test]
fn the_same_seed_draws_and_plays_the_same() {
    for seed in 0..20 {
        let [(setup, plan), (again, plan_again)] = [draw_large(seed), draw_large(seed)];
        assert_eq!(script(&setup, &plan), script(&again, &plan_again));
        assert_eq!(play(&setup, &plan), play(&again, &plan_again));
    }
}

#[test]
fn a_drawn_run_is_read_from_its_line_as_it_was() {
    let (mut one_way, mut late) = (0, 0);
    for seed in 0..200 {
        for (setup, plan) in [draw_small(seed), draw_large(seed)] {
            let line = script(&setup, &plan);
            let (read, read_plan) = parse(&line).unwrap();
            assert_eq!((script(&read, &read_plan), &read_plan), (line, &plan));
            assert_eq!((read.set.hash(), read.instances), (setup.set.hash(), setup.instances.clone()));
            assert!(setup.tolerates_twins());
            one_way += plan.rounds.iter().filter(|round| !round.one_way.is_empty()).count();
            late += usize::from(plan.late);
        }
    }
    assert!(one_way > 100 && late > 50, "{one_way} one-way rounds, {late} plans with late messages");
}

#[test]
fn a_line_that_is_none_is_refused() {
    let good = "weights=1,1,1,1 twins=3 first=0 rounds=00000 after=both late=no talkative=no";
    assert!(parse(good).is_ok());
    for (part, other) in [
        ("weights=1,1,1,1", "weights=0,0,0,0"),
        ("weights=1,1,1,1", "weights="),
        ("weights=1,1,1,1", "weights=1,1,1,x"),
        ("weights=1,1,1,1", "weights=1,1,1,9999999"),
        ("twins=3", "twins=4"),
        ("twins=3", ""),
        ("rounds=00000", "rounds=0000"),
        ("rounds=00000", "rounds=0000a"),
        ("rounds=00000", "rounds=00000:0-1"),
        ("after=both", "after=all"),
        ("late=no", "late=perhaps"),
        ("late=no", "late"),
    ] {
        assert!(parse(&good.replace(part, other)).is_err(), "{other}");
    }
}

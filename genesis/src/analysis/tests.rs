//! The analysis against enumeration of all subsets, at the largest sizes, and in named cases.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use assent_consensus::{MAX_TOTAL_WEIGHT, is_quorum};
use proptest::prelude::*;

use super::*;

fn set(weights: &[u64]) -> Vec<Member> {
    weights.iter().enumerate().map(|(index, weight)| Member::new(format!("v{index}"), *weight)).collect()
}

fn with_up(weights: &[u64], up: &[f64]) -> Vec<Member> {
    let member = |(member, up): (Member, &f64)| Member { up_probability: Some(*up), ..member };
    set(weights).into_iter().zip(up).map(member).collect()
}

fn near(got: f64, expected: f64) -> bool {
    (got - expected).abs() <= 1e-9 * expected.abs() + 1e-300
}

fn weigh(weights: &[u64], mask: usize) -> u128 {
    weights.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1).map(|(_, weight)| u128::from(*weight)).sum()
}

fn total(weights: &[u64]) -> u128 {
    weights.iter().map(|weight| u128::from(*weight)).sum()
}

/// The probabilities that a quorum is up and that none is, from all subsets.
fn enumerated(weights: &[u64], up: &[f64]) -> (f64, f64) {
    let (mut some, mut none) = (0.0, 0.0);
    for mask in 0..1_usize << weights.len() {
        let one = |(i, up): (usize, &f64)| if mask >> i & 1 == 1 { *up } else { 1.0 - *up };
        let probability: f64 = up.iter().enumerate().map(one).product();
        if is_quorum(weigh(weights, mask), total(weights)) {
            some += probability;
        } else {
            none += probability;
        }
    }
    (some, none)
}

/// Whether two quorums meet in nobody but the coalition, from all pairs of subsets of the others.
fn breaks_by_enumeration(weights: &[u64], coalition: usize) -> bool {
    let all = (1_usize << weights.len()) - 1;
    let others = all & !coalition;
    (0..=all).filter(|camp| camp & !others == 0).any(|camp| {
        let quorum = |members: usize| is_quorum(weigh(weights, members | coalition), total(weights));
        quorum(camp) && quorum(others & !camp)
    })
}

/// The subsets that can, and of which no smaller part can.
fn minimal(count: usize, can: &dyn Fn(usize) -> bool) -> Vec<usize> {
    let able: Vec<usize> = (1..1_usize << count).filter(|mask| can(*mask)).collect();
    let spared = |mask: &usize| (0..count).any(|i| mask >> i & 1 == 1 && can(mask & !(1 << i)));
    able.into_iter().filter(|mask| !spared(mask)).collect()
}

fn mask_of(coalition: &Coalition) -> usize {
    coalition.members.iter().map(|name| 1_usize << name[1..].parse::<usize>().unwrap()).sum()
}

fn check_coalitions(weights: &[u64], got: &Coalitions, can: &dyn Fn(usize) -> bool) {
    let expected = minimal(weights.len(), can);
    let fewest = expected.iter().map(|mask| mask.count_ones() as usize).min();
    assert_eq!(got.fewest.as_ref().map(|it| it.members.len()), fewest, "{weights:?}");
    assert_eq!(got.fewest_at_least, fewest.unwrap_or(0), "{weights:?}");
    assert!(got.fewest.iter().all(|it| can(mask_of(it))), "{weights:?}");
    let listed: Vec<usize> = got.smallest.iter().map(mask_of).collect();
    assert!(listed.is_sorted_by_key(|mask| mask.count_ones()), "{weights:?}: {got:?}");
    assert!(listed.iter().all(|mask| expected.contains(mask)), "{weights:?}: {got:?}");
    assert_eq!(got.complete, listed.len() == expected.len(), "{weights:?}: {got:?}");
    let least = (0..1_usize << weights.len()).filter(|mask| can(*mask)).map(|mask| weigh(weights, mask)).min();
    assert!(least.is_none_or(|least| got.least_weight <= least), "{weights:?}: {got:?}");
}

#[test]
fn the_binomial_tail_of_equal_validators() {
    assert_eq!(at_least(&[0.5; 3], 2), 0.5);
    assert_eq!(at_least(&[0.5; 4], 2), 0.6875);
    assert_eq!(at_least(&[0.5; 4], 0), 1.0);
    assert_eq!(at_least(&[0.5; 4], 5), 0.0);
    // Four equal validators need three.
    let four = analyze(&set(&[7; 4]), &Options { up_probability: 0.9, group: None });
    assert!(near(four.availability.up.upper, 0.9_f64.powi(4) + 4.0 * 0.9_f64.powi(3) * 0.1));
    assert!(near(four.availability.up.upper, at_least(&[0.9; 4], 3)));
    assert_eq!(four.availability, four.equal_weights);
}

#[test]
fn everybody_always_up_and_everybody_always_down() {
    for (up, expected) in [(1.0, 1.0), (0.0, 0.0)] {
        let analysis = analyze(&set(&[40, 30, 20, 10]), &Options { up_probability: up, group: None });
        assert_eq!(analysis.availability.up, Bounds { lower: expected, upper: expected, exact: true });
        assert_eq!(analysis.availability.outage.upper, 1.0 - expected);
    }
}

#[test]
fn a_hundred_equal_validators_are_exact_and_a_tiny_outage_is_precise() {
    let analysis = analyze(&set(&[1 << 56; 100]), &Options::default());
    // 67 are needed, so 34 have to be down; the sum of the first terms of the tail.
    let term = |down: i32| {
        let choose: f64 = (0..down).map(|i| f64::from(100 - i) / f64::from(i + 1)).product();
        choose * 0.01_f64.powi(down) * 0.99_f64.powi(100 - down)
    };
    let expected: f64 = (34..=60).map(term).sum();
    let outage = analysis.availability.outage;
    assert!(outage.exact && expected < 1e-40 && near(outage.lower, expected), "{outage:?} {expected}");
    assert_eq!((analysis.failures.worst_case, analysis.failures.best_case), (33, 33));
    let sizes = [&analysis.halting, &analysis.breaking].map(|it| it.fewest.as_ref().unwrap().members.len());
    assert_eq!(sizes, [34, 34]);
    assert!(!analysis.halting.complete && analysis.halting.smallest.len() == 12);
}

/// Sets of 100 whose sums are few: small numbers, a few sizes of large ones.
#[test]
fn a_hundred_validators_are_exact_up_to_the_largest_total() {
    let small: Vec<u64> = (1..=100).collect();
    let largest: Vec<u64> = vec![MAX_TOTAL_WEIGHT / 100; 100];
    let three: Vec<u64> = (0..100).map(|index| [(1 << 56) + 1, (1 << 55) + 7, (1 << 54) + 9][index % 3]).collect();
    for weights in [small, largest, three] {
        let start = Instant::now();
        let members = set(&weights);
        let analysis = analyze(&members, &Options { up_probability: 0.8, group: None });
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
        let Availability { up, outage, .. } = analysis.availability;
        assert!(up.exact && outage.exact);
        assert!(near(up.lower + outage.lower, 1.0), "{up:?} {outage:?}");
        assert_eq!(analysis.halting.fewest_at_least, analysis.halting.fewest.unwrap().members.len());
    }
}

/// Exactness for 100 by another way: the distribution over every whole weight.
#[test]
fn small_weights_agree_with_the_table_of_all_sums() {
    let weights: Vec<u64> = (0..100).map(|index| index * 7 % 13 + 1).collect();
    let up: Vec<f64> = (0..100).map(|index| 0.5 + f64::from(index % 10) / 20.0).collect();
    let all = usize::try_from(total(&weights)).unwrap();
    let mut table = vec![0.0; all + 1];
    table[0] = 1.0;
    for (weight, up) in weights.iter().zip(&up) {
        let weight = usize::try_from(*weight).unwrap();
        for sum in (0..=all).rev() {
            table[sum] = table[sum] * (1.0 - *up) + if sum >= weight { table[sum - weight] * *up } else { 0.0 };
        }
    }
    let quorum: f64 = (0..=all).filter(|sum| is_quorum(*sum as u128, all as u128)).map(|sum| table[sum]).sum();
    let got = analyze(&with_up(&weights, &up), &Options::default()).availability.up;
    assert!(got.exact && near(got.upper, quorum), "{got:?} {quorum}");
}

/// Weights that have nothing to do with each other: some 2^100 sums. The answer is bounds, and says so.
#[test]
fn a_hundred_unrelated_weights_give_close_bounds() {
    let mut seed = 88_172_645_463_325_252_u64;
    let mut weights = Vec::new();
    for _ in 0..100 {
        // Marsaglia's xorshift.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        weights.push(seed >> 8);
    }
    let start = Instant::now();
    let analysis = analyze(&set(&weights), &Options { up_probability: 0.7, group: None });
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    let Availability { up, outage, downtime_seconds_per_year } = analysis.availability;
    assert!(!up.exact && !outage.exact && !downtime_seconds_per_year.exact);
    assert!(up.lower < up.upper && up.upper - up.lower < 0.01, "{up:?}");
    assert!(outage.lower < outage.upper && outage.upper - outage.lower < 0.01, "{outage:?}");
    let breaking = &analysis.breaking;
    assert_eq!(breaking.fewest_at_least, breaking.fewest.as_ref().unwrap().members.len());
}

#[test]
fn thirty_six_unrelated_weights_are_exact() {
    let weights: Vec<u64> = (0..36_u64).map(|index| 1_000_000_007 * (index + 1) * (index + 1) + (1 << index)).collect();
    let analysis = analyze(&set(&weights), &Options::default());
    let Availability { up, outage, .. } = analysis.availability;
    assert!(up.exact && near(up.upper + outage.upper, 1.0), "{up:?} {outage:?}");
}

#[test]
fn the_usual_four_validators() {
    let members: Vec<Member> =
        [("A", 40), ("B", 30), ("C", 20), ("D", 10)].map(|(name, weight)| Member::new(name, weight)).into();
    let analysis = analyze(&members, &Options::default());
    assert_eq!((analysis.total, analysis.needed), (100, 67));
    let names = |coalitions: &Coalitions| -> Vec<String> {
        coalitions.smallest.iter().map(|coalition| coalition.members.concat()).collect()
    };
    assert_eq!(names(&analysis.halting), ["A", "BC", "BD"]);
    // A is a quorum with B, and with C and D. Without A there is no quorum at all.
    assert_eq!(names(&analysis.breaking), ["A"]);
    assert!(analysis.halting.complete && analysis.breaking.complete);
    assert_eq!((analysis.halting.least_weight, analysis.breaking.least_weight), (34, 34));
    assert_eq!(analysis.failures.best_case_members, ["D", "C"]);
    let expected =
        ["A can halt the chain alone: D needs at least 31 (it has 10) for the chain to survive the loss of A"];
    assert_eq!(analysis.advice[..1], expected);
}

#[test]
fn the_advice_that_a_third_is_too_much() {
    let members: Vec<Member> =
        [("A", 30), ("B", 30), ("C", 20), ("D", 10)].map(|(name, weight)| Member::new(name, weight)).into();
    let advice = analyze(&members, &Options::default()).advice;
    assert!(advice[0].contains("D needs at least 11 (it has 10)"), "{advice:?}");
    assert!(advice[0].ends_with("for the chain to survive the loss of A"), "{advice:?}");
}

#[test]
fn the_loss_of_an_organisation() {
    let mut members = set(&[20, 20, 20, 20, 20]);
    for (index, org) in [(0, "north"), (1, "north"), (2, "south"), (3, "east")] {
        members[index].org = Some(org.to_owned());
    }
    let analysis = analyze(&members, &Options::default());
    assert_eq!(analysis.groupings.len(), 1, "nobody has a region");
    let grouping = &analysis.groupings[0];
    assert_eq!((grouping.by, grouping.unlabelled, grouping.worst_case), (GroupBy::Org, 1, 0));
    let [north, east, south] = &grouping.groups[..] else { panic!("{grouping:?}") };
    assert_eq!((north.name.as_str(), north.weight, north.survives, north.missing), ("north", 40, false, 7));
    assert_eq!((north.breaks_safety, north.while_lost), (Some(false), None));
    assert_eq!((east.name.as_str(), south.name.as_str(), east.survives, east.missing), ("east", "south", true, 0));
    // All four others have to be up: 80 of 100 are a quorum and 60 are none.
    let lost = east.while_lost.unwrap();
    assert!(lost.up.exact && near(lost.up.upper, 0.99_f64.powi(4)), "{lost:?}");
    let told = "the org \"north\" has 40.0% of the weight: its loss halts the chain; all others together need at \
                least 81 (they have 60) for the chain to survive it, or it at most 29";
    assert_eq!(analysis.advice, [told]);

    let regions = analyze(&members, &Options { group: Some(GroupBy::Region), ..Options::default() });
    assert_eq!((regions.groupings[0].groups.len(), regions.groupings[0].unlabelled), (0, 5));
}

#[test]
fn what_changes_nothing_is_told() {
    let analysis = analyze(&set(&[10, 10, 10, 10, 1]), &Options::default());
    let idle: Vec<bool> = analysis.validators.iter().map(|validator| validator.idle).collect();
    assert_eq!(idle, [false, false, false, false, true]);
    assert!(analysis.advice.iter().any(|line| line.starts_with("v4: its vote never makes the difference")));
    let decided = analyze(&set(&[9, 1, 1]), &Options::default());
    assert!(decided.advice[0].starts_with("v0 decides alone"), "{:?}", decided.advice);
    assert!(!decided.advice.iter().any(|line| line.contains("never makes")), "{:?}", decided.advice);
}

#[test]
fn unequal_weights_are_told_what_they_cost() {
    let advice = analyze(&set(&[40, 30, 20, 10]), &Options::default()).advice;
    assert!(advice.last().unwrap().starts_with("with equal weights the expected downtime would be"), "{advice:?}");
    let advice = analyze(&set(&[10; 4]), &Options::default()).advice;
    assert_eq!(advice, [""; 0]);
}

#[test]
fn sets_without_weight_are_no_reason_to_fail() {
    for weights in [&[][..], &[0, 0]] {
        let analysis = analyze(&set(weights), &Options::default());
        assert_eq!((analysis.total, analysis.halting.fewest.is_none()), (0, true));
        assert_eq!(analysis.availability.outage.upper, 1.0);
        assert_eq!(analysis.failures.worst_case, 0);
    }
}

#[test]
fn the_json_has_numbers_and_names() {
    let json = serde_json::to_value(analyze(&set(&[1; 4]), &Options::default())).unwrap();
    assert_eq!(json["needed"], 3);
    assert_eq!(json["halting"]["fewest"]["members"], serde_json::json!(["v0", "v1"]));
    assert_eq!(json["validators"][3]["upProbability"], 0.99);
    assert_eq!(json["availability"]["outage"]["exact"], true);
    assert!(json["availability"]["downtimeSecondsPerYear"]["upper"].as_f64().unwrap() > 0.0);
}

proptest! {
    #[test]
    fn dynamic_programming_agrees_with_enumeration(
        set in prop::collection::vec((0_u64..40, 0.0_f64..=1.0), 1..=10),
    ) {
        let (weights, up): (Vec<u64>, Vec<f64>) = set.into_iter().unzip();
        let got = analyze(&with_up(&weights, &up), &Options::default()).availability;
        let (some, none) = enumerated(&weights, &up);
        prop_assert!(got.up.exact && near(got.up.upper, some), "{got:?} {some}");
        prop_assert!(near(got.outage.lower, none), "{got:?} {none}");
    }

    #[test]
    fn bounds_hold_what_enumeration_gives(
        set in prop::collection::vec((0..=MAX_TOTAL_WEIGHT / 12, 0.0_f64..=1.0), 4..=12), limit in 2_usize..24,
    ) {
        let (weights, up): (Vec<u64>, Vec<f64>) = set.into_iter().unzip();
        let pairs: Vec<(u64, f64)> = weights.iter().copied().zip(up.iter().copied()).collect();
        let all = total(&weights);
        let got = availability::availability(&pairs, limit, &|sum| is_quorum(sum, all));
        let (some, none) = enumerated(&weights, &up);
        for (bounds, value) in [(got.up, some), (got.outage, none)] {
            prop_assert!(bounds.lower <= value + 1e-12 && value <= bounds.upper + 1e-12, "{bounds:?} {value}");
        }
    }

    #[test]
    fn coalitions_are_those_of_enumeration(weights in prop::collection::vec(0_u64..12, 1..=6)) {
        prop_assume!(total(&weights) > 0);
        let analysis = analyze(&set(&weights), &Options::default());
        let everybody = (1_usize << weights.len()) - 1;
        check_coalitions(&weights, &analysis.halting, &|mask| {
            !is_quorum(weigh(&weights, everybody & !mask), total(&weights))
        });
        check_coalitions(&weights, &analysis.breaking, &|mask| breaks_by_enumeration(&weights, mask));
    }

    #[test]
    fn who_is_idle_is_so_in_every_subset(weights in prop::collection::vec(0_u64..12, 1..=7)) {
        prop_assume!(total(&weights) > 0);
        let quorum = |mask: usize| is_quorum(weigh(&weights, mask), total(&weights));
        for (index, validator) in analyze(&set(&weights), &Options::default()).validators.iter().enumerate() {
            let changes = (0..1_usize << weights.len()).any(|mask| quorum(mask | 1 << index) && !quorum(mask & !(1 << index)));
            prop_assert_eq!(validator.idle, !changes);
        }
    }
}

//! What could be done about the weaknesses of a set of validators, in words.

use assent_consensus::{MAX_TOTAL_WEIGHT, is_quorum};

use super::{Analysis, GroupBy, Member, coalitions::without_influence, groups::grouped, weights::Weights};

/// The fewest validators of which one may fail.
pub(crate) const FEWEST_TOLERANT: usize = 4;

/// Equal weights are advised when they make the downtime so many times shorter.
const MUCH_SHORTER: f64 = 2.0;

/// The least number up to `most` that is enough; `enough` holds from some number on.
fn least(most: u128, enough: impl Fn(u128) -> bool) -> Option<u128> {
    if !enough(most) {
        return None;
    }
    let (mut low, mut high) = (0, most);
    while low < high {
        let middle = low + (high - low) / 2;
        if enough(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Some(low)
}

/// How much more others need for the chain to survive the loss of so much weight.
fn others_need(weights: &Weights, lost: u128) -> u128 {
    let (rest, total) = (weights.total() - lost, weights.total());
    // With twice the total more, others are a quorum whatever is lost.
    least(total + total + 1, |more| is_quorum(rest + more, total + more)).unwrap_or(0)
}

/// What may weigh at most for the chain to survive its loss.
fn bearable(weights: &Weights, lost: u128) -> u128 {
    let rest = weights.total() - lost;
    let too_much = least(lost, |weight| !is_quorum(rest, rest + weight));
    too_much.unwrap_or(lost + 1).saturating_sub(1)
}

/// How the loss of a validator that can halt the chain alone could be survived: who needs at least how
/// much, or how much it may have at most. Only what does not make another one such a validator.
pub(crate) fn remedy(members: &[Member], weights: &Weights, index: usize) -> Option<String> {
    let halting = |weights: &Weights| -> Vec<usize> {
        weights.weighing().iter().copied().filter(|other| weights.can_halt(*other)).collect()
    };
    let before = halting(weights);
    // Neither the lost one nor the changed one nor anybody new can halt the chain then.
    let helps = |after: &Weights, changed: usize| {
        let after = halting(after);
        after.iter().all(|other| *other != index && *other != changed && before.contains(other))
    };
    let lightest = weights.weighing().iter().rev().copied().find(|other| *other != index);
    let raised = lightest.and_then(|other| {
        let weight = weights.of(other) + others_need(weights, weights.of(index));
        let total = weights.total() - weights.of(other) + weight;
        let weight = u64::try_from(weight).ok().filter(|_| total <= u128::from(MAX_TOTAL_WEIGHT))?;
        let text = || format!("{} needs at least {weight} (it has {})", members[other].name, weights.of(other));
        helps(&weights.with(other, weight), other).then(text)
    });
    let name = &members[index].name;
    let lowered = u64::try_from(bearable(weights, weights.of(index))).ok().filter(|weight| *weight > 0);
    let lowered = lowered.filter(|weight| helps(&weights.with(index, *weight), index));
    let lowered = lowered.map(|weight| format!("{name} may have at most {weight} (it has {})", weights.of(index)));
    let ways: Vec<String> = raised.into_iter().chain(lowered).collect();
    if ways.is_empty() {
        return None;
    }
    Some(format!("{} for the chain to survive the loss of {name}", ways.join(", or ")))
}

/// A group of several validators without which the others are no quorum.
pub(crate) fn loss_of_groups(members: &[Member], weights: &Weights, by: GroupBy) -> Vec<String> {
    let groups = grouped(members, weights, by);
    let fatal = groups.iter().filter(|(_, group)| group.len() > 1 && !weights.survives(weights.weigh(group)));
    fatal.map(|(name, group)| loss_of_group(weights, by, name, group)).collect()
}

fn loss_of_group(weights: &Weights, by: GroupBy, name: &str, group: &[usize]) -> String {
    let weight = weights.weigh(group);
    if weight == weights.total() {
        return format!("all validators with weight are in the {by} {name:?}: its loss halts the chain");
    }
    let share = weights.percent(weight);
    let most = match bearable(weights, weight) {
        0 => String::new(),
        most => format!(", or it at most {most}"),
    };
    format!(
        "the {by} {name:?} has {share} of the weight: its loss halts the chain; all others together need at least {} \
         (they have {}) for the chain to survive it{most}",
        weights.total() - weight + others_need(weights, weight),
        weights.total() - weight
    )
}

/// A set of too few validators.
pub(crate) fn too_few(weights: &Weights) -> Option<String> {
    let weighing = weights.weighing().len();
    (weighing < FEWEST_TOLERANT).then(|| {
        format!(
            "{weighing} validators with weight tolerate no fault: {FEWEST_TOLERANT} of similar \
             weight are the fewest of which one may fail"
        )
    })
}

/// Validators that weigh something and change nothing. When one decides alone, all others are such, and
/// that is said of the one.
pub(crate) fn idle(weights: &Weights) -> Vec<usize> {
    let decided = weights.weighing().first().is_some_and(|index| weights.decides(*index));
    if decided { Vec::new() } else { without_influence(weights) }
}

/// What is told of a validator of [`idle`].
pub(crate) const IDLE: &str = "its vote never makes the difference between a quorum and none";

/// All advice for a set; the numbers of the analysis are there already.
pub(super) fn advise(members: &[Member], weights: &Weights, analysis: &Analysis) -> Vec<String> {
    let mut advice = Vec::new();
    for index in weights.weighing().iter().copied().filter(|index| weights.can_halt(*index)) {
        let meaning = if weights.decides(index) { "decides alone" } else { "can halt the chain alone" };
        let remedy = remedy(members, weights, index).map(|remedy| format!(": {remedy}")).unwrap_or_default();
        advice.push(format!("{} {meaning}{remedy}", members[index].name));
    }
    advice.extend(too_few(weights));
    for grouping in &analysis.groupings {
        advice.extend(loss_of_groups(members, weights, grouping.by));
    }
    advice.extend(idle(weights).into_iter().map(|index| format!("{}: {IDLE}", members[index].name)));
    let nothing = members.iter().filter(|member| member.weight == 0);
    advice.extend(nothing.map(|member| format!("{} weighs nothing: its votes do not count", member.name)));
    let equal = &analysis.equal_weights;
    if equal.outage.upper * MUCH_SHORTER < analysis.availability.outage.lower {
        let (now, then) = (analysis.availability.downtime(), equal.downtime());
        advice.push(format!("with equal weights the expected downtime would be {then} per year instead of {now}"));
    }
    advice
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(given: &[u64], index: usize) -> Option<String> {
        let names = ["A", "B", "C", "D", "E"];
        let member = |(name, weight): (&&str, &u64)| Member::new(*name, *weight);
        let members: Vec<Member> = names.iter().zip(given).map(member).collect();
        remedy(&members, &Weights::new(given.to_vec()), index)
    }

    #[test]
    fn remedies_name_the_least_change_that_helps() {
        let survive = "for the chain to survive the loss of A";
        for (weights, ways) in [
            // Exactly a third.
            (&[30, 30, 20, 10][..], "D needs at least 11 (it has 10), or A may have at most 29 (it has 30)"),
            // With A at 29, B could halt the chain.
            (&[40, 30, 20, 10], "D needs at least 31 (it has 10)"),
            // D would have to be so heavy that it could halt the chain.
            (&[90, 20, 20, 20], "A may have at most 29 (it has 90)"),
        ] {
            assert_eq!(told(weights, 0), Some(format!("{ways} {survive}")), "{weights:?}");
        }
        assert_eq!(told(&[1, 1, 1], 0), None);
        assert_eq!(told(&[1], 0), None);
    }

    #[test]
    fn what_others_need_and_what_is_bearable_are_the_edge() {
        for given in [&[40_u64, 30, 20, 10][..], &[1, 1, 1], &[5, 1], &[1 << 62, 1 << 61, 7]] {
            let weights = Weights::new(given.to_vec());
            let lost = weights.of(0);
            let (rest, total) = (weights.total() - lost, weights.total());
            let need = others_need(&weights, lost);
            assert!(is_quorum(rest + need, total + need) && !is_quorum(rest + need - 1, total + need - 1), "{given:?}");
            let most = bearable(&weights, lost);
            assert!(is_quorum(rest, rest + most) && !is_quorum(rest, rest + most + 1), "{given:?}");
        }
    }
}

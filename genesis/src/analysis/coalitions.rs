//! Which validators together can halt the chain, and which can break its safety.
//!
//! A coalition *halts* when the others are no quorum. It *breaks safety* when the others can be told
//! apart into two camps so that the coalition is a quorum with either: voting twice, once with each, it
//! makes two different blocks final. For that it needs more than a third of the weight and camps that
//! come out right; whether there are such is a question about sums of subsets.
//!
//! Both have a property that the search rests on: exchange a member for somebody heavier, and the
//! coalition can still do it. (For safety: where the heavier one was, the lighter one takes its place,
//! and both quorums weigh at least what they did.) So of all coalitions of one size the heaviest can do
//! it if any can.

use serde::Serialize;

use super::{
    Member,
    sums::{MAX_SUMS, some_sum_within},
    weights::Weights,
};

/// The coalitions that are listed at most.
const LISTED: usize = 12;

/// How many coalitions are asked about before the list is given up: a question about halting is one
/// sum, one about safety may be thousands of them.
const HALTING_QUESTIONS: usize = 20_000;
const BREAKING_QUESTIONS: usize = 500;

/// The sums that a half keeps for a question about one coalition of the list.
const LIST_SUMS: usize = 1 << 10;

/// Validators that act together.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Coalition {
    /// Their names, the heaviest first.
    pub members: Vec<String>,
    /// What they weigh together.
    pub weight: u128,
    /// What that is of the total, from 0 to 1.
    pub share: f64,
}

/// The coalitions that can do something, and the smallest of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Coalitions {
    /// No coalition with less weight can. For halting every coalition with this weight can; for safety
    /// it also depends on who is left.
    pub least_weight: u128,
    /// A coalition with as few members as any that can: the heaviest validators. Null for a set
    /// without weight.
    pub fewest: Option<Coalition>,
    /// Fewer members than this never can. It is the size of `fewest`, or less when the weights are many
    /// and have too little to do with each other to find out.
    pub fewest_at_least: usize,
    /// Coalitions that can, none of whose members could be spared; those with few members first.
    pub smallest: Vec<Coalition>,
    /// Whether `smallest` holds all of them.
    pub complete: bool,
}

/// A question about a coalition, given as positions in the order from the heaviest on: whether it can,
/// with at most so many sums. None when that cannot be found out.
type Able<'a> = dyn Fn(&[usize], usize) -> Option<bool> + 'a;

/// Who can halt the chain.
pub(super) fn halting(members: &[Member], weights: &Weights) -> Coalitions {
    let least_weight = (weights.total() + 1).saturating_sub(weights.needed());
    let able = |chosen: &[usize], _: usize| Some(!weights.survives(weights.weigh(&indices(weights, chosen))));
    coalitions(members, weights, least_weight, &able, HALTING_QUESTIONS)
}

/// Who can break safety.
pub(super) fn breaking(members: &[Member], weights: &Weights) -> Coalitions {
    let least_weight = (2 * weights.needed()).saturating_sub(weights.total());
    let able = |chosen: &[usize], limit: usize| breaks(weights, &indices(weights, chosen), limit);
    coalitions(members, weights, least_weight, &able, BREAKING_QUESTIONS)
}

/// Whether these can break safety; none when that cannot be found out with `limit` sums.
pub(super) fn breaks(weights: &Weights, coalition: &[usize], limit: usize) -> Option<bool> {
    if weights.total() == 0 {
        return Some(false);
    }
    // One camp and the coalition are a quorum, and the other camp still weighs enough for another.
    let least = weights.needed().saturating_sub(weights.weigh(coalition));
    let most = weights.total() - weights.needed();
    some_sum_within(&weights.without(coalition), least, most, limit)
}

/// Whether a validator's vote ever makes the difference between a quorum and none; none when that
/// cannot be found out.
fn influences(weights: &Weights, index: usize) -> Option<bool> {
    let needed = weights.needed();
    some_sum_within(&weights.without(&[index]), needed.saturating_sub(weights.of(index)), needed - 1, LIST_SUMS)
}

/// Those who weigh something, and without whom every quorum is still one.
pub(crate) fn without_influence(weights: &Weights) -> Vec<usize> {
    // Whoever is heavier than one that has influence has it as well.
    let lightest_first = weights.weighing().iter().rev().copied();
    lightest_first.take_while(|index| influences(weights, *index) == Some(false)).collect()
}

fn indices(weights: &Weights, positions: &[usize]) -> Vec<usize> {
    positions.iter().map(|position| weights.weighing()[*position]).collect()
}

fn coalitions(
    members: &[Member],
    weights: &Weights,
    least_weight: u128,
    able: &Able<'_>,
    questions: usize,
) -> Coalitions {
    let count = weights.weighing().len();
    let coalition = |positions: &[usize]| {
        let indices = indices(weights, positions);
        let weight = weights.weigh(&indices);
        let members = indices.iter().map(|index| members[*index].name.clone()).collect();
        Coalition { members, weight, share: weights.share(weight) }
    };
    let (mut fewest, mut fewest_at_least) = (None, 1);
    for size in 1..=count {
        let heaviest: Vec<usize> = (0..size).collect();
        match able(&heaviest, MAX_SUMS) {
            Some(true) => {
                fewest = Some(heaviest);
                break;
            }
            Some(false) => fewest_at_least = size + 1,
            None => {}
        }
    }
    let mut search = Search { able, count, size: 0, questions, found: Vec::new(), complete: true };
    if fewest.is_some() {
        search.run(fewest_at_least);
    }
    Coalitions {
        least_weight,
        fewest: fewest.as_deref().map(coalition),
        fewest_at_least: fewest.map_or(0, |_| fewest_at_least),
        smallest: search.found.iter().map(|positions| coalition(positions)).collect(),
        complete: search.complete,
    }
}

/// Looks for coalitions of which no member can be spared, one size after the other.
struct Search<'a> {
    able: &'a Able<'a>,
    /// How many validators there are.
    count: usize,
    /// The size that is looked for.
    size: usize,
    /// So many may still be asked.
    questions: usize,
    found: Vec<Vec<usize>>,
    /// Whether nothing was left out so far.
    complete: bool,
}

impl Search<'_> {
    fn run(&mut self, smallest: usize) {
        for size in smallest..=self.count {
            self.size = size;
            // When even the lightest can do it with one less, then everybody can.
            let lightest: Vec<usize> = (self.count + 1 - size..self.count).collect();
            if size > smallest && self.ask(&lightest) == Some(true) {
                return;
            }
            self.extend(&mut Vec::new(), 0);
            if self.is_over() {
                return;
            }
        }
    }

    fn is_over(&self) -> bool {
        !self.complete && (self.questions == 0 || self.found.len() == LISTED)
    }

    fn ask(&mut self, positions: &[usize]) -> Option<bool> {
        let answer = match self.questions.checked_sub(1) {
            Some(left) => {
                self.questions = left;
                (self.able)(positions, LIST_SUMS)
            }
            None => None,
        };
        if answer.is_none() {
            self.complete = false;
        }
        answer
    }

    /// Goes through the coalitions that begin with `chosen`, who cannot do it, and go on at `from` or
    /// behind. Members come in falling weight: who can be spared at all, the last one can.
    fn extend(&mut self, chosen: &mut Vec<usize>, from: usize) {
        let missing = self.size - chosen.len();
        for next in from..=self.count - missing {
            let mut best = chosen.clone();
            best.extend(next..next + missing);
            // Those that follow are lighter.
            if self.is_over() || self.ask(&best) != Some(true) {
                return;
            }
            if missing == 1 {
                if self.found.len() == LISTED {
                    self.complete = false;
                    return;
                }
                self.found.push(best);
                continue;
            }
            chosen.push(next);
            // Who can do it already belongs to a smaller size.
            if self.ask(chosen) == Some(false) {
                self.extend(chosen, next + 1);
            }
            chosen.pop();
        }
    }
}

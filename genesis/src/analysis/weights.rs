//! The weights of a set of validators and what the quorum predicate says of them.

use assent_consensus::{is_quorum, least_quorum};

/// The weights that a set has.
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    given: Vec<u64>,
    /// The indices of those who weigh something, heaviest first.
    weighing: Vec<usize>,
    total: u128,
}

impl Weights {
    pub(crate) fn new(given: Vec<u64>) -> Self {
        let mut weighing: Vec<usize> = (0..given.len()).filter(|index| given[*index] > 0).collect();
        weighing.sort_by_key(|index| std::cmp::Reverse(given[*index]));
        let total = given.iter().map(|weight| u128::from(*weight)).sum();
        Self { given, weighing, total }
    }

    /// The indices of those who weigh something, heaviest first.
    pub(crate) fn weighing(&self) -> &[usize] {
        &self.weighing
    }

    pub(crate) fn total(&self) -> u128 {
        self.total
    }

    /// The least weight of a quorum.
    pub(crate) fn needed(&self) -> u128 {
        least_quorum(self.total)
    }

    pub(crate) fn of(&self, index: usize) -> u128 {
        u128::from(self.given[index])
    }

    pub(crate) fn weigh(&self, members: &[usize]) -> u128 {
        members.iter().map(|index| self.of(*index)).sum()
    }

    /// What the others weigh, the heaviest first.
    pub(crate) fn without(&self, members: &[usize]) -> Vec<u64> {
        let others = self.weighing.iter().filter(|index| !members.contains(index));
        others.map(|index| self.given[*index]).collect()
    }

    /// What a weight is of the total, from 0 to 1.
    pub(crate) fn share(&self, weight: u128) -> f64 {
        if self.total == 0 { 0.0 } else { weight as f64 / self.total as f64 }
    }

    /// The weight as people write its share: `33.3%`. Cut, not rounded: two thirds are never shown as more.
    pub(crate) fn percent(&self, weight: u128) -> String {
        let tenths = (weight * 1000).checked_div(self.total).unwrap_or_default();
        format!("{}.{}%", tenths / 10, tenths % 10)
    }

    pub(crate) fn is_quorum(&self, weight: u128) -> bool {
        is_quorum(weight, self.total)
    }

    /// Whether the others are a quorum when so much weight is lost.
    pub(crate) fn survives(&self, lost: u128) -> bool {
        self.is_quorum(self.total.saturating_sub(lost))
    }

    pub(crate) fn can_halt(&self, index: usize) -> bool {
        !self.survives(self.of(index))
    }

    /// Whether one is a quorum alone.
    pub(crate) fn decides(&self, index: usize) -> bool {
        self.is_quorum(self.of(index))
    }

    /// So many validators may fail, whichever they are, and the others are still a quorum.
    pub(crate) fn worst_case(&self) -> usize {
        self.lost_in_order(self.weighing.iter().copied())
    }

    /// The validators that may fail together when the failures are as kind as can be: the lightest
    /// first.
    pub(crate) fn best_case(&self) -> Vec<usize> {
        let nothing = (0..self.given.len()).filter(|index| self.given[*index] == 0);
        let order: Vec<usize> = nothing.chain(self.weighing.iter().rev().copied()).collect();
        let count = self.lost_in_order(order.iter().copied());
        order.into_iter().take(count).collect()
    }

    /// How many can be lost one after the other before the rest is no quorum.
    fn lost_in_order(&self, order: impl Iterator<Item = usize>) -> usize {
        let mut lost = 0;
        order
            .take_while(|index| {
                lost += self.of(*index);
                self.survives(lost)
            })
            .count()
    }

    /// The same set, but that one weighs something else.
    pub(crate) fn with(&self, index: usize, weight: u64) -> Self {
        let mut given = self.given.clone();
        given[index] = weight;
        Self::new(given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_of_sets() {
        // weights, any so many may fail, so many of the lightest may, those who can halt, the one who decides
        type Case = (&'static [u64], usize, usize, &'static [usize], Option<usize>);
        let cases: [Case; 10] = [
            (&[], 0, 0, &[], None),
            (&[0, 0], 0, 0, &[0, 1], None),
            (&[1], 0, 0, &[0], Some(0)),
            (&[1, 1, 1], 0, 0, &[0, 1, 2], None),
            (&[1, 1, 1, 1], 1, 1, &[], None),
            (&[1; 7], 2, 2, &[], None),
            (&[40, 30, 20, 10], 0, 2, &[0], None),
            (&[33, 33, 33, 1], 1, 1, &[], None),
            (&[2, 1, 0], 0, 1, &[0, 1], None),
            (&[201, 100, 0], 0, 2, &[0], Some(0)),
        ];
        for (given, worst, best, halting, deciding) in cases {
            let weights = Weights::new(given.to_vec());
            let all = 0..given.len();
            let can_halt: Vec<usize> = all.clone().filter(|index| weights.can_halt(*index)).collect();
            let decides = all.clone().find(|index| weights.decides(*index));
            assert_eq!((weights.worst_case(), weights.best_case().len()), (worst, best), "{given:?}");
            assert_eq!((can_halt.as_slice(), decides), (halting, deciding), "{given:?}");
        }
    }

    #[test]
    fn the_largest_weights_do_not_overflow() {
        let all = Weights::new(vec![u64::MAX; 256]);
        assert_eq!((all.worst_case(), all.can_halt(0), all.decides(0)), (85, false, false));
        assert_eq!(all.percent(all.total()), "100.0%");
    }

    #[test]
    fn shares_are_cut() {
        let weights = Weights::new(vec![2, 1]);
        assert_eq!([2, 1, 0].map(|weight| weights.percent(weight)), ["66.6%", "33.3%", "0.0%"]);
        assert_eq!(Weights::new(vec![]).percent(0), "0.0%");
    }
}

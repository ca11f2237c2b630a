//! Which validators of a set may fail, and which decide alone.
//!
//! Analysis for people: it rests on the one quorum predicate of the consensus crate, and nothing
//! in consensus rests on it.

use assent_consensus::is_quorum;

/// What a set of weights withstands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tolerance {
    /// So many validators may fail, whichever they are, and the others are still a quorum.
    pub faults: usize,
    /// The indices of those without whom the others are no quorum: each can halt the chain.
    pub halting: Vec<usize>,
    /// The index of the one that is a quorum by itself.
    pub deciding: Option<usize>,
}

/// Analyses a set of weights.
pub fn tolerance(weights: &[u64]) -> Tolerance {
    let total: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    if total == 0 {
        return Tolerance::default();
    }
    let mut heaviest_first: Vec<u128> = weights.iter().map(|weight| u128::from(*weight)).collect();
    heaviest_first.sort_unstable_by(|a, b| b.cmp(a));
    let mut left = total;
    let faults = heaviest_first
        .iter()
        .take_while(|weight| {
            left -= **weight;
            is_quorum(left, total)
        })
        .count();
    let which = |condition: &dyn Fn(u128) -> bool| {
        let found = weights.iter().enumerate().filter(|(_, weight)| condition(u128::from(**weight)));
        found.map(|(index, _)| index).collect::<Vec<_>>()
    };
    Tolerance {
        faults,
        halting: which(&|weight| !is_quorum(total - weight, total)),
        deciding: which(&|weight| is_quorum(weight, total)).first().copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_of_sets() {
        // weights, faults, those who can halt, the one who decides
        type Case = (&'static [u64], usize, &'static [usize], Option<usize>);
        let cases: [Case; 10] = [
            (&[], 0, &[], None),
            (&[0, 0], 0, &[], None),
            (&[1], 0, &[0], Some(0)),
            (&[1, 1, 1], 0, &[0, 1, 2], None),
            (&[1, 1, 1, 1], 1, &[], None),
            (&[1; 7], 2, &[], None),
            (&[40, 30, 20, 10], 0, &[0], None),
            (&[33, 33, 33, 1], 1, &[], None),
            (&[2, 1, 0], 0, &[0, 1], None),
            (&[201, 100, 0], 0, &[0], Some(0)),
        ];
        for (weights, faults, halting, deciding) in cases {
            let expected = Tolerance { faults, halting: halting.to_vec(), deciding };
            assert_eq!(tolerance(weights), expected, "{weights:?}");
        }
    }

    #[test]
    fn the_largest_weights_do_not_overflow() {
        let all = tolerance(&[u64::MAX; 256]);
        assert_eq!(all, Tolerance { faults: 85, halting: vec![], deciding: None });
    }
}

//! The one quorum predicate (SPEC rule Q). Votes, certificates, sync, light clients and analysis call it;
//! nothing else in the project compares a weight with a threshold.

/// Whether `weight` out of `total` is a quorum: strictly more than two thirds, without division.
///
/// Any two quorums share more than a third of the weight. Exactly two thirds is no quorum.
#[must_use]
pub const fn is_quorum(weight: u128, total: u128) -> bool {
    3 * weight > 2 * total
}

/// The least weight that is a quorum of a positive `total`: for people who ask how much is needed.
#[must_use]
pub const fn least_quorum(total: u128) -> u128 {
    2 * total / 3 + 1
}

/// Whether the rest of the weight cannot be a quorum any more once `weight` is taken away (SPEC rule Q).
#[must_use]
pub(crate) const fn blocks_quorum(weight: u128, total: u128) -> bool {
    !is_quorum(total.saturating_sub(weight), total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rule_q1_exactly_two_thirds_is_no_quorum() {
        // (weight, total, quorum)
        let table = [
            (0, 1, false),
            (1, 1, true),
            (2, 3, false),
            (3, 3, true),
            (3, 4, true),
            (4, 6, false),
            (5, 6, true),
            (66, 100, false),
            (67, 100, true),
            (60, 90, false),
            (61, 90, true),
            (i64::MAX as u128, i64::MAX as u128, true),
            (i64::MAX as u128 / 3 * 2, i64::MAX as u128, false),
        ];
        for (weight, total, expected) in table {
            assert_eq!(is_quorum(weight, total), expected, "{weight} of {total}");
        }
    }

    #[test]
    fn rule_q1_the_least_quorum_is_one_and_less_is_none() {
        for total in [1, 2, 3, 4, 6, 99, 100, 101, u128::from(i64::MAX as u64)] {
            let least = least_quorum(total);
            assert!(is_quorum(least, total) && !is_quorum(least - 1, total) && least <= total, "{total}");
        }
    }

    #[test]
    fn rule_q2_a_third_blocks() {
        assert!(!blocks_quorum(29, 90));
        assert!(blocks_quorum(30, 90));
        assert!(!blocks_quorum(33, 100));
        assert!(blocks_quorum(34, 100));
    }

    /// All sets of up to ten validators with small weights, all pairs of quorums.
    #[test]
    fn reliability_1_any_two_quorums_share_more_than_a_third() {
        fn visit(weights: &mut Vec<u128>, length: usize, most: u128) {
            if weights.len() == length {
                return check(weights);
            }
            // The order of validators is all the same.
            for weight in weights.last().copied().unwrap_or(0)..=most {
                weights.push(weight);
                visit(weights, length, most);
                weights.pop();
            }
        }
        fn check(weights: &[u128]) {
            let total: u128 = weights.iter().sum();
            let members = |mask: usize| weights.iter().enumerate().filter(move |(i, _)| mask >> i & 1 == 1);
            let weigh: Vec<u128> = (0..1 << weights.len()).map(|mask| members(mask).map(|(_, w)| *w).sum()).collect();
            let quorums: Vec<usize> = (0..weigh.len()).filter(|mask| is_quorum(weigh[*mask], total)).collect();
            for (position, left) in quorums.iter().enumerate() {
                let thin = quorums[position..].iter().find(|right| 3 * weigh[left & **right] <= total);
                assert_eq!(thin, None, "{weights:?}: {left:b}");
            }
            assert_eq!(quorums.is_empty(), total == 0, "{weights:?}");
        }
        for length in 1..=10 {
            visit(&mut Vec::new(), length, if length <= 6 { 4 } else { 2 });
        }
    }

    /// With f = (n-1)/3, 2f+1 of six are three: two such sets need not meet.
    #[test]
    fn reliability_1_two_f_plus_one_of_six_is_no_quorum() {
        let n = 6;
        assert!(!is_quorum(2 * ((n - 1) / 3) + 1, n));
        assert_eq!(least_quorum(n), 5);
    }

    proptest! {
        /// Any two quorums of up to 40 validators share more than a third of the weight.
        #[test]
        fn rule_q1_quorums_intersect(
            stakes in prop::collection::vec(0u64..=(i64::MAX as u64 / 40), 1..=40),
            left in any::<u64>(),
            right in any::<u64>(),
        ) {
            let total: u128 = stakes.iter().map(|s| u128::from(*s)).sum();
            let weigh = |mask: u64| -> u128 {
                stakes.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1).map(|(_, s)| u128::from(*s)).sum()
            };
            if is_quorum(weigh(left), total) && is_quorum(weigh(right), total) {
                prop_assert!(3 * weigh(left & right) > total);
            }
        }
    }
}

//! Stake-weighted smooth leader rotation (SPEC rule L).
//!
//! The weights are apportioned to the slots of a cycle (largest remainder, ties to the lower position),
//! and the slots are spread by smooth weighted round robin. Over a cycle each validator leads within one
//! view of its exact share. A cycle is as long as the reduced total weight, at most [`MAX_CYCLE`]:
//! so the leader of any view is a table look-up.

use crate::{ValidatorIndex, View};

/// Longest cycle, in views. Long enough for one part in a thousand, short enough to build at once.
pub const MAX_CYCLE: u64 = 1024;

/// The table of one validator set.
#[derive(Clone, Debug)]
pub(crate) struct Rotation {
    leaders: Vec<ValidatorIndex>,
}

impl Rotation {
    /// Builds the table. The weights sum to at least 1 and at most 2^63 - 1, which the validator set checks.
    pub(crate) fn new(weights: &[u64]) -> Self {
        Self { leaders: spread(&apportion(weights)) }
    }

    pub(crate) fn leader(&self, view: View) -> ValidatorIndex {
        let cycle = self.leaders.len().max(1) as u64;
        let slot = usize::try_from(view.previous().0 % cycle).unwrap_or(0);
        self.leaders.get(slot).copied().unwrap_or_default()
    }

    pub(crate) fn cycle(&self) -> usize {
        self.leaders.len()
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Slots per validator: exact when the reduced total fits the cycle, by largest remainder otherwise.
fn apportion(weights: &[u64]) -> Vec<u64> {
    let total: u128 = weights.iter().map(|w| u128::from(*w)).sum();
    let divisor = u128::from(weights.iter().copied().fold(0, gcd)).max(1);
    let cycle = (total / divisor).min(u128::from(MAX_CYCLE));
    let floor_and_rest = |w: &u64| {
        let share = u128::from(*w) * cycle;
        (share / total.max(1), share % total.max(1))
    };
    let parts: Vec<(u128, u128)> = weights.iter().map(floor_and_rest).collect();
    let mut slots: Vec<u64> = parts.iter().map(|(floor, _)| u64::try_from(*floor).unwrap_or(0)).collect();
    let given: u64 = slots.iter().sum();
    let left = usize::try_from(cycle).unwrap_or(0).saturating_sub(usize::try_from(given).unwrap_or(0));
    let mut by_rest: Vec<usize> = (0..weights.len()).collect();
    by_rest.sort_by(|a, b| parts[*b].1.cmp(&parts[*a].1).then(a.cmp(b)));
    for position in by_rest.into_iter().take(left) {
        slots[position] += 1;
    }
    slots
}

/// Smooth weighted round robin: in each step everybody gains its slots, the highest credit leads and pays
/// the sum; ties go to the lower position.
fn spread(slots: &[u64]) -> Vec<ValidatorIndex> {
    let total: i64 = slots.iter().map(|s| i64::try_from(*s).unwrap_or(0)).sum();
    let mut credit = vec![0i64; slots.len()];
    let mut leaders = Vec::with_capacity(usize::try_from(total).unwrap_or(0));
    for _ in 0..total {
        let mut best = 0;
        for position in 0..slots.len() {
            credit[position] += i64::try_from(slots[position]).unwrap_or(0);
            if credit[position] > credit[best] {
                best = position;
            }
        }
        credit[best] -= total;
        leaders.push(ValidatorIndex(u16::try_from(best).unwrap_or(0)));
    }
    leaders
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn order(weights: &[u64]) -> Vec<u16> {
        Rotation::new(weights).leaders.iter().map(|i| i.0).collect()
    }

    #[test]
    fn rule_l1_frozen_orders() {
        assert_eq!(order(&[40, 30, 20, 10]), [0, 1, 2, 0, 1, 3, 0, 2, 1, 0]);
        assert_eq!(order(&[1, 1, 1, 1]), [0, 1, 2, 3]);
        assert_eq!(order(&[5, 0]), [0]);
        assert_eq!(order(&[0, 0, 7]), [2]);
    }

    #[test]
    fn rule_l2_views_start_at_one_and_wrap() {
        let rotation = Rotation::new(&[1, 1, 1]);
        let leaders: Vec<u16> = (1..=7).map(|v| rotation.leader(View(v)).0).collect();
        assert_eq!(leaders, [0, 1, 2, 0, 1, 2, 0]);
        // The largest view is no special case.
        assert!(rotation.leader(View(u64::MAX)).0 < 3);
    }

    proptest! {
        /// Over a cycle everybody leads within one view of its share, and zero weight never leads.
        #[test]
        fn rule_l1_is_fair(weights in prop::collection::vec(0u64..=(i64::MAX as u64 / 64), 1..=64)) {
            let total: u128 = weights.iter().map(|w| u128::from(*w)).sum();
            prop_assume!(total > 0);
            let rotation = Rotation::new(&weights);
            let cycle = rotation.cycle() as u128;
            let mut turns = vec![0u128; weights.len()];
            for view in 1..=rotation.cycle() as u64 {
                turns[rotation.leader(View(view)).position()] += 1;
            }
            for (turn, weight) in turns.iter().zip(&weights) {
                let share = u128::from(*weight) * cycle;
                prop_assert!(turn * total < share + total && turn * total + total > share, "{turn} of {cycle}");
                prop_assert!(*weight > 0 || *turn == 0);
            }
        }
    }
}

//! The sums that the subsets of some weights have.
//!
//! The weights are dealt into two halves, and each half keeps the different sums of its subsets, with
//! how likely (or how often) each comes about. Equal sums are one entry, so equal weights cost little:
//! a hundred equal ones have 51 sums a half. Both halves together answer for the product of their
//! sums. Weights that have nothing to do with each other double the sums with each one more; from
//! `limit` sums on neighbours are joined, all downwards or all upwards, and what follows from that is
//! a bound and called so.

/// The sums that a half keeps at most. A hundred different weights that add up to less than half a
/// million stay below it, and so do 36 weights of any size.
pub(super) const MAX_SUMS: usize = 1 << 18;

/// Where sums go that are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rounding {
    Down,
    Up,
}

/// A weight, with what being out of a subset and being in it counts for.
#[derive(Clone, Copy, Debug)]
struct Item {
    weight: u64,
    out: f64,
    within: f64,
}

/// Different sums in ascending order, each with its measure.
#[derive(Clone, Debug)]
struct Sums {
    entries: Vec<(u128, f64)>,
    exact: bool,
}

impl Sums {
    /// Of nothing: the empty subset.
    fn new() -> Self {
        Self { entries: vec![(0, 1.0)], exact: true }
    }

    fn add(&mut self, item: &Item, limit: usize, rounding: Rounding) {
        self.entries = with_item(&self.entries, item);
        if self.entries.len() > limit {
            self.join(limit / 2, rounding);
        }
    }

    /// Joins neighbours until there are about as many as `cells`, at most one more.
    fn join(&mut self, cells: usize, rounding: Rounding) {
        let (Some((first, _)), Some((last, _))) = (self.entries.first(), self.entries.last()) else { return };
        let width = (last - first) / cells.max(1) as u128 + 1;
        let mut end = *first;
        let mut joined: Vec<(u128, f64)> = Vec::with_capacity(cells + 1);
        for &(sum, measure) in &self.entries {
            match joined.last_mut() {
                Some(cell) if sum < end => {
                    cell.1 += measure;
                    if rounding == Rounding::Up {
                        cell.0 = sum;
                    }
                }
                _ => {
                    joined.push((sum, measure));
                    end = sum + width;
                }
            }
        }
        self.entries = joined;
        self.exact = false;
    }
}

/// The sums with one weight more: those without it and those with it, merged in order.
fn with_item(entries: &[(u128, f64)], item: &Item) -> Vec<(u128, f64)> {
    let weight = u128::from(item.weight);
    let mut merged = Vec::with_capacity(entries.len() * 2);
    let mut shifted = entries.iter().map(|(sum, measure)| (sum + weight, measure * item.within)).peekable();
    for (sum, measure) in entries {
        while let Some(earlier) = shifted.next_if(|(other, _)| other < sum) {
            merged.push(earlier);
        }
        let same = shifted.next_if(|(other, _)| other == sum).map_or(0.0, |(_, measure)| measure);
        merged.push((*sum, measure * item.out + same));
    }
    merged.extend(shifted);
    // What never comes about (somebody who is always up) needs no entry.
    merged.retain(|(_, measure)| *measure > 0.0);
    merged
}

/// All sums, in two halves.
#[derive(Clone, Debug)]
struct Halves {
    heavy: Sums,
    light: Sums,
}

impl Halves {
    /// Deals the weights from both ends, always to the half with fewer sums.
    fn of(mut items: Vec<Item>, limit: usize, rounding: Rounding) -> Self {
        items.retain(|item| item.weight > 0);
        items.sort_by_key(|item| std::cmp::Reverse(item.weight));
        let (mut heavy, mut light) = (Sums::new(), Sums::new());
        let (mut front, mut back) = (0, items.len());
        while front < back {
            if heavy.entries.len() <= light.entries.len() {
                heavy.add(&items[front], limit, rounding);
                front += 1;
            } else {
                back -= 1;
                light.add(&items[back], limit, rounding);
            }
        }
        Self { heavy, light }
    }

    fn exact(&self) -> bool {
        self.heavy.exact && self.light.exact
    }
}

/// How likely a sum is one that `reached` says yes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Split {
    pub(super) reached: f64,
    pub(super) missed: f64,
    /// False when sums were joined.
    pub(super) exact: bool,
}

/// Splits the sums of the weights of those who are up, each `(weight, probability of being up)`, by a
/// predicate that holds from some sum on. Both parts are sums of positive numbers of their own, so that
/// a tiny one is as precise as a large one.
pub(super) fn split(members: &[(u64, f64)], limit: usize, rounding: Rounding, reached: &dyn Fn(u128) -> bool) -> Split {
    let item = |(weight, up): &(u64, f64)| Item { weight: *weight, out: 1.0 - *up, within: *up };
    let halves = Halves::of(members.iter().map(item).collect(), limit, rounding);
    let light = &halves.light.entries;
    // What lies before each position, and from it on.
    let mut before = vec![0.0; light.len() + 1];
    let mut from = vec![0.0; light.len() + 1];
    for (position, (_, probability)) in light.iter().enumerate() {
        before[position + 1] = before[position] + probability;
    }
    for (position, (_, probability)) in light.iter().enumerate().rev() {
        from[position] = from[position + 1] + probability;
    }
    let mut split = Split { reached: 0.0, missed: 0.0, exact: halves.exact() };
    // The position of the least light sum that is enough; it falls as the heavy sum grows.
    let mut position = light.len();
    for (sum, probability) in &halves.heavy.entries {
        while position > 0 && reached(sum + light[position - 1].0) {
            position -= 1;
        }
        split.reached += probability * from[position];
        split.missed += probability * before[position];
    }
    split
}

/// Whether a subset weighs at least `least` and at most `most`; none when that cannot be found out with
/// `limit` sums a half. The weights come heaviest first.
pub(super) fn some_sum_within(weights: &[u64], least: u128, most: u128, limit: usize) -> Option<bool> {
    if least > most {
        return Some(false);
    }
    if least == 0 || filled(weights, most) >= least {
        return Some(true);
    }
    let total: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    if total < least {
        return Some(false);
    }
    let item = |weight: &u64| Item { weight: *weight, out: 1.0, within: 1.0 };
    // Downwards the sum that stands for others is always one that some subset has.
    let halves = Halves::of(weights.iter().map(item).collect(), limit, Rounding::Down);
    let light = &halves.light.entries;
    let mut position = light.len();
    for (sum, _) in &halves.heavy.entries {
        while position > 0 && sum + light[position - 1].0 >= least {
            position -= 1;
        }
        if light.get(position).is_some_and(|(other, _)| sum + other <= most) {
            return Some(true);
        }
    }
    if halves.exact() { Some(false) } else { None }
}

/// The sum of those that fit below `most`, the heaviest first.
fn filled(weights: &[u64], most: u128) -> u128 {
    weights.iter().fold(0, |sum, weight| {
        let next = sum + u128::from(*weight);
        if next <= most { next } else { sum }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    /// The sum of a subset, given by the bits of `mask`.
    fn sum(weights: &[u64], mask: usize) -> u128 {
        weights.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1).map(|(_, weight)| u128::from(*weight)).sum()
    }

    #[test]
    fn equal_sums_are_one_entry() {
        let item = Item { weight: 1 << 62, out: 0.5, within: 0.5 };
        let halves = Halves::of(vec![item; 100], MAX_SUMS, Rounding::Down);
        assert_eq!((halves.heavy.entries.len(), halves.light.entries.len()), (51, 51));
        assert!(halves.exact());
    }

    #[test]
    fn joined_sums_stay_within_the_limit_and_in_order() {
        for rounding in [Rounding::Down, Rounding::Up] {
            let item = |power: u32| Item { weight: 3_u64.pow(power), out: 0.25, within: 0.75 };
            let halves = Halves::of((0..30).map(item).collect(), 64, rounding);
            assert!(!halves.exact());
            for half in [&halves.heavy, &halves.light] {
                assert!(half.entries.len() <= 64, "{}", half.entries.len());
                assert!(half.entries.is_sorted_by(|a, b| a.0 < b.0));
                let all: f64 = half.entries.iter().map(|(_, probability)| probability).sum();
                assert!((all - 1.0).abs() < 1e-12, "{all}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_sum_within_bounds_is_found_when_there_is_one(
            mut weights in prop::collection::vec(0_u64..60, 0..=10),
            least in 0_u128..300, width in 0_u128..20,
        ) {
            weights.sort_unstable_by(|a, b| b.cmp(a));
            let within = |sum: u128| (least..=least + width).contains(&sum);
            let expected = (0..1 << weights.len()).any(|mask| within(sum(&weights, mask)));
            prop_assert_eq!(some_sum_within(&weights, least, least + width, MAX_SUMS), Some(expected));
            // With too few sums the answer may be missing, and is never wrong.
            if let Some(answer) = some_sum_within(&weights, least, least + width, 4) {
                prop_assert_eq!(answer, expected);
            }
        }
    }
}

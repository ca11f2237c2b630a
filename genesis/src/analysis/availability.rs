//! How likely it is that a quorum is up, when each validator is up with a probability of its own and
//! independently of the others.
//!
//! For weights of 1 this is the tail of the binomial distribution (of Poisson's, when the probabilities
//! differ): the probability that at least k of n are up. Two of three that are up half of the time are
//! up together in 4 of 8 cases, 0.5; two of four in 11 of 16, 0.6875. A quorum of equal validators is
//! that tail with the k of the quorum predicate; with weights the sums of weights take the place of k.
//!
//! These are the only floats of the chain specification, for people to read. They are exact but for the
//! rounding of floats, some 10^-12 of the value; [`Bounds::exact`] says when they are not.

use serde::Serialize;

use super::sums::{MAX_SUMS, Rounding, Split, split};

/// A year of 365.25 days.
const SECONDS_PER_YEAR: f64 = 31_557_600.0;

/// A number, or two that it lies between.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bounds {
    /// It is not less.
    pub lower: f64,
    /// It is not more.
    pub upper: f64,
    /// Whether both are the number itself. They are not when the weights are many and have too little
    /// to do with each other.
    pub exact: bool,
}

impl Bounds {
    fn new(lower: f64, upper: f64, exact: bool) -> Self {
        // Rounding of floats can lead above one.
        Self { lower: lower.min(1.0), upper: upper.min(1.0), exact }
    }

    fn times(self, factor: f64) -> Self {
        Self { lower: self.lower * factor, upper: self.upper * factor, exact: self.exact }
    }
}

/// How much of the time a quorum is up, and what that means.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Availability {
    /// The probability that a quorum is up.
    pub up: Bounds,
    /// The probability that none is. Not computed as a difference: it is precise when it is tiny.
    pub outage: Bounds,
    /// How long no block can be made in a year of 365.25 days.
    pub downtime_seconds_per_year: Bounds,
}

impl Availability {
    /// The expected downtime in words, such as `10.9 days` or `9.1 to 9.2 min`.
    pub fn downtime(&self) -> String {
        let Bounds { lower, upper, exact } = self.downtime_seconds_per_year;
        let (least, most) = (duration(lower), duration(upper));
        if exact || least == most { most } else { format!("{least} to {most}") }
    }
}

/// A time in words, with two or three digits that mean something.
fn duration(seconds: f64) -> String {
    const UNITS: [(f64, &str); 4] = [(86_400.0, "days"), (3_600.0, "h"), (60.0, "min"), (1.0, "s")];
    if seconds == 0.0 {
        return "0 s".to_owned();
    }
    match UNITS.iter().find(|(size, _)| seconds >= *size) {
        Some((size, unit)) => format!("{:.1} {unit}", seconds / size),
        None if seconds >= 0.001 => format!("{:.0} ms", seconds * 1000.0),
        None => "less than 1 ms".to_owned(),
    }
}

/// Whether a number is a probability: from 0 to 1.
pub fn is_probability(number: f64) -> bool {
    (0.0..=1.0).contains(&number)
}

/// The probability that at least `count` are up, each with its own probability.
pub fn at_least(up: &[f64], count: usize) -> f64 {
    let members: Vec<(u64, f64)> = up.iter().map(|up| (1, clamped(*up))).collect();
    availability(&members, MAX_SUMS, &|sum| sum >= count as u128).up.upper
}

/// What is no probability counts as the nearest one; what is no number as never up.
pub(super) fn clamped(up: f64) -> f64 {
    if up.is_nan() { 0.0 } else { up.clamp(0.0, 1.0) }
}

/// How likely the weight of those who are up, each `(weight, probability)`, is enough. `enough` holds
/// from some sum on; a half keeps at most `limit` sums.
pub(super) fn availability(members: &[(u64, f64)], limit: usize, enough: &dyn Fn(u128) -> bool) -> Availability {
    let low = split(members, limit, Rounding::Down, enough);
    let high = if low.exact { low } else { split(members, limit, Rounding::Up, enough) };
    between(low, high)
}

fn between(low: Split, high: Split) -> Availability {
    let outage = Bounds::new(high.missed, low.missed, low.exact);
    Availability {
        up: Bounds::new(low.reached, high.reached, low.exact),
        outage,
        downtime_seconds_per_year: outage.times(SECONDS_PER_YEAR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_the_largest_unit_that_fits() {
        for (seconds, words) in [
            (0.0, "0 s"),
            (1e-30, "less than 1 ms"),
            (0.25, "250 ms"),
            (59.94, "59.9 s"),
            (90.0, "1.5 min"),
            (5_400.0, "1.5 h"),
            (86_400.0 * 10.94, "10.9 days"),
        ] {
            assert_eq!(duration(seconds), words);
        }
    }

    #[test]
    fn probabilities_are_from_0_to_1() {
        assert!([0.0, 0.5, 1.0].into_iter().all(is_probability));
        assert!(![-0.1, 1.1, f64::NAN, f64::INFINITY].into_iter().any(is_probability));
        assert_eq!([-1.0, 2.0, f64::NAN].map(clamped), [0.0, 1.0, 0.0]);
    }
}

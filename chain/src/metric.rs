//! What a metric is called, what it counts and how it is divided: said once per metric, in a table per area.
//!
//! The tables tell the recorder what to answer with and in which buckets to sort, and `docs/metrics.md` is written
//! from them. Code that counts names the constant, so that name and description cannot part.

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

/// Seconds of work in memory and on the disk.
pub const SECONDS_SHORT: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
/// Seconds of what waits for others: peers, clients, blocks.
pub const SECONDS_LONG: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// How many there are of something.
pub const AMOUNTS: &[f64] = &[0.0, 1.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0, 10_000.0];

/// A metric as it is exported.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name, with its unit.
    pub name: &'static str,
    /// What kind of number it is.
    pub kind: Kind,
    /// What it is divided by.
    pub labels: &'static [Label],
    /// What it says.
    pub help: &'static str,
}

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Only grows, from 0 at the start of the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution, counted in buckets with these upper ends.
    Histogram(&'static [f64]),
}

/// What a metric is divided by.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// All that it can be; empty when that depends on the network or on who asks.
    pub values: &'static [&'static str],
}

impl Label {
    /// A label whose values are all known.
    pub const fn of(name: &'static str, values: &'static [&'static str]) -> Self {
        Self { name, values }
    }

    /// A label whose values come up as the node runs. Their number is bounded by other means.
    pub const fn open(name: &'static str) -> Self {
        Self { name, values: &[] }
    }
}

impl Metric {
    /// A counter.
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::Counter, labels: &[], help }
    }

    /// A gauge.
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::Gauge, labels: &[], help }
    }

    /// A histogram with buckets that end there.
    pub const fn histogram(name: &'static str, buckets: &'static [f64], help: &'static str) -> Self {
        Self { name, kind: Kind::Histogram(buckets), labels: &[], help }
    }

    /// The same, divided.
    pub const fn by(mut self, labels: &'static [Label]) -> Self {
        self.labels = labels;
        self
    }

    /// Tells the recorder what it is, and begins all series that are known to come with 0: what has never happened is
    /// shown as such, and the first time is seen as an increase.
    pub fn announce(&self) {
        match self.kind {
            Kind::Counter => describe_counter!(self.name, self.help),
            Kind::Gauge => describe_gauge!(self.name, self.help),
            Kind::Histogram(_) => describe_histogram!(self.name, self.help),
        }
        match self.labels {
            [] => self.begin(),
            [label] => label.values.iter().for_each(|value| self.begin_for(label.name, value)),
            _ => {}
        }
    }

    fn begin(&self) {
        match self.kind {
            Kind::Counter => counter!(self.name).increment(0),
            Kind::Gauge => gauge!(self.name).increment(0.0),
            // To ask for it is enough; a record would count.
            Kind::Histogram(_) => drop(histogram!(self.name)),
        }
    }

    fn begin_for(&self, label: &'static str, value: &'static str) {
        match self.kind {
            Kind::Counter => counter!(self.name, label => value).increment(0),
            Kind::Gauge => gauge!(self.name, label => value).increment(0.0),
            Kind::Histogram(_) => drop(histogram!(self.name, label => value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_ascend() {
        for buckets in [SECONDS_SHORT, SECONDS_LONG, AMOUNTS] {
            assert!(buckets.is_sorted_by(|a, b| a < b), "{buckets:?}");
        }
    }
}

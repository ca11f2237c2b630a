//! The simulated network: delay, loss, duplicates, stragglers, partitions.

use super::rng::Rng;

/// How messages travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Links {
    /// Least delay, in milliseconds.
    pub delay_min_ms: u64,
    /// Greatest usual delay, in milliseconds.
    pub delay_max_ms: u64,
    /// Messages of a thousand that are lost.
    pub lost: u32,
    /// Messages of a thousand that come twice.
    pub doubled: u32,
    /// Messages of a thousand that take up to ten times as long, and so overtake nobody.
    pub late: u32,
}

impl Links {
    /// Nothing is lost: up to 10 ms.
    pub const GOOD: Self = Self { delay_min_ms: 1, delay_max_ms: 10, lost: 0, doubled: 0, late: 0 };

    /// A bad day: one in ten is lost, as many come twice or late.
    pub const LOSSY: Self = Self { delay_min_ms: 1, delay_max_ms: 50, lost: 100, doubled: 100, late: 100 };
}

/// The state of the network.
#[derive(Clone, Debug)]
pub(super) struct Network {
    links: Links,
    /// The side of each node; messages pass within one side, or everywhere.
    sides: Option<Vec<u64>>,
    /// Only messages from this side to another are lost, if set.
    one_way: Option<u64>,
}

impl Network {
    pub(super) const fn new(links: Links) -> Self {
        Self { links, sides: None, one_way: None }
    }

    /// Faults end.
    pub(super) fn heal(&mut self) {
        self.links = Links { lost: 0, doubled: 0, late: 0, ..self.links };
        self.mend();
    }

    pub(super) fn split(&mut self, sides: Vec<u64>, one_way: Option<u64>) {
        (self.sides, self.one_way) = (Some(sides), one_way);
    }

    pub(super) fn mend(&mut self) {
        (self.sides, self.one_way) = (None, None);
    }

    pub(super) fn reaches(&self, from: usize, to: usize) -> bool {
        let Some(sides) = &self.sides else { return true };
        let (from, to) = (sides.get(from), sides.get(to));
        from == to || self.one_way.is_some_and(|cut| from != Some(&cut))
    }

    /// The delays, in microseconds, after which a message arrives: none, one or two.
    pub(super) fn send(&self, rng: &mut Rng, from: usize, to: usize) -> [Option<u64>; 2] {
        if !self.reaches(from, to) || rng.per_mille(self.links.lost) {
            return [None, None];
        }
        let first = self.delay(rng);
        let second = rng.per_mille(self.links.doubled).then(|| self.delay(rng));
        [Some(first), second]
    }

    pub(super) fn delay(&self, rng: &mut Rng) -> u64 {
        let (low, high) = (self.links.delay_min_ms * 1000, self.links.delay_max_ms * 1000);
        let usual = rng.between(low, high);
        if rng.per_mille(self.links.late) { usual * rng.between(2, 10) } else { usual }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_cut_both_ways_or_one() {
        let mut network = Network::new(Links::GOOD);
        assert!(network.reaches(0, 1));
        network.split(vec![0, 1, 0], None);
        let table = [(0, 1, false), (1, 0, false), (0, 2, true)];
        table.iter().for_each(|(from, to, reaches)| assert_eq!(network.reaches(*from, *to), *reaches));
        network.split(vec![0, 1, 0], Some(1));
        let table = [(0, 1, true), (1, 0, false), (0, 2, true)];
        table.iter().for_each(|(from, to, reaches)| assert_eq!(network.reaches(*from, *to), *reaches));
        network.mend();
        assert!(network.reaches(1, 0));
    }

    #[test]
    fn what_is_lost_does_not_come_and_good_links_lose_nothing() {
        let mut rng = Rng::new(1);
        let dead = Network::new(Links { lost: 1000, ..Links::GOOD });
        assert_eq!(dead.send(&mut rng, 0, 1), [None, None]);
        let good = Network::new(Links::GOOD);
        for _ in 0..100 {
            let [first, second] = good.send(&mut rng, 0, 1);
            assert!(first.is_some_and(|delay| (1000..=10_000).contains(&delay)) && second.is_none());
        }
    }
}

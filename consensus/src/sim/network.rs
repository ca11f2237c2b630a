//! The simulated network: delay, loss, duplicates, stragglers, and what is wrong with certain links for a while.

use super::kinds::{Counts, FaultKind};
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
    /// Messages of a thousand that take up to ten times as long.
    pub late: u32,
}

impl Links {
    /// Nothing is lost: up to 10 ms.
    pub const GOOD: Self = Self { delay_min_ms: 1, delay_max_ms: 10, lost: 0, doubled: 0, late: 0 };

    /// A bad day: one in ten is lost, as many come twice or late.
    pub const LOSSY: Self = Self { delay_min_ms: 1, delay_max_ms: 50, lost: 100, doubled: 100, late: 100 };
}

/// A set of nodes, by position; at most 64.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Nodes(pub(super) u64);

impl Nodes {
    pub(super) const ALL: Self = Self(u64::MAX);

    pub(super) fn of(nodes: &[usize]) -> Self {
        Self(nodes.iter().fold(0, |set, node| set | 1u64 << (node % 64)))
    }

    pub(super) const fn others(self) -> Self {
        Self(!self.0)
    }

    pub(super) const fn has(self, node: usize) -> bool {
        self.0 >> (node % 64) & 1 == 1
    }
}

/// What is wrong with messages from some nodes to others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Trouble {
    /// They are lost.
    Cut,
    /// They take so many microseconds longer.
    Slow(u64),
    /// So many of a thousand are lost.
    Lossy(u32),
    /// So many of a thousand arrive with flipped bits.
    Garbled(u32),
}

/// Trouble with links, until it ends.
#[derive(Clone, Copy, Debug)]
struct Impairment {
    id: u64,
    from: Nodes,
    to: Nodes,
    trouble: Trouble,
}

/// A copy of a message that will arrive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Copy {
    /// When.
    pub(super) at: u64,
    pub(super) garbled: bool,
}

/// The state of the network.
#[derive(Clone, Debug)]
pub(super) struct Network {
    links: Links,
    impairments: Vec<Impairment>,
    /// For each pair: when the last message of the link arrives, and how often its connection was made anew.
    last: Vec<Vec<(u64, u32)>>,
}

impl Network {
    pub(super) fn new(links: Links, nodes: usize) -> Self {
        Self { links, impairments: Vec::new(), last: vec![vec![(0, 0); nodes]; nodes] }
    }

    /// Faults end.
    pub(super) fn heal(&mut self) {
        self.links = Links { lost: 0, doubled: 0, late: 0, ..self.links };
        self.impairments.clear();
    }

    /// Trouble begins; it ends by its number.
    pub(super) fn impair(&mut self, id: u64, from: Nodes, to: Nodes, trouble: Trouble) {
        self.impairments.push(Impairment { id, from, to, trouble });
    }

    pub(super) fn mend(&mut self, id: u64) {
        self.impairments.retain(|impairment| impairment.id != id);
    }

    /// The connections of two nodes break: what is on its way is lost.
    pub(super) fn reset(&mut self, a: usize, b: usize) {
        self.last[a][b].1 += 1;
        self.last[b][a].1 += 1;
    }

    /// How often the connection was made anew.
    pub(super) fn connection(&self, from: usize, to: usize) -> u32 {
        self.last[from][to].1
    }

    fn on(&self, from: usize, to: usize) -> impl Iterator<Item = Trouble> {
        let here = move |impairment: &&Impairment| impairment.from.has(from) && impairment.to.has(to);
        self.impairments.iter().filter(here).map(|impairment| impairment.trouble)
    }

    pub(super) fn reaches(&self, from: usize, to: usize) -> bool {
        self.on(from, to).all(|trouble| trouble != Trouble::Cut)
    }

    /// The copies of a message that will arrive: none, one or two.
    pub(super) fn send(
        &mut self,
        rng: &mut Rng,
        counts: &mut Counts,
        now: u64,
        (from, to): (usize, usize),
    ) -> [Option<Copy>; 2] {
        let (mut lost, mut garbled, mut slower) = (rng.per_mille(self.links.lost), false, 0);
        if !self.impairments.is_empty() {
            for impairment in &self.impairments {
                if !impairment.from.has(from) || !impairment.to.has(to) {
                    continue;
                }
                match impairment.trouble {
                    Trouble::Cut => return [None, None],
                    Trouble::Slow(us) => slower += us,
                    Trouble::Lossy(chance) => lost |= rng.per_mille(chance),
                    Trouble::Garbled(chance) => garbled |= rng.per_mille(chance),
                }
            }
        }
        if lost {
            counts.did(FaultKind::Lost);
            return [None, None];
        }
        let first = self.copy(rng, counts, now + slower, (from, to), garbled);
        if !rng.per_mille(self.links.doubled) {
            return [Some(first), None];
        }
        counts.did(FaultKind::Doubled);
        [Some(first), Some(self.copy(rng, counts, now + slower, (from, to), garbled))]
    }

    fn copy(&mut self, rng: &mut Rng, counts: &mut Counts, at: u64, (from, to): (usize, usize), garbled: bool) -> Copy {
        let (usual, late) = self.delay_of(rng);
        if late {
            counts.did(FaultKind::Late);
        }
        let last = &mut self.last[from][to].0;
        if at + usual < *last {
            counts.did(FaultKind::Reordered);
        }
        *last = (*last).max(at + usual);
        Copy { at: at + usual, garbled }
    }

    fn delay_of(&self, rng: &mut Rng) -> (u64, bool) {
        let usual = rng.between(self.links.delay_min_ms * 1000, self.links.delay_max_ms * 1000);
        if rng.per_mille(self.links.late) { (usual * rng.between(2, 10), true) } else { (usual, false) }
    }

    pub(super) fn delay(&self, rng: &mut Rng) -> u64 {
        self.delay_of(rng).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_go_one_way_or_both_and_end_by_their_number() {
        let mut network = Network::new(Links::GOOD, 3);
        let one = Nodes::of(&[1]);
        network.impair(1, one, one.others(), Trouble::Cut);
        let reaches = |network: &Network| [(0, 1), (1, 0), (0, 2)].map(|(from, to)| network.reaches(from, to));
        assert_eq!(reaches(&network), [true, false, true]);
        network.impair(2, one.others(), one, Trouble::Cut);
        assert_eq!(reaches(&network), [false, false, true]);
        network.mend(1);
        assert_eq!(reaches(&network), [false, true, true]);
        network.heal();
        assert_eq!(reaches(&network), [true, true, true]);
    }

    #[test]
    fn what_is_lost_does_not_come_and_good_links_lose_nothing() {
        let (mut rng, mut counts) = (Rng::new(1), Counts::default());
        let mut dead = Network::new(Links { lost: 1000, ..Links::GOOD }, 2);
        assert_eq!(dead.send(&mut rng, &mut counts, 0, (0, 1)), [None, None]);
        assert_eq!(counts.of(FaultKind::Lost.name()), 1);
        let mut good = Network::new(Links::GOOD, 2);
        for _ in 0..100 {
            let [first, second] = good.send(&mut rng, &mut counts, 0, (0, 1));
            assert!(first.is_some_and(|copy| (1000..=10_000).contains(&copy.at)) && second.is_none());
        }
        good.impair(1, Nodes::ALL, Nodes::of(&[1]), Trouble::Slow(500_000));
        let [first, _] = good.send(&mut rng, &mut counts, 0, (0, 1));
        assert!(first.is_some_and(|copy| copy.at > 500_000));
    }
}

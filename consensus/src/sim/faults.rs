//! When what goes wrong: planned before the run, from the seed.

use super::kinds::FaultKind;
use super::rng::Rng;
use super::scenario::{Faults, Stakes};
use crate::{ValidatorIndex, ValidatorSet};

/// Longest time that a random fault lasts.
const LONGEST_MS: u64 = 5_000;

/// Steps of the driver within which a planned crash comes.
const CRASH_STEPS: u64 = 60;

/// Something that goes wrong. Nodes are positions in the set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// These lose power; they start again when the fault ends.
    Down(Vec<usize>),
    /// This one loses power after so many further steps of its driver; it starts again when the fault ends, or up to five
    /// seconds later.
    CrashIn(usize, u64),
    /// This one loses power and its disk, and starts again with nothing but its key.
    Wipe(usize),
    /// The disk of this one is copied.
    CopyDisk(usize),
    /// The disk of this one is put back to the copy.
    PutBack(usize),
    /// This one is stopped, a bit of its log or mark is flipped, and it is started again.
    FlipBit(usize),
    /// The next sync of this one fails.
    SyncFails(usize),
    /// Syncs of this one take so many milliseconds.
    SlowDisk(usize, u64),
    /// What the first send to the second is lost.
    Cut(Vec<usize>, Vec<usize>),
    /// The leader of the moment is cut off.
    CutLeader,
    /// What the first and the second send each other takes so many milliseconds longer.
    Slow(Vec<usize>, Vec<usize>, u64),
    /// Of what the first and the second send each other so many of a thousand are lost.
    Lossy(Vec<usize>, Vec<usize>, u32),
    /// Of what the first sends to all, so many of a thousand arrive with flipped bits.
    Garbled(Vec<usize>, u32),
    /// The connection between two breaks and is made anew.
    Reset(usize, usize),
    /// What this one was sent before comes again.
    Replay(usize),
    /// This process stands still.
    Pause(usize),
    /// The clock of this one jumps by so many milliseconds.
    Clock(usize, i64),
    /// The clock of this one goes wrong by so many millionths.
    Drift(usize, i64),
    /// Verdicts and blocks take this one so many milliseconds.
    SlowApplication(usize, u64),
    /// Verdicts and blocks never come here.
    Unanswered(usize),
    /// This one cannot build.
    NotBuilt(usize),
}

/// A fault with its time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Planned {
    /// When it begins, in milliseconds of the run.
    pub at_ms: u64,
    /// How long it lasts.
    pub for_ms: u64,
    /// As what it is counted.
    pub kind: FaultKind,
    /// What happens.
    pub fault: Fault,
}

/// Who plays which part.
#[derive(Clone, Debug, Default)]
pub(super) struct Cast {
    /// Down from the start to the end.
    pub(super) dead: Vec<ValidatorIndex>,
    /// Runs twice.
    pub(super) twin: Option<ValidatorIndex>,
    /// Do not follow the protocol.
    pub(super) byzantine: Vec<ValidatorIndex>,
    /// May lose their memory.
    pub(super) forgetful: Vec<ValidatorIndex>,
}

/// Random weights between 1 and 100.
pub(super) fn weights(stakes: &Stakes, rng: &mut Rng) -> Vec<u64> {
    match stakes {
        Stakes::Given(weights) => weights.clone(),
        Stakes::Random(least, most) => {
            let count = rng.between(*least as u64, *most as u64);
            (0..count).map(|_| rng.between(1, 100)).collect()
        }
    }
}

/// Chooses faulty validators in random order while the others remain a quorum.
pub(super) fn cast(faults: &Faults, set: &ValidatorSet, rng: &mut Rng) -> Cast {
    let mut order: Vec<ValidatorIndex> = set.iter().map(|(index, _)| index).collect();
    rng.shuffle(&mut order);
    let mut left = u128::from(set.total().0);
    let mut spare = |who: ValidatorIndex| {
        let rest = left - u128::from(set.weight(who).0);
        // The observer does not ask the set, whose arithmetic it observes.
        let can = crate::is_quorum(rest, u128::from(set.total().0));
        if can {
            left = rest;
        }
        can
    };
    let forgets =
        |planned: &(FaultKind, u32)| matches!(planned.0, FaultKind::Wiped | FaultKind::RolledBack | FaultKind::BitFlip);
    let forgetful = faults.random.iter().any(forgets);
    let mut cast = Cast::default();
    for who in order {
        if faults.twins && cast.twin.is_none() && spare(who) {
            cast.twin = Some(who);
        } else if !faults.byzantine.is_empty() && (cast.byzantine.is_empty() || rng.per_mille(500)) && spare(who) {
            cast.byzantine.push(who);
        } else if faults.dead_third && spare(who) {
            cast.dead.push(who);
        } else if forgetful && spare(who) {
            cast.forgetful.push(who);
        }
    }
    cast
}

/// The random faults of a run, with their times.
pub(super) fn plan(faults: &Faults, cast: &Cast, nodes: usize, rng: &mut Rng) -> Vec<Planned> {
    let mut plan = Vec::new();
    for (kind, count) in &faults.random {
        for _ in 0..*count {
            let draw = Draw { kind: *kind, at_ms: rng.below(faults.for_ms), nodes };
            draw.add(cast, rng, &mut plan);
        }
    }
    plan
}

/// One random fault in the making.
struct Draw {
    kind: FaultKind,
    at_ms: u64,
    nodes: usize,
}

impl Draw {
    fn add(&self, cast: &Cast, rng: &mut Rng, plan: &mut Vec<Planned>) {
        let node = rng.index(self.nodes);
        let for_ms = rng.below(LONGEST_MS);
        match self.kind {
            FaultKind::Crash => self.one(plan, for_ms, Fault::Down(vec![node])),
            FaultKind::CrashAtStep | FaultKind::CrashInSync | FaultKind::CrashInRotation => {
                self.one(plan, for_ms, Fault::CrashIn(node, rng.below(CRASH_STEPS)));
            }
            FaultKind::Blackout => self.one(plan, for_ms, Fault::Down((0..self.nodes).collect())),
            FaultKind::CrashLoop => {
                let mut at_ms = self.at_ms;
                for _ in 0..rng.between(3, 8) {
                    let down = rng.below(300);
                    plan.push(Planned { at_ms, for_ms: down, kind: self.kind, fault: Fault::Down(vec![node]) });
                    at_ms += down + rng.below(200);
                }
            }
            FaultKind::RollingRestart => {
                let mut at_ms = self.at_ms;
                for node in 0..self.nodes {
                    let down = rng.below(500);
                    plan.push(Planned { at_ms, for_ms: down, kind: self.kind, fault: Fault::Down(vec![node]) });
                    at_ms += down;
                }
            }
            FaultKind::Wiped | FaultKind::BitFlip | FaultKind::RolledBack => self.forget(cast, rng, plan, for_ms),
            FaultKind::SyncFails => self.one(plan, for_ms, Fault::SyncFails(node)),
            FaultKind::DiskFull => self.one(plan, for_ms, Fault::CrashIn(node, 0)),
            FaultKind::DiskSlow => self.one(plan, for_ms, Fault::SlowDisk(node, rng.between(50, 800))),
            FaultKind::Paused => self.one(plan, for_ms, Fault::Pause(node)),
            FaultKind::ClockAhead => {
                self.one(plan, for_ms, Fault::Clock(node, i64::try_from(rng.below(600_000)).unwrap_or(0)))
            }
            FaultKind::ClockBack => {
                self.one(plan, for_ms, Fault::Clock(node, -i64::try_from(rng.below(600_000)).unwrap_or(0)))
            }
            FaultKind::ClockDrift => {
                let millionths = i64::try_from(rng.below(400_000)).unwrap_or(0) - 200_000;
                self.one(plan, for_ms, Fault::Drift(node, millionths));
            }
            FaultKind::ApplicationSlow => self.one(plan, for_ms, Fault::SlowApplication(node, rng.between(100, 1_500))),
            FaultKind::Unanswered => self.one(plan, for_ms, Fault::Unanswered(node)),
            FaultKind::NotBuilt => self.one(plan, for_ms, Fault::NotBuilt(node)),
            _ => self.network(node, rng, plan, for_ms),
        }
    }

    fn one(&self, plan: &mut Vec<Planned>, for_ms: u64, fault: Fault) {
        plan.push(Planned { at_ms: self.at_ms, for_ms, kind: self.kind, fault });
    }

    fn forget(&self, cast: &Cast, rng: &mut Rng, plan: &mut Vec<Planned>, for_ms: u64) {
        if cast.forgetful.is_empty() {
            return;
        }
        let node = cast.forgetful[rng.index(cast.forgetful.len())].position();
        match self.kind {
            FaultKind::Wiped => self.one(plan, for_ms, Fault::Wipe(node)),
            FaultKind::BitFlip => self.one(plan, for_ms, Fault::FlipBit(node)),
            _ => {
                self.one(plan, 0, Fault::CopyDisk(node));
                let at_ms = self.at_ms + rng.below(LONGEST_MS);
                plan.push(Planned { at_ms, for_ms: 100, kind: self.kind, fault: Fault::PutBack(node) });
            }
        }
    }

    fn network(&self, node: usize, rng: &mut Rng, plan: &mut Vec<Planned>, for_ms: u64) {
        let (one, rest) = (vec![node], self.but(&[node]));
        let other = (node + 1 + rng.index(self.nodes.saturating_sub(1).max(1))) % self.nodes;
        match self.kind {
            FaultKind::Partition => self.parts(rng, plan, for_ms),
            FaultKind::OneWay => {
                let side = self.side(rng);
                let rest = self.but(&side);
                self.one(plan, for_ms, Fault::Cut(rest, side));
            }
            FaultKind::Isolated => self.cut_off(plan, for_ms, one, rest),
            FaultKind::LeaderIsolated => self.one(plan, for_ms, Fault::CutLeader),
            FaultKind::Deaf => self.one(plan, for_ms, Fault::Cut(rest, one)),
            FaultKind::Mute => self.one(plan, for_ms, Fault::Cut(one, rest)),
            FaultKind::SlowLink => self.one(plan, for_ms, Fault::Slow(one, vec![other], rng.between(50, 1_000))),
            FaultKind::SlowValidator => self.one(plan, for_ms, Fault::Slow(one, rest, rng.between(50, 500))),
            FaultKind::SlowRegion => {
                let side = self.side(rng);
                let rest = self.but(&side);
                self.one(plan, for_ms, Fault::Slow(side, rest, rng.between(50, 400)));
            }
            FaultKind::LossyLink => self.one(plan, for_ms, Fault::Lossy(one, vec![other], 700)),
            FaultKind::Flapping => {
                let mut at_ms = self.at_ms;
                for _ in 0..rng.between(4, 12) {
                    let cut_ms = rng.between(20, 300);
                    for (from, to) in [(node, other), (other, node)] {
                        let fault = Fault::Cut(vec![from], vec![to]);
                        plan.push(Planned { at_ms, for_ms: cut_ms, kind: self.kind, fault });
                    }
                    at_ms += cut_ms + rng.between(20, 300);
                }
            }
            FaultKind::Outage => {
                let all: Vec<usize> = (0..self.nodes).collect();
                self.one(plan, rng.between(20, 400), Fault::Cut(all.clone(), all));
            }
            FaultKind::Garbled => self.one(plan, for_ms, Fault::Garbled(one, rng.between(50, 500) as u32)),
            FaultKind::Reset => self.one(plan, 0, Fault::Reset(node, other)),
            FaultKind::Replayed => self.one(plan, 0, Fault::Replay(node)),
            // The others come with the links, the disk and the cast.
            _ => {}
        }
    }

    fn but(&self, some: &[usize]) -> Vec<usize> {
        (0..self.nodes).filter(|node| !some.contains(node)).collect()
    }

    fn side(&self, rng: &mut Rng) -> Vec<usize> {
        (0..self.nodes).filter(|_| rng.per_mille(400)).collect()
    }

    fn cut_off(&self, plan: &mut Vec<Planned>, for_ms: u64, some: Vec<usize>, rest: Vec<usize>) {
        self.one(plan, for_ms, Fault::Cut(some.clone(), rest.clone()));
        self.one(plan, for_ms, Fault::Cut(rest, some));
    }

    /// Two or three parts.
    fn parts(&self, rng: &mut Rng, plan: &mut Vec<Planned>, for_ms: u64) {
        let parts: Vec<u64> = (0..self.nodes).map(|_| rng.below(3)).collect();
        for part in 0..3 {
            let inside: Vec<usize> = (0..self.nodes).filter(|node| parts[*node] == part).collect();
            let outside = self.but(&inside);
            self.one(plan, for_ms, Fault::Cut(inside, outside));
        }
    }
}

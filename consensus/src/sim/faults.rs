//! When what goes wrong: planned before the run, from the seed.

use super::rng::Rng;
use super::scenario::{Faults, Stakes};
use crate::{ValidatorIndex, ValidatorSet};

/// Longest time that a node stays down, or a partition lasts.
const LONGEST_MS: u64 = 5_000;

/// Steps of the driver within which a planned crash comes.
const CRASH_STEPS: u64 = 60;

/// A fault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// A node crashes after so many further steps, or at once.
    Crash {
        node: usize,
        steps: u64,
        down_ms: u64,
    },
    /// All crash now.
    Blackout {
        down_ms: u64,
    },
    Wipe {
        node: usize,
        down_ms: u64,
    },
    /// The disk is copied.
    Copy {
        node: usize,
    },
    /// The copy is put back.
    PutBack {
        node: usize,
    },
    Split {
        sides: Vec<u64>,
        one_way: Option<u64>,
    },
    Mend,
}

/// Who plays which part.
#[derive(Clone, Debug, Default)]
pub(super) struct Cast {
    /// Down from the start to the end.
    pub(super) dead: Vec<ValidatorIndex>,
    /// Runs twice.
    pub(super) twin: Option<ValidatorIndex>,
    /// May lose its memory.
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
        let can = set.is_quorum(rest);
        if can {
            left = rest;
        }
        can
    };
    let mut cast = Cast::default();
    for who in order {
        if faults.twins && cast.twin.is_none() && spare(who) {
            cast.twin = Some(who);
        } else if faults.dead_third && spare(who) {
            cast.dead.push(who);
        } else if (faults.wipes > 0 || faults.rollbacks > 0) && spare(who) {
            cast.forgetful.push(who);
        }
    }
    cast
}

/// The faults of a run with their times in milliseconds.
pub(super) fn plan(faults: &Faults, cast: &Cast, nodes: usize, rng: &mut Rng) -> Vec<(u64, Fault)> {
    let mut plan = Vec::new();
    let end = faults.for_ms;
    for _ in 0..faults.crashes {
        let steps = if rng.per_mille(300) { 0 } else { rng.below(CRASH_STEPS) };
        let fault = Fault::Crash { node: rng.index(nodes), steps, down_ms: rng.below(LONGEST_MS) };
        plan.push((rng.below(end), fault));
    }
    for _ in 0..faults.blackouts {
        plan.push((rng.below(end), Fault::Blackout { down_ms: rng.below(LONGEST_MS) }));
    }
    for _ in 0..faults.wipes.min(u32::try_from(cast.forgetful.len()).unwrap_or(0)) {
        let node = cast.forgetful[rng.index(cast.forgetful.len())].position();
        plan.push((rng.below(end), Fault::Wipe { node, down_ms: rng.below(LONGEST_MS) }));
    }
    for who in cast.forgetful.iter().take(usize::try_from(faults.rollbacks).unwrap_or(0)) {
        let (node, copied) = (who.position(), rng.below(end / 2));
        plan.push((copied, Fault::Copy { node }));
        plan.push((rng.between(copied, end), Fault::PutBack { node }));
    }
    for _ in 0..faults.partitions {
        let sides = (0..nodes).map(|_| rng.below(3)).collect();
        let one_way = rng.per_mille(300).then(|| rng.below(3));
        let at = rng.below(end);
        plan.push((at, Fault::Split { sides, one_way }));
        plan.push((at + rng.below(LONGEST_MS), Fault::Mend));
    }
    plan
}

//! Which set-ups and plans there are: all of them where they are few, drawn by a seed where they are many.

use super::Summary;
use super::plan::{After, Plan, Round, tell};
use super::play::{Outcome, World};
use super::setup::Setup;
use crate::sim::Rng;
use crate::{ValidatorIndex, View};

/// Four validators that weigh the same.
const EQUAL: [u64; 4] = [1, 1, 1, 1];

/// Four validators that do not. The heaviest that may be two weighs just below a third.
const UNEQUAL: [[u64; 4]; 3] = [[2, 2, 2, 1], [3, 3, 3, 1], [1, 2, 3, 4]];

/// Most failures that a summary tells in full.
const MAX_TOLD: usize = 3;

/// All plans of so many rounds, in which each round cuts the instances into at most so many groups.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) rounds: u32,
    pub(super) groups: u8,
}

/// One set-up with one twin, and how far its plans are enumerated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope {
    pub(super) weights: [u64; 4],
    pub(super) twin: ValidatorIndex,
    pub(super) first: View,
    pub(super) size: Size,
}

impl Scope {
    fn setup(&self) -> Setup {
        Setup::new(&self.weights, &[self.twin], self.first)
    }
}

/// Each validator that may be two, and for unequal weights two beginnings of the rotation. With equal weights another
/// beginning is the same as another twin.
pub(super) fn scopes(equal: Size, unequal: Size) -> Vec<Scope> {
    let mut scopes = Vec::new();
    for twin in 0..4 {
        scopes.push(Scope { weights: EQUAL, twin: ValidatorIndex(twin), first: View(0), size: equal });
    }
    for weights in UNEQUAL {
        let total: u64 = weights.iter().sum();
        for (twin, weight) in (0..4).zip(weights) {
            for first in [0, total / 2] {
                if 3 * weight < total {
                    scopes.push(Scope { weights, twin: ValidatorIndex(twin), first: View(first), size: unequal });
                }
            }
        }
    }
    scopes
}

/// All ways to cut instances into at most so many groups, each once: as restricted growth strings, in which a group
/// is numbered when its first member comes.
pub(super) fn partitions(instances: usize, groups: u8) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = vec![Vec::new()];
    for _ in 0..instances {
        let mut longer = Vec::new();
        for string in &all {
            let next = string.iter().max().map_or(0, |highest| highest + 1);
            for group in 0..=next.min(groups.saturating_sub(1)) {
                let mut extended = string.clone();
                extended.push(group);
                longer.push(extended);
            }
        }
        all = longer;
    }
    all
}

/// The same cut with its groups numbered as [`partitions`] does.
fn canonical(groups: &[u8]) -> Vec<u8> {
    let mut order: Vec<u8> = Vec::new();
    let mut string = Vec::with_capacity(groups.len());
    for group in groups {
        let known = order.iter().position(|other| other == group);
        string.push(u8::try_from(known.unwrap_or(order.len())).unwrap_or(u8::MAX));
        if known.is_none() {
            order.push(*group);
        }
    }
    string
}

/// Goes through all plans of a set-up. Plans that begin with the same rounds share the world after these rounds.
struct Walk<'a> {
    setup: &'a Setup,
    cuts: Vec<Vec<u8>>,
    /// For each cut the one in which the twin's two instances have changed places.
    mirror: Vec<usize>,
    rounds: usize,
    stride: u64,
    /// Plans passed, played or not.
    passed: u64,
    summary: &'a mut Summary,
}

impl<'a> Walk<'a> {
    fn new(setup: &'a Setup, size: Size, stride: u64, passed: u64, summary: &'a mut Summary) -> Self {
        let cuts = partitions(setup.instances.len(), size.groups);
        let second = setup.set.len();
        let mirrored = |cut: &Vec<u8>| {
            let mut groups = cut.clone();
            for (twin, at) in setup.twins.iter().zip(second..) {
                groups.swap(twin.position(), at);
            }
            let mirrored = canonical(&groups);
            cuts.iter().position(|other| *other == mirrored).unwrap_or(0)
        };
        let mirror = cuts.iter().map(mirrored).collect();
        let rounds = usize::try_from(size.rounds).unwrap_or(0);
        Self { setup, cuts, mirror, rounds, stride, passed, summary }
    }

    /// Plans that continue in so many more rounds; `tied`: what was chosen so far is its own mirror image.
    fn plans(&self, rounds: usize, tied: bool) -> u64 {
        let rounds = u32::try_from(rounds).unwrap_or(0);
        let all = (self.cuts.len() as u64).pow(rounds);
        let alike = self.mirror.iter().enumerate().filter(|(cut, mirror)| cut == *mirror).count() as u64;
        if tied { (all + alike.pow(rounds)) / 2 } else { all }
    }

    /// The twin's instances differ in nothing but their salt: of a plan and its mirror image one is played, the lower.
    fn descend(&mut self, world: &World, path: &mut Vec<usize>, tied: bool) {
        for cut in 0..self.cuts.len() {
            if tied && cut > self.mirror[cut] {
                continue;
            }
            let still_tied = tied && cut == self.mirror[cut];
            let plans = self.plans(self.rounds - path.len() - 1, still_tied);
            if self.passed.next_multiple_of(self.stride) >= self.passed + plans {
                self.passed += plans;
                continue;
            }
            path.push(cut);
            self.play(world, path, plans, still_tied);
            path.pop();
        }
    }

    /// Plays the last round of a path; then what comes after the cuts, or all further rounds.
    fn play(&mut self, world: &World, path: &mut Vec<usize>, plans: u64, tied: bool) {
        let plan = self.plan(path);
        let mut next = world.clone();
        if let Some(round) = plan.rounds.last() {
            next.round(self.setup, round, &plan);
        }
        if path.len() < self.rounds && !next.has_failed() {
            return self.descend(&next, path, tied);
        }
        self.passed += plans;
        let setup = self.setup;
        next.heal(setup, plan.after);
        self.summary.add(&next.outcome(setup), |failure| tell(setup, &plan, failure));
    }

    fn plan(&self, path: &[usize]) -> Plan {
        let rounds = path.iter().filter_map(|cut| self.cuts.get(*cut)).map(|groups| Round::of(groups)).collect();
        let after = match self.summary.runs % 3 {
            0 => After::Both,
            1 => After::One,
            _ => After::Neither,
        };
        Plan { rounds, after, late: false, talkative: false }
    }
}

/// Plays all plans of these set-ups, or every `stride`-th of them, so that there are at most `limit` runs.
pub(super) fn enumerate(scopes: &[Scope], limit: u64) -> Summary {
    let mut summary = Summary::default();
    let setups: Vec<(Setup, Size)> = scopes.iter().map(|scope| (scope.setup(), scope.size)).collect();
    let mut all: u64 = 0;
    for (setup, size) in &setups {
        all += Walk::new(setup, *size, 1, 0, &mut summary).plans(usize::try_from(size.rounds).unwrap_or(0), true);
    }
    // Odd, so that it takes all cuts in turn.
    let stride = all.div_ceil(limit.max(1)) | 1;
    let mut passed = 0;
    for (setup, size) in &setups {
        let world = World::new(setup);
        let mut walk = Walk::new(setup, *size, stride, passed, &mut summary);
        walk.descend(&world, &mut Vec::new(), true);
        passed = walk.passed;
    }
    summary
}

impl Summary {
    pub(super) fn add(&mut self, outcome: &Outcome, tell: impl Fn(&str) -> String) {
        self.runs += 1;
        self.views += outcome.views;
        self.final_blocks += outcome.final_blocks;
        self.offences += outcome.offences;
        self.messages += outcome.messages;
        self.worst_recovery = self.worst_recovery.max(outcome.recovery);
        if let Some(failure) = &outcome.failure {
            self.failed += 1;
            if self.failures.len() < MAX_TOLD {
                self.failures.push(tell(failure));
            }
        }
    }
}

/// Rounds in which everything is drawn: the cuts, mostly into two groups, and ways that are open in one direction.
fn draw_plan(setup: &Setup, rounds: u64, rng: &mut Rng) -> Plan {
    let rounds = (0..rounds).map(|_| draw_round(setup.instances.len(), rng)).collect();
    let after = After::ALL[rng.index(After::ALL.len())];
    Plan { rounds, after, late: rng.per_mille(333), talkative: rng.per_mille(500) }
}

fn draw_round(instances: usize, rng: &mut Rng) -> Round {
    let most = [1, 2, 2, 2, 3][rng.index(5)];
    let drawn: Vec<u8> = (0..instances).map(|_| u8::try_from(rng.below(most)).unwrap_or(0)).collect();
    let mut round = Round::of(&canonical(&drawn));
    let groups = round.groups.iter().max().map_or(0, |highest| highest + 1);
    if rng.per_mille(300) {
        let ways = (0..groups).flat_map(|from| (0..groups).map(move |to| (from, to)));
        round.one_way = ways.filter(|(from, to)| from != to && rng.per_mille(500)).collect();
    }
    round
}

/// Four validators and a twin.
pub(super) fn draw_small(seed: u64) -> (Setup, Plan) {
    let mut rng = Rng::new(seed);
    let possible = scopes(Size { rounds: 0, groups: 0 }, Size { rounds: 0, groups: 0 });
    let scope = possible[rng.index(possible.len())];
    let setup = Setup::new(&scope.weights, &[scope.twin], View(rng.below(8)));
    let rounds = rng.between(2, 4);
    let plan = draw_plan(&setup, rounds, &mut rng);
    (setup, plan)
}

/// Seven validators and two twins, six rounds.
pub(super) fn draw_large(seed: u64) -> (Setup, Plan) {
    let mut rng = Rng::new(seed);
    let mut weights: Vec<u64> = (0..7).map(|_| rng.between(1, 9)).collect();
    let mut order: Vec<u16> = (0..7).collect();
    rng.shuffle(&mut order);
    let mut twins: Vec<ValidatorIndex> = order.into_iter().take(2).map(ValidatorIndex).collect();
    twins.sort_unstable();
    let total: u64 = weights.iter().sum();
    let twice: u64 = twins.iter().map(|twin| weights[twin.position()]).sum();
    if 3 * twice >= total {
        for twin in &twins {
            weights[twin.position()] = 1;
        }
    }
    let setup = Setup::new(&weights, &twins, View(rng.below(64)));
    let plan = draw_plan(&setup, 6, &mut rng);
    (setup, plan)
}

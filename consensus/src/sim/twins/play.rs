//! Plays one run: real cores, no clock, no queue of events. Messages are delivered in the order in which they were
//! sent, until nobody has anything to say; then the next round begins.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::checks::Checks;
use super::plan::{After, Plan, Round};
use super::setup::{Setup, make_block};
use crate::core::{Build, Config, Core, Input, Memory0, Output, Standing, Timer, Timing};
use crate::{Ballot, BlockInfo, Certificate, Hash, Height, Message, Phase, Proposal, ValidatorIndex, View};

/// Blocks that every honest instance has to make final after the cuts, above the highest that was final before.
pub(super) const BLOCKS_AFTER: u64 = 2;

/// Views within which this has to happen.
pub(super) const VIEWS_AFTER: u64 = 32;

/// Messages that may be delivered before nobody has anything to say. A round of nine instances takes a few hundred.
const MAX_MESSAGES: u64 = 100_000;

/// Nothing here takes time: timers run out when the plan says so.
const TIMING: Timing = Timing { view_timeout_ms: 1_000, view_timeout_max_ms: 8_000, retransmit_ms: 500 };

/// What came of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Outcome {
    /// The first thing that did not hold.
    pub(crate) failure: Option<String>,
    /// Blocks that became final.
    pub(crate) final_blocks: u64,
    /// Views that the furthest instance went through.
    pub(crate) views: u64,
    /// Views of twins that were proven to be offences.
    pub(crate) offences: u64,
    /// Messages that were delivered.
    pub(crate) messages: u64,
    /// Views until progress, once everybody reached everybody.
    pub(crate) recovery: u64,
}

/// Plays one run.
pub(crate) fn play(setup: &Setup, plan: &Plan) -> Outcome {
    let mut world = World::new(setup);
    for round in &plan.rounds {
        world.round(setup, round, plan);
    }
    world.heal(setup, plan.after);
    world.outcome(setup)
}

#[derive(Clone, Debug)]
struct Envelope {
    from: ValidatorIndex,
    to: usize,
    message: Arc<Message>,
}

/// One instance of a validator, with the little application that it has.
#[derive(Clone, Debug)]
struct Instance {
    core: Core,
    me: ValidatorIndex,
    /// Tells its blocks from those of its twin.
    salt: u64,
    /// The blocks that are valid here, with the root.
    blocks: BTreeMap<Hash, Height>,
    /// The last final block.
    head: BlockInfo,
    /// (view, step) of the last ballot that it signed.
    mark: (View, u8),
    /// Whether it was told that its view has work.
    told: bool,
    /// Whether the timer of its view runs.
    timer: bool,
    /// The block that it is to build.
    wanted: Option<Build>,
    silent: bool,
}

impl Instance {
    fn new(setup: &Setup, me: ValidatorIndex, salt: u64) -> Self {
        let step = if setup.root_certificate.is_some() { Phase::Commit.step() } else { Phase::Propose.step() };
        let mark = (setup.first, step);
        // A twin is not to find out what the other one signed: it would fall silent (SPEC rule M3).
        let memory = if setup.is_twin(me) { Memory0::LostButAccepted } else { Memory0::Mark(mark.0, mark.1) };
        let core = Core::new(Config {
            genesis: setup.genesis,
            set: setup.set.clone(),
            me,
            timing: TIMING,
            root: setup.root,
            root_certificate: setup.root_certificate.clone(),
            memory,
        });
        let blocks = BTreeMap::from([(setup.root.hash, setup.root.height)]);
        let (told, timer, wanted, silent) = (false, false, None, false);
        Self { core, me, salt, blocks, head: setup.root, mark, told, timer, wanted, silent }
    }
}

/// All instances, and what is on its way between them. A world in which nothing is on its way can be cloned and
/// continued in several ways.
#[derive(Clone, Debug)]
pub(super) struct World {
    instances: Vec<Instance>,
    queue: VecDeque<Envelope>,
    /// What was cut off and arrives later.
    late: Vec<Envelope>,
    /// Who reaches whom; none: everybody everybody.
    links: Option<Round>,
    keeps_late: bool,
    /// The last view in which there is work.
    horizon: View,
    checks: Checks,
    messages: u64,
    recovery: u64,
    /// The final blocks by height, each with the best certificate that anybody had for it: what block sync serves.
    chain: BTreeMap<u64, (BlockInfo, Certificate)>,
}

impl World {
    /// Everybody stands up and votes; there is no work yet.
    pub(super) fn new(setup: &Setup) -> Self {
        let salted = setup.instances.iter().zip(1u64..);
        let mut world = Self {
            instances: salted.map(|(me, salt)| Instance::new(setup, *me, salt)).collect(),
            queue: VecDeque::new(),
            late: Vec::new(),
            links: None,
            keeps_late: false,
            horizon: setup.first,
            checks: Checks::default(),
            messages: 0,
            recovery: 0,
            chain: BTreeMap::new(),
        };
        for at in 0..world.instances.len() {
            world.step(setup, at, Input::Start);
        }
        world.drain(setup);
        if let Some(idle) = world.instances.iter().position(|one| one.core.standing() != Standing::Active) {
            world.checks.fail(format!("{} does not begin to vote", setup.name(idle)));
        }
        world
    }

    pub(super) const fn has_failed(&self) -> bool {
        self.checks.failure().is_some()
    }

    /// One round of a plan: one view further there is work.
    pub(super) fn round(&mut self, setup: &Setup, round: &Round, plan: &Plan) {
        self.links = Some(round.clone());
        self.keeps_late = plan.late;
        self.turn(setup, plan.talkative);
    }

    /// The timers of those who are behind run out, then everybody works, until nobody has anything to say.
    fn turn(&mut self, setup: &Setup, talkative: bool) {
        self.horizon = self.horizon.next();
        for at in 0..self.instances.len() {
            self.begin_turn(setup, at, talkative);
        }
        self.drain(setup);
    }

    fn begin_turn(&mut self, setup: &Setup, at: usize, talkative: bool) {
        if self.instances[at].silent {
            return;
        }
        let view = self.instances[at].core.view();
        let behind = view < self.horizon;
        if behind && std::mem::take(&mut self.instances[at].timer) {
            self.step(setup, at, Input::Timer(Timer::View(view)));
        }
        if behind || talkative {
            let view = self.instances[at].core.view();
            self.step(setup, at, Input::Timer(Timer::Retransmit(view)));
        }
        let work = self.look_for_work(at);
        let built = self.build(setup, at);
        for input in work.into_iter().chain(built) {
            self.step(setup, at, input);
        }
    }

    /// The cuts end: from now on everybody reaches everybody. Every honest instance has to make progress.
    pub(super) fn heal(&mut self, setup: &Setup, after: After) {
        self.silence(setup, after);
        self.links = None;
        self.queue.extend(self.late.drain(..));
        let highest = self.honest_heights(setup).max().unwrap_or(0);
        while !self.has_failed() && self.honest_heights(setup).any(|height| height < highest + BLOCKS_AFTER) {
            if self.recovery == VIEWS_AFTER {
                // Without two thirds that are honest nothing is promised but agreement.
                if setup.tolerates_twins() {
                    self.fail_to_progress(setup);
                }
                break;
            }
            self.recovery += 1;
            self.turn(setup, true);
            self.sync(setup);
        }
        self.checks.settle(setup);
    }

    /// Block sync: who is behind gets the final blocks up to the last one with a commit certificate.
    fn sync(&mut self, setup: &Setup) {
        let proven = self.chain.iter().rev().find(|(_, (_, certificate))| certificate.phase == Phase::Commit);
        let Some(top) = proven.map(|(height, _)| *height) else { return };
        for at in 0..self.instances.len() {
            while !self.instances[at].silent && self.instances[at].head.height.0 < top {
                let next = self.instances[at].head.height.0 + 1;
                let Some((block, certificate)) = self.chain.get(&next).cloned() else { break };
                let instance = &mut self.instances[at];
                if block.parent != instance.head.hash {
                    let (height, name) = (block.height, setup.name(at));
                    return self.checks.fail(format!("disagreement: {name} cannot follow at height {height}"));
                }
                instance.head = block;
                instance.blocks.insert(block.hash, block.height);
                self.step(setup, at, Input::Synced { block, certificate });
            }
        }
        self.drain(setup);
    }

    fn silence(&mut self, setup: &Setup, after: After) {
        for (at, instance) in self.instances.iter_mut().enumerate() {
            let second = at >= setup.set.len();
            instance.silent = match after {
                After::Both => false,
                After::One => second,
                After::Neither => setup.is_twin(instance.me),
            };
        }
    }

    fn honest_heights(&self, setup: &Setup) -> impl Iterator<Item = u64> {
        let honest = self.instances.iter().filter(move |instance| !setup.is_twin(instance.me));
        honest.map(|instance| instance.head.height.0)
    }

    fn fail_to_progress(&mut self, setup: &Setup) {
        let place = |(at, one): (usize, &Instance)| {
            format!(" {} at height {} in view {};", setup.name(at), one.head.height, one.core.view())
        };
        let places: String = self.instances.iter().enumerate().map(place).collect();
        self.checks.fail(format!("no progress in {VIEWS_AFTER} views after the cuts:{places}"));
    }

    pub(super) fn outcome(&self, setup: &Setup) -> Outcome {
        let furthest = self.instances.iter().map(|instance| instance.core.view()).max().unwrap_or_default();
        Outcome {
            failure: self.checks.failure().cloned(),
            final_blocks: self.checks.final_blocks(),
            views: furthest.0.saturating_sub(setup.first.next().0),
            offences: self.checks.offences(),
            messages: self.messages,
            recovery: self.recovery,
        }
    }
}

/// What an instance's driver does.
impl World {
    /// One input and all that follows from it in the same instance.
    fn step(&mut self, setup: &Setup, at: usize, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let outputs = self.instances[at].core.step(input);
            for output in outputs {
                inputs.extend(self.carry_out(setup, at, output));
            }
        }
    }

    /// Carries one output out; the answer is the instance's next input.
    fn carry_out(&mut self, setup: &Setup, at: usize, output: Output) -> Option<Input> {
        match output {
            Output::Sign(ballot) => return Some(self.sign(setup, at, ballot)),
            Output::Validate(proposal, _) => return Some(self.validate(setup, at, &proposal)),
            Output::EnteredView { .. } => {
                let instance = &mut self.instances[at];
                (instance.told, instance.timer, instance.wanted) = (false, false, None);
                return self.look_for_work(at);
            }
            Output::Build(build) => {
                self.instances[at].wanted = Some(build);
                return self.build(setup, at);
            }
            Output::SetTimer(Timer::View(_), _) => self.instances[at].timer = true,
            // Nothing is ever lost, and the plan says when things are said again.
            Output::Persist(_) | Output::SetTimer(Timer::Retransmit(_), _) | Output::Forgotten => {}
            Output::Broadcast(message) => self.send(setup, at, None, message),
            Output::Send(to, message) => self.send(setup, at, Some(to), message),
            Output::Final(blocks) => self.make_final(setup, at, &blocks),
            Output::Evidence(evidence) => self.checks.evidence(setup, at, &evidence),
            Output::Diverged(divergence) => {
                self.checks.fail(format!("disagreement: {} stops: {divergence}", setup.name(at)));
            }
        }
        None
    }

    /// There is always work, up to the horizon.
    fn look_for_work(&mut self, at: usize) -> Option<Input> {
        let horizon = self.horizon;
        let instance = &mut self.instances[at];
        let view = instance.core.view();
        if instance.told || view > horizon {
            return None;
        }
        instance.told = true;
        Some(Input::Work(view))
    }

    /// One ballot for each view and step, ever rising (SPEC rule S1).
    fn sign(&mut self, setup: &Setup, at: usize, ballot: Ballot) -> Input {
        let instance = &mut self.instances[at];
        if ballot.mark() <= instance.mark {
            let (view, step) = instance.mark;
            let text = format!("{} signs {ballot:?} after step {step} of view {view}", setup.name(at));
            self.checks.fail(text);
        }
        instance.mark = ballot.mark();
        let signature = setup.signers.sign(instance.me, &ballot.sign_bytes(&setup.genesis));
        Input::Signed(ballot, signature)
    }

    /// The block that is wanted, once there is work in its view.
    fn build(&mut self, setup: &Setup, at: usize) -> Option<Input> {
        let horizon = self.horizon;
        let instance = &mut self.instances[at];
        let build = instance.wanted.take_if(|build| build.view <= horizon)?;
        let Some(height) = instance.blocks.get(&build.parent).copied() else {
            self.checks.fail(format!("{} builds on {}, which is not valid here", setup.name(at), build.parent));
            return None;
        };
        let (block, payload) =
            make_block(build.parent, height.next(), build.view, build.parent_certificate, instance.salt);
        instance.blocks.insert(block.hash, block.height);
        let header = payload.clone();
        Some(Input::Built { view: build.view, block, payload, header })
    }

    /// All blocks are valid.
    fn validate(&mut self, setup: &Setup, at: usize, proposal: &Proposal) -> Input {
        let block = proposal.block;
        let instance = &mut self.instances[at];
        if !instance.blocks.contains_key(&block.parent) {
            self.checks.fail(format!("{} validates {} before its parent", setup.name(at), block.hash));
        }
        instance.blocks.insert(block.hash, block.height);
        Input::Validated { view: block.view, block: block.hash, valid: true }
    }

    fn make_final(&mut self, setup: &Setup, at: usize, blocks: &[(BlockInfo, Certificate)]) {
        for (block, certificate) in blocks {
            let head = std::mem::replace(&mut self.instances[at].head, *block);
            if block.parent != head.hash || block.height != head.height.next() {
                let name = setup.name(at);
                self.checks.fail(format!("{name}: final block {} does not follow {}", block.hash, head.hash));
            }
            self.checks.made_final(setup, block, certificate);
            let known = self.chain.get(&block.height.0);
            if known.is_none_or(|(_, known)| known.phase != Phase::Commit) {
                self.chain.insert(block.height.0, (*block, certificate.clone()));
            }
        }
    }
}

/// The network.
impl World {
    /// To each instance of the receivers that the sender reaches. Twins hear nothing of each other.
    fn send(&mut self, setup: &Setup, from: usize, to: Option<ValidatorIndex>, message: Message) {
        let (sender, message) = (self.instances[from].me, Arc::new(message));
        if self.instances[from].silent {
            return;
        }
        for (receiver, index) in setup.instances.iter().enumerate() {
            if *index == sender || to.is_some_and(|to| to != *index) {
                continue;
            }
            let envelope = Envelope { from: sender, to: receiver, message: message.clone() };
            if self.links.as_ref().is_none_or(|round| round.reaches(from, receiver)) {
                self.queue.push_back(envelope);
            } else if self.keeps_late {
                self.late.push(envelope);
            }
        }
    }

    /// Delivers until nobody has anything to say.
    fn drain(&mut self, setup: &Setup) {
        let most = self.messages + MAX_MESSAGES;
        while let Some(envelope) = self.queue.pop_front() {
            if self.has_failed() {
                return self.queue.clear();
            }
            if self.messages == most {
                return self.checks.fail(format!("{MAX_MESSAGES} messages in one round: a storm"));
            }
            self.deliver(setup, envelope);
        }
    }

    fn deliver(&mut self, setup: &Setup, envelope: Envelope) {
        let Envelope { from, to, message } = envelope;
        let instance = &self.instances[to];
        if instance.silent {
            return;
        }
        self.messages += 1;
        self.checks.received(setup, to, &instance.core, &message);
        let twin = setup.is_twin(instance.me);
        let mut message = Arc::unwrap_or_clone(message);
        // A twin does not let itself be told what the other one said.
        if twin && let Message::Status(status) = &mut message {
            status.yours = None;
        }
        self.step(setup, to, Input::Message { from, message });
    }
}

//! The world of one run: the queue of events in virtual time, and what each of them does.

use std::cmp::Ordering;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::sync::Arc;

use super::application::{Application, FinalBlock, Ledger};
use super::byzantine::{Behaviour, Kind, Puppet};
use super::checks::Checks;
use super::faults::{self, Cast, Planned};
use super::ideal::{ideal_validators, real_validators};
use super::kinds::{Counts, FaultKind};
use super::network::Network;
use super::node::{Effect, Node, Shared};
use super::report::{BlockMoment, Report};
use super::rng::Rng;
use super::scenario::{Load, Scenario};
use super::trace::{Moment, Trace};
use super::trouble::Machine;
use super::watch::Recovery;
use crate::core::{Build, Input, Timer};
use crate::{Message, Proposal, ValidatorIndex};

/// A microsecond is the unit of virtual time.
pub(super) const MS: u64 = 1000;

/// One message in so many goes through its bytes.
const ENCODED: u64 = 64;

/// Messages of the past that may come again.
const OLD_MESSAGES: usize = 256;

/// How often a Byzantine validator may do something out of itself.
const BYZANTINE_TICK_MS: u64 = 50;

/// Most events of a run, and for each pair of nodes (of ten at least) and second of virtual time.
const EVENTS: u64 = 200_000;
const EVENTS_PER_PAIR: u64 = 300;

/// Longest time for which inputs are gathered, in microseconds.
const GATHERING_US: u64 = 10_000;

/// Longest time of a build or a verdict, in microseconds.
const WORK_US: u64 = 3_000;

#[derive(Debug)]
pub(super) enum Event {
    Deliver { from: ValidatorIndex, sender: usize, connection: u32, message: Arc<Message> },
    Connected(ValidatorIndex),
    Timer(Timer, u32),
    Look,
    Validated(Box<Proposal>, bool),
    Built(Build),
    Flush,
    Transactions(u64),
    SyncTick,
    ByzantineTick,
    Blocks(Vec<Arc<FinalBlock>>),
    Start { wiped: bool, rolled_back: bool },
    Submit,
    Begin(usize),
    End(usize),
    Heal,
}

/// An event of the queue, earliest first, in order of creation. It is void when its node has been started anew.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) at: u64,
    pub(super) number: u64,
    pub(super) node: usize,
    pub(super) incarnation: u32,
    pub(super) event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

pub(super) struct World<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) shared: Shared,
    pub(super) rng: Rng,
    pub(super) now: u64,
    number: u64,
    pub(super) queue: BinaryHeap<Entry>,
    pub(super) nodes: Vec<Node>,
    pub(super) machines: Vec<Machine>,
    behaviours: Vec<Option<(Kind, Box<dyn Behaviour>)>>,
    pub(super) network: Network,
    pub(super) cast: Cast,
    /// Whether a node hears another: twins share the network between them.
    hears: Vec<Vec<bool>>,
    pub(super) plan: Vec<Planned>,
    /// Messages that were sent, with sender and receiver.
    pub(super) old: VecDeque<(usize, usize, Arc<Message>)>,
    pub(super) submitted: u64,
    pub(super) checks: Checks,
    pub(super) trace: Trace,
    pub(super) recovery: Recovery,
    pub(super) counts: Counts,
    pub(super) blocks: Vec<BlockMoment>,
    pub(super) events: u64,
    pub(super) messages: u64,
    pub(super) crashes: u64,
}

/// Plays one run with the small application.
#[must_use]
pub fn run(scenario: &Scenario, seed: u64) -> Report {
    run_with(scenario, seed, &mut || Box::new(Ledger::new()))
}

/// Plays one run with an application of one's own, made once for each node.
#[must_use]
pub fn run_with(scenario: &Scenario, seed: u64, make: &mut dyn FnMut() -> Box<dyn Application>) -> Report {
    let mut world = World::new(scenario, seed, make);
    world.begin();
    while world.checks.failure.is_none() && !world.recovery.over {
        let Some(entry) = world.queue.pop() else {
            world.checks.fail("nothing will ever happen again".to_owned());
            break;
        };
        world.play(entry);
    }
    world.audit();
    world.report(seed)
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario, seed: u64, make: &mut dyn FnMut() -> Box<dyn Application>) -> Self {
        let mut rng = Rng::new(seed);
        let weights = faults::weights(&scenario.stakes, &mut rng);
        let validators = if scenario.real_signatures { real_validators } else { ideal_validators };
        let (set, signers) = validators(&weights, seed);
        let cast = faults::cast(&scenario.faults, &set, &mut rng);
        let all = set.iter().map(|(index, _)| index).chain(cast.twin);
        let nodes: Vec<Node> = all.zip(0u64..).map(|(index, salt)| Node::new(index, make(), salt)).collect();
        let hears = audiences(&nodes, cast.twin, &mut rng);
        let mut plan = scenario.faults.planned.clone();
        plan.extend(faults::plan(&scenario.faults, &cast, nodes.len(), &mut rng));
        let genesis = nodes[0].application.genesis().0.hash;
        let shared = Shared {
            set,
            signers,
            genesis,
            timing: scenario.timing,
            min_block_interval_ms: scenario.min_block_interval_ms,
            empty_block_interval_ms: scenario.empty_block_interval_ms,
            max_clock_skew_ms: scenario.max_clock_skew_ms,
        };
        let faulty: BTreeSet<ValidatorIndex> = cast.twin.into_iter().chain(cast.byzantine.iter().copied()).collect();
        Self {
            scenario,
            shared,
            rng,
            now: 0,
            number: 0,
            queue: BinaryHeap::new(),
            network: Network::new(scenario.links, nodes.len()),
            hears,
            machines: vec![Machine::default(); nodes.len()],
            behaviours: behaviours(&scenario.faults.byzantine, &cast, nodes.len()),
            nodes,
            plan,
            old: VecDeque::new(),
            submitted: 0,
            checks: Checks::new(faulty),
            cast,
            trace: Trace::new(scenario.whole_timeline, scenario.names.clone()),
            recovery: Recovery::default(),
            counts: Counts::default(),
            blocks: Vec::new(),
            events: 0,
            messages: 0,
            crashes: 0,
        }
    }

    fn begin(&mut self) {
        for node in 0..self.nodes.len() {
            let index = self.nodes[node].index;
            self.nodes[node].accepted = self.checks.is_byzantine(index);
            if self.cast.dead.contains(&index) {
                self.counts.did(FaultKind::Dead);
                continue;
            }
            let at = self.rng.below(5 * MS);
            self.push(at, node, Event::Start { wiped: false, rolled_back: false });
        }
        if self.cast.twin.is_some() {
            self.counts.did(FaultKind::Twins);
        }
        for number in 0..self.plan.len() {
            let at = self.plan[number].at_ms * MS;
            self.push(at, 0, Event::Begin(number));
        }
        self.push(self.scenario.faults.for_ms * MS, 0, Event::Heal);
        if let Load::Every(_) = self.scenario.load {
            self.push(0, 0, Event::Submit);
        }
    }

    /// An event for a node, `after` microseconds from now, if it is not started anew until then.
    pub(super) fn push(&mut self, after: u64, node: usize, event: Event) {
        let incarnation = self.nodes[node].incarnation;
        self.number += 1;
        self.queue.push(Entry { at: self.now + after, number: self.number, node, incarnation, event });
    }

    fn play(&mut self, entry: Entry) {
        self.now = self.now.max(entry.at);
        let (node, incarnation) = (entry.node, entry.incarnation);
        match entry.event {
            Event::Submit => self.submit(),
            Event::Begin(number) => self.begin_fault(number),
            Event::End(number) => self.end_fault(number),
            Event::Heal => self.heal(),
            Event::Start { wiped, rolled_back } => self.start(node, wiped, rolled_back),
            _ if self.nodes[node].incarnation != incarnation || self.nodes[node].core.is_none() => return,
            _ if self.machines[node].paused_until > self.now => {
                self.queue.push(Entry { at: self.machines[node].paused_until, ..entry });
                return;
            }
            Event::SyncTick => self.sync_tick(node),
            event => {
                self.trace.hash([self.now, entry.number, node as u64, self.events]);
                self.step(node, event);
            }
        }
        self.events += 1;
        self.watch_time();
        let pairs = (self.nodes.len() * self.nodes.len()) as u64;
        if self.events > EVENTS + EVENTS_PER_PAIR * pairs.max(100) * (self.now / MS / 1000) {
            self.checks.fail(format!("{} events: a storm", self.events));
        }
    }

    /// An event of one node.
    fn step(&mut self, node: usize, event: Event) {
        if !matches!(event, Event::Flush | Event::Blocks(_)) {
            self.gather(node);
        }
        let (now, mut effects) = (self.machines[node].clock_ms(self.now), Vec::new());
        if let Event::Deliver { from, sender, connection, message } = event {
            return self.deliver(node, from, (sender, connection), &message);
        }
        let (here, shared) = (&mut self.nodes[node], &self.shared);
        match event {
            Event::Connected(peer) => here.process(Input::Connected(peer), shared, now, &mut effects),
            Event::Timer(timer, generation) if is_current(generation, here.generation) => {
                if let Timer::View(view) = timer {
                    self.trace.line(self.now, node, Moment::Timeout(view));
                }
                here.process(Input::Timer(timer), shared, now, &mut effects);
            }
            Event::Look => here.look(shared, now, &mut effects),
            Event::Validated(proposal, certified) => here.validated(&proposal, certified, shared, now, &mut effects),
            Event::Built(build) => {
                let possible = !self.machines[node].cannot_build;
                here.built(&build, possible, shared, now, &mut effects);
            }
            Event::Flush => {
                here.flush(&mut effects);
            }
            Event::Transactions(known) => {
                here.known = here.known.max(known);
                here.application.learn(known);
                here.look(shared, now, &mut effects);
            }
            Event::Blocks(blocks) => {
                self.trace.line(self.now, node, Moment::Synced(blocks.len() as u64));
                here.import(&blocks, shared, now, &mut effects);
            }
            Event::ByzantineTick => {
                self.as_byzantine(node, |behaviour, puppet| behaviour.ticks(puppet));
                self.push(BYZANTINE_TICK_MS * MS, node, Event::ByzantineTick);
            }
            _ => {}
        }
        self.apply(node, effects);
    }

    /// While a sync lasts, what comes is gathered, and shares the next one.
    fn gather(&mut self, node: usize) {
        let gathered = self.scenario.gathered;
        if gathered > 0 && !self.nodes[node].gathers && self.rng.per_mille(gathered) {
            self.nodes[node].gathers = true;
            let after = self.rng.below(GATHERING_US);
            self.push(after, node, Event::Flush);
        }
    }

    fn deliver(&mut self, node: usize, from: ValidatorIndex, (sender, connection): (usize, u32), message: &Message) {
        if self.network.connection(sender, node) != connection {
            return;
        }
        self.messages += 1;
        let heard = self.as_byzantine(node, |behaviour, puppet| behaviour.hears(puppet, from, message));
        if heard == Some(false) || !self.nodes[node].names_its_header(message) {
            return;
        }
        let (now, mut effects) = (self.machines[node].clock_ms(self.now), Vec::new());
        let input = Input::Message { from, message: message.clone() };
        self.nodes[node].process(input, &self.shared, now, &mut effects);
        self.apply(node, effects);
    }

    /// Lets a Byzantine validator act, and sends what it wants to send; none for an honest one.
    pub(super) fn as_byzantine<T>(
        &mut self,
        node: usize,
        act: impl FnOnce(&mut dyn Behaviour, &mut Puppet<'_>) -> T,
    ) -> Option<T> {
        let (kind, mut behaviour) = self.behaviours[node].take()?;
        let signers = &self.shared.signers;
        let signer = |who: ValidatorIndex, message: &[u8]| signers.sign(who, message);
        let mut puppet = Puppet {
            me: self.nodes[node].index,
            set: &self.shared.set,
            genesis: self.shared.genesis,
            timing: self.shared.timing,
            now_ms: self.now / MS,
            view: self.nodes[node].view(),
            colluders: &self.cast.byzantine,
            application: &*self.nodes[node].application,
            signer: &signer,
            rng: &mut self.rng,
            outbox: Vec::new(),
            acts: 0,
        };
        let result = act(&mut *behaviour, &mut puppet);
        let (outbox, acts) = (puppet.outbox, puppet.acts);
        self.behaviours[node] = Some((kind, behaviour));
        (0..acts).for_each(|_| self.counts.add(kind.name()));
        for (to, message) in outbox {
            self.transmit(node, to, message);
        }
        Some(result)
    }

    pub(super) fn apply(&mut self, node: usize, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::SetTimer(timer, after) => {
                    let generation = self.nodes[node].generation;
                    let after = self.machines[node].real_us(after);
                    self.push(after, node, Event::Timer(timer, generation));
                }
                Effect::LookAt(at) => self.look_at(node, at),
                Effect::Validate(proposal, certified) => {
                    self.work(node, Event::Validated(Box::new(proposal), certified))
                }
                Effect::Construct(build) => self.work(node, Event::Built(build)),
                Effect::Send(to, message) => self.send(node, to, message),
                Effect::Entered(view) => {
                    self.recovery.highest = self.recovery.highest.max(view.0);
                    self.trace.line(self.now, node, Moment::Entered(view));
                }
                Effect::Skipped(view) => drop(self.checks.skipped.insert(view)),
                Effect::Signed(ballot, signature) => {
                    self.trace.bytes(&signature.0);
                    self.trace.line(self.now, node, Moment::Signed(ballot));
                    self.slow_sync(node);
                }
                Effect::Final(block) => self.made_final(node, &block),
                Effect::Evidence(evidence) => {
                    self.trace.line(self.now, node, Moment::Accused(evidence.validator()));
                    self.checks.evidence(&evidence);
                }
                // What a Byzantine validator did to itself is its own affair.
                Effect::Diverged(_) | Effect::Broken(_) if self.behaviours[node].is_some() => {}
                Effect::Diverged(divergence) => self.checks.fail(format!("node {node}: {divergence}")),
                Effect::Broken(text) => self.checks.fail(format!("node {node}: {text}")),
                Effect::Crashed => self.crashed(node),
            }
        }
    }

    /// One look is enough; a later one is asked for again when the time has come.
    fn look_at(&mut self, node: usize, at_ms: u64) {
        let wait = at_ms.saturating_sub(self.machines[node].clock_ms(self.now));
        let (planned, at) = (self.machines[node].looks_at, self.now + wait * MS);
        if planned <= self.now || at < planned {
            self.machines[node].looks_at = at;
            self.push(wait * MS, node, Event::Look);
        }
    }

    /// The application takes its time, and may never answer.
    fn work(&mut self, node: usize, event: Event) {
        let faults = self.recovery.healed.is_none();
        if faults && (self.machines[node].silent || self.rng.per_mille(self.scenario.faults.unanswered)) {
            return self.counts.did(FaultKind::Unanswered);
        }
        let after = self.rng.below(WORK_US) + self.machines[node].slow_work_us;
        self.push(after, node, event);
    }

    fn send(&mut self, from: usize, to: Option<ValidatorIndex>, message: Message) {
        if self.behaviours[from].is_some() {
            self.as_byzantine(from, |behaviour, puppet| behaviour.sends(puppet, to, message));
        } else {
            self.transmit(from, to, message);
        }
    }

    /// Puts a message on the network.
    fn transmit(&mut self, from: usize, to: Option<ValidatorIndex>, message: Message) {
        let index = self.nodes[from].index;
        if self.number.is_multiple_of(ENCODED) {
            let application = &self.nodes[from].application;
            let read = Message::decode(&message.encode(), self.shared.set.len(), &|bytes| application.read(bytes));
            if read.as_ref() != Ok(&message) && self.behaviours[from].is_none() {
                self.checks.fail(format!("a message is read as another one: {message:?}"));
            }
        }
        let message = Arc::new(message);
        let mut reached = false;
        for node in 0..self.nodes.len() {
            let receiver = self.nodes[node].index;
            if receiver == index || to.is_some_and(|to| to != receiver) || !self.hears[node][from] {
                continue;
            }
            let copies = self.network.send(&mut self.rng, &mut self.counts, self.now, (from, node));
            for copy in copies.into_iter().flatten() {
                reached = true;
                let heard = self.as_heard(node, &message);
                let heard = if copy.garbled { self.garble(node, &heard) } else { Some(heard) };
                let connection = self.network.connection(from, node);
                if let Some(message) = heard {
                    self.push(
                        copy.at - self.now,
                        node,
                        Event::Deliver { from: index, sender: from, connection, message },
                    );
                }
            }
            if self.number.is_multiple_of(8) {
                self.old.push_back((from, node, message.clone()));
                self.old.truncate(OLD_MESSAGES);
            }
        }
        // What reaches nobody contradicts nothing: nobody can warn a validator of it whose disk was put back.
        if reached {
            self.checks.sent(index, &message, &self.shared.set);
        }
    }

    /// Flips bits. What can still be read is delivered.
    fn garble(&mut self, node: usize, message: &Message) -> Option<Arc<Message>> {
        self.counts.did(FaultKind::Garbled);
        let mut bytes = message.encode();
        for _ in 0..self.rng.between(1, 3) {
            let at = self.rng.index(bytes.len());
            bytes[at] ^= 1 << self.rng.below(8);
        }
        let application = &self.nodes[node].application;
        Message::decode(&bytes, self.shared.set.len(), &|bytes| application.read(bytes)).ok().map(Arc::new)
    }

    /// A twin does not let itself be told what the other one said.
    fn as_heard(&self, node: usize, message: &Arc<Message>) -> Arc<Message> {
        match &**message {
            Message::Status(status) if self.cast.twin == Some(self.nodes[node].index) => {
                let status = crate::Status { yours: None, ..status.clone() };
                Arc::new(Message::Status(status))
            }
            _ => message.clone(),
        }
    }

    fn submit(&mut self) {
        let Load::Every(every) = self.scenario.load else { return };
        self.submitted += 1;
        for node in 0..self.nodes.len() {
            let after = self.network.delay(&mut self.rng);
            self.push(after, node, Event::Transactions(self.submitted));
        }
        self.push(every * MS, 0, Event::Submit);
    }

    /// What a Byzantine validator does out of itself.
    pub(super) fn wind_up(&mut self, node: usize) {
        if self.behaviours[node].is_some() {
            self.push(BYZANTINE_TICK_MS * MS, node, Event::ByzantineTick);
        }
    }
}

/// The driver voids timers when a view is entered.
fn is_current(set_in: u32, now: u32) -> bool {
    #[cfg(test)]
    if crate::planted::is(crate::planted::Bug::StaleTimeout) {
        return true;
    }
    set_in == now
}

fn behaviours(kinds: &[Kind], cast: &Cast, nodes: usize) -> Vec<Option<(Kind, Box<dyn Behaviour>)>> {
    let mut all: Vec<Option<(Kind, Box<dyn Behaviour>)>> = (0..nodes).map(|_| None).collect();
    for (who, kind) in cast.byzantine.iter().zip(kinds.iter().cycle()) {
        all[who.position()] = Some((*kind, kind.make()));
    }
    all
}

/// Who hears whom: everybody everybody, but of two twins each other validator hears the first, the second, or both.
fn audiences(nodes: &[Node], twin: Option<ValidatorIndex>, rng: &mut Rng) -> Vec<Vec<bool>> {
    let count = nodes.len();
    let mut hears = vec![vec![true; count]; count];
    if let Some(twin) = twin {
        let (first, second) = (twin.position(), count - 1);
        for row in &mut hears {
            match rng.below(3) {
                0 => row[first] = false,
                1 => row[second] = false,
                _ => {}
            }
        }
    }
    hears
}

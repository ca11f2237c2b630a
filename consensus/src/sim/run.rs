//! The world of one run: the queue of events in virtual time, and what each of them does.

use std::cmp::Ordering;
use std::collections::{BTreeSet, BinaryHeap};
use std::sync::Arc;

use ed25519_dalek::SigningKey;

use super::application::{FinalBlock, genesis, read_block};
use super::checks::Checks;
use super::disk::Disk;
use super::faults::{self, Cast, Fault};
use super::network::Network;
use super::node::{Effect, Node, Shared};
use super::report::Report;
use super::rng::Rng;
use super::scenario::{Goal, Load, Scenario};
use super::trace::{Moment, Trace};
use crate::core::{Build, Input, Standing, Timer};
use crate::{Epoch, Message, Proposal, PublicKey, Validator, ValidatorIndex, ValidatorSet, Weight};

/// A microsecond is the unit of virtual time.
const MS: u64 = 1000;

/// How often a node looks whether it is behind.
const SYNC_TICK_MS: u64 = 250;

/// Ticks that a node waits for consensus to close a gap of one block.
const SYNC_GRACE: u32 = 3;

/// Most blocks in one answer.
const SYNC_BLOCKS: usize = 64;

/// One message in so many goes through its bytes.
const ENCODED: u64 = 64;

/// A node that crashed in order to start differently would start by itself after this time.
const LONG_AFTER_MS: u64 = 3_600_000;

/// Final blocks after which everybody must vote.
const LAST_TO_VOTE: u64 = 200;

/// Most events of a run, and for each second of virtual time.
const EVENTS: u64 = 200_000;
const EVENTS_PER_SECOND: u64 = 30_000;

/// Longest time of a build or a verdict, in microseconds.
const WORK_US: u64 = 3_000;

#[derive(Debug)]
enum Event {
    Deliver { from: ValidatorIndex, message: Arc<Message>, id: u64 },
    Connected(ValidatorIndex),
    Timer(Timer, u32),
    Look,
    Validated(Box<Proposal>),
    Built(Build),
    Transactions(u64),
    SyncTick,
    Blocks(Vec<Arc<FinalBlock>>),
    Start { wiped: bool, rolled_back: bool },
    Submit,
    Fault(Fault),
    Heal,
}

/// An event of the queue, earliest first, in order of creation. It is void when its node has been started anew.
#[derive(Debug)]
struct Entry {
    at: u64,
    number: u64,
    node: usize,
    incarnation: u32,
    event: Event,
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

/// Progress after the faults.
#[derive(Debug, Default)]
struct Recovery {
    /// When the faults ended, and the highest final block then.
    healed: Option<(u64, u64)>,
    /// How long it took until everybody was beyond.
    took_us: Option<u64>,
    /// The lowest height of the working validators, and since when.
    lowest: u64,
    since: u64,
}

struct World<'a> {
    scenario: &'a Scenario,
    shared: Shared,
    rng: Rng,
    now: u64,
    number: u64,
    queue: BinaryHeap<Entry>,
    nodes: Vec<Node>,
    network: Network,
    cast: Cast,
    /// Whether a node hears another: twins share the network between them.
    hears: Vec<Vec<bool>>,
    copies: Vec<Option<Disk>>,
    /// For each node: its height at the last tick, and for how many ticks it has been behind there.
    behind: Vec<(u64, u32)>,
    /// When a node looks next.
    looks: Vec<u64>,
    submitted: u64,
    checks: Checks,
    trace: Trace,
    recovery: Recovery,
    events: u64,
    messages: u64,
    crashes: u64,
}

/// Plays one run.
#[must_use]
pub fn run(scenario: &Scenario, seed: u64) -> Report {
    let mut world = World::new(scenario, seed);
    world.begin();
    while world.checks.failure.is_none() && !world.is_over() {
        let Some(entry) = world.queue.pop() else {
            world.checks.fail("nothing will ever happen again".to_owned());
            break;
        };
        world.play(entry);
    }
    world.report(seed)
}

fn keys(count: usize, seed: u64) -> Vec<SigningKey> {
    let mut rng = Rng::new(seed ^ 0x6b65_7973);
    let mut key = || {
        let mut bytes = [0; 32];
        bytes.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&rng.next().to_be_bytes()));
        SigningKey::from_bytes(&bytes)
    };
    (0..count).map(|_| key()).collect()
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let weights = faults::weights(&scenario.stakes, &mut rng);
        let keys = keys(weights.len(), seed);
        let validator = |(key, weight): (&SigningKey, &u64)| Validator {
            key: PublicKey(key.verifying_key().to_bytes()),
            weight: Weight(*weight),
        };
        let validators = keys.iter().zip(&weights).map(validator).collect();
        let set = ValidatorSet::new(Epoch(0), validators)
            .expect("between 1 and 256 validators with keys from a seed, and a total above 0, are a set")
            .with_memo();
        let cast = faults::cast(&scenario.faults, &set, &mut rng);
        let index = |position: usize| ValidatorIndex(u16::try_from(position).unwrap_or(u16::MAX));
        let all = keys.iter().enumerate().map(|(position, key)| (index(position), key.clone()));
        let twin = cast.twin.map(|who| (who, keys[who.position()].clone()));
        let nodes: Vec<Node> =
            all.chain(twin).zip(0u64..).map(|((index, key), salt)| Node::new(index, key, salt)).collect();
        let hears = audiences(&nodes, cast.twin, &mut rng);
        let shared = Shared {
            set,
            genesis: genesis().info.hash,
            timing: scenario.timing,
            min_block_interval_ms: scenario.min_block_interval_ms,
            empty_block_interval_ms: scenario.empty_block_interval_ms,
        };
        Self {
            scenario,
            shared,
            rng,
            now: 0,
            number: 0,
            queue: BinaryHeap::new(),
            network: Network::new(scenario.links),
            hears,
            copies: vec![None; nodes.len()],
            behind: vec![(0, 0); nodes.len()],
            looks: vec![0; nodes.len()],
            nodes,
            submitted: 0,
            checks: Checks::new(cast.twin.into_iter().collect::<BTreeSet<_>>()),
            cast,
            trace: Trace::default(),
            recovery: Recovery::default(),
            events: 0,
            messages: 0,
            crashes: 0,
        }
    }

    fn begin(&mut self) {
        for node in 0..self.nodes.len() {
            let index = self.nodes[node].index;
            self.nodes[node].accepted = self.cast.twin == Some(index);
            if !self.cast.dead.contains(&index) {
                let at = self.rng.below(5 * MS);
                self.push(at, node, Event::Start { wiped: false, rolled_back: false });
            }
        }
        let validators = self.shared.set.len();
        for (at, fault) in faults::plan(&self.scenario.faults, &self.cast, validators, &mut self.rng) {
            self.push(at * MS, 0, Event::Fault(fault));
        }
        self.push(self.scenario.faults.for_ms * MS, 0, Event::Heal);
        if let Load::Every(_) = self.scenario.load {
            self.push(0, 0, Event::Submit);
        }
    }

    /// An event for a node, `after` microseconds from now, if it is not started anew until then.
    fn push(&mut self, after: u64, node: usize, event: Event) {
        let incarnation = self.nodes[node].incarnation;
        self.number += 1;
        self.queue.push(Entry { at: self.now + after, number: self.number, node, incarnation, event });
    }

    fn now_ms(&self) -> u64 {
        self.now / MS
    }

    fn play(&mut self, entry: Entry) {
        self.now = self.now.max(entry.at);
        self.events += 1;
        let Entry { number, node, incarnation, event, .. } = entry;
        self.trace.hash(&[self.now, number, node as u64]);
        match event {
            Event::Submit => self.submit(),
            Event::Fault(fault) => self.fault(fault),
            Event::Heal => self.heal(),
            Event::Start { wiped, rolled_back } => self.start(node, wiped, rolled_back),
            _ if self.nodes[node].incarnation != incarnation || self.nodes[node].core.is_none() => {}
            Event::SyncTick => self.sync_tick(node),
            event => self.step(node, event),
        }
        self.watch();
        if self.events > EVENTS + EVENTS_PER_SECOND * (self.now_ms() / 1000) {
            self.checks.fail(format!("{} events: a storm", self.events));
        }
    }

    /// An event of one node.
    fn step(&mut self, node: usize, event: Event) {
        let (now, mut effects) = (self.now_ms(), Vec::new());
        let (here, shared) = (&mut self.nodes[node], &self.shared);
        match event {
            Event::Deliver { from, message, id } => {
                self.messages += 1;
                self.trace.hash(&[id]);
                let message = Message::clone(&message);
                here.process(Input::Message { from, message }, shared, now, &mut effects);
            }
            Event::Connected(peer) => here.process(Input::Connected(peer), shared, now, &mut effects),
            Event::Timer(timer, generation) if generation == here.generation => {
                if let Timer::View(view) = timer {
                    self.trace.line(self.now, node, Moment::Timeout(view));
                }
                here.process(Input::Timer(timer), shared, now, &mut effects);
            }
            Event::Look => here.look(shared, now, &mut effects),
            Event::Validated(proposal) => here.validated(&proposal, shared, now, &mut effects),
            Event::Built(build) => here.built(&build, shared, now, &mut effects),
            Event::Transactions(known) => {
                here.application.known = here.application.known.max(known);
                here.look(shared, now, &mut effects);
            }
            Event::Blocks(blocks) => {
                self.trace.line(self.now, node, Moment::Synced(blocks.len() as u64));
                blocks.iter().for_each(|block| here.import(block, shared, now, &mut effects));
            }
            _ => {}
        }
        self.apply(node, effects);
    }

    fn apply(&mut self, node: usize, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::SetTimer(timer, after) => {
                    let generation = self.nodes[node].generation;
                    self.push(after * MS, node, Event::Timer(timer, generation));
                }
                Effect::LookAt(at) => self.look_at(node, at * MS),
                Effect::Validate(proposal) => self.work(node, Event::Validated(Box::new(proposal))),
                Effect::Construct(build) => self.work(node, Event::Built(build)),
                Effect::Send(to, message) => self.send(node, to, message),
                Effect::Entered(view) => self.trace.line(self.now, node, Moment::Entered(view)),
                Effect::Skipped(view) => drop(self.checks.skipped.insert(view)),
                Effect::Signed(ballot, signature) => {
                    self.trace.bytes(&signature.0);
                    self.trace.line(self.now, node, Moment::Signed(ballot));
                }
                Effect::Final(block) => self.made_final(node, &block),
                Effect::Evidence(evidence) => {
                    self.trace.line(self.now, node, Moment::Accused(evidence.validator()));
                    self.checks.evidence(&evidence);
                }
                Effect::Diverged(divergence) => self.checks.fail(format!("node {node}: {divergence}")),
                Effect::Broken(text) => self.checks.fail(format!("node {node}: {text}")),
                Effect::Crashed => {
                    let down = self.rng.below(5_000);
                    self.crash(node, down);
                }
            }
        }
    }

    /// One look is enough; a later one is asked for again when the time has come.
    fn look_at(&mut self, node: usize, at: u64) {
        let planned = self.looks[node];
        if planned <= self.now || at < planned {
            self.looks[node] = at;
            self.push(at.saturating_sub(self.now), node, Event::Look);
        }
    }

    /// The application takes its time, and may never answer.
    fn work(&mut self, node: usize, event: Event) {
        if self.recovery.healed.is_some() || !self.rng.per_mille(self.scenario.faults.unanswered) {
            let after = self.rng.below(WORK_US);
            self.push(after, node, event);
        }
    }

    fn send(&mut self, from: usize, to: Option<ValidatorIndex>, message: Message) {
        let index = self.nodes[from].index;
        self.checks.sent(index, &message, &self.shared.set);
        let id = self.number;
        if id.is_multiple_of(ENCODED) {
            let bytes = message.encode();
            if Message::decode(&bytes, self.shared.set.len(), &read_block).as_ref() != Ok(&message) {
                self.checks.fail(format!("a message is read as another one: {message:?}"));
            }
        }
        let message = Arc::new(message);
        for node in 0..self.nodes.len() {
            let receiver = self.nodes[node].index;
            if receiver == index || to.is_some_and(|to| to != receiver) || !self.hears[node][from] {
                continue;
            }
            for after in self.network.send(&mut self.rng, from, node).into_iter().flatten() {
                let message = self.as_heard(node, &message);
                self.push(after, node, Event::Deliver { from: index, message, id });
            }
        }
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

    fn made_final(&mut self, node: usize, block: &FinalBlock) {
        let info = block.body.info;
        self.trace.bytes(&info.hash.0);
        self.trace.line(self.now, node, Moment::Final(info.height, info.hash));
        self.checks.finalised(block, &self.shared.set, &self.shared.genesis);
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

    fn start(&mut self, node: usize, wiped: bool, rolled_back: bool) {
        if self.nodes[node].core.is_some() {
            return;
        }
        let moment = match (wiped, rolled_back) {
            (true, _) => Moment::Wiped,
            (_, true) => Moment::RolledBack,
            _ => Moment::Started,
        };
        self.trace.line(self.now, node, moment);
        self.looks[node] = 0;
        if wiped {
            self.nodes[node].disk = Disk::wiped();
        }
        if rolled_back && let Some(copy) = self.copies[node].take() {
            self.nodes[node].disk = copy;
        }
        if let Err(error) = self.nodes[node].start(&self.shared) {
            return self.checks.fail(format!("node {node} does not start: {error}"));
        }
        let (now, mut effects) = (self.now_ms(), Vec::new());
        self.nodes[node].process(Input::Start, &self.shared, now, &mut effects);
        self.apply(node, effects);
        self.connect(node);
        let first_tick = self.rng.below(SYNC_TICK_MS * MS);
        self.push(first_tick, node, Event::SyncTick);
        self.push(MS, node, Event::Transactions(self.submitted));
    }

    /// Connections come up one by one.
    fn connect(&mut self, node: usize) {
        let index = self.nodes[node].index;
        for peer in 0..self.nodes.len() {
            let other = self.nodes[peer].index;
            if other != index && self.nodes[peer].core.is_some() && self.network.reaches(node, peer) {
                let after = self.rng.below(50 * MS);
                self.push(after, node, Event::Connected(other));
                self.push(after, peer, Event::Connected(index));
            }
        }
    }

    fn crash(&mut self, node: usize, down_ms: u64) {
        if self.nodes[node].core.is_none() {
            return;
        }
        self.crashes += 1;
        self.trace.line(self.now, node, Moment::Crashed);
        self.nodes[node].crash(&mut self.rng);
        self.push(down_ms * MS, node, Event::Start { wiped: false, rolled_back: false });
    }

    fn fault(&mut self, fault: Fault) {
        match fault {
            Fault::Crash { node, steps: 0, down_ms } => self.crash(node, down_ms),
            Fault::Crash { node, steps, .. } => self.nodes[node].crash_in = Some(steps),
            Fault::Blackout { down_ms } => (0..self.nodes.len()).for_each(|node| self.crash(node, down_ms)),
            Fault::Wipe { node, down_ms } => {
                self.crash(node, LONG_AFTER_MS);
                self.push(down_ms * MS, node, Event::Start { wiped: true, rolled_back: false });
            }
            Fault::Copy { node } => {
                let mut copy = self.nodes[node].disk.clone();
                copy.crash(&mut self.rng);
                self.copies[node] = Some(copy);
            }
            Fault::PutBack { node } => {
                self.crash(node, LONG_AFTER_MS);
                self.push(100 * MS, node, Event::Start { wiped: false, rolled_back: true });
            }
            Fault::Split { sides, one_way } => {
                self.trace.line(self.now, 0, Moment::Split);
                self.network.split(sides, one_way);
            }
            Fault::Mend => {
                self.trace.line(self.now, 0, Moment::Mended);
                self.network.mend();
            }
        }
    }

    /// All faults end: who is down for a while starts now.
    fn heal(&mut self) {
        self.trace.line(self.now, 0, Moment::Healed);
        self.network.heal();
        self.recovery.healed = Some((self.now, self.checks.height()));
        self.recovery.since = self.now;
        self.queue.retain(|entry| !matches!(entry.event, Event::Fault(_)));
        for node in 0..self.nodes.len() {
            self.nodes[node].crash_in = None;
        }
    }

    /// A node that is behind asks one that is not.
    fn sync_tick(&mut self, node: usize) {
        self.push(SYNC_TICK_MS * MS, node, Event::SyncTick);
        let height = self.nodes[node].disk.height();
        let ahead: Vec<usize> = (0..self.nodes.len())
            .filter(|peer| self.nodes[*peer].core.is_some() && self.nodes[*peer].disk.height() > height)
            .filter(|peer| self.network.reaches(node, *peer) && self.network.reaches(*peer, node))
            .collect();
        if ahead.is_empty() {
            self.behind[node] = (height, 0);
            return;
        }
        let (before, ticks) = self.behind[node];
        let ticks = if before == height { ticks + 1 } else { 0 };
        self.behind[node] = (height, ticks);
        let peer = ahead[self.rng.index(ahead.len())];
        let gap = self.nodes[peer].disk.height() - height;
        if gap > 16 || ticks >= SYNC_GRACE {
            let blocks = self.nodes[peer].disk.blocks_above(height, SYNC_BLOCKS);
            let after = self.network.delay(&mut self.rng) * 2;
            self.push(after, node, Event::Blocks(blocks));
        }
    }

    /// The nodes that must make progress.
    fn working(&self) -> impl Iterator<Item = &Node> {
        let counts = |node: &&Node| !self.cast.dead.contains(&node.index) && !self.checks.is_byzantine(node.index);
        self.nodes.iter().filter(counts)
    }

    /// Progress after the faults.
    fn watch(&mut self) {
        let Some((healed, reached)) = self.recovery.healed else { return };
        let lowest = self.working().map(|node| node.disk.height()).min().unwrap_or(0);
        if lowest > self.recovery.lowest {
            (self.recovery.lowest, self.recovery.since) = (lowest, self.now);
        }
        if lowest > reached && self.recovery.took_us.is_none() {
            self.recovery.took_us = Some(self.now - healed);
        }
        let Goal::Heights(heights) = self.scenario.goal else { return };
        let waited = self.now.saturating_sub(self.recovery.since.max(healed));
        let overdue = lowest > heights.max(reached) + LAST_TO_VOTE;
        if waited > self.scenario.recovery_ms * MS || overdue {
            let nodes: Vec<String> = self.working().map(describe).collect();
            let what = if overdue { "somebody does not vote" } else { "no progress" };
            self.checks.fail(format!("{what} for {} ms: {}", waited / MS, nodes.join("; ")));
        }
    }

    fn is_over(&self) -> bool {
        match self.scenario.goal {
            Goal::Time(ms) => self.now >= ms * MS,
            Goal::Heights(heights) => {
                self.recovery.took_us.is_some()
                    && self.recovery.lowest >= heights
                    && self.working().all(|node| node.standing() == Some(Standing::Active))
            }
        }
    }

    fn report(self, seed: u64) -> Report {
        Report {
            scenario: self.scenario.name,
            seed,
            stakes: self.shared.set.iter().map(|(_, validator)| validator.weight.0).collect(),
            heights: self.checks.height(),
            view_changes: self.checks.skipped.len() as u64,
            virtual_ms: self.now / MS,
            recovery_ms: self.recovery.took_us.map(|us| us / MS),
            events: self.events,
            messages: self.messages,
            crashes: self.crashes,
            accused: self.checks.accused.len() as u64,
            timeline: self.trace.timeline(),
            failure: self.checks.failure,
            trace: self.trace.finish(),
        }
    }
}

/// How a node stands, for a failure's text.
fn describe(node: &Node) -> String {
    let height = node.disk.height();
    match &node.core {
        None => format!("{} is down at height {height}", node.index),
        Some(core) => format!(
            "{} at height {height} view {} {:?}{}",
            node.index,
            core.view(),
            core.standing(),
            if core.is_armed() { "" } else { " without work" }
        ),
    }
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

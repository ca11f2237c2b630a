//! The model: three honest validators, a network that delivers anything sent to anybody at any time, and a Byzantine
//! validator that signs what it likes.
//!
//! - *Network.* What was sent stays deliverable for ever, to each in its own order, or never: loss, delay, repetition and
//!   reordering are all in this. So neither retransmission nor asking (SPEC rules R, A) is needed, and both are left out.
//! - *Certificates.* The Byzantine validator, whose votes exist for whatever was proposed, knows all votes and makes the
//!   first certificate that is possible of each statement (phase, view, block). Certificates of one statement differ in
//!   signers only, which changes nothing in what an honest validator with its memory does.
//! - *Grain.* With [`Grain::Certificates`] blocks and certificates are delivered, and single votes are not: whatever a
//!   quorum of them does its certificate does (rules T, N, F), and whatever fewer do (rule X3: give up a view) a timer
//!   does, which may end at any time. With [`Grain::Votes`] votes are delivered one by one as well, the Byzantine
//!   validator's contradicting ones among them, and accusations (rule E) are in play.
//! - *Proposals of a Byzantine leader.* Two blocks in each of its views, each upon genesis or upon any prepared block,
//!   justified or not, once an honest validator is in that view: earlier they would wait there.
//! - *Crashes.* A validator stands up from its log and hears the others' present statuses, in any order, or the
//!   Byzantine one's empty status.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use assent_consensus::core::Standing;
use assent_consensus::sim::ideal_validators;
use assent_consensus::{
    Ballot, Certificate, Epoch, Hash, Height, Message, Phase, Proposal, Signature, ValidatorIndex, View, Vote,
};
use stateright::{Model, Property};

use crate::forge::{self, GENESIS, Signed, VALIDATORS};
use crate::seat::{Rules, Seat, Wrong};
use crate::tables::{Step, Tables, Taken, sender};

/// Final blocks of one height are the same everywhere.
pub(crate) const AGREEMENT: &str = "final blocks agree";
/// An accusation names the Byzantine validator, and its proof holds.
pub(crate) const ACCUSATION: &str = "no honest validator is accused";
/// A validator with its memory signs one ballot for each view and step, and never abstains.
pub(crate) const SIGNATURE: &str = "one ballot for each view and step";
/// A final block has a certificate of its own that verifies, and extends the final block before it.
pub(crate) const FINAL: &str = "final blocks are proven and in a line";
/// Nobody meets a certificate that contradicts it.
pub(crate) const CONSISTENT: &str = "nobody has to stop";
/// A block of view 1 becomes final.
pub(crate) const FIRST_FINAL: &str = "final in view 1";
/// Somebody enters view 2 because view 1 was given up.
pub(crate) const GIVEN_UP: &str = "view 2 by a view change";
/// The first final block is of a later view.
pub(crate) const LATE_FINAL: &str = "final after a view change";
/// The Byzantine validator is accused.
pub(crate) const CAUGHT: &str = "the Byzantine validator is accused";

/// What is delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Grain {
    /// Blocks and certificates.
    Certificates,
    /// Votes one by one, too.
    Votes,
}

/// What is explored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// The validators' weights.
    pub(crate) weights: [u64; VALIDATORS],
    /// Position of the Byzantine one.
    pub(crate) byzantine: usize,
    /// Views with work.
    pub(crate) views: u64,
    /// What is delivered.
    pub(crate) grain: Grain,
    /// How often an honest validator may crash.
    pub(crate) crashes: u8,
}

/// Where all are, by numbers of the tables.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct State {
    /// The honest validators.
    seats: Vec<u32>,
    /// What was sent, ascending.
    sent: Vec<u32>,
    /// Crashes that may still come.
    crashes: u8,
}

impl State {
    fn send(&mut self, message: u32) {
        if let Err(at) = self.sent.binary_search(&message) {
            self.sent.insert(at, message);
        }
    }
}

/// What may happen. Validators are counted among the honest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    /// A message reaches a validator.
    Deliver { to: usize, message: u32 },
    /// The timer of its view ends.
    TimeOut { of: usize },
    /// It crashes and stands up again.
    Crash { of: usize },
    /// It hears where another one stands; none: the Byzantine one.
    Greet { to: usize, from: Option<usize> },
    /// The Byzantine leader signs its first or second block of a view, upon the block of a certificate or genesis.
    Propose { view: View, salt: u8, upon: Option<u32> },
}

/// What a certificate says.
type Statement = (Phase, View, Hash);

struct Inner {
    rules: Rules,
    honest: Vec<ValidatorIndex>,
    setting: Setting,
    tables: Mutex<Tables>,
}

/// The model. Clones share what they have met.
#[derive(Clone)]
pub(crate) struct Cluster(Arc<Inner>);

impl Cluster {
    /// A cluster before anything happened.
    pub(crate) fn new(setting: Setting) -> Self {
        let (set, signers) = ideal_validators(&setting.weights, 1);
        let byzantine = ValidatorIndex(u16::try_from(setting.byzantine).expect("one of four"));
        let honest = set.iter().map(|(index, _)| index).filter(|index| *index != byzantine).collect();
        let rules = Rules { set, signers, byzantine, views: setting.views };
        Self(Arc::new(Inner { rules, honest, setting, tables: Mutex::new(Tables::new()) }))
    }

    /// Whether the search was cut because too many states of single validators were met.
    pub(crate) fn cut(&self) -> bool {
        self.tables().cut
    }

    /// Different states of single validators that were met.
    pub(crate) fn seats(&self) -> usize {
        self.tables().seats.count()
    }

    /// Whether an action changes anything.
    pub(crate) fn changes(&self, state: &State, action: Action) -> bool {
        match self.step_of(state, action) {
            Some((of, step)) => self.tables().take(state.seats[of], step, &self.0.rules).is_some(),
            None => true,
        }
    }

    /// An action in words.
    pub(crate) fn describe(&self, action: Action) -> String {
        let name = |at: usize| self.0.honest[at];
        let tables = self.tables();
        match action {
            Action::Deliver { to, message } => format!("{} gets {}", name(to), words(tables.messages.get(message))),
            Action::TimeOut { of } => format!("the timer of {} ends", name(of)),
            Action::Crash { of } => format!("{} crashes and restarts", name(of)),
            Action::Greet { to, from: Some(from) } => format!("{} hears where {} stands", name(to), name(from)),
            Action::Greet { to, from: None } => format!("{} hears an empty status", name(to)),
            Action::Propose { view, salt, upon } => {
                let parent = upon.map_or_else(|| String::from("genesis"), |upon| words(tables.messages.get(upon)));
                format!("the Byzantine leader signs its block {salt} of view {view} upon {parent}")
            }
        }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which validator takes which step; none when it is the Byzantine one's action.
    fn step_of(&self, state: &State, action: Action) -> Option<(usize, Step)> {
        match action {
            Action::Deliver { to, message } => Some((to, Step::Message(message))),
            Action::TimeOut { of } => Some((of, Step::Timer)),
            Action::Crash { of } => Some((of, Step::Crash)),
            Action::Greet { to, from } => Some((to, Step::Status(from.map(|from| state.seats[from])))),
            Action::Propose { .. } => None,
        }
    }

    /// What may come to one honest validator.
    fn inputs(&self, tables: &Tables, state: &State, of: usize, actions: &mut Vec<Action>) {
        let (rules, setting) = (&self.0.rules, &self.0.setting);
        let seat = tables.seats.get(state.seats[of]);
        for number in &state.sent {
            let message = tables.messages.get(*number);
            let too_fine = setting.grain == Grain::Certificates && matches!(message, Message::Vote(_));
            // Of views at or below the root's nothing is kept (SPEC rule V3).
            let past = view_of(message) <= seat.core.root().view;
            if !too_fine && !past && sender(message, rules) != seat.me {
                actions.push(Action::Deliver { to: of, message: *number });
            }
        }
        if seat.core.is_armed() && seat.core.view().0 <= rules.views {
            actions.push(Action::TimeOut { of });
        }
        if state.crashes > 0 {
            actions.push(Action::Crash { of });
        }
        if seat.core.standing() == Standing::Listening {
            let others = (0..state.seats.len()).filter(|other| *other != of).map(Some);
            actions.extend(others.chain([None]).map(|from| Action::Greet { to: of, from }));
        }
    }

    /// What the Byzantine validator may propose.
    fn proposals(&self, tables: &Tables, state: &State, actions: &mut Vec<Action>) {
        let rules = &self.0.rules;
        let reached = state.seats.iter().map(|number| tables.seats.get(*number).core.view()).max().unwrap_or_default();
        let views = (1..=rules.views.min(reached.0)).map(View);
        for view in views.filter(|view| rules.set.leader(*view) == rules.byzantine) {
            let (mut made, mut parents) = (0, vec![None]);
            for number in &state.sent {
                match tables.messages.get(*number) {
                    Message::Propose(proposal) if proposal.block.view == view => made += 1,
                    Message::Certificate(certificate)
                        if certificate.phase == Phase::Prepare && certificate.view < view =>
                    {
                        parents.push(Some(*number));
                    }
                    _ => {}
                }
            }
            if made < 2 {
                let salt = made + 1;
                actions.extend(parents.into_iter().map(|upon| Action::Propose { view, salt, upon }));
            }
        }
    }

    /// The Byzantine leader's block, with whatever view-change certificates there are.
    fn propose(&self, tables: &Tables, state: &State, view: View, salt: u8, upon: Option<u32>) -> Proposal {
        let rules = &self.0.rules;
        let sent: Vec<&Message> = state.sent.iter().map(|number| tables.messages.get(*number)).collect();
        let parent = upon.and_then(|number| match tables.messages.get(number) {
            Message::Certificate(certificate) => Some(certificate.clone()),
            _ => None,
        });
        let (hash, above) = parent.as_ref().map_or((GENESIS, View(0)), |parent| (parent.block, parent.view));
        let height = sent.iter().copied().find_map(|message| match message {
            Message::Propose(proposal) if proposal.block.hash == hash => Some(proposal.block.height),
            _ => None,
        });
        let mut skipped: Vec<Certificate> = sent
            .iter()
            .copied()
            .filter_map(|message| match message {
                Message::Certificate(certificate) => Some(certificate),
                _ => None,
            })
            .filter(|one| one.phase == Phase::ViewChange && above < one.view && one.view < view)
            .cloned()
            .collect();
        skipped.sort_by_key(|certificate| certificate.view);
        let seal = parent.as_ref().map_or(Hash::ZERO, Certificate::hash);
        let (block, payload) = forge::block(hash, height.unwrap_or(Height(0)).next(), view, seal, salt);
        let header = payload.clone();
        let mut proposal = Proposal { block, payload, header, parent, skipped, signature: Signature([0; 64]) };
        proposal.signature = rules.sign(rules.byzantine, &proposal.ballot());
        proposal
    }

    /// The Byzantine validator's vote.
    fn byzantine_vote(&self, phase: Phase, view: View, block: Hash) -> Vote {
        let rules = &self.0.rules;
        let ballot = Ballot { epoch: Epoch(0), view, phase, block };
        Vote { ballot, voter: rules.byzantine, signature: rules.sign(rules.byzantine, &ballot), named: None }
    }

    /// Puts messages on the network, with the votes of the Byzantine validator and the certificates that they allow.
    fn send(&self, tables: &mut Tables, state: &mut State, messages: Vec<u32>) {
        for number in messages {
            state.send(number);
            let block = match tables.messages.get(number) {
                Message::Propose(proposal) => Some(proposal.block),
                _ => None,
            };
            if let Some(block) = block
                && self.0.setting.grain == Grain::Votes
            {
                for phase in [Phase::Prepare, Phase::Commit] {
                    let vote = self.byzantine_vote(phase, block.view, block.hash);
                    state.send(tables.messages.number(Message::Vote(vote)));
                }
            }
        }
        self.certify(tables, state);
    }

    /// The first certificate of each statement of which enough votes were sent.
    fn certify(&self, tables: &mut Tables, state: &mut State) {
        let mut votes: BTreeMap<Statement, Vec<Signed>> = BTreeMap::new();
        let mut known: BTreeSet<Statement> = BTreeSet::new();
        for number in &state.sent {
            match tables.messages.get(*number) {
                Message::Vote(vote) if vote.voter != self.0.rules.byzantine => {
                    let Ballot { view, phase, block, .. } = vote.ballot;
                    let block = if phase == Phase::ViewChange { Hash::ZERO } else { block };
                    votes.entry((phase, view, block)).or_default().push(Signed::of(vote));
                }
                Message::Certificate(certificate) => {
                    known.insert((certificate.phase, certificate.view, certificate.block));
                }
                _ => {}
            }
        }
        for (statement, votes) in votes {
            if !known.contains(&statement)
                && let Some(certificate) = self.certificate(statement, votes)
            {
                state.send(tables.messages.number(Message::Certificate(certificate)));
            }
        }
    }

    /// The certificate of the Byzantine vote and of as many honest ones as it takes.
    fn certificate(&self, (phase, view, block): Statement, mut votes: Vec<Signed>) -> Option<Certificate> {
        let rules = &self.0.rules;
        votes.sort_by_key(|vote| vote.who);
        let mut chosen = vec![Signed::of(&self.byzantine_vote(phase, view, block))];
        let mut weight = rules.set.weigh([rules.byzantine]);
        for vote in votes {
            if !rules.set.is_quorum(weight) {
                weight += rules.set.weigh([vote.who]);
                chosen.push(vote);
            }
        }
        chosen.sort_by_key(|vote| vote.who);
        rules.set.is_quorum(weight).then(|| forge::certificate(phase, view, block, &chosen))
    }

    fn any(&self, state: &State, is_so: impl Fn(&Seat) -> bool) -> bool {
        let tables = self.tables();
        state.seats.iter().any(|number| is_so(tables.seats.get(*number)))
    }

    fn agrees(&self, state: &State) -> bool {
        let tables = self.tables();
        let finals: Vec<_> = state.seats.iter().map(|number| &tables.seats.get(*number).finals).collect();
        let same = |a: usize, b: usize| finals[a].iter().zip(finals[b]).all(|(one, other)| one.hash == other.hash);
        same(0, 1) && same(0, 2) && same(1, 2)
    }

    fn nobody(&self, state: &State, wrongs: &[Wrong]) -> bool {
        !self.any(state, |seat| seat.wrong.is_some_and(|wrong| wrongs.contains(&wrong)))
    }
}

fn view_of(message: &Message) -> View {
    match message {
        Message::Propose(proposal) => proposal.block.view,
        Message::Vote(vote) => vote.ballot.view,
        Message::Certificate(certificate) => certificate.view,
        _ => View(0),
    }
}

fn words(message: &Message) -> String {
    let short = |hash: Hash| hash.to_string().chars().take(10).collect::<String>();
    match message {
        Message::Propose(proposal) => {
            let block = proposal.block;
            format!("block {} of view {} upon {}", short(block.hash), block.view, short(block.parent))
        }
        Message::Vote(vote) => {
            let ballot = vote.ballot;
            format!("{:?} of {} for {} in view {}", ballot.phase, vote.voter, short(ballot.block), ballot.view)
        }
        Message::Certificate(certificate) => {
            let signers: Vec<u16> = certificate.signers().map(|signer| signer.0).collect();
            let (phase, view, block) = (certificate.phase, certificate.view, short(certificate.block));
            format!("the {phase:?} certificate of view {view} for {block} by {signers:?}")
        }
        other => format!("{other:?}"),
    }
}

impl Model for Cluster {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut guard = self.tables();
        let tables: &mut Tables = &mut guard;
        let mut state = State { seats: Vec::new(), sent: Vec::new(), crashes: self.0.setting.crashes };
        let mut messages = Vec::new();
        for who in &self.0.honest {
            let (seat, leaving) = Seat::new(*who, &self.0.rules);
            state.seats.push(tables.seats.number(seat));
            messages.extend(leaving);
        }
        if self.0.setting.grain == Grain::Votes {
            let views = (1..=self.0.rules.views).map(View);
            messages.extend(views.map(|view| Message::Vote(self.byzantine_vote(Phase::ViewChange, view, Hash::ZERO))));
        }
        let numbers = messages.into_iter().map(|message| tables.messages.number(message)).collect();
        self.send(tables, &mut state, numbers);
        vec![state]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let tables = self.tables();
        for of in 0..state.seats.len() {
            self.inputs(&tables, state, of, actions);
        }
        self.proposals(&tables, state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut guard = self.tables();
        let tables: &mut Tables = &mut guard;
        let mut next = state.clone();
        if let Some((of, step)) = self.step_of(state, action) {
            let Taken { seat, leaving } = tables.take(state.seats[of], step, &self.0.rules)?;
            next.seats[of] = seat;
            if step == Step::Crash {
                next.crashes -= 1;
            }
            if !leaving.is_empty() {
                self.send(tables, &mut next, leaving);
            }
        } else if let Action::Propose { view, salt, upon } = action {
            let proposal = self.propose(tables, state, view, salt, upon);
            let number = tables.messages.number(Message::Propose(proposal));
            self.send(tables, &mut next, vec![number]);
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::<Self>::always(AGREEMENT, |cluster, state| cluster.agrees(state)),
            Property::<Self>::always(ACCUSATION, |cluster, state| cluster.nobody(state, &[Wrong::Accusation])),
            Property::<Self>::always(SIGNATURE, |cluster, state| {
                cluster.nobody(state, &[Wrong::Signature, Wrong::Abstention])
            }),
            Property::<Self>::always(FINAL, |cluster, state| cluster.nobody(state, &[Wrong::Final])),
            Property::<Self>::always(CONSISTENT, |cluster, state| cluster.nobody(state, &[Wrong::Diverged])),
            Property::<Self>::sometimes(FIRST_FINAL, |cluster, state| {
                cluster.any(state, |seat| seat.finals.first().is_some_and(|block| block.view == View(1)))
            }),
            Property::<Self>::sometimes(GIVEN_UP, |cluster, state| {
                cluster.any(state, |seat| seat.by_view_change && seat.core.view() == View(2))
            }),
            Property::<Self>::sometimes(LATE_FINAL, |cluster, state| {
                cluster.any(state, |seat| seat.finals.first().is_some_and(|block| block.view > View(1)))
            }),
            Property::<Self>::sometimes(CAUGHT, |cluster, state| cluster.any(state, |seat| seat.accused)),
        ]
    }
}

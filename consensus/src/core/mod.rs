//! The state machine of one validator in one epoch: `step(input) -> outputs` (SPEC sections 2 and 3).
//!
//! Plain data and plain functions. Each transition names its rule in SPEC.md. The core signs nothing and
//! writes nothing: it asks, by outputs that the driver carries out in order, and whatever leaves the node
//! waits until all records and ballots before it are durable.
//!
//! - `proposals`: building, receiving and validating blocks (rules B, P);
//! - `votes`: votes in, certificates out (rules V, T, E);
//! - `views`: certificates and the way through the views (rules C, N, K);
//! - `finality`: what becomes final (rule F);
//! - `liveness`: timers, silent leaders, retransmission (rules W, X, R);
//! - `memory`: what may be signed after a restart (rules S, M);
//! - `restore`: standing again where the log ends (rule D);
//! - `fetch`: asking for and serving what decided past views (rules A, K).

mod fetch;
mod finality;
mod liveness;
mod memory;
#[cfg(test)]
mod planted;
mod proposals;
mod restore;
mod views;
mod votes;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use memory::Memory;
pub use memory::Standing;

use crate::{
    Ballot, BlockInfo, Certificate, Epoch, Evidence, Hash, Height, Message, Phase, Proposal, Record, Signature,
    ValidatorIndex, ValidatorSet, View, Vote,
};

/// Views ahead of ours whose votes and proposals are kept; certificates of any later view are followed.
/// Retransmission brings again what was dropped.
pub const VIEWS_AHEAD: u64 = 8;

/// Views behind ours whose votes are still counted. Certificates of older ones are kept until finality.
pub const VIEWS_BEHIND: u64 = 32;

/// Most views between the last final block and ours. No further view is given up beyond: certificates for
/// all of these have to be kept, and this many mean that nothing is decided for a day.
pub const MAX_OPEN_VIEWS: u64 = 16_384;

/// Most views of which anything is kept; the lowest give way. Views above the last final block are more than this only
/// at one who is far behind while the others go on: block sync brings what it needs, not votes and certificates.
pub const MAX_KEPT_VIEWS: usize = 32_768;

/// Most bytes of blocks behind the window that a certificate names and whose parents are missing. What has no room is
/// asked for again when its parent is here.
pub const MAX_WAITING_BYTES: usize = 2 * crate::MAX_PAYLOAD_BYTES;

/// Blocks above the last final one from which on only empty blocks are built: finality has to catch up first.
pub const MAX_UNFINAL_BLOCKS: u64 = 16;

/// Durations in milliseconds that the protocol uses, from genesis.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Timing {
    /// How long the first view after a success lasts before it is given up.
    pub view_timeout_ms: u64,
    /// Cap of a view's duration.
    pub view_timeout_max_ms: u64,
    /// After how long own messages are sent again.
    pub retransmit_ms: u64,
}

/// What a core is told when it is made.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Config {
    /// Hash of the genesis block; part of everything signed.
    pub genesis: Hash,
    /// The epoch's validators.
    pub set: ValidatorSet,
    /// Our position in the set.
    pub me: ValidatorIndex,
    /// Durations.
    pub timing: Timing,
    /// The last final block; genesis at the start.
    pub root: BlockInfo,
    /// The certificate that is kept beside `root`; none for genesis.
    pub root_certificate: Option<Certificate>,
    /// What we remember of what we signed (SPEC rule M).
    pub memory: Memory0,
}

/// What a validator remembers of its signatures when it starts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Memory0 {
    /// The signer's mark: (view, step) of the last ballot it signed.
    Mark(View, u8),
    /// No mark: the disk was lost.
    Lost,
    /// No mark, and the operator accepts to sign all the same.
    LostButAccepted,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// A record of the log, before `Start`, oldest first.
    Restore(Record),
    /// All records were given; go.
    Start,
    /// A connection to a validator stands.
    Connected(ValidatorIndex),
    /// A message of a validator came.
    Message {
        /// Whose connection it came over; it may carry others' signatures.
        from: ValidatorIndex,
        /// The message.
        message: Message,
    },
    /// A timer that was set has run out.
    Timer(Timer),
    /// There is work for this view: pending transactions, or an empty block is due.
    Work(View),
    /// The application built the block that was asked for.
    Built {
        /// The view that it was built for.
        view: View,
        /// What it says of itself.
        block: BlockInfo,
        /// Its bytes.
        payload: Arc<[u8]>,
        /// Its header's bytes.
        header: Arc<[u8]>,
    },
    /// The application could not build the block that was asked for.
    NotBuilt(View),
    /// The application's verdict on a block.
    Validated {
        /// The view of the block.
        view: View,
        /// The block.
        block: Hash,
        /// Whether it is valid.
        valid: bool,
    },
    /// The signature of a ballot that was to be signed; its durability is the driver's to wait for.
    Signed(Ballot, Signature),
    /// Block sync made a block final: a commit certificate for it or for a descendant was verified, and this one, too.
    Synced {
        /// The block.
        block: BlockInfo,
        /// Its certificate.
        certificate: Certificate,
    },
}

/// Which timer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Timer {
    /// The view has lasted long enough.
    View(View),
    /// Time to send again, or to ask again.
    Retransmit(View),
}

/// What is to be done, in order.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Output {
    /// Append to the log; durable before anything that follows leaves the node.
    Persist(Record),
    /// Sign, within the signer's own mark, and answer with `Input::Signed`; durable like a record.
    Sign(Ballot),
    /// Send to all validators.
    Broadcast(Message),
    /// Send to one.
    Send(ValidatorIndex, Message),
    /// Run a timer.
    SetTimer(Timer, u64),
    /// A view began: all earlier timers are void, and `Input::Work` is wanted when there is work.
    EnteredView {
        /// The view.
        view: View,
        /// Its leader.
        leader: ValidatorIndex,
        /// The block on which its leader will probably build.
        parent: Hash,
    },
    /// Build a block, as leader; answer with `Input::Built`, or with nothing while there is nothing to build.
    Build(Build),
    /// Validate a block whose parent is final or was validated; answer with `Input::Validated`. What depends on the
    /// clock or on a fault of this node is no verdict: answer later. Whether the block is certified comes along: a quorum
    /// has then compared its time with their clocks, and this node's is not asked (SPEC rule P5).
    Validate(Proposal, bool),
    /// These blocks are final, oldest first; each with the best certificate for it.
    Final(Vec<(BlockInfo, Certificate)>),
    /// A contradiction was proven.
    Evidence(Evidence),
    /// Signatures of ours exist that the signer's mark does not know: it must say so from now on, durable like a record,
    /// so that the next start knows it as well (SPEC rule M3). The next ballot that is signed ends it.
    Forgotten,
    /// Others are final on what we cannot agree to: stop, and tell the operator.
    Diverged(Divergence),
}

/// A block to build.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Build {
    /// The view of the block.
    pub view: View,
    /// Its epoch.
    pub epoch: Epoch,
    /// Its parent.
    pub parent: Hash,
    /// What goes into the seal: the hash of the certificate that the proposal will carry.
    pub parent_certificate: Hash,
    /// Build also when there are no transactions: the block carries finality for its parent.
    pub needed: bool,
    /// Build without transactions: too many blocks wait for finality.
    pub empty: bool,
}

/// A certificate that contradicts this node; never without a fault above a third, of the disk, or of the program.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum Divergence {
    /// A quorum prepared a block that our application refuses.
    #[error("a quorum prepared block {block} of view {view}, which this node finds invalid")]
    InvalidBlock {
        /// Its view.
        view: View,
        /// The block.
        block: Hash,
    },
    /// A quorum committed a block that does not extend our last final one.
    #[error("a quorum committed block {block} of view {view}, which does not extend the final block {root}")]
    Fork {
        /// Its view.
        view: View,
        /// The block.
        block: Hash,
        /// Our last final block.
        root: Hash,
    },
}

/// How far a proposal has come.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Progress {
    /// Its parent or its justification is missing.
    Waiting,
    /// As `Waiting`; it comes from our log, so that it was valid and others may count on our having it.
    Restored,
    /// The application is at it.
    Validating,
    /// Valid: we hold it.
    Valid,
    /// Invalid.
    Invalid,
}

/// All we know of one view.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
struct ViewState {
    proposal: Option<(Proposal, Progress)>,
    /// The first proposal signature that we saw: to recognise a second one.
    proposed: Option<(Hash, Signature)>,
    prepares: BTreeMap<ValidatorIndex, Vote>,
    commits: BTreeMap<ValidatorIndex, Vote>,
    view_changes: BTreeMap<ValidatorIndex, Vote>,
    prepared: Option<Certificate>,
    committed: Option<Certificate>,
    skipped: Option<Certificate>,
    /// Our own block, before it is signed.
    own: Option<Proposal>,
    /// The weight of repeated votes, which counts for nothing but with a planted bug.
    #[cfg(test)]
    repeated: BTreeMap<Ballot, u128>,
}

impl ViewState {
    /// The certificate of the block of this view: the prepare certificate, or the commit certificate, which proves more.
    fn certified(&self) -> Option<&Certificate> {
        self.prepared.as_ref().or(self.committed.as_ref())
    }

    /// Whether somebody acted in this view.
    fn spoken(&self) -> bool {
        self.proposal.is_some() || self.own.is_some() || !self.prepares.is_empty() || !self.view_changes.is_empty()
    }
}

/// One validator's state machine for one epoch. Plain data: equal ones answer every input alike.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Core {
    config: Config,
    /// The current view, and the certificate that led into it.
    view: View,
    entry: Option<Certificate>,
    /// The last final block, and its certificate.
    root: BlockInfo,
    root_certificate: Option<Certificate>,
    /// The root's commit certificate, if we have one: it helps others to finality (SPEC rule K).
    root_commit: Option<Certificate>,
    /// All views above the root's that we know something of.
    views: BTreeMap<View, ViewState>,
    memory: Memory,
    /// The view in which each validator was last heard.
    heard: Vec<View>,
    /// The latest vote of each validator: told to it when it comes back (SPEC rule M).
    latest: Vec<Option<Vote>>,
    /// Offences already reported, by view.
    accused: BTreeSet<(View, ValidatorIndex)>,
    /// The parent on which the driver looked for work when the view began.
    parent: Hash,
    /// Whether there is work in the current view, so that its timer runs.
    armed: bool,
    /// The block that we asked the application for in this view.
    building: Option<Build>,
    /// The views that each peer was asked for since the last round of retransmission.
    asked: BTreeMap<ValidatorIndex, (View, View)>,
    /// How often each peer was answered since then (SPEC rule A3).
    answered: BTreeMap<ValidatorIndex, u32>,
    /// Who has sent a proposal of a view beyond the window since then (SPEC rule P2).
    ahead: BTreeSet<ValidatorIndex>,
    /// Retransmission rounds in this view.
    rounds: u64,
    out: Vec<Output>,
}

impl Core {
    /// A core that stands on the last final block. Give it the log (`Input::Restore`), then `Input::Start`.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let view = config.root_certificate.as_ref().map_or(config.root.view, |c| c.view).next();
        let heard = vec![view; config.set.len()];
        let latest = vec![None; config.set.len()];
        let memory = Memory::new(config.memory);
        let (root, root_certificate) = (config.root, config.root_certificate.clone());
        let root_commit = root_certificate.clone().filter(|certificate| certificate.phase == Phase::Commit);
        Self {
            entry: root_certificate.clone(),
            config,
            view,
            root,
            root_certificate,
            root_commit,
            views: BTreeMap::new(),
            memory,
            heard,
            latest,
            accused: BTreeSet::new(),
            parent: Hash::ZERO,
            armed: false,
            building: None,
            asked: BTreeMap::new(),
            answered: BTreeMap::new(),
            ahead: BTreeSet::new(),
            rounds: 0,
            out: Vec::new(),
        }
    }

    /// Takes one input; what is to be done for it comes back in order.
    pub fn step(&mut self, input: Input) -> Vec<Output> {
        match input {
            Input::Restore(record) => self.restore(record),
            Input::Start => self.start(),
            Input::Connected(peer) => self.greet(peer),
            Input::Message { from, message } => self.on_message(from, message),
            Input::Timer(timer) => self.on_timer(timer),
            Input::Work(view) => self.on_work(view),
            Input::Built { view, block, payload, header } => self.on_built(view, block, payload, header),
            Input::NotBuilt(view) => self.on_not_built(view),
            Input::Validated { view, block, valid } => self.on_validated(view, block, valid),
            Input::Signed(ballot, signature) => self.on_signed(ballot, signature),
            Input::Synced { block, certificate } => self.on_synced(block, certificate),
        }
        std::mem::take(&mut self.out)
    }

    fn on_message(&mut self, from: ValidatorIndex, message: Message) {
        match message {
            Message::Propose(proposal) => self.on_proposal(from, proposal),
            Message::Vote(vote) => self.on_vote(vote),
            Message::Certificate(certificate) => {
                self.on_certificate(certificate);
            }
            Message::Status(status) => self.on_status(from, status),
            Message::Fetch(fetch) => self.on_fetch(from, fetch),
            Message::Evidence(evidence) => self.on_evidence(evidence),
        }
    }

    /// Our own signature came back: the vote counts, or the proposal goes out (SPEC rules P, V).
    fn on_signed(&mut self, ballot: Ballot, signature: Signature) {
        if ballot.phase == Phase::Propose {
            return self.publish_own(ballot, signature);
        }
        let names = ballot.phase == Phase::ViewChange && ballot.block != Hash::ZERO;
        let named = if names { self.named(ballot.view, ballot.block) } else { None };
        let vote = Vote { ballot, voter: self.config.me, signature, named };
        self.out.push(Output::Persist(Record::Vote(vote.clone())));
        self.out.push(Output::Broadcast(Message::Vote(vote.clone())));
        self.count_vote(vote);
    }

    /// The current view.
    #[must_use]
    pub const fn view(&self) -> View {
        self.view
    }

    /// The last final block.
    #[must_use]
    pub const fn root(&self) -> &BlockInfo {
        &self.root
    }

    /// Height of the last final block.
    #[must_use]
    pub const fn final_height(&self) -> Height {
        self.root.height
    }

    /// The validator set.
    #[must_use]
    pub const fn set(&self) -> &ValidatorSet {
        &self.config.set
    }

    /// Whether the current view has work, so that its timer runs.
    #[must_use]
    pub const fn is_armed(&self) -> bool {
        self.armed
    }

    /// Whether we vote, or why we do not.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        self.memory.standing()
    }

    /// Who has sent ViewChange for the current view.
    pub fn gave_up(&self) -> impl Iterator<Item = ValidatorIndex> + '_ {
        self.views.get(&self.view).into_iter().flat_map(|state| state.view_changes.keys().copied())
    }

    /// Everything that a new log must hold so that the old one can go (SPEC rule D).
    #[must_use]
    pub fn snapshot(&self) -> Vec<Record> {
        let mut records: Vec<Record> = self.entry.iter().cloned().map(Record::Certificate).collect();
        for state in self.views.values() {
            records.extend(state.proposal.iter().map(|(proposal, _)| Record::Proposal(proposal.clone())));
            let certificates = [&state.prepared, &state.committed, &state.skipped];
            records.extend(certificates.into_iter().flatten().cloned().map(Record::Certificate));
            for votes in [&state.prepares, &state.commits, &state.view_changes] {
                records.extend(votes.get(&self.config.me).cloned().map(Record::Vote));
            }
        }
        records
    }

    /// All entries are made here, so that there are never more than [`MAX_KEPT_VIEWS`]. The lowest of so many is
    /// far behind the window.
    fn state(&mut self, view: View) -> &mut ViewState {
        if self.views.len() >= MAX_KEPT_VIEWS && !self.views.contains_key(&view) {
            self.views.pop_first();
        }
        self.views.entry(view).or_default()
    }

    fn heard(&mut self, who: ValidatorIndex, view: View) {
        if let Some(slot) = self.heard.get_mut(who.position()) {
            *slot = (*slot).max(view);
        }
    }

    /// The block of a view, once it was found valid.
    fn held(&self, view: View) -> Option<&Proposal> {
        match &self.views.get(&view)?.proposal {
            Some((proposal, Progress::Valid)) => Some(proposal),
            _ => None,
        }
    }
}

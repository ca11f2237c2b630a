//! One honest validator: the real state machine, and what its node does for it, at once and in one piece.
//!
//! Signing, building and validating are answered within the step that asks for them, and what a step writes is durable
//! before anything of it leaves (SPEC rule D1), so that a crash comes between two steps.

use std::collections::VecDeque;

use assent_consensus::core::{Build, Config, Core, Input, Memory0, Output, Standing, Timer, Timing};
use assent_consensus::sim::Signers;
use assent_consensus::{
    Ballot, BlockInfo, Certificate, Epoch, Evidence, Hash, Height, Message, Phase, Record, Signature, Status,
    ValidatorIndex, ValidatorSet, View,
};

use crate::forge::{self, GENESIS, genesis};

/// What is the same for all, in all states.
pub(crate) struct Rules {
    /// The validators.
    pub(crate) set: ValidatorSet,
    /// Who signs for them.
    pub(crate) signers: Signers,
    /// The one who signs whatever it likes.
    pub(crate) byzantine: ValidatorIndex,
    /// In how many views there is work.
    pub(crate) views: u64,
}

impl Rules {
    /// The signature of a validator under a ballot.
    pub(crate) fn sign(&self, who: ValidatorIndex, ballot: &Ballot) -> Signature {
        self.signers.sign(who, &ballot.sign_bytes(&GENESIS))
    }
}

/// What no honest validator does or suffers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Wrong {
    /// It signed what is not above what it signed before: two ballots for one view and step, or worse.
    Signature,
    /// It accused an honest validator, or without a proof.
    Accusation,
    /// A block became final without a certificate that verifies, or not upon the final block before it.
    Final,
    /// A quorum contradicts it.
    Diverged,
    /// It abstains although it has forgotten nothing.
    Abstention,
}

/// One honest validator, with what the checks need of its past.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Seat {
    /// Its position.
    pub(crate) me: ValidatorIndex,
    /// The state machine.
    pub(crate) core: Core,
    /// Its final blocks, from height 1 on.
    pub(crate) finals: Vec<BlockInfo>,
    /// The certificate kept beside the last of them.
    certificate: Option<Certificate>,
    /// (view, step) of the last ballot it signed.
    mark: (View, u8),
    /// Whether a view-change certificate led it into its view.
    pub(crate) by_view_change: bool,
    /// Whether it has accused the Byzantine validator.
    pub(crate) accused: bool,
    /// The first thing that went wrong.
    pub(crate) wrong: Option<Wrong>,
}

fn stand_up(
    me: ValidatorIndex,
    rules: &Rules,
    root: BlockInfo,
    certificate: Option<Certificate>,
    mark: (View, u8),
) -> Core {
    Core::new(Config {
        genesis: GENESIS,
        set: rules.set.clone(),
        me,
        timing: Timing { view_timeout_ms: 1000, view_timeout_max_ms: 8000, retransmit_ms: 500 },
        root,
        root_certificate: certificate,
        memory: Memory0::Mark(mark.0, mark.1),
    })
}

/// The status of one who has just started, and what the Byzantine validator says whenever it is asked.
pub(crate) fn empty_status() -> Message {
    Message::Status(Status { epoch: Epoch(0), height: Height(0), entry: None, yours: None, reply: false })
}

impl Seat {
    /// A validator that has started on an empty log and has heard of all others that they are there; and what it
    /// sends then.
    pub(crate) fn new(me: ValidatorIndex, rules: &Rules) -> (Self, Vec<Message>) {
        let mark = (View(0), 0);
        let mut seat = Self {
            me,
            core: stand_up(me, rules, genesis(), None, mark),
            finals: Vec::new(),
            certificate: None,
            mark,
            by_view_change: false,
            accused: false,
            wrong: None,
        };
        let mut leaving = seat.process(Input::Start, rules);
        for (from, _) in rules.set.iter().filter(|(index, _)| *index != me) {
            leaving.extend(seat.receive(from, empty_status(), rules));
        }
        (seat, leaving)
    }

    /// A message comes in.
    pub(crate) fn receive(&mut self, from: ValidatorIndex, message: Message, rules: &Rules) -> Vec<Message> {
        self.process(Input::Message { from, message }, rules)
    }

    /// The timer of the current view ends.
    pub(crate) fn time_out(&mut self, rules: &Rules) -> Vec<Message> {
        self.process(Input::Timer(Timer::View(self.core.view())), rules)
    }

    /// It crashes and stands up again from its last final block, its log (whose snapshot stands for it, SPEC rule D2)
    /// and its signer's mark.
    pub(crate) fn restart(&mut self, rules: &Rules) -> Vec<Message> {
        let records = self.core.snapshot();
        let root = self.finals.last().copied().unwrap_or_else(genesis);
        self.core = stand_up(self.me, rules, root, self.certificate.clone(), self.mark);
        for record in records {
            self.core.step(Input::Restore(record));
        }
        self.process(Input::Start, rules)
    }

    /// What it tells a validator that comes back (SPEC rule M1).
    pub(crate) fn status_for(&self, peer: ValidatorIndex) -> Option<Message> {
        let outputs = self.core.clone().step(Input::Connected(peer));
        outputs.into_iter().find_map(|output| match output {
            Output::Send(to, message) if to == peer && matches!(message, Message::Status(_)) => Some(message),
            _ => None,
        })
    }

    /// One input and all that follows from it inside of the node. Blocks and votes that leave it come back.
    fn process(&mut self, input: Input, rules: &Rules) -> Vec<Message> {
        let before = self.core.view();
        let (mut inputs, mut leaving) = (VecDeque::from([input]), Vec::new());
        while let Some(input) = inputs.pop_front() {
            let mut signed = Vec::new();
            for output in self.core.step(input) {
                match output {
                    Output::Sign(ballot) => signed.push(self.sign(ballot, rules)),
                    Output::EnteredView { view, .. } if view.0 <= rules.views => inputs.push_back(Input::Work(view)),
                    Output::Build(build) if build.view.0 <= rules.views => inputs.push_back(self.build(&build)),
                    Output::Validate(proposal, _) => {
                        let (view, block) = (proposal.block.view, proposal.block.hash);
                        inputs.push_back(Input::Validated { view, block, valid: true });
                    }
                    Output::Broadcast(Message::Propose(proposal)) => leaving.push(Message::Propose(proposal)),
                    Output::Broadcast(Message::Vote(vote)) => leaving.push(Message::Vote(vote)),
                    Output::Final(blocks) => self.finalise(blocks, rules),
                    Output::Evidence(evidence) => self.accuse(&evidence, rules),
                    Output::Diverged(_) => self.note(Wrong::Diverged),
                    _ => {}
                }
            }
            for answer in signed.into_iter().rev() {
                inputs.push_front(answer);
            }
        }
        if self.core.view() != before {
            self.by_view_change = self.entered_by_view_change();
        }
        if matches!(self.core.standing(), Standing::Abstaining(_)) {
            self.note(Wrong::Abstention);
        }
        leaving
    }

    fn note(&mut self, wrong: Wrong) {
        self.wrong.get_or_insert(wrong);
    }

    fn sign(&mut self, ballot: Ballot, rules: &Rules) -> Input {
        if ballot.mark() <= self.mark {
            self.note(Wrong::Signature);
        }
        self.mark = self.mark.max(ballot.mark());
        Input::Signed(ballot, rules.sign(self.me, &ballot))
    }

    fn build(&self, build: &Build) -> Input {
        let height = self.height_of(build.parent).next();
        let (block, payload) = forge::block(build.parent, height, build.view, build.parent_certificate, 0);
        Input::Built { view: build.view, block, header: payload.clone(), payload }
    }

    /// The height of a block to build on: one that is held, or the last final one.
    fn height_of(&self, parent: Hash) -> Height {
        let held = self.core.snapshot().into_iter().find_map(|record| match record {
            Record::Proposal(proposal) if proposal.block.hash == parent => Some(proposal.block.height),
            _ => None,
        });
        held.unwrap_or(self.core.root().height)
    }

    fn finalise(&mut self, blocks: Vec<(BlockInfo, Certificate)>, rules: &Rules) {
        for (block, certificate) in blocks {
            let last = self.finals.last().copied().unwrap_or_else(genesis);
            let follows = block.parent == last.hash && block.height == last.height.next();
            let its_own = certificate.phase != Phase::ViewChange
                && certificate.block == block.hash
                && certificate.view == block.view;
            if !follows || !its_own || certificate.verify(&rules.set, &GENESIS).is_err() {
                self.note(Wrong::Final);
            }
            self.finals.push(block);
            self.certificate = Some(certificate);
        }
    }

    fn accuse(&mut self, evidence: &Evidence, rules: &Rules) {
        self.accused = true;
        if evidence.validator() != rules.byzantine || !evidence.verify(&rules.set, &GENESIS) {
            self.note(Wrong::Accusation);
        }
    }

    fn entered_by_view_change(&self) -> bool {
        let records = self.core.snapshot();
        matches!(records.first(), Some(Record::Certificate(entry))
            if entry.phase == Phase::ViewChange && entry.view.next() == self.core.view())
    }
}

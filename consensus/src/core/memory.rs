//! What we may sign: the rising mark (SPEC rule S), and how a validator that may have forgotten what it
//! signed comes back (SPEC rule M).

use std::collections::BTreeMap;

use super::{Core, Memory0, Output};
use crate::{Ballot, Certificate, Message, Phase, Status, ValidatorIndex, View, Vote};

/// Views beyond all that was reported or shown whose certificates end an abstention (SPEC rule M3).
const ABSTAINED_VIEWS: u64 = 2;

/// Whether a validator votes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Standing {
    /// It votes.
    Active,
    /// It started and hears its peers first.
    Listening,
    /// It may have forgotten votes: it abstains until a certificate for this view has formed.
    Abstaining(View),
}

/// The mark, and what the peers reported.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Memory {
    start: Memory0,
    standing: Standing,
    /// (view, step) of the last ballot that we asked to sign.
    pub(super) mark: (View, u8),
    /// The view of a signature of ours above the mark that somebody showed us: the mark is of an old backup.
    surpassed: Option<View>,
    /// Where the peers stood when we came: their proven views.
    reports: BTreeMap<ValidatorIndex, View>,
}

impl Memory {
    pub(super) fn new(start: Memory0) -> Self {
        let mark = match start {
            Memory0::Mark(view, step) => (view, step),
            Memory0::Lost | Memory0::LostButAccepted => (View(0), 0),
        };
        Self { start, standing: Standing::Listening, mark, surpassed: None, reports: BTreeMap::new() }
    }

    pub(super) const fn standing(&self) -> Standing {
        self.standing
    }

    /// How many peers have told where they stand.
    #[cfg(test)]
    pub(super) fn reports(&self) -> usize {
        self.reports.len()
    }

    /// A vote of our own in the log: never behind it again (SPEC rule S).
    pub(super) fn remember(&mut self, ballot: &Ballot) {
        self.mark = self.mark.max(ballot.mark());
    }
}

impl Core {
    /// SPEC rule S: only upwards, and only when rule M lets us.
    pub(super) fn may_sign(&self, phase: Phase, view: View) -> bool {
        let above = (view, phase.step()) > self.memory.mark;
        #[cfg(test)]
        let above = above || self.forgets_view_change(phase, view);
        self.memory.standing == Standing::Active && above
    }

    /// Asks for a signature (SPEC rule S). The caller has checked `may_sign`.
    pub(super) fn sign(&mut self, ballot: Ballot) {
        self.memory.remember(&ballot);
        self.out.push(Output::Sign(ballot));
    }

    pub(super) fn listens(&self) -> bool {
        self.memory.standing == Standing::Listening
    }

    /// SPEC rule M1: everybody tells a newcomer where it stands.
    pub(super) fn greet(&mut self, peer: ValidatorIndex) {
        self.tell_status(peer, self.listens());
    }

    fn tell_status(&mut self, peer: ValidatorIndex, reply: bool) {
        let yours = self.latest.get(peer.position()).cloned().flatten();
        let status = Status { yours, ..self.status(reply) };
        self.out.push(Output::Send(peer, Message::Status(status)));
    }

    pub(super) fn status(&self, reply: bool) -> Status {
        let (epoch, height) = (self.config.set.epoch(), self.root.height);
        Status { epoch, height, entry: self.entry.clone(), yours: None, reply }
    }

    /// A peer's status: its certificate is followed, its view is a report, and who is behind is helped.
    pub(super) fn on_status(&mut self, from: ValidatorIndex, status: Status) {
        if status.epoch != self.config.set.epoch() || self.config.set.get(from).is_none() {
            return;
        }
        let view = status.entry.as_ref().map_or(View(1), |certificate| certificate.view.next());
        if let Some(certificate) = status.entry {
            self.on_certificate(certificate);
        }
        if view > self.view {
            // The certificate does not hold, or it would have led us there.
            return;
        }
        self.heard(from, self.view);
        if let Some(vote) = status.yours {
            self.recognise(&vote);
        }
        self.memory.reports.insert(from, view);
        self.settle_memory();
        if status.reply && self.may_answer(from) {
            self.tell_status(from, false);
        }
        if view < self.view || status.height < self.root.height {
            self.help(from);
        }
    }

    /// SPEC rule M: once a quorum (we among them) told where it stands, we know whether votes may be forgotten.
    pub(super) fn settle_memory(&mut self) {
        if self.memory.standing != Standing::Listening {
            return;
        }
        let me = self.config.me;
        let others = self.memory.reports.keys().copied().filter(|who| *who != me);
        if !self.config.set.is_quorum(self.config.set.weigh(others.chain([me]))) {
            return;
        }
        let reported = self.memory.reports.values().copied().max().unwrap_or(View(1));
        let forgotten = match self.memory.start {
            Memory0::Mark(..) => self.memory.surpassed.is_some(),
            Memory0::Lost => true,
            Memory0::LostButAccepted => false,
        };
        if forgotten {
            let last = self.memory.surpassed.unwrap_or_default().max(reported);
            self.memory.standing = Standing::Abstaining(last.plus(ABSTAINED_VIEWS));
        } else {
            self.memory.standing = Standing::Active;
            self.resume();
        }
    }

    /// SPEC rule M: a vote of our own comes back from others. One that we do not remember means that our memory is
    /// of an older time than our votes: from now on we abstain.
    pub(super) fn recognise(&mut self, vote: &Vote) {
        let forgotten = vote.voter == self.config.me && vote.ballot.mark() > self.memory.mark;
        if forgotten && vote.verify(&self.config.set, &self.config.genesis) {
            self.surpassed(vote.ballot.mark());
        }
    }

    /// As [`Self::recognise`], for our signature in a verified certificate.
    pub(super) fn recognise_signature(&mut self, certificate: &Certificate) {
        let mark = (certificate.view, certificate.phase.step());
        if mark > self.memory.mark && certificate.signers().any(|signer| signer == self.config.me) {
            self.surpassed(mark);
        }
    }

    /// SPEC rule M3: signatures of ours exist that we do not remember. With the operator's word we go on behind the
    /// ones that we see; otherwise we abstain until others went two views beyond them, and the signer's mark says so: after
    /// a restart nobody may be left who shows them.
    fn surpassed(&mut self, mark: (View, u8)) {
        let memory = &mut self.memory;
        if memory.start == Memory0::LostButAccepted {
            memory.mark = memory.mark.max(mark);
            return;
        }
        let news = memory.surpassed.is_none() || memory.standing == Standing::Active;
        memory.surpassed = memory.surpassed.max(Some(mark.0));
        let until = mark.0.plus(ABSTAINED_VIEWS);
        memory.standing = match memory.standing {
            Standing::Listening => Standing::Listening,
            Standing::Active => Standing::Abstaining(until.max(self.view.plus(ABSTAINED_VIEWS))),
            Standing::Abstaining(before) => Standing::Abstaining(before.max(until)),
        };
        if news {
            self.out.push(Output::Forgotten);
        }
    }

    /// SPEC rule M4: a certificate two views beyond all reports formed without us; what we may have signed is
    /// behind. We vote from the view after it on. Tells whether this is so now.
    pub(super) fn end_abstention(&mut self, certificate: &Certificate) -> bool {
        match self.memory.standing {
            Standing::Abstaining(until) if certificate.view >= until => {
                self.memory.mark = self.memory.mark.max((certificate.view, Phase::Commit.step()));
                self.memory.standing = Standing::Active;
                true
            }
            _ => false,
        }
    }
}

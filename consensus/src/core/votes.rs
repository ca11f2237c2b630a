//! Votes: counting (SPEC rule V), certificates out of them (rule C), Commit (rule T), evidence (rule E).

use super::{Core, Output, VIEWS_AHEAD, VIEWS_BEHIND, ViewState};
#[cfg(test)]
use crate::planted::{self, Bug};
use crate::{Ballot, Certificate, Epoch, Evidence, Message, Phase, Signed, ValidatorIndex, View, Vote};

impl Core {
    /// Whether messages of a view are kept: above the root, not far behind, not far ahead.
    pub(super) fn in_window(&self, view: View) -> bool {
        view > self.root.view && view.plus(VIEWS_BEHIND) >= self.view && view <= self.view.plus(VIEWS_AHEAD)
    }

    /// SPEC rule V: a vote comes in. Its signature is checked before anything else is believed.
    pub(super) fn on_vote(&mut self, vote: Vote) {
        let ballot = vote.ballot;
        if ballot.epoch != self.config.set.epoch() || !self.in_window(ballot.view) {
            // A vote of the past still tells that its sender lives.
            if ballot.epoch == self.config.set.epoch() && ballot.view <= self.root.view {
                self.heard_of_late(&vote);
            }
            return;
        }
        if vote.voter == self.config.me {
            return self.recognise(&vote);
        }
        let counted = self.is_counted(&vote);
        #[cfg(test)]
        let counted = counted && !planted::is(Bug::DuplicateSigner);
        if counted || !vote.verify(&self.config.set, &self.config.genesis) {
            return;
        }
        self.heard(vote.voter, self.view.min(ballot.view));
        self.count_vote(vote);
    }

    /// SPEC rule X: a lagging validator is no silent one; its late votes are verified only when that matters.
    fn heard_of_late(&mut self, vote: &Vote) {
        let lately = vote.ballot.view.plus(VIEWS_BEHIND) >= self.view;
        if lately && self.is_silent(vote.voter) && vote.verify(&self.config.set, &self.config.genesis) {
            self.heard(vote.voter, self.view);
        }
    }

    fn votes_of(state: &ViewState, phase: Phase) -> &std::collections::BTreeMap<ValidatorIndex, Vote> {
        match phase {
            Phase::Propose | Phase::Prepare => &state.prepares,
            Phase::Commit => &state.commits,
            Phase::ViewChange => &state.view_changes,
        }
    }

    pub(super) fn is_counted(&self, vote: &Vote) -> bool {
        let state = self.views.get(&vote.ballot.view);
        state.is_some_and(|state| Self::votes_of(state, vote.ballot.phase).get(&vote.voter) == Some(vote))
    }

    /// Counts a verified vote, the first of its voter, view and phase; a second one is evidence.
    pub(super) fn count_vote(&mut self, vote: Vote) {
        let (ballot, voter) = (vote.ballot, vote.voter);
        if ballot.view <= self.root.view {
            return;
        }
        self.accuse_contradiction(&vote);
        #[cfg(test)]
        if planted::is(Bug::DuplicateSigner) && self.is_counted(&vote) {
            return self.count_again(&vote);
        }
        let state = self.state(ballot.view);
        let votes = match ballot.phase {
            Phase::Propose => return,
            Phase::Prepare => &mut state.prepares,
            Phase::Commit => &mut state.commits,
            Phase::ViewChange => &mut state.view_changes,
        };
        if votes.contains_key(&voter) {
            return;
        }
        votes.insert(voter, vote.clone());
        self.remember_latest(vote);
        if ballot.view == self.view {
            self.arm();
        }
        if let Some(certificate) = self.form(&ballot) {
            self.adopt(certificate);
        }
        if ballot.phase == Phase::ViewChange {
            self.follow_view_changes(ballot.view, voter);
        }
    }

    fn remember_latest(&mut self, vote: Vote) {
        if let Some(slot) = self.latest.get_mut(vote.voter.position())
            && slot.as_ref().is_none_or(|known| known.ballot.mark() < vote.ballot.mark())
        {
            *slot = Some(vote);
        }
    }

    /// SPEC rule C: the certificate that a ballot's votes make, if they are a quorum and it is new.
    pub(super) fn form(&self, ballot: &Ballot) -> Option<Certificate> {
        let state = self.views.get(&ballot.view)?;
        let known = match ballot.phase {
            Phase::Prepare | Phase::Propose => state.prepared.is_some(),
            Phase::Commit => state.committed.is_some(),
            Phase::ViewChange => state.skipped.is_some(),
        };
        let same = |vote: &&Vote| ballot.phase == Phase::ViewChange || vote.ballot.block == ballot.block;
        let votes = Self::votes_of(state, ballot.phase).values().filter(same);
        let weight = self.config.set.weigh(votes.clone().map(|vote| vote.voter));
        #[cfg(test)]
        let weight = weight + state.repeated.get(ballot).copied().unwrap_or_default();
        (!known && self.config.set.is_quorum(weight)).then(|| Certificate::form(&self.config.set, *ballot, votes))
    }

    /// SPEC rule T: Commit for a prepared block that we hold, unless we gave the view up or signed beyond it.
    pub(super) fn try_commit(&mut self, view: View) {
        let Some(certificate) = self.views.get(&view).and_then(|state| state.prepared.as_ref()) else { return };
        let block = certificate.block;
        let held = self.held(view).is_some_and(|proposal| proposal.block.hash == block);
        if held && self.may_sign(Phase::Commit, view) {
            self.sign(Ballot { epoch: self.config.set.epoch(), view, phase: Phase::Commit, block });
        }
    }

    /// SPEC rules E, E4: looks for a contradiction with what the voter signed before in this view, in votes or in
    /// certificates.
    fn accuse_contradiction(&mut self, vote: &Vote) {
        let ballot = vote.ballot;
        let signed = Signed { phase: ballot.phase, block: ballot.block, signature: vote.signature };
        self.accuse_signed(ballot.view, vote.voter, signed);
    }

    /// SPEC rule E4: the signatures of a verified certificate accuse like votes.
    pub(super) fn accuse_signers(&mut self, certificate: &Certificate) {
        for (signer, signed) in certificate.signed() {
            self.accuse_signed(certificate.view, signer, signed);
        }
    }

    fn accuse_signed(&mut self, view: View, signer: ValidatorIndex, signed: Signed) {
        let Some(state) = self.views.get(&view) else { return };
        let epoch = self.config.set.epoch();
        let votes = [&state.prepares, &state.commits, &state.view_changes];
        let as_signed = |v: &Vote| Signed { phase: v.ballot.phase, block: v.ballot.block, signature: v.signature };
        let in_votes = votes.into_iter().filter_map(|votes| votes.get(&signer)).map(as_signed);
        let certificates = [&state.prepared, &state.committed, &state.skipped];
        let in_certificates =
            certificates.into_iter().flatten().filter_map(|certificate| certificate.signed_by(signer));
        let found =
            in_votes.chain(in_certificates).find_map(|earlier| Evidence::of(epoch, view, signer, earlier, signed));
        if let Some(evidence) = found {
            self.accuse(evidence);
        }
    }

    /// SPEC rule E: reports and spreads an offence, once.
    pub(super) fn accuse(&mut self, evidence: Evidence) {
        if self.accused.insert((evidence.view(), evidence.validator())) {
            self.out.push(Output::Evidence(evidence));
            self.out.push(Output::Broadcast(Message::Evidence(evidence)));
        }
    }

    /// SPEC rule E: another's accusation is checked like our own, within the window of views that bounds memory.
    pub(super) fn on_evidence(&mut self, evidence: Evidence) {
        let known = self.accused.contains(&(evidence.view(), evidence.validator()));
        let current: Epoch = self.config.set.epoch();
        if evidence.epoch() == current
            && !known
            && evidence.view().plus(VIEWS_BEHIND) >= self.view
            && evidence.view() <= self.view.plus(VIEWS_AHEAD)
            && evidence.verify(&self.config.set, &self.config.genesis)
        {
            self.accuse(evidence);
        }
    }
}

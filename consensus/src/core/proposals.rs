//! Blocks: building them as leader (SPEC rule B), receiving, justifying and validating them (SPEC rule P).

use std::sync::Arc;

use super::{Build, Core, Divergence, MAX_UNFINAL_BLOCKS, Output, Progress, ViewState};
use crate::{
    Ballot, BlockInfo, Certificate, Evidence, Hash, MAX_CARRIED, Message, Named, Phase, Proposal, Record, Signature,
    Signed, ValidatorIndex, View,
};

/// A block to build on, with its certificate.
struct Parent {
    info: BlockInfo,
    certificate: Option<Certificate>,
}

impl Core {
    pub(super) fn leads(&self, view: View) -> bool {
        self.config.set.leader(view) == self.config.me
    }

    /// The hash of the block that the leader of the current view would build on.
    pub(super) fn probable_parent(&self) -> Hash {
        self.parent_for(self.view).map_or(self.root.hash, |parent| parent.info.hash)
    }

    /// SPEC rule B: the highest prepared block that we hold, such that every view between was skipped.
    /// `Err` names a view of whose outcome we know too little.
    fn parent_for(&self, view: View) -> Result<Parent, View> {
        let mut at = view.previous();
        while at > self.root.view {
            let state = self.views.get(&at);
            let prepared = state.and_then(|s| s.prepared.as_ref().or(s.committed.as_ref()));
            match (prepared, self.held(at)) {
                (Some(certificate), Some(proposal)) if proposal.block.hash == certificate.block => {
                    return Ok(Parent { info: proposal.block, certificate: Some(certificate.clone()) });
                }
                _ if state.is_some_and(|s| s.skipped.is_some()) => at = at.previous(),
                _ => return Err(at),
            }
        }
        Ok(Parent { info: self.root, certificate: self.root_certificate.clone() })
    }

    /// SPEC rule B: asks the application for a block, once a view, when we lead and there is work.
    pub(super) fn try_build(&mut self, needed: bool) {
        let view = self.view;
        if self.building || !self.leads(view) || !self.may_sign(Phase::Propose, view) {
            return;
        }
        match self.parent_for(view) {
            Err(unknown) => self.fetch_from_anyone(unknown),
            Ok(parent) => {
                self.building = true;
                let unfinal = parent.info.height.0.saturating_sub(self.root.height.0);
                self.out.push(Output::Build(Build {
                    view,
                    epoch: self.config.set.epoch(),
                    parent: parent.info.hash,
                    parent_certificate: parent.certificate.as_ref().map_or(Hash::ZERO, Certificate::hash),
                    needed,
                    empty: unfinal >= MAX_UNFINAL_BLOCKS,
                }));
            }
        }
    }

    /// SPEC rule B: our block is there; it is ours to sign, and valid because we built it.
    pub(super) fn on_built(&mut self, view: View, block: BlockInfo, payload: Arc<[u8]>, header: Arc<[u8]>) {
        if view != self.view || !self.building || !self.may_sign(Phase::Propose, view) {
            return;
        }
        let Ok(parent) = self.parent_for(view) else { return };
        let certificate_hash = parent.certificate.as_ref().map_or(Hash::ZERO, Certificate::hash);
        if block.parent != parent.info.hash || block.parent_certificate != certificate_hash || block.view != view {
            // A better parent came up meanwhile: build anew.
            self.building = false;
            return self.try_build(true);
        }
        let skipped = self.skips_between(parent.info.view, view);
        let signature = Signature([0; 64]);
        let proposal = Proposal { block, payload, header, parent: parent.certificate, skipped, signature };
        let ballot = proposal.ballot();
        self.state(view).own = Some(proposal);
        self.sign(ballot);
    }

    /// The latest view-change certificates between two views, ascending, at most [`MAX_CARRIED`].
    fn skips_between(&self, parent: View, view: View) -> Vec<Certificate> {
        let between = self.views.range(parent.next()..view).rev();
        let mut skipped: Vec<Certificate> =
            between.filter_map(|(_, state)| state.skipped.clone()).take(MAX_CARRIED).collect();
        skipped.reverse();
        skipped
    }

    /// Our proposal is signed: logged, sent, and prepared by ourselves (SPEC rules B, P).
    pub(super) fn publish_own(&mut self, ballot: Ballot, signature: Signature) {
        let Some(mut proposal) = self.state(ballot.view).own.take() else { return };
        if proposal.ballot() != ballot {
            return;
        }
        proposal.signature = signature;
        let state = self.state(ballot.view);
        state.proposed = Some((ballot.block, signature));
        state.proposal = Some((proposal.clone(), Progress::Valid));
        self.out.push(Output::Persist(Record::Proposal(proposal.clone())));
        self.out.push(Output::Broadcast(Message::Propose(proposal)));
        self.try_prepare(ballot.view);
    }

    /// SPEC rule P: a proposal comes in. It is kept when its leader signed it and it is the first of its view,
    /// or the one that a certificate names.
    pub(super) fn on_proposal(&mut self, from: ValidatorIndex, proposal: Proposal) {
        let (view, block) = (proposal.block.view, proposal.block);
        let sound = block.epoch == self.config.set.epoch() && self.in_window(view);
        if !sound || !carries_what_it_says(&proposal) || !proposal.verify(&self.config.set, &self.config.genesis) {
            return;
        }
        self.heard(self.config.set.leader(view), view);
        self.adopt_justification(&proposal);
        if !self.in_window(view) {
            return;
        }
        self.accuse_second_proposal(&proposal);
        let state = self.state(view);
        let wanted = state.prepared.as_ref().or(state.committed.as_ref()).map(|c| c.block);
        let keep = match (&state.proposal, wanted) {
            (Some((known, _)), _) if known.block.hash == block.hash => false,
            (_, Some(wanted)) => wanted == block.hash,
            (known, None) => known.is_none(),
        };
        if keep {
            state.proposal = Some((proposal, Progress::Waiting));
        }
        if view == self.view {
            self.arm();
        }
        self.try_validate(view, Some(from));
    }

    /// The certificates in a proposal count like any others (SPEC rule C); a later one moves us at once.
    fn adopt_justification(&mut self, proposal: &Proposal) {
        for certificate in proposal.skipped.iter().chain(&proposal.parent) {
            self.on_certificate(certificate.clone());
        }
    }

    fn accuse_second_proposal(&mut self, proposal: &Proposal) {
        let (view, block) = (proposal.block.view, proposal.block.hash);
        let leader = self.config.set.leader(view);
        let signed = |(block, signature)| Signed { phase: Phase::Propose, block, signature };
        match self.state(view).proposed {
            None => self.state(view).proposed = Some((block, proposal.signature)),
            Some(first) => {
                let second = signed((block, proposal.signature));
                let epoch = self.config.set.epoch();
                if let Some(evidence) = Evidence::of(epoch, view, leader, signed(first), second) {
                    self.accuse(evidence);
                }
            }
        }
    }

    /// SPEC rule P: hands the proposal of a view to the application once its parent is held and its justification
    /// complete; asks `from` for what is missing.
    pub(super) fn try_validate(&mut self, view: View, from: Option<ValidatorIndex>) {
        let Some(ViewState { proposal: Some((proposal, Progress::Waiting)), prepared, committed, .. }) =
            self.views.get(&view)
        else {
            return;
        };
        let decided = prepared.is_some() || committed.is_some();
        let parent_view = proposal.parent.as_ref().map_or(View(0), |c| c.view);
        let (parent, height) = (proposal.block.parent, proposal.block.height);
        let parent_info = match self.held(parent_view) {
            Some(held) if held.block.hash == parent => Some(held.block),
            _ => (self.root.hash == parent).then_some(self.root),
        };
        let missing = (parent_view.0 + 1..view.0)
            .map(View)
            .find(|v| *v > self.root.view && self.views.get(v).is_none_or(|state| state.skipped.is_none()));
        match (parent_info, missing) {
            (None, _) if parent_view > self.root.view => self.fetch(parent_view, from),
            // The parent is final with us, but another block of its height: rule 5 says that this cannot be final.
            (None, _) => {}
            (Some(_), Some(view)) if !decided => self.fetch(view, from),
            (Some(info), _) if height != info.height.next() => self.reject(view),
            (Some(_), _) => self.validate(view),
        }
    }

    fn validate(&mut self, view: View) {
        if let Some((proposal, progress)) = &mut self.state(view).proposal {
            *progress = Progress::Validating;
            let proposal = proposal.clone();
            self.out.push(Output::Validate(proposal));
        }
    }

    /// The application's verdict (SPEC rule P).
    pub(super) fn on_validated(&mut self, view: View, block: Hash, valid: bool) {
        let Some(ViewState { proposal: Some((proposal, progress)), .. }) = self.views.get_mut(&view) else { return };
        if proposal.block.hash != block || *progress != Progress::Validating {
            return;
        }
        if !valid {
            return self.reject(view);
        }
        *progress = Progress::Valid;
        let proposal = proposal.clone();
        self.out.push(Output::Persist(Record::Proposal(proposal)));
        self.try_prepare(view);
        self.try_commit(view);
        self.try_finalize();
        let waiting: Vec<View> = self.views.range(view.next()..).map(|(later, _)| *later).collect();
        for later in waiting {
            self.try_validate(later, None);
        }
        if self.armed {
            self.try_build(false);
        }
    }

    /// SPEC rule X: an invalid proposal ends the view at once; one that a quorum prepared ends this node.
    fn reject(&mut self, view: View) {
        let state = self.state(view);
        let Some((proposal, progress)) = &mut state.proposal else { return };
        *progress = Progress::Invalid;
        let block = proposal.block.hash;
        let decided = state.prepared.as_ref().or(state.committed.as_ref()).is_some_and(|c| c.block == block);
        if decided {
            self.out.push(Output::Diverged(Divergence::InvalidBlock { view, block }));
        } else {
            self.give_up(view);
        }
    }

    /// SPEC rule P: Prepare, once a view, for the valid proposal of the current view.
    pub(super) fn try_prepare(&mut self, view: View) {
        let Some(block) = self.held(view).map(|proposal| proposal.block.hash) else { return };
        if view == self.view && self.may_sign(Phase::Prepare, view) {
            self.sign(Ballot { epoch: self.config.set.epoch(), view, phase: Phase::Prepare, block });
        }
    }

    /// The proposal that a ViewChange of ours names: the one for which we sent Prepare.
    pub(super) fn named_by(&self, ballot: &Ballot) -> Option<Named> {
        if ballot.phase != Phase::ViewChange || ballot.block == Hash::ZERO {
            return None;
        }
        let proposal = self.held(ballot.view).filter(|proposal| proposal.block.hash == ballot.block)?;
        let header = proposal.header.to_vec();
        Some(Named { header, leader_signature: proposal.signature })
    }

    /// SPEC rule M: voting begins: the view begins for us.
    pub(super) fn resume(&mut self) {
        self.begin_view();
    }
}

/// SPEC rule P: the seal commits to the very certificate that is carried, and this is the parent's.
fn carries_what_it_says(proposal: &Proposal) -> bool {
    match &proposal.parent {
        None => proposal.block.parent_certificate == Hash::ZERO,
        Some(certificate) => {
            certificate.phase != Phase::ViewChange
                && certificate.block == proposal.block.parent
                && certificate.view < proposal.block.view
                && certificate.hash() == proposal.block.parent_certificate
        }
    }
}

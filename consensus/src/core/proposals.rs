//! Blocks: building them as leader (SPEC rule B), receiving, justifying and validating them (SPEC rule P).

use std::sync::Arc;

use super::{
    Build, Core, Divergence, MAX_UNFINAL_BLOCKS, MAX_WAITING_BYTES, Output, Progress, VIEWS_BEHIND, ViewState,
};
use crate::{
    Ballot, BlockInfo, Certificate, Evidence, Hash, MAX_CARRIED, MAX_PAYLOAD_BYTES, Message, Named, Phase, Proposal,
    Record, Signature, Signed, ValidatorIndex, View,
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

    /// SPEC rule B1: the highest prepared block that we hold, such that every view between was skipped.
    /// `Err` names a view of whose outcome we know too little.
    fn parent_for(&self, view: View) -> Result<Parent, View> {
        let mut at = view.previous();
        while at > self.root.view {
            let state = self.views.get(&at);
            match (state.and_then(ViewState::certified), self.held(at)) {
                (Some(certificate), Some(proposal)) if proposal.block.hash == certificate.block => {
                    return Ok(Parent { info: proposal.block, certificate: Some(certificate.clone()) });
                }
                _ if state.is_some_and(|s| s.skipped.is_some()) => at = at.previous(),
                _ => return Err(at),
            }
        }
        Ok(Parent { info: self.root, certificate: self.root_certificate.clone() })
    }

    /// SPEC rule B2: asks the application for a block when we lead and there is work; again only when another
    /// parent came up, or when the block is needed now.
    pub(super) fn try_build(&mut self, needed: bool) {
        let view = self.view;
        if !self.leads(view) || !self.may_sign(Phase::Propose, view) {
            return;
        }
        let parent = match self.parent_for(view) {
            Err(unknown) => return self.fetch_from_anyone(unknown),
            Ok(parent) => parent,
        };
        let unfinal = parent.info.height.0.saturating_sub(self.root.height.0);
        let build = Build {
            view,
            epoch: self.config.set.epoch(),
            parent: parent.info.hash,
            parent_certificate: certificate_hash(parent.certificate.as_ref()),
            needed: needed || self.building.as_ref().is_some_and(|earlier| earlier.needed),
            empty: unfinal >= MAX_UNFINAL_BLOCKS || self.unfinal_bytes() >= MAX_PAYLOAD_BYTES,
        };
        if self.building.as_ref() != Some(&build) {
            self.building = Some(build.clone());
            self.out.push(Output::Build(build));
        }
    }

    /// Bytes of the blocks that are held and not final. Block sync has to send a run of them in one piece.
    fn unfinal_bytes(&self) -> usize {
        let held = |state: &ViewState| match &state.proposal {
            Some((proposal, Progress::Valid)) => proposal.payload.len(),
            _ => 0,
        };
        self.views.values().map(held).sum()
    }

    /// SPEC rule B2: the application could not build; it is asked again when there is work.
    pub(super) fn on_not_built(&mut self, view: View) {
        if view == self.view {
            self.building = None;
        }
    }

    /// SPEC rule B3: our block is there; it is ours to sign, and valid because we built it.
    pub(super) fn on_built(&mut self, view: View, block: BlockInfo, payload: Arc<[u8]>, header: Arc<[u8]>) {
        if view != self.view || self.building.is_none() || !self.may_sign(Phase::Propose, view) {
            return;
        }
        let Ok(parent) = self.parent_for(view) else { return };
        let certificate = certificate_hash(parent.certificate.as_ref());
        if block.parent != parent.info.hash || block.parent_certificate != certificate || block.view != view {
            // A better parent came up meanwhile: build anew.
            self.building = None;
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

    /// SPEC rule B3: our proposal is signed: logged, sent, and prepared by ourselves.
    pub(super) fn publish_own(&mut self, ballot: Ballot, signature: Signature) {
        let Some(state) = self.views.get_mut(&ballot.view) else { return };
        let Some(mut proposal) = state.own.take().filter(|own| own.ballot() == ballot) else { return };
        proposal.signature = signature;
        state.proposed = Some((ballot.block, signature));
        state.proposal = Some((proposal.clone(), Progress::Valid));
        self.out.push(Output::Persist(Record::Proposal(proposal.clone())));
        self.out.push(Output::Broadcast(Message::Propose(proposal)));
        self.try_prepare(ballot.view);
    }

    /// The block that a certificate names for a view.
    pub(super) fn certified(&self, view: View) -> Option<Hash> {
        self.views.get(&view)?.certified().map(|certificate| certificate.block)
    }

    /// SPEC rule P2: blocks of the window are kept, and any that a certificate above the root names.
    fn wants(&self, view: View, block: Hash) -> bool {
        self.in_window(view) || (view > self.root.view && self.certified(view) == Some(block))
    }

    /// SPEC rules P1, P2: a proposal comes in. It is kept when its leader signed it and it is the first of its view,
    /// or the one that a certificate names. What can bring nothing new is not verified: a peer may send it without end.
    pub(super) fn on_proposal(&mut self, from: ValidatorIndex, proposal: Proposal) {
        let (view, block) = (proposal.block.view, proposal.block.hash);
        if proposal.block.epoch != self.config.set.epoch() {
            return;
        }
        if self.is_settled(view, block) {
            return self.hear_again(from, &proposal);
        }
        let near = self.wants(view, block);
        if !near && !self.looks_ahead(from, view) {
            return;
        }
        if !self.carries_what_it_says(&proposal) || !proposal.verify(&self.config.set, &self.config.genesis) {
            return;
        }
        self.heard(self.config.set.leader(view), self.view.min(view));
        if near {
            self.accuse_second_proposal(&proposal);
        }
        // The header commits to this certificate: it must hold even when we need it no more.
        if proposal.parent.as_ref().is_some_and(|parent| !self.holds(parent)) {
            return;
        }
        self.adopt_justification(&proposal);
        if self.wants(view, block) {
            self.keep_proposal(from, proposal);
        }
    }

    /// SPEC rule P2: whether a proposal of this block brings nothing more: one came before, whose hash commits to all that
    /// its leader answers for, or the leader is known to have contradicted itself in this view. A block that a certificate
    /// names is wanted until it is here.
    fn is_settled(&self, view: View, block: Hash) -> bool {
        if self.certified(view) == Some(block) && !self.has_proposal(view, block) {
            return false;
        }
        let first = self.views.get(&view).and_then(|state| state.proposed);
        let came = first.is_some_and(|(first, _)| first == block);
        came || self.accused.contains(&(view, self.config.set.leader(view)))
    }

    /// A block comes again: the leader lives, and what the block lacks may be asked of the sender.
    fn hear_again(&mut self, from: ValidatorIndex, proposal: &Proposal) {
        let (view, block) = (proposal.block.view, proposal.block.hash);
        let first = self.views.get(&view).and_then(|state| state.proposed);
        if first == Some((block, proposal.signature)) {
            self.heard(self.config.set.leader(view), self.view.min(view));
        }
        if self.wants(view, block) && self.has_proposal(view, block) {
            self.try_validate(view, Some(from));
        }
    }

    /// SPEC rule P2: of what is beyond the window only the certificates are of use, and one proposal of each sender in a
    /// round is enough to be led there.
    fn looks_ahead(&mut self, from: ValidatorIndex, view: View) -> bool {
        view > self.view && self.config.set.get(from).is_some() && self.ahead.insert(from)
    }

    fn keep_proposal(&mut self, from: ValidatorIndex, proposal: Proposal) {
        let (view, block) = (proposal.block.view, proposal.block.hash);
        self.accuse_second_proposal(&proposal);
        let wanted = self.certified(view);
        let state = self.state(view);
        let keep = match (&state.proposal, wanted) {
            (Some((known, _)), _) if known.block.hash == block => false,
            (_, Some(wanted)) => wanted == block,
            (known, None) => known.is_none(),
        };
        if keep {
            state.proposal = Some((proposal, Progress::Waiting));
        }
        if view == self.view {
            self.arm();
        }
        self.try_validate(view, Some(from));
        if !self.in_window(view) {
            self.forget_waiting();
        }
    }

    /// SPEC rule P2: of the blocks behind the window that wait for their parents, those next to the root are kept. A
    /// parent that comes is never above what waits for it, so there is always room for the next one. Blocks that were
    /// found valid stay.
    pub(super) fn forget_waiting(&mut self) {
        let oldest = View(self.view.0.saturating_sub(VIEWS_BEHIND));
        let mut bytes = 0usize;
        for (_, state) in self.views.range_mut(..oldest) {
            let Some((proposal, Progress::Waiting)) = &state.proposal else { continue };
            bytes = bytes.saturating_add(proposal.bytes());
            if bytes > MAX_WAITING_BYTES {
                state.proposal = None;
            }
        }
    }

    /// SPEC rule P1: the seal commits to the very certificate that is carried, and this is the parent's. Only
    /// genesis has none.
    fn carries_what_it_says(&self, proposal: &Proposal) -> bool {
        match &proposal.parent {
            None => proposal.block.parent_certificate == Hash::ZERO && proposal.block.parent == self.config.genesis,
            Some(certificate) => {
                certificate.phase != Phase::ViewChange
                    && certificate.block == proposal.block.parent
                    && certificate.view < proposal.block.view
                    && certificate.hash() == proposal.block.parent_certificate
            }
        }
    }

    /// SPEC rule P1: a parent's certificate that we have, or that verifies.
    fn holds(&self, certificate: &Certificate) -> bool {
        self.root_certificate.as_ref() == Some(certificate) || self.verify(certificate)
    }

    /// The certificates in a proposal count like any others (SPEC rule C); a later one moves us at once. After the first
    /// that is refused no further one is looked at, but the parent's, which holds.
    fn adopt_justification(&mut self, proposal: &Proposal) {
        for certificate in &proposal.skipped {
            if !self.on_certificate(certificate.clone()) {
                break;
            }
        }
        if let Some(parent) = &proposal.parent {
            self.on_verified(parent.clone());
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

    /// SPEC rules P3, P4: hands the proposal of a view to the application once its parent is held and its
    /// justification complete; asks `from` for what is missing.
    pub(super) fn try_validate(&mut self, view: View, from: Option<ValidatorIndex>) {
        let Some(state) = self.views.get(&view) else { return };
        let Some((proposal, Progress::Waiting | Progress::Restored)) = &state.proposal else { return };
        let decided = state.certified().is_some();
        let parent_view = proposal.parent.as_ref().map_or(View(0), |c| c.view);
        let (parent, height) = (proposal.block.parent, proposal.block.height);
        let parent_info = match self.held(parent_view) {
            Some(held) if held.block.hash == parent => Some(held.block),
            _ => (self.root.hash == parent).then_some(self.root),
        };
        let Some(info) = parent_info else {
            return match parent_view > self.root.view {
                true if self.has_proposal(parent_view, parent) => {}
                true => self.fetch(parent_view, from),
                // A certified one is no fault of ours: the root may be final by a descendant only, and this a dead
                // branch beside it. Rule F3 finds real forks.
                false if decided => {}
                // Nothing else that does not extend the last final block can be justified any more. It is no verdict on
                // the block.
                false => {
                    self.state(view).proposal = None;
                    self.give_up(view);
                }
            };
        };
        let missing = (parent_view.max(self.root.view).next().0..view.0)
            .map(View)
            .find(|between| self.views.get(between).is_none_or(|state| state.skipped.is_none()));
        match missing {
            Some(between) if !decided => self.fetch(between, from),
            _ if height != info.height.next() => self.reject(view),
            _ => self.validate(view),
        }
    }

    /// Whether a block came in, valid or not yet.
    pub(super) fn has_proposal(&self, view: View, block: Hash) -> bool {
        let state = self.views.get(&view);
        state.and_then(|state| state.proposal.as_ref()).is_some_and(|(proposal, _)| proposal.block.hash == block)
    }

    /// SPEC rule P5: asks again for verdicts on certified blocks that never came.
    pub(super) fn validate_again(&mut self) {
        let stuck = |state: &ViewState| {
            state.certified().is_some() && matches!(state.proposal, Some((_, Progress::Validating)))
        };
        let views: Vec<View> = self.views.iter().filter(|(_, state)| stuck(state)).map(|(view, _)| *view).collect();
        for view in views {
            self.validate(view);
        }
    }

    fn validate(&mut self, view: View) {
        if let Some((proposal, progress)) = &mut self.state(view).proposal {
            *progress = Progress::Validating;
            let proposal = proposal.clone();
            let certified = self.certified(view) == Some(proposal.block.hash);
            self.out.push(Output::Validate(proposal, certified));
        }
    }

    /// SPEC rule P5: the application's verdict.
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
        if self.certified(view) == Some(block) {
            self.out.push(Output::Diverged(Divergence::InvalidBlock { view, block }));
        } else {
            self.give_up(view);
        }
    }

    /// SPEC rule P2: a certificate says which block is this view's. Another one, from a leader that sent more than
    /// one, makes room for it; the same one, found invalid before, ends this node.
    pub(super) fn settle_proposal(&mut self, view: View, block: Hash) {
        #[cfg(test)]
        if crate::planted::is(crate::planted::Bug::CertificateOfAnotherBlock) {
            return;
        }
        let state = self.state(view);
        match &state.proposal {
            Some((proposal, _)) if proposal.block.hash != block => state.proposal = None,
            Some((_, Progress::Invalid)) => {
                self.out.push(Output::Diverged(Divergence::InvalidBlock { view, block }));
            }
            _ => {}
        }
    }

    /// SPEC rule P6: Prepare, once a view, for the valid proposal of the current view.
    pub(super) fn try_prepare(&mut self, view: View) {
        let Some(block) = self.held(view).map(|proposal| proposal.block.hash) else { return };
        if view == self.view && self.may_sign(Phase::Prepare, view) {
            self.sign(Ballot { epoch: self.config.set.epoch(), view, phase: Phase::Prepare, block });
        }
    }

    /// SPEC rule X1: what a ViewChange says of a block that it names. After a restart the block may not be validated
    /// anew yet; it was when we sent Prepare.
    pub(super) fn named(&self, view: View, block: Hash) -> Option<Named> {
        let (proposal, _) = self.views.get(&view)?.proposal.as_ref()?;
        let named = Named { header: proposal.header.to_vec(), leader_signature: proposal.signature };
        (proposal.block.hash == block).then_some(named)
    }
}

/// What the seal says of the parent's certificate.
fn certificate_hash(certificate: Option<&Certificate>) -> Hash {
    certificate.map_or(Hash::ZERO, Certificate::hash)
}

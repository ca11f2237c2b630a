//! Certificates, and the way through the views (SPEC rules C, N, K).

use super::{Core, Output, VIEWS_BEHIND};
use crate::{Ballot, Certificate, Hash, Phase, Record, Signature, ValidatorIndex, View};

impl Core {
    /// Verifies a certificate; signatures that were verified as votes are not verified again.
    pub(super) fn verify(&self, certificate: &Certificate) -> bool {
        let known = |signer: ValidatorIndex, ballot: &Ballot, signature: &Signature| {
            let Some(state) = self.views.get(&ballot.view) else { return false };
            let votes = match ballot.phase {
                Phase::Prepare | Phase::Propose => &state.prepares,
                Phase::Commit => &state.commits,
                Phase::ViewChange => &state.view_changes,
            };
            votes.get(&signer).is_some_and(|vote| vote.ballot == *ballot && vote.signature == *signature)
        };
        certificate.verify_unknown(&self.config.set, &self.config.genesis, known).is_ok()
    }

    fn is_news(&self, certificate: &Certificate) -> bool {
        if certificate.view <= self.root.view {
            return false;
        }
        self.views.get(&certificate.view).is_none_or(|state| match certificate.phase {
            Phase::Prepare | Phase::Propose => state.prepared.is_none(),
            Phase::Commit => state.committed.is_none(),
            Phase::ViewChange => state.skipped.is_none(),
        })
    }

    /// SPEC rule C: a certificate comes in; refused whole unless all of it verifies.
    pub(super) fn on_certificate(&mut self, certificate: Certificate) {
        if self.is_news(&certificate) && self.verify(&certificate) {
            self.recognise_signature(&certificate);
            self.adopt(certificate);
        }
    }

    /// SPEC rules T, F1, N: acts on a verified certificate that is new.
    pub(super) fn adopt(&mut self, certificate: Certificate) {
        let view = certificate.view;
        self.out.push(Output::Persist(Record::Certificate(certificate.clone())));
        for signer in certificate.signers() {
            self.heard(signer, view);
        }
        let state = self.state(view);
        match certificate.phase {
            Phase::Prepare | Phase::Propose => state.prepared = Some(certificate.clone()),
            Phase::Commit => state.committed = Some(certificate.clone()),
            Phase::ViewChange => state.skipped = Some(certificate.clone()),
        }
        if certificate.phase != Phase::ViewChange {
            self.drop_other_proposal(view, certificate.block);
            self.try_commit(view);
        }
        self.end_abstention(&certificate);
        self.enter(certificate);
        self.try_finalize();
        self.retry_validations();
        if self.armed {
            self.try_build(false);
        }
    }

    /// The leader sent more than one proposal, and the quorum took another than we.
    fn drop_other_proposal(&mut self, view: View, block: Hash) {
        let state = self.state(view);
        if state.proposal.as_ref().is_some_and(|(proposal, _)| proposal.block.hash != block) {
            state.proposal = None;
        }
    }

    fn retry_validations(&mut self) {
        let waiting: Vec<View> = self.views.keys().copied().collect();
        for view in waiting {
            self.try_validate(view, None);
        }
    }

    /// SPEC rules N, K: a certificate for this view or a later one leads into the view after it.
    pub(super) fn enter(&mut self, certificate: Certificate) {
        let next = certificate.view.next();
        if next <= self.view {
            return;
        }
        self.view = next;
        self.entry = Some(certificate);
        self.forget_old_votes();
        self.begin_view();
    }

    /// Votes far behind can no longer matter; their certificates are kept.
    fn forget_old_votes(&mut self) {
        let oldest = View(self.view.0.saturating_sub(VIEWS_BEHIND));
        for (_, state) in self.views.range_mut(..oldest) {
            state.prepares.clear();
            state.commits.clear();
            state.view_changes.clear();
        }
        self.accused = self.accused.split_off(&(oldest, ValidatorIndex(0)));
    }
}

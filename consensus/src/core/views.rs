//! Certificates, and the way through the views (SPEC rules C, N, K).

use super::{Core, Output, VIEWS_BEHIND};
use crate::{Ballot, Certificate, Phase, Record, Signature, ValidatorIndex, View};

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

    /// SPEC rule C: a certificate comes in; refused whole unless all of it verifies. False: it was refused. One that says
    /// nothing new is not looked at.
    pub(super) fn on_certificate(&mut self, certificate: Certificate) -> bool {
        let says_something = self.is_news(&certificate) || self.is_rival(&certificate);
        if says_something && !self.verify(&certificate) {
            return false;
        }
        self.on_verified(certificate);
        true
    }

    /// A certificate of which all verifies, or that says nothing new.
    pub(super) fn on_verified(&mut self, certificate: Certificate) {
        let news = self.is_news(&certificate);
        if news || self.is_rival(&certificate) {
            self.accuse_signers(&certificate);
        }
        if news {
            self.recognise_signature(&certificate);
            self.adopt(certificate);
        }
    }

    /// SPEC rule E4: a certificate for another block than the one that we have for its view and phase. Only a third of
    /// the weight that signed both can make one; it proves who they are.
    fn is_rival(&self, certificate: &Certificate) -> bool {
        let known = self.views.get(&certificate.view).and_then(|state| match certificate.phase {
            Phase::Prepare | Phase::Propose => state.prepared.as_ref(),
            Phase::Commit => state.committed.as_ref(),
            Phase::ViewChange => None,
        });
        known.is_some_and(|known| known.block != certificate.block)
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
            self.settle_proposal(view, certificate.block);
            self.try_commit(view);
        }
        let votes_again = self.end_abstention(&certificate);
        if !self.enter(certificate) && votes_again {
            self.begin_view();
        }
        self.try_finalize();
        self.retry_validations();
        self.fetch_on(view);
        if self.armed {
            self.try_build(false);
        }
    }

    pub(super) fn retry_validations(&mut self) {
        let waiting: Vec<View> = self.views.keys().copied().collect();
        for view in waiting {
            self.try_validate(view, None);
        }
    }

    /// SPEC rules N1, K1: a certificate for this view or a later one leads into the view after it.
    pub(super) fn enter(&mut self, certificate: Certificate) -> bool {
        let next = certificate.view.next();
        if next <= self.view {
            return false;
        }
        // SPEC rule X4: silence is counted in views that we witnessed.
        let jumped = next.0.saturating_sub(self.view.next().0);
        for heard in &mut self.heard {
            *heard = heard.plus(jumped).min(next);
        }
        self.view = next;
        self.entry = Some(certificate);
        self.forget_old_views();
        self.begin_view();
        true
    }

    /// Votes far behind can no longer matter, nor can blocks that no certificate names; certificates are kept.
    fn forget_old_views(&mut self) {
        let oldest = View(self.view.0.saturating_sub(VIEWS_BEHIND));
        for (_, state) in self.views.range_mut(..oldest) {
            state.prepares.clear();
            state.commits.clear();
            state.view_changes.clear();
            state.own = None;
            if state.certified().is_none() {
                state.proposal = None;
            }
        }
        self.forget_waiting();
        self.accused = self.accused.split_off(&(oldest, ValidatorIndex(0)));
    }
}

//! What becomes final (SPEC rule F), by our own certificates or by block sync.

use super::{Core, Divergence, Output};
use crate::{BlockInfo, Certificate, Phase, Record, View};

impl Core {
    /// SPEC rule F1: the highest committed block that we hold with all its ancestors is final, and they are.
    pub(super) fn try_finalize(&mut self) {
        let committed: Vec<(View, Certificate)> = self
            .views
            .iter()
            .rev()
            .filter_map(|(view, state)| state.committed.clone().map(|certificate| (*view, certificate)))
            .collect();
        for (view, certificate) in committed {
            match self.branch(view, &certificate) {
                Ok(Some(blocks)) => return self.make_final(blocks),
                Ok(None) => {}
                Err(divergence) => return self.out.push(Output::Diverged(divergence)),
            }
        }
    }

    /// The blocks from the root (without it) to the committed one, oldest first; none while one is missing.
    fn branch(
        &self,
        view: View,
        certificate: &Certificate,
    ) -> Result<Option<Vec<(BlockInfo, Certificate)>>, Divergence> {
        let mut blocks = Vec::new();
        let mut at = view;
        let mut best = certificate.clone();
        loop {
            let Some(proposal) = self.held(at) else { return Ok(None) };
            let names = proposal.block.hash == best.block;
            #[cfg(test)]
            let names = names || crate::planted::is(crate::planted::Bug::CertificateOfAnotherBlock);
            if !names {
                return Ok(None);
            }
            blocks.push((proposal.block, best));
            if proposal.block.parent == self.root.hash {
                blocks.reverse();
                return Ok(Some(blocks));
            }
            let Some(parent) = proposal.parent.clone().filter(|parent| parent.view > self.root.view) else {
                let (block, root) = (certificate.block, self.root.hash);
                return Err(Divergence::Fork { view, block, root });
            };
            at = parent.view;
            let own = self.views.get(&at).and_then(|state| state.committed.clone());
            best = own.unwrap_or(parent);
        }
    }

    fn make_final(&mut self, blocks: Vec<(BlockInfo, Certificate)>) {
        let Some((block, certificate)) = blocks.last().cloned() else { return };
        self.out.push(Output::Final(blocks));
        self.set_root(block, certificate);
        self.look_again();
    }

    fn set_root(&mut self, block: BlockInfo, certificate: Certificate) {
        let prepared = self.views.get(&block.view).and_then(|state| state.prepared.clone());
        self.root = block;
        self.root_commit = Some(certificate.clone()).filter(|certificate| certificate.phase == Phase::Commit);
        self.root_certificate = Some(prepared.unwrap_or(certificate));
        self.views = self.views.split_off(&block.view.next());
    }

    /// SPEC rule F2: final by sync, which verified that it is. What leads into a view in which we may sign is in the
    /// log, like any certificate (rule D1).
    pub(super) fn on_synced(&mut self, block: BlockInfo, certificate: Certificate) {
        if block.height <= self.root.height {
            return;
        }
        for signer in certificate.signers() {
            self.heard(signer, certificate.view);
        }
        self.recognise_signature(&certificate);
        self.set_root(block, certificate.clone());
        if certificate.view >= self.view {
            self.out.push(Output::Persist(Record::Certificate(certificate.clone())));
        }
        let votes_again = self.end_abstention(&certificate);
        if !self.enter(certificate) {
            if votes_again {
                self.begin_view();
            } else {
                self.look_again();
            }
        }
        self.try_finalize();
        self.retry_validations();
        if self.armed {
            self.try_build(false);
        }
    }
}

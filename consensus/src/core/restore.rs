//! Standing again where the log ends (SPEC rule D).

use super::{Core, Progress};
use crate::{Certificate, Phase, Record};

impl Core {
    /// SPEC rule D: a record of the log. Its signatures were checked before it was written, and the log has checksums.
    pub(super) fn restore(&mut self, record: Record) {
        match record {
            Record::Vote(vote) => {
                self.memory.remember(&vote.ballot);
                if vote.ballot.view > self.root.view {
                    let state = self.state(vote.ballot.view);
                    match vote.ballot.phase {
                        Phase::Propose => {}
                        Phase::Prepare => drop(state.prepares.insert(vote.voter, vote)),
                        Phase::Commit => drop(state.commits.insert(vote.voter, vote)),
                        Phase::ViewChange => drop(state.view_changes.insert(vote.voter, vote)),
                    }
                }
            }
            Record::Proposal(proposal) => {
                if self.leads(proposal.block.view) {
                    self.memory.remember(&proposal.ballot());
                }
                if proposal.block.view > self.root.view {
                    let state = self.state(proposal.block.view);
                    state.proposed = Some((proposal.block.hash, proposal.signature));
                    state.proposal = Some((proposal, Progress::Waiting));
                }
            }
            Record::Certificate(certificate) => self.restore_certificate(certificate),
        }
    }

    fn restore_certificate(&mut self, certificate: Certificate) {
        if certificate.view > self.root.view {
            let state = self.state(certificate.view);
            match certificate.phase {
                Phase::Prepare | Phase::Propose => state.prepared = Some(certificate.clone()),
                Phase::Commit => state.committed = Some(certificate.clone()),
                Phase::ViewChange => state.skipped = Some(certificate.clone()),
            }
        }
        if certificate.view >= self.view {
            self.view = certificate.view.next();
            self.entry = Some(certificate);
        }
    }
}

//! Standing again where the log ends (SPEC rule D).

use super::{Core, Progress};
use crate::{Certificate, Hash, Named, Phase, Record, Vote};

impl Core {
    /// SPEC rule D3: a record of the log. Its signatures were checked before it was written, and the log has checksums.
    pub(super) fn restore(&mut self, record: Record) {
        match record {
            Record::Vote(vote) => self.restore_vote(vote),
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

    /// A vote of ours. A ViewChange that comes from the signer's file has lost the header that it names; the block
    /// for which we sent Prepare is in the log before it.
    fn restore_vote(&mut self, mut vote: Vote) {
        let ballot = vote.ballot;
        self.memory.remember(&ballot);
        if ballot.view <= self.root.view {
            return;
        }
        let state = self.state(ballot.view);
        if ballot.phase == Phase::ViewChange && ballot.block != Hash::ZERO && vote.named.is_none() {
            let proposal = state.proposal.as_ref().map(|(proposal, _)| proposal);
            let Some(proposal) = proposal.filter(|proposal| proposal.block.hash == ballot.block) else { return };
            vote.named = Some(Named { header: proposal.header.to_vec(), leader_signature: proposal.signature });
        }
        match ballot.phase {
            Phase::Propose => {}
            Phase::Prepare => drop(state.prepares.insert(vote.voter, vote)),
            Phase::Commit => drop(state.commits.insert(vote.voter, vote)),
            Phase::ViewChange => drop(state.view_changes.insert(vote.voter, vote)),
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
            if certificate.phase != Phase::ViewChange {
                self.settle_proposal(certificate.view, certificate.block);
            }
        }
        if certificate.view >= self.view {
            self.view = certificate.view.next();
            self.entry = Some(certificate);
        }
    }
}

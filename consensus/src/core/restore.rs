//! Standing again where the log ends (SPEC rule D).

use super::{Core, Progress};
use crate::{Certificate, Hash, Phase, Record, Vote};

impl Core {
    /// SPEC rule D3: a record of the log. Its signatures were checked before it was written, and the log has checksums.
    pub(super) fn restore(&mut self, record: Record) {
        match record {
            Record::Vote(vote) => self.restore_vote(vote),
            Record::Proposal(proposal) => {
                if self.leads(proposal.block.view) {
                    self.memory.remember(&proposal.ballot());
                }
                let (view, block) = (proposal.block.view, proposal.block.hash);
                if view > self.root.view && self.certified(view).is_none_or(|certified| certified == block) {
                    let state = self.state(view);
                    state.proposed = Some((block, proposal.signature));
                    state.proposal = Some((proposal, Progress::Restored));
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
        if ballot.phase == Phase::ViewChange && ballot.block != Hash::ZERO && vote.named.is_none() {
            vote.named = self.named(ballot.view, ballot.block);
            if vote.named.is_none() {
                return;
            }
        }
        let state = self.state(ballot.view);
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

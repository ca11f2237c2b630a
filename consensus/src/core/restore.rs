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

    /// A vote of ours. Only the signer's file may have a Prepare whose block the log does not have: power was lost while
    /// both were synced, and the vote has not left the node. It is not said any more: a quorum of such votes would be a
    /// certificate for a block that nobody holds. A ViewChange is in the log before it is in the signer's file (rule D1);
    /// from there it comes without the header that it names, which is in the log with the block.
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
        if ballot.phase == Phase::Prepare && !self.has_proposal(ballot.view, ballot.block) {
            return;
        }
        let state = self.state(ballot.view);
        match ballot.phase {
            Phase::Propose => {}
            Phase::Prepare => drop(state.prepares.insert(vote.voter, vote)),
            Phase::Commit => drop(state.commits.insert(vote.voter, vote)),
            Phase::ViewChange => drop(state.view_changes.insert(vote.voter, vote)),
        }
    }

    /// SPEC rule C3: own votes may be a quorum alone, and the crash came before the certificate of them was logged. No
    /// vote of others comes that would make it.
    pub(super) fn form_restored(&mut self) {
        let me = self.config.me;
        let mut own = Vec::new();
        for state in self.views.values() {
            let votes = [&state.prepares, &state.commits, &state.view_changes];
            own.extend(votes.into_iter().filter_map(|votes| votes.get(&me)).map(|vote| vote.ballot));
        }
        for ballot in own {
            if let Some(certificate) = self.form(&ballot) {
                self.adopt(certificate);
            }
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

//! What a Byzantine validator remembers of what it heard and said, within bounds.

use std::collections::{BTreeMap, VecDeque};

use super::Puppet;
use crate::{Ballot, Certificate, Hash, Message, Phase, Proposal, ValidatorIndex, ValidatorSet, View, Vote};

/// Most proposals and certificates that are kept of each sort.
const FEW: usize = 32;

/// Most votes that are kept.
const MANY: usize = 256;

/// The latest of what was seen, oldest first.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Blocks.
    pub(super) proposals: VecDeque<Proposal>,
    /// Prepare and commit certificates.
    pub(super) certificates: VecDeque<Certificate>,
    /// View-change certificates.
    pub(super) skipped: VecDeque<Certificate>,
    /// Votes.
    pub(super) votes: VecDeque<Vote>,
}

/// Adds one; the oldest makes room.
fn keep<T>(list: &mut VecDeque<T>, item: T, most: usize) {
    if list.len() >= most {
        list.pop_front();
    }
    list.push_back(item);
}

impl Seen {
    /// Remembers what is in a message.
    pub(super) fn note(&mut self, message: &Message) {
        match message {
            Message::Propose(proposal) => {
                proposal.skipped.iter().chain(&proposal.parent).for_each(|certificate| self.certificate(certificate));
                if self.proposals.iter().all(|known| known.block.hash != proposal.block.hash) {
                    keep(&mut self.proposals, proposal.clone(), FEW);
                }
            }
            Message::Vote(vote) if !self.votes.contains(vote) => keep(&mut self.votes, vote.clone(), MANY),
            Message::Certificate(certificate) => self.certificate(certificate),
            Message::Status(status) => status.entry.iter().for_each(|certificate| self.certificate(certificate)),
            Message::Vote(_) | Message::Fetch(_) | Message::Evidence(_) => {}
        }
    }

    /// Remembers the first certificate of a view and phase.
    fn certificate(&mut self, certificate: &Certificate) {
        let list = if certificate.phase == Phase::ViewChange { &mut self.skipped } else { &mut self.certificates };
        let same = |known: &Certificate| known.view == certificate.view && known.phase == certificate.phase;
        if !list.iter().any(same) {
            keep(list, certificate.clone(), FEW);
        }
    }

    /// The block of a view that came first.
    pub(super) fn proposal(&self, view: View) -> Option<&Proposal> {
        self.proposals.iter().find(|proposal| proposal.block.view == view)
    }

    /// Another block of the view than this one.
    pub(super) fn other_block(&self, view: View, block: Hash) -> Option<Hash> {
        let mut blocks = self.proposals.iter().map(|proposal| proposal.block);
        blocks.find(|info| info.view == view && info.hash != block).map(|info| info.hash)
    }

    /// The votes for a ballot, one for each voter, in validator order. For a ViewChange, whatever block they name.
    pub(super) fn tally(&self, set: &ValidatorSet, ballot: &Ballot) -> Vec<Vote> {
        let same = |vote: &&Vote| {
            let of = vote.ballot;
            let block = ballot.phase == Phase::ViewChange || of.block == ballot.block;
            // Some were garbled on their way.
            let member = set.get(vote.voter).is_some();
            member && block && of.view == ballot.view && of.phase == ballot.phase && of.epoch == ballot.epoch
        };
        let by_voter: BTreeMap<ValidatorIndex, &Vote> =
            self.votes.iter().filter(same).map(|vote| (vote.voter, vote)).collect();
        by_voter.into_values().cloned().collect()
    }
}

/// The votes with those of all Byzantine validators for the same, in validator order. For a ViewChange these name
/// nothing.
pub(super) fn with_colluders(puppet: &Puppet<'_>, ballot: &Ballot, mut votes: Vec<Vote>) -> Vec<Vote> {
    let block = if ballot.phase == Phase::ViewChange { Hash::ZERO } else { ballot.block };
    for who in puppet.colluders {
        if votes.iter().all(|vote| vote.voter != *who) {
            votes.extend(puppet.vote(*who, ballot.phase, ballot.view, block));
        }
    }
    votes.sort_by_key(|vote| vote.voter);
    votes
}

/// Whether the voters are a quorum.
pub(super) fn is_quorum(set: &ValidatorSet, votes: &[Vote]) -> bool {
    set.is_quorum(set.weigh(votes.iter().map(|vote| vote.voter)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Network;

    #[test]
    fn it_is_bounded_and_tallies_each_voter_once() {
        let net = Network::new(&[1, 1, 1, 1]);
        let mut seen = Seen::default();
        for view in 1..=200 {
            seen.note(&Message::Propose(net.proposal(view, 8, (view - 1, 7), vec![net.skip(view, &[0, 1, 2])])));
            for by in [2, 0, 0] {
                seen.note(&Message::Vote(net.vote(by, Phase::Prepare, view, 7)));
            }
            seen.note(&Message::Vote(net.vote(1, Phase::Prepare, view, 8)));
        }
        assert_eq!((seen.votes.len(), seen.skipped.len(), seen.certificates.len()), (MANY, FEW, FEW));
        let votes = seen.tally(&net.set, &Network::ballot(Phase::Prepare, 200, 7));
        assert_eq!(votes.iter().map(|vote| vote.voter.0).collect::<Vec<_>>(), [0, 2]);
        assert!(!is_quorum(&net.set, &votes));
    }
}

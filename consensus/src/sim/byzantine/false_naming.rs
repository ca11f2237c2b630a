//! ViewChanges that name blocks falsely: one that the leader never proposed, the right one with another header, and,
//! where the leader colludes, one that it signed and showed to nobody. Rules: V4, C2, X1.

use super::seen::Seen;
use super::{Behaviour, Puppet};
use crate::{Message, Named, Phase, ValidatorIndex, View, Vote};

/// It gives up one in so many views, besides those in which the honest core does.
const ONE_IN: u64 = 4;

/// Names blocks falsely.
#[derive(Debug, Default)]
pub(super) struct FalseNaming {
    seen: Seen,
    last: View,
}

impl FalseNaming {
    /// A ViewChange that is rightly signed, and what it says of the block that it names.
    fn naming(&self, puppet: &mut Puppet<'_>, view: View) -> Option<Vote> {
        let leader = puppet.set.leader(view);
        let nothing = puppet.random_hash();
        let (block, header, leader_signature) = match self.seen.proposal(view) {
            Some(proposal) if puppet.rng.per_mille(500) => {
                (proposal.block.hash, nothing.0.to_vec(), proposal.signature)
            }
            Some(proposal) => (nothing, proposal.header.to_vec(), proposal.signature),
            None => {
                let propose = puppet.ballot(Phase::Propose, view, nothing);
                let nobodys = puppet.random_signature();
                (nothing, nothing.0.to_vec(), puppet.sign(leader, &propose).unwrap_or(nobodys))
            }
        };
        let vote = puppet.vote(puppet.me, Phase::ViewChange, view, block)?;
        Some(Vote { named: Some(Named { header, leader_signature }), ..vote })
    }

    /// Says that it gives a view up.
    fn give_up(&mut self, puppet: &mut Puppet<'_>, view: View) {
        if let Some(vote) = self.naming(puppet, view) {
            puppet.did();
            puppet.broadcast(&Message::Vote(vote));
        }
    }
}

impl Behaviour for FalseNaming {
    fn sends(&mut self, puppet: &mut Puppet<'_>, to: Option<ValidatorIndex>, message: Message) {
        match &message {
            Message::Vote(vote) if vote.ballot.phase == Phase::ViewChange => self.give_up(puppet, vote.ballot.view),
            // It gave this view up: no contradiction that could be held against it.
            Message::Vote(vote) if vote.ballot.view == self.last => {}
            _ => puppet.pass(to, message),
        }
    }

    fn hears(&mut self, _puppet: &mut Puppet<'_>, _from: ValidatorIndex, message: &Message) -> bool {
        self.seen.note(message);
        true
    }

    fn ticks(&mut self, puppet: &mut Puppet<'_>) {
        let view = puppet.view;
        if view > self.last && view.0.is_multiple_of(ONE_IN) {
            self.last = view;
            self.give_up(puppet, view);
        }
    }
}

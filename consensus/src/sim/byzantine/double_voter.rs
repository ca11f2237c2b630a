//! Votes for two blocks of a view, Prepare and Commit alike, each vote to a part of the others. The second block is
//! another one of an equivocating leader if there is one, or one that the leader could have made. Rules: S2, V3, E1.

use super::seen::Seen;
use super::{Behaviour, Puppet};
use crate::{Hash, Message, Phase, ValidatorIndex, View};

/// Votes twice.
#[derive(Debug, Default)]
pub(super) struct DoubleVoter {
    seen: Seen,
}

impl DoubleVoter {
    /// Another block for the same view.
    fn other_block(&self, puppet: &mut Puppet<'_>, view: View, block: Hash) -> Hash {
        let proposed = self.seen.other_block(view, block);
        let possible = || self.seen.proposal(view).and_then(|proposal| puppet.second(proposal)).map(|p| p.block.hash);
        match proposed.or_else(possible) {
            Some(other) if other != block => other,
            _ => puppet.random_hash(),
        }
    }
}

impl Behaviour for DoubleVoter {
    fn sends(&mut self, puppet: &mut Puppet<'_>, to: Option<ValidatorIndex>, message: Message) {
        self.seen.note(&message);
        let ballot = match &message {
            Message::Vote(vote) if vote.ballot.phase != Phase::ViewChange => vote.ballot,
            _ => return puppet.pass(to, message),
        };
        let other = self.other_block(puppet, ballot.view, ballot.block);
        puppet.did();
        let [some, others] = puppet.halves();
        puppet.send(&some, &message);
        puppet.send_vote(&others, ballot.phase, ballot.view, other);
    }

    fn hears(&mut self, _puppet: &mut Puppet<'_>, _from: ValidatorIndex, message: &Message) -> bool {
        self.seen.note(message);
        true
    }
}

//! Votes for everything: on each proposal it sends Prepare and Commit at once, and a ViewChange, each to other ones, in
//! the name of all Byzantine validators. Rules: Q1, T1, S2, E1, "a committed view is not skipped".

use super::{Behaviour, Puppet};
use crate::{Hash, Message, Phase, ValidatorIndex, View};

/// Votes for everything.
#[derive(Debug, Default)]
pub(super) struct NothingAtStake;

impl NothingAtStake {
    /// All votes for a block, and one against it.
    fn vote_for(puppet: &mut Puppet<'_>, view: View, block: Hash) {
        puppet.did();
        let [some, others] = puppet.halves();
        for who in puppet.colluders {
            let votes = [
                (&some, Phase::Prepare, block),
                (&others, Phase::Prepare, block),
                (&some, Phase::Commit, block),
                (&others, Phase::ViewChange, Hash::ZERO),
            ];
            for (to, phase, block) in votes {
                if let Some(vote) = puppet.vote(*who, phase, view, block) {
                    puppet.send(to, &Message::Vote(vote));
                }
            }
        }
    }
}

impl Behaviour for NothingAtStake {
    fn sends(&mut self, puppet: &mut Puppet<'_>, to: Option<ValidatorIndex>, message: Message) {
        if let Some(block) = puppet.own_proposal(to, &message).map(|proposal| proposal.block) {
            Self::vote_for(puppet, block.view, block.hash);
        }
        if !matches!(message, Message::Vote(_)) {
            puppet.pass(to, message);
        }
    }

    fn hears(&mut self, puppet: &mut Puppet<'_>, _from: ValidatorIndex, message: &Message) -> bool {
        if let Message::Propose(proposal) = message {
            Self::vote_for(puppet, proposal.block.view, proposal.block.hash);
        }
        true
    }
}

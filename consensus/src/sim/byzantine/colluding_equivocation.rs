//! A leader that proposes two blocks, while all Byzantine validators prepare and commit both: for each part of the
//! others the block that it has. Rules: the intersection of quorums (Q1), E1.

use super::{Behaviour, Puppet};
use crate::{Message, Phase, ValidatorIndex};

/// Proposes two blocks, for which all colluders vote.
#[derive(Debug, Default)]
pub(super) struct ColludingEquivocation;

impl Behaviour for ColludingEquivocation {
    fn sends(&mut self, puppet: &mut Puppet<'_>, to: Option<ValidatorIndex>, message: Message) {
        if let Message::Vote(vote) = &message
            && vote.ballot.phase != Phase::ViewChange
            && puppet.colludes(puppet.set.leader(vote.ballot.view))
        {
            // Its vote was sent with the blocks.
            return;
        }
        let Some(first) = puppet.own_proposal(to, &message).cloned() else { return puppet.pass(to, message) };
        let Some(second) = puppet.second(&first) else { return puppet.pass(to, message) };
        puppet.did();
        for (part, proposal) in puppet.halves().into_iter().zip([first, second]) {
            let (view, block) = (proposal.block.view, proposal.block.hash);
            puppet.send(&part, &Message::Propose(proposal));
            for who in puppet.colluders {
                for phase in [Phase::Prepare, Phase::Commit] {
                    if let Some(vote) = puppet.vote(*who, phase, view, block) {
                        puppet.send(&part, &Message::Vote(vote));
                    }
                }
            }
        }
    }
}

//! Shows its blocks, and its votes for them, just before the others give its view up. Rules: X1, T1, W4.

use super::later::{Later, just_before_timeout};
use super::{Behaviour, Puppet};
use crate::{Message, ValidatorIndex};

/// Holds its blocks back.
#[derive(Debug, Default)]
pub(super) struct LateProposer {
    later: Later,
}

impl Behaviour for LateProposer {
    fn sends(&mut self, puppet: &mut Puppet<'_>, to: Option<ValidatorIndex>, message: Message) {
        let own = match &message {
            Message::Propose(proposal) => puppet.leads(proposal.block.view),
            Message::Vote(vote) => puppet.leads(vote.ballot.view),
            _ => false,
        };
        if own {
            self.later.keep(just_before_timeout(puppet), to, message);
        } else {
            puppet.pass(to, message);
        }
    }

    fn ticks(&mut self, puppet: &mut Puppet<'_>) {
        self.later.release(puppet);
    }
}

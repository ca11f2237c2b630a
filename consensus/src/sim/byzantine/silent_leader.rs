//! Votes, but shows its own blocks to nobody. Rules: X1, X3; it is heard, so X4 does not skip it.

use super::{Behaviour, Puppet};
use crate::{Message, ValidatorIndex};

/// Builds for itself alone.
#[derive(Debug, Default)]
pub(super) struct SilentLeader;

impl Behaviour for SilentLeader {
    fn sends(&mut self, puppet: &mut Puppet<'_>, to: Option<ValidatorIndex>, message: Message) {
        match message {
            Message::Propose(proposal) if puppet.leads(proposal.block.view) => puppet.did(),
            message => puppet.pass(to, message),
        }
    }
}

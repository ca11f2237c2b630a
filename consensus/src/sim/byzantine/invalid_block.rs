//! Proposes blocks that the application refuses, or that are no blocks. Rules: P4, P5, X2.

use super::{Behaviour, Puppet};
use crate::sim::application::Tamper;
use crate::{Message, ValidatorIndex};

/// Spoils its blocks.
#[derive(Debug, Default)]
pub(super) struct InvalidBlock;

/// Long before any parent.
const LONG_AGO_MS: i64 = -3_600_000;

impl Behaviour for InvalidBlock {
    fn sends(&mut self, puppet: &mut Puppet<'_>, to: Option<ValidatorIndex>, message: Message) {
        let Some(proposal) = puppet.own_proposal(to, &message) else { return puppet.pass(to, message) };
        // The same for a view that is said again.
        let how = match proposal.block.view.0 % 5 {
            0 => Tamper::Time(LONG_AGO_MS),
            1 => Tamper::Height(1),
            2 => Tamper::Height(-1),
            3 => Tamper::Truncated,
            _ => Tamper::Proposer(ValidatorIndex(u16::MAX)),
        };
        puppet.did();
        if let Some(invalid) = puppet.tampered(proposal, vec![how]) {
            puppet.broadcast(&Message::Propose(invalid));
        }
    }
}

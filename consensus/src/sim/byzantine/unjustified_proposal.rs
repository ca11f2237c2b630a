//! Proposes valid blocks on parents of long ago, beside blocks that are prepared or final, without a view-change
//! certificate; or on a parent of which there is no certificate. Rules: P1, P3.

use super::seen::Seen;
use super::{Behaviour, Puppet};
use crate::sim::application::Tamper;
use crate::{Message, Proposal, ValidatorIndex};

/// Builds beside the chain.
#[derive(Debug, Default)]
pub(super) struct UnjustifiedProposal {
    seen: Seen,
}

impl UnjustifiedProposal {
    /// A block for the view of its own, on another parent.
    fn unjustified(&self, puppet: &mut Puppet<'_>, own: &Proposal) -> Option<Proposal> {
        if puppet.rng.per_mille(200) {
            let nothing = puppet.random_hash();
            return puppet.tampered(own, vec![Tamper::Parent(nothing)]);
        }
        // The latest ones are the likeliest not to be final yet.
        let back = puppet.rng.index(8);
        let old = self.seen.proposals.iter().rev().filter(|old| old.block.view < own.block.view).nth(back)?;
        puppet.sibling(old, own.block.view)
    }
}

impl Behaviour for UnjustifiedProposal {
    fn sends(&mut self, puppet: &mut Puppet<'_>, to: Option<ValidatorIndex>, message: Message) {
        let Some(own) = puppet.own_proposal(to, &message) else { return puppet.pass(to, message) };
        let Some(proposal) = self.unjustified(puppet, own) else { return puppet.pass(to, message) };
        puppet.did();
        puppet.broadcast(&Message::Propose(proposal));
    }

    fn hears(&mut self, _puppet: &mut Puppet<'_>, _from: ValidatorIndex, message: &Message) -> bool {
        self.seen.note(message);
        true
    }
}

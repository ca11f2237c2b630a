//! Proposes in advance, for all the views that it will lead within the window, on the parent of today: its blocks
//! take the place of the one that could be justified then. Rules: V2, P2, P3, N2.

use super::{Behaviour, Puppet};
use crate::core::VIEWS_AHEAD;
use crate::{Message, ValidatorIndex, View};

/// Proposes in advance.
#[derive(Debug, Default)]
pub(super) struct EarlyProposer {
    /// The last view for which it proposed.
    last: View,
}

impl Behaviour for EarlyProposer {
    fn hears(&mut self, puppet: &mut Puppet<'_>, _from: ValidatorIndex, message: &Message) -> bool {
        let Message::Propose(proposal) = message else { return true };
        let now = proposal.block.view;
        if now > puppet.view.plus(VIEWS_AHEAD) {
            return true;
        }
        for view in (1..=VIEWS_AHEAD).map(|ahead| now.plus(ahead)) {
            if view > self.last
                && puppet.leads(view)
                && let Some(early) = puppet.sibling(proposal, view)
            {
                self.last = view;
                puppet.did();
                puppet.broadcast(&Message::Propose(early));
            }
        }
        true
    }
}

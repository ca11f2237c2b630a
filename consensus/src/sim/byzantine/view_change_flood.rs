//! Asks to skip every view, at once and in advance, and votes for no block. Rules: X3, V2, Q2.

use super::{Behaviour, Puppet};
use crate::core::VIEWS_AHEAD;
use crate::{Hash, Message, Phase, ValidatorIndex, View};

/// Gives everything up.
#[derive(Debug, Default)]
pub(super) struct ViewChangeFlood {
    /// The last view that it asked to skip.
    last: View,
}

impl Behaviour for ViewChangeFlood {
    fn sends(&mut self, puppet: &mut Puppet<'_>, to: Option<ValidatorIndex>, message: Message) {
        if !matches!(message, Message::Vote(_)) {
            puppet.pass(to, message);
        }
    }

    fn ticks(&mut self, puppet: &mut Puppet<'_>) {
        let first = self.last.next().max(puppet.view);
        self.last = puppet.view.plus(VIEWS_AHEAD);
        for view in (first.0..=self.last.0).map(View) {
            puppet.did();
            puppet.broadcast_vote(Phase::ViewChange, view, Hash::ZERO);
        }
    }
}

//! Completes prepare certificates just before the view would be given up, and for a part of the others only: these can
//! sign Commit, the rest ViewChange, and neither is a quorum. It says nothing that would tell the rest. Rules: X1,
//! R1, K1, N1, and section 6: "tells it".

use super::later::{Later, just_before_timeout};
use super::{Behaviour, Puppet};
use crate::{Message, Phase, ValidatorIndex, View};

/// Splits the others at the time-out.
#[derive(Debug, Default)]
pub(super) struct SplitTimeout {
    later: Later,
    /// The view whose certificate it splits, and who gets it.
    view: View,
    chosen: Vec<ValidatorIndex>,
}

impl Behaviour for SplitTimeout {
    fn sends(&mut self, puppet: &mut Puppet<'_>, to: Option<ValidatorIndex>, message: Message) {
        let ballot = match &message {
            Message::Vote(vote) => vote.ballot,
            Message::Propose(_) | Message::Fetch(_) | Message::Evidence(_) => return puppet.pass(to, message),
            // These carry certificates.
            Message::Status(_) | Message::Certificate(_) => return,
        };
        if ballot.phase != Phase::Prepare {
            return;
        }
        if ballot.view != self.view {
            let [chosen, _] = puppet.halves();
            (self.view, self.chosen) = (ballot.view, chosen);
        }
        let due = just_before_timeout(puppet);
        for who in &self.chosen {
            self.later.keep(due, Some(*who), message.clone());
        }
    }

    fn ticks(&mut self, puppet: &mut Puppet<'_>) {
        self.later.release(puppet);
    }
}

//! Shows its blocks to so many that they are with all Byzantine validators just a quorum, or just none. The same ones
//! see it when it is said again. Rules: Q1, X3, A1, A2.

use super::{Behaviour, Puppet};
use crate::{Message, ValidatorIndex, View};

/// Proposes to the chosen ones of a view.
#[derive(Debug, Default)]
pub(super) struct SelectiveLeader {
    view: View,
    chosen: Vec<ValidatorIndex>,
}

/// A random set that is, with the Byzantine ones, the smallest quorum or the greatest set that is none.
fn choose(puppet: &mut Puppet<'_>) -> Vec<ValidatorIndex> {
    let enough = puppet.rng.per_mille(500);
    let mut honest = puppet.honest();
    puppet.rng.shuffle(&mut honest);
    let mut chosen = Vec::new();
    for who in honest {
        chosen.push(who);
        if puppet.set.is_quorum(puppet.weight_with(&chosen)) {
            if !enough {
                chosen.pop();
            }
            break;
        }
    }
    chosen
}

impl Behaviour for SelectiveLeader {
    fn sends(&mut self, puppet: &mut Puppet<'_>, to: Option<ValidatorIndex>, message: Message) {
        let Some(view) = puppet.own_proposal(to, &message).map(|proposal| proposal.block.view) else {
            return puppet.pass(to, message);
        };
        if self.view != view {
            (self.view, self.chosen) = (view, choose(puppet));
        }
        puppet.did();
        puppet.send(&self.chosen, &message);
    }
}

//! A leader that proposes two blocks, each to a part of the others. Rules: S2, P2, E1.

use super::{Behaviour, Puppet};
use crate::{Message, ValidatorIndex};

/// Proposes two blocks in a view.
#[derive(Debug, Default)]
pub(super) struct EquivocatingLeader;

impl Behaviour for EquivocatingLeader {
    fn sends(&mut self, puppet: &mut Puppet<'_>, to: Option<ValidatorIndex>, message: Message) {
        let Some(second) = puppet.own_proposal(to, &message).and_then(|proposal| puppet.second(proposal)) else {
            return puppet.pass(to, message);
        };
        puppet.did();
        let [some, others] = puppet.halves();
        puppet.send(&some, &message);
        puppet.send(&others, &Message::Propose(second));
    }
}

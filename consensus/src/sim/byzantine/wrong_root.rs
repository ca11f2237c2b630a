//! Proposes blocks that are right but for the result of their execution. Rules: P5, X2.

use super::{Behaviour, Puppet};
use crate::sim::application::Tamper;
use crate::{Message, ValidatorIndex};

/// Spoils the result in its blocks.
#[derive(Debug, Default)]
pub(super) struct WrongRoot;

impl Behaviour for WrongRoot {
    fn sends(&mut self, puppet: &mut Puppet<'_>, to: Option<ValidatorIndex>, message: Message) {
        let Some(own) = puppet.own_proposal(to, &message) else { return puppet.pass(to, message) };
        // The same for a view that is said again.
        let how = if own.block.view.0.is_multiple_of(2) { Tamper::Root(own.block.hash) } else { Tamper::Executed(1) };
        let Some(wrong) = puppet.tampered(own, vec![how]) else { return puppet.pass(to, message) };
        puppet.did();
        puppet.broadcast(&Message::Propose(wrong));
    }
}

//! Withholds its votes, and so keeps certificates for itself that nobody else can make: its own blocks then build on
//! them. Rules: X, A, K1.

use super::{Behaviour, Puppet};
use crate::{Message, ValidatorIndex};

/// Votes for itself alone.
#[derive(Debug, Default)]
pub(super) struct SilentVoter;

impl Behaviour for SilentVoter {
    fn sends(&mut self, puppet: &mut Puppet<'_>, to: Option<ValidatorIndex>, message: Message) {
        match message {
            Message::Vote(_) => puppet.did(),
            message => puppet.pass(to, message),
        }
    }
}

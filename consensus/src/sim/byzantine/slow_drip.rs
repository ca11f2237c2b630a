//! Sends each of its votes just before the others would give the view up. Rules: X1, V2, W4; it is heard, so X4 does
//! not skip it.

use super::later::{Later, just_before_timeout};
use super::{Behaviour, Puppet};
use crate::{Message, ValidatorIndex};

/// Holds its votes back.
#[derive(Debug, Default)]
pub(super) struct SlowDrip {
    later: Later,
}

impl Behaviour for SlowDrip {
    fn sends(&mut self, puppet: &mut Puppet<'_>, to: Option<ValidatorIndex>, message: Message) {
        match message {
            Message::Vote(_) => self.later.keep(just_before_timeout(puppet), to, message),
            message => puppet.pass(to, message),
        }
    }

    fn ticks(&mut self, puppet: &mut Puppet<'_>) {
        self.later.release(puppet);
    }
}

//! Says everything ten times. Rules: V3, A3, E2.

use super::{Behaviour, Puppet};
use crate::{Message, ValidatorIndex};

/// Repeats itself.
#[derive(Debug, Default)]
pub(super) struct Echo;

/// How often it says a thing.
const TIMES: usize = 10;

impl Behaviour for Echo {
    fn sends(&mut self, puppet: &mut Puppet<'_>, to: Option<ValidatorIndex>, message: Message) {
        puppet.did();
        for _ in 0..TIMES {
            puppet.pass(to, message.clone());
        }
    }
}

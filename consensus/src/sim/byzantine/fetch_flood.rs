//! Asks for huge ranges, and for ranges that are none, again and again; and answers nobody. Rules: A2, A3.

use super::{Behaviour, Puppet};
use crate::{Fetch, Message, ValidatorIndex, View};

/// Asks without end.
#[derive(Debug, Default)]
pub(super) struct FetchFlood;

/// The first and the last view of a question.
fn range(puppet: &mut Puppet<'_>) -> (View, View) {
    let now = puppet.view;
    match puppet.rng.below(5) {
        0 => (View(0), View(u64::MAX)),
        1 => (View(now.0.saturating_sub(16)), now),
        2 => (now.previous(), View(u64::MAX)),
        3 => (now, View(0)),
        _ => (View(puppet.rng.next()), View(puppet.rng.next())),
    }
}

impl FetchFlood {
    /// A question.
    fn ask(puppet: &mut Puppet<'_>) -> Message {
        let ((from, to), epoch) = (range(puppet), puppet.set.epoch());
        puppet.did();
        Message::Fetch(Fetch { epoch, from, to })
    }
}

impl Behaviour for FetchFlood {
    fn hears(&mut self, _puppet: &mut Puppet<'_>, _from: ValidatorIndex, message: &Message) -> bool {
        !matches!(message, Message::Fetch(_))
    }

    fn ticks(&mut self, puppet: &mut Puppet<'_>) {
        let question = Self::ask(puppet);
        puppet.broadcast(&question);
        let Some(victim) = puppet.victim() else { return };
        for _ in 0..4 {
            let question = Self::ask(puppet);
            puppet.send(&[victim], &question);
        }
    }
}

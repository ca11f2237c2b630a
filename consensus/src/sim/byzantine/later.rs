//! Messages that leave later than the honest core meant them to.

use super::Puppet;
use crate::{Message, ValidatorIndex};

/// What waits, with the time at which it leaves.
#[derive(Debug, Default)]
pub(super) struct Later(Vec<(u64, Option<ValidatorIndex>, Message)>);

/// Most messages that wait: the others are forgotten, oldest first.
const MOST: usize = 512;

impl Later {
    /// Keeps a message until `due_ms`.
    pub(super) fn keep(&mut self, due_ms: u64, to: Option<ValidatorIndex>, message: Message) {
        if self.0.len() >= MOST {
            self.0.remove(0);
        }
        self.0.push((due_ms, to, message));
    }

    /// Takes out what is due, in the order in which it came.
    pub(super) fn due(&mut self, now_ms: u64) -> Vec<(Option<ValidatorIndex>, Message)> {
        let (due, waits): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.0).into_iter().partition(|(at, ..)| *at <= now_ms);
        self.0 = waits;
        due.into_iter().map(|(_, to, message)| (to, message)).collect()
    }

    /// Sends what is due.
    pub(super) fn release(&mut self, puppet: &mut Puppet<'_>) {
        for (to, message) in self.due(puppet.now_ms) {
            puppet.did();
            puppet.pass(to, message);
        }
    }
}

/// Just before the honest time-out of a view that begins now.
pub(super) fn just_before_timeout(puppet: &Puppet<'_>) -> u64 {
    puppet.now_ms + puppet.timing.view_timeout_ms * 17 / 20
}

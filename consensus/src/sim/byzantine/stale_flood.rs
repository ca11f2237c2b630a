//! Says again whatever it heard from anybody, at any later time. Rules: V2, V3, K2, M3.

use super::{Behaviour, Puppet};
use crate::{Message, ValidatorIndex};

/// Most old messages that are kept.
const KEPT: usize = 256;

/// One in so many of the heard messages is kept.
const ONE_IN: u32 = 5;

/// Messages said again in each tick.
const AT_ONCE: usize = 3;

/// Repeats the past.
#[derive(Debug, Default)]
pub(super) struct StaleFlood {
    heard: Vec<Message>,
}

impl Behaviour for StaleFlood {
    fn hears(&mut self, puppet: &mut Puppet<'_>, _from: ValidatorIndex, message: &Message) -> bool {
        if puppet.rng.per_mille(1000 / ONE_IN) {
            if self.heard.len() < KEPT {
                self.heard.push(message.clone());
            } else {
                let at = puppet.rng.index(KEPT);
                self.heard[at] = message.clone();
            }
        }
        true
    }

    fn ticks(&mut self, puppet: &mut Puppet<'_>) {
        for _ in 0..AT_ONCE {
            let at = puppet.rng.index(self.heard.len());
            if let Some(message) = self.heard.get(at) {
                puppet.did();
                puppet.broadcast(message);
            }
        }
    }
}

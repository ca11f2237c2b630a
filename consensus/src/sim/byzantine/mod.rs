//! Byzantine validators: each behaviour is an attack on this very protocol, in a file of its own.
//!
//! A Byzantine validator runs the honest state machine inside, on the same simulated disk, and tampers with what goes
//! in and out. It signs with its own key and those of the other Byzantine validators, and with no other: it has no
//! way to an honest validator's key. All of them together weigh less than a third. What they send goes through its
//! bytes, so that only what a peer can put on the wire arrives.

mod kind;
mod later;
mod puppet;
mod seen;
#[cfg(test)]
mod tests;

mod amnesiac;
mod colluding_equivocation;
mod commit_and_view_change;
mod double_voter;
mod duplicate_signer;
mod early_proposer;
mod echo;
mod equivocating_leader;
mod false_evidence;
mod false_naming;
mod far_future_flood;
mod fetch_flood;
mod foreign_votes;
mod forged_certificate;
mod hidden_certificate;
mod invalid_block;
mod late_proposer;
mod lying_status;
mod lying_sync_peer;
mod mutator;
mod nothing_at_stake;
mod padded_certificate;
mod selective_leader;
mod selective_relay;
mod silent_leader;
mod silent_voter;
mod slow_drip;
mod split_timeout;
mod stale_flood;
mod stale_parent;
mod swapped_certificate;
mod unjustified_proposal;
mod view_change_flood;
mod wrong_root;

use std::sync::Arc;

pub use kind::Kind;
pub(super) use puppet::Puppet;

use super::application::FinalBlock;
use crate::{Message, ValidatorIndex};

/// What a Byzantine validator does in place of what the protocol says. It runs the honest core inside and tampers
/// with what goes in and out.
pub(super) trait Behaviour: std::fmt::Debug {
    /// The honest core wants to send `message` (`to`: `None` is to all). Whatever shall leave is given to `puppet`.
    fn sends(&mut self, puppet: &mut Puppet<'_>, to: Option<ValidatorIndex>, message: Message) {
        puppet.pass(to, message);
    }

    /// A message arrives; false: the core inside is not given it.
    fn hears(&mut self, _puppet: &mut Puppet<'_>, _from: ValidatorIndex, _message: &Message) -> bool {
        true
    }

    /// About every 50 ms of virtual time.
    fn ticks(&mut self, _puppet: &mut Puppet<'_>) {}

    /// Blocks for one that syncs; the honest answer is given.
    fn serves(&mut self, _puppet: &mut Puppet<'_>, blocks: Vec<Arc<FinalBlock>>) -> Vec<Arc<FinalBlock>> {
        blocks
    }
}

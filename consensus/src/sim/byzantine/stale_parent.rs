//! Stays silent in one of its views, so that this one is skipped; in the next one it proposes on a block from before
//! the skipped view, with the true view-change certificates of all skipped views. Those of the views between in which
//! blocks were prepared it leaves out: there are none. Rule: P3.

use super::seen::Seen;
use super::{Behaviour, Puppet};
use crate::{Certificate, MAX_CARRIED, Message, Proposal, ValidatorIndex, View};

/// Skips a view and builds before it.
#[derive(Debug, Default)]
pub(super) struct StaleParent {
    seen: Seen,
    silent: View,
    turn: bool,
}

/// The view of a block's parent.
fn parent_view(proposal: &Proposal) -> View {
    proposal.parent.as_ref().map_or(View(0), |certificate| certificate.view)
}

impl StaleParent {
    /// A block from before a skipped view, as if it were of this one.
    fn stale(&self, puppet: &Puppet<'_>, view: View) -> Option<Proposal> {
        let skipped_from = |old: &Proposal| -> Vec<Certificate> {
            let between = |certificate: &&Certificate| parent_view(old) < certificate.view && certificate.view < view;
            let mut skipped: Vec<Certificate> = self.seen.skipped.iter().filter(between).cloned().collect();
            skipped.sort_unstable_by_key(|certificate| certificate.view);
            let surplus = skipped.len().saturating_sub(MAX_CARRIED);
            skipped.drain(..surplus);
            skipped
        };
        let older = self.seen.proposals.iter().rev().filter(|old| old.block.view < view);
        let (old, skipped) = older.map(|old| (old, skipped_from(old))).find(|(_, skipped)| !skipped.is_empty())?;
        let sibling = puppet.sibling(old, view)?;
        Some(Proposal { skipped, ..sibling })
    }
}

impl Behaviour for StaleParent {
    fn sends(&mut self, puppet: &mut Puppet<'_>, to: Option<ValidatorIndex>, message: Message) {
        let Some(view) = puppet.own_proposal(to, &message).map(|own| own.block.view) else {
            return puppet.pass(to, message);
        };
        if self.silent == view {
            return;
        }
        match self.stale(puppet, view) {
            Some(proposal) if self.turn => {
                self.turn = false;
                puppet.did();
                puppet.broadcast(&Message::Propose(proposal));
            }
            _ => (self.silent, self.turn) = (view, true),
        }
    }

    fn hears(&mut self, _puppet: &mut Puppet<'_>, _from: ValidatorIndex, message: &Message) -> bool {
        self.seen.note(message);
        true
    }
}

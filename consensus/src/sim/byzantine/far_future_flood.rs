//! Votes, statuses, questions and true evidence against itself, all of views ahead: within the window, just beyond it,
//! and up to the last number. Rules: V2, E3, K2, A3.

use super::{Behaviour, Puppet};
use crate::core::VIEWS_AHEAD;
use crate::{Evidence, Fetch, Hash, Height, Message, Phase, Signed, Status, View};

/// Speaks of the future.
#[derive(Debug, Default)]
pub(super) struct FarFutureFlood;

/// Messages in each tick.
const AT_ONCE: usize = 3;

/// A view that is not yet.
fn far_view(puppet: &mut Puppet<'_>) -> View {
    let now = puppet.view;
    match puppet.rng.below(5) {
        0 => now.plus(puppet.rng.between(1, VIEWS_AHEAD)),
        1 => now.plus(VIEWS_AHEAD + 1),
        2 => now.plus(puppet.rng.between(VIEWS_AHEAD + 2, 100_000)),
        3 => View(u64::MAX - puppet.rng.below(3)),
        _ => View(puppet.rng.next()),
    }
}

/// Two Prepares of its own.
fn contradiction(puppet: &mut Puppet<'_>, view: View) -> Option<Evidence> {
    let blocks = [puppet.random_hash(), puppet.random_hash()];
    let signed = |block: Hash| {
        let signature = puppet.sign(puppet.me, &puppet.ballot(Phase::Prepare, view, block))?;
        Some(Signed { phase: Phase::Prepare, block, signature })
    };
    Evidence::of(puppet.set.epoch(), view, puppet.me, signed(blocks[0])?, signed(blocks[1])?)
}

/// Something to say of it.
fn far_message(puppet: &mut Puppet<'_>) -> Option<Message> {
    let (view, block, epoch) = (far_view(puppet), puppet.random_hash(), puppet.set.epoch());
    let which = puppet.rng.below(6);
    let vote = |phase, block| puppet.vote(puppet.me, phase, view, block).map(Message::Vote);
    match which {
        0 => vote(Phase::Prepare, block),
        1 => vote(Phase::Commit, block),
        2 => vote(Phase::ViewChange, Hash::ZERO),
        3 => Some(Message::Status(Status { epoch, height: Height(view.0), entry: None, yours: None, reply: true })),
        4 => Some(Message::Fetch(Fetch { epoch, from: view, to: View(u64::MAX) })),
        _ => contradiction(puppet, view).map(Message::Evidence),
    }
}

impl Behaviour for FarFutureFlood {
    fn ticks(&mut self, puppet: &mut Puppet<'_>) {
        for _ in 0..AT_ONCE {
            if let Some(message) = far_message(puppet) {
                puppet.did();
                puppet.broadcast(&message);
            }
        }
    }
}

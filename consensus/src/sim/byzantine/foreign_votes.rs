//! Votes in the name of others under its own signature, and its own votes of another chain and another epoch.
//! Rules: V1, C1.

use super::{Behaviour, Puppet};
use crate::{Ballot, Epoch, Hash, Message, Phase, ValidatorIndex, Vote};

/// Votes for others.
#[derive(Debug, Default)]
pub(super) struct ForeignVotes;

/// Whose it says it is, and whose signature it has.
fn foreign(puppet: &mut Puppet<'_>, ballot: Ballot) -> Option<Vote> {
    let (me, other) = (puppet.me, puppet.victim()?);
    let (ballot, voter, genesis) = match puppet.rng.below(5) {
        0 => (ballot, ValidatorIndex(u16::MAX), puppet.genesis),
        1 => (ballot, me, puppet.random_hash()),
        2 => (Ballot { epoch: Epoch(ballot.epoch.0.wrapping_add(1)), ..ballot }, me, puppet.genesis),
        3 => (Ballot { epoch: Epoch(u64::MAX), ..ballot }, other, puppet.genesis),
        _ => (ballot, other, puppet.genesis),
    };
    let signature = puppet.sign_for(me, &ballot, &genesis)?;
    Some(Vote { ballot, voter, signature, named: None })
}

impl Behaviour for ForeignVotes {
    fn hears(&mut self, puppet: &mut Puppet<'_>, _from: ValidatorIndex, message: &Message) -> bool {
        let Message::Propose(proposal) = message else { return true };
        let (view, block) = (proposal.block.view, proposal.block.hash);
        for (phase, block) in [(Phase::Prepare, block), (Phase::Commit, block), (Phase::ViewChange, Hash::ZERO)] {
            let ballot = puppet.ballot(phase, view, block);
            if let Some(vote) = foreign(puppet, ballot) {
                puppet.did();
                puppet.broadcast(&Message::Vote(vote));
            }
        }
        true
    }
}

//! Says that it has just started with an empty memory, asks everybody what it voted, and votes the contrary. Rules: M1,
//! M2, S2, E1.

use super::seen::Seen;
use super::{Behaviour, Puppet};
use crate::{Ballot, Hash, Height, Message, Phase, Status, ValidatorIndex};

/// Ticks between two starts.
const LIFETIME: u64 = 20;

/// Forgets what it voted.
#[derive(Debug, Default)]
pub(super) struct Amnesiac {
    seen: Seen,
    ticks: u64,
    /// What it voted last.
    last: Option<Ballot>,
}

impl Amnesiac {
    /// Votes the contrary of what it voted.
    fn contradict(&self, puppet: &mut Puppet<'_>, ballot: Ballot) {
        let nothing = puppet.random_hash();
        let (phase, block) = match ballot.phase {
            Phase::Commit => (Phase::ViewChange, Hash::ZERO),
            Phase::ViewChange => {
                let proposal = self.seen.proposal(ballot.view);
                (Phase::Commit, proposal.map_or(nothing, |proposal| proposal.block.hash))
            }
            Phase::Prepare | Phase::Propose => (Phase::Prepare, nothing),
        };
        puppet.did();
        puppet.broadcast_vote(phase, ballot.view, block);
    }
}

impl Behaviour for Amnesiac {
    fn sends(&mut self, puppet: &mut Puppet<'_>, to: Option<ValidatorIndex>, message: Message) {
        if let Message::Vote(vote) = &message {
            self.last = Some(vote.ballot);
        }
        puppet.pass(to, message);
    }

    fn hears(&mut self, puppet: &mut Puppet<'_>, _from: ValidatorIndex, message: &Message) -> bool {
        self.seen.note(message);
        let Message::Status(status) = message else { return true };
        let Some(vote) = &status.yours else { return true };
        if vote.voter == puppet.me {
            self.contradict(puppet, vote.ballot);
        }
        // The core inside remembers, and shall not learn that it forgot.
        false
    }

    fn ticks(&mut self, puppet: &mut Puppet<'_>) {
        self.ticks += 1;
        if self.ticks.is_multiple_of(LIFETIME) {
            let epoch = puppet.set.epoch();
            puppet.broadcast(&Message::Status(Status {
                epoch,
                height: Height(0),
                entry: None,
                yours: None,
                reply: true,
            }));
        } else if puppet.rng.per_mille(250)
            && let Some(ballot) = self.last.take()
        {
            self.contradict(puppet, ballot);
        }
    }
}

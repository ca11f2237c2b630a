//! Says that it stands elsewhere: in another epoch, far ahead, at the beginning; shows others votes of theirs that they
//! never signed; asks for help again and again. Rules: M1, M3, K2, A3.

use super::seen::Seen;
use super::{Behaviour, Puppet};
use crate::{Epoch, Height, Message, Phase, Status, ValidatorIndex, Vote};

/// Lies about where it stands.
#[derive(Debug, Default)]
pub(super) struct LyingStatus {
    seen: Seen,
}

impl LyingStatus {
    /// A vote that `victim` shall take for its own: with no signature of it, or that of somebody else.
    fn forgotten(&self, puppet: &mut Puppet<'_>, victim: ValidatorIndex) -> Option<Vote> {
        let (view, block) = (puppet.view.plus(puppet.rng.below(1000)), puppet.random_hash());
        let ballot = puppet.ballot(Phase::Commit, view, block);
        match puppet.rng.below(3) {
            0 => Some(Vote { ballot, voter: victim, signature: puppet.random_signature(), named: None }),
            1 => puppet.vote(puppet.me, Phase::Commit, view, block),
            _ => self.seen.votes.back().map(|vote| Vote { voter: victim, ..vote.clone() }),
        }
    }

    /// What it says in place of its status.
    fn lie(&self, puppet: &mut Puppet<'_>, honest: Status, victim: ValidatorIndex) -> Status {
        match puppet.rng.below(7) {
            0 => Status { epoch: Epoch(honest.epoch.0.wrapping_add(1)), ..honest },
            1 => Status { epoch: Epoch(u64::MAX), height: Height(u64::MAX), ..honest },
            2 => Status { height: Height(u64::MAX), ..honest },
            3 => Status { height: Height(0), entry: None, reply: true, ..honest },
            4 => Status { entry: self.seen.certificates.front().cloned(), reply: true, ..honest },
            5 => Status { height: Height(0), entry: self.seen.skipped.front().cloned(), ..honest },
            _ => Status { yours: self.forgotten(puppet, victim), ..honest },
        }
    }
}

impl Behaviour for LyingStatus {
    fn sends(&mut self, puppet: &mut Puppet<'_>, to: Option<ValidatorIndex>, message: Message) {
        let honest = match message {
            Message::Status(status) => status,
            other => return puppet.pass(to, other),
        };
        let receivers = to.map_or_else(|| puppet.honest(), |to| vec![to]);
        for receiver in receivers {
            let lie = self.lie(puppet, honest.clone(), receiver);
            puppet.did();
            puppet.send(&[receiver], &Message::Status(lie));
        }
    }

    fn hears(&mut self, _puppet: &mut Puppet<'_>, _from: ValidatorIndex, message: &Message) -> bool {
        self.seen.note(message);
        true
    }

    fn ticks(&mut self, puppet: &mut Puppet<'_>) {
        let Some(victim) = puppet.victim() else { return };
        let plain = Status { epoch: puppet.set.epoch(), height: Height(0), entry: None, yours: None, reply: true };
        let lie = self.lie(puppet, plain, victim);
        puppet.did();
        puppet.send(&[victim], &Message::Status(lie));
    }
}

//! Accuses honest validators with a true vote of theirs beside something else: a true vote of theirs of another view, a
//! true vote of another validator, what it signed itself, or their own signature of the first. Rules: E1, E3, "nobody
//! honest is accused".

use super::seen::Seen;
use super::{Behaviour, Puppet};
use crate::{Evidence, Hash, Message, Phase, Signed, ValidatorIndex, Vote};

/// Accuses the innocent.
#[derive(Debug, Default)]
pub(super) struct FalseEvidence {
    seen: Seen,
}

/// What was signed, as evidence has it.
fn signed(vote: &Vote) -> Signed {
    Signed { phase: vote.ballot.phase, block: vote.ballot.block, signature: vote.signature }
}

impl FalseEvidence {
    /// An accusation of the honest validator that voted last.
    fn accuse(&self, puppet: &mut Puppet<'_>) -> Option<Evidence> {
        let (which, nothing, epoch) = (puppet.rng.below(4), puppet.random_hash(), puppet.set.epoch());
        let truth = self.seen.votes.iter().rev().find(|vote| !puppet.colludes(vote.voter))?;
        let (view, victim) = (truth.ballot.view, truth.voter);
        let accusation = |second: Signed| Evidence::of(epoch, view, victim, signed(truth), second);
        let contradicts = |vote: &&Vote| accusation(signed(vote)).is_some();
        let (phase, block) = match truth.ballot.phase {
            Phase::Commit => (Phase::ViewChange, Hash::ZERO),
            Phase::ViewChange => (Phase::Commit, nothing),
            Phase::Prepare | Phase::Propose => (Phase::Prepare, nothing),
        };
        let mut votes = self.seen.votes.iter();
        accusation(match which {
            0 => signed(votes.find(|vote| vote.voter == victim && contradicts(vote))?),
            1 => signed(votes.find(|vote| vote.voter != victim && contradicts(vote))?),
            2 => {
                let signature = puppet.sign(puppet.me, &puppet.ballot(phase, view, block))?;
                Signed { phase, block, signature }
            }
            _ => Signed { phase, block, signature: truth.signature },
        })
    }
}

impl Behaviour for FalseEvidence {
    fn hears(&mut self, _puppet: &mut Puppet<'_>, _from: ValidatorIndex, message: &Message) -> bool {
        self.seen.note(message);
        true
    }

    fn ticks(&mut self, puppet: &mut Puppet<'_>) {
        if let Some(evidence) = self.accuse(puppet) {
            puppet.did();
            puppet.broadcast(&Message::Evidence(evidence));
        }
    }
}

//! Honest messages with one thing changed and the signature kept: the view one further or one back, another block, the
//! block of an earlier view again, another voter, one bit. Its own to a part of the others, and what it heard from
//! them. Rules: V1, C1, P1, E3.

use super::puppet::altered;
use super::seen::Seen;
use super::{Behaviour, Puppet};
use crate::sim::application::Tamper;
use crate::{Ballot, Certificate, Epoch, Message, Phase, Proposal, Status, ValidatorIndex, View, Vote};

/// Of a thousand messages that it sends so many are changed.
const OWN: u32 = 300;

/// Of a thousand messages that it hears so many are changed and said again.
const HEARD: u32 = 30;

/// Changes honest messages.
#[derive(Debug, Default)]
pub(super) struct Mutator {
    seen: Seen,
}

/// One further or one back.
fn beside(puppet: &mut Puppet<'_>, view: View) -> View {
    if puppet.rng.per_mille(500) { view.next() } else { view.previous() }
}

impl Mutator {
    /// A vote with one thing changed.
    fn vote(&self, puppet: &mut Puppet<'_>, vote: &Vote) -> Vote {
        let of = vote.ballot;
        let earlier = || self.seen.votes.iter().rev().map(|vote| vote.ballot.block).find(|block| *block != of.block);
        let ballot = match puppet.rng.below(6) {
            0 => Ballot { view: beside(puppet, of.view), ..of },
            1 => Ballot { block: puppet.random_hash(), ..of },
            2 => Ballot { block: earlier().unwrap_or(of.block), ..of },
            3 => Ballot { epoch: Epoch(of.epoch.0.wrapping_add(1)), ..of },
            4 => Ballot { phase: if of.phase == Phase::Prepare { Phase::Commit } else { Phase::Prepare }, ..of },
            _ => {
                let voter = puppet.victim().unwrap_or(vote.voter);
                return Vote { voter, ..vote.clone() };
            }
        };
        Vote { ballot, ..vote.clone() }
    }

    /// A certificate with one thing changed.
    fn certificate(&self, puppet: &mut Puppet<'_>, certificate: &Certificate) -> Certificate {
        let mut changed = certificate.clone();
        if changed.phase == Phase::ViewChange || puppet.rng.per_mille(500) {
            changed.view = beside(puppet, changed.view);
        } else {
            let earlier = self.seen.certificates.front().map(|known| known.block);
            changed.block = earlier.unwrap_or_else(|| puppet.random_hash());
        }
        changed
    }

    /// The leader's signature is kept: what is changed is not what it signed.
    fn proposal(&self, puppet: &mut Puppet<'_>, proposal: &Proposal) -> Proposal {
        let how = match puppet.rng.below(4) {
            0 => Tamper::Salt(puppet.rng.next()),
            1 => Tamper::View(1),
            2 => Tamper::Executed(1),
            _ => {
                let parent = proposal.parent.as_ref().map(|parent| self.certificate(puppet, parent));
                return Proposal { parent, ..proposal.clone() };
            }
        };
        altered(proposal, vec![how]).unwrap_or_else(|| proposal.clone())
    }

    /// A message with one thing changed; none for those that have little to change but bits.
    fn changed(&self, puppet: &mut Puppet<'_>, message: &Message) -> Option<Message> {
        Some(match message {
            Message::Vote(vote) => Message::Vote(self.vote(puppet, vote)),
            Message::Certificate(certificate) => Message::Certificate(self.certificate(puppet, certificate)),
            Message::Propose(proposal) => Message::Propose(self.proposal(puppet, proposal)),
            Message::Status(status) => {
                let entry = status.entry.as_ref().map(|entry| self.certificate(puppet, entry));
                Message::Status(Status { entry, ..status.clone() })
            }
            Message::Fetch(_) | Message::Evidence(_) => return None,
        })
    }

    /// Sends a changed message to some.
    fn mutate(&self, puppet: &mut Puppet<'_>, to: &[ValidatorIndex], message: &Message) {
        puppet.did();
        let changed = if puppet.rng.per_mille(700) { self.changed(puppet, message) } else { None };
        match changed {
            Some(changed) => puppet.send(to, &changed),
            None => {
                let mut bytes = message.encode();
                let at = puppet.rng.index(bytes.len());
                bytes[at] ^= 1u8 << puppet.rng.below(8);
                puppet.bytes(&bytes);
            }
        }
    }
}

impl Behaviour for Mutator {
    fn sends(&mut self, puppet: &mut Puppet<'_>, to: Option<ValidatorIndex>, message: Message) {
        self.seen.note(&message);
        if !puppet.rng.per_mille(OWN) {
            return puppet.pass(to, message);
        }
        if let Some(to) = to {
            return self.mutate(puppet, &[to], &message);
        }
        let [some, others] = puppet.halves();
        puppet.send(&some, &message);
        self.mutate(puppet, &others, &message);
    }

    fn hears(&mut self, puppet: &mut Puppet<'_>, _from: ValidatorIndex, message: &Message) -> bool {
        self.seen.note(message);
        if puppet.rng.per_mille(HEARD) {
            let [some, _] = puppet.halves();
            self.mutate(puppet, &some, message);
        }
        true
    }
}

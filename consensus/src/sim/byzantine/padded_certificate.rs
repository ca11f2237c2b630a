//! Certificates that are a quorum, and have one more signature that does not verify. The Byzantine validators sign at
//! once, so that it comes before the true one. Rule: C1, "refused whole".

use super::seen::{Seen, is_quorum, with_colluders};
use super::{Behaviour, Puppet};
use crate::{Ballot, Certificate, Message, ValidatorIndex, View, Vote};

/// Pads certificates.
#[derive(Debug, Default)]
pub(super) struct PaddedCertificate {
    seen: Seen,
    /// (view, step) of the last one.
    last: (View, u8),
}

/// A quorum without the one whose signature is spoiled. Spoiled is one who did not sign, or who is not needed.
fn padded(puppet: &mut Puppet<'_>, ballot: Ballot, votes: &[Vote]) -> Option<Certificate> {
    let without = |who: ValidatorIndex| -> Vec<Vote> { votes.iter().filter(|v| v.voter != who).cloned().collect() };
    let candidates = puppet.set.iter().map(|(who, _)| who);
    let (spoiled, mut votes) =
        candidates.map(|who| (who, without(who))).find(|(_, rest)| is_quorum(puppet.set, rest))?;
    let signature = puppet.random_signature();
    votes.push(Vote { ballot, voter: spoiled, signature, named: None });
    votes.sort_by_key(|vote| vote.voter);
    Some(Certificate::form(puppet.set, ballot, votes.iter()))
}

impl Behaviour for PaddedCertificate {
    fn sends(&mut self, puppet: &mut Puppet<'_>, to: Option<ValidatorIndex>, message: Message) {
        self.seen.note(&message);
        puppet.pass(to, message);
    }

    fn hears(&mut self, puppet: &mut Puppet<'_>, _from: ValidatorIndex, message: &Message) -> bool {
        self.seen.note(message);
        let Message::Vote(vote) = message else { return true };
        if vote.ballot.mark() <= self.last || vote.ballot.view.next() < puppet.view {
            return true;
        }
        let votes = with_colluders(puppet, &vote.ballot, self.seen.tally(puppet.set, &vote.ballot));
        if let Some(certificate) = padded(puppet, vote.ballot, &votes) {
            self.last = vote.ballot.mark();
            puppet.did();
            puppet.broadcast(&Message::Certificate(certificate));
        }
        true
    }
}

//! Certificates that lack a quorum and count a signature twice: under the index of others, or twice under the one of
//! its signer, for which the format has no place. Rules: C1, C2.

use super::seen::{Seen, is_quorum};
use super::{Behaviour, Puppet};
use crate::{Certificate, Message, ValidatorIndex, View, Vote};

/// Counts signatures twice.
#[derive(Debug, Default)]
pub(super) struct DuplicateSigner {
    seen: Seen,
    /// (view, step) of the last one.
    last: (View, u8),
}

/// The votes of all: who did not vote has the signature of another.
fn spread(puppet: &Puppet<'_>, votes: &[Vote], doubled: &Vote) -> Certificate {
    let of = |who: ValidatorIndex| {
        let own = votes.iter().find(|vote| vote.voter == who).cloned();
        own.unwrap_or_else(|| Vote { voter: who, ..doubled.clone() })
    };
    let all: Vec<Vote> = puppet.set.iter().map(|(who, _)| of(who)).collect();
    Certificate::form(puppet.set, doubled.ballot, all.iter())
}

/// The votes as they are, one of them once more for each that is missing.
fn repeated(puppet: &Puppet<'_>, votes: &[Vote], doubled: &Vote) -> Certificate {
    let mut all = votes.to_vec();
    all.resize(puppet.set.len(), doubled.clone());
    all.sort_by_key(|vote| vote.voter);
    Certificate::form(puppet.set, doubled.ballot, all.iter())
}

impl Behaviour for DuplicateSigner {
    fn sends(&mut self, puppet: &mut Puppet<'_>, to: Option<ValidatorIndex>, message: Message) {
        self.seen.note(&message);
        puppet.pass(to, message);
    }

    fn hears(&mut self, puppet: &mut Puppet<'_>, _from: ValidatorIndex, message: &Message) -> bool {
        self.seen.note(message);
        let Message::Vote(doubled) = message else { return true };
        if puppet.set.get(doubled.voter).is_none()
            || doubled.ballot.mark() <= self.last
            || doubled.ballot.view < puppet.view
        {
            return true;
        }
        let votes = self.seen.tally(puppet.set, &doubled.ballot);
        if votes.is_empty() || is_quorum(puppet.set, &votes) {
            return true;
        }
        self.last = doubled.ballot.mark();
        puppet.did();
        puppet.broadcast(&Message::Certificate(spread(puppet, &votes, doubled)));
        puppet.broadcast(&Message::Certificate(repeated(puppet, &votes, doubled)));
        true
    }
}

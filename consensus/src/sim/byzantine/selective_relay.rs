//! Withholds its Commits, and gives the commit certificates that they complete to one validator alone: this one has
//! final blocks of which the others do not know that they are. Rules: F1, W2, K1, K2.

use super::seen::{Seen, is_quorum, with_colluders};
use super::{Behaviour, Puppet};
use crate::{Certificate, Message, Phase, ValidatorIndex, View};

/// Gives finality to one.
#[derive(Debug, Default)]
pub(super) struct SelectiveRelay {
    seen: Seen,
    /// The view of the last certificate that it gave.
    last: View,
}

impl Behaviour for SelectiveRelay {
    fn sends(&mut self, puppet: &mut Puppet<'_>, to: Option<ValidatorIndex>, message: Message) {
        let commits = |certificate: &Certificate| certificate.phase == Phase::Commit;
        let withheld = match &message {
            Message::Vote(vote) => vote.ballot.phase == Phase::Commit,
            Message::Certificate(certificate) => commits(certificate),
            Message::Status(status) => status.entry.as_ref().is_some_and(commits),
            _ => false,
        };
        if !withheld {
            puppet.pass(to, message);
        }
    }

    fn hears(&mut self, puppet: &mut Puppet<'_>, _from: ValidatorIndex, message: &Message) -> bool {
        self.seen.note(message);
        let Message::Vote(vote) = message else { return true };
        let ballot = vote.ballot;
        if ballot.phase != Phase::Commit || ballot.view <= self.last {
            return true;
        }
        let votes = with_colluders(puppet, &ballot, self.seen.tally(puppet.set, &ballot));
        if is_quorum(puppet.set, &votes)
            && let Some(chosen) = puppet.victim()
        {
            self.last = ballot.view;
            puppet.did();
            let certificate = Certificate::form(puppet.set, ballot, votes.iter());
            puppet.send(&[chosen], &Message::Certificate(certificate));
        }
        true
    }
}

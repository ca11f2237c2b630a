//! Signs both Commit and ViewChange of a view, each for a part of the others. Rules: S2, E1, "a committed view is not
//! skipped".

use super::seen::Seen;
use super::{Behaviour, Puppet};
use crate::{Hash, Message, Phase, ValidatorIndex};

/// Commits and gives up.
#[derive(Debug, Default)]
pub(super) struct CommitAndViewChange {
    seen: Seen,
}

impl Behaviour for CommitAndViewChange {
    fn sends(&mut self, puppet: &mut Puppet<'_>, to: Option<ValidatorIndex>, message: Message) {
        self.seen.note(&message);
        let Message::Vote(vote) = &message else { return puppet.pass(to, message) };
        let view = vote.ballot.view;
        let contrary = match vote.ballot.phase {
            Phase::Commit => Some((Phase::ViewChange, Hash::ZERO)),
            Phase::ViewChange => self.seen.proposal(view).map(|proposal| (Phase::Commit, proposal.block.hash)),
            Phase::Propose | Phase::Prepare => None,
        };
        let Some((phase, block)) = contrary else { return puppet.pass(to, message) };
        puppet.did();
        let [some, others] = puppet.halves();
        puppet.send(&some, &message);
        puppet.send_vote(&others, phase, view, block);
    }

    fn hears(&mut self, _puppet: &mut Puppet<'_>, _from: ValidatorIndex, message: &Message) -> bool {
        self.seen.note(message);
        true
    }
}

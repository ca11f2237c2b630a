//! The planted bugs of the state machine that need more than a line where they are planted.

use super::{Core, Timer};
use crate::planted::{self, Bug};
use crate::{Phase, View, Vote};

impl Core {
    /// [`Bug::PrepareAfterViewChange`], [`Bug::CommitAndViewChange`]: whether our ViewChange of this view is forgotten
    /// for this phase, so that the one mark of the view's last step does not stand in its way.
    pub(super) fn forgets_view_change(&self, phase: Phase, view: View) -> bool {
        let Some(state) = self.views.get(&view) else { return false };
        let (bug, own) = match phase {
            Phase::Prepare => (Bug::PrepareAfterViewChange, &state.prepares),
            Phase::Commit => (Bug::CommitAndViewChange, &state.commits),
            Phase::Propose | Phase::ViewChange => return false,
        };
        let me = self.config.me;
        let gave_up = self.memory.mark.0 == view && state.view_changes.contains_key(&me);
        planted::is(bug) && gave_up && !own.contains_key(&me)
    }

    /// [`Bug::StaleTimeout`]: a view's timer ends the current view, whichever view it was set for.
    pub(super) fn taken_for_current(&self, timer: Timer) -> Timer {
        match timer {
            Timer::View(_) if planted::is(Bug::StaleTimeout) => Timer::View(self.view),
            timer => timer,
        }
    }

    /// [`Bug::DuplicateSigner`]: a vote that came before counts once more.
    pub(super) fn count_again(&mut self, vote: &Vote) {
        let weight = u128::from(self.config.set.weight(vote.voter).0);
        *self.state(vote.ballot.view).repeated.entry(vote.ballot).or_default() += weight;
        if let Some(certificate) = self.form(&vote.ballot) {
            self.adopt(certificate);
        }
    }
}

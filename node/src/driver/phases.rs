//! How long each phase of a view takes, seen from this validator.
//!
//! | phase | from | to |
//! |---|---|---|
//! | propose | there is work in the view | its proposal can be judged (the leader: is sent) |
//! | validate | that | this validator sends Prepare: the block was executed |
//! | prepare | that | a quorum has sent Prepare |
//! | commit | that | a quorum has sent Commit: the block is final |
//! | view_change | this validator gives the view up | a quorum has |

use std::collections::BTreeMap;
use std::time::Instant;

use assent_consensus::core::{Input, Output};
use assent_consensus::{Message, Phase, Record, View};

use super::measures;

/// Views whose times are kept: those around the present one. Finality may be some views behind.
const KEPT: usize = 64;

/// When a view came how far.
#[derive(Debug, Default)]
struct Marks {
    work: Option<Instant>,
    proposed: Option<Instant>,
    voted: Option<Instant>,
    prepared: Option<Instant>,
    gave_up: Option<Instant>,
}

/// The times of the latest views.
#[derive(Debug, Default)]
pub(super) struct Phases(BTreeMap<View, Marks>);

impl Phases {
    /// Whether the view has a proposal that could be judged.
    pub(super) fn has_proposal(&self, view: View) -> bool {
        self.0.get(&view).is_some_and(|marks| marks.proposed.is_some())
    }

    pub(super) fn begin_step(&mut self, input: &Input) {
        if let Input::Work(view) = input
            && let Some(marks) = self.0.get_mut(view)
        {
            marks.work.get_or_insert_with(Instant::now);
        }
    }

    pub(super) fn observe(&mut self, output: &Output) {
        match output {
            Output::EnteredView { view, .. } => self.enter(*view),
            Output::Validate(proposal, _) => self.proposed(proposal.block.view),
            Output::Broadcast(Message::Propose(proposal)) => self.proposed(proposal.block.view),
            Output::Sign(ballot) => self.signed(ballot.view, ballot.phase),
            Output::Persist(Record::Certificate(certificate)) => self.certified(certificate.view, certificate.phase),
            _ => {}
        }
    }

    fn enter(&mut self, view: View) {
        self.0.entry(view).or_default();
        while self.0.len() > KEPT {
            self.0.pop_first();
        }
    }

    fn proposed(&mut self, view: View) {
        let Some(marks) = self.0.get_mut(&view) else { return };
        if marks.proposed.is_none() {
            marks.proposed = Some(Instant::now());
            measures::phase("propose", marks.work);
        }
    }

    fn signed(&mut self, view: View, phase: Phase) {
        let Some(marks) = self.0.get_mut(&view) else { return };
        match phase {
            Phase::Prepare => {
                measures::phase("validate", marks.proposed);
                marks.voted = Some(Instant::now());
            }
            Phase::ViewChange => marks.gave_up = Some(Instant::now()),
            Phase::Propose | Phase::Commit => {}
        }
    }

    fn certified(&mut self, view: View, phase: Phase) {
        let Some(marks) = self.0.get_mut(&view) else { return };
        match phase {
            Phase::Propose | Phase::Prepare => {
                measures::phase("prepare", marks.voted);
                marks.prepared = Some(Instant::now());
            }
            Phase::Commit => measures::phase("commit", marks.prepared),
            Phase::ViewChange => measures::phase("view_change", marks.gave_up),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_has_one_proposal_and_only_views_that_were_entered_are_kept() {
        let mut phases = Phases::default();
        phases.enter(View(5));
        phases.begin_step(&Input::Work(View(5)));
        phases.begin_step(&Input::Work(View(6)));
        assert!(!phases.has_proposal(View(5)));
        phases.proposed(View(5));
        phases.proposed(View(6));
        assert!(phases.has_proposal(View(5)));
        assert!(!phases.has_proposal(View(6)));
        assert_eq!(phases.0.len(), 1);
        let first = phases.0[&View(5)].proposed;
        phases.proposed(View(5));
        assert_eq!(phases.0[&View(5)].proposed, first);
    }

    #[test]
    fn old_views_are_forgotten() {
        let mut phases = Phases::default();
        (0..1_000).for_each(|view| phases.enter(View(view)));
        assert_eq!(phases.0.len(), KEPT);
        assert!(phases.0.contains_key(&View(999)));
    }
}

//! Views that did not come to a block, and why: for logs, metrics and status.
//!
//! The state machine says that it gives a view up, not why. The driver sees what the step was about (a timer, a
//! verdict, a vote of others) and how the view stood, and tells the reason from that. Nothing depends on it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use assent_consensus::core::{Input, Output, Timer};
use assent_consensus::{Phase, Record, ValidatorIndex, View};

use super::{Driver, measures};

/// Failed views that are remembered.
const KEPT: usize = 64;

/// Why a view did not come to a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing was heard of the leader for several views: it was not waited for.
    SilentLeader,
    /// No proposal that could be judged came in time.
    NoProposal,
    /// There was a proposal, but too few votes for it came in time.
    Timeout,
    /// The proposal is not valid.
    InvalidProposal,
    /// The leader itself gave the view up.
    LeaderGaveUp,
    /// So many gave up that no quorum was left.
    OthersGaveUp,
    /// The others have gone on before this validator gave up.
    SkippedByOthers,
}

impl Failure {
    /// What logs, metrics and status call it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::SilentLeader => "silent leader",
            Self::NoProposal => "no proposal",
            Self::Timeout => "timeout",
            Self::InvalidProposal => "invalid proposal",
            Self::LeaderGaveUp => "leader gave up",
            Self::OthersGaveUp => "others gave up",
            Self::SkippedByOthers => "skipped by others",
        }
    }

    /// What all of them are called.
    pub(super) const WORDS: &[&str] = &[
        Self::SilentLeader.words(),
        Self::NoProposal.words(),
        Self::Timeout.words(),
        Self::InvalidProposal.words(),
        Self::LeaderGaveUp.words(),
        Self::OthersGaveUp.words(),
        Self::SkippedByOthers.words(),
    ];
}

/// A view that did not come to a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedView {
    /// The view.
    pub view: View,
    /// Who led it.
    pub leader: ValidatorIndex,
    /// Why.
    pub reason: Failure,
    /// When this validator gave it up, or learned that it is over.
    pub at: Instant,
}

/// What a step of the state machine was about, as far as it tells why a view is given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Cause {
    #[default]
    Other,
    /// The view has lasted long enough.
    TimerRanOut,
    /// The proposal was found invalid.
    Refused,
}

/// How a view stands when it is given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Situation {
    cause: Cause,
    leader_is_silent: bool,
    proposed: bool,
    leader_gave_up: bool,
    no_quorum_is_left: bool,
}

impl Situation {
    const fn failure(self) -> Failure {
        match self.cause {
            _ if self.leader_is_silent => Failure::SilentLeader,
            Cause::TimerRanOut if self.proposed => Failure::Timeout,
            Cause::TimerRanOut => Failure::NoProposal,
            Cause::Refused => Failure::InvalidProposal,
            Cause::Other if self.leader_gave_up => Failure::LeaderGaveUp,
            Cause::Other if self.no_quorum_is_left => Failure::OthersGaveUp,
            // What is left: the proposal does not stand on the final chain.
            Cause::Other => Failure::InvalidProposal,
        }
    }
}

/// The last failed views, newest first.
#[derive(Debug, Default)]
pub(super) struct FailedViews {
    /// Shared with the status, and copied only when a view fails.
    recent: Arc<VecDeque<FailedView>>,
    cause: Cause,
}

impl FailedViews {
    pub(super) fn recent(&self) -> Arc<VecDeque<FailedView>> {
        self.recent.clone()
    }

    /// What the next step is about.
    pub(super) fn begin_step(&mut self, input: &Input) {
        self.cause = match input {
            Input::Timer(Timer::View(_)) => Cause::TimerRanOut,
            Input::Validated { valid: false, .. } => Cause::Refused,
            _ => Cause::Other,
        };
    }

    /// Notes a view, unless it is noted already.
    fn note(&mut self, failed: FailedView) -> bool {
        if self.recent.iter().any(|known| known.view == failed.view) {
            return false;
        }
        let recent = Arc::make_mut(&mut self.recent);
        recent.push_front(failed);
        recent.truncate(KEPT);
        true
    }

    /// The others came to a block in this view, although we had given it up.
    fn came_to_a_block(&mut self, view: View) {
        if self.recent.iter().any(|known| known.view == view) {
            Arc::make_mut(&mut self.recent).retain(|known| known.view != view);
        }
    }
}

impl Driver {
    /// Counts what the state machine asks for, and notes why views fail.
    pub(super) fn observe(&mut self, output: &Output) {
        measures::count(output);
        self.phases.observe(output);
        match output {
            Output::Sign(ballot) if ballot.phase == Phase::ViewChange => {
                let reason = self.situation_of(ballot.view).failure();
                self.view_failed(ballot.view, reason);
            }
            Output::Persist(Record::Certificate(certificate)) => match certificate.phase {
                Phase::ViewChange => self.view_failed(certificate.view, Failure::SkippedByOthers),
                Phase::Propose | Phase::Prepare | Phase::Commit => self.failed.came_to_a_block(certificate.view),
            },
            _ => {}
        }
    }

    /// How the view stands that is given up in this step.
    fn situation_of(&self, view: View) -> Situation {
        let leader = self.set.leader(view);
        let gave_up: Vec<ValidatorIndex> = self.core.gave_up().collect();
        Situation {
            cause: self.failed.cause,
            leader_is_silent: self.core.silent().any(|silent| silent == leader),
            proposed: self.phases.has_proposal(view),
            leader_gave_up: gave_up.contains(&leader),
            no_quorum_is_left: self.set.blocks_quorum(self.set.weigh(gave_up)),
        }
    }

    fn view_failed(&mut self, view: View, reason: Failure) {
        let leader = self.set.leader(view);
        if self.failed.note(FailedView { view, leader, reason, at: Instant::now() }) {
            measures::view_failed(reason);
            let (name, reason) = (self.directory.name(leader), reason.words());
            tracing::debug!(target: "assent::consensus", view = view.0, leader = name, reason, "view failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(view: u64, reason: Failure) -> FailedView {
        FailedView { view: View(view), leader: ValidatorIndex(1), reason, at: Instant::now() }
    }

    #[test]
    fn the_reason_follows_from_what_the_step_was_about_and_how_the_view_stood() {
        let nothing = Situation::default();
        let timer = Situation { cause: Cause::TimerRanOut, ..nothing };
        for (situation, reason) in [
            (timer, Failure::NoProposal),
            (Situation { proposed: true, ..timer }, Failure::Timeout),
            (Situation { leader_is_silent: true, ..timer }, Failure::SilentLeader),
            (Situation { leader_is_silent: true, leader_gave_up: true, ..nothing }, Failure::SilentLeader),
            (Situation { cause: Cause::Refused, proposed: true, ..nothing }, Failure::InvalidProposal),
            (Situation { leader_gave_up: true, no_quorum_is_left: true, ..nothing }, Failure::LeaderGaveUp),
            (Situation { no_quorum_is_left: true, proposed: true, ..nothing }, Failure::OthersGaveUp),
            (Situation { proposed: true, ..nothing }, Failure::InvalidProposal),
        ] {
            assert_eq!(situation.failure(), reason, "{situation:?}");
        }
    }

    #[test]
    fn a_view_is_noted_once_newest_first_and_bounded() {
        let mut views = FailedViews::default();
        for view in 0..100 {
            assert!(views.note(failed(view, Failure::Timeout)));
            assert!(!views.note(failed(view, Failure::SkippedByOthers)));
        }
        let recent = views.recent();
        assert_eq!(recent.len(), KEPT);
        assert!(recent.iter().map(|failed| failed.view.0).eq((100 - KEPT as u64..100).rev()));
        assert!(recent.iter().all(|failed| failed.reason == Failure::Timeout));
    }

    #[test]
    fn a_view_that_came_to_a_block_after_all_did_not_fail() {
        let mut views = FailedViews::default();
        views.note(failed(3, Failure::NoProposal));
        views.note(failed(4, Failure::NoProposal));
        views.came_to_a_block(View(3));
        assert!(views.recent().iter().map(|failed| failed.view.0).eq([4]));
    }
}

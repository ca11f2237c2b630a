//! Twins ("Twins: BFT Systems Made Robust", Bano and others): a validator runs twice, with one key. Each instance is
//! the real state machine and behaves; together they propose two blocks for one view, vote twice and forget what
//! they voted for. So every misbehaviour that the honest code is capable of comes by itself.
//!
//! A run is synchronous, without clock and chance. It has *rounds*. In the r-th there is work in the first r views
//! alone: so it decides one view more at most, and what was left undone before. In each round the instances, not the
//! validators, are cut into groups; a message reaches the instances of its sender's group. Messages are delivered until
//! nobody has anything to say. At the beginning of the next round, thus under the next cuts, the timers of all who are
//! still in an earlier view run out: they give it up, and say again what they said.
//! After the last round everybody reaches everybody, with both instances of a twin, one or none, and within
//! [`views_to_recover`] views every honest instance has to make further blocks final.
//!
//! **Recipients** are enumerated: all cuts into at most so many groups, in all rounds. **Leaders** are not chosen by a
//! plan as in the paper, since our leaders follow from the weights (SPEC rule L). What matters is in which rounds a
//! twin leads, and who leads in the others. It is enumerated by letting each validator in turn be the twin, for
//! several weights, and by beginning at several places of the rotation: on a final block of a later view. As a cut may
//! take any instance apart, a leader that nobody hears is among the plans as well.
//!
//! In every run: one final block for each height, each with a certificate that verifies; no honest validator is
//! accused; whoever received two ballots of a twin that contradict each other reports it; each instance signs for each
//! (view, step) once, ever rising; and after the cuts there is progress.

mod checks;
mod enumerate;
mod plan;
mod play;
mod setup;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;

use enumerate::{Size, draw_large, draw_small, scopes};
use plan::{Plan, parse, tell};
use play::{Outcome, play};
use setup::Setup;

/// What many runs came to.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Summary {
    /// Runs.
    pub runs: u64,
    /// Views that they went through.
    pub views: u64,
    /// Blocks that became final.
    pub final_blocks: u64,
    /// Offences of twins that were proven: (view, twin).
    pub offences: u64,
    /// Messages that were delivered.
    pub messages: u64,
    /// Most views that it took to make progress once the cuts had ended.
    pub worst_recovery: u64,
    /// Runs that failed.
    pub failed: u64,
    /// The first failures, each told so that it can be played again.
    pub failures: Vec<String>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} runs, {} views, {} final blocks, {} offences proven, {} messages, worst recovery {} views, {} failed",
            self.runs, self.views, self.final_blocks, self.offences, self.messages, self.worst_recovery, self.failed
        )?;
        self.failures.iter().try_for_each(|failure| write!(f, "\n{failure}"))
    }
}

/// Within how many views after the cuts every honest instance has to make further blocks final.
#[must_use]
pub const fn views_to_recover() -> u64 {
    play::VIEWS_AFTER
}

/// Four validators, one of them twice, all cuts into two groups: three rounds for equal weights, two for several
/// unequal ones. At most `limit` runs; if there are more plans, these are spread evenly over all.
#[must_use]
pub fn enumerate_small(limit: u64) -> Summary {
    let (equal, unequal) = (Size { rounds: 3, groups: 2 }, Size { rounds: 2, groups: 2 });
    enumerate::enumerate(&scopes(equal, unequal), limit)
}

/// As [`enumerate_small`], but three rounds and cuts into three groups for all weights: about a million plans.
#[must_use]
pub fn enumerate_wide(limit: u64) -> Summary {
    let size = Size { rounds: 3, groups: 3 };
    enumerate::enumerate(&scopes(size, size), limit)
}

/// Seven validators, two of them twice, in six rounds; one run for each seed. Also ways that are open in one direction,
/// and messages that arrive late.
#[must_use]
pub fn sample(seeds: Range<u64>) -> Summary {
    let mut summary = Summary::default();
    for seed in seeds {
        let (setup, plan) = draw_large(seed);
        summary.add(&play(&setup, &plan), |failure| tell(&setup, &plan, failure));
    }
    summary
}

/// One run of a small set-up, drawn by the seed. Tells what failed, if anything did.
#[must_use]
pub fn hunt(seed: u64) -> Option<String> {
    let (setup, plan) = draw_small(seed);
    told(&setup, &plan, &play(&setup, &plan))
}

/// Plays the line of text again that a failure ends with. Tells what failed, if anything did.
///
/// # Errors
/// When the text is no such line.
pub fn replay(text: &str) -> Result<Option<String>, String> {
    let (setup, plan) = parse(text)?;
    Ok(told(&setup, &plan, &play(&setup, &plan)))
}

fn told(setup: &Setup, plan: &Plan, outcome: &Outcome) -> Option<String> {
    outcome.failure.as_ref().map(|failure| tell(setup, plan, failure))
}

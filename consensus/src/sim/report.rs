//! What came of a run.

use std::fmt;

use super::kinds::Counts;
use super::trace::Line;
use crate::{Hash, ValidatorIndex};

/// A final block, when the first node had it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockMoment {
    /// When, in microseconds of the run.
    pub at_us: u64,
    /// Its height.
    pub height: u64,
    /// Its view.
    pub view: u64,
    /// The leader of its view.
    pub proposer: ValidatorIndex,
}

/// The result of one run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// The scenario's name.
    pub scenario: &'static str,
    /// The seed.
    pub seed: u64,
    /// The weights of the validators.
    pub stakes: Vec<u64>,
    /// SHA-256 over all events.
    pub trace: Hash,
    /// Final blocks.
    pub heights: u64,
    /// The final height of each node at the end.
    pub node_heights: Vec<u64>,
    /// Final blocks with their times.
    pub blocks: Vec<BlockMoment>,
    /// Views that were skipped.
    pub view_changes: u64,
    /// Virtual time that passed, in milliseconds.
    pub virtual_ms: u64,
    /// How long after the end of the faults every working validator had a new final block.
    pub recovery_ms: Option<u64>,
    /// How many views after the end of the faults the first new final block came.
    pub recovery_views: Option<u64>,
    /// Events that were played.
    pub events: u64,
    /// Messages that arrived.
    pub messages: u64,
    /// Crashes that happened.
    pub crashes: u64,
    /// Validators against which there is evidence.
    pub accused: u64,
    /// Faults that happened.
    pub faults: Counts,
    /// What did not hold, if anything.
    pub failure: Option<String>,
    /// The last events, a line each, or all.
    pub timeline: Vec<Line>,
}

impl Report {
    /// Whether everything held.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        self.failure.is_none()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.timeline {
            writeln!(f, "{line}")?;
        }
        let seconds = self.virtual_ms / 1000;
        let recovery = self.recovery_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms"));
        writeln!(
            f,
            "scenario {} seed {}: stakes {:?}, {} final blocks, {} view changes, {} crashes in {seconds} s; recovery {recovery}",
            self.scenario, self.seed, self.stakes, self.heights, self.view_changes, self.crashes
        )?;
        let faults: Vec<String> = self.faults.iter().map(|(name, count)| format!("{name} {count}")).collect();
        writeln!(f, "faults: {}", faults.join(", "))?;
        if let Some(failure) = &self.failure {
            writeln!(f, "FAILED: {failure}")?;
            writeln!(
                f,
                "play it again: ASSENT_SIM_SCENARIO={} ASSENT_SIM_SEED={} cargo test -p assent-consensus sim::tests::replay -- --nocapture",
                self.scenario, self.seed
            )?;
        }
        Ok(())
    }
}

//! What came of a run.

use std::fmt;

use crate::Hash;

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
    /// Views that were skipped.
    pub view_changes: u64,
    /// Virtual time that passed, in milliseconds.
    pub virtual_ms: u64,
    /// How long after the end of the faults every working validator had a new final block.
    pub recovery_ms: Option<u64>,
    /// Events that were played.
    pub events: u64,
    /// Messages that arrived.
    pub messages: u64,
    /// Crashes that happened.
    pub crashes: u64,
    /// Validators against which there is evidence.
    pub accused: u64,
    /// What did not hold, if anything.
    pub failure: Option<String>,
    /// The last events before a failure, a line each.
    pub timeline: Vec<String>,
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

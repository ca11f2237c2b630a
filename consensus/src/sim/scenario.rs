//! What is to be simulated.

use super::network::Links;
use crate::core::Timing;

/// The weights of the validators.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stakes {
    /// So many validators, from the first to the second number, with unequal random weights.
    Random(usize, usize),
    /// These.
    Given(Vec<u64>),
}

/// The transactions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Load {
    /// None.
    Idle,
    /// One after each interval in milliseconds.
    Every(u64),
}

/// When a run is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Goal {
    /// Every working honest validator has so many final blocks, and votes.
    Heights(u64),
    /// So many milliseconds of virtual time have passed.
    Time(u64),
}

/// What goes wrong, and how often, while the faults last.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Faults {
    /// How long they last, in milliseconds.
    pub for_ms: u64,
    /// Crashes of single validators, which start again after up to five seconds.
    pub crashes: u32,
    /// Crashes of all at once.
    pub blackouts: u32,
    /// Validators that lose their disk, and start again with nothing but their key.
    pub wipes: u32,
    /// Validators whose disk is put back to an earlier copy.
    pub rollbacks: u32,
    /// Partitions, in both directions or in one, of up to five seconds.
    pub partitions: u32,
    /// Verdicts and built blocks of a thousand that the application never gives.
    pub unanswered: u32,
    /// Whether as many validators as a quorum can miss are down from the start to the end.
    pub dead_third: bool,
    /// Whether one validator runs twice with one key, each instance talking with some of the others.
    pub twins: bool,
}

/// A scenario.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// Weights.
    pub stakes: Stakes,
    /// Durations of the protocol.
    pub timing: Timing,
    /// Least time between blocks.
    pub min_block_interval_ms: u64,
    /// After how long an empty block is due; 0: never.
    pub empty_block_interval_ms: u64,
    /// Transactions.
    pub load: Load,
    /// The network while the faults last; afterwards it only delays.
    pub links: Links,
    /// Faults.
    pub faults: Faults,
    /// When it is over.
    pub goal: Goal,
    /// Within how long after the faults every working honest validator must have a new final block, and then always
    /// another one.
    pub recovery_ms: u64,
}

impl Scenario {
    /// 4 to 10 validators with unequal weights, the timing of a default genesis, a good network, no faults, 50 blocks.
    #[must_use]
    pub fn calm() -> Self {
        Self {
            name: "calm",
            stakes: Stakes::Random(4, 10),
            timing: Timing { view_timeout_ms: 1000, view_timeout_max_ms: 10_000, retransmit_ms: 400 },
            min_block_interval_ms: 50,
            empty_block_interval_ms: 10_000,
            load: Load::Every(20),
            links: Links::GOOD,
            faults: Faults::default(),
            goal: Goal::Heights(50),
            recovery_ms: 5_000,
        }
    }

    /// No transactions, and no empty blocks either.
    #[must_use]
    pub fn idle() -> Self {
        let goal = Goal::Time(120_000);
        Self { name: "idle", load: Load::Idle, empty_block_interval_ms: 0, goal, ..Self::calm() }
    }

    /// Messages are lost, doubled and late.
    #[must_use]
    pub fn lossy() -> Self {
        let faults = Faults { for_ms: 10_000, unanswered: 20, ..Faults::default() };
        Self { name: "lossy", links: Links::LOSSY, faults, recovery_ms: 20_000, ..Self::calm() }
    }

    /// As many validators as a quorum can miss are dead.
    #[must_use]
    pub fn dead_third() -> Self {
        let faults = Faults { dead_third: true, ..Faults::default() };
        Self { name: "dead_third", faults, recovery_ms: 60_000, ..Self::calm() }
    }

    /// Single validators crash and start again.
    #[must_use]
    pub fn crashes() -> Self {
        let faults = Faults { for_ms: 15_000, crashes: 12, ..Faults::default() };
        Self { name: "crashes", faults, recovery_ms: 20_000, ..Self::calm() }
    }

    /// All crash at the same moment.
    #[must_use]
    pub fn blackouts() -> Self {
        let faults = Faults { for_ms: 15_000, blackouts: 3, ..Faults::default() };
        Self { name: "blackouts", faults, recovery_ms: 10_000, ..Self::calm() }
    }

    /// A validator loses its disk, while the others go on.
    #[must_use]
    pub fn wiped() -> Self {
        let faults = Faults { for_ms: 10_000, wipes: 2, ..Faults::default() };
        Self { name: "wiped", faults, recovery_ms: 20_000, ..Self::calm() }
    }

    /// A validator's disk is put back to an earlier copy, while the others go on.
    #[must_use]
    pub fn rolled_back() -> Self {
        let faults = Faults { for_ms: 10_000, rollbacks: 1, ..Faults::default() };
        Self { name: "rolled_back", faults, recovery_ms: 20_000, ..Self::calm() }
    }

    /// The network falls apart and comes together again.
    #[must_use]
    pub fn partitions() -> Self {
        let faults = Faults { for_ms: 20_000, partitions: 6, ..Faults::default() };
        Self { name: "partitions", faults, recovery_ms: 25_000, ..Self::calm() }
    }

    /// Two instances with one key.
    #[must_use]
    pub fn twins() -> Self {
        let faults = Faults { for_ms: 10_000, twins: true, ..Faults::default() };
        Self { name: "twins", faults, recovery_ms: 40_000, ..Self::calm() }
    }

    /// Everything at once.
    #[must_use]
    pub fn chaos() -> Self {
        let faults = Faults {
            for_ms: 30_000,
            crashes: 10,
            blackouts: 1,
            wipes: 1,
            partitions: 4,
            unanswered: 20,
            ..Faults::default()
        };
        Self { name: "chaos", links: Links::LOSSY, faults, recovery_ms: 60_000, ..Self::calm() }
    }

    /// All of them.
    #[must_use]
    pub fn all() -> Vec<Self> {
        vec![
            Self::calm(),
            Self::idle(),
            Self::lossy(),
            Self::dead_third(),
            Self::crashes(),
            Self::blackouts(),
            Self::wiped(),
            Self::rolled_back(),
            Self::partitions(),
            Self::twins(),
            Self::chaos(),
        ]
    }
}

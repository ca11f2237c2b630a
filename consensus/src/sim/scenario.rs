//! What is to be simulated.

use super::byzantine;
use super::faults::Planned;
use super::kinds::FaultKind;
use super::network::Links;
use super::rng::Rng;
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
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Faults {
    /// How long they last, in milliseconds.
    pub for_ms: u64,
    /// Faults at random times, of random validators: so many of each kind.
    pub random: Vec<(FaultKind, u32)>,
    /// Faults of stated validators at stated times.
    pub planned: Vec<Planned>,
    /// Verdicts and built blocks of a thousand that the application never gives.
    pub unanswered: u32,
    /// Whether as many validators as a quorum can miss are down from the start to the end.
    pub dead_third: bool,
    /// Whether one validator runs twice with one key, each instance talking with some of the others.
    pub twins: bool,
    /// What Byzantine validators do, one behaviour each, in turn. They never stop; together they weigh less than a third.
    pub byzantine: Vec<byzantine::Kind>,
}

/// A scenario.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// Names of the validators, for the timeline; numbers where there are none.
    pub names: Vec<String>,
    /// Weights.
    pub stakes: Stakes,
    /// Durations of the protocol.
    pub timing: Timing,
    /// Least time between blocks.
    pub min_block_interval_ms: u64,
    /// After how long an empty block is due; 0: never.
    pub empty_block_interval_ms: u64,
    /// How far ahead of its own clock a validator accepts a block.
    pub max_clock_skew_ms: u64,
    /// Of a thousand inputs so many begin a batch: what comes in the next milliseconds shares their sync.
    pub gathered: u32,
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
    /// Within how many views after the faults there must be a new final block.
    pub recovery_views: u64,
    /// Whether signatures are ed25519, in place of ideal ones.
    pub real_signatures: bool,
    /// Whether the report has the whole timeline, not only its end.
    pub whole_timeline: bool,
}

impl Scenario {
    /// 4 to 10 validators with unequal weights, the timing of a default genesis, a good network, no faults, 50 blocks.
    #[must_use]
    pub fn calm() -> Self {
        Self {
            name: "calm",
            names: Vec::new(),
            stakes: Stakes::Random(4, 10),
            timing: Timing { view_timeout_ms: 1000, view_timeout_max_ms: 10_000, retransmit_ms: 400 },
            min_block_interval_ms: 50,
            empty_block_interval_ms: 10_000,
            max_clock_skew_ms: 2_000,
            gathered: 0,
            load: Load::Every(20),
            links: Links::GOOD,
            faults: Faults::default(),
            goal: Goal::Heights(50),
            recovery_ms: 5_000,
            recovery_views: 5,
            real_signatures: false,
            whole_timeline: false,
        }
    }

    fn with(
        name: &'static str,
        for_ms: u64,
        random: &[(FaultKind, u32)],
        recovery_ms: u64,
        recovery_views: u64,
    ) -> Self {
        let faults = Faults { for_ms, random: random.to_vec(), ..Faults::default() };
        Self { name, faults, recovery_ms, recovery_views, ..Self::calm() }
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
        Self { name: "dead_third", faults, recovery_ms: 60_000, recovery_views: 20, ..Self::calm() }
    }

    /// Single validators crash and start again.
    #[must_use]
    pub fn crashes() -> Self {
        let random = [(FaultKind::Crash, 4), (FaultKind::CrashAtStep, 8)];
        Self::with("crashes", 15_000, &random, 20_000, 10)
    }

    /// All crash at the same moment.
    #[must_use]
    pub fn blackouts() -> Self {
        Self::with("blackouts", 15_000, &[(FaultKind::Blackout, 3)], 10_000, 10)
    }

    /// A validator loses its disk, while the others go on.
    #[must_use]
    pub fn wiped() -> Self {
        Self::with("wiped", 10_000, &[(FaultKind::Wiped, 2)], 20_000, 20)
    }

    /// A validator's disk is put back to an earlier copy, while the others go on.
    #[must_use]
    pub fn rolled_back() -> Self {
        Self::with("rolled_back", 10_000, &[(FaultKind::RolledBack, 1)], 20_000, 20)
    }

    /// Bits of logs and marks are flipped.
    #[must_use]
    pub fn damaged() -> Self {
        Self::with("damaged", 10_000, &[(FaultKind::BitFlip, 3)], 20_000, 20)
    }

    /// The network falls apart and comes together again.
    #[must_use]
    pub fn partitions() -> Self {
        let random = [(FaultKind::Partition, 4), (FaultKind::OneWay, 2)];
        Self::with("partitions", 20_000, &random, 25_000, 10)
    }

    /// Two instances with one key.
    #[must_use]
    pub fn twins() -> Self {
        let faults = Faults { for_ms: 10_000, twins: true, ..Faults::default() };
        Self { name: "twins", faults, recovery_ms: 40_000, recovery_views: 20, ..Self::calm() }
    }

    /// Everything at once.
    #[must_use]
    pub fn chaos() -> Self {
        let random = [
            (FaultKind::Crash, 3),
            (FaultKind::CrashAtStep, 7),
            (FaultKind::Blackout, 1),
            (FaultKind::Wiped, 1),
            (FaultKind::Partition, 3),
            (FaultKind::OneWay, 1),
        ];
        let chaos = Self::with("chaos", 30_000, &random, 60_000, 30);
        Self { links: Links::LOSSY, faults: Faults { unanswered: 20, ..chaos.faults }, ..chaos }
    }

    /// Whatever the seed says: pace, network, batches, three to eight kinds of faults, and sometimes Byzantine validators or
    /// twins, or a third of the weight dead.
    #[must_use]
    pub fn random(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x7363_656e);
        let mut kinds = FaultKind::ALL.to_vec();
        rng.shuffle(&mut kinds);
        let count = rng.between(3, 8);
        let random = kinds.into_iter().take(usize::try_from(count).unwrap_or(8)).map(|kind| (kind, 2)).collect();
        let mut faults = Faults { for_ms: rng.between(5_000, 20_000), random, ..Faults::default() };
        match rng.below(6) {
            0 | 1 => faults.byzantine = byzantine::Kind::some(&mut rng),
            2 => faults.twins = true,
            3 => faults.dead_third = true,
            _ => {}
        }
        faults.unanswered = [0, 0, 20][rng.index(3)];
        Self {
            name: "random",
            min_block_interval_ms: [50, 200, 500, 1_000][rng.index(4)],
            load: Load::Every([20, 100, 700][rng.index(3)]),
            links: [Links::GOOD, Links::GOOD, Links::LOSSY][rng.index(3)],
            // Not drawn, so that the other seeds play what they always played.
            gathered: if seed % 4 == 2 { 300 } else { 0 },
            faults,
            recovery_ms: 90_000,
            recovery_views: 60,
            ..Self::calm()
        }
    }

    /// All that do not depend on the seed.
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
            Self::damaged(),
            Self::partitions(),
            Self::twins(),
            Self::chaos(),
        ]
    }

    /// The scenario of this name, or of a Byzantine behaviour; `random` is another one for each seed.
    #[must_use]
    pub fn named(name: &str, seed: u64) -> Option<Self> {
        if name == "random" {
            return Some(Self::random(seed));
        }
        let byzantine = || byzantine::Kind::from_name(name).map(byzantine::Kind::scenario);
        Self::all().into_iter().find(|scenario| scenario.name == name).or_else(byzantine)
    }
}

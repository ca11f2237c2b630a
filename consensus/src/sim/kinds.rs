//! The kinds of faults, and how often each of them happened.

use std::collections::BTreeMap;
use std::fmt;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)*) => {
        /// A kind of fault. What is counted is what came to pass, not what was planned.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum FaultKind {
            $($(#[$doc])* $kind,)*
        }

        impl FaultKind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }
    };
}

kinds! {
    /// A message is lost.
    Lost = "message lost",
    /// A message comes twice.
    Doubled = "message doubled",
    /// A message takes up to ten times as long.
    Late = "message late",
    /// A message overtakes an earlier one of the same link.
    Reordered = "messages reordered",
    /// A message of the past comes again.
    Replayed = "old message replayed",
    /// Bits of a message are flipped.
    Garbled = "message garbled",
    /// The network falls into parts.
    Partition = "partition",
    /// Some are heard by the others and do not hear them.
    OneWay = "one-way partition",
    /// One validator is cut off.
    Isolated = "validator isolated",
    /// The leader of the moment is cut off.
    LeaderIsolated = "leader isolated",
    /// One validator hears nobody.
    Deaf = "validator deaf",
    /// Nobody hears one validator.
    Mute = "validator mute",
    /// One link is slow.
    SlowLink = "slow link",
    /// All links of one validator are slow.
    SlowValidator = "slow validator",
    /// A group is far away from the rest.
    SlowRegion = "slow region",
    /// One link loses most of what it carries.
    LossyLink = "lossy link",
    /// A link comes and goes.
    Flapping = "flapping link",
    /// Everything is lost for a moment.
    Outage = "network outage",
    /// A connection breaks and comes again; what was on its way is lost.
    Reset = "connection reset",
    /// A validator loses power.
    Crash = "crash",
    /// A validator loses power between two steps of the driver.
    CrashAtStep = "crash at a step",
    /// A validator loses power while log and mark are synced.
    CrashInSync = "crash during a sync",
    /// A validator loses power while a new segment of the log is begun.
    CrashInRotation = "crash during log rotation",
    /// A validator loses power again soon after it started.
    CrashLoop = "crash loop",
    /// All lose power at once.
    Blackout = "blackout",
    /// All are restarted, one after the other.
    RollingRestart = "rolling restart",
    /// As many validators as a quorum can miss are down from start to end.
    Dead = "dead from the start",
    /// What was not synced is gone after a crash.
    WritesLost = "unsynced writes lost",
    /// The last record is torn by a crash.
    WriteTorn = "write torn",
    /// Pages of what was not synced are missing, and later ones are there.
    WriteHoles = "write with holes",
    /// The mark was synced and the log was not.
    LogBehind = "log behind mark",
    /// The log was synced and the mark was not.
    MarkBehind = "mark behind log",
    /// A slot of the mark is torn.
    MarkTorn = "mark torn",
    /// Final blocks that were not synced are gone.
    BlocksLost = "unsynced blocks lost",
    /// A sync fails, and the process ends.
    SyncFails = "failing sync",
    /// The disk is full, and the process ends.
    DiskFull = "full disk",
    /// Syncs take long.
    DiskSlow = "slow disk",
    /// A bit of the log or of the mark is flipped.
    BitFlip = "bit flipped on disk",
    /// The disk is lost.
    Wiped = "disk wiped",
    /// The disk is put back to an earlier copy.
    RolledBack = "disk rolled back",
    /// The process stands still for a while and goes on.
    Paused = "process paused",
    /// A clock jumps ahead.
    ClockAhead = "clock jumps ahead",
    /// A clock jumps back.
    ClockBack = "clock jumps back",
    /// A clock goes too fast or too slowly.
    ClockDrift = "clock drifts",
    /// Verdicts and blocks take long.
    ApplicationSlow = "slow application",
    /// A verdict or a built block never comes.
    Unanswered = "application silent",
    /// The application cannot build.
    NotBuilt = "block not built",
    /// One key runs twice.
    Twins = "twins",
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How often each fault happened, by name; what Byzantine validators did is named like any other.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Counts(BTreeMap<&'static str, u64>);

impl Counts {
    /// One more.
    pub fn add(&mut self, name: &'static str) {
        *self.0.entry(name).or_default() += 1;
    }

    pub(super) fn did(&mut self, kind: FaultKind) {
        self.add(kind.name());
    }

    /// How often this one.
    #[must_use]
    pub fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// All that happened, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(name, count)| (*name, *count))
    }

    /// Adds another run's.
    pub fn extend(&mut self, other: &Self) {
        for (name, count) in other.iter() {
            *self.0.entry(name).or_default() += count;
        }
    }

    /// Faults of all kinds.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

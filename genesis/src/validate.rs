//! Whether the values of a genesis make sense.
//!
//! [`Genesis::validate`] looks at everything and reports all it finds, each with the path of its
//! field. An error makes the genesis unusable; a warning is something that an operator should know
//! before the network starts, because afterwards it is agreed upon for good.

mod assent;
mod ethereum;

use std::fmt;

use crate::Genesis;

/// The shortest gas limit of a block: Ethereum's own floor for a network's start; a contract of
/// usual size does not fit into less.
pub const MIN_GAS_LIMIT: u64 = 5_000_000;

/// The largest gas limit of a block: Ethereum's own bound.
pub const MAX_GAS_LIMIT: u64 = i64::MAX as u64;

/// The largest chain id: the recovery value of a signature, `2 * id + 36`, must fit in 64 bits
/// (EIP-2294).
pub const MAX_CHAIN_ID: u64 = u64::MAX / 2 - 36;

/// The smallest limit for the size of a block: the largest transaction that nodes take (128 KiB),
/// the header and a seal full of evidence (17 KiB) fit together with room to spare, so that no
/// transaction waits forever for a block that could hold it.
pub const MIN_BLOCK_BYTES: u32 = 256 * 1024;

/// The largest limit for the size of a block: what a wide network still moves within a view.
pub const MAX_BLOCK_BYTES: u32 = 8 * 1024 * 1024;

/// The largest limit for the transactions of a block: more do not fit into the largest block.
pub const MAX_BLOCK_TRANSACTIONS: u32 = 100_000;

/// The longest interval or timeout, a day: longer ones are a unit gone wrong.
pub const MAX_INTERVAL: std::time::Duration = std::time::Duration::from_secs(86_400);

/// The longest name of a validator or node, in characters: it stands in logs and metrics.
pub const MAX_NAME_LENGTH: usize = 64;

/// The most nodes of a network: a node keeps state for each.
pub const MAX_NODES: usize = 1024;

/// The most addresses of a node: each is tried when connecting.
pub const MAX_ADDRESSES_PER_NODE: usize = 8;

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The genesis works, but perhaps not as intended.
    Warning,
    /// The genesis cannot be used.
    Error,
}

impl fmt::Display for Level {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// Something that an operator should know about a genesis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How grave it is.
    pub level: Level,
    /// The path of the field, such as `assent.validators[2].stake`.
    pub field: String,
    /// What is the matter and what to do.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}: {}: {}", self.level, self.field, self.message)
    }
}

/// Collects findings.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn error(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.add(Level::Error, field.into(), message.into());
    }

    fn warning(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.add(Level::Warning, field.into(), message.into());
    }

    fn add(&mut self, level: Level, field: String, message: String) {
        self.0.push(Finding { level, field, message });
    }

    fn has_errors(&self) -> bool {
        self.0.iter().any(|finding| finding.level == Level::Error)
    }
}

impl Genesis {
    /// Checks all values; empty when there is nothing to say.
    pub fn validate(&self) -> Vec<Finding> {
        let mut findings = Findings::default();
        ethereum::check(self, &mut findings);
        assent::check(self, &mut findings);
        findings.0
    }
}

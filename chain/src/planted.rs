//! Bugs on purpose, for tests alone: a harness is trusted when it finds them.
//!
//! Each is a mistake that somebody made before, put into the real code by a call of one of the functions below; outside
//! of tests neither the mistakes nor this module exist. `plant` switches one on for the calling thread until what it
//! returns is dropped. `hunt` has the harness look for them; those of the protocol are in the consensus crate.

mod hunt;
mod pair;
#[path = "../../tests/planted/switch.rs"]
mod switch;

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use revm::context::TxEnv;

use crate::execution::Receipt;
use crate::state::StateError;

pub(crate) use switch::{is, plant};

/// A planted bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bug {
    /// The receipts are hashed in the order of a hash map (`execution::root_and_bloom`).
    HashMapOrder,
    /// Contracts see the node's own clock (`BlockContext::of_header`).
    LocalClock,
    /// An account's last nonce is good once more (`Executor::execute`).
    NonceOffByOne,
}

impl Bug {
    /// All that can be planted into this crate.
    pub(crate) const ALL: [Self; 3] = [Self::HashMapOrder, Self::LocalClock, Self::NonceOffByOne];

    /// In the words of the table.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::HashMapOrder => "hash-map order in a root",
            Self::LocalClock => "local clock in a block",
            Self::NonceOffByOne => "nonce check off by one",
        }
    }

    /// What it imitates.
    pub(crate) const fn imitates(self) -> &'static str {
        match self {
            Self::HashMapOrder => "iteration over a map whose order differs from process to process",
            Self::LocalClock => "execution that depends on when and where it happens",
            Self::NonceOffByOne => "a transaction that is executed twice",
        }
    }
}

/// [`Bug::HashMapOrder`]: the receipts as a hash map gives them back.
pub(crate) fn in_map_order(receipts: &[Receipt]) -> Cow<'_, [Receipt]> {
    if !is(Bug::HashMapOrder) {
        return Cow::Borrowed(receipts);
    }
    let map: HashMap<usize, &Receipt> = receipts.iter().enumerate().collect();
    Cow::Owned(map.into_values().cloned().collect())
}

/// [`Bug::LocalClock`]: what this node's clock says, in nanoseconds.
pub(crate) fn by_the_clock(timestamp: u64) -> u64 {
    if !is(Bug::LocalClock) {
        return timestamp;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    u64::try_from(now).unwrap_or(u64::MAX)
}

/// [`Bug::NonceOffByOne`]: a transaction whose nonce is the account's last one is taken for one with the next.
pub(crate) fn with_last_nonce(env: TxEnv, next: impl FnOnce() -> Result<u64, StateError>) -> Result<TxEnv, StateError> {
    if !is(Bug::NonceOffByOne) {
        return Ok(env);
    }
    let next = next()?;
    let is_last = env.nonce.checked_add(1) == Some(next);
    Ok(if is_last { TxEnv { nonce: next, ..env } } else { env })
}

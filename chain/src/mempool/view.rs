//! What the pool tells about itself.

use std::sync::Arc;

use alloy_primitives::{Address, B256};

use super::sender::SenderQueue;
use crate::transaction::Recovered;

/// Where a transaction came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// This node's RPC: this node spreads it.
    Local,
    /// Another node.
    Peer,
    /// The journal of this node's last run.
    Journal,
}

impl Origin {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Peer => "peer",
            Self::Journal => "journal",
        }
    }
}

/// What admitting a transaction did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddOutcome {
    /// The transaction's hash.
    pub hash: B256,
    /// Whether it can be put into a block now; otherwise it is queued.
    pub executable: bool,
    /// The transaction that it replaced.
    pub replaced: Option<B256>,
}

/// News of the pool, for [`Mempool::subscribe`](super::Mempool::subscribe).
#[derive(Clone, Debug)]
pub enum PoolEvent {
    /// A transaction was admitted.
    Admitted {
        /// The transaction.
        tx: Arc<Recovered>,
        /// Where it came from.
        origin: Origin,
        /// Whether it can be put into a block now.
        executable: bool,
    },
    /// A transaction that was queued has become executable.
    Promoted {
        /// The transaction.
        tx: Arc<Recovered>,
    },
}

/// Size of the pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStatus {
    /// Executable transactions.
    pub executable: usize,
    /// Queued transactions.
    pub queued: usize,
    /// Estimated memory, as [`MempoolLimits::bytes`](super::MempoolLimits::bytes) counts it.
    pub bytes: usize,
    /// Senders with at least one transaction.
    pub senders: usize,
}

/// All that the pool holds of one sender, in the order of nonces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SenderContent {
    /// The sender.
    pub sender: Address,
    /// Its executable transactions.
    pub executable: Vec<Arc<Recovered>>,
    /// Its queued transactions.
    pub queued: Vec<Arc<Recovered>>,
}

impl SenderContent {
    pub(super) fn of(sender: Address, queue: &SenderQueue) -> Self {
        Self {
            sender,
            executable: queue.executable.iter().map(|entry| Arc::clone(&entry.tx)).collect(),
            queued: queue.queued.values().map(|entry| Arc::clone(&entry.tx)).collect(),
        }
    }
}

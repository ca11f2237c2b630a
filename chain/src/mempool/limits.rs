//! How much the pool may hold.

/// Bounds of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MempoolLimits {
    /// Most transactions in all.
    pub transactions: usize,
    /// Most memory in all, estimated: encoded bytes and about 1.5 KiB for each transaction.
    pub bytes: usize,
    /// Most executable transactions of one sender.
    pub executable_per_sender: usize,
    /// Most queued transactions of one sender.
    pub queued_per_sender: usize,
}

impl Default for MempoolLimits {
    /// Several seconds' worth of full blocks in all, within a node's memory budget; one sender
    /// may fill a block of 10,000 nearly alone, and its transactions may overtake each other on
    /// their way here by up to a thousand.
    fn default() -> Self {
        Self { transactions: 50_000, bytes: 96 * 1024 * 1024, executable_per_sender: 8_192, queued_per_sender: 1_024 }
    }
}

impl MempoolLimits {
    /// Nonces, from the account's on, that can be held for one sender.
    pub(super) fn nonces_per_sender(&self) -> u64 {
        (self.executable_per_sender.saturating_add(self.queued_per_sender) as u64).max(1)
    }
}

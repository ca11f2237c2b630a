//! A block that was executed here.

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::map::B256Set;
use alloy_primitives::{B256, Bytes};

use super::measures;
use crate::block::RecoveredBlock;
use crate::execution::{Receipt, Touched};
use crate::state::StateDiff;

/// A valid block with what came of executing it. Shared and immutable.
#[derive(Debug)]
pub struct ExecutedBlock {
    block: Arc<RecoveredBlock>,
    receipts: Arc<Vec<Receipt>>,
    touched: Vec<Touched>,
    diff: StateDiff,
    timings: Timings,
    transaction_hashes: B256Set,
}

/// Where the time of executing a block went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timings {
    /// Recovering the senders that this node did not know.
    pub recovery: Duration,
    /// Running the transactions.
    pub execution: Duration,
    /// The state trie.
    pub trie: Duration,
    /// The tries of transactions and receipts.
    pub roots: Duration,
}

impl ExecutedBlock {
    pub(crate) fn new(
        block: RecoveredBlock,
        receipts: Vec<Receipt>,
        touched: Vec<Touched>,
        diff: StateDiff,
        timings: Timings,
    ) -> Self {
        measures::executed(&timings);
        let transaction_hashes = block.transactions().iter().map(|tx| *tx.hash()).collect();
        Self { block: Arc::new(block), receipts: Arc::new(receipts), touched, diff, timings, transaction_hashes }
    }

    /// One that is told and forgotten: it is not counted, and nobody asks what its transactions touched.
    pub(crate) fn simulated(block: RecoveredBlock, receipts: Vec<Receipt>, diff: StateDiff) -> Self {
        Self {
            block: Arc::new(block),
            receipts: Arc::new(receipts),
            touched: Vec::new(),
            diff,
            timings: Timings::default(),
            transaction_hashes: B256Set::default(),
        }
    }

    /// keccak256 of the header.
    pub fn hash(&self) -> B256 {
        self.block.hash()
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.block.number()
    }

    /// The hash of the block before it.
    pub fn parent_hash(&self) -> B256 {
        self.block.header().parent_hash
    }

    /// When it was proposed, in milliseconds of Unix time.
    pub fn time_ms(&self) -> u64 {
        self.block.seal().time_ms
    }

    /// The block itself.
    pub fn block(&self) -> &Arc<RecoveredBlock> {
        &self.block
    }

    /// The block's encoding, as it is sent and logged.
    pub fn encoded(&self) -> &Bytes {
        self.block.encoded()
    }

    /// What came of its transactions, in their order.
    pub fn receipts(&self) -> &Arc<Vec<Receipt>> {
        &self.receipts
    }

    /// The accounts that each of its transactions touched.
    pub(crate) fn touched(&self) -> &[Touched] {
        &self.touched
    }

    /// The hashes of its transactions.
    pub(crate) fn transaction_hashes(&self) -> &B256Set {
        &self.transaction_hashes
    }

    /// What it changed in the state.
    pub fn diff(&self) -> &StateDiff {
        &self.diff
    }

    /// Where the time went.
    pub fn timings(&self) -> Timings {
        self.timings
    }

    /// About how much memory it takes.
    pub(crate) fn size(&self) -> usize {
        // A decoded transaction takes about that much beside its bytes; and the look-ups.
        const TRANSACTION: usize = 512;
        let transactions: usize = self.block.transactions().iter().map(|tx| tx.size() + TRANSACTION).sum();
        let logs: usize = self.receipts.iter().flat_map(|r| &r.logs).map(|log| 160 + log.data.data.len()).sum();
        let touched: usize = self.touched.iter().map(|of| 48 + 20 * (of.accounts.len() + of.created.len())).sum();
        4096 + transactions + logs + touched + self.diff.size()
    }
}

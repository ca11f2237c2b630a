//! The metrics of blocks and their execution: what they are, and where they are counted.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

use super::{ExecutedBlock, Timings};
use crate::metric::{AMOUNTS, Metric, SECONDS_SHORT};

/// All metrics of this area.
pub const METRICS: &[Metric] = &[
    BLOCKS,
    TRANSACTIONS,
    GAS,
    GAS_LIMIT,
    BLOCK_TRANSACTIONS,
    UNFINAL,
    BUILD,
    VALIDATE,
    FINALIZE,
    RECOVERY,
    EXECUTION,
    TRIE,
    ROOTS,
    RECOVERED,
];

const BLOCKS: Metric = Metric::counter("assent_chain_blocks_total", "Blocks that became final here");
const TRANSACTIONS: Metric = Metric::counter("assent_chain_transactions_total", "Transactions in final blocks");
const GAS: Metric = Metric::counter("assent_chain_gas_total", "Gas used by final blocks");
const GAS_LIMIT: Metric = Metric::gauge("assent_chain_block_gas_limit", "Gas that the last final block may have used");
const BLOCK_TRANSACTIONS: Metric =
    Metric::histogram("assent_chain_block_transactions", AMOUNTS, "Transactions in a final block");
const UNFINAL: Metric =
    Metric::gauge("assent_chain_unfinal_blocks", "Valid blocks that are in memory and not final yet");
const BUILD: Metric =
    Metric::histogram("assent_chain_build_seconds", SECONDS_SHORT, "Time to build a block from the mempool, as leader");
const VALIDATE: Metric = Metric::histogram(
    "assent_chain_validate_seconds",
    SECONDS_SHORT,
    "Time to judge a valid block of somebody else, with its execution",
);
const FINALIZE: Metric = Metric::histogram(
    "assent_chain_finalize_seconds",
    SECONDS_SHORT,
    "Time to make a block final here: the database, the state in memory, the mempool",
);
const RECOVERY: Metric = Metric::histogram(
    "assent_chain_recovery_seconds",
    SECONDS_SHORT,
    "Part of a block's execution: the senders that the mempool did not know",
);
const EXECUTION: Metric =
    Metric::histogram("assent_chain_execution_seconds", SECONDS_SHORT, "Part of a block's execution: its transactions");
const TRIE: Metric =
    Metric::histogram("assent_chain_trie_seconds", SECONDS_SHORT, "Part of a block's execution: the state trie");
const ROOTS: Metric = Metric::histogram(
    "assent_chain_roots_seconds",
    SECONDS_SHORT,
    "Part of a block's execution: the roots of its transactions and receipts",
);
const RECOVERED: Metric = Metric::counter(
    "assent_chain_recovered_for_block_total",
    "Transactions whose sender was recovered only when a block came with them",
);

/// A block was executed here.
pub(super) fn executed(timings: &Timings) {
    histogram!(RECOVERY.name).record(timings.recovery);
    histogram!(EXECUTION.name).record(timings.execution);
    histogram!(TRIE.name).record(timings.trie);
    histogram!(ROOTS.name).record(timings.roots);
}

/// Senders had to be recovered for a block.
pub(super) fn recovered(count: usize) {
    counter!(RECOVERED.name).increment(count as u64);
}

/// A block was built.
pub(super) fn built(took: Duration) {
    histogram!(BUILD.name).record(took);
}

/// A block was found valid.
pub(super) fn validated(took: Duration) {
    histogram!(VALIDATE.name).record(took);
}

/// A block is final and written.
pub(super) fn finalized(block: &ExecutedBlock, took: Duration, unfinal: usize) {
    let (header, transactions) = (block.block().header(), block.block().transactions().len());
    histogram!(FINALIZE.name).record(took);
    histogram!(BLOCK_TRANSACTIONS.name).record(transactions as f64);
    gauge!(GAS_LIMIT.name).set(header.gas_limit as f64);
    gauge!(UNFINAL.name).set(unfinal as f64);
    counter!(BLOCKS.name).increment(1);
    counter!(TRANSACTIONS.name).increment(transactions as u64);
    counter!(GAS.name).increment(header.gas_used);
}

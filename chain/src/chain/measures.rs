//! The chain's metrics: names, help texts, and where they are counted.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use super::{ExecutedBlock, Timings};

pub(super) fn describe() {
    describe_gauge!("assent_chain_head", "Number of the last final block");
    describe_gauge!("assent_chain_unfinal_blocks", "Valid blocks in memory that are not final");
    describe_counter!("assent_chain_transactions_total", "Transactions in final blocks");
    describe_counter!("assent_chain_gas_total", "Gas used by final blocks");
    describe_counter!(
        "assent_chain_recovered_for_block_total",
        "Transactions whose sender was recovered only when a block came with them"
    );
    let seconds = |name, text| describe_histogram!(name, Unit::Seconds, text);
    seconds("assent_chain_recovery_seconds", "Recovering the senders of a block that the pool did not know");
    seconds("assent_chain_execution_seconds", "Running the transactions of a block");
    seconds("assent_chain_trie_seconds", "Updating the state trie for a block");
    seconds("assent_chain_roots_seconds", "Computing the roots of a block's transactions and receipts");
    seconds("assent_chain_commit_seconds", "Writing a final block to the database");
}

/// A block was executed here.
pub(super) fn executed(timings: &Timings) {
    histogram!("assent_chain_recovery_seconds").record(timings.recovery);
    histogram!("assent_chain_execution_seconds").record(timings.execution);
    histogram!("assent_chain_trie_seconds").record(timings.trie);
    histogram!("assent_chain_roots_seconds").record(timings.roots);
}

/// Senders had to be recovered for a block.
pub(super) fn recovered(count: usize) {
    counter!("assent_chain_recovered_for_block_total").increment(count as u64);
}

/// A block is final and written.
pub(super) fn finalized(block: &ExecutedBlock, commit: Duration, unfinal: usize) {
    histogram!("assent_chain_commit_seconds").record(commit);
    gauge!("assent_chain_head").set(block.number() as f64);
    gauge!("assent_chain_unfinal_blocks").set(unfinal as f64);
    counter!("assent_chain_transactions_total").increment(block.block().transactions().len() as u64);
    counter!("assent_chain_gas_total").increment(block.block().header().gas_used);
}

//! Blocks, transactions, execution, mempool and storage of Assent.
//!
//! | module | what it is for |
//! |---|---|
//! | [`transaction`] | signed transactions: decoding, their one encoding, the form with the sender |
//! | [`recovery`] | senders from signatures, on a pool of threads |
//! | [`mempool`] | transactions that wait for a block |
//! | [`block`], [`seal`] | blocks and what consensus adds to them: encodings and limits |
//! | [`execution`] | running transactions, calls and estimates with revm |
//! | [`state`] | accounts and storage: views of a block's state, what a block changes |
//! | [`trie`] | the Merkle Patricia tries behind the state root |
//! | [`storage`] | final blocks and the final state in RocksDB |
//! | [`trace`] | what transactions and calls did, step by step |
//! | [`chain`] | the handle that joins them |
//! | [`metric`] | what a metric is: its name, its kind, its help |
//!
//! Consensus and network are unknown here: who may propose, what is final and what a certificate
//! proves is decided elsewhere and told to [`chain::Chain`].

pub mod block;
pub mod chain;
pub mod execution;
pub mod mempool;
pub mod metric;
pub mod recovery;
pub mod seal;
pub mod state;
pub mod storage;
pub mod trace;
pub mod transaction;
pub mod trie;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod planted;
#[cfg(test)]
mod state_tests;

pub use block::Block;
pub use chain::{
    BlockError, BuildError, BuildRequest, Chain, ChainOptions, ExecutedBlock, FinalizeError, Head, ImportError,
    IndexError,
};
pub use seal::{Seal, SealExpectation};
pub use state::StateError;
pub use storage::{History, OpenError, StorageError};

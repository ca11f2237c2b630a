//! Blocks, transactions, execution, mempool and storage of Assent.

pub mod mempool;
pub mod recovery;
pub mod transaction;

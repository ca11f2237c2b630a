//! Judging a block that somebody else proposed.
//!
//! Everything in the header is computed again and compared, from the seal over the times to the
//! roots; the transactions are run upon the parent's state. The cheap questions come first. A
//! block that fails is the proposer's fault ([`BlockError::is_invalid`]), unless it only came too
//! early ([`BlockError::is_retryable`]) or this node itself is in trouble.

use std::fmt::{self, Display};
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_consensus::Header;
use alloy_primitives::B256;

use super::spec::skew_ms;
use super::tree::{InsertError, Parent, Unfinal};
use super::{Chain, ExecutedBlock, Timings, measures};
use crate::block::{Block, BlockTransaction, DecodeError};
use crate::execution::{Executed, Executor, TransactionFault, root_and_bloom};
use crate::recovery::recover_batch;
use crate::seal::SealExpectation;
use crate::state::{BlockState, StateError};
use crate::transaction::{Recovered, TransactionError};
use crate::trie::TrieError;

/// A block was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// The bytes are not a block.
    #[error("not a block: {0}")]
    Decode(#[from] DecodeError),
    /// The seal does not say what consensus expects.
    #[error("seal: {0}")]
    Seal(Mismatch),
    /// The header does not say what follows from parent, seal and transactions.
    #[error("header: {0}")]
    Header(Mismatch),
    /// The block claims to be older than its parent.
    #[error("expected a time of at least {parent_ms} ms, that of the parent, got {got_ms} ms")]
    BeforeParent {
        /// The parent's time.
        parent_ms: u64,
        /// The block's.
        got_ms: u64,
    },
    /// A transaction has no sender.
    #[error("transaction {index} ({hash}): {error}")]
    Sender {
        /// Its position.
        index: usize,
        /// Its hash.
        hash: B256,
        /// Why.
        error: TransactionError,
    },
    /// A transaction cannot be where it is.
    #[error("transaction {index} ({hash}) is not valid here: {reason}")]
    Transaction {
        /// Its position.
        index: usize,
        /// Its hash.
        hash: B256,
        /// Why.
        reason: String,
    },
    /// The block's time is ahead of this node's clock. Later it may be fine.
    #[error(
        "the block is from the future: its time {time_ms} ms is more than {allowed_ms} ms ahead of this clock's {now_ms} ms"
    )]
    FromTheFuture {
        /// The block's time.
        time_ms: u64,
        /// This node's.
        now_ms: u64,
        /// What is allowed.
        allowed_ms: u64,
    },
    /// The parent is neither the head nor among the blocks that wait to become final. It may
    /// come.
    #[error("parent {parent} is unknown")]
    UnknownParent {
        /// Its hash.
        parent: B256,
    },
    /// The block is not above the final head: it is final already, or never will be.
    #[error("block {number} is not above the final head {head}")]
    Stale {
        /// The block's number.
        number: u64,
        /// The head's.
        head: u64,
    },
    /// No room: some blocks must become final first.
    #[error("too many blocks are waiting to become final")]
    TooManyUnfinal,
    /// The state could not be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// A mistake of this program.
    #[error("execution: {0}")]
    Internal(String),
}

impl BlockError {
    /// Whether the block is wrong, whoever looks at it and whenever: its proposer is at fault.
    pub fn is_invalid(&self) -> bool {
        match self {
            Self::Decode(_)
            | Self::Seal(_)
            | Self::Header(_)
            | Self::BeforeParent { .. }
            | Self::Sender { .. }
            | Self::Transaction { .. } => true,
            Self::FromTheFuture { .. }
            | Self::UnknownParent { .. }
            | Self::Stale { .. }
            | Self::TooManyUnfinal
            | Self::State(_)
            | Self::Internal(_) => false,
        }
    }

    /// Whether the same block may be accepted later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::FromTheFuture { .. } | Self::UnknownParent { .. } | Self::TooManyUnfinal)
    }
}

/// A field does not have the value that it must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The field's name.
    pub field: &'static str,
    /// The value that it must have.
    pub expected: String,
    /// The value that it has.
    pub got: String,
}

impl Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, expected, got } = self;
        write!(f, "{field}: expected {expected}, got {got}")
    }
}

fn compare<T: PartialEq + fmt::Debug>(field: &'static str, expected: &T, got: &T) -> Result<(), Mismatch> {
    if expected == got {
        return Ok(());
    }
    Err(Mismatch { field, expected: format!("{expected:?}"), got: format!("{got:?}") })
}

fn compare_seal(expect: &SealExpectation, got: &SealExpectation) -> Result<(), Mismatch> {
    compare("epoch", &expect.epoch, &got.epoch)?;
    compare("view", &expect.view, &got.view)?;
    compare("proposer", &expect.proposer, &got.proposer)?;
    compare("parentCertificate", &expect.parent_certificate, &got.parent_certificate)?;
    compare("validatorSet", &expect.validator_set, &got.validator_set)
}

/// Compares what does not depend on the transactions.
fn compare_frame(expected: &Header, got: &Header) -> Result<(), Mismatch> {
    compare("parentHash", &expected.parent_hash, &got.parent_hash)?;
    compare("number", &expected.number, &got.number)?;
    compare("extraData (hash of the seal)", &expected.extra_data, &got.extra_data)?;
    compare("timestamp", &expected.timestamp, &got.timestamp)?;
    compare("mixHash", &expected.mix_hash, &got.mix_hash)?;
    compare("gasLimit", &expected.gas_limit, &got.gas_limit)?;
    compare("baseFeePerGas", &expected.base_fee_per_gas, &got.base_fee_per_gas)?;
    compare("difficulty", &expected.difficulty, &got.difficulty)?;
    compare("nonce", &expected.nonce, &got.nonce)?;
    compare("sha3Uncles", &expected.ommers_hash, &got.ommers_hash)?;
    compare("withdrawalsRoot", &expected.withdrawals_root, &got.withdrawals_root)?;
    compare("blobGasUsed", &expected.blob_gas_used, &got.blob_gas_used)?;
    compare("excessBlobGas", &expected.excess_blob_gas, &got.excess_blob_gas)?;
    compare("parentBeaconBlockRoot", &expected.parent_beacon_block_root, &got.parent_beacon_block_root)?;
    compare("requestsHash", &expected.requests_hash, &got.requests_hash)?;
    compare("blockAccessListHash", &expected.block_access_list_hash, &got.block_access_list_hash)?;
    compare("slotNumber", &expected.slot_number, &got.slot_number)
}

impl Chain {
    /// Decodes a block, within the limits that the genesis sets. Transactions that the pool has
    /// are taken from there.
    pub fn decode_block(&self, bytes: &alloy_primitives::Bytes) -> Result<Block, BlockError> {
        Ok(Block::decode(bytes, self.inner.spec.limits, |hash| self.known_transaction(hash))?)
    }

    /// Judges a block and, if it is valid, keeps it in memory until it becomes final or is
    /// overtaken. Its parent must be the head or have been kept so. A block that is kept already
    /// is not run again.
    pub fn validate(
        &self,
        block: Block,
        expect: &SealExpectation,
        now_ms: u64,
        max_skew: Duration,
    ) -> Result<Arc<ExecutedBlock>, BlockError> {
        let began = Instant::now();
        compare_seal(expect, &SealExpectation::of(&block.seal)).map_err(BlockError::Seal)?;
        let parent = self.parent_of(&block)?;
        let frame = self.inner.spec.header(&parent, &block.seal, block.header.beneficiary);
        compare_frame(&frame, &block.header).map_err(BlockError::Header)?;
        check_times(&block, &parent, now_ms, max_skew)?;
        if let Some(kept) = self.inner.tree.unfinal(&block.hash()) {
            return Ok(kept.block);
        }
        let parent_hash = parent.hash;
        let outcome = self.run(block, parent);
        if outcome.is_ok() {
            measures::validated(began.elapsed());
        }
        outcome.map_err(|error| match error {
            // The parent may have been overtaken in the meantime; then its state cannot be read.
            BlockError::State(_) if self.inner.tree.parent(&parent_hash).is_none() => {
                BlockError::UnknownParent { parent: parent_hash }
            }
            error => error,
        })
    }

    fn parent_of(&self, block: &Block) -> Result<Parent, BlockError> {
        let parent = block.header.parent_hash;
        self.inner.tree.parent(&parent).ok_or_else(|| {
            let (number, head) = (block.header.number, self.inner.tree.head().number);
            if number <= head { BlockError::Stale { number, head } } else { BlockError::UnknownParent { parent } }
        })
    }

    /// Runs the transactions and compares what depends on them.
    fn run(&self, mut block: Block, parent: Parent) -> Result<Arc<ExecutedBlock>, BlockError> {
        let mut timings = Timings::default();
        let start = Instant::now();
        let transactions = recover(std::mem::take(&mut block.transactions))?;
        timings.recovery = start.elapsed();

        let start = Instant::now();
        let executed = self.execute_all(&block.header, &transactions, &parent)?;
        timings.execution = start.elapsed();
        let differs = BlockError::Header;
        compare("gasUsed", &executed.gas_used, &block.header.gas_used).map_err(differs)?;

        let start = Instant::now();
        let (receipts_root, bloom) = root_and_bloom(&executed.receipts);
        compare("receiptsRoot", &receipts_root, &block.header.receipts_root).map_err(differs)?;
        compare("logsBloom", &bloom, &block.header.logs_bloom).map_err(differs)?;
        timings.roots = start.elapsed();

        let start = Instant::now();
        let Executed { mut diff, receipts, touched, .. } = executed;
        let (trie, records) = self.update_trie(&parent, &mut diff).map_err(StateError::from)?;
        compare("stateRoot", &trie.root_hash(), &block.header.state_root).map_err(differs)?;
        timings.trie = start.elapsed();

        let block = block.with_senders(transactions);
        let block = Arc::new(ExecutedBlock::new(block, receipts, touched, diff, timings));
        self.insert(Unfinal { block: block.clone(), trie, records: Arc::new(records) })?;
        Ok(block)
    }

    fn execute_all(
        &self,
        header: &Header,
        transactions: &[Arc<Recovered>],
        parent: &Parent,
    ) -> Result<Executed, BlockError> {
        let view = self.view_upon(parent);
        let spec = &self.inner.spec;
        let mut executor = Executor::new(BlockState::new(view), &spec.context(header), spec.min_gas_price);
        for (index, tx) in transactions.iter().enumerate() {
            executor.execute(tx).map_err(|fault| match fault {
                TransactionFault::State(error) => BlockError::State(error),
                TransactionFault::Internal(error) => BlockError::Internal(error),
                fault => BlockError::Transaction { index, hash: *tx.hash(), reason: fault.to_string() },
            })?;
        }
        Ok(executor.finish())
    }

    pub(super) fn insert(&self, unfinal: Unfinal) -> Result<(), BlockError> {
        let parent = unfinal.block.parent_hash();
        self.inner.tree.insert(unfinal).map_err(|error| match error {
            InsertError::Detached => BlockError::UnknownParent { parent },
            InsertError::Full => BlockError::TooManyUnfinal,
        })
    }
}

fn check_times(block: &Block, parent: &Parent, now_ms: u64, max_skew: Duration) -> Result<(), BlockError> {
    let time_ms = block.seal.time_ms;
    if time_ms < parent.time_ms || block.header.timestamp < parent.timestamp {
        return Err(BlockError::BeforeParent { parent_ms: parent.time_ms, got_ms: time_ms });
    }
    let allowed_ms = skew_ms(max_skew);
    // A proposer behind its parent's time repeats it. That adds nothing, and must not stop a chain whose clocks were ahead.
    if time_ms > parent.time_ms && time_ms > now_ms.saturating_add(allowed_ms) {
        return Err(BlockError::FromTheFuture { time_ms, now_ms, allowed_ms });
    }
    Ok(())
}

/// Finds the senders that the pool did not know.
fn recover(transactions: Vec<BlockTransaction>) -> Result<Vec<Arc<Recovered>>, BlockError> {
    let mut recovered = Vec::with_capacity(transactions.len());
    let (mut places, mut unknown) = (Vec::new(), Vec::new());
    for (index, tx) in transactions.into_iter().enumerate() {
        match tx {
            BlockTransaction::Known(known) => recovered.push(Some(known)),
            BlockTransaction::New(signed) => {
                recovered.push(None);
                places.push((index, *signed.hash()));
                unknown.push(*signed);
            }
        }
    }
    measures::recovered(unknown.len());
    for ((index, hash), result) in places.into_iter().zip(recover_batch(unknown)) {
        let tx = result.map_err(|error| BlockError::Sender { index, hash, error })?;
        recovered[index] = Some(Arc::new(tx));
    }
    Ok(recovered.into_iter().flatten().collect())
}

impl From<TrieError> for BlockError {
    fn from(error: TrieError) -> Self {
        Self::State(error.into())
    }
}

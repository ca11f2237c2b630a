//! Building a block from the mempool.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_consensus::Header;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256};
use alloy_rlp::Encodable;
use revm::context::result::InvalidTransaction;

use super::spec::FRAME_BYTES;
use super::tree::{Parent, Unfinal};
use super::{BlockError, Chain, ExecutedBlock, Timings, measures};
use crate::block::{RecoveredBlock, transactions_root};
use crate::execution::{Executed, Executor, TransactionFault, root_and_bloom};
use crate::mempool::Room;
use crate::seal::{Seal, SealLimit};
use crate::state::{BlockState, StateError};
use crate::transaction::Recovered;

/// No transaction uses less gas.
const LEAST_GAS: u64 = 21_000;
/// With less room a block is full: hardly a transaction is shorter, the signature alone has 65.
const LEAST_BYTES: usize = 100;

/// What to build.
#[derive(Clone, Debug)]
pub struct BuildRequest {
    /// The block to build upon: the head or one that is not final.
    pub parent: B256,
    /// The seal. A time before the parent's is raised to the parent's.
    pub seal: Seal,
    /// Who is paid the fees.
    pub fee_recipient: Address,
    /// Without transactions, even if there are some.
    pub empty: bool,
    /// How long running transactions may take. The result depends on the clock only in how many
    /// transactions it has, in which a proposer is free.
    pub time_budget: Duration,
}

/// A block could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The parent is neither the head nor among the blocks that wait to become final.
    #[error("parent {0} is unknown")]
    UnknownParent(B256),
    /// The seal is too large.
    #[error("seal: {0}")]
    Seal(#[from] SealLimit),
    /// The state could not be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The finished block was not taken.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// A mistake of this program.
    #[error("execution: {0}")]
    Internal(String),
}

impl Chain {
    /// Builds a block from the mempool's executable transactions, in the pool's order, and keeps
    /// it in memory like one that was validated. It has as many transactions as the limits on
    /// gas, bytes and number and the time allow.
    pub fn build(&self, request: BuildRequest) -> Result<Arc<ExecutedBlock>, BuildError> {
        let BuildRequest { parent, mut seal, fee_recipient, empty, time_budget } = request;
        let began = Instant::now();
        // A budget beyond all time is none.
        let deadline = began.checked_add(time_budget);
        seal.check_limits()?;
        let parent = self.inner.tree.parent(&parent).ok_or(BuildError::UnknownParent(parent))?;
        seal.time_ms = seal.time_ms.max(parent.time_ms);
        let header = self.inner.spec.header(&parent, &seal, fee_recipient);

        let mut timings = Timings::default();
        let start = Instant::now();
        let spec = &self.inner.spec;
        let state = BlockState::new(self.view_upon(&parent));
        let mut executor = Executor::new(state, &spec.context(&header), spec.min_gas_price);
        let mut transactions = Vec::new();
        if !empty {
            let room = spec.limits.bytes.saturating_sub(header.length() + seal.length() + FRAME_BYTES);
            self.fill(&mut executor, &mut transactions, room, deadline)?;
        }
        let executed = executor.finish();
        timings.execution = start.elapsed();
        let block = self.complete(parent, header, seal, transactions, executed, timings)?;
        measures::built(began.elapsed());
        Ok(block)
    }

    /// Runs transactions of the pool until the block is full, the time is over or there are no
    /// more. One that does not fit into what is left takes nothing from those behind it.
    fn fill(
        &self,
        executor: &mut Executor,
        transactions: &mut Vec<Arc<Recovered>>,
        mut room: usize,
        deadline: Option<Instant>,
    ) -> Result<(), BuildError> {
        let spec = &self.inner.spec;
        let whole = Room { gas: spec.gas_limit, bytes: spec.room_bytes() };
        let mut best = self.inner.pool.best(spec.base_fee).within(whole);
        let in_time = || deadline.is_none_or(|deadline| Instant::now() < deadline);
        while transactions.len() < spec.limits.transactions
            && executor.gas_left() >= LEAST_GAS
            && room >= LEAST_BYTES
            && in_time()
        {
            best.leave(Room { gas: executor.gas_left(), bytes: room });
            let nonce_of = |sender| if in_time() { executor.nonce(sender).ok() } else { None };
            let Some(tx) = best.next_with(nonce_of) else { break };
            match executor.execute(&tx) {
                Ok(()) => {
                    room = room.saturating_sub(tx.signed().network_len());
                    transactions.push(tx);
                }
                Err(TransactionFault::State(error)) => return Err(error.into()),
                Err(TransactionFault::Internal(error)) => return Err(BuildError::Internal(error)),
                Err(fault) => {
                    best.skip_sender();
                    self.report(&tx, &fault);
                }
            }
        }
        for hash in best.misfits() {
            tracing::debug!(target: "assent::chain", %hash, "dropped from the pool: it fits into no block");
            self.inner.pool.discard(hash);
        }
        Ok(())
    }

    /// Takes a transaction out of the pool that can never run. What depends on nonce, balance or
    /// what else is in the block may be fine later.
    fn report(&self, tx: &Recovered, fault: &TransactionFault) {
        let passing = match fault {
            TransactionFault::Invalid(invalid) => matches!(
                invalid,
                InvalidTransaction::NonceTooLow { .. }
                    | InvalidTransaction::NonceTooHigh { .. }
                    | InvalidTransaction::LackOfFundForMaxFee { .. }
            ),
            TransactionFault::NotReplayProtected | TransactionFault::PriceBelowMinimum { .. } => false,
            _ => true,
        };
        if !passing {
            tracing::debug!(target: "assent::chain", hash = %tx.hash(), %fault, "dropped from the pool");
            self.inner.pool.discard(tx.hash());
        }
    }

    fn complete(
        &self,
        parent: Parent,
        header: Header,
        seal: Seal,
        transactions: Vec<Arc<Recovered>>,
        executed: Executed,
        mut timings: Timings,
    ) -> Result<Arc<ExecutedBlock>, BuildError> {
        let Executed { mut diff, receipts, touched, gas_used } = executed;
        let start = Instant::now();
        let (receipts_root, logs_bloom) = root_and_bloom(&receipts);
        let transactions_root = transactions_root(transactions.iter().map(|tx| tx.signed()));
        timings.roots = start.elapsed();

        let start = Instant::now();
        let (trie, records) = self.update_trie(&parent, &mut diff).map_err(StateError::from)?;
        timings.trie = start.elapsed();

        let state_root = trie.root_hash();
        let header = Header { state_root, transactions_root, receipts_root, logs_bloom, gas_used, ..header };
        let block = RecoveredBlock::from_parts(header.hash_slow(), header, transactions, seal);
        let block = Arc::new(ExecutedBlock::new(block, receipts, touched, diff, timings));
        self.insert(Unfinal { block: block.clone(), trie, records: Arc::new(records) })?;
        Ok(block)
    }
}

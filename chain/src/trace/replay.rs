//! A final block, executed again.

use std::sync::Arc;

use alloy_eips::BlockId;
use revm::DatabaseCommit;
use revm::context::TxEnv;
use revm::inspector::Inspector;
use revm_inspectors::tracing::TransactionContext;

use super::bounded::{Budget, run};
use super::recorded::Recorded;
use super::{TraceError, TraceLimits};
use crate::block::RecoveredBlock;
use crate::chain::Chain;
use crate::execution::{
    BlockContext, Deadline, EvmContext, Executor, Outcome, Receipt, Touched, TransactionFault, tx_env,
};
use crate::state::BlockState;
use crate::transaction::Recovered;

/// See the module.
pub(super) struct Replay {
    pub(super) block: Arc<RecoveredBlock>,
    pub(super) context: BlockContext,
    /// What came of its transactions; `None`: the block is not of this chain, so nobody knows.
    receipts: Option<Arc<Vec<Receipt>>>,
    executor: Executor,
    /// The position of the transaction that is next.
    next: usize,
    budget: Budget,
}

impl Replay {
    /// Begins with the state before a final block.
    pub(super) fn new(chain: &Chain, number: u64, limits: TraceLimits) -> Result<Self, TraceError> {
        let before = number.checked_sub(1).ok_or(TraceError::Genesis)?;
        let block = chain.block_by_number(number)?.ok_or(TraceError::UnknownBlock)?;
        let receipts = chain.receipts(number)?.ok_or(TraceError::UnknownBlock)?;
        Self::upon(chain, before, block, Some(receipts), limits)
    }

    /// Begins a block that is not of this chain, but whose parent is.
    pub(super) fn foreign(chain: &Chain, block: RecoveredBlock, limits: TraceLimits) -> Result<Self, TraceError> {
        let parent = block.header().parent_hash;
        let before = chain.number_by_hash(&parent)?.filter(|before| before.checked_add(1) == Some(block.number()));
        let before = before.ok_or_else(|| TraceError::Invalid(format!("parent {parent} not found")))?;
        Self::upon(chain, before, Arc::new(block), None, limits)
    }

    fn upon(
        chain: &Chain,
        before: u64,
        block: Arc<RecoveredBlock>,
        receipts: Option<Arc<Vec<Receipt>>>,
        limits: TraceLimits,
    ) -> Result<Self, TraceError> {
        let view = chain.state_at(BlockId::number(before))?;
        let context = chain.spec().context(block.header());
        let mut executor = Executor::new(BlockState::new(view), &context, chain.spec().min_gas_price);
        executor.evm_mut().set_deadline(Deadline::at(limits.deadline));
        Ok(Self { block, context, receipts, executor, next: 0, budget: Budget::new(limits) })
    }

    /// The transaction at a position of the block.
    pub(super) fn transaction(&self, index: usize) -> Result<Arc<Recovered>, TraceError> {
        self.block.transactions().get(index).cloned().ok_or(TraceError::UnknownTransaction)
    }

    /// Runs the transactions before this position.
    pub(super) fn skip_to(&mut self, index: usize) -> Result<(), TraceError> {
        while self.next < index {
            let tx = self.transaction(self.next)?;
            let ran = self.executor.execute(&tx);
            if self.executor.evm_mut().expired() {
                return Err(TraceError::TimedOut);
            }
            ran.map_err(|fault| match fault {
                TransactionFault::State(error) => TraceError::State(error),
                other => self.differs(self.next, &other),
            })?;
            let gas = self.executor.receipts().last().map_or(0, |receipt| receipt.gas_used);
            self.compare(self.next, gas)?;
            self.next += 1;
        }
        Ok(())
    }

    /// Runs the next transaction under the eyes of an inspector; the state stays as before it.
    pub(super) fn inspect<I: Inspector<EvmContext>>(
        &mut self,
        inspector: &mut I,
        recorded: Recorded,
    ) -> Result<Outcome, TraceError> {
        let tx = self.transaction(self.next)?;
        if self.receipts.is_none() {
            self.executor.admit(&tx).map_err(|fault| TraceError::Invalid(fault.to_string()))?;
        }
        let outcome = run(self.executor.evm_mut(), tx_env(&tx), inspector, recorded, &mut self.budget)?;
        self.compare(self.next, outcome.result.tx_gas_used())?;
        Ok(outcome)
    }

    /// Takes over what the inspected transaction changed: the one behind it is next.
    pub(super) fn take_over(&mut self, outcome: Outcome) {
        self.state().commit(outcome.state);
        self.next += 1;
    }

    /// The state before the next transaction.
    pub(super) fn state(&mut self) -> &mut BlockState {
        self.executor.evm_mut().state_mut()
    }

    /// The same, for good.
    pub(super) fn into_state(self) -> BlockState {
        self.executor.into_state()
    }

    /// The next transaction as revm takes it, and where it stands.
    pub(super) fn environment(&self) -> Result<(TxEnv, TransactionContext), TraceError> {
        let tx = self.transaction(self.next)?;
        let place = TransactionContext::default()
            .with_block_hash(self.block.hash())
            .with_tx_index(self.next)
            .with_tx_hash(*tx.hash());
        Ok((tx_env(&tx), place))
    }

    /// The accounts that the transactions so far touched.
    pub(super) fn into_touched(self) -> Vec<Touched> {
        self.executor.into_touched()
    }

    fn compare(&self, index: usize, gas: u64) -> Result<(), TraceError> {
        let Some(receipts) = &self.receipts else { return Ok(()) };
        match receipts.get(index) {
            Some(receipt) if receipt.gas_used == gas => Ok(()),
            _ => Err(self.differs(index, &format!("it used {gas} gas"))),
        }
    }

    fn differs(&self, index: usize, how: &dyn std::fmt::Display) -> TraceError {
        let number = self.block.number();
        TraceError::Internal(format!("transaction {index} of block {number} is not what its receipt says: {how}"))
    }
}

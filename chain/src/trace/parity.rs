//! The traces of Parity's namespace `trace`. There are no rewards: a block's fees go where its transactions send them.

use alloy_eips::BlockId;
use alloy_primitives::map::HashSet;
use alloy_primitives::{B256, Bytes};
use alloy_rpc_types_eth::TransactionInfo;
use alloy_rpc_types_trace::parity::{LocalizedTransactionTrace, TraceResults, TraceType};
use revm::DatabaseCommit;
use revm::context::TxEnv;
use revm::database_interface::Database;
use revm_inspectors::tracing::{TracingInspector, TracingInspectorConfig};

use super::bounded::{Budget, run};
use super::recorded::{Accounts, Memory, PUSHED_WORDS, Recorded};
use super::replay::Replay;
use super::{TraceError, TraceLimits};
use crate::chain::Chain;
use crate::execution::{CallRequest, Deadline, Evm, Executor, Overrides, call_cfg, call_tx, tx_env};
use crate::recovery::recover;
use crate::state::BlockState;
use crate::transaction::{SignedTransaction, TransactionError};

/// What a tracer of these types keeps.
fn recorded(types: &HashSet<TraceType>) -> Recorded {
    let steps = types.contains(&TraceType::VmTrace);
    let changes = types.contains(&TraceType::StateDiff);
    Recorded {
        steps,
        stack_words: if steps { PUSHED_WORDS } else { 0 },
        memory: if steps { Memory::Writes } else { Memory::Nothing },
        code: steps,
        accounts: if changes { Accounts::Changes } else { Accounts::Nothing },
        ..Recorded::default()
    }
}

fn inspector(types: &HashSet<TraceType>) -> TracingInspector {
    TracingInspector::new(TracingInspectorConfig::from_parity_config(types))
}

impl From<TransactionError> for TraceError {
    fn from(error: TransactionError) -> Self {
        Self::Invalid(error.to_string())
    }
}

// The gas of the outermost call is what the transaction leaves for it, as Parity has it: its own costs are paid before.
// Geth tells the transaction's gas there.
impl Replay {
    fn results(&mut self, types: &HashSet<TraceType>) -> Result<TraceResults, TraceError> {
        let mut inspector = inspector(types);
        let outcome = self.inspect(&mut inspector, recorded(types))?;
        let builder = inspector.into_parity_builder();
        let results = builder.into_trace_results_with_state(&outcome, types, &*self.state())?;
        self.take_over(outcome);
        Ok(results)
    }

    fn localized(&mut self) -> Result<Vec<LocalizedTransactionTrace>, TraceError> {
        let mut inspector = TracingInspector::new(TracingInspectorConfig::default_parity());
        let (_, place) = self.environment()?;
        let outcome = self.inspect(&mut inspector, Recorded::default())?;
        let info = TransactionInfo {
            hash: place.tx_hash,
            index: place.tx_index.map(|index| index as u64),
            block_hash: place.block_hash,
            block_number: Some(self.block.number()),
            base_fee: self.block.header().base_fee_per_gas,
            ..TransactionInfo::default()
        };
        self.take_over(outcome);
        Ok(inspector.into_parity_builder().into_localized_transaction_traces(info))
    }
}

impl Chain {
    /// Traces a final transaction (`trace_replayTransaction`).
    pub fn parity_transaction(
        &self,
        hash: &B256,
        types: &HashSet<TraceType>,
        limits: TraceLimits,
    ) -> Result<TraceResults, TraceError> {
        self.replay_to(hash, limits)?.results(types)
    }

    /// Traces the transactions of a final block (`trace_replayBlockTransactions`). They share the limits.
    pub fn parity_block(
        &self,
        number: u64,
        types: &HashSet<TraceType>,
        limits: TraceLimits,
    ) -> Result<Vec<(B256, TraceResults)>, TraceError> {
        let mut replay = Replay::new(self, number, limits)?;
        let hashes: Vec<_> = replay.block.transactions().iter().map(|tx| *tx.hash()).collect();
        hashes.into_iter().map(|hash| Ok((hash, replay.results(types)?))).collect()
    }

    /// All calls, creations and destructions of a final block, each with its place (`trace_block`). Block 0 has none.
    pub fn parity_localized(
        &self,
        number: u64,
        limits: TraceLimits,
    ) -> Result<Vec<LocalizedTransactionTrace>, TraceError> {
        if number == 0 {
            return Ok(Vec::new());
        }
        let mut replay = Replay::new(self, number, limits)?;
        let mut traces = Vec::new();
        for _ in 0..replay.block.transactions().len() {
            traces.append(&mut replay.localized()?);
        }
        Ok(traces)
    }

    /// The same of one final transaction (`trace_transaction`).
    pub fn parity_localized_transaction(
        &self,
        hash: &B256,
        limits: TraceLimits,
    ) -> Result<Vec<LocalizedTransactionTrace>, TraceError> {
        self.replay_to(hash, limits)?.localized()
    }

    /// Traces calls upon the state after a final block, each upon what those before it changed (`trace_callMany`).
    pub fn parity_calls(
        &self,
        at: BlockId,
        calls: &[(CallRequest, HashSet<TraceType>)],
        overrides: &Overrides,
        limits: TraceLimits,
    ) -> Result<Vec<TraceResults>, TraceError> {
        let number = self.resolve(at)?.ok_or(TraceError::UnknownBlock)?;
        let header = self.header_by_number(number)?.ok_or(TraceError::UnknownBlock)?.header;
        let context = self.spec().context_assuming(&header, overrides);
        let mut state = BlockState::new(self.state_at(at)?);
        overrides.apply(&mut state)?;
        let mut budget = Budget::new(limits);
        let mut results = Vec::with_capacity(calls.len());
        for (request, types) in calls {
            let nonce = state.basic(request.from)?.map_or(0, |account| account.nonce);
            let mut tx = call_tx(request, &context, nonce);
            tx.gas_limit = request.gas.unwrap_or(limits.gas_cap).min(limits.gas_cap);
            let block = overrides.block_env(context.block_env());
            let mut evm = overrides.evm(state, call_cfg(&context, &tx), block)?;
            evm.set_deadline(Deadline::at(limits.deadline));
            results.push(traced(&mut evm, tx, types, &mut budget)?);
            state = evm.into_state();
        }
        Ok(results)
    }

    /// Traces what a signed transaction would do in a block like the one that is named, upon the state after it
    /// (`trace_rawTransaction`). Unlike a call it has to be one that a block may have.
    pub fn parity_raw(
        &self,
        at: BlockId,
        raw: Bytes,
        types: &HashSet<TraceType>,
        limits: TraceLimits,
    ) -> Result<TraceResults, TraceError> {
        let tx = recover(SignedTransaction::decode(raw)?)?;
        let number = self.resolve(at)?.ok_or(TraceError::UnknownBlock)?;
        let header = self.header_by_number(number)?.ok_or(TraceError::UnknownBlock)?.header;
        let (context, state) = (self.spec().context(&header), BlockState::new(self.state_at(at)?));
        let mut executor = Executor::new(state, &context, self.spec().min_gas_price);
        executor.admit(&tx).map_err(|fault| TraceError::Invalid(fault.to_string()))?;
        executor.evm_mut().set_deadline(Deadline::at(limits.deadline));
        traced(executor.evm_mut(), tx_env(&tx), types, &mut Budget::new(limits))
    }
}

/// Traces a transaction and takes over what it changes.
fn traced(
    evm: &mut Evm,
    tx: TxEnv,
    types: &HashSet<TraceType>,
    budget: &mut Budget,
) -> Result<TraceResults, TraceError> {
    let mut inspector = inspector(types);
    let outcome = run(evm, tx, &mut inspector, recorded(types), budget)?;
    let builder = inspector.into_parity_builder();
    let results = builder.into_trace_results_with_state(&outcome, types, &*evm.state_mut())?;
    evm.state_mut().commit(outcome.state);
    Ok(results)
}

//! The tracers of Geth's namespace `debug`.

use alloy_eips::BlockId;
use alloy_primitives::{B256, Bytes};
use alloy_rpc_types_trace::geth::{
    CallConfig, CallFrame, GethDebugBuiltInTracerType, GethDebugTracerType, GethDebugTracingOptions, GethTrace,
};
use alloy_rpc_types_trace::otterscan::InternalOperation;
use revm::database_interface::Database;
use revm_inspectors::otterscan::InternalOperationsInspector;
use revm_inspectors::tracing::DebugInspector;

use super::bounded::{Budget, run};
use super::recorded::{Accounts, Memory, Recorded};
use super::replay::Replay;
use super::{TraceError, TraceLimits};
use crate::block::RecoveredBlock;
use crate::chain::Chain;
use crate::execution::{CallRequest, Deadline, Overrides, call_cfg, call_tx};
use crate::state::BlockState;

/// What the tracer of these options keeps.
fn recorded(options: &GethDebugTracingOptions) -> Recorded {
    use GethDebugBuiltInTracerType as BuiltIn;
    let calls = Recorded::default();
    match &options.tracer {
        Some(GethDebugTracerType::BuiltInTracer(BuiltIn::PreStateTracer | BuiltIn::MuxTracer)) => {
            Recorded { accounts: Accounts::Whole, ..calls }
        }
        // It keeps all of this, whatever the options say.
        Some(GethDebugTracerType::BuiltInTracer(BuiltIn::Erc7562Tracer)) => {
            Recorded { steps: true, stack_words: usize::MAX, memory: Memory::Whole, ..calls }
        }
        Some(GethDebugTracerType::BuiltInTracer(_)) => calls,
        Some(GethDebugTracerType::JsTracer(name)) if !name.is_empty() => calls,
        Some(GethDebugTracerType::JsTracer(_)) | None => {
            let config = &options.config;
            Recorded {
                steps: true,
                step_limit: config.limit.filter(|limit| *limit > 0),
                stack_words: if config.is_stack_enabled() { usize::MAX } else { 0 },
                memory: if config.is_memory_enabled() { Memory::Whole } else { Memory::Nothing },
                storage: config.is_storage_enabled(),
                return_data: config.is_return_data_enabled(),
                ..calls
            }
        }
    }
}

impl Replay {
    fn trace(&mut self, inspector: &mut DebugInspector, recorded: Recorded) -> Result<GethTrace, TraceError> {
        let (tx, place) = self.environment()?;
        let outcome = self.inspect(inspector, recorded)?;
        let block = self.context.block_env();
        let trace = inspector.get_result(Some(place), &tx, &block, &outcome, self.state());
        self.take_over(outcome);
        trace.map_err(|error| TraceError::Internal(error.to_string()))
    }

    /// Traces all transactions of the block, with their hashes.
    fn trace_all(mut self, options: &GethDebugTracingOptions) -> Result<Vec<(B256, GethTrace)>, TraceError> {
        let mut inspector = DebugInspector::new(options.clone())?;
        let hashes: Vec<_> = self.block.transactions().iter().map(|tx| *tx.hash()).collect();
        let mut traces = Vec::with_capacity(hashes.len());
        for hash in hashes {
            traces.push((hash, self.trace(&mut inspector, recorded(options))?));
            inspector.fuse()?;
        }
        Ok(traces)
    }
}

impl Chain {
    /// Begins to replay the block of a final transaction, up to that transaction.
    pub(super) fn replay_to(&self, hash: &B256, limits: TraceLimits) -> Result<Replay, TraceError> {
        let found = self.transaction(hash)?.ok_or(TraceError::UnknownTransaction)?;
        let mut replay = Replay::new(self, found.block_number, limits)?;
        replay.skip_to(found.index as usize)?;
        Ok(replay)
    }

    /// Traces a final transaction with one of Geth's tracers (`debug_traceTransaction`).
    pub fn trace_transaction(
        &self,
        hash: &B256,
        options: &GethDebugTracingOptions,
        limits: TraceLimits,
    ) -> Result<GethTrace, TraceError> {
        let mut inspector = DebugInspector::new(options.clone())?;
        self.replay_to(hash, limits)?.trace(&mut inspector, recorded(options))
    }

    /// Traces all transactions of a final block. They share the limits.
    pub fn trace_block(
        &self,
        number: u64,
        options: &GethDebugTracingOptions,
        limits: TraceLimits,
    ) -> Result<Vec<(B256, GethTrace)>, TraceError> {
        Replay::new(self, number, limits)?.trace_all(options)
    }

    /// The same for a block in Ethereum's RLP. It need not be of this chain, but its parent must; it is run, not judged.
    pub fn trace_encoded_block(
        &self,
        rlp: &Bytes,
        options: &GethDebugTracingOptions,
        limits: TraceLimits,
    ) -> Result<Vec<(B256, GethTrace)>, TraceError> {
        let block = RecoveredBlock::decode_ethereum(rlp, self.spec().limits)
            .map_err(|error| TraceError::Invalid(format!("could not decode block: {error}")))?;
        match self.number_by_hash(&block.hash())? {
            Some(number) => self.trace_block(number, options, limits),
            None => Replay::foreign(self, block, limits)?.trace_all(options),
        }
    }

    /// Traces a call upon the state after a final block, or within it, before the transaction `before` of it.
    pub fn trace_call(
        &self,
        at: BlockId,
        before: Option<u64>,
        request: &CallRequest,
        overrides: &Overrides,
        options: &GethDebugTracingOptions,
        limits: TraceLimits,
    ) -> Result<GethTrace, TraceError> {
        let mut inspector = DebugInspector::new(options.clone())?;
        let number = self.resolve(at)?.ok_or(TraceError::UnknownBlock)?;
        let header = self.header_by_number(number)?.ok_or(TraceError::UnknownBlock)?.header;
        let mut state = match before {
            None => BlockState::new(self.state_at(at)?),
            Some(index) => {
                let mut replay = Replay::new(self, number, limits)?;
                replay.skip_to(usize::try_from(index).unwrap_or(usize::MAX))?;
                replay.into_state()
            }
        };
        overrides.apply(&mut state)?;
        let context = self.spec().context_assuming(&header, overrides);
        let nonce = state.basic(request.from)?.map_or(0, |account| account.nonce);
        let mut tx = call_tx(request, &context, nonce);
        tx.gas_limit = request.gas.unwrap_or(limits.gas_cap).min(limits.gas_cap);
        let block = overrides.block_env(context.block_env());
        let mut evm = overrides.evm(state, call_cfg(&context, &tx), block.clone())?;
        evm.set_deadline(Deadline::at(limits.deadline));
        let outcome = run(&mut evm, tx.clone(), &mut inspector, recorded(options), &mut Budget::new(limits))?;
        let trace = inspector.get_result(None, &tx, &block, &outcome, evm.state_mut());
        trace.map_err(|error| TraceError::Internal(error.to_string()))
    }

    /// The calls of a final transaction, as Geth's `callTracer` tells them.
    pub fn call_frames(&self, hash: &B256, limits: TraceLimits) -> Result<CallFrame, TraceError> {
        let options = GethDebugTracingOptions::call_tracer(CallConfig::default());
        match self.trace_transaction(hash, &options, limits)? {
            GethTrace::CallTracer(frame) => Ok(frame),
            other => Err(TraceError::Internal(format!("expected the calls, got {other:?}"))),
        }
    }

    /// The transfers, creations and destructions inside of a final transaction, as Otterscan shows them.
    pub fn internal_operations(&self, hash: &B256, limits: TraceLimits) -> Result<Vec<InternalOperation>, TraceError> {
        let mut inspector = InternalOperationsInspector::default();
        self.replay_to(hash, limits)?.inspect(&mut inspector, Recorded::default())?;
        Ok(inspector.into_operations())
    }
}

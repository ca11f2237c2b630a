//! The tracers of Geth's namespace `debug`.

use alloy_eips::BlockId;
use alloy_primitives::B256;
use alloy_rpc_types_trace::geth::{
    CallConfig, CallFrame, GethDebugBuiltInTracerType, GethDebugTracerType, GethDebugTracingOptions, GethTrace,
};
use alloy_rpc_types_trace::otterscan::InternalOperation;
use revm::database_interface::Database;
use revm_inspectors::otterscan::InternalOperationsInspector;
use revm_inspectors::tracing::DebugInspector;

use super::bounded::{Bounded, Recorded};
use super::replay::{Replay, judged};
use super::{TraceError, TraceLimits};
use crate::chain::Chain;
use crate::execution::{CallRequest, Deadline, Overrides, call_cfg, call_tx};
use crate::state::BlockState;

/// What the tracer of these options records of each step.
fn recorded(options: &GethDebugTracingOptions) -> Recorded {
    let steps = match &options.tracer {
        None => true,
        Some(GethDebugTracerType::BuiltInTracer(tracer)) => {
            matches!(tracer, GethDebugBuiltInTracerType::Erc7562Tracer | GethDebugBuiltInTracerType::MuxTracer)
        }
        Some(GethDebugTracerType::JsTracer(name)) => name.is_empty(),
    };
    let config = &options.config;
    let stack = steps && !config.disable_stack.unwrap_or(false);
    Recorded { steps, stack, memory: steps && config.enable_memory.unwrap_or(false) }
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
        let mut inspector = DebugInspector::new(options.clone())?;
        let mut replay = Replay::new(self, number, limits)?;
        let hashes: Vec<_> = replay.block.transactions().iter().map(|tx| *tx.hash()).collect();
        let mut traces = Vec::with_capacity(hashes.len());
        for hash in hashes {
            traces.push((hash, replay.trace(&mut inspector, recorded(options))?));
            inspector.fuse()?;
        }
        Ok(traces)
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
        let mut bounded = Bounded::new(&mut inspector, recorded(options), limits.max_bytes);
        let result = evm.inspect(tx.clone(), &mut bounded);
        let exceeded = bounded.exceeded();
        let outcome = judged(result, exceeded, &evm, limits)?;
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

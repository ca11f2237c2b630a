//! A tracer that stops before what it keeps takes too much memory.

use alloy_primitives::map::{AddressMap, HashSet};
use alloy_primitives::{Address, Log, U256};
use revm::bytecode::opcode;
use revm::context::{ContextTr, JournalTr, TxEnv};
use revm::context_interface::context::ContextError;
use revm::handler::FrameResult;
use revm::inspector::Inspector;
use revm::interpreter::interpreter_types::{Jumps, LegacyBytecode, LoopControl, MemoryTr, ReturnData};
use revm::interpreter::{CallInputs, CallOutcome, CreateInputs, CreateOutcome, FrameInput, Interpreter};

use super::recorded::{
    CALL_BYTES, DATA_WEIGHT, LEVEL_BYTES, MEMORY_WEIGHT, Memory, Recorded, SLOT_BYTES, STEP_BYTES, WORD_BYTES,
    accounts_bytes,
};
use super::{TraceError, TraceLimits};
use crate::execution::{Evm, EvmContext, Outcome};

/// The bytes that the traces of one call may still take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    limit: usize,
    left: usize,
}

impl Budget {
    pub(super) fn new(limits: TraceLimits) -> Self {
        Self { limit: limits.max_bytes, left: limits.max_bytes }
    }

    fn exceeded(self) -> TraceError {
        TraceError::TooLarge { limit: self.limit }
    }
}

/// Runs a transaction under the eyes of a tracer, and takes from the budget what it keeps.
pub(super) fn run<I: Inspector<EvmContext>>(
    evm: &mut Evm,
    tx: TxEnv,
    inspector: &mut I,
    recorded: Recorded,
    budget: &mut Budget,
) -> Result<Outcome, TraceError> {
    let mut bounded = Bounded::new(inspector, recorded, budget.left);
    let result = evm.inspect(tx, &mut bounded);
    if bounded.exceeded {
        return Err(budget.exceeded());
    }
    budget.left = bounded.left;
    if evm.expired() {
        return Err(TraceError::TimedOut);
    }
    let outcome = result?;
    let accounts = accounts_bytes(recorded.accounts, &outcome.state, evm.state_mut(), budget.left)?;
    budget.left = budget.left.checked_sub(accounts).ok_or_else(|| budget.exceeded())?;
    Ok(outcome)
}

/// See the module.
struct Bounded<'a, I> {
    inner: &'a mut I,
    recorded: Recorded,
    left: usize,
    exceeded: bool,
    steps: u64,
    /// Whether the step that runs is kept, and its operation.
    kept: Option<u8>,
    /// The slots that were accessed, by account.
    slots: AddressMap<HashSet<U256>>,
}

impl<'a, I> Bounded<'a, I> {
    fn new(inner: &'a mut I, recorded: Recorded, left: usize) -> Self {
        Self { inner, recorded, left, exceeded: false, steps: 0, kept: None, slots: AddressMap::default() }
    }

    fn take(&mut self, bytes: usize, context: &mut EvmContext) {
        match self.left.checked_sub(bytes) {
            Some(left) => self.left = left,
            None => {
                self.exceeded = true;
                if context.error().is_ok() {
                    *context.error() = Err(ContextError::Custom("the trace is too large".into()));
                }
            }
        }
    }

    /// What a step takes that is about to run.
    fn before_step(&mut self, interp: &Interpreter) -> usize {
        let recorded = self.recorded;
        if !recorded.steps || recorded.step_limit.is_some_and(|limit| self.steps >= limit) {
            self.kept = None;
            return 0;
        }
        self.steps += 1;
        let operation = interp.bytecode.opcode();
        self.kept = Some(operation);
        let mut bytes = STEP_BYTES + interp.stack.len().min(recorded.stack_words) * WORD_BYTES;
        if recorded.memory == Memory::Whole {
            bytes += interp.memory.size() * MEMORY_WEIGHT;
        }
        if recorded.return_data {
            bytes += interp.return_data.buffer().len() * DATA_WEIGHT;
        }
        if recorded.storage && matches!(operation, opcode::SLOAD | opcode::SSTORE) {
            bytes += self.slots_with(interp) * SLOT_BYTES;
        }
        bytes
    }

    /// How many slots of the account were accessed, with the one on top of the stack.
    fn slots_with(&mut self, interp: &Interpreter) -> usize {
        let slots = self.slots.entry(interp.input.target_address).or_default();
        if let Some(slot) = interp.stack.data().last() {
            slots.insert(*slot);
        }
        slots.len()
    }

    /// What a step takes beyond that, now that it has run: what it wrote is not longer than the memory is by now.
    fn after_step(&self, interp: &Interpreter) -> usize {
        match self.kept {
            Some(operation) if self.recorded.memory == Memory::Writes => match operation {
                opcode::MLOAD | opcode::MSTORE | opcode::MSTORE8 => WORD_BYTES,
                opcode::CALLDATACOPY
                | opcode::CODECOPY
                | opcode::EXTCODECOPY
                | opcode::RETURNDATACOPY
                | opcode::MCOPY
                | opcode::CALL
                | opcode::CALLCODE
                | opcode::DELEGATECALL
                | opcode::STATICCALL => interp.memory.size() * DATA_WEIGHT,
                _ => 0,
            },
            _ => 0,
        }
    }

    fn take_call(&mut self, data: usize, context: &mut EvmContext) {
        let depth = context.journal().depth();
        self.take(CALL_BYTES + depth * LEVEL_BYTES + data * DATA_WEIGHT, context);
    }

    fn take_log(&mut self, log: &Log, context: &mut EvmContext) {
        self.take(CALL_BYTES + log.data.data.len() * DATA_WEIGHT, context);
    }
}

impl<I: Inspector<EvmContext>> Inspector<EvmContext> for Bounded<'_, I> {
    fn initialize_interp(&mut self, interp: &mut Interpreter, context: &mut EvmContext) {
        if self.recorded.code {
            self.take(interp.bytecode.bytecode_len() * DATA_WEIGHT, context);
        }
        self.inner.initialize_interp(interp, context);
    }

    fn step(&mut self, interp: &mut Interpreter, context: &mut EvmContext) {
        let bytes = self.before_step(interp);
        self.take(bytes, context);
        if self.exceeded {
            interp.bytecode.action().take();
            interp.bytecode.reset_action();
            interp.halt_fatal();
            return;
        }
        self.inner.step(interp, context);
    }

    fn step_end(&mut self, interp: &mut Interpreter, context: &mut EvmContext) {
        let bytes = self.after_step(interp);
        self.take(bytes, context);
        self.inner.step_end(interp, context);
    }

    fn log(&mut self, context: &mut EvmContext, log: Log) {
        self.take_log(&log, context);
        self.inner.log(context, log);
    }

    fn log_full(&mut self, interp: &mut Interpreter, context: &mut EvmContext, log: Log) {
        self.take_log(&log, context);
        self.inner.log_full(interp, context, log);
    }

    fn call(&mut self, context: &mut EvmContext, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.take_call(inputs.input.len(), context);
        self.inner.call(context, inputs)
    }

    fn call_end(&mut self, context: &mut EvmContext, inputs: &CallInputs, outcome: &mut CallOutcome) {
        self.take(outcome.result.output.len() * DATA_WEIGHT, context);
        self.inner.call_end(context, inputs, outcome);
    }

    fn create(&mut self, context: &mut EvmContext, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.take_call(inputs.init_code().len(), context);
        self.inner.create(context, inputs)
    }

    fn create_end(&mut self, context: &mut EvmContext, inputs: &CreateInputs, outcome: &mut CreateOutcome) {
        self.take(outcome.result.output.len() * DATA_WEIGHT, context);
        self.inner.create_end(context, inputs, outcome);
    }

    fn selfdestruct(&mut self, contract: Address, target: Address, value: U256) {
        self.inner.selfdestruct(contract, target, value);
    }

    fn frame_start(&mut self, context: &mut EvmContext, input: &mut FrameInput) -> Option<FrameResult> {
        self.inner.frame_start(context, input)
    }

    fn frame_end(&mut self, context: &mut EvmContext, input: &FrameInput, result: &mut FrameResult) {
        self.inner.frame_end(context, input, result);
    }
}

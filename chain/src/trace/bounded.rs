//! A tracer that stops before what it recorded takes too much memory.

use alloy_primitives::{Address, Log, U256};
use revm::context::ContextTr;
use revm::context_interface::context::ContextError;
use revm::handler::FrameResult;
use revm::inspector::Inspector;
use revm::interpreter::interpreter_types::{LoopControl, MemoryTr};
use revm::interpreter::{CallInputs, CallOutcome, CreateInputs, CreateOutcome, FrameInput, Interpreter};

use crate::execution::EvmContext;

/// What one recorded step takes without stack and memory.
const STEP_BYTES: usize = 256;
/// What one word of a recorded stack takes.
const WORD_BYTES: usize = 32;
/// What one recorded call takes without its input and output.
const CALL_BYTES: usize = 1024;

/// What a tracer records of each step.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Recorded {
    pub(super) steps: bool,
    pub(super) stack: bool,
    pub(super) memory: bool,
}

/// See the module.
pub(super) struct Bounded<'a, I> {
    inner: &'a mut I,
    recorded: Recorded,
    left: usize,
    exceeded: bool,
}

impl<'a, I> Bounded<'a, I> {
    pub(super) fn new(inner: &'a mut I, recorded: Recorded, max_bytes: usize) -> Self {
        Self { inner, recorded, left: max_bytes, exceeded: false }
    }

    /// Whether it was stopped.
    pub(super) fn exceeded(&self) -> bool {
        self.exceeded
    }

    /// What is left for what comes next.
    pub(super) fn left(&self) -> usize {
        self.left
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
}

impl<I: Inspector<EvmContext>> Inspector<EvmContext> for Bounded<'_, I> {
    fn initialize_interp(&mut self, interp: &mut Interpreter, context: &mut EvmContext) {
        self.inner.initialize_interp(interp, context);
    }

    fn step(&mut self, interp: &mut Interpreter, context: &mut EvmContext) {
        let Recorded { steps, stack, memory } = self.recorded;
        if steps {
            let stack = if stack { interp.stack.len() * WORD_BYTES } else { 0 };
            let memory = if memory { interp.memory.size() } else { 0 };
            self.take(STEP_BYTES + stack + memory, context);
        }
        if self.exceeded {
            interp.bytecode.reset_action();
            interp.halt_fatal();
            return;
        }
        self.inner.step(interp, context);
    }

    fn step_end(&mut self, interp: &mut Interpreter, context: &mut EvmContext) {
        self.inner.step_end(interp, context);
    }

    fn log(&mut self, context: &mut EvmContext, log: Log) {
        self.take(CALL_BYTES + log.data.data.len(), context);
        self.inner.log(context, log);
    }

    fn log_full(&mut self, interp: &mut Interpreter, context: &mut EvmContext, log: Log) {
        self.take(CALL_BYTES + log.data.data.len(), context);
        self.inner.log_full(interp, context, log);
    }

    fn call(&mut self, context: &mut EvmContext, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.take(CALL_BYTES + inputs.input.len(), context);
        self.inner.call(context, inputs)
    }

    fn call_end(&mut self, context: &mut EvmContext, inputs: &CallInputs, outcome: &mut CallOutcome) {
        self.take(outcome.result.output.len(), context);
        self.inner.call_end(context, inputs, outcome);
    }

    fn create(&mut self, context: &mut EvmContext, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.take(CALL_BYTES + inputs.init_code().len(), context);
        self.inner.create(context, inputs)
    }

    fn create_end(&mut self, context: &mut EvmContext, inputs: &CreateInputs, outcome: &mut CreateOutcome) {
        self.take(outcome.result.output.len(), context);
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

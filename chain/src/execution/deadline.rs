//! Aborting a call that runs for too long, without an inspector.
//!
//! Jumps and calls, without which no code runs long, count steps and look at the clock now and
//! then. Only calls from RPC have a deadline; the transactions of a block never do.

use std::time::Instant;

use revm::bytecode::opcode::{CALL, CALLCODE, DELEGATECALL, JUMP, JUMPI, STATICCALL};
use revm::handler::instructions::EthInstructions;
use revm::interpreter::instructions::{contract, control};
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::{Instruction, InstructionContext, InstructionExecResult, InstructionResult};

use super::evm::EvmContext;

/// Jumps and calls between two looks at the clock: some tens of microseconds, or a few dozen
/// calls of expensive precompiles.
const STEPS_PER_LOOK: u32 = 64;

/// When to give up. Part of revm's context, where instructions see it.
#[derive(Debug, Default)]
pub(crate) struct Deadline {
    at: Option<Instant>,
    steps: u32,
    expired: bool,
}

impl Deadline {
    pub(crate) fn at(at: Option<Instant>) -> Self {
        Self { at, ..Self::default() }
    }

    pub(super) fn expired(&self) -> bool {
        self.expired
    }

    fn step(&mut self) -> InstructionExecResult {
        self.steps += 1;
        if self.steps >= STEPS_PER_LOOK {
            self.steps = 0;
            self.expired = self.expired || self.at.is_some_and(|at| Instant::now() >= at);
        }
        // The frame fails, and so does each frame above at its next step.
        if self.expired { Err(InstructionResult::OutOfGas) } else { Ok(()) }
    }
}

type Host<'a> = InstructionContext<'a, EvmContext, EthInterpreter>;

/// Puts a step before every instruction that can make code run long.
pub(super) fn count_steps(instructions: &mut EthInstructions<EthInterpreter, EvmContext>) {
    fn jump(context: Host<'_>) -> InstructionExecResult {
        context.host.chain.step()?;
        control::jump(context)
    }
    fn jumpi(context: Host<'_>) -> InstructionExecResult {
        context.host.chain.step()?;
        control::jumpi(context)
    }
    fn call<const KIND: u8>(context: Host<'_>) -> InstructionExecResult {
        context.host.chain.step()?;
        contract::call::<KIND, _, _>(context)
    }
    let table = instructions.instruction_table_mut();
    table[usize::from(JUMP)] = Instruction::new(jump);
    table[usize::from(JUMPI)] = Instruction::new(jumpi);
    table[usize::from(CALL)] = Instruction::new(call::<CALL>);
    table[usize::from(CALLCODE)] = Instruction::new(call::<CALLCODE>);
    table[usize::from(DELEGATECALL)] = Instruction::new(call::<DELEGATECALL>);
    table[usize::from(STATICCALL)] = Instruction::new(call::<STATICCALL>);
}

//! revm with the one rule that it lacks, and the place where more can be put.
//!
//! Every call and every creation, inner ones too, begins in [`Evm::frame_init`]. Rules about who
//! may create what belong there.
//!
//! *EIP-7610:* a contract cannot be created at an address that has storage, even if it has neither
//! code nor a nonce. Only the genesis can put storage there. revm looks at nonce and code alone.

use alloy_primitives::{Address, Bytes};
use revm::context::result::{EVMError, ExecResultAndState, ExecutionResult};
use revm::context::{
    BlockEnv, CfgEnv, Context, ContextSetters, ContextTr, Evm as Machine, FrameStack, Journal, JournalTr, TxEnv,
};
use revm::context_interface::context::ContextError;
use revm::context_interface::journaled_state::account::JournaledAccountTr;
use revm::handler::evm::{ContextDbError, FrameInitResult};
use revm::handler::instructions::EthInstructions;
use revm::handler::{EthFrame, EvmTr, FrameInitOrResult, FrameResult, Handler, ItemOrResult, MainBuilder};
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::interpreter_action::FrameInit;
use revm::interpreter::{CreateInputs, CreateOutcome, FrameInput, Gas, InstructionResult, InterpreterResult};
use revm::primitives::constants::CALL_STACK_LIMIT;
use revm::state::EvmState;

use super::deadline::Deadline;
use super::handler::TransactionHandler;
use super::precompiles::{Assumed, Precompiles};
use crate::state::{BlockState, StateError};

/// What instructions see of the world.
pub(crate) type EvmContext = Context<BlockEnv, TxEnv, CfgEnv, BlockState, Journal<BlockState>, Deadline>;

pub(super) type Frame = EthFrame<EthInterpreter>;
/// What came of a transaction, and its changes, which are not taken over yet.
pub(crate) type Outcome = ExecResultAndState<ExecutionResult, EvmState>;

/// See the module.
pub(crate) struct Evm {
    inner: Machine<EvmContext, (), EthInstructions<EthInterpreter, EvmContext>, Precompiles, Frame>,
    /// Whether the last transaction had to do with the fee recipient before it paid.
    fee_recipient_touched: bool,
}

impl Evm {
    pub(crate) fn new(state: BlockState, cfg: CfgEnv, block: BlockEnv) -> Self {
        let precompiles = Precompiles::new(cfg.spec);
        let mut context: EvmContext = Context::new(state, cfg.spec);
        context.cfg = cfg;
        context.block = block;
        Self { inner: context.build_mainnet().with_precompiles(precompiles), fee_recipient_touched: false }
    }

    /// Has calls find precompiles elsewhere; before the first transaction.
    pub(super) fn assume_precompiles(&mut self, assumed: Assumed) {
        self.inner.precompiles.assume(assumed);
    }

    /// Aborts at this time, if there is one.
    pub(crate) fn set_deadline(&mut self, deadline: Deadline) {
        self.inner.ctx.chain = deadline;
        super::deadline::count_steps(&mut self.inner.instruction);
    }

    /// Whether it was aborted.
    pub(crate) fn expired(&self) -> bool {
        self.inner.ctx.chain.expired()
    }

    /// Runs a transaction. Its changes are in the outcome; the state is as before.
    pub(super) fn transact(&mut self, tx: TxEnv) -> Result<Outcome, EVMError<StateError>> {
        self.inner.ctx.set_tx(tx);
        self.fee_recipient_touched = false;
        let result = TransactionHandler.run(self);
        // This clears the journal, also after an error.
        let state = self.inner.ctx.journal_mut().finalize();
        Ok(ExecResultAndState::new(result?, state))
    }

    /// Whether the last transaction called the fee recipient or sent it something, beside paying it.
    pub(super) fn fee_recipient_touched(&self) -> bool {
        self.fee_recipient_touched
    }

    pub(super) fn look_at_fee_recipient(&mut self) {
        let context = &self.inner.ctx;
        let account = context.journaled_state.inner.state.get(&context.block.beneficiary);
        self.fee_recipient_touched = account.is_some_and(|account| account.is_touched());
    }

    pub(super) fn ctx_mut(&mut self) -> &mut EvmContext {
        &mut self.inner.ctx
    }

    pub(crate) fn state_mut(&mut self) -> &mut BlockState {
        self.inner.ctx.db_mut()
    }

    pub(crate) fn into_state(self) -> BlockState {
        self.inner.ctx.journaled_state.database
    }

    /// The refusal of a creation at an address that has nothing but storage.
    fn storage_collision(
        &mut self,
        depth: usize,
        inputs: &CreateInputs,
    ) -> Result<Option<FrameResult>, ContextDbError<EvmContext>> {
        let journal = self.inner.ctx.journal_mut();
        let caller = journal.load_account(inputs.caller()).map_err(ContextError::Db)?;
        let (nonce, balance) = (caller.info.nonce, caller.info.balance);
        if depth > CALL_STACK_LIMIT as usize || balance < inputs.value() || nonce == u64::MAX {
            // It fails without looking at the address.
            return Ok(None);
        }
        let address = inputs.created_address(nonce);
        let target = &journal.load_account(address).map_err(ContextError::Db)?.info;
        let blank = target.nonce == 0 && target.is_empty_code_hash();
        if !blank || !self.has_storage(address)? {
            return Ok(None);
        }
        let mut caller = self.inner.ctx.journal_mut().load_account_mut(inputs.caller()).map_err(ContextError::Db)?;
        caller.bump_nonce();
        Ok(Some(FrameResult::Create(CreateOutcome {
            result: InterpreterResult {
                result: InstructionResult::CreateCollision,
                gas: Gas::new_with_regular_gas_and_reservoir(inputs.gas_limit(), inputs.reservoir()),
                output: Bytes::new(),
            },
            address: None,
            charged_create_state_gas: inputs.charged_create_state_gas(),
        })))
    }

    fn has_storage(&mut self, address: Address) -> Result<bool, ContextDbError<EvmContext>> {
        self.state_mut().has_storage(address).map_err(ContextError::Db)
    }
}

impl EvmTr for Evm {
    type Context = EvmContext;
    type Instructions = EthInstructions<EthInterpreter, EvmContext>;
    type Precompiles = Precompiles;
    type Frame = Frame;

    fn all(&self) -> (&Self::Context, &Self::Instructions, &Self::Precompiles, &FrameStack<Frame>) {
        self.inner.all()
    }

    fn all_mut(
        &mut self,
    ) -> (&mut Self::Context, &mut Self::Instructions, &mut Self::Precompiles, &mut FrameStack<Frame>) {
        self.inner.all_mut()
    }

    fn frame_init(&mut self, frame: FrameInit) -> Result<FrameInitResult<'_, Frame>, ContextDbError<EvmContext>> {
        if let FrameInput::Create(inputs) = &frame.frame_input
            && let Some(refusal) = self.storage_collision(frame.depth, inputs)?
        {
            return Ok(ItemOrResult::Result(refusal));
        }
        self.inner.frame_init(frame)
    }

    fn frame_run(&mut self) -> Result<FrameInitOrResult<Frame>, ContextDbError<EvmContext>> {
        self.inner.frame_run()
    }

    fn frame_return_result(&mut self, result: FrameResult) -> Result<Option<FrameResult>, ContextDbError<EvmContext>> {
        self.inner.frame_return_result(result)
    }
}

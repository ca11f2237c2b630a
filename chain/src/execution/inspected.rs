//! The same execution under the eyes of an inspector, which sees each step, call, creation and log.

use revm::context::FrameStack;
use revm::context::result::EVMError;
use revm::context::{ContextSetters, ContextTr, JournalTr, TxEnv};
use revm::handler::evm::{ContextDbError, FrameInitResult};
use revm::handler::instructions::EthInstructions;
use revm::handler::{EvmTr, FrameInitOrResult, FrameResult, MainnetHandler};
use revm::inspector::{Inspector, InspectorEvmTr, InspectorHandler};
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::interpreter_action::FrameInit;

use super::evm::{Evm, EvmContext, Frame, Outcome};
use super::precompiles::Precompiles;
use crate::state::StateError;

/// An [`Evm`] and who looks on.
struct Inspected<'a, I> {
    evm: &'a mut Evm,
    inspector: &'a mut I,
}

impl Evm {
    /// Runs a transaction as [`Evm::transact`] does; the inspector looks on.
    pub(crate) fn inspect<I: Inspector<EvmContext>>(
        &mut self,
        tx: TxEnv,
        inspector: &mut I,
    ) -> Result<Outcome, EVMError<StateError>> {
        self.ctx_mut().set_tx(tx);
        let mut inspected = Inspected { evm: self, inspector };
        let result =
            MainnetHandler::<Inspected<'_, I>, EVMError<StateError>, Frame>::default().inspect_run(&mut inspected);
        // This clears the journal, also after an error.
        let state = self.ctx_mut().journal_mut().finalize();
        Ok(Outcome::new(result?, state))
    }
}

impl<I> EvmTr for Inspected<'_, I> {
    type Context = EvmContext;
    type Instructions = EthInstructions<EthInterpreter, EvmContext>;
    type Precompiles = Precompiles;
    type Frame = Frame;

    fn all(&self) -> (&Self::Context, &Self::Instructions, &Self::Precompiles, &FrameStack<Frame>) {
        self.evm.all()
    }

    fn all_mut(
        &mut self,
    ) -> (&mut Self::Context, &mut Self::Instructions, &mut Self::Precompiles, &mut FrameStack<Frame>) {
        self.evm.all_mut()
    }

    fn frame_init(&mut self, frame: FrameInit) -> Result<FrameInitResult<'_, Frame>, ContextDbError<EvmContext>> {
        self.evm.frame_init(frame)
    }

    fn frame_run(&mut self) -> Result<FrameInitOrResult<Frame>, ContextDbError<EvmContext>> {
        self.evm.frame_run()
    }

    fn frame_return_result(&mut self, result: FrameResult) -> Result<Option<FrameResult>, ContextDbError<EvmContext>> {
        self.evm.frame_return_result(result)
    }
}

impl<I: Inspector<EvmContext>> InspectorEvmTr for Inspected<'_, I> {
    type Inspector = I;

    fn all_inspector(&self) -> (&EvmContext, &Self::Instructions, &Self::Precompiles, &FrameStack<Frame>, &I) {
        let (context, instructions, precompiles, frames) = self.evm.all();
        (context, instructions, precompiles, frames, self.inspector)
    }

    fn all_mut_inspector(
        &mut self,
    ) -> (&mut EvmContext, &mut Self::Instructions, &mut Self::Precompiles, &mut FrameStack<Frame>, &mut I) {
        let (context, instructions, precompiles, frames) = self.evm.all_mut();
        (context, instructions, precompiles, frames, self.inspector)
    }
}

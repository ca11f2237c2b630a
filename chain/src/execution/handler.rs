//! The mainnet's way of running a transaction, with a look at the fee recipient just before it is paid: whether the
//! transaction itself had to do with it can be told only then.

use revm::context::result::{EVMError, HaltReason};
use revm::handler::{FrameResult, Handler, post_execution};

use super::evm::Evm;
use crate::state::StateError;

/// See the module.
pub(super) struct TransactionHandler;

impl Handler for TransactionHandler {
    type Evm = Evm;
    type Error = EVMError<StateError>;
    type HaltReason = HaltReason;

    fn reward_beneficiary(&self, evm: &mut Evm, result: &mut FrameResult) -> Result<(), EVMError<StateError>> {
        evm.look_at_fee_recipient();
        post_execution::reward_beneficiary(evm.ctx_mut(), result.gas()).map_err(EVMError::Database)
    }
}

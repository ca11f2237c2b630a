//! Running the transactions of one block.

use alloy_consensus::Transaction as _;
use alloy_primitives::Address;
use revm::context::result::{EVMError, ExecutionResult, InvalidTransaction};
use revm::context::{BlockEnv, CfgEnv, TxEnv};
use revm::{Database, DatabaseCommit};

use super::environment::{effective_gas_price, tx_env};
use super::evm::Evm;
use super::{BlockContext, Receipt, Touched};
use crate::state::{BlockState, StateDiff, StateError};
use crate::transaction::Recovered;

/// Why a transaction cannot be in the block at this place.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransactionFault {
    /// It is not valid at this state.
    #[error("{0}")]
    Invalid(InvalidTransaction),
    /// Its gas limit is more than what is left of the block's.
    #[error("gas limit {limit} exceeds the {left} left in the block")]
    BlockGas { limit: u64, left: u64 },
    /// It is signed without a chain id, so it could be taken from another chain.
    #[error("transaction without chain id: only replay-protected (EIP-155) transactions are allowed")]
    NotReplayProtected,
    /// It offers less than the chain's minimum.
    #[error("gas price {got} is below the chain's minimum {minimum}")]
    PriceBelowMinimum { got: u128, minimum: u64 },
    /// The state could not be read: not the transaction's fault.
    #[error(transparent)]
    State(StateError),
    /// revm found the block itself wrong: a mistake of this program.
    #[error("execution: {0}")]
    Internal(String),
}

/// What all transactions of a block came to.
#[derive(Debug)]
pub(crate) struct Executed {
    pub(crate) diff: StateDiff,
    pub(crate) receipts: Vec<Receipt>,
    pub(crate) touched: Vec<Touched>,
    pub(crate) gas_used: u64,
}

/// Runs transactions upon a state that they share.
pub(crate) struct Executor {
    evm: Evm,
    receipts: Vec<Receipt>,
    touched: Vec<Touched>,
    fee_recipient: Address,
    gas_used: u64,
    gas_limit: u64,
    base_fee: u64,
    min_gas_price: u64,
}

impl Executor {
    /// For a block in this context upon `state`.
    pub(crate) fn new(state: BlockState, context: &BlockContext, min_gas_price: u64) -> Self {
        Self::with_environment(state, context.cfg_env(), context.block_env(), min_gas_price)
    }

    /// The same for any environment; the public state tests come with their own.
    pub(crate) fn with_environment(state: BlockState, cfg: CfgEnv, block: BlockEnv, min_gas_price: u64) -> Self {
        let (gas_limit, base_fee, fee_recipient) = (block.gas_limit, block.basefee, block.beneficiary);
        let evm = Evm::new(state, cfg, block);
        let (receipts, touched) = (Vec::new(), Vec::new());
        Self { evm, receipts, touched, fee_recipient, gas_used: 0, gas_limit, base_fee, min_gas_price }
    }

    /// Gas that is left in the block.
    pub(crate) fn gas_left(&self) -> u64 {
        self.gas_limit.saturating_sub(self.gas_used)
    }

    /// An account's nonce at this point of the block.
    pub(crate) fn nonce(&mut self, address: Address) -> Result<u64, StateError> {
        Ok(self.evm.state_mut().basic(address)?.map_or(0, |account| account.nonce))
    }

    /// Whether the block's own rules allow a transaction at this place. What the state says of it, revm judges.
    pub(crate) fn admit(&self, tx: &Recovered) -> Result<(), TransactionFault> {
        let (limit, left) = (tx.tx().gas_limit(), self.gas_left());
        if limit > left {
            return Err(TransactionFault::BlockGas { limit, left });
        }
        if self.min_gas_price > 0 {
            let (got, minimum) = (effective_gas_price(tx, self.base_fee), self.min_gas_price);
            if got < u128::from(minimum) {
                return Err(TransactionFault::PriceBelowMinimum { got, minimum });
            }
        }
        if tx.tx().chain_id().is_none() {
            return Err(TransactionFault::NotReplayProtected);
        }
        Ok(())
    }

    /// Runs a transaction. On an error nothing has changed, and another one may be tried.
    pub(crate) fn execute(&mut self, tx: &Recovered) -> Result<(), TransactionFault> {
        self.admit(tx)?;
        let env = tx_env(tx);
        #[cfg(test)]
        let env = crate::planted::with_last_nonce(env, || self.nonce(tx.sender())).map_err(TransactionFault::State)?;
        let tx_type = env.tx_type;
        let result = self.transact(env)?;
        let gas_used = result.tx_gas_used();
        self.gas_used += gas_used;
        self.receipts.push(Receipt {
            tx_type,
            success: result.is_success(),
            gas_used,
            cumulative_gas_used: self.gas_used,
            logs: if result.is_success() { result.into_logs() } else { Vec::new() },
        });
        Ok(())
    }

    /// Runs a transaction as revm has it and takes its changes over.
    pub(crate) fn transact(&mut self, tx: TxEnv) -> Result<ExecutionResult, TransactionFault> {
        let (caller, kind) = (tx.caller, tx.kind);
        let outcome = self.evm.transact(tx).map_err(|error| match error {
            EVMError::Transaction(invalid) => TransactionFault::Invalid(invalid),
            EVMError::Database(error) => TransactionFault::State(error),
            other => TransactionFault::Internal(other.to_string()),
        })?;
        let only_paid = (!self.evm.fee_recipient_touched()).then_some(self.fee_recipient);
        self.touched.push(Touched::of(caller, kind, &outcome.state, only_paid));
        self.evm.state_mut().commit(outcome.state);
        Ok(outcome.result)
    }

    /// The EVM, with the state as it is now.
    pub(crate) fn evm_mut(&mut self) -> &mut Evm {
        &mut self.evm
    }

    /// What came of the transactions so far.
    pub(crate) fn receipts(&self) -> &[Receipt] {
        &self.receipts
    }

    /// The state as it is now.
    pub(crate) fn into_state(self) -> BlockState {
        self.evm.into_state()
    }

    /// The accounts that the transactions so far touched.
    pub(crate) fn into_touched(self) -> Vec<Touched> {
        self.touched
    }

    /// What it all came to.
    pub(crate) fn finish(self) -> Executed {
        let state = self.evm.into_state();
        Executed { diff: state.into_diff(), receipts: self.receipts, touched: self.touched, gas_used: self.gas_used }
    }
}

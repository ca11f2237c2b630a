//! Running a call that leaves no trace: `eth_call` and the trials of `eth_estimateGas`.
//!
//! A call may come from anybody and for any gas up to a cap, so it may run for long; it is aborted
//! at a deadline.

use std::time::Instant;

use alloy_eips::eip2930::AccessList;
use alloy_eips::eip7702::SignedAuthorization;
use alloy_primitives::{Address, Bytes, Log, TxKind, U256};
use revm::context::either::Either;
use revm::context::result::{EVMError, ExecutionResult, HaltReason, InvalidTransaction};
use revm::context::{CfgEnv, TxEnv};
use revm::database_interface::Database;
use revm::inspector::Inspector;

use super::deadline::Deadline;
use super::evm::{Evm, EvmContext, Outcome};
use super::{BlockContext, Overrides};
use crate::state::{BlockState, StateError, StateView};

/// What to run. What is left out is what makes sense for a call that nobody pays for.
#[derive(Clone, Debug, Default)]
pub struct CallRequest {
    /// Who calls.
    pub from: Address,
    /// Who is called; `None` creates a contract.
    pub to: Option<Address>,
    /// Gas limit; left out: the cap.
    pub gas: Option<u64>,
    /// Price per gas of a transaction of the old kind.
    pub gas_price: Option<u128>,
    /// Most that is paid per gas (EIP-1559).
    pub max_fee_per_gas: Option<u128>,
    /// Most that the proposer is paid per gas (EIP-1559).
    pub max_priority_fee_per_gas: Option<u128>,
    /// Wei that go along.
    pub value: U256,
    /// The call's data or the new contract's init code.
    pub input: Bytes,
    /// Access list (EIP-2930).
    pub access_list: Option<AccessList>,
    /// Delegations (EIP-7702).
    pub authorization_list: Vec<SignedAuthorization>,
    /// The nonce of the transaction that is made of it. A call runs with any.
    pub nonce: Option<u64>,
}

/// Limits of a call.
#[derive(Clone, Copy, Debug)]
pub struct CallOptions {
    /// Most gas, whatever is asked for.
    pub gas_cap: u64,
    /// When to give up.
    pub deadline: Option<Instant>,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// It ran to its end.
    Success {
        /// What it returned; of a creation the code.
        output: Bytes,
        /// Gas that it used, after refunds.
        gas_used: u64,
        /// What it logged.
        logs: Vec<Log>,
    },
    /// It reverted.
    Revert {
        /// The reason as the contract encoded it.
        output: Bytes,
        /// Gas that it used.
        gas_used: u64,
    },
    /// The EVM stopped it; all gas is used up.
    Halt {
        /// Why, in Geth's words where Geth has some.
        reason: String,
        /// Whether more gas could help.
        out_of_gas: bool,
        /// Gas that it used.
        gas_used: u64,
    },
}

impl CallOutcome {
    /// Whether it ran to its end.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Success { .. })
    }
}

/// A call could not be run.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No transaction like this is possible, in Geth's words.
    #[error("{0}")]
    Invalid(String),
    /// It ran for too long.
    #[error("execution aborted (timeout)")]
    TimedOut,
    /// The state could not be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// revm reports a mistake of this program.
    #[error("execution: {0}")]
    Internal(String),
}

/// Runs a call upon the state of `view` as if in a block with this context.
pub fn call(
    view: &StateView,
    context: &BlockContext,
    request: &CallRequest,
    overrides: &Overrides,
    options: CallOptions,
) -> Result<CallOutcome, CallError> {
    let gas = request.gas.unwrap_or(options.gas_cap).min(options.gas_cap);
    Runner::new(view, context, request, overrides, options.deadline)?.run(gas).map(|run| run.outcome)
}

/// A finished run.
pub(super) struct Run {
    pub(super) outcome: CallOutcome,
    /// Gas used before refunds.
    pub(super) spent: u64,
}

/// Runs the same request once or several times.
pub(super) struct Runner {
    evm: Evm,
    tx: TxEnv,
}

impl Runner {
    pub(super) fn new(
        view: &StateView,
        block: &BlockContext,
        request: &CallRequest,
        overrides: &Overrides,
        deadline: Option<Instant>,
    ) -> Result<Self, CallError> {
        let mut state = BlockState::new(view.clone());
        overrides.apply(&mut state)?;
        let nonce = state.basic(request.from)?.map_or(0, |account| account.nonce);
        let tx = call_tx(request, block, nonce);
        let mut evm = overrides.evm(state, call_cfg(block, &tx), overrides.block_env(block.block_env()))?;
        evm.set_deadline(Deadline::at(deadline));
        Ok(Self { evm, tx })
    }

    /// An account's balance, as the run sees it.
    pub(super) fn balance(&mut self, address: Address) -> Result<U256, CallError> {
        Ok(self.evm.state_mut().basic(address)?.map_or(U256::ZERO, |account| account.balance))
    }

    /// Whether an account has code, as the run sees it.
    pub(super) fn has_code(&mut self, address: Address) -> Result<bool, CallError> {
        Ok(self.evm.state_mut().basic(address)?.is_some_and(|account| !account.is_empty_code_hash()))
    }

    /// Most that the request pays per gas.
    pub(super) fn gas_price(&self) -> u128 {
        self.tx.gas_price
    }

    pub(super) fn run(&mut self, gas: u64) -> Result<Run, CallError> {
        let tx = TxEnv { gas_limit: gas, ..self.tx.clone() };
        let result = self.evm.transact(tx);
        self.told(result)
    }

    /// The same with this access list and under the eyes of an inspector.
    pub(super) fn inspect<I: Inspector<EvmContext>>(
        &mut self,
        gas: u64,
        access_list: AccessList,
        inspector: &mut I,
    ) -> Result<Run, CallError> {
        let tx_type = self.tx.tx_type.max(1);
        let tx = TxEnv { gas_limit: gas, access_list, tx_type, ..self.tx.clone() };
        let result = self.evm.inspect(tx, inspector);
        self.told(result)
    }

    fn told(&self, result: Result<Outcome, EVMError<StateError>>) -> Result<Run, CallError> {
        if self.evm.expired() {
            return Err(CallError::TimedOut);
        }
        result.map(|outcome| finished(outcome.result)).map_err(CallError::from)
    }
}

impl From<EVMError<StateError>> for CallError {
    fn from(error: EVMError<StateError>) -> Self {
        match error {
            EVMError::Transaction(invalid) => Self::Invalid(geth_text(&invalid)),
            EVMError::Database(error) => error.into(),
            other => Self::Internal(other.to_string()),
        }
    }
}

/// The rules that a call is free of: nobody signs it, and nobody pays for it unless it says so.
pub(crate) fn call_cfg(block: &BlockContext, tx: &TxEnv) -> CfgEnv {
    let mut cfg = block.cfg_env();
    cfg.disable_nonce_check = true;
    cfg.disable_eip3607 = true;
    cfg.disable_block_gas_limit = true;
    cfg.disable_base_fee = tx.gas_price == 0;
    cfg.tx_gas_limit_cap = Some(u64::MAX);
    cfg
}

/// A request as revm takes it; without a gas limit.
pub(crate) fn call_tx(request: &CallRequest, block: &BlockContext, nonce: u64) -> TxEnv {
    let dynamic = request.max_fee_per_gas.is_some() || request.max_priority_fee_per_gas.is_some();
    let tx_type = match () {
        () if !request.authorization_list.is_empty() => 4,
        () if dynamic => 2,
        () if request.access_list.is_some() => 1,
        () => 0,
    };
    TxEnv {
        tx_type,
        caller: request.from,
        gas_limit: 0,
        gas_price: request.gas_price.or(request.max_fee_per_gas).unwrap_or(0),
        kind: request.to.map_or(TxKind::Create, TxKind::Call),
        value: request.value,
        data: request.input.clone(),
        nonce,
        chain_id: Some(block.chain_id),
        access_list: request.access_list.clone().unwrap_or_default(),
        gas_priority_fee: (tx_type == 2 || tx_type == 4).then(|| request.max_priority_fee_per_gas.unwrap_or(0)),
        blob_hashes: Vec::new(),
        max_fee_per_blob_gas: 0,
        authorization_list: request.authorization_list.iter().cloned().map(Either::Left).collect(),
    }
}

pub(super) fn finished(result: ExecutionResult) -> Run {
    let (spent, gas_used) = (result.gas().total_gas_spent(), result.tx_gas_used());
    let outcome = match result {
        ExecutionResult::Success { output, logs, .. } => {
            CallOutcome::Success { output: output.into_data(), gas_used, logs }
        }
        ExecutionResult::Revert { output, .. } => CallOutcome::Revert { output, gas_used },
        ExecutionResult::Halt { reason, .. } => {
            let out_of_gas = matches!(reason, HaltReason::OutOfGas(_));
            CallOutcome::Halt { reason: halt_text(&reason), out_of_gas, gas_used }
        }
    };
    Run { outcome, spent }
}

fn halt_text(reason: &HaltReason) -> String {
    match reason {
        HaltReason::OutOfGas(_) => "out of gas".into(),
        HaltReason::OpcodeNotFound | HaltReason::InvalidFEOpcode => "invalid opcode".into(),
        HaltReason::InvalidJump => "invalid jump destination".into(),
        HaltReason::StackUnderflow => "stack underflow".into(),
        HaltReason::StackOverflow => "stack limit reached 1024 (1023)".into(),
        HaltReason::CreateCollision => "contract address collision".into(),
        HaltReason::CreateContractSizeLimit => "max code size exceeded".into(),
        HaltReason::CreateInitCodeSizeLimit => "max initcode size exceeded".into(),
        HaltReason::NonceOverflow => "nonce uint64 overflow".into(),
        HaltReason::CallTooDeep => "max call depth exceeded".into(),
        HaltReason::OutOfFunds => "insufficient balance for transfer".into(),
        HaltReason::StateChangeDuringStaticCall => "write protection".into(),
        other => format!("execution halted: {other:?}"),
    }
}

pub(super) fn geth_text(invalid: &InvalidTransaction) -> String {
    match invalid {
        InvalidTransaction::LackOfFundForMaxFee { fee, balance } => {
            format!("insufficient funds for gas * price + value: have {balance} want {fee}")
        }
        InvalidTransaction::CallGasCostMoreThanGasLimit { initial_gas, gas_limit } => {
            format!("intrinsic gas too low: have {gas_limit}, want {initial_gas}")
        }
        InvalidTransaction::GasFloorMoreThanGasLimit { gas_floor, gas_limit } => {
            format!("insufficient gas for floor data gas cost: have {gas_limit}, want {gas_floor}")
        }
        InvalidTransaction::GasPriceLessThanBasefee => "max fee per gas less than block base fee".into(),
        InvalidTransaction::PriorityFeeGreaterThanMaxFee => {
            "max priority fee per gas higher than max fee per gas".into()
        }
        InvalidTransaction::CreateInitCodeSizeLimit => "max initcode size exceeded".into(),
        other => other.to_string(),
    }
}

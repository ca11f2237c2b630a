//! The calls of a simulated block (`eth_simulateV1`): run one after the other, each upon what those before it changed.
//!
//! The blocks around them are made in `chain/simulate.rs`.

use std::sync::Arc;
use std::time::Instant;

use alloy_primitives::{Address, Log, U256};
use revm::context::TxEnv;
use revm::context::result::{EVMError, InvalidTransaction};
use revm::database_interface::{Database, DatabaseCommit};
use revm::primitives::eip7825::TX_GAS_LIMIT_CAP;
use revm::primitives::hardfork::SpecId;

use super::call::{Run, finished, geth_text};
use super::evm::{Evm, Outcome};
use super::transfers::Transfers;
use super::unsigned::unsigned;
use super::{BlockContext, CallError, CallOutcome, CallRequest, Deadline, Overrides, Receipt};
use crate::state::{BlockState, StateError};
use crate::transaction::{Recovered, SignedTransaction};

/// No transaction needs less gas.
const LEAST_GAS: u64 = 21_000;

/// What to simulate.
#[derive(Clone, Debug, Default)]
pub struct Simulation {
    /// The blocks, in order.
    pub blocks: Vec<BlockCalls>,
    /// Whether nonces, base fee and the chain's least price count as they do for signed transactions.
    pub validation: bool,
    /// Whether transfers of ether are told among the logs.
    pub trace_transfers: bool,
}

/// One block of a simulation.
#[derive(Clone, Debug, Default)]
pub struct BlockCalls {
    /// What is assumed of it, and of the state before it.
    pub overrides: Overrides,
    /// Its transactions.
    pub calls: Vec<CallRequest>,
}

/// What came of one call.
#[derive(Clone, Debug)]
pub struct SimulatedCall {
    /// How it ended.
    pub outcome: CallOutcome,
    /// What it logged, with the transfers if they were asked for.
    pub logs: Vec<Log>,
    /// Gas that it used before refunds.
    pub spent: u64,
}

/// Why a call cannot be part of the simulated block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallFault {
    /// Its nonce was used before.
    NonceTooLow,
    /// A nonce before its is missing.
    NonceTooHigh,
    /// Its gas limit does not pay for what every transaction costs.
    IntrinsicGas,
    /// The sender has less than it may cost.
    Funds,
    /// The init code is too long.
    InitCodeSize,
    /// Its fees contradict each other, or are too low.
    Fees,
    /// Something else.
    Other,
}

/// Something cannot be simulated.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// A block does not come after the one before it.
    #[error("block numbers must be in order: {got} <= {previous}")]
    NumberOrder {
        /// Its number.
        got: U256,
        /// The number before.
        previous: u64,
    },
    /// A block is not later than the one before it.
    #[error("block timestamps must be in order: {got} <= {previous}")]
    TimeOrder {
        /// Its time.
        got: u64,
        /// The time before.
        previous: u64,
    },
    /// The last block is too far from the first.
    #[error("too many blocks")]
    TooManyBlocks,
    /// All calls together take more gas than one request may.
    #[error("RPC gas cap exhausted: need at least {LEAST_GAS} gas, remaining {left}")]
    GasCap {
        /// What is left of it.
        left: u64,
    },
    /// A call wants more gas than its block has left.
    #[error("block gas limit reached: remaining: {left}, required: {asked}")]
    BlockGas {
        /// What the block has left.
        left: u64,
        /// The call's gas limit.
        asked: u64,
    },
    /// A call is not possible as a transaction.
    #[error("{text}")]
    Transaction {
        /// Why, as a kind.
        fault: CallFault,
        /// Why, in Geth's words.
        text: String,
    },
    /// It could not be run.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl From<StateError> for SimulateError {
    fn from(error: StateError) -> Self {
        Self::Call(error.into())
    }
}

/// What all calls of a simulation share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) validation: bool,
    pub(crate) trace_transfers: bool,
    /// The least that a transaction pays per gas.
    pub(crate) min_gas_price: u64,
    pub(crate) deadline: Option<Instant>,
}

impl Terms {
    pub(crate) fn check_time(&self) -> Result<(), CallError> {
        match self.deadline {
            Some(at) if Instant::now() >= at => Err(CallError::TimedOut),
            _ => Ok(()),
        }
    }
}

/// What the calls of a block came to.
pub(crate) struct Simulated {
    pub(crate) calls: Vec<SimulatedCall>,
    pub(crate) transactions: Vec<Arc<Recovered>>,
    pub(crate) receipts: Vec<Receipt>,
    pub(crate) gas_used: u64,
    pub(crate) state: BlockState,
}

/// Runs the calls of a block in this context upon `state`. They take their gas from `budget` as well.
pub(crate) fn simulate_calls(
    mut state: BlockState,
    context: &BlockContext,
    block: &BlockCalls,
    terms: Terms,
    budget: &mut u64,
) -> Result<Simulated, SimulateError> {
    block.overrides.apply_to_block(&mut state)?;
    let mut cfg = context.cfg_env();
    cfg.disable_nonce_check = !terms.validation;
    cfg.disable_eip3607 = true;
    // Judged here, in Geth's words.
    cfg.disable_block_gas_limit = true;
    if !terms.validation {
        cfg.tx_gas_limit_cap = Some(u64::MAX);
    }
    let mut evm = block.overrides.evm(state, cfg, block.overrides.block_env(context.block_env()))?;
    evm.set_deadline(Deadline::at(terms.deadline));
    let mut run = BlockRun { evm, context, terms, gas_used: 0, transactions: Vec::new(), receipts: Vec::new() };
    let calls = block.calls.iter().map(|request| run.call(request, budget)).collect::<Result<Vec<_>, _>>()?;
    let BlockRun { evm, transactions, receipts, gas_used, .. } = run;
    Ok(Simulated { calls, transactions, receipts, gas_used, state: evm.into_state() })
}

struct BlockRun<'a> {
    evm: Evm,
    context: &'a BlockContext,
    terms: Terms,
    gas_used: u64,
    transactions: Vec<Arc<Recovered>>,
    receipts: Vec<Receipt>,
}

impl BlockRun<'_> {
    fn call(&mut self, request: &CallRequest, budget: &mut u64) -> Result<SimulatedCall, SimulateError> {
        self.terms.check_time()?;
        let request = with_fees(request);
        let nonce = match request.nonce {
            Some(nonce) => nonce,
            None => self.evm.state_mut().basic(request.from)?.map_or(0, |account| account.nonce),
        };
        let gas = self.gas_limit(&request, *budget)?;
        let transaction = self.transaction(&request, nonce, gas)?;
        let tx = TxEnv { gas_limit: gas, ..super::call_tx(&request, self.context, nonce) };
        let tx_type = tx.tx_type;
        self.check_price(&tx)?;
        let (Run { outcome, spent }, logs) = self.run(tx)?;
        let (success, gas_used, receipt_logs) = match &outcome {
            CallOutcome::Success { gas_used, logs, .. } => (true, *gas_used, logs.clone()),
            CallOutcome::Revert { gas_used, .. } | CallOutcome::Halt { gas_used, .. } => (false, *gas_used, Vec::new()),
        };
        *budget = budget.saturating_sub(gas_used);
        self.gas_used = self.gas_used.saturating_add(gas_used);
        self.transactions.push(transaction);
        let logs = logs.unwrap_or_else(|| receipt_logs.clone());
        let cumulative_gas_used = self.gas_used;
        self.receipts.push(Receipt { tx_type, success, gas_used, cumulative_gas_used, logs: receipt_logs });
        Ok(SimulatedCall { outcome, logs, spent })
    }

    /// The gas limit of a call: as it asks or what the block has left, and not more than all calls may still use.
    fn gas_limit(&self, request: &CallRequest, budget: u64) -> Result<u64, SimulateError> {
        let left = self.context.gas_limit.saturating_sub(self.gas_used);
        let capped = self.terms.validation && self.context.spec.is_enabled_in(SpecId::OSAKA);
        let most = if capped { left.min(TX_GAS_LIMIT_CAP) } else { left };
        let asked = request.gas.unwrap_or(most);
        if asked > left {
            return Err(SimulateError::BlockGas { left, asked });
        }
        if budget < LEAST_GAS {
            return Err(SimulateError::GasCap { left: budget });
        }
        Ok(asked.min(budget))
    }

    /// The call as a transaction of the block, which nobody has signed.
    fn transaction(&self, request: &CallRequest, nonce: u64, gas: u64) -> Result<Arc<Recovered>, SimulateError> {
        let tx = unsigned(request, self.context.chain_id, nonce, gas);
        let tx =
            tx.ok_or_else(|| CallError::Invalid("EIP-7702 transaction cannot be used to create contract".into()))?;
        let signed = SignedTransaction::encode(&tx).map_err(|error| CallError::Invalid(error.to_string()))?;
        Ok(Arc::new(Recovered::from_trusted(signed, request.from)))
    }

    /// Blocks take no transaction that pays less than the chain's minimum.
    fn check_price(&self, tx: &TxEnv) -> Result<(), SimulateError> {
        let base_fee = u128::from(self.context.base_fee);
        let tip = tx.gas_priority_fee.unwrap_or(tx.gas_price);
        let (got, minimum) = (tx.gas_price.min(base_fee.saturating_add(tip)), u128::from(self.terms.min_gas_price));
        if self.terms.validation && got < minimum {
            let text = format!("gas price {got} is below the chain's minimum {minimum}");
            return Err(SimulateError::Transaction { fault: CallFault::Fees, text });
        }
        Ok(())
    }

    /// Runs a transaction and takes its changes over. The logs are there if transfers are among them.
    fn run(&mut self, tx: TxEnv) -> Result<(Run, Option<Vec<Log>>), SimulateError> {
        // Who pays nothing is not asked for the base fee.
        self.evm.ctx_mut().cfg.disable_base_fee = !self.terms.validation && tx.gas_price == 0;
        let caller = tx.caller;
        let (result, logs) = if self.terms.trace_transfers {
            let mut transfers = Transfers::default();
            let result = self.evm.inspect(tx, &mut transfers);
            (result, Some(transfers.into_logs()))
        } else {
            (self.evm.transact(tx), None)
        };
        if self.evm.expired() {
            return Err(CallError::TimedOut.into());
        }
        let Outcome { result, state } = result.map_err(|error| match error {
            EVMError::Transaction(invalid) => {
                let (fault, text) = judged(&invalid, caller);
                SimulateError::Transaction { fault, text }
            }
            other => CallError::from(other).into(),
        })?;
        self.evm.state_mut().commit(state);
        Ok((finished(result), logs))
    }
}

/// A call pays as a fee-market transaction unless it says otherwise, by default nothing.
fn with_fees(request: &CallRequest) -> CallRequest {
    let mut request = request.clone();
    if request.gas_price.is_none() || !request.authorization_list.is_empty() {
        let price = request.gas_price.take();
        request.max_fee_per_gas = price.or(request.max_fee_per_gas).or(Some(0));
        request.max_priority_fee_per_gas = price.or(request.max_priority_fee_per_gas).or(Some(0));
    }
    request
}

fn judged(invalid: &InvalidTransaction, caller: Address) -> (CallFault, String) {
    let fault = match invalid {
        InvalidTransaction::NonceTooLow { tx, state } => {
            return (CallFault::NonceTooLow, format!("nonce too low: address {caller}, tx: {tx} state: {state}"));
        }
        InvalidTransaction::NonceTooHigh { tx, state } => {
            return (CallFault::NonceTooHigh, format!("nonce too high: address {caller}, tx: {tx} state: {state}"));
        }
        InvalidTransaction::CallGasCostMoreThanGasLimit { .. }
        | InvalidTransaction::GasFloorMoreThanGasLimit { .. } => CallFault::IntrinsicGas,
        InvalidTransaction::LackOfFundForMaxFee { .. } | InvalidTransaction::OverflowPaymentInTransaction => {
            CallFault::Funds
        }
        InvalidTransaction::CreateInitCodeSizeLimit => CallFault::InitCodeSize,
        InvalidTransaction::PriorityFeeGreaterThanMaxFee | InvalidTransaction::GasPriceLessThanBasefee => {
            CallFault::Fees
        }
        _ => CallFault::Other,
    };
    (fault, geth_text(invalid))
}

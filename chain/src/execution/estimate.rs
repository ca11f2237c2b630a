//! `eth_estimateGas`: the least gas limit with which a call succeeds, found as Geth finds it.

use alloy_primitives::{Bytes, U256};
use revm::primitives::eip7825;
use revm::primitives::hardfork::SpecId;

use super::call::Runner;
use super::{BlockContext, CallError, CallOptions, CallOutcome, CallRequest, Overrides};
use crate::state::StateView;

/// A plain transfer.
const TRANSFER_GAS: u64 = 21_000;
/// What a call that sends value gives along for free.
const CALL_STIPEND: u64 = 2_300;
/// The search ends when the bounds are closer than this share of the upper one, in thousandths.
const PRECISION_PER_MILLE: u64 = 15;

/// There is no estimate.
#[derive(Debug, thiserror::Error)]
pub enum EstimateError {
    /// It reverts however much gas it gets. The data is the reason as the contract encoded it.
    #[error("execution reverted")]
    Revert(Bytes),
    /// It fails however much gas it gets.
    #[error("{0}")]
    Halt(String),
    /// It needs more gas than allowed, or than the sender can pay for.
    #[error("gas required exceeds allowance ({allowance})")]
    Allowance {
        /// What is allowed.
        allowance: u64,
    },
    /// The sender does not have what it sends.
    #[error("insufficient funds for transfer")]
    Funds,
    /// It could not be run.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// Estimates the gas limit that `request` needs upon the state of `view`. The result is at most
/// 1.5% too high, and never more than a transaction may have: a call may use more (EIP-7825).
pub fn estimate_gas(
    view: &StateView,
    context: &BlockContext,
    request: &CallRequest,
    overrides: &Overrides,
    options: CallOptions,
) -> Result<u64, EstimateError> {
    let mut runner = Runner::new(view, context, request, overrides, options.deadline)?;
    let block_gas = overrides.block.gas_limit.unwrap_or(context.gas_limit);
    let asked = request.gas.filter(|gas| *gas >= TRANSFER_GAS).unwrap_or(block_gas);
    let osaka = context.spec.is_enabled_in(SpecId::OSAKA);
    let transaction_cap = if osaka { eip7825::TX_GAS_LIMIT_CAP } else { u64::MAX };
    let mut high = asked.min(transaction_cap).min(options.gas_cap).min(affordable(&mut runner, request)?);
    if let Some(to) = request.to
        && request.input.is_empty()
        && request.authorization_list.is_empty()
        && high >= TRANSFER_GAS
        && !runner.has_code(to)?
        && runner.run(TRANSFER_GAS).is_ok_and(|run| run.outcome.is_success())
    {
        return Ok(TRANSFER_GAS);
    }
    let run = match runner.run(high) {
        Err(CallError::Invalid(text)) if too_little(&text) => return Err(EstimateError::Allowance { allowance: high }),
        run => run?,
    };
    let gas_used = match run.outcome {
        CallOutcome::Success { gas_used, .. } => gas_used,
        CallOutcome::Revert { output, .. } => return Err(EstimateError::Revert(output)),
        CallOutcome::Halt { out_of_gas: true, .. } => return Err(EstimateError::Allowance { allowance: high }),
        CallOutcome::Halt { reason, .. } => return Err(EstimateError::Halt(reason)),
    };
    let mut low = gas_used.saturating_sub(1);
    // Most calls need what they spend and the 64th that each inner call holds back.
    let optimistic = run.spent.saturating_add(CALL_STIPEND).saturating_mul(64) / 63;
    let mut next = optimistic;
    while low + 1 < high {
        if next >= high {
            next = low + (high - low) / 2;
        }
        if succeeds(&mut runner, next)? {
            high = next;
        } else {
            low = next;
        }
        if (high - low).saturating_mul(1000) < high.saturating_mul(PRECISION_PER_MILLE) {
            break;
        }
        // Most estimates are near the low end; do not fall for a large cap.
        next = (low + (high - low) / 2).min(low.saturating_mul(2));
    }
    Ok(high)
}

/// Whether it runs to its end with this gas limit.
fn succeeds(runner: &mut Runner, gas: u64) -> Result<bool, CallError> {
    match runner.run(gas) {
        Ok(run) => Ok(run.outcome.is_success()),
        Err(CallError::Invalid(text)) if too_little(&text) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a transaction is impossible just for its low gas limit.
fn too_little(text: &str) -> bool {
    text.starts_with("intrinsic gas too low") || text.starts_with("insufficient gas for floor data gas cost")
}

/// How much gas the sender can pay for at the price that the request names.
fn affordable(runner: &mut Runner, request: &CallRequest) -> Result<u64, EstimateError> {
    let price = runner.gas_price();
    if price == 0 {
        return Ok(u64::MAX);
    }
    let available = runner.balance(request.from)?.checked_sub(request.value).ok_or(EstimateError::Funds)?;
    Ok((available / U256::from(price)).saturating_to())
}

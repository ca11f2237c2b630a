//! `eth_createAccessList`: what a call reads, so that it can say so beforehand (EIP-2930).

use alloy_eips::eip2930::AccessList;
use revm_inspectors::access_list::AccessListInspector;

use super::call::Runner;
use super::{BlockContext, CallError, CallOptions, CallOutcome, CallRequest, Overrides};
use crate::state::StateView;

/// Runs until the list no longer changes what the call does. Geth has no limit; each run costs the caller's time.
const MOST_RUNS: usize = 16;

/// An access list, and what the call comes to with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessListOutcome {
    /// The accounts and slots.
    pub access_list: AccessList,
    /// Gas that the call uses with it.
    pub gas_used: u64,
    /// Why the call fails, if it does: the list is then of what it read until it did.
    pub error: Option<String>,
}

/// Finds the accounts and storage slots that a call reads. Sender, recipient, precompiles and the fee recipient are warm
/// without a list and stand in it only with slots.
pub fn create_access_list(
    view: &StateView,
    context: &BlockContext,
    request: &CallRequest,
    overrides: &Overrides,
    options: CallOptions,
) -> Result<AccessListOutcome, CallError> {
    let mut runner = Runner::new(view, context, request, overrides, options.deadline)?;
    let gas = request.gas.unwrap_or(context.gas_limit).min(options.gas_cap);
    let mut list = request.access_list.clone().unwrap_or_default();
    for _ in 0..MOST_RUNS {
        let mut inspector = AccessListInspector::new(list.clone());
        let run = runner.inspect(gas, list.clone(), &mut inspector)?;
        let found = sorted(inspector.into_access_list());
        if found == sorted(list) {
            let (gas_used, error) = match run.outcome {
                CallOutcome::Success { gas_used, .. } => (gas_used, None),
                CallOutcome::Revert { gas_used, .. } => (gas_used, Some("execution reverted".into())),
                CallOutcome::Halt { gas_used, reason, .. } => (gas_used, Some(reason)),
            };
            return Ok(AccessListOutcome { access_list: found, gas_used, error });
        }
        list = found;
    }
    Err(CallError::Invalid(format!(
        "what the call reads depends on its access list: no list fits after {MOST_RUNS} runs"
    )))
}

/// In one order, so that equal lists are equal and answers do not depend on a map's order.
fn sorted(mut list: AccessList) -> AccessList {
    list.0.sort_unstable_by_key(|item| item.address);
    for item in &mut list.0 {
        item.storage_keys.sort_unstable();
    }
    list
}

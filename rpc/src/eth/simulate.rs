//! `eth_simulateV1`: blocks that could follow, with calls in place of signed transactions.
//!
//! The chain makes them; this reads the request and tells what came of it as Geth does.

use alloy_primitives::Log;
use alloy_rpc_types_eth::simulate::{SimCallResult, SimulateError as RpcSimulateError, SimulatedBlock as Told};
use assent_chain::{
    chain::{MAX_SIMULATED_BLOCKS, SimulatedBlock},
    execution::{BlockCalls, CallFault, CallOutcome, Overrides, SimulateError, SimulatedCall, Simulation},
};
use serde_json::{Map, Value};

use crate::{
    errors::{CLIENT_LIMIT, CallError, INVALID_PARAMS, SERVER_ERROR},
    eth::{
        blocks::{Place, RpcBlock, rpc_block, rpc_log},
        call,
        reader::FullBlock,
    },
    limits::MAX_SIMULATED_CALLS,
    methods::Api,
    params::{self, Args, invalid},
};

/// A call that the EVM stopped.
const VM_ERROR: i32 = -32015;

/// `eth_simulateV1`
pub(crate) fn simulate(api: &Api, args: &Args) -> Result<Vec<Told<RpcBlock>>, CallError> {
    let payload = args.required(0, "payload", params::object)?;
    let at = args.block(1)?;
    let flag = |name: &str| match payload.get(name).filter(|value| !value.is_null()) {
        Some(value) => params::boolean(&format!("{PAYLOAD}.{name}"), value),
        None => Ok(false),
    };
    let simulation = Simulation {
        validation: flag("validation")?,
        trace_transfers: flag("traceTransfers")?,
        blocks: blocks(api, &payload)?,
    };
    let full = flag("returnFullTransactions")?;
    let simulated = api.backend.chain.simulate(at, &simulation, call::options(api));
    let simulated = simulated.map_err(|error| failed(api, error))?;
    Ok(simulated.iter().map(|block| told(block, full)).collect())
}

/// How the first parameter is called in errors.
const PAYLOAD: &str = "invalid argument 0: payload";

fn too_much(message: impl Into<String>) -> CallError {
    CallError::Coded { code: CLIENT_LIMIT, message: message.into() }
}

fn blocks(api: &Api, payload: &Map<String, Value>) -> Result<Vec<BlockCalls>, CallError> {
    let what = format!("{PAYLOAD}.blockStateCalls");
    let list: &[Value] = match payload.get("blockStateCalls") {
        None | Some(Value::Null) => &[],
        Some(Value::Array(list)) => list.as_slice(),
        Some(other) => return Err(invalid(&what, "an array of blocks", other)),
    };
    if list.is_empty() {
        return Err(CallError::InvalidParams("empty input".into()));
    }
    if list.len() as u64 > MAX_SIMULATED_BLOCKS {
        return Err(too_much("too many blocks"));
    }
    // Before any of them is read: they take more memory than in the request.
    let calls: usize = list.iter().map(|block| block.get("calls").and_then(Value::as_array).map_or(0, Vec::len)).sum();
    if calls > MAX_SIMULATED_CALLS {
        return Err(too_much(format!("too many calls: {calls} > {MAX_SIMULATED_CALLS}")));
    }
    list.iter().enumerate().map(|(index, block)| block_calls(api, &format!("{what}[{index}]"), block)).collect()
}

fn block_calls(api: &Api, what: &str, value: &Value) -> Result<BlockCalls, CallError> {
    let fields = params::object(what, value)?;
    let field = |name: &str| fields.get(name).filter(|value| !value.is_null());
    let state = field("stateOverrides").map(|value| call::structure(&format!("{what}.stateOverrides"), value));
    let block = field("blockOverrides").map(|value| call::structure(&format!("{what}.blockOverrides"), value));
    let overrides =
        Overrides { state: state.transpose()?.unwrap_or_default(), block: block.transpose()?.unwrap_or_default() };
    let calls = match field("calls") {
        None => Vec::new(),
        Some(Value::Array(calls)) => {
            let calls = calls.iter().enumerate();
            let requests = calls.map(|(index, value)| call::request_in(api, &format!("{what}.calls[{index}]"), value));
            requests.collect::<Result<Vec<_>, _>>()?
        }
        Some(other) => return Err(invalid(&format!("{what}.calls"), "an array of calls", other)),
    };
    Ok(BlockCalls { overrides, calls })
}

fn told(simulated: &SimulatedBlock, full: bool) -> Told<RpcBlock> {
    let block = FullBlock::from(&*simulated.block);
    let mut logs_before = 0;
    let mut calls = Vec::with_capacity(simulated.calls.len());
    for (index, (call, tx)) in simulated.calls.iter().zip(block.transactions()).enumerate() {
        let place = Place::new(block.hash(), block.header(), index);
        let log = |(index, log): (usize, &Log)| rpc_log(log.clone(), &place, *tx.hash(), logs_before + index as u64);
        let logs: Vec<_> = call.logs.iter().enumerate().map(log).collect();
        logs_before += logs.len() as u64;
        calls.push(result(call, logs));
    }
    Told { inner: rpc_block(block.block(), full), calls }
}

fn result(call: &SimulatedCall, logs: Vec<alloy_rpc_types_eth::Log>) -> SimCallResult {
    let (return_data, gas_used, error) = match &call.outcome {
        CallOutcome::Success { output, gas_used, .. } => (output.clone(), *gas_used, None),
        CallOutcome::Revert { output, gas_used } => {
            let reverted = call::reverted(output.clone());
            let (code, message) = (reverted.code(), reverted.to_string());
            let error = RpcSimulateError { code, message, data: Some(output.clone()) };
            (Default::default(), *gas_used, Some(error))
        }
        CallOutcome::Halt { reason, gas_used, .. } => {
            let message = format!("vm execution error: {reason}");
            (Default::default(), *gas_used, Some(RpcSimulateError { code: VM_ERROR, message, data: None }))
        }
    };
    let (max_used_gas, status) = (Some(call.spent.max(gas_used)), error.is_none());
    SimCallResult { return_data, logs, gas_used, max_used_gas, status, error }
}

fn failed(api: &Api, error: SimulateError) -> CallError {
    let code = match &error {
        SimulateError::NumberOrder { .. } => -38020,
        SimulateError::TimeOrder { .. } => -38021,
        SimulateError::TooManyBlocks | SimulateError::GasCap { .. } => CLIENT_LIMIT,
        SimulateError::BlockGas { .. } => -38015,
        SimulateError::Transaction { fault, .. } => match fault {
            CallFault::NonceTooLow => -38010,
            CallFault::NonceTooHigh => -38011,
            CallFault::IntrinsicGas => -38013,
            CallFault::Funds => -38014,
            CallFault::InitCodeSize => -38025,
            CallFault::Fees => INVALID_PARAMS,
            CallFault::Other => SERVER_ERROR,
        },
        SimulateError::Call(_) => SERVER_ERROR,
    };
    match error {
        SimulateError::Call(error) => call::failed(api, error),
        error => CallError::Coded { code, message: error.to_string() },
    }
}

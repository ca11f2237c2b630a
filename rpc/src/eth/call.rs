//! `eth_call`, `eth_estimateGas` and `eth_createAccessList`: reading the request, and telling what came of it as Geth
//! does.
//!
//! The execution itself is the chain's. They run on the bounded pool, with a gas cap and a
//! deadline.

use std::time::Instant;

use alloy_eips::{BlockId, eip2930::AccessList};
use alloy_primitives::{Bytes, U64};
use alloy_sol_types::{Panic, Revert, SolError};
use assent_chain::execution::{
    self, AccessListOutcome, CallError as ExecutionError, CallOptions, CallOutcome, CallRequest, EstimateError,
    Overrides,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{
    errors::CallError,
    eth::reader::Reader,
    methods::Api,
    params::{self, Args, Read, invalid},
};

/// Parameters: request, block, overrides of the state and of the block.
pub(crate) const CALL_PARAMS: usize = 4;

/// `eth_call`
pub(crate) fn call(api: &Api, args: &Args) -> Result<Bytes, CallError> {
    let (request, overrides) = (request(api, args, 0)?, overrides(args, 2, 3)?);
    let (view, context) = Reader::new(api).execution(args.block(1)?, &overrides)?;
    let outcome =
        execution::call(&view, &context, &request, &overrides, options(api)).map_err(|error| failed(api, error))?;
    match outcome {
        CallOutcome::Success { output, .. } => Ok(output),
        CallOutcome::Revert { output, .. } => Err(reverted(output)),
        CallOutcome::Halt { reason, .. } => Err(CallError::Refused(reason)),
    }
}

/// `eth_estimateGas`
pub(crate) fn estimate_gas(api: &Api, args: &Args) -> Result<U64, CallError> {
    let (request, overrides) = (request(api, args, 0)?, overrides(args, 2, 3)?);
    estimate(api, &request, args.block(1)?, &overrides).map(U64::from)
}

/// The gas limit that a call needs.
pub(crate) fn estimate(api: &Api, request: &CallRequest, at: BlockId, overrides: &Overrides) -> Result<u64, CallError> {
    let (view, context) = Reader::new(api).execution(at, overrides)?;
    match execution::estimate_gas(&view, &context, request, overrides, options(api)) {
        Ok(gas) => Ok(gas),
        Err(EstimateError::Revert(output)) => Err(reverted(output)),
        Err(EstimateError::Call(error)) => Err(failed(api, error)),
        Err(error) => Err(CallError::Refused(error.to_string())),
    }
}

/// An access list, and what the call comes to with it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RpcAccessList {
    access_list: AccessList,
    gas_used: U64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// `eth_createAccessList`
pub(crate) fn create_access_list(api: &Api, args: &Args) -> Result<RpcAccessList, CallError> {
    let (request, overrides) = (request(api, args, 0)?, overrides(args, 2, 3)?);
    let (view, context) = Reader::new(api).execution(args.block(1)?, &overrides)?;
    let found = execution::create_access_list(&view, &context, &request, &overrides, options(api));
    let AccessListOutcome { access_list, gas_used, error } = found.map_err(|error| failed(api, error))?;
    Ok(RpcAccessList { access_list, gas_used: U64::from(gas_used), error })
}

/// Limits of a call.
pub(crate) fn options(api: &Api) -> CallOptions {
    CallOptions { gas_cap: api.config.gas_cap, deadline: Some(Instant::now() + api.config.evm_timeout) }
}

/// A call that could not be run, in Geth's words.
pub(crate) fn failed(api: &Api, error: ExecutionError) -> CallError {
    match error {
        ExecutionError::Invalid(text) => CallError::Refused(text),
        ExecutionError::TimedOut => {
            let timeout = api.config.evm_timeout.as_secs_f64();
            CallError::Refused(format!("execution aborted (timeout = {timeout}s)"))
        }
        ExecutionError::State(error) => error.into(),
        other => CallError::internal(other),
    }
}

/// A call that reverted with this data.
pub(crate) fn reverted(data: Bytes) -> CallError {
    CallError::Reverted { reason: reason(&data), data }
}

/// What a contract said when it reverted, as far as Solidity has a form for it.
pub(crate) fn reason(data: &[u8]) -> Option<String> {
    if let Ok(revert) = Revert::abi_decode(data) {
        return Some(revert.reason);
    }
    let code = Panic::abi_decode(data).ok()?.code;
    let known = match code.saturating_to::<u64>() {
        0x00 => "generic panic",
        0x01 => "assert(false)",
        0x11 => "arithmetic underflow or overflow",
        0x12 => "division or modulo by zero",
        0x21 => "enum overflow",
        0x22 => "invalid encoded storage byte array accessed",
        0x31 => "out-of-bounds array access; popping on an empty array",
        0x32 => "out-of-bounds access of an array or bytesN",
        0x41 => "out of memory",
        0x51 => "uninitialized function",
        _ => return Some(format!("unknown panic code: {code:#x}")),
    };
    Some(known.into())
}

/// The request that stands at `index`.
pub(crate) fn request(api: &Api, args: &Args, index: usize) -> Result<CallRequest, CallError> {
    let fields = args.required(index, "transaction", params::object)?;
    let what = format!("invalid argument {index}: transaction");
    parse_request(&Fields { what: &what, fields }, api.backend.genesis.chain_id())
}

/// The same of a value within a parameter.
pub(crate) fn request_in(api: &Api, what: &str, value: &Value) -> Result<CallRequest, CallError> {
    let fields = params::object(what, value)?;
    parse_request(&Fields { what, fields }, api.backend.genesis.chain_id())
}

/// The overrides that stand at these indices.
pub(crate) fn overrides(args: &Args, state: usize, block: usize) -> Result<Overrides, CallError> {
    let state = args.optional(state, "stateOverrides", structure)?.unwrap_or_default();
    let block = args.optional(block, "blockOverrides", structure)?.unwrap_or_default();
    Ok(Overrides { state, block })
}

struct Fields<'a> {
    what: &'a str,
    fields: Map<String, Value>,
}

impl Fields<'_> {
    fn get<T>(&self, name: &str, read: Read<T>) -> Result<Option<T>, CallError> {
        let value = self.fields.get(name).filter(|value| !value.is_null());
        value.map(|value| read(&format!("{}.{name}", self.what), value)).transpose()
    }

    fn refuse<T>(&self, message: impl std::fmt::Display) -> Result<T, CallError> {
        Err(CallError::InvalidParams(format!("{}: {message}", self.what)))
    }

    fn input(&self) -> Result<Bytes, CallError> {
        match (self.get("input", params::bytes)?, self.get("data", params::bytes)?) {
            (Some(input), Some(data)) if input != data => self.refuse(
                "both \"data\" and \"input\" are set and not equal. Please use \"input\" to pass transaction call data",
            ),
            (input, data) => Ok(input.or(data).unwrap_or_default()),
        }
    }
}

/// Fields that only other types of transactions have.
const UNSUPPORTED: [&str; 5] = ["maxFeePerBlobGas", "blobVersionedHashes", "blobs", "commitments", "proofs"];

fn parse_request(fields: &Fields<'_>, chain_id: u64) -> Result<CallRequest, CallError> {
    if UNSUPPORTED.iter().any(|name| fields.fields.get(*name).is_some_and(|value| !value.is_null())) {
        return Err(CallError::Refused("transaction type not supported".into()));
    }
    if let Some(have) = fields.get("chainId", params::u64)?.filter(|have| *have != chain_id) {
        return fields.refuse(format_args!("chainId does not match node's (have={have}, want={chain_id})"));
    }
    // Checked for its form only: what else is there decides.
    fields.get("type", params::u64)?;
    let request = CallRequest {
        from: fields.get("from", params::address)?.unwrap_or_default(),
        to: fields.get("to", params::address)?,
        gas: fields.get("gas", params::u64)?,
        gas_price: fields.get("gasPrice", params::u128)?,
        max_fee_per_gas: fields.get("maxFeePerGas", params::u128)?,
        max_priority_fee_per_gas: fields.get("maxPriorityFeePerGas", params::u128)?,
        value: fields.get("value", params::u256)?.unwrap_or_default(),
        input: fields.input()?,
        access_list: fields.get::<AccessList>("accessList", structure)?,
        authorization_list: fields.get("authorizationList", structure)?.unwrap_or_default(),
        nonce: fields.get("nonce", params::u64)?,
    };
    let dynamic = request.max_fee_per_gas.is_some() || request.max_priority_fee_per_gas.is_some();
    if request.gas_price.is_some() && dynamic {
        return fields.refuse("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified");
    }
    Ok(request)
}

/// A value with parts of its own, as alloy reads it.
pub(crate) fn structure<T: DeserializeOwned>(what: &str, value: &Value) -> Result<T, CallError> {
    T::deserialize(value).map_err(|error| invalid(what, &format!("another form ({error})"), value))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use alloy_primitives::{Address, U256};
    use serde_json::json;

    use super::*;

    fn parse(value: Value) -> Result<CallRequest, CallError> {
        let fields = value.as_object().unwrap().clone();
        parse_request(&Fields { what: "transaction", fields }, 31337)
    }

    #[test]
    fn requests_are_read_leniently() {
        let to = Address::repeat_byte(1);
        let request = parse(json!({
            "to": to, "data": "0x01", "input": "0x01", "gas": "0x00ff", "value": 5, "nonce": null, "unknown": [],
            "accessList": [{"address": to, "storageKeys": []}], "chainId": "0x7a69",
        }))
        .unwrap();
        assert_eq!((request.to, request.gas, request.value), (Some(to), Some(255), U256::from(5)));
        assert_eq!(request.input, Bytes::from(vec![1]));
        assert_eq!(request.access_list.unwrap().len(), 1);
        assert_eq!(parse(json!({"data": "0x02"})).unwrap().input, Bytes::from(vec![2]));
    }

    #[test]
    fn contradictions_and_wrong_types_are_refused_by_name() {
        for (value, part) in [
            (json!({"to": "0x12"}), "transaction.to: expected an address"),
            (json!({"gas": "many"}), "transaction.gas: expected a quantity"),
            (json!({"data": "0x01", "input": "0x02"}), "both \"data\" and \"input\""),
            (json!({"gasPrice": "0x1", "maxFeePerGas": "0x1"}), "both gasPrice and"),
            (json!({"chainId": "0x1"}), "chainId does not match node's (have=1, want=31337)"),
            (json!({"accessList": "0x"}), "transaction.accessList"),
        ] {
            let error = parse(value).unwrap_err();
            assert_eq!(error.code(), -32602);
            assert!(error.to_string().contains(part), "{error}");
        }
        let blobs = parse(json!({"blobVersionedHashes": []})).unwrap_err();
        assert_eq!(blobs, CallError::Refused("transaction type not supported".into()));
    }

    #[test]
    fn reasons_are_read_from_solidity_errors() {
        let revert = Revert { reason: "no way".into() }.abi_encode();
        assert_eq!(reason(&revert).as_deref(), Some("no way"));
        let panic = Panic { code: U256::from(0x11) }.abi_encode();
        assert_eq!(reason(&panic).as_deref(), Some("arithmetic underflow or overflow"));
        let panic = Panic { code: U256::from(0x99) }.abi_encode();
        assert_eq!(reason(&panic).as_deref(), Some("unknown panic code: 0x99"));
        for data in [&[][..], &[1, 2, 3, 4], &revert[..10]] {
            assert_eq!(reason(data), None);
        }
    }
}

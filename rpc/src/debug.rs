//! The namespace `debug`: Geth's tracers, and blocks, transactions and receipts as bytes.

use alloy_eips::{BlockId, eip2718::Encodable2718};
use alloy_primitives::{B256, Bytes};
use alloy_rlp::Encodable;
use alloy_rpc_types_trace::geth::{GethDebugTracingCallOptions, GethDebugTracingOptions, GethTrace};
use assent_chain::{execution::Overrides, trace::TraceLimits};
use serde::Serialize;
use serde_json::Value;

use crate::{
    errors::CallError,
    eth::{
        call,
        reader::{FullBlock, Reader},
    },
    methods::{Api, Registrar},
    params::{self, Args},
    traces,
};

pub(crate) fn register(methods: &mut Registrar) {
    methods.execution("debug_traceTransaction", 2, trace_transaction);
    methods.execution("debug_traceBlockByNumber", 2, trace_block_by_number);
    methods.execution("debug_traceBlockByHash", 2, trace_block_by_hash);
    methods.execution("debug_traceBlock", 2, trace_encoded_block);
    methods.execution("debug_traceCall", 3, trace_call);
    methods.blocking("debug_getRawBlock", 1, raw_block);
    methods.blocking("debug_getRawHeader", 1, raw_header);
    methods.blocking("debug_getRawReceipts", 1, raw_receipts);
    methods.blocking("debug_getRawTransaction", 1, raw_transaction);
    methods.quick("debug_getBadBlocks", 0, bad_blocks);
}

/// One transaction of a block.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OfTransaction {
    tx_hash: B256,
    result: GethTrace,
}

fn options(args: &Args, index: usize) -> Result<GethDebugTracingOptions, CallError> {
    Ok(args.optional(index, "options", call::structure)?.unwrap_or_default())
}

/// The limits with the time that the options ask for, if that is less.
fn limits(api: &Api, options: &GethDebugTracingOptions) -> Result<TraceLimits, CallError> {
    let mut limits = traces::limits(api);
    if let Some(text) = options.timeout.as_deref().filter(|text| !text.is_empty()) {
        let asked = duration(text).ok_or_else(|| {
            CallError::InvalidParams(format!(
                "options.timeout: expected a duration such as \"5s\" or \"500ms\", got {text:?}"
            ))
        })?;
        limits.deadline = limits.deadline.min(std::time::Instant::now().checked_add(asked));
    }
    Ok(limits)
}

/// A duration in Go's notation, with one unit.
fn duration(text: &str) -> Option<std::time::Duration> {
    let split = text.find(|digit: char| !digit.is_ascii_digit())?;
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().ok()?;
    let milliseconds = match unit {
        "ms" => number,
        "s" => number.checked_mul(1_000)?,
        "m" => number.checked_mul(60_000)?,
        "h" => number.checked_mul(3_600_000)?,
        _ => return None,
    };
    Some(std::time::Duration::from_millis(milliseconds))
}

fn trace_transaction(api: &Api, args: &Args) -> Result<GethTrace, CallError> {
    let hash = args.required(0, "hash", params::hash)?;
    let options = options(args, 1)?;
    Ok(api.backend.chain.trace_transaction(&hash, &options, limits(api, &options)?)?)
}

fn trace_block_by_number(api: &Api, args: &Args) -> Result<Vec<OfTransaction>, CallError> {
    trace_block(api, args, args.required(0, "block", params::block_number)?.into())
}

fn trace_block_by_hash(api: &Api, args: &Args) -> Result<Vec<OfTransaction>, CallError> {
    trace_block(api, args, args.required(0, "hash", params::hash)?.into())
}

/// There is no such block, in Geth's words.
fn missing(id: BlockId) -> CallError {
    CallError::Refused(match id {
        BlockId::Hash(hash) => format!("block {} not found", hash.block_hash),
        BlockId::Number(number) => format!("block #{} not found", number.as_number().unwrap_or_default()),
    })
}

fn trace_block(api: &Api, args: &Args, id: BlockId) -> Result<Vec<OfTransaction>, CallError> {
    let options = options(args, 1)?;
    let block = Reader::new(api).header(id)?.ok_or_else(|| missing(id))?;
    Ok(each(api.backend.chain.trace_block(block.header.number, &options, limits(api, &options)?)?))
}

/// A block in Ethereum's RLP, as `debug_getRawBlock` gives it: one of this chain, or one whose parent is.
fn trace_encoded_block(api: &Api, args: &Args) -> Result<Vec<OfTransaction>, CallError> {
    let rlp = args.required(0, "block", params::bytes)?;
    let options = options(args, 1)?;
    Ok(each(api.backend.chain.trace_encoded_block(&rlp, &options, limits(api, &options)?)?))
}

fn each(traces: Vec<(B256, GethTrace)>) -> Vec<OfTransaction> {
    traces.into_iter().map(|(tx_hash, result)| OfTransaction { tx_hash, result }).collect()
}

fn trace_call(api: &Api, args: &Args) -> Result<GethTrace, CallError> {
    let request = call::request(api, args, 0)?;
    let at = args.block(1)?;
    if Reader::new(api).header(at)?.is_none() {
        return Err(missing(at));
    }
    let options: GethDebugTracingCallOptions = args.optional(2, "options", call::structure)?.unwrap_or_default();
    let overrides = Overrides {
        state: options.state_overrides.unwrap_or_default(),
        block: options.block_overrides.unwrap_or_default(),
    };
    let (before, options) = (options.tx_index, options.tracing_options);
    let limits = limits(api, &options)?;
    Ok(api.backend.chain.trace_call(at, before, &request, &overrides, &options, limits)?)
}

fn full(api: &Api, args: &Args) -> Result<FullBlock, CallError> {
    let id = args.required(0, "block", params::block_id)?;
    Reader::new(api).full(id)?.ok_or_else(|| CallError::Refused("block not found".into()))
}

/// Ethereum's encoding of a block; what consensus adds to it stands in the seal (`assent_getSeal`).
fn raw_block(api: &Api, args: &Args) -> Result<Bytes, CallError> {
    Ok(full(api, args)?.ethereum_rlp().into())
}

fn raw_header(api: &Api, args: &Args) -> Result<Bytes, CallError> {
    let id = args.required(0, "block", params::block_id)?;
    let header = Reader::new(api).header(id)?.ok_or_else(|| CallError::Refused("header not found".into()))?;
    let mut bytes = Vec::new();
    header.header.encode(&mut bytes);
    Ok(bytes.into())
}

fn raw_receipts(api: &Api, args: &Args) -> Result<Vec<Bytes>, CallError> {
    let block = full(api, args)?;
    Ok(block.receipts().iter().map(|receipt| receipt.envelope().encoded_2718().into()).collect())
}

/// What was signed; nothing (`0x`) of an unknown transaction, as Geth answers.
fn raw_transaction(api: &Api, args: &Args) -> Result<Bytes, CallError> {
    let hash = args.required(0, "hash", params::hash)?;
    if let Some(tx) = api.backend.chain.pool().get(&hash) {
        return Ok(tx.raw().clone());
    }
    let found = Reader::new(api).transaction(&hash)?;
    Ok(found.map(|found| found.transaction.raw().clone()).unwrap_or_default())
}

/// Invalid blocks that the node has seen: none is kept, a proposal that is not valid gets no vote and is gone.
fn bad_blocks(_: &Api, _: &Args) -> Result<Vec<Value>, CallError> {
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::duration;

    #[test]
    fn durations_have_a_number_and_a_unit() {
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("5s"), Some(Duration::from_secs(5)));
        assert_eq!(duration("2m"), Some(Duration::from_secs(120)));
        for wrong in ["", "5", "s", "5 s", "-5s", "5d", "99999999999999999999s"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }
}

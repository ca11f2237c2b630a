//! The namespace `trace`: calls, state differences and steps in the shapes of Parity and Erigon. There are no block
//! rewards, so none are listed.

use alloy_eips::BlockNumberOrTag;
use alloy_primitives::map::HashSet;
use alloy_rpc_types_trace::{
    filter::TraceFilter,
    parity::{Action, LocalizedTransactionTrace, TraceResults, TraceResultsWithTransactionHash, TraceType},
};
use assent_chain::{execution::Overrides, trace::TraceError};
use serde_json::Value;

use crate::{
    errors::CallError,
    eth::{call, reader::Reader},
    limits::{MAX_TRACE_BLOCKS, MAX_TRACE_BYTES, MAX_TRACE_RESULTS},
    methods::{Api, Registrar},
    params::{self, Args, invalid},
    traces,
};

/// Calls that one `trace_callMany` may make.
const MAX_CALLS: usize = 100;

pub(crate) fn register(methods: &mut Registrar) {
    methods.execution("trace_block", 1, block);
    methods.execution("trace_transaction", 1, transaction);
    methods.execution("trace_get", 2, get);
    methods.execution("trace_replayTransaction", 2, replay_transaction);
    methods.execution("trace_replayBlockTransactions", 2, replay_block);
    methods.execution("trace_call", 5, call_one);
    methods.execution("trace_callMany", 2, call_many);
    methods.execution("trace_rawTransaction", 3, raw_transaction);
    methods.execution("trace_filter", 1, filter);
}

fn types(what: &str, value: &Value) -> Result<HashSet<TraceType>, CallError> {
    let expected = "an array of \"trace\", \"vmTrace\" and \"stateDiff\"";
    serde_json::from_value(value.clone()).map_err(|_| invalid(what, expected, value))
}

fn block(api: &Api, args: &Args) -> Result<Option<Vec<LocalizedTransactionTrace>>, CallError> {
    let id = args.required(0, "block", params::block_id)?;
    let Some(found) = Reader::new(api).header(id)? else { return Ok(None) };
    Ok(Some(api.backend.chain.parity_localized(found.header.number, traces::limits(api))?))
}

fn transaction(api: &Api, args: &Args) -> Result<Option<Vec<LocalizedTransactionTrace>>, CallError> {
    let hash = args.required(0, "hash", params::hash)?;
    match api.backend.chain.parity_localized_transaction(&hash, traces::limits(api)) {
        Err(TraceError::UnknownTransaction) => Ok(None),
        found => Ok(Some(found?)),
    }
}

/// The trace at a path through the calls: `[]` is the transaction itself, `[0]` its first inner call.
fn get(api: &Api, args: &Args) -> Result<Option<LocalizedTransactionTrace>, CallError> {
    let path = args.required(1, "path", |what, value| match value {
        Value::Array(steps) => steps.iter().map(|step| params::u64(what, step)).collect::<Result<Vec<_>, _>>(),
        other => Err(invalid(what, "an array of positions", other)),
    })?;
    let found = transaction(api, args)?.unwrap_or_default();
    let at_path = |trace: &LocalizedTransactionTrace| {
        trace.trace.trace_address.iter().map(|at| *at as u64).eq(path.iter().copied())
    };
    Ok(found.into_iter().find(at_path))
}

fn replay_transaction(api: &Api, args: &Args) -> Result<TraceResults, CallError> {
    let hash = args.required(0, "hash", params::hash)?;
    let types = args.required(1, "types", types)?;
    Ok(api.backend.chain.parity_transaction(&hash, &types, traces::limits(api))?)
}

fn replay_block(api: &Api, args: &Args) -> Result<Option<Vec<TraceResultsWithTransactionHash>>, CallError> {
    let id = args.required(0, "block", params::block_id)?;
    let types = args.required(1, "types", types)?;
    let Some(found) = Reader::new(api).header(id)? else { return Ok(None) };
    if found.header.number == 0 {
        return Ok(Some(Vec::new()));
    }
    let results = api.backend.chain.parity_block(found.header.number, &types, traces::limits(api))?;
    let with_hash = |(transaction_hash, full_trace)| TraceResultsWithTransactionHash { full_trace, transaction_hash };
    Ok(Some(results.into_iter().map(with_hash).collect()))
}

fn call_one(api: &Api, args: &Args) -> Result<TraceResults, CallError> {
    let calls = [(call::request(api, args, 0)?, args.required(1, "types", types)?)];
    let overrides = call::overrides(args, 3, 4)?;
    let mut results = api.backend.chain.parity_calls(args.block(2)?, &calls, &overrides, traces::limits(api))?;
    results.pop().ok_or_else(|| CallError::internal("a call without a result"))
}

fn call_many(api: &Api, args: &Args) -> Result<Vec<TraceResults>, CallError> {
    let what = "invalid argument 0: calls";
    let expected = "an array of [transaction, types]";
    let Some(Value::Array(given)) = args.get(0) else {
        return Err(invalid(what, expected, args.get(0).unwrap_or(&Value::Null)));
    };
    if given.len() > MAX_CALLS {
        return Err(CallError::InvalidParams(format!("{what}: at most {MAX_CALLS} calls, got {}", given.len())));
    }
    let pair = |value: &Value| match value.as_array().map(Vec::as_slice) {
        Some([request, wanted]) => Ok((call::request_in(api, what, request)?, types(what, wanted)?)),
        _ => Err(invalid(what, expected, value)),
    };
    let calls: Vec<_> = given.iter().map(pair).collect::<Result<_, _>>()?;
    Ok(api.backend.chain.parity_calls(args.block(1)?, &calls, &Overrides::default(), traces::limits(api))?)
}

/// What a signed transaction would do, without sending it.
fn raw_transaction(api: &Api, args: &Args) -> Result<TraceResults, CallError> {
    let raw = args.required(0, "transaction", params::bytes)?;
    let types = args.required(1, "types", types)?;
    Ok(api.backend.chain.parity_raw(args.block(2)?, raw, &types, traces::limits(api))?)
}

/// Which traces are wanted; without `fromBlock` from the first block on.
struct Criteria {
    from: BlockNumberOrTag,
    to: BlockNumberOrTag,
    skip: u64,
    count: u64,
    addresses: TraceFilter,
}

impl Criteria {
    fn parse(args: &Args) -> Result<Self, CallError> {
        let what = "invalid argument 0: filter";
        let mut fields = args.required(0, "filter", params::object)?;
        fields.retain(|_, value| !value.is_null());
        let mut field = |name: &str| (format!("{what}.{name}"), fields.remove(name));
        let block = |(name, value): (String, Option<Value>), otherwise| match value {
            Some(value) => params::block_number(&name, &value),
            None => Ok(otherwise),
        };
        let number = |(name, value): (String, Option<Value>), otherwise| match value {
            Some(value) => params::u64(&name, &value),
            None => Ok(otherwise),
        };
        Ok(Self {
            from: block(field("fromBlock"), BlockNumberOrTag::Earliest)?,
            to: block(field("toBlock"), BlockNumberOrTag::Latest)?,
            skip: number(field("after"), 0)?,
            count: number(field("count"), u64::MAX)?,
            addresses: call::structure(what, &Value::Object(fields))?,
        })
    }

    /// The numbers of the range, if it is one and not too large.
    fn range(&self, head: u64) -> Result<(u64, u64), CallError> {
        let number = |tag: BlockNumberOrTag| match tag {
            BlockNumberOrTag::Number(number) => number,
            BlockNumberOrTag::Earliest => 0,
            _ => head,
        };
        let (from, to) = (number(self.from), number(self.to));
        if from > to || to > head {
            let message = format!("invalid block range params: fromBlock {from:#x}, toBlock {to:#x}, head {head:#x}");
            return Err(CallError::InvalidParams(message));
        }
        if to - from >= MAX_TRACE_BLOCKS {
            let to = from + MAX_TRACE_BLOCKS - 1;
            let message = format!(
                "block range is too large: at most {MAX_TRACE_BLOCKS} blocks per call; begin with {from:#x} to {to:#x}"
            );
            return Err(CallError::RangeTooLarge { message, from, to });
        }
        Ok((from, to))
    }
}

/// About how many bytes a trace and its JSON take.
fn bytes(trace: &LocalizedTransactionTrace) -> usize {
    let trace = &trace.trace;
    let data = match &trace.action {
        Action::Call(call) => call.input.len(),
        Action::Create(create) => create.init.len(),
        Action::Selfdestruct(_) | Action::Reward(_) => 0,
    };
    let output = trace.result.as_ref().map_or(0, |result| result.output().len());
    1_024 + 16 * trace.trace_address.len() + 3 * (data + output)
}

fn filter(api: &Api, args: &Args) -> Result<Vec<LocalizedTransactionTrace>, CallError> {
    let criteria = Criteria::parse(args)?;
    let (from, to) = criteria.range(Reader::new(api).head_number())?;
    let (matcher, limits) = (criteria.addresses.matcher(), traces::limits(api));
    let (mut seen, mut size, mut found) = (0u64, 0usize, Vec::new());
    // What cannot be told at once can be told in steps, but for a single block.
    let in_steps = |number: u64, reason: String| {
        let to = number - 1;
        let message = format!("{reason}; retry with the range {from:#x} to {to:#x} and go on from there");
        CallError::RangeTooLarge { message, from, to }
    };
    if criteria.count == 0 {
        return Ok(found);
    }
    for number in from..=to {
        let of_block = match api.backend.chain.parity_localized(number, limits) {
            Err(TraceError::TimedOut) if number > from => {
                return Err(in_steps(number, "query takes too long".into()));
            }
            traces => traces?,
        };
        for trace in of_block.into_iter().filter(|trace| matcher.matches(&trace.trace)) {
            seen += 1;
            if seen <= criteria.skip {
                continue;
            }
            size += bytes(&trace);
            found.push(trace);
            if found.len() as u64 >= criteria.count {
                return Ok(found);
            }
        }
        if number > from && found.len() > MAX_TRACE_RESULTS {
            return Err(in_steps(number, format!("query returns more than {MAX_TRACE_RESULTS} traces")));
        }
        if number > from && size > MAX_TRACE_BYTES {
            return Err(in_steps(number, format!("query returns more than {MAX_TRACE_BYTES} bytes")));
        }
    }
    Ok(found)
}

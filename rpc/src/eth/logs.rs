//! `eth_getLogs`: the filter, the search and its limits.
//!
//! A filter that names an address or a topic goes through the chain's index and reads only blocks that have them, in any
//! range. Without either, all blocks of the range are read, and its length is limited. A range or a result beyond the
//! limits is refused with a range that would do, so that a client can go on in steps.

use std::ops::RangeInclusive;

use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{Address, B256, Bloom, BloomInput, LogData};
use alloy_rpc_types_eth::Log;
use assent_chain::storage::{LogTerms, Searched};
use serde_json::Value;

use crate::{
    errors::CallError,
    eth::{
        blocks::{Place, rpc_log},
        reader::{FullBlock, Reader, SearchTime},
    },
    limits::{MAX_LOG_ADDRESSES, MAX_LOG_TOPICS},
    methods::Api,
    params::{self, Args, invalid},
};

/// Positions that a log's topics can have.
const TOPICS: usize = 4;

/// Which logs are wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct LogFilter(LogTerms);

/// Which blocks are searched.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Blocks {
    Range { from: BlockNumberOrTag, to: BlockNumberOrTag },
    One(B256),
}

impl LogFilter {
    /// Reads `address` and `topics` of a filter object.
    pub(crate) fn parse(what: &str, filter: &Value) -> Result<Self, CallError> {
        params::object(what, filter)?;
        let field = |name: &str| filter.get(name).filter(|value| !value.is_null());
        let address_name = format!("{what}.address");
        let addresses = match field("address") {
            None => Vec::new(),
            Some(Value::Array(list)) => {
                bounded(&address_name, list.len(), MAX_LOG_ADDRESSES)?;
                list.iter().map(|address| params::address(&address_name, address)).collect::<Result<_, _>>()?
            }
            Some(one) => vec![params::address(&address_name, one)?],
        };
        let topics_name = format!("{what}.topics");
        let topics = match field("topics") {
            None => Vec::new(),
            Some(Value::Array(list)) => {
                bounded(&topics_name, list.len(), TOPICS)?;
                let position = |(index, topic)| topic_position(&format!("{topics_name}[{index}]"), topic);
                list.iter().enumerate().map(position).collect::<Result<_, _>>()?
            }
            Some(other) => return Err(invalid(&topics_name, "an array", other)),
        };
        Ok(Self(LogTerms { addresses, topics }))
    }

    /// Whether a block with this bloom can have a wanted log.
    pub(crate) fn may_match(&self, bloom: &Bloom) -> bool {
        let Self(LogTerms { addresses, topics }) = self;
        let has = |bytes: &[u8]| bloom.contains_input(BloomInput::Raw(bytes));
        (addresses.is_empty() || addresses.iter().any(|address| has(address.as_slice())))
            && topics.iter().all(|any| any.is_empty() || any.iter().any(|topic| has(topic.as_slice())))
    }

    /// Whether a log is wanted. A filter with more positions than the log has topics does not
    /// match, not even where it allows anything.
    pub(crate) fn matches(&self, address: &Address, data: &LogData) -> bool {
        let Self(LogTerms { addresses, topics: wanted }) = self;
        let topics = data.topics();
        (addresses.is_empty() || addresses.contains(address))
            && wanted.len() <= topics.len()
            && wanted.iter().zip(topics).all(|(any, topic)| any.is_empty() || any.contains(topic))
    }

    /// The wanted logs of a block.
    pub(crate) fn of_block(&self, block: &FullBlock) -> Vec<Log> {
        let mut logs = Vec::new();
        let mut log_index = 0;
        for (index, (tx, receipt)) in block.transactions().iter().zip(block.receipts()).enumerate() {
            let place = Place::new(block.hash(), block.header(), index);
            for log in &receipt.logs {
                if self.matches(&log.address, &log.data) {
                    logs.push(rpc_log(log.clone(), &place, *tx.hash(), log_index));
                }
                log_index += 1;
            }
        }
        logs
    }
}

fn bounded(what: &str, got: usize, limit: usize) -> Result<(), CallError> {
    if got > limit {
        return Err(CallError::InvalidParams(format!("{what}: at most {limit} entries, got {got}")));
    }
    Ok(())
}

fn topic_position(what: &str, topic: &Value) -> Result<Vec<B256>, CallError> {
    match topic {
        Value::Null => Ok(Vec::new()),
        Value::Array(any) => {
            bounded(what, any.len(), MAX_LOG_TOPICS)?;
            // A null among alternatives allows anything.
            if any.iter().any(Value::is_null) {
                return Ok(Vec::new());
            }
            any.iter().map(|topic| params::hash(what, topic)).collect()
        }
        one => Ok(vec![params::hash(what, one)?]),
    }
}

fn blocks(what: &str, filter: &Value) -> Result<Blocks, CallError> {
    let field = |name: &str| filter.get(name).filter(|value| !value.is_null());
    let number = |name: &str| match field(name) {
        Some(value) => params::block_number(&format!("{what}.{name}"), value),
        None => Ok(BlockNumberOrTag::Latest),
    };
    match field("blockHash") {
        Some(_) if field("fromBlock").is_some() || field("toBlock").is_some() => Err(CallError::InvalidParams(
            "cannot specify both blockHash and fromBlock/toBlock, choose one or the other".into(),
        )),
        Some(hash) => Ok(Blocks::One(params::hash(&format!("{what}.blockHash"), hash)?)),
        None => Ok(Blocks::Range { from: number("fromBlock")?, to: number("toBlock")? }),
    }
}

/// The numbers of a range, if it is one.
fn range(from: BlockNumberOrTag, to: BlockNumberOrTag, head: u64) -> Result<RangeInclusive<u64>, CallError> {
    let number = |tag| match tag {
        BlockNumberOrTag::Number(number) => number,
        BlockNumberOrTag::Earliest => 0,
        _ => head,
    };
    let (from, to) = (number(from), number(to));
    if from > to {
        return Err(CallError::InvalidParams(format!(
            "invalid block range params: fromBlock {from:#x} is after toBlock {to:#x}"
        )));
    }
    if to > head {
        return Err(CallError::InvalidParams(format!(
            "block range extends beyond current head block: toBlock {to:#x}, head {head:#x}"
        )));
    }
    Ok(from..=to)
}

/// A search without an index may go through so many blocks.
fn within_limit(range: &RangeInclusive<u64>, limit: u64) -> Result<(), CallError> {
    let (from, to) = (*range.start(), *range.end());
    if to - from < limit {
        return Ok(());
    }
    let to = from + limit.saturating_sub(1);
    Err(CallError::RangeTooLarge {
        message: format!(
            "block range is too large: at most {limit} blocks per call without an address or a topic; begin with {from:#x} \
             to {to:#x}"
        ),
        from,
        to,
    })
}

/// `eth_getLogs`
pub(crate) fn get_logs(api: &Api, args: &Args) -> Result<Vec<Log>, CallError> {
    let (filter, blocks) = criteria(args)?;
    find(api, &filter, blocks)
}

/// The filter that is a method's only parameter.
pub(super) fn criteria(args: &Args) -> Result<(LogFilter, Blocks), CallError> {
    let value = args.required(0, "filter", |what, value| params::object(what, value).map(Value::Object))?;
    let what = "invalid argument 0: filter";
    Ok((LogFilter::parse(what, &value)?, blocks(what, &value)?))
}

/// The wanted logs of some blocks.
pub(super) fn find(api: &Api, filter: &LogFilter, blocks: Blocks) -> Result<Vec<Log>, CallError> {
    let reader = Reader::new(api);
    match blocks {
        Blocks::One(hash) => {
            let block = reader.full(hash.into())?.ok_or_else(|| CallError::Refused("unknown block".into()))?;
            // Not limited: a client cannot ask for less than a block.
            Ok(filter.of_block(&block))
        }
        Blocks::Range { from, to } => {
            let range = range(from, to, reader.head_number())?;
            if !filter.0.is_selective() {
                within_limit(&range, api.config.max_log_blocks)?;
            }
            search(&reader, SearchTime::start(api), filter, range, api.config.max_log_results)
        }
    }
}

/// The wanted logs of a block.
pub(super) fn of_number(reader: &Reader<'_>, filter: &LogFilter, number: u64) -> Result<Vec<Log>, CallError> {
    if !filter.may_match(&reader.known_header(number)?.header.logs_bloom) {
        return Ok(Vec::new());
    }
    Ok(filter.of_block(&reader.known_block(number)?))
}

/// What to ask for instead of a search that took too long before block `number`.
fn go_on(first: u64, number: u64) -> Option<CallError> {
    let to = number.checked_sub(1).filter(|to| *to >= first)?;
    let message = format!("query takes too long; retry with the range {first:#x} to {to:#x} and go on from there");
    Some(CallError::RangeTooLarge { message, from: first, to })
}

fn search(
    reader: &Reader<'_>,
    time: SearchTime,
    filter: &LogFilter,
    range: RangeInclusive<u64>,
    limit: usize,
) -> Result<Vec<Log>, CallError> {
    let first = *range.start();
    let mut logs = Vec::new();
    for searched in reader.blocks_with_logs(&filter.0, range) {
        let searched = searched?;
        let (Searched::Block(number) | Searched::Below(number)) = searched;
        if let Err(timed_out) = time.check() {
            return Err(go_on(first, number).unwrap_or(timed_out));
        }
        if matches!(searched, Searched::Below(_)) {
            continue;
        }
        logs.append(&mut filter.of_block(&reader.known_block(number)?));
        // A single block is answered however many logs it has: a client cannot ask for less.
        if logs.len() > limit && number > first {
            let to = number - 1;
            return Err(CallError::RangeTooLarge {
                message: format!(
                    "query returns more than {limit} logs; retry with the range {first:#x} to {to:#x} and go on from there"
                ),
                from: first,
                to,
            });
        }
    }
    Ok(logs)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn data(topics: &[B256]) -> LogData {
        LogData::new_unchecked(topics.to_vec(), Default::default())
    }

    fn parse(value: Value) -> Result<LogFilter, CallError> {
        LogFilter::parse("filter", &value)
    }

    #[test]
    fn filters_match_by_position() {
        let [a, b, c] = [1, 2, 3].map(B256::repeat_byte);
        let address = Address::repeat_byte(9);
        let cases = [
            (json!({}), vec![], true),
            (json!({"address": address}), vec![], true),
            (json!({"address": [Address::ZERO, address]}), vec![], true),
            (json!({"address": Address::ZERO}), vec![], false),
            (json!({"address": []}), vec![], true),
            (json!({"topics": []}), vec![a], true),
            (json!({"topics": [a]}), vec![a, b], true),
            (json!({"topics": [a]}), vec![b], false),
            (json!({"topics": [null, b]}), vec![a, b], true),
            (json!({"topics": [null, b]}), vec![b], false),
            (json!({"topics": [null]}), vec![], false),
            (json!({"topics": [[a, c], [b, c]]}), vec![c, b], true),
            (json!({"topics": [[a, null]]}), vec![b], true),
            (json!({"topics": [[]]}), vec![b], true),
        ];
        for (filter, topics, expected) in cases {
            let filter = parse(filter).unwrap();
            let data = data(&topics);
            assert_eq!(filter.matches(&address, &data), expected, "{filter:?} {topics:?}");
            if expected {
                let mut bloom = Bloom::default();
                bloom.accrue_log(&alloy_primitives::Log { address, data });
                assert!(filter.may_match(&bloom), "{filter:?}");
            }
        }
    }

    #[test]
    fn an_empty_bloom_matches_only_a_filter_without_wishes() {
        assert!(parse(json!({})).unwrap().may_match(&Bloom::ZERO));
        assert!(parse(json!({"topics": [null]})).unwrap().may_match(&Bloom::ZERO));
        assert!(!parse(json!({"topics": [B256::ZERO]})).unwrap().may_match(&Bloom::ZERO));
        assert!(!parse(json!({"address": Address::ZERO})).unwrap().may_match(&Bloom::ZERO));
    }

    #[test]
    fn filters_are_bounded_and_typed() {
        let addresses = |count| json!({"address": vec![Address::ZERO; count]});
        parse(addresses(MAX_LOG_ADDRESSES)).unwrap();
        parse(addresses(MAX_LOG_ADDRESSES + 1)).unwrap_err();
        let topics = |count| json!({"topics": [vec![B256::ZERO; count]]});
        parse(topics(MAX_LOG_TOPICS)).unwrap();
        parse(topics(MAX_LOG_TOPICS + 1)).unwrap_err();
        parse(json!({"topics": [null, null, null, null]})).unwrap();
        for wrong in [
            json!({"topics": [null, null, null, null, null]}),
            json!({"topics": "0x"}),
            json!({"topics": ["0x12"]}),
            json!({"address": "0x12"}),
            json!([]),
        ] {
            assert!(matches!(parse(wrong.clone()), Err(CallError::InvalidParams(_))), "{wrong}");
        }
    }

    #[test]
    fn ranges_past_the_head_reversed_or_too_large_are_refused() {
        use BlockNumberOrTag::{Earliest, Latest, Number, Pending};
        let check = |from, to| {
            let range = range(from, to, 100).map_err(|error| error.code())?;
            within_limit(&range, 50).map_err(|error| error.code())?;
            Ok(range)
        };
        assert_eq!(check(Latest, Latest), Ok(100..=100));
        assert_eq!(check(Number(51), Pending), Ok(51..=100));
        assert_eq!(check(Earliest, Number(49)), Ok(0..=49));
        for (from, to) in
            [(Number(5), Number(4)), (Number(100), Number(101)), (Number(101), Latest), (Earliest, Number(50))]
        {
            assert_eq!(check(from, to), Err(-32602), "{from} {to}");
        }
        let error = within_limit(&(3..=100), 50).unwrap_err();
        assert!(matches!(error, CallError::RangeTooLarge { from: 3, to: 52, .. }), "{error}");
    }

    #[test]
    fn a_hash_and_a_range_exclude_each_other() {
        let hash = B256::repeat_byte(1);
        assert_eq!(blocks("filter", &json!({"blockHash": hash})), Ok(Blocks::One(hash)));
        blocks("filter", &json!({"blockHash": hash, "fromBlock": "0x1"})).unwrap_err();
        blocks("filter", &json!({"blockHash": hash, "toBlock": "latest"})).unwrap_err();
        let latest = Blocks::Range { from: BlockNumberOrTag::Latest, to: BlockNumberOrTag::Latest };
        assert_eq!(blocks("filter", &json!({"blockHash": null})), Ok(latest));
    }
}

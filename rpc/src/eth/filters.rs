//! Filters that are asked again and again, for clients without WebSocket: `eth_newFilter`,
//! `eth_newBlockFilter`, `eth_newPendingTransactionFilter`, and what asks and removes them.
//!
//! Blocks are final when they are told, so a filter for blocks or logs is just the number of the
//! next block; nothing is collected meanwhile, and nothing is missed. Of pending transactions only
//! the last thousand or so are kept between two calls.
//!
//! There is a bounded number of filters, and one that nobody asks for some minutes is gone.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use alloy_eips::BlockNumberOrTag;
use alloy_primitives::B256;
use alloy_rpc_types_eth::Log;
use assent_chain::mempool::PoolEvent;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::broadcast::{Receiver, error::TryRecvError};

use crate::{
    errors::CallError,
    eth::{
        blocks::{RpcTransaction, rpc_transaction},
        logs::{self, Blocks, LogFilter},
        reader::{Reader, SearchTime},
    },
    limits::{FILTER_EXPIRY, MAX_FILTER_BLOCKS, MAX_FILTERS},
    methods::{Api, Registrar},
    params::{self, Args, invalid},
};

/// All filters of the node. Whoever knows a filter's id may ask it.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    by_id: Mutex<HashMap<String, Filter>>,
    ids: RandomState,
}

#[derive(Debug)]
struct Filter {
    kind: Kind,
    used: Instant,
}

#[derive(Clone, Debug)]
enum Kind {
    Blocks { next: u64 },
    Logs { filter: LogFilter, from: BlockNumberOrTag, to: BlockNumberOrTag, next: u64 },
    Transactions { news: Arc<Mutex<Receiver<PoolEvent>>>, full: bool },
}

/// What is new.
#[derive(Serialize)]
#[serde(untagged)]
enum Changes {
    Hashes(Vec<B256>),
    Logs(Vec<Log>),
    Transactions(Vec<RpcTransaction>),
}

pub(super) fn register(methods: &mut Registrar) {
    methods.quick("eth_newFilter", 1, new_filter);
    methods.quick("eth_newBlockFilter", 0, new_block_filter);
    methods.quick("eth_newPendingTransactionFilter", 1, new_transaction_filter);
    methods.quick("eth_uninstallFilter", 1, uninstall);
    methods.search("eth_getFilterChanges", 1, changes);
    methods.search("eth_getFilterLogs", 1, filter_logs);
}

fn not_found() -> CallError {
    CallError::Refused("filter not found".into())
}

impl Filters {
    /// The filters that have not expired.
    fn lock(&self, now: Instant) -> MutexGuard<'_, HashMap<String, Filter>> {
        let mut filters = self.by_id.lock().unwrap_or_else(PoisonError::into_inner);
        filters.retain(|_, filter| now.saturating_duration_since(filter.used) < FILTER_EXPIRY);
        filters
    }

    fn install(&self, kind: Kind, now: Instant) -> Result<String, CallError> {
        let mut filters = self.lock(now);
        if filters.len() >= MAX_FILTERS {
            return Err(CallError::Busy("too many filters are installed"));
        }
        let free = |counter: u64| {
            let id = format!("{:#x}", self.ids.hash_one((now, filters.len(), counter)));
            (!filters.contains_key(&id)).then_some(id)
        };
        let id = (0..).find_map(free).unwrap_or_default();
        filters.insert(id.clone(), Filter { kind, used: now });
        Ok(id)
    }

    /// A filter, which is used by this.
    fn get(&self, id: &str, now: Instant) -> Result<Kind, CallError> {
        let mut filters = self.lock(now);
        let filter = filters.get_mut(id).ok_or_else(not_found)?;
        filter.used = now;
        Ok(filter.kind.clone())
    }

    /// All blocks before this one have been told.
    fn advance(&self, id: &str, told: u64, now: Instant) {
        if let Some(Filter { kind: Kind::Blocks { next } | Kind::Logs { next, .. }, .. }) = self.lock(now).get_mut(id) {
            *next = told.max(*next);
        }
    }

    fn remove(&self, id: &str, now: Instant) -> bool {
        self.lock(now).remove(id).is_some()
    }
}

fn next_block(api: &Api) -> u64 {
    Reader::new(api).head_number().saturating_add(1)
}

/// `eth_newFilter`
fn new_filter(api: &Api, args: &Args) -> Result<String, CallError> {
    let (filter, blocks) = logs::criteria(args)?;
    let Blocks::Range { from, to } = blocks else {
        let text = "invalid argument 0: filter.blockHash: a filter is for blocks to come; use eth_getLogs";
        return Err(CallError::InvalidParams(text.into()));
    };
    let next = match from {
        BlockNumberOrTag::Number(number) => next_block(api).max(number),
        _ => next_block(api),
    };
    api.filters.install(Kind::Logs { filter, from, to, next }, Instant::now())
}

/// `eth_newBlockFilter`
fn new_block_filter(api: &Api, _: &Args) -> Result<String, CallError> {
    api.filters.install(Kind::Blocks { next: next_block(api) }, Instant::now())
}

/// `eth_newPendingTransactionFilter`
fn new_transaction_filter(api: &Api, args: &Args) -> Result<String, CallError> {
    let full = args.optional(0, "full", params::boolean)?.unwrap_or(false);
    let news = Arc::new(Mutex::new(api.backend.chain.pool().subscribe()));
    api.filters.install(Kind::Transactions { news, full }, Instant::now())
}

fn id(args: &Args) -> Result<String, CallError> {
    args.required(0, "id", |what, value: &Value| match value.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(invalid(what, "a string", value)),
    })
}

/// `eth_uninstallFilter`
fn uninstall(api: &Api, args: &Args) -> Result<bool, CallError> {
    Ok(api.filters.remove(&id(args)?, Instant::now()))
}

/// `eth_getFilterChanges`
fn changes(api: &Api, args: &Args) -> Result<Changes, CallError> {
    let id = id(args)?;
    let (changes, told) = match api.filters.get(&id, Instant::now())? {
        Kind::Blocks { next } => new_blocks(api, next)?,
        Kind::Logs { filter, to, next, .. } => new_logs(api, &filter, to, next)?,
        Kind::Transactions { news, full } => return Ok(new_transactions(&news, full)),
    };
    api.filters.advance(&id, told, Instant::now());
    Ok(changes)
}

/// The blocks since `next`; when there are very many, the first of them.
fn new_blocks(api: &Api, next: u64) -> Result<(Changes, u64), CallError> {
    let reader = Reader::new(api);
    let end = next_block(api).min(next.saturating_add(MAX_FILTER_BLOCKS)).max(next);
    let hashes = (next..end).map(|number| reader.known_hash(number)).collect::<Result<_, _>>()?;
    Ok((Changes::Hashes(hashes), end))
}

/// The logs since `next`, of as many blocks as one call may search; the next call goes on.
fn new_logs(api: &Api, filter: &LogFilter, to: BlockNumberOrTag, next: u64) -> Result<(Changes, u64), CallError> {
    let last = match to {
        BlockNumberOrTag::Number(number) => number.saturating_add(1),
        _ => u64::MAX,
    };
    let end = next_block(api).min(last).min(next.saturating_add(api.config.max_log_blocks));
    let (reader, time) = (Reader::new(api), SearchTime::start(api));
    let mut found = Vec::new();
    for number in next..end {
        let first = number == next;
        match time.check() {
            Err(late) if first => return Err(late),
            Err(_) => return Ok((Changes::Logs(found), number)),
            Ok(()) => {}
        }
        let mut more = logs::of_number(&reader, filter, number)?;
        // A single block is answered however many logs it has.
        if !first && found.len() + more.len() > api.config.max_log_results {
            return Ok((Changes::Logs(found), number));
        }
        found.append(&mut more);
    }
    Ok((Changes::Logs(found), end.max(next)))
}

fn new_transactions(news: &Mutex<Receiver<PoolEvent>>, full: bool) -> Changes {
    let mut news = news.lock().unwrap_or_else(PoisonError::into_inner);
    let mut transactions = Vec::new();
    // Not more than there were at the beginning, while more arrive.
    for _ in 0..=news.len() {
        match news.try_recv() {
            Ok(PoolEvent::Admitted { tx, executable: true, .. } | PoolEvent::Promoted { tx }) => transactions.push(tx),
            Ok(PoolEvent::Admitted { .. }) | Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty | TryRecvError::Closed) => break,
        }
    }
    match full {
        true => Changes::Transactions(transactions.iter().map(|tx| rpc_transaction(tx, None)).collect()),
        false => Changes::Hashes(transactions.iter().map(|tx| *tx.hash()).collect()),
    }
}

/// `eth_getFilterLogs`: what `eth_getLogs` would answer.
fn filter_logs(api: &Api, args: &Args) -> Result<Vec<Log>, CallError> {
    match api.filters.get(&id(args)?, Instant::now())? {
        Kind::Logs { filter, from, to, .. } => logs::find(api, &filter, Blocks::Range { from, to }),
        Kind::Blocks { .. } | Kind::Transactions { .. } => Err(not_found()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;

    const BLOCKS: Kind = Kind::Blocks { next: 1 };

    #[test]
    fn filters_that_nobody_asks_expire() {
        let (filters, start) = (Filters::default(), Instant::now());
        let [asked, forgotten] = [(); 2].map(|()| filters.install(BLOCKS, start).unwrap());
        let almost = start + FILTER_EXPIRY - Duration::from_secs(1);
        filters.get(&asked, almost).unwrap();
        let later = start + FILTER_EXPIRY;
        assert_eq!(filters.get(&forgotten, later).unwrap_err(), not_found());
        filters.get(&asked, later).unwrap();
        assert!(filters.remove(&asked, later) && !filters.remove(&asked, later));
    }

    #[test]
    fn their_number_is_bounded() {
        let (filters, start) = (Filters::default(), Instant::now());
        let ids: Vec<_> = (0..MAX_FILTERS).map(|_| filters.install(BLOCKS, start).unwrap()).collect();
        assert!(matches!(filters.install(BLOCKS, start), Err(CallError::Busy(_))));
        assert!(filters.remove(&ids[7], start));
        filters.install(BLOCKS, start).unwrap();
        filters.install(BLOCKS, start + FILTER_EXPIRY).unwrap();
    }

    #[test]
    fn what_was_told_is_not_told_again() {
        let (filters, start) = (Filters::default(), Instant::now());
        let id = filters.install(BLOCKS, start).unwrap();
        filters.advance(&id, 9, start);
        filters.advance(&id, 5, start);
        assert!(matches!(filters.get(&id, start), Ok(Kind::Blocks { next: 9 })));
    }
}

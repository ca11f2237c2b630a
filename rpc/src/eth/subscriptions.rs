//! `eth_subscribe` and `eth_unsubscribe`: new blocks, their logs and new pending transactions.
//!
//! Blocks are final when they are told, so nothing is ever taken back. A client that reads slowly
//! misses no block: what its channel lost is read from the chain again. Pending transactions it
//! may miss.

use std::{ops::Range, sync::Arc};

use alloy_primitives::B256;
use assent_chain::mempool::PoolEvent;
use jsonrpsee::{PendingSubscriptionSink, SubscriptionSink, types::Params};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::broadcast::error::RecvError;

use crate::{
    errors::CallError,
    eth::{
        blocks::{RpcTransaction, rpc_header, rpc_transaction},
        logs::LogFilter,
        reader::{FullBlock, Reader},
    },
    methods::{Api, ONCE, Registrar},
    params::{self, Args, invalid},
};

/// What is told.
#[derive(Clone, Debug, PartialEq)]
enum Kind {
    NewHeads,
    Logs(LogFilter),
    PendingTransactions { full: bool },
}

pub(super) fn register(methods: &mut Registrar) {
    methods
        .module
        .register_subscription("eth_subscribe", "eth_subscription", "eth_unsubscribe", |params, pending, api, _| {
            subscribe(params, pending, api)
        })
        .expect(ONCE);
}

async fn subscribe(params: Params<'static>, pending: PendingSubscriptionSink, api: Arc<Api>) {
    let kind = match Args::parse(&params, 2).and_then(|args| kind(&args)) {
        Ok(kind) => kind,
        Err(error) => return pending.reject(error).await,
    };
    match kind {
        Kind::PendingTransactions { full } => tell_transactions(pending, &api, full).await,
        kind => tell_blocks(pending, &api, &kind).await,
    }
}

fn kind(args: &Args) -> Result<Kind, CallError> {
    let text = |what: &str, value: &Value| match value.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(invalid(what, "a string", value)),
    };
    match args.required(0, "subscription", text)?.as_str() {
        "newHeads" => Ok(Kind::NewHeads),
        "logs" => {
            let filter = args.optional(1, "filter", LogFilter::parse)?;
            Ok(Kind::Logs(filter.unwrap_or_default()))
        }
        "newPendingTransactions" => {
            let full = args.optional(1, "full", params::boolean)?.unwrap_or(false);
            Ok(Kind::PendingTransactions { full })
        }
        other => Err(invalid(
            "invalid argument 0: subscription",
            "newHeads, logs or newPendingTransactions",
            &Value::from(other),
        )),
    }
}

async fn tell_blocks(pending: PendingSubscriptionSink, api: &Arc<Api>, kind: &Kind) {
    // Before the client knows of its subscription, so that no block falls between.
    let mut blocks = api.backend.chain.subscribe();
    let mut next = api.backend.chain.head().number.saturating_add(1);
    let Ok(sink) = pending.accept().await else { return };
    loop {
        let received = tokio::select! {
            received = blocks.recv() => received,
            () = sink.closed() => return,
        };
        let block = match received {
            Ok(block) if block.number() < next => continue,
            Ok(block) => FullBlock::from(&*block),
            // The next block shows what is missing.
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        if missed(&sink, api, kind, next..block.number()).await.is_err() || tell(&sink, kind, &block).await.is_err() {
            return;
        }
        next = block.number().saturating_add(1);
    }
}

/// The client is gone, or the chain cannot be read.
struct Ended;

/// Tells blocks that the channel lost.
async fn missed(sink: &SubscriptionSink, api: &Arc<Api>, kind: &Kind, numbers: Range<u64>) -> Result<(), Ended> {
    for number in numbers {
        let block = api.clone().read(move |api| Reader::new(api).known_block(number)).await.map_err(|_| Ended)?;
        tell(sink, kind, &block).await?;
    }
    Ok(())
}

async fn tell(sink: &SubscriptionSink, kind: &Kind, block: &FullBlock) -> Result<(), Ended> {
    match kind {
        Kind::NewHeads => send(sink, &rpc_header(block.hash(), block.header(), None)).await,
        Kind::Logs(filter) if filter.may_match(&block.header().logs_bloom) => {
            for log in filter.of_block(block) {
                send(sink, &log).await?;
            }
            Ok(())
        }
        Kind::Logs(_) | Kind::PendingTransactions { .. } => Ok(()),
    }
}

/// A pending transaction, as its hash or in full.
#[derive(Serialize)]
#[serde(untagged)]
enum Pending {
    Hash(B256),
    Full(Box<RpcTransaction>),
}

async fn tell_transactions(pending: PendingSubscriptionSink, api: &Api, full: bool) {
    let mut transactions = api.backend.chain.pool().subscribe();
    let Ok(sink) = pending.accept().await else { return };
    loop {
        let received = tokio::select! {
            received = transactions.recv() => received,
            () = sink.closed() => return,
        };
        let tx = match received {
            Ok(PoolEvent::Admitted { tx, executable: true, .. } | PoolEvent::Promoted { tx }) => tx,
            Ok(PoolEvent::Admitted { .. }) | Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        let message = match full {
            true => Pending::Full(Box::new(rpc_transaction(&tx, None))),
            false => Pending::Hash(*tx.hash()),
        };
        if send(&sink, &message).await.is_err() {
            return;
        }
    }
}

async fn send(sink: &SubscriptionSink, message: &impl Serialize) -> Result<(), Ended> {
    let json = serde_json::value::to_raw_value(message).map_err(|_| Ended)?;
    sink.send(json).await.map_err(|_| Ended)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn parse(text: &str) -> Result<Kind, CallError> {
        kind(&Args::parse(&Params::new(Some(text)), 2).unwrap())
    }

    #[test]
    fn kinds() {
        assert_eq!(parse(r#"["newHeads"]"#), Ok(Kind::NewHeads));
        assert_eq!(parse(r#"["newHeads", {}]"#), Ok(Kind::NewHeads));
        assert_eq!(parse(r#"["logs"]"#), Ok(Kind::Logs(LogFilter::default())));
        assert_eq!(parse(r#"["newPendingTransactions", true]"#), Ok(Kind::PendingTransactions { full: true }));
        for wrong in ["[]", "[1]", r#"["heads"]"#, r#"["logs", {"topics": 1}]"#] {
            assert_eq!(parse(wrong).unwrap_err().code(), -32602, "{wrong}");
        }
    }
}

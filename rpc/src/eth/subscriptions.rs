//! `eth_subscribe` and `eth_unsubscribe`: new blocks, their logs, new pending transactions, and whether the node is behind.
//!
//! Blocks are final when they are told, so nothing is ever taken back. A client that reads slowly
//! misses no block: what its channel lost is read from the chain again. Pending transactions it
//! may miss. What waits for one that does not read at all is bounded in number and in bytes
//! ([`Outbox`]). A subscription that cannot go on ends its connection: the client would wait for its messages forever.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use alloy_primitives::B256;
use assent_chain::mempool::PoolEvent;
use jsonrpsee::{
    PendingSubscriptionSink, SubscriptionSink,
    types::{Extensions, Params},
};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::{
    sync::{Notify, broadcast::error::RecvError},
    time::Instant,
};

use crate::{
    errors::CallError,
    eth::{
        blocks::{RpcTransaction, rpc_header, rpc_transaction},
        logs::LogFilter,
        reader::{FullBlock, Reader},
    },
    limits::{SUBSCRIPTION_BUFFER, SUBSCRIPTION_BYTES, SUBSCRIPTION_CHECK, SUBSCRIPTION_PATIENCE},
    methods::{Api, ONCE, Registrar},
    params::{self, Args, invalid},
    status::SyncStatus,
};

/// What is told.
#[derive(Clone, Debug, PartialEq)]
enum Kind {
    NewHeads,
    Logs(LogFilter),
    PendingTransactions { full: bool },
    Syncing,
}

pub(super) fn register(methods: &mut Registrar) {
    methods
        .module
        .register_subscription("eth_subscribe", "eth_subscription", "eth_unsubscribe", subscribe)
        .expect(ONCE);
}

async fn subscribe(params: Params<'static>, pending: PendingSubscriptionSink, api: Arc<Api>, extensions: Extensions) {
    let outbox = extensions.get::<Outbox>().cloned().unwrap_or_default();
    let kind = match Args::parse(&params, 2).and_then(|args| kind(&args)) {
        Ok(kind) => kind,
        Err(error) => return pending.reject(error).await,
    };
    match kind {
        Kind::PendingTransactions { full } => tell_transactions(pending, outbox, &api, full).await,
        Kind::Syncing => tell_syncing(pending, outbox, &api).await,
        kind => tell_blocks(pending, outbox, &api, &kind).await,
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
        "syncing" => Ok(Kind::Syncing),
        other => Err(invalid(
            "invalid argument 0: subscription",
            "newHeads, logs, newPendingTransactions or syncing",
            &Value::from(other),
        )),
    }
}

async fn tell_blocks(pending: PendingSubscriptionSink, outbox: Outbox, api: &Arc<Api>, kind: &Kind) {
    // Before the client knows of its subscription, so that no block falls between.
    let mut blocks = api.blocks();
    let mut next = api.backend.chain.head().number.saturating_add(1);
    let Ok(sink) = pending.accept().await else { return };
    let sink = BoundedSink { sink, outbox };
    loop {
        let received = tokio::select! {
            received = blocks.recv() => received,
            () = sink.sink.closed() => return,
        };
        let block = match received {
            Ok(Some(block)) if block.number() < next => continue,
            Ok(Some(block)) => FullBlock::from(&*block),
            // The next block shows what is missing.
            Ok(None) | Err(RecvError::Lagged(_)) => continue,
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
async fn missed(sink: &BoundedSink, api: &Arc<Api>, kind: &Kind, numbers: Range<u64>) -> Result<(), Ended> {
    for number in numbers {
        let block = api.clone().read(move |api| Reader::new(api).known_block(number)).await.map_err(|_| Ended)?;
        tell(sink, kind, &block).await?;
    }
    Ok(())
}

async fn tell(sink: &BoundedSink, kind: &Kind, block: &FullBlock) -> Result<(), Ended> {
    match kind {
        Kind::NewHeads => sink.send(&rpc_header(block.hash(), block.header(), None)).await,
        Kind::Logs(filter) if filter.may_match(&block.header().logs_bloom) => {
            for log in filter.of_block(block) {
                sink.send(&log).await?;
            }
            Ok(())
        }
        Kind::Logs(_) | Kind::PendingTransactions { .. } | Kind::Syncing => Ok(()),
    }
}

/// A pending transaction, as its hash or in full.
#[derive(Serialize)]
#[serde(untagged)]
enum Pending {
    Hash(B256),
    Full(Box<RpcTransaction>),
}

async fn tell_transactions(pending: PendingSubscriptionSink, outbox: Outbox, api: &Api, full: bool) {
    let mut transactions = api.transactions();
    let Ok(sink) = pending.accept().await else { return };
    let sink = BoundedSink { sink, outbox };
    loop {
        let received = tokio::select! {
            received = transactions.recv() => received,
            () = sink.sink.closed() => return,
        };
        let tx = match received {
            Ok(Some(PoolEvent::Admitted { tx, executable: true, .. } | PoolEvent::Promoted { tx })) => tx,
            Ok(_) | Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        let message = match full {
            true => Pending::Full(Box::new(rpc_transaction(&tx, None))),
            false => Pending::Hash(*tx.hash()),
        };
        if sink.send(&message).await.is_err() {
            return;
        }
    }
}

/// Geth's form: `false` when the node has caught up, an object when it falls behind; the first one at once.
async fn tell_syncing(pending: PendingSubscriptionSink, outbox: Outbox, api: &Api) {
    let mut status = api.backend.status.clone();
    let Ok(sink) = pending.accept().await else { return };
    let sink = BoundedSink { sink, outbox };
    let mut told = None;
    loop {
        let syncing = status.borrow_and_update().syncing;
        let behind = matches!(syncing, SyncStatus::Syncing(_));
        if told != Some(behind) {
            told = Some(behind);
            let message =
                if behind { json!({"syncing": true, "status": super::sync_status(syncing)}) } else { json!(false) };
            if sink.send(&message).await.is_err() {
                return;
            }
        }
        tokio::select! {
            changed = status.changed() => if changed.is_err() { return },
            () = sink.sink.closed() => return,
        }
    }
}

/// The sizes of the last messages to the subscriptions of one connection, in the extensions of its
/// requests. How many messages wait for the reader is known, but not which: at most so many of
/// these, the last ones, take memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outbox(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    sizes: Mutex<VecDeque<usize>>,
    lost: Notify,
}

impl Outbox {
    /// Waits until a subscription has ended that was to go on.
    pub(crate) async fn lost(&self) {
        self.0.lost.notified().await;
    }

    /// Notes a message if there is room for it, with so many messages waiting.
    fn note(&self, size: usize, waiting: usize) -> bool {
        let mut sizes = self.0.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        // A message that is being sent waits no longer, and is still in memory.
        let held: usize = sizes.iter().rev().take(waiting + 1).sum();
        if waiting > 0 && held.saturating_add(size) > SUBSCRIPTION_BYTES {
            return false;
        }
        sizes.push_back(size);
        if sizes.len() > SUBSCRIPTION_BUFFER as usize + 1 {
            sizes.pop_front();
        }
        true
    }
}

/// Where the messages of a subscription go, as long as it goes on.
struct BoundedSink {
    sink: SubscriptionSink,
    outbox: Outbox,
}

impl Drop for BoundedSink {
    fn drop(&mut self) {
        // Neither has the client ended it nor is the connection gone.
        if !self.sink.is_closed() {
            self.outbox.0.lost.notify_one();
        }
    }
}

impl BoundedSink {
    /// Sends a message when there is room for it. Room that does not come ends the subscription.
    async fn send(&self, message: &impl Serialize) -> Result<(), Ended> {
        let json = serde_json::value::to_raw_value(message).map_err(|_| Ended)?;
        let deadline = Instant::now() + SUBSCRIPTION_PATIENCE;
        while !self.outbox.note(json.get().len(), self.waiting()) {
            if self.sink.is_closed() || Instant::now() >= deadline {
                return Err(Ended);
            }
            // The server does not tell when it has written a message.
            tokio::time::sleep(SUBSCRIPTION_CHECK).await;
        }
        self.sink.send_timeout(json, SUBSCRIPTION_PATIENCE).await.map_err(|_| Ended)
    }

    fn waiting(&self) -> usize {
        self.sink.max_capacity().saturating_sub(self.sink.capacity())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures::FutureExt;

    use super::*;

    fn parse(text: &str) -> Result<Kind, CallError> {
        kind(&Args::parse(&Params::new(Some(text)), 2).unwrap())
    }

    #[test]
    fn what_waits_is_bounded_in_bytes() {
        let outbox = Outbox::default();
        let third = SUBSCRIPTION_BYTES / 3;
        assert!(outbox.note(third, 0) && outbox.note(third, 1) && outbox.note(third, 2));
        assert!(!outbox.note(third, 3), "three wait");
        assert!(!outbox.note(2 * third, 1), "one waits, one is being sent");
        assert!(outbox.note(third, 1));
        // One that is larger than all room passes when nothing else waits.
        assert!(!outbox.note(2 * SUBSCRIPTION_BYTES, 1));
        assert!(outbox.note(2 * SUBSCRIPTION_BYTES, 0));
        assert!(!outbox.note(1, 1), "it takes all room until it is sent");
        for _ in 0..10_000 {
            assert!(outbox.note(1, 0));
        }
        assert!(outbox.0.sizes.lock().unwrap().len() <= SUBSCRIPTION_BUFFER as usize + 1);
    }

    /// What a subscription sends without end, until it cannot or there were a thousand messages.
    async fn sends(reads: bool, outbox: &Outbox) -> usize {
        let (ended, mut told) = tokio::sync::mpsc::channel(1);
        let mut module = jsonrpsee::RpcModule::new(());
        let outbox = outbox.clone();
        let subscription = move |_: Params<'static>, pending: PendingSubscriptionSink, _, _| {
            let (ended, outbox) = (ended.clone(), outbox.clone());
            async move {
                let sink = BoundedSink { sink: pending.accept().await.unwrap(), outbox };
                let (text, mut sent) = ("x".repeat(MESSAGE), 0);
                while sent < 1_000 && sink.send(&text).await.is_ok() {
                    sent += 1;
                }
                drop(sink);
                ended.send(sent).await.unwrap();
            }
        };
        module.register_subscription("subscribe", "news", "unsubscribe", subscription).unwrap();
        let request = r#"{"jsonrpc": "2.0", "id": 1, "method": "subscribe"}"#;
        let (_, mut messages) = module.raw_json_request(request, SUBSCRIPTION_BUFFER as usize).await.unwrap();
        loop {
            tokio::select! {
                sent = told.recv() => return sent.unwrap(),
                Some(_) = messages.recv(), if reads => {}
            }
        }
    }

    const MESSAGE: usize = 100 * 1024;

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_holds_little_and_loses_the_connection() {
        let outbox = Outbox::default();
        let held = sends(false, &outbox).await * MESSAGE;
        assert!((SUBSCRIPTION_BYTES / 2..SUBSCRIPTION_BYTES).contains(&held), "{held}");
        outbox.lost().await;
        assert_eq!(sends(true, &Outbox::default()).await, 1_000, "who reads gets everything");
    }

    #[tokio::test]
    async fn who_ends_a_subscription_keeps_the_connection() {
        let outbox = Outbox::default();
        let (ended, mut told) = tokio::sync::mpsc::channel(1);
        let mut module = jsonrpsee::RpcModule::new(());
        let of_sink = outbox.clone();
        let subscription = move |_: Params<'static>, pending: PendingSubscriptionSink, _, _| {
            let (ended, outbox) = (ended.clone(), of_sink.clone());
            async move {
                let sink = BoundedSink { sink: pending.accept().await.unwrap(), outbox };
                sink.sink.closed().await;
                drop(sink);
                ended.send(()).await.unwrap();
            }
        };
        module.register_subscription("subscribe", "news", "unsubscribe", subscription).unwrap();
        let request = r#"{"jsonrpc": "2.0", "id": 1, "method": "subscribe"}"#;
        let (_, messages) = module.raw_json_request(request, 1).await.unwrap();
        // As when the connection ends.
        drop(messages);
        told.recv().await.unwrap();
        assert!(outbox.lost().now_or_never().is_none());
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

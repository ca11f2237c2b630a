//! The namespace `txpool`: what waits for a block. `pending` are transactions that could be in the next one, `queued` wait
//! for another transaction or for money of their sender.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::{Address, U64};
use alloy_rpc_types_txpool::{TxpoolContent, TxpoolContentFrom, TxpoolInspect, TxpoolInspectSummary};
use assent_chain::{mempool::SenderContent, transaction::Recovered};
use serde::Serialize;

use crate::{
    errors::CallError,
    eth::blocks::{RpcTransaction, rpc_transaction},
    methods::{Api, Registrar},
    params::{self, Args},
};

pub(crate) fn register(methods: &mut Registrar) {
    methods.quick("txpool_status", 0, status);
    methods.search("txpool_content", 0, content);
    methods.search("txpool_contentFrom", 1, content_from);
    methods.search("txpool_inspect", 0, inspect);
}

/// Numbers of transactions.
#[derive(Clone, Copy, Debug, Serialize)]
struct Status {
    pending: U64,
    queued: U64,
}

fn status(api: &Api, _: &Args) -> Result<Status, CallError> {
    let status = api.backend.chain.pool().status();
    Ok(Status { pending: U64::from(status.executable), queued: U64::from(status.queued) })
}

/// By nonce, which Geth writes in decimal.
fn by_nonce<T>(transactions: &[Arc<Recovered>], show: fn(&Recovered) -> T) -> BTreeMap<String, T> {
    transactions.iter().map(|tx| (tx.nonce().to_string(), show(tx))).collect()
}

/// By sender and nonce; senders without any are left out.
fn by_sender<T>(
    all: &[SenderContent],
    of: fn(&SenderContent) -> &[Arc<Recovered>],
    show: fn(&Recovered) -> T,
) -> BTreeMap<Address, BTreeMap<String, T>> {
    let with_some = all.iter().filter(|sender| !of(sender).is_empty());
    with_some.map(|sender| (sender.sender, by_nonce(of(sender), show))).collect()
}

fn pending(tx: &Recovered) -> RpcTransaction {
    rpc_transaction(tx, None)
}

fn summary(tx: &Recovered) -> TxpoolInspectSummary {
    TxpoolInspectSummary::from_tx(tx.tx().clone())
}

fn content(api: &Api, _: &Args) -> Result<TxpoolContent<RpcTransaction>, CallError> {
    let all = api.backend.chain.pool().content();
    Ok(TxpoolContent {
        pending: by_sender(&all, |sender| &sender.executable, pending),
        queued: by_sender(&all, |sender| &sender.queued, pending),
    })
}

fn content_from(api: &Api, args: &Args) -> Result<TxpoolContentFrom<RpcTransaction>, CallError> {
    let sender = args.required(0, "address", params::address)?;
    let Some(content) = api.backend.chain.pool().content_from(sender) else {
        return Ok(TxpoolContentFrom { pending: BTreeMap::new(), queued: BTreeMap::new() });
    };
    Ok(TxpoolContentFrom {
        pending: by_nonce(&content.executable, pending),
        queued: by_nonce(&content.queued, pending),
    })
}

fn inspect(api: &Api, _: &Args) -> Result<TxpoolInspect, CallError> {
    let all = api.backend.chain.pool().content();
    Ok(TxpoolInspect {
        pending: by_sender(&all, |sender| &sender.executable, summary),
        queued: by_sender(&all, |sender| &sender.queued, summary),
    })
}

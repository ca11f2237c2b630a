//! The namespace `txpool`: what waits for a block. `pending` are transactions that could be in the next one, `queued` wait
//! for another transaction or for money of their sender.

use std::{collections::BTreeMap, sync::Arc};

use alloy_consensus::Transaction as _;
use alloy_primitives::U64;
use alloy_rpc_types_txpool::TxpoolContentFrom;
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

/// Bytes of JSON that a transaction has beside its input, access list and authorizations.
const FRAME_BYTES: usize = 1_000;

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

/// By sender, whose address Geth writes with its checksum, and nonce; senders without any are left out.
fn by_sender<T>(
    all: &[SenderContent],
    of: fn(&SenderContent) -> &[Arc<Recovered>],
    show: fn(&Recovered) -> T,
) -> BTreeMap<String, BTreeMap<String, T>> {
    let with_some = all.iter().filter(|sender| !of(sender).is_empty());
    with_some.map(|sender| (sender.sender.to_string(), by_nonce(of(sender), show))).collect()
}

/// The whole pool, with something for each transaction.
#[derive(Clone, Debug, Serialize)]
struct Content<T> {
    pending: BTreeMap<String, BTreeMap<String, T>>,
    queued: BTreeMap<String, BTreeMap<String, T>>,
}

impl<T> Content<T> {
    fn of(all: &[SenderContent], show: fn(&Recovered) -> T) -> Self {
        Self {
            pending: by_sender(all, |sender| &sender.executable, show),
            queued: by_sender(all, |sender| &sender.queued, show),
        }
    }
}

fn pending(tx: &Recovered) -> RpcTransaction {
    rpc_transaction(tx, None)
}

/// A transaction in a line, as Geth writes it.
fn summary(tx: &Recovered) -> String {
    let tx = tx.tx();
    let to = tx.to().map_or_else(|| "contract creation".to_owned(), |to| to.to_string());
    format!("{to}: {} wei + {} gas × {} wei", tx.value(), tx.gas_limit(), tx.max_fee_per_gas())
}

/// About how many bytes the JSON of a transaction has at most.
fn json_bytes(tx: &Recovered) -> usize {
    let input = tx.tx().input().len();
    // Hex has two digits for a byte, and lists have names besides.
    2 * input + 4 * tx.size().saturating_sub(input) + FRAME_BYTES
}

/// Refuses what would be larger than an answer may be, before it is made.
fn check_size(api: &Api, all: &[SenderContent]) -> Result<(), CallError> {
    let transactions = all.iter().flat_map(|sender| sender.executable.iter().chain(&sender.queued));
    let bytes: usize = transactions.map(|tx| json_bytes(tx)).sum();
    let most = api.config.max_response;
    if bytes > most as usize {
        return Err(CallError::Refused(format!(
            "the transactions that wait are about {bytes} bytes of JSON, an answer has at most {most}: ask for those of \
             one sender (txpool_contentFrom), or for a line each (txpool_inspect)"
        )));
    }
    Ok(())
}

fn content(api: &Api, _: &Args) -> Result<Content<RpcTransaction>, CallError> {
    let all = api.backend.chain.pool().content();
    check_size(api, &all)?;
    Ok(Content::of(&all, pending))
}

fn content_from(api: &Api, args: &Args) -> Result<TxpoolContentFrom<RpcTransaction>, CallError> {
    let sender = args.required(0, "address", params::address)?;
    let Some(content) = api.backend.chain.pool().content_from(sender) else {
        return Ok(TxpoolContentFrom { pending: BTreeMap::new(), queued: BTreeMap::new() });
    };
    check_size(api, std::slice::from_ref(&content))?;
    Ok(TxpoolContentFrom {
        pending: by_nonce(&content.executable, pending),
        queued: by_nonce(&content.queued, pending),
    })
}

/// The same with a line for each transaction.
fn inspect(api: &Api, _: &Args) -> Result<Content<String>, CallError> {
    Ok(Content::of(&api.backend.chain.pool().content(), summary))
}

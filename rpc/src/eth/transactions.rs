//! Transactions: sending them, and finding them and their receipts again.

use std::sync::Arc;

use alloy_eips::BlockId;
use alloy_primitives::{B256, Bytes};
use tokio::sync::oneshot;

use crate::{
    backend::{Submission, SubmitError},
    errors::CallError,
    eth::{
        blocks::{RpcTransaction, rpc_final_receipt, rpc_final_transaction, rpc_transaction},
        reader::Reader,
    },
    methods::{Api, Json, json},
    params::{self, Args},
};

/// `eth_sendRawTransaction`: gives the transaction to the node and waits for its word. The call's
/// deadline is the one of all calls; a transaction that is refused late may still have been taken.
pub(crate) async fn send_raw(api: Arc<Api>, args: Args) -> Result<B256, CallError> {
    let raw = args.required(0, "transaction", params::bytes)?;
    let (reply, answer) = oneshot::channel();
    let stopping = || CallError::Refused("the node is stopping: send the transaction to another node".into());
    api.backend.submit.send(Submission { raw, reply }).await.map_err(|_| stopping())?;
    match answer.await {
        Ok(Ok(hash)) => Ok(hash),
        Ok(Err(SubmitError::Pool(error))) => Err(error.into()),
        Ok(Err(SubmitError::Refused(text))) => Err(CallError::Refused(text)),
        Ok(Err(SubmitError::Busy)) => Err(CallError::Busy("too many transactions wait to be checked")),
        Err(_) => Err(stopping()),
    }
}

/// `eth_getTransactionByHash`: final ones, and those in the mempool with null block fields.
pub(crate) async fn by_hash(api: Arc<Api>, args: Args) -> Result<Option<Json>, CallError> {
    let hash = args.required(0, "hash", params::hash)?;
    // The mempool first: a transaction leaves it only after its block is stored.
    if let Some(tx) = api.backend.chain.pool().get(&hash) {
        return json(&rpc_transaction(&tx, None)).map(Some);
    }
    let find = move |api: &Api| match Reader::new(api).transaction(&hash)? {
        Some(tx) => json(&rpc_final_transaction(&tx)).map(Some),
        None => Ok(None),
    };
    api.read(find).await
}

/// `eth_getTransactionReceipt`
pub(crate) async fn receipt(api: Arc<Api>, args: Args) -> Result<Option<Json>, CallError> {
    let hash = args.required(0, "hash", params::hash)?;
    // Who waits for a transaction asks often: that is answered from memory.
    if api.backend.chain.pool().contains(&hash) {
        return Ok(None);
    }
    let find = move |api: &Api| match Reader::new(api).receipt(&hash)? {
        Some(found) => json(&rpc_final_receipt(&found)).map(Some),
        None => Ok(None),
    };
    api.read(find).await
}

/// `eth_getTransactionByBlockNumberAndIndex`
pub(crate) fn by_number_and_index(api: &Api, args: &Args) -> Result<Option<RpcTransaction>, CallError> {
    by_index(api, args.required(0, "block", params::block_number)?.into(), args)
}

/// `eth_getTransactionByBlockHashAndIndex`
pub(crate) fn by_block_hash_and_index(api: &Api, args: &Args) -> Result<Option<RpcTransaction>, CallError> {
    by_index(api, args.required(0, "hash", params::hash)?.into(), args)
}

fn by_index(api: &Api, block: BlockId, args: &Args) -> Result<Option<RpcTransaction>, CallError> {
    let Ok(index) = u32::try_from(args.required(1, "index", params::u64)?) else { return Ok(None) };
    Ok(Reader::new(api).transaction_at(block, index)?.map(|tx| rpc_final_transaction(&tx)))
}

/// `eth_getRawTransactionByHash`: what was signed, of final transactions and of those in the mempool.
pub(crate) fn raw_by_hash(api: &Api, args: &Args) -> Result<Option<Bytes>, CallError> {
    let hash = args.required(0, "hash", params::hash)?;
    if let Some(tx) = api.backend.chain.pool().get(&hash) {
        return Ok(Some(tx.raw().clone()));
    }
    Ok(Reader::new(api).transaction(&hash)?.map(|found| found.transaction.raw().clone()))
}

/// `eth_getRawTransactionByBlockNumberAndIndex`
pub(crate) fn raw_by_number_and_index(api: &Api, args: &Args) -> Result<Option<Bytes>, CallError> {
    raw_by_index(api, args.required(0, "block", params::block_number)?.into(), args)
}

/// `eth_getRawTransactionByBlockHashAndIndex`
pub(crate) fn raw_by_block_hash_and_index(api: &Api, args: &Args) -> Result<Option<Bytes>, CallError> {
    raw_by_index(api, args.required(0, "hash", params::hash)?.into(), args)
}

fn raw_by_index(api: &Api, block: BlockId, args: &Args) -> Result<Option<Bytes>, CallError> {
    let Ok(index) = u32::try_from(args.required(1, "index", params::u64)?) else { return Ok(None) };
    Ok(Reader::new(api).transaction_at(block, index)?.map(|found| found.transaction.raw().clone()))
}

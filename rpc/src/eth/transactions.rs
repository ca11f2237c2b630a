//! Transactions: sending them, and finding them and their receipts again.

use std::{sync::Arc, time::Duration};

use alloy_eips::BlockId;
use alloy_primitives::{B256, Bytes};
use tokio::sync::{broadcast::error::RecvError, oneshot};

use crate::{
    backend::{Submission, SubmitError},
    errors::CallError,
    eth::{
        blocks::{RpcTransaction, rpc_final_receipt, rpc_final_transaction, rpc_transaction},
        reader::Reader,
    },
    limits::SYNC_WAIT,
    methods::{Api, Json, json},
    params::{self, Args},
};

/// `eth_sendRawTransaction`: gives the transaction to the node and waits for its word. The call's
/// deadline is the one of all calls; a transaction that is refused late may still have been taken.
pub(crate) async fn send_raw(api: Arc<Api>, args: Args) -> Result<B256, CallError> {
    let raw = args.required(0, "transaction", params::bytes)?;
    submit(&api, raw).await
}

async fn submit(api: &Api, raw: Bytes) -> Result<B256, CallError> {
    let (reply, answer) = oneshot::channel();
    api.backend.submit.send(Submission { raw, reply }).await.map_err(|_| stopping())?;
    match answer.await {
        Ok(Ok(hash)) => Ok(hash),
        Ok(Err(SubmitError::Pool(error))) => Err(error.into()),
        Ok(Err(SubmitError::Refused(text))) => Err(CallError::Refused(text)),
        Ok(Err(SubmitError::Busy)) => Err(CallError::Busy("too many transactions wait to be checked")),
        Err(_) => Err(stopping()),
    }
}

/// `eth_sendRawTransactionSync` (EIP-7966): the same, and waits until the transaction is final. The answer is its receipt.
pub(crate) async fn send_raw_sync(api: Arc<Api>, args: Args) -> Result<Json, CallError> {
    let raw = args.required(0, "transaction", params::bytes)?;
    let asked = args.optional(1, "timeout", params::u64)?.filter(|milliseconds| *milliseconds > 0);
    let waited = asked.map_or(SYNC_WAIT, Duration::from_millis).min(api.config.request_timeout / 10 * 9);
    // Before the transaction can be in a block, so that none is missed.
    let mut blocks = api.blocks();
    let hash = submit(&api, raw).await?;
    let receipt = async {
        loop {
            let found = match blocks.recv().await {
                Ok(Some(block)) => block.block().transactions().iter().any(|tx| *tx.hash() == hash),
                // It may be in one of the blocks that were missed.
                Ok(None) | Err(RecvError::Lagged(_)) => true,
                Err(RecvError::Closed) => return Err(stopping()),
            };
            if found && let Some(receipt) = find_receipt(api.clone(), hash).await? {
                return Ok(receipt);
            }
        }
    };
    match tokio::time::timeout(waited, receipt).await {
        Ok(answer) => answer,
        Err(_) => Err(CallError::NotFinalYet { hash, waited }),
    }
}

fn stopping() -> CallError {
    CallError::Refused("the node is stopping: send the transaction to another node".into())
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
    find_receipt(api, hash).await
}

async fn find_receipt(api: Arc<Api>, hash: B256) -> Result<Option<Json>, CallError> {
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

//! Transactions: sending them, and finding them and their receipts again.

use std::sync::Arc;

use alloy_eips::BlockId;
use alloy_primitives::B256;
use jsonrpsee::types::Params;
use tokio::sync::oneshot;

use crate::{
    backend::{Submission, SubmitError},
    errors::CallError,
    eth::{
        blocks::{RpcReceipt, RpcTransaction, rpc_final_receipt, rpc_final_transaction, rpc_transaction},
        reader::Reader,
    },
    methods::Api,
    params::{self, Args},
};

/// `eth_sendRawTransaction`: gives the transaction to the node and waits for its word. The call's
/// deadline is the one of all calls; a transaction that is refused late may still have been taken.
pub(crate) async fn send_raw(params: Params<'static>, api: Arc<Api>) -> Result<B256, CallError> {
    let raw = Args::parse(&params, 1)?.required(0, "transaction", params::bytes)?;
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
pub(crate) fn by_hash(api: &Api, args: &Args) -> Result<Option<RpcTransaction>, CallError> {
    let hash = args.required(0, "hash", params::hash)?;
    let reader = Reader::new(api);
    if let Some(tx) = reader.transaction(&hash)? {
        return Ok(Some(rpc_final_transaction(&tx)));
    }
    if let Some(tx) = reader.pending_transaction(&hash) {
        return Ok(Some(rpc_transaction(&tx, None)));
    }
    // It may have left the mempool for a block between the two looks.
    Ok(reader.transaction(&hash)?.map(|tx| rpc_final_transaction(&tx)))
}

/// `eth_getTransactionReceipt`
pub(crate) fn receipt(api: &Api, args: &Args) -> Result<Option<RpcReceipt>, CallError> {
    let hash = args.required(0, "hash", params::hash)?;
    Ok(Reader::new(api).receipt(&hash)?.map(|found| rpc_final_receipt(&found)))
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

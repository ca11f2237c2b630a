//! Blocks, and what of them stands in transactions, receipts and logs: the shapes of the JSON.

use alloy_consensus::{Header, Sealed, Transaction as _, transaction::Recovered as WithSender};
use alloy_eips::{BlockId, BlockNumberOrTag, eip4895::Withdrawals};
use alloy_primitives::{B256, Log as RawLog, U64, U256};
use alloy_rpc_types_eth as rpc;
use assent_chain::{
    block::RecoveredBlock,
    chain::{FinalReceipt, FinalTransaction},
    execution::Receipt,
    transaction::{Recovered, Transaction},
};

use crate::{
    errors::CallError,
    eth::reader::{FullBlock, Reader},
    methods::Api,
    params::{self, Args},
};

/// A transaction as clients see it.
pub(crate) type RpcTransaction = rpc::Transaction<Transaction>;
/// A block as clients see it.
pub(crate) type RpcBlock = rpc::Block<RpcTransaction>;
/// A receipt as clients see it.
pub(crate) type RpcReceipt = rpc::TransactionReceipt;

/// Where a transaction stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    block_hash: B256,
    block_number: u64,
    timestamp: u64,
    base_fee: u64,
    index: u64,
}

impl Place {
    pub(crate) fn new(block_hash: B256, header: &Header, index: usize) -> Self {
        Self {
            block_hash,
            block_number: header.number,
            timestamp: header.timestamp,
            base_fee: header.base_fee_per_gas.unwrap_or_default(),
            index: index as u64,
        }
    }
}

impl From<&FinalTransaction> for Place {
    fn from(tx: &FinalTransaction) -> Self {
        Self {
            block_hash: tx.block_hash,
            block_number: tx.block_number,
            timestamp: tx.timestamp,
            base_fee: tx.base_fee,
            index: tx.index.into(),
        }
    }
}

/// A final transaction.
pub(crate) fn rpc_final_transaction(tx: &FinalTransaction) -> RpcTransaction {
    rpc_transaction(&tx.transaction, Some(&tx.into()))
}

/// The receipt of a final transaction.
pub(crate) fn rpc_final_receipt(found: &FinalReceipt) -> RpcReceipt {
    let tx = &found.transaction;
    rpc_receipt(&tx.transaction, &found.receipt, &tx.into(), found.first_log_index.into())
}

/// A transaction; without a place it is pending, and the block fields are null.
pub(crate) fn rpc_transaction(tx: &Recovered, place: Option<&Place>) -> RpcTransaction {
    let price = match place {
        Some(place) => tx.tx().effective_gas_price(Some(place.base_fee)),
        None => tx.tx().max_fee_per_gas(),
    };
    RpcTransaction {
        inner: WithSender::new_unchecked(tx.tx().clone(), tx.sender()),
        block_hash: place.map(|place| place.block_hash),
        block_number: place.map(|place| place.block_number),
        transaction_index: place.map(|place| place.index),
        effective_gas_price: Some(price),
        block_timestamp: place.map(|place| place.timestamp),
    }
}

/// A log; `index` counts the logs of its block.
pub(crate) fn rpc_log(log: RawLog, place: &Place, transaction_hash: B256, index: u64) -> rpc::Log {
    rpc::Log {
        inner: log,
        block_hash: Some(place.block_hash),
        block_number: Some(place.block_number),
        block_timestamp: Some(place.timestamp),
        transaction_hash: Some(transaction_hash),
        transaction_index: Some(place.index),
        log_index: Some(index),
        removed: false,
    }
}

/// A receipt; `logs_before` is the number of logs before it in its block.
pub(crate) fn rpc_receipt(tx: &Recovered, receipt: &Receipt, place: &Place, logs_before: u64) -> RpcReceipt {
    let hash = *tx.hash();
    let mut index = logs_before;
    let inner = receipt.envelope().map_logs(|log| {
        let log = rpc_log(log, place, hash, index);
        index += 1;
        log
    });
    let signed = tx.tx();
    RpcReceipt {
        inner,
        transaction_hash: hash,
        transaction_index: Some(place.index),
        block_hash: Some(place.block_hash),
        block_number: Some(place.block_number),
        gas_used: receipt.gas_used,
        effective_gas_price: signed.effective_gas_price(Some(place.base_fee)),
        blob_gas_used: None,
        blob_gas_price: None,
        from: tx.sender(),
        to: signed.to(),
        contract_address: signed.kind().is_create().then(|| tx.sender().create(signed.nonce())),
    }
}

/// The header of a block; `size` is that of the block as Ethereum counts it, where it is known.
pub(crate) fn rpc_header(hash: B256, header: &Header, size: Option<usize>) -> rpc::Header {
    rpc::Header::from_consensus(Sealed::new_unchecked(header.clone(), hash), None, size.map(U256::from))
}

/// A block, with whole transactions or their hashes.
pub(crate) fn rpc_block(block: &RecoveredBlock, full: bool) -> RpcBlock {
    let header = block.header();
    let transactions = block.transactions();
    let transactions = if full {
        let place = |index| Place::new(block.hash(), header, index);
        let all = transactions.iter().enumerate().map(|(index, tx)| rpc_transaction(tx, Some(&place(index))));
        rpc::BlockTransactions::Full(all.collect())
    } else {
        rpc::BlockTransactions::Hashes(transactions.iter().map(|tx| *tx.hash()).collect())
    };
    RpcBlock {
        header: rpc_header(block.hash(), header, Some(block.ethereum_size())),
        uncles: Vec::new(),
        transactions,
        withdrawals: header.withdrawals_root.map(|_| Withdrawals::default()),
    }
}

/// The receipts of a block, in order.
pub(crate) fn rpc_receipts(block: &FullBlock) -> Vec<RpcReceipt> {
    let mut logs_before = 0;
    let mut receipts = Vec::with_capacity(block.receipts().len());
    for (index, (tx, receipt)) in block.transactions().iter().zip(block.receipts()).enumerate() {
        let place = Place::new(block.hash(), block.header(), index);
        receipts.push(rpc_receipt(tx, receipt, &place, logs_before));
        logs_before += receipt.logs.len() as u64;
    }
    receipts
}

/// `eth_blockNumber`
pub(crate) fn block_number(api: &Api, _: &Args) -> Result<U64, CallError> {
    Ok(U64::from(Reader::new(api).head_number()))
}

fn number_argument(args: &Args) -> Result<BlockNumberOrTag, CallError> {
    args.required(0, "block", params::block_number)
}

/// `eth_getBlockByNumber`
pub(crate) fn by_number(api: &Api, args: &Args) -> Result<Option<RpcBlock>, CallError> {
    let full = args.optional(1, "full", params::boolean)?.unwrap_or(false);
    let block = Reader::new(api).block(number_argument(args)?.into())?;
    Ok(block.map(|block| rpc_block(&block, full)))
}

/// `eth_getBlockByHash`
pub(crate) fn by_hash(api: &Api, args: &Args) -> Result<Option<RpcBlock>, CallError> {
    let hash = args.required(0, "hash", params::hash)?;
    let full = args.optional(1, "full", params::boolean)?.unwrap_or(false);
    let block = Reader::new(api).block(hash.into())?;
    Ok(block.map(|block| rpc_block(&block, full)))
}

/// `eth_getBlockReceipts`
pub(crate) fn receipts(api: &Api, args: &Args) -> Result<Option<Vec<RpcReceipt>>, CallError> {
    let block = Reader::new(api).full(args.required(0, "block", params::block_id)?)?;
    Ok(block.map(|block| rpc_receipts(&block)))
}

/// `eth_getBlockTransactionCountByNumber`
pub(crate) fn transaction_count_by_number(api: &Api, args: &Args) -> Result<Option<U64>, CallError> {
    transaction_count(api, number_argument(args)?.into())
}

/// `eth_getBlockTransactionCountByHash`
pub(crate) fn transaction_count_by_hash(api: &Api, args: &Args) -> Result<Option<U64>, CallError> {
    transaction_count(api, args.required(0, "hash", params::hash)?.into())
}

fn transaction_count(api: &Api, block: BlockId) -> Result<Option<U64>, CallError> {
    let block = Reader::new(api).full(block)?;
    Ok(block.map(|block| U64::from(block.transactions().len())))
}

/// `eth_getUncleCountByBlockNumber`: there are none, but the block must exist.
pub(crate) fn uncle_count_by_number(api: &Api, args: &Args) -> Result<Option<U64>, CallError> {
    uncle_count(api, number_argument(args)?.into())
}

/// `eth_getUncleCountByBlockHash`
pub(crate) fn uncle_count_by_hash(api: &Api, args: &Args) -> Result<Option<U64>, CallError> {
    uncle_count(api, args.required(0, "hash", params::hash)?.into())
}

fn uncle_count(api: &Api, block: BlockId) -> Result<Option<U64>, CallError> {
    Ok(Reader::new(api).header(block)?.map(|_| U64::ZERO))
}

/// `eth_getHeaderByNumber`
pub(crate) fn header_by_number(api: &Api, args: &Args) -> Result<Option<rpc::Header>, CallError> {
    header(api, number_argument(args)?.into())
}

/// `eth_getHeaderByHash`
pub(crate) fn header_by_hash(api: &Api, args: &Args) -> Result<Option<rpc::Header>, CallError> {
    header(api, args.required(0, "hash", params::hash)?.into())
}

fn header(api: &Api, block: BlockId) -> Result<Option<rpc::Header>, CallError> {
    Ok(Reader::new(api).header(block)?.map(|found| rpc_header(found.hash, &found.header, None)))
}

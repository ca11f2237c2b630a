//! The namespaces `ots` and `erigon`, which the explorer Otterscan asks for beside `eth`. Block and page numbers may be
//! JSON numbers. See <https://docs.otterscan.io/api-docs/ots-api>.

use alloy_consensus::Transaction as _;
use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_rpc_types_eth::{BlockTransactions, Header};
use alloy_rpc_types_trace::{
    geth::CallFrame,
    otterscan::{
        ContractCreator, InternalIssuance, InternalOperation, OtsBlock, OtsReceipt, OtsSlimBlock,
        OtsTransactionReceipt, TraceEntry,
    },
};
use assent_chain::storage::TransactionPosition;
use serde::Serialize;
use serde_json::Value;

use crate::{
    errors::CallError,
    eth::{
        blocks::{
            RpcReceipt, RpcTransaction, rpc_block, rpc_final_receipt, rpc_final_transaction, rpc_header, rpc_receipts,
        },
        reader::Reader,
    },
    limits::MAX_PAGE,
    methods::{Api, Registrar},
    params::{self, Args},
    traces,
};

/// The version of Otterscan's interface.
const API_LEVEL: u64 = 8;

/// A block without its transactions, and what they paid.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    block: Value,
    issuance: InternalIssuance,
    total_fees: U256,
}

/// A part of a block's transactions.
#[derive(Debug, Serialize)]
struct Page {
    fullblock: Value,
    receipts: Vec<OtsTransactionReceipt>,
}

/// A whole receipt: here Otterscan reads the logs as well.
#[derive(Debug, Serialize)]
struct DatedReceipt {
    #[serde(flatten)]
    receipt: RpcReceipt,
    timestamp: U64,
}

/// A part of the transactions that touched an account.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    txs: Vec<RpcTransaction>,
    receipts: Vec<DatedReceipt>,
    first_page: bool,
    last_page: bool,
}

pub(crate) fn register(methods: &mut Registrar) {
    methods.quick("ots_getApiLevel", 0, api_level);
    methods.quick("ots_hasCode", 2, has_code);
    methods.blocking("ots_getBlockDetails", 1, block_details);
    methods.blocking("ots_getBlockDetailsByHash", 1, block_details_by_hash);
    methods.blocking("ots_getBlockTransactions", 3, block_transactions);
    methods.search("ots_searchTransactionsBefore", 3, search_before);
    methods.search("ots_searchTransactionsAfter", 3, search_after);
    methods.search("ots_getTransactionBySenderAndNonce", 2, by_sender_and_nonce);
    methods.execution("ots_getContractCreator", 1, contract_creator);
    methods.execution("ots_getInternalOperations", 1, internal_operations);
    methods.execution("ots_traceTransaction", 1, trace_transaction);
    methods.execution("ots_getTransactionError", 1, transaction_error);
}

pub(crate) fn register_erigon(methods: &mut Registrar) {
    methods.blocking("erigon_getHeaderByNumber", 1, header_by_number);
}

fn api_level(_: &Api, _: &Args) -> Result<u64, CallError> {
    Ok(API_LEVEL)
}

fn has_code(api: &Api, args: &Args) -> Result<bool, CallError> {
    let address = args.required(0, "address", params::address)?;
    let account = Reader::new(api).state(args.block(1)?)?.account(&address)?;
    Ok(account.is_some_and(|account| account.has_code()))
}

fn header_by_number(api: &Api, args: &Args) -> Result<Option<Header>, CallError> {
    let number = args.required(0, "block", params::block_number)?;
    let found = Reader::new(api).header(number.into())?;
    Ok(found.map(|found| rpc_header(found.hash, &found.header, None)))
}

/// What the transactions of a block paid.
fn total_fees(receipts: &[RpcReceipt]) -> U256 {
    receipts.iter().map(|receipt| U256::from(receipt.gas_used) * U256::from(receipt.effective_gas_price)).sum()
}

/// A block as the interface wants it: the bloom of its logs is null.
fn without_bloom(block: &impl Serialize) -> Result<Value, CallError> {
    let mut block = serde_json::to_value(block).map_err(CallError::internal)?;
    if let Some(fields) = block.as_object_mut() {
        fields.insert("logsBloom".into(), Value::Null);
    }
    Ok(block)
}

fn details(api: &Api, id: BlockId) -> Result<Option<Details>, CallError> {
    let Some(block) = Reader::new(api).full(id)? else { return Ok(None) };
    let total_fees = total_fees(&rpc_receipts(&block));
    let block = without_bloom(&OtsSlimBlock::<Header>::from(rpc_block(block.block(), false)))?;
    Ok(Some(Details { block, issuance: InternalIssuance::default(), total_fees }))
}

fn block_details(api: &Api, args: &Args) -> Result<Option<Details>, CallError> {
    details(api, args.required(0, "block", params::block_number)?.into())
}

fn block_details_by_hash(api: &Api, args: &Args) -> Result<Option<Details>, CallError> {
    details(api, args.required(0, "hash", params::hash)?.into())
}

/// A receipt without its logs, as the interface wants it on the page of a block.
fn slim(receipt: RpcReceipt, timestamp: Option<u64>) -> OtsTransactionReceipt {
    let inner = OtsReceipt {
        status: receipt.status(),
        cumulative_gas_used: receipt.inner.cumulative_gas_used(),
        logs: None,
        logs_bloom: None,
        r#type: receipt.transaction_type().into(),
    };
    OtsTransactionReceipt { receipt: receipt.map_inner(|_| inner), timestamp }
}

fn page_size(args: &Args, index: usize, most: usize) -> Result<usize, CallError> {
    let size = args.required(index, "pageSize", params::u64)?;
    match usize::try_from(size) {
        Ok(size) if (1..=most).contains(&size) => Ok(size),
        _ => Err(CallError::InvalidParams(format!(
            "invalid argument {index}: pageSize: expected 1 to {most}, got {size}"
        ))),
    }
}

/// Transactions of a block by pages, of which page 0 has the last ones.
fn block_transactions(api: &Api, args: &Args) -> Result<Option<Page>, CallError> {
    let number = args.required(0, "block", params::block_number)?;
    let page = usize::try_from(args.required(1, "page", params::u64)?).unwrap_or(usize::MAX);
    // Unlike a search, a page of a block reads one block only.
    let size = page_size(args, 2, 1_000)?;
    let Some(block) = Reader::new(api).full(number.into())? else { return Ok(None) };
    let count = block.transactions().len();
    let end = count.saturating_sub(page.saturating_mul(size));
    let range = end.saturating_sub(size)..end;
    let timestamp = Some(block.header().timestamp);
    let receipts = rpc_receipts(&block).drain(range.clone()).map(|receipt| slim(receipt, timestamp)).collect();
    let mut whole = rpc_block(block.block(), true);
    if let BlockTransactions::Full(transactions) = &mut whole.transactions {
        *transactions = transactions.drain(range).collect();
    }
    let mut fullblock = OtsBlock::from(whole);
    fullblock.transaction_count = count;
    Ok(Some(Page { fullblock: without_bloom(&fullblock)?, receipts }))
}

/// A page of the transactions that touched an account: at least so many if there are, and never a part of a block.
fn page(
    positions: impl Iterator<Item = Result<TransactionPosition, CallError>>,
    size: usize,
) -> Result<(Vec<TransactionPosition>, bool), CallError> {
    let mut page: Vec<TransactionPosition> = Vec::with_capacity(size);
    for position in positions {
        let position = position?;
        if page.len() >= size && page.last().is_some_and(|last| last.number != position.number) {
            return Ok((page, true));
        }
        page.push(position);
    }
    Ok((page, false))
}

fn found(
    reader: &Reader<'_>,
    positions: Vec<TransactionPosition>,
    first: bool,
    last: bool,
) -> Result<Found, CallError> {
    let mut found = Found { txs: Vec::new(), receipts: Vec::new(), first_page: first, last_page: last };
    for TransactionPosition { number, index } in positions {
        let tx = reader.transaction_at(number.into(), index)?;
        let tx = tx.ok_or_else(|| CallError::internal(format!("transaction {index} of block {number} is missing")))?;
        let receipt = reader.receipt(tx.transaction.hash())?;
        let receipt = receipt.ok_or_else(|| CallError::internal(format!("a receipt of block {number} is missing")))?;
        found.txs.push(rpc_final_transaction(&tx));
        found.receipts.push(DatedReceipt { receipt: rpc_final_receipt(&receipt), timestamp: U64::from(tx.timestamp) });
    }
    Ok(found)
}

/// Newest first, of blocks before the one named; 0: from the head on.
fn search_before(api: &Api, args: &Args) -> Result<Found, CallError> {
    let address = args.required(0, "address", params::address)?;
    let number = args.required(1, "block", params::u64)?;
    let reader = Reader::new(api);
    let size = page_size(args, 2, MAX_PAGE)?;
    let (positions, more) = match number.checked_sub(1) {
        None => page(reader.transactions_up_to(&address, u64::MAX), size)?,
        Some(before) => page(reader.transactions_up_to(&address, before), size)?,
    };
    found(&reader, positions, number == 0, !more)
}

/// The page before: newest first as well, of blocks after the one named; 0: of the whole chain.
fn search_after(api: &Api, args: &Args) -> Result<Found, CallError> {
    let address = args.required(0, "address", params::address)?;
    let number = args.required(1, "block", params::u64)?;
    let reader = Reader::new(api);
    let size = page_size(args, 2, MAX_PAGE)?;
    let from = if number == 0 { 0 } else { number.saturating_add(1) };
    let (mut positions, more) = page(reader.transactions_from(&address, from), size)?;
    positions.reverse();
    found(&reader, positions, !more, number == 0)
}

fn by_sender_and_nonce(api: &Api, args: &Args) -> Result<Option<B256>, CallError> {
    let sender = args.required(0, "address", params::address)?;
    let nonce = args.required(1, "nonce", params::u64)?;
    let reader = Reader::new(api);
    // What is not used yet is not looked for.
    if reader.state(BlockId::latest())?.nonce(&sender)? <= nonce {
        return Ok(None);
    }
    Ok(reader.sent_with_nonce(&sender, nonce)?.map(|tx| *tx.transaction.hash()))
}

/// Who created a contract, in a transaction or by another contract within one; `None` for what has no code (any more).
fn contract_creator(api: &Api, args: &Args) -> Result<Option<ContractCreator>, CallError> {
    let address = args.required(0, "address", params::address)?;
    let reader = Reader::new(api);
    let account = reader.state(BlockId::latest())?.account(&address)?;
    if !account.is_some_and(|account| account.has_code()) {
        return Ok(None);
    }
    let Some(found) = reader.creation(&address)? else { return Ok(None) };
    let tx = &found.transaction;
    let (hash, sender) = (*tx.hash(), tx.sender());
    if tx.tx().kind().is_create() && sender.create(tx.nonce()) == address {
        return Ok(Some(ContractCreator { hash, creator: sender }));
    }
    let frame = api.backend.chain.call_frames(&hash, traces::limits(api))?;
    Ok(creator(&frame, &address).map(|creator| ContractCreator { hash, creator }))
}

/// Who creates the contract within a call; of several the last, which is the one that stayed.
fn creator(frame: &CallFrame, address: &Address) -> Option<Address> {
    if frame.error.is_some() {
        return None;
    }
    let inner = frame.calls.iter().rev().find_map(|call| creator(call, address));
    inner.or_else(|| (frame.typ.starts_with("CREATE") && frame.to == Some(*address)).then_some(frame.from))
}

fn internal_operations(api: &Api, args: &Args) -> Result<Vec<InternalOperation>, CallError> {
    let hash = args.required(0, "hash", params::hash)?;
    Ok(api.backend.chain.internal_operations(&hash, traces::limits(api))?)
}

fn trace_transaction(api: &Api, args: &Args) -> Result<Vec<TraceEntry>, CallError> {
    let hash = args.required(0, "hash", params::hash)?;
    Ok(flat(api.backend.chain.call_frames(&hash, traces::limits(api))?))
}

/// The calls in the order in which they began. Without recursion: calls can be a thousand deep.
fn flat(frame: CallFrame) -> Vec<TraceEntry> {
    let mut entries = Vec::new();
    let mut open = vec![(frame, 0)];
    while let Some((mut frame, depth)) = open.pop() {
        let calls = std::mem::take(&mut frame.calls);
        open.extend(calls.into_iter().rev().map(|call| (call, depth + 1)));
        // A delegated call has the value of the call around it, and moves none.
        let value = frame.value.filter(|_| frame.typ != "DELEGATECALL");
        entries.push(TraceEntry {
            r#type: frame.typ,
            depth,
            from: frame.from,
            to: frame.to.unwrap_or_default(),
            value,
            input: frame.input,
            output: frame.output.unwrap_or_default(),
        });
    }
    entries
}

/// What a transaction reverted with; nothing if it did not.
fn transaction_error(api: &Api, args: &Args) -> Result<Bytes, CallError> {
    let hash = args.required(0, "hash", params::hash)?;
    let frame = api.backend.chain.call_frames(&hash, traces::limits(api))?;
    Ok(if frame.error.is_some() { frame.output.unwrap_or_default() } else { Bytes::new() })
}

//! Blocks as a client that trusts nothing reads them: header, transactions and receipts are put together again from the
//! fields of the answers, and every hash, root and bloom is computed anew.

use alloy::{
    consensus::{
        Block, BlockBody, Eip658Value, Header, Receipt, ReceiptEnvelope, ReceiptWithBloom, SignableTransaction,
        Transaction, TxEip1559, TxEip2930, TxEip7702, TxEnvelope, TxLegacy,
        proofs::{calculate_receipt_root, calculate_transaction_root, calculate_withdrawals_root},
    },
    eips::{eip2718::Encodable2718, eip4895::Withdrawals},
    primitives::{Address, B256, Bloom, Bytes, Log, Signature, TxKind, U64, U128, U256, keccak256},
};
use alloy_rlp::Encodable;
use anyhow::{Context, Result, bail, ensure};
use assent_tests::rpc::Rpc;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A field that must be there.
fn field<T: DeserializeOwned>(object: &Value, name: &str) -> Result<T> {
    let value = object.get(name).with_context(|| format!("no {name} in {object:#}"))?;
    serde_json::from_value(value.clone()).with_context(|| format!("{name}: {value}"))
}

/// A field that old blocks and other types do not have.
fn maybe<T: DeserializeOwned>(object: &Value, name: &str) -> Result<Option<T>> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(_) => field(object, name).map(Some),
    }
}

fn number(object: &Value, name: &str) -> Result<u64> {
    Ok(field::<U64>(object, name)?.to())
}

fn maybe_number(object: &Value, name: &str) -> Result<Option<u64>> {
    Ok(maybe::<U64>(object, name)?.map(|number| number.to()))
}

fn price(object: &Value, name: &str) -> Result<u128> {
    Ok(field::<U128>(object, name)?.to())
}

/// The header that the fields make.
fn header_of(block: &Value) -> Result<Header> {
    Ok(Header {
        parent_hash: field(block, "parentHash")?,
        ommers_hash: field(block, "sha3Uncles")?,
        beneficiary: field(block, "miner")?,
        state_root: field(block, "stateRoot")?,
        transactions_root: field(block, "transactionsRoot")?,
        receipts_root: field(block, "receiptsRoot")?,
        logs_bloom: field(block, "logsBloom")?,
        difficulty: field(block, "difficulty")?,
        number: number(block, "number")?,
        gas_limit: number(block, "gasLimit")?,
        gas_used: number(block, "gasUsed")?,
        timestamp: number(block, "timestamp")?,
        extra_data: field(block, "extraData")?,
        mix_hash: field(block, "mixHash")?,
        nonce: field(block, "nonce")?,
        base_fee_per_gas: maybe_number(block, "baseFeePerGas")?,
        withdrawals_root: maybe(block, "withdrawalsRoot")?,
        blob_gas_used: maybe_number(block, "blobGasUsed")?,
        excess_blob_gas: maybe_number(block, "excessBlobGas")?,
        parent_beacon_block_root: maybe(block, "parentBeaconBlockRoot")?,
        requests_hash: maybe(block, "requestsHash")?,
        ..Header::default()
    })
}

/// The signature and, of an old transaction, the chain that `v` names.
fn signature_of(transaction: &Value, kind: u64) -> Result<(Signature, Option<u64>)> {
    let (r, s, v) = (field(transaction, "r")?, field(transaction, "s")?, number(transaction, "v")?);
    if kind != 0 {
        ensure!(v <= 1, "v is {v} in {transaction:#}");
        ensure!(number(transaction, "yParity")? == v, "v and yParity differ in {transaction:#}");
        return Ok((Signature::new(r, s, v == 1), None));
    }
    match v {
        27 | 28 => Ok((Signature::new(r, s, v == 28), None)),
        35.. => Ok((Signature::new(r, s, (v - 35) % 2 == 1), Some((v - 35) / 2))),
        _ => bail!("v is {v} in {transaction:#}"),
    }
}

fn signed<T>(transaction: T, signature: Signature) -> TxEnvelope
where
    T: SignableTransaction<Signature>,
    TxEnvelope: From<alloy::consensus::Signed<T>>,
{
    transaction.into_signed(signature).into()
}

/// The signed transaction that the fields make.
fn transaction_of(json: &Value) -> Result<TxEnvelope> {
    let kind = number(json, "type")?;
    let (signature, named) = signature_of(json, kind)?;
    let (nonce, gas_limit) = (number(json, "nonce")?, number(json, "gas")?);
    let (value, input): (U256, Bytes) = (field(json, "value")?, field(json, "input")?);
    let to = maybe::<Address>(json, "to")?.map_or(TxKind::Create, TxKind::Call);
    if kind == 0 {
        ensure!(maybe_number(json, "chainId")? == named, "chainId is not that of v: {json:#}");
        let transaction =
            TxLegacy { chain_id: named, nonce, gas_price: price(json, "gasPrice")?, gas_limit, to, value, input };
        return Ok(signed(transaction, signature));
    }
    let (chain_id, access_list) = (number(json, "chainId")?, field(json, "accessList")?);
    if kind == 1 {
        let gas_price = price(json, "gasPrice")?;
        let transaction = TxEip2930 { chain_id, nonce, gas_price, gas_limit, to, value, access_list, input };
        return Ok(signed(transaction, signature));
    }
    let max_fee_per_gas = price(json, "maxFeePerGas")?;
    let max_priority_fee_per_gas = price(json, "maxPriorityFeePerGas")?;
    Ok(match kind {
        2 => signed(
            TxEip1559 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas,
                max_priority_fee_per_gas,
                to,
                value,
                access_list,
                input,
            },
            signature,
        ),
        4 => signed(
            TxEip7702 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas,
                max_priority_fee_per_gas,
                to: field(json, "to")?,
                value,
                access_list,
                authorization_list: field(json, "authorizationList")?,
                input,
            },
            signature,
        ),
        other => bail!("no type of transactions: {other}"),
    })
}

/// The receipt that the fields make; its bloom is that of its logs.
fn receipt_of(json: &Value, transaction: &TxEnvelope) -> Result<ReceiptEnvelope> {
    let mut logs = Vec::new();
    for log in json["logs"].as_array().context("a receipt without a list of logs")? {
        let (address, topics, data) = (field(log, "address")?, field(log, "topics")?, field(log, "data")?);
        logs.push(Log::new(address, topics, data).context("a log with more than four topics")?);
    }
    let status = match number(json, "status")? {
        0 => Eip658Value::Eip658(false),
        1 => Eip658Value::Eip658(true),
        other => bail!("the status is {other}"),
    };
    let receipt = Receipt { status, cumulative_gas_used: number(json, "cumulativeGasUsed")?, logs };
    let receipt: ReceiptWithBloom<Receipt> = receipt.with_bloom();
    let told: Bloom = field(json, "logsBloom")?;
    ensure!(told == receipt.logs_bloom, "the bloom is not that of the logs: {json:#}");
    ensure!(number(json, "type")? == u64::from(u8::from(transaction.tx_type())), "another type: {json:#}");
    Ok(ReceiptEnvelope::from_typed(transaction.tx_type(), receipt))
}

/// One block, read back.
#[derive(Debug)]
struct ReadBlock<'a> {
    json: &'a Value,
    header: Header,
    transactions: Vec<TxEnvelope>,
    receipts: Vec<ReceiptEnvelope>,
}

/// Asks for a block and its receipts and checks everything in them that can be computed. Returns the hashes of its
/// transactions.
pub(crate) async fn recomputed(node: &Rpc, at: u64) -> Result<Vec<B256>> {
    let place = format!("{at:#x}");
    let json: Value = node.get("eth_getBlockByNumber", json!([place, true])).await?;
    let receipts: Vec<Value> = node.get("eth_getBlockReceipts", json!([place])).await?;
    let transactions: Vec<Value> = field(&json, "transactions")?;
    ensure!(transactions.len() == receipts.len(), "{} transactions, {} receipts", transactions.len(), receipts.len());
    let mut block =
        ReadBlock { json: &json, header: header_of(&json)?, transactions: Vec::new(), receipts: Vec::new() };
    let hash = block.header.hash_slow();
    ensure!(field::<B256>(&json, "hash")? == hash, "the hash of its header is {hash}");
    let mut logs_before = 0;
    for (told, receipt) in transactions.iter().zip(&receipts) {
        let index = block.transactions.len() as u64;
        let transaction = transaction_of(told)?;
        is_in_place(told, hash, at, index).with_context(|| format!("transaction {index}"))?;
        is_its_sender(told, &transaction)?;
        let before = block.receipts.last().map_or(0, ReceiptEnvelope::cumulative_gas_used);
        let read = receipt_of(receipt, &transaction)?;
        belongs_to(receipt, told, &transaction, &block.header)?;
        ensure!(number(receipt, "gasUsed")? == read.cumulative_gas_used() - before, "gasUsed: {receipt:#}");
        logs_are_in_place(receipt, hash, &block.header, logs_before)?;
        logs_before += read.logs().len() as u64;
        block.transactions.push(transaction);
        block.receipts.push(read);
    }
    block.commits_to_its_content()?;
    raw_forms(node, &place, &block).await?;
    Ok(block.transactions.iter().map(|transaction| *transaction.tx_hash()).collect())
}

/// Where a transaction says that it stands.
fn is_in_place(told: &Value, block: B256, at: u64, index: u64) -> Result<()> {
    ensure!(field::<B256>(told, "blockHash")? == block, "blockHash: {told:#}");
    ensure!(number(told, "blockNumber")? == at, "blockNumber: {told:#}");
    ensure!(number(told, "transactionIndex")? == index, "transactionIndex: {told:#}");
    Ok(())
}

/// Hash and sender follow from the signed bytes.
fn is_its_sender(told: &Value, transaction: &TxEnvelope) -> Result<()> {
    let hash = keccak256(transaction.encoded_2718());
    ensure!(field::<B256>(told, "hash")? == hash, "the hash of its bytes is {hash}: {told:#}");
    let sender = transaction.signature().recover_address_from_prehash(&transaction.signature_hash())?;
    ensure!(field::<Address>(told, "from")? == sender, "{sender} signed it: {told:#}");
    Ok(())
}

/// What a receipt says of its transaction.
fn belongs_to(receipt: &Value, told: &Value, transaction: &TxEnvelope, header: &Header) -> Result<()> {
    for (name, expected) in [
        ("transactionHash", &told["hash"]),
        ("transactionIndex", &told["transactionIndex"]),
        ("blockHash", &told["blockHash"]),
        ("blockNumber", &told["blockNumber"]),
        ("from", &told["from"]),
        ("to", &told["to"]),
    ] {
        ensure!(receipt[name] == *expected, "{name} is not that of the transaction, {expected}: {receipt:#}");
    }
    let price = transaction.effective_gas_price(header.base_fee_per_gas);
    ensure!(field::<U128>(receipt, "effectiveGasPrice")? == U128::from(price), "the price is {price}: {receipt:#}");
    let sender: Address = field(told, "from")?;
    let created = transaction.kind().is_create().then(|| sender.create(transaction.nonce()));
    ensure!(maybe::<Address>(receipt, "contractAddress")? == created, "it creates {created:?}: {receipt:#}");
    Ok(())
}

/// Where the logs say that they stand. They are counted over the whole block.
fn logs_are_in_place(receipt: &Value, block: B256, header: &Header, before: u64) -> Result<()> {
    let logs: Vec<Value> = field(receipt, "logs")?;
    for (log, index) in logs.iter().zip(before..) {
        ensure!(number(log, "logIndex")? == index, "logIndex {index} expected: {log:#}");
        ensure!(field::<B256>(log, "blockHash")? == block, "blockHash: {log:#}");
        ensure!(number(log, "blockNumber")? == header.number, "blockNumber: {log:#}");
        ensure!(number(log, "blockTimestamp")? == header.timestamp, "blockTimestamp: {log:#}");
        ensure!(log["transactionHash"] == receipt["transactionHash"], "transactionHash: {log:#}");
        ensure!(log["transactionIndex"] == receipt["transactionIndex"], "transactionIndex: {log:#}");
        ensure!(!field::<bool>(log, "removed")?, "removed: {log:#}");
    }
    Ok(())
}

impl ReadBlock<'_> {
    /// The header's roots, bloom and gas are those of what was read, and the size is that of all of it.
    fn commits_to_its_content(&self) -> Result<()> {
        let header = &self.header;
        let root = calculate_transaction_root(&self.transactions);
        ensure!(root == header.transactions_root, "transactions root {root}: {:#}", self.json);
        let root = calculate_receipt_root(&self.receipts);
        ensure!(root == header.receipts_root, "receipts root {root}: {:#}", self.json);
        let bloom = self.receipts.iter().fold(Bloom::ZERO, |all, receipt| all | *receipt.logs_bloom());
        ensure!(bloom == header.logs_bloom, "bloom {bloom}: {:#}", self.json);
        let gas = self.receipts.last().map_or(0, ReceiptEnvelope::cumulative_gas_used);
        ensure!(gas == header.gas_used, "gas {gas}: {:#}", self.json);
        let withdrawals: Option<Withdrawals> = maybe(self.json, "withdrawals")?;
        let root = withdrawals.as_ref().map(|withdrawals| calculate_withdrawals_root(withdrawals));
        ensure!(root == header.withdrawals_root, "withdrawals root {root:?}: {:#}", self.json);
        ensure!(self.json["uncles"] == json!([]), "uncles: {:#}", self.json);
        let size = self.encoded().len() as u64;
        ensure!(number(self.json, "size")? == size, "size {size}: {:#}", self.json);
        Ok(())
    }

    /// The block in Ethereum's form.
    fn encoded(&self) -> Vec<u8> {
        let withdrawals = self.header.withdrawals_root.map(|_| Withdrawals::default());
        let body = BlockBody { transactions: self.transactions.clone(), ommers: Vec::new(), withdrawals };
        let block: Block<TxEnvelope> = Block { header: self.header.clone(), body };
        let mut bytes = Vec::new();
        block.encode(&mut bytes);
        bytes
    }
}

/// What the node gives out as bytes is what its fields make.
async fn raw_forms(node: &Rpc, place: &str, block: &ReadBlock<'_>) -> Result<()> {
    let header: Bytes = node.get("debug_getRawHeader", json!([place])).await?;
    ensure!(header == alloy_rlp::encode(&block.header), "the raw header of {:#}", block.json);
    let whole: Bytes = node.get("debug_getRawBlock", json!([place])).await?;
    ensure!(whole == block.encoded(), "the raw block of {:#}", block.json);
    let receipts: Vec<Bytes> = node.get("debug_getRawReceipts", json!([place])).await?;
    let expected: Vec<Bytes> = block.receipts.iter().map(|receipt| receipt.encoded_2718().into()).collect();
    ensure!(receipts == expected, "the raw receipts of {:#}", block.json);
    for transaction in &block.transactions {
        let raw: Bytes = node.get("debug_getRawTransaction", json!([transaction.tx_hash()])).await?;
        ensure!(raw == transaction.encoded_2718(), "the raw transaction {}", transaction.tx_hash());
    }
    Ok(())
}

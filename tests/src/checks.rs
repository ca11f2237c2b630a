//! What must be true of every chain: all nodes have the same blocks and receipts, each transaction was executed
//! once, nobody is accused, and each block's header is what Ethereum's rules make of its content.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use alloy::{
    consensus::{
        BlockHeader, ReceiptEnvelope, TxEnvelope,
        proofs::{calculate_receipt_root, calculate_transaction_root},
    },
    primitives::{Address, B256, Bloom, Bytes, U64},
    providers::Provider,
};
use anyhow::{Context, Result, ensure};
use assent_consensus::Phase;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{rpc::Rpc, votes::Electorate, wait};

/// Calls in one batch.
const BATCH: usize = 100;

/// Checks that the nodes have the same block at every height up to the lowest of their heads, and returns
/// that height.
pub async fn same_chain(nodes: &[&Rpc]) -> Result<u64> {
    let mut lowest = u64::MAX;
    for node in nodes {
        lowest = lowest.min(node.block_number().await?);
    }
    let first = nodes.first().context("no node to compare")?;
    let reference = blocks(first, lowest).await?;
    for (number, pair) in reference.windows(2).enumerate() {
        ensure!(
            pair[1]["parentHash"] == pair[0]["hash"],
            "block {} of {} does not follow its parent",
            number + 1,
            first.url()
        );
    }
    for node in &nodes[1..] {
        for (expected, got) in reference.iter().zip(blocks(node, lowest).await?) {
            ensure!(*expected == got, "{} and {} differ in a block:\n{expected:#}\n{got:#}", first.url(), node.url());
        }
    }
    Ok(lowest)
}

/// Waits until all nodes have `more` blocks than the highest of them has now, and checks that they are the same there:
/// hash and state root. Returns the height.
pub async fn converge(nodes: &[&Rpc], more: u64, limit: Duration) -> Result<u64> {
    let mut target = 0;
    for node in nodes {
        target = target.max(node.block_number().await? + more);
    }
    let mut reference: Option<Value> = None;
    for node in nodes {
        wait::until_true(format!("{} has block {target}", node.url()), limit, async || {
            Ok::<_, anyhow::Error>(node.block_number().await? >= target)
        })
        .await?;
        let block = node.block(target).await?;
        let expected = reference.get_or_insert_with(|| block.clone());
        for field in ["hash", "stateRoot"] {
            ensure!(
                expected[field] == block[field],
                "{field} of block {target}: {} at {}, {} at {}",
                expected[field],
                nodes[0].url(),
                block[field],
                node.url()
            );
        }
    }
    Ok(target)
}

/// What of a transaction tells whether it was executed once.
#[derive(Debug, Deserialize)]
struct Executed {
    hash: B256,
    from: Address,
    nonce: U64,
}

/// The transactions of a chain.
#[derive(Debug, Default)]
struct Executions {
    hashes: BTreeSet<B256>,
    nonces: BTreeMap<Address, BTreeSet<u64>>,
}

impl Executions {
    /// Adds those of some blocks; none may be there already.
    async fn add(&mut self, node: &Rpc, numbers: impl Iterator<Item = u64>) -> Result<()> {
        let calls: Vec<(&str, Value)> =
            numbers.map(|number| ("eth_getBlockByNumber", json!([format!("{number:#x}"), true]))).collect();
        for block in all_found(node, &calls).await? {
            let transactions: Vec<Executed> = serde_json::from_value(block["transactions"].clone())?;
            for Executed { hash, from, nonce } in transactions {
                let nonce: u64 = nonce.to();
                ensure!(self.hashes.insert(hash), "{hash} was executed twice, again in block {}", block["number"]);
                let first = self.nonces.entry(from).or_default().insert(nonce);
                ensure!(first, "nonce {nonce} of {from} was used twice, again by {hash} in block {}", block["number"]);
            }
        }
        Ok(())
    }

    /// How many transactions of each sender there are. Their nonces have no gap.
    fn counts(&self) -> Result<BTreeMap<Address, u64>> {
        let mut counts = BTreeMap::new();
        for (sender, nonces) in &self.nonces {
            let count = nonces.len() as u64;
            ensure!(nonces.last().copied() == count.checked_sub(1), "nonces of {sender}: {nonces:?}");
            counts.insert(*sender, count);
        }
        Ok(counts)
    }
}

/// Checks that each sender's nonces were executed once and in order, that the state counts as many, and that
/// everything in `sent` is in the chain. Returns the number of transactions.
pub async fn executed_once(node: &Rpc, sent: &[B256]) -> Result<usize> {
    let mut executions = Executions::default();
    let before = node.block_number().await?;
    executions.add(node, 0..=before).await?;
    let least = executions.counts()?;
    let mut nonces = BTreeMap::new();
    for sender in least.keys() {
        nonces.insert(*sender, node.nonce(*sender).await?);
    }
    // What was executed while we looked.
    let after = node.block_number().await?;
    executions.add(node, before + 1..=after).await?;
    let most = executions.counts()?;
    for (sender, nonce) in nonces {
        let range = least.get(&sender).copied().unwrap_or(0)..=most.get(&sender).copied().unwrap_or(0);
        ensure!(range.contains(&nonce), "{sender} has nonce {nonce}, its transactions in the chain are {range:?}");
    }
    if let Some(lost) = sent.iter().find(|hash| !executions.hashes.contains(*hash)) {
        anyhow::bail!("{lost} was accepted and is in no block up to {after}");
    }
    Ok(executions.hashes.len())
}

/// Checks that no block up to the head carries evidence against a validator.
pub async fn nobody_is_accused(node: &Rpc) -> Result<()> {
    let head = node.block_number().await?;
    let calls: Vec<(&str, Value)> =
        (1..=head).map(|number| ("assent_getSeal", json!([format!("{number:#x}")]))).collect();
    for (number, seal) in (1..=head).zip(all_found(node, &calls).await?) {
        ensure!(seal["evidence"] == json!([]), "block {number} accuses somebody: {seal:#}");
    }
    Ok(())
}

/// All blocks up to `last`, as the node shows them without transactions.
async fn blocks(node: &Rpc, last: u64) -> Result<Vec<Value>> {
    let numbers: Vec<u64> = (0..=last).collect();
    let calls: Vec<(&str, Value)> =
        numbers.iter().map(|number| ("eth_getBlockByNumber", json!([format!("{number:#x}"), false]))).collect();
    all_found(node, &calls).await
}

/// Checks that every node has the same receipt for each of these transactions, and returns the receipts.
pub async fn same_receipts(nodes: &[&Rpc], transactions: &[B256]) -> Result<Vec<Value>> {
    let calls: Vec<(&str, Value)> =
        transactions.iter().map(|hash| ("eth_getTransactionReceipt", json!([hash]))).collect();
    let first = nodes.first().context("no node to compare")?;
    let reference = all_found(first, &calls).await?;
    for node in &nodes[1..] {
        for (expected, got) in reference.iter().zip(all_found(node, &calls).await?) {
            ensure!(*expected == got, "{} and {} differ in a receipt:\n{expected:#}\n{got:#}", first.url(), node.url());
        }
    }
    Ok(reference)
}

/// Makes the calls in batches; every result must be there and not null.
async fn all_found(node: &Rpc, calls: &[(&str, Value)]) -> Result<Vec<Value>> {
    let mut found = Vec::with_capacity(calls.len());
    for part in calls.chunks(BATCH) {
        for ((method, params), result) in part.iter().zip(node.batch(part).await?) {
            let value = result.with_context(|| format!("{method} {params} at {}", node.url()))?;
            ensure!(!value.is_null(), "{method} {params} at {} found nothing", node.url());
            found.push(value);
        }
    }
    Ok(found)
}

/// Recomputes what the header of a block commits to from the node's answers: the block's own hash, the
/// root of its transactions, and the root, bloom and gas of their receipts.
pub async fn header_is_true(node: &Rpc, number: u64) -> Result<()> {
    let provider = node.provider();
    let block = provider
        .get_block_by_number(number.into())
        .full()
        .await?
        .with_context(|| format!("{} has no block {number}", node.url()))?;
    let header = &block.header;
    ensure!(
        header.inner.hash_slow() == header.hash,
        "block {number} is said to be {}, its header's hash is {}",
        header.hash,
        header.inner.hash_slow()
    );
    let transactions: Vec<TxEnvelope> =
        block.transactions.txns().map(|transaction| transaction.inner.inner().clone()).collect();
    let root = calculate_transaction_root(&transactions);
    ensure!(
        root == header.transactions_root(),
        "block {number}: transactions root {} in the header, {root} of its transactions",
        header.transactions_root()
    );
    let mut receipts: Vec<ReceiptEnvelope> = Vec::new();
    for transaction in &transactions {
        let receipt = provider
            .get_transaction_receipt(*transaction.tx_hash())
            .await?
            .with_context(|| format!("no receipt of {}", transaction.tx_hash()))?;
        receipts.push(receipt.into_primitives_receipt().inner);
    }
    let root = calculate_receipt_root(&receipts);
    ensure!(
        root == header.receipts_root(),
        "block {number}: receipts root {} in the header, {root} of its receipts",
        header.receipts_root()
    );
    let bloom = receipts.iter().fold(Bloom::ZERO, |all, receipt| all | *receipt.logs_bloom());
    ensure!(bloom == header.logs_bloom(), "block {number}: the bloom in the header is not that of its receipts");
    let gas = receipts.last().map_or(0, |last| last.cumulative_gas_used());
    ensure!(gas == header.gas_used(), "block {number}: gas {} in the header, {gas} of its receipts", header.gas_used());
    Ok(())
}

/// Checks the certificate that makes a block final, with nothing but the genesis file: a quorum signed Commit
/// for the block or for one of its descendants.
pub async fn certificate_is_true(node: &Rpc, number: u64, electorate: &Electorate) -> Result<()> {
    let told: Value = node.get("assent_getCertificate", json!([format!("{number:#x}")])).await?;
    let raw: Bytes = serde_json::from_value(told["raw"].clone()).with_context(|| format!("block {number}: {told}"))?;
    let certificate = electorate.verify(&raw).with_context(|| format!("block {number}: {told}"))?;
    ensure!(certificate.phase == Phase::Commit, "block {number}: {told}");
    let certified = told["number"].as_u64().context("no number")?;
    ensure!(certified >= number, "block {number}: {told}");
    let block = node.block(certified).await?;
    ensure!(
        block["hash"] == json!(B256::from(certificate.block.0)),
        "the certificate is for {}, block {certified} is {}",
        certificate.block,
        block["hash"]
    );
    Ok(())
}

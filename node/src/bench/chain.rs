//! What the load client asks a chain before and after the run: fees, nonces, balances, receipts.
//!
//! Plain Ethereum JSON-RPC, in batches.

use std::time::Duration;

use alloy_primitives::{Address, B256, U64, U256, hex};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, de::DeserializeOwned};

use super::account::Terms;
use crate::jsonrpc::{Batch, CallError, JsonRpc};

/// Calls in one request. Public limits of nodes begin at this.
pub(super) const CALLS_PER_BATCH: usize = 100;

/// Room for a base fee that rises while the run lasts, as a factor.
const BASE_FEE_ROOM: u128 = 10;

/// Time between two looks at a receipt that is not there yet.
const RECEIPT_POLL: Duration = Duration::from_millis(50);

/// The parts of a block that the client reads.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Block {
    pub(super) number: U64,
    pub(super) hash: B256,
    pub(super) transactions: Vec<B256>,
    pub(super) base_fee_per_gas: Option<U256>,
}

/// The parts of a receipt that the client reads.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Receipt {
    pub(super) status: U64,
    pub(super) block_number: U64,
}

/// The block with this number, `None` while there is none.
pub(super) async fn block(node: &JsonRpc, number: u64) -> Result<Option<Block>, CallError> {
    let number = U64::from(number);
    node.call("eth_getBlockByNumber", (number, false)).await
}

/// The number of the last block.
pub(super) async fn head(node: &JsonRpc) -> Result<u64, CallError> {
    let number: U64 = node.call("eth_blockNumber", NONE).await?;
    Ok(number.to())
}

/// The chain's id.
pub(super) async fn chain_id(node: &JsonRpc) -> Result<u64, CallError> {
    let id: U64 = node.call("eth_chainId", NONE).await?;
    Ok(id.to())
}

/// What the node calls itself; empty when it does not say.
pub(super) async fn client_version(node: &JsonRpc) -> String {
    let answer = node.call("web3_clientVersion", NONE).await;
    answer.unwrap_or_default()
}

const NONE: [(); 0] = [];

/// Prices that get a transaction into a block for the whole run.
pub(super) async fn terms(node: &JsonRpc, chain_id: u64, legacy: bool) -> Result<Terms> {
    let latest: Option<Block> = node.call("eth_getBlockByNumber", ("latest", false)).await?;
    let latest = latest.context("the node has no block yet: wait until it has one")?;
    let price: U256 = node.call("eth_gasPrice", NONE).await?;
    let price = saturated(price);
    let base = saturated(latest.base_fee_per_gas.unwrap_or_default());
    if legacy || latest.base_fee_per_gas.is_none() {
        return Ok(Terms {
            chain_id,
            legacy: true,
            max_fee: price.max(base.saturating_mul(BASE_FEE_ROOM)),
            priority_fee: 0,
        });
    }
    let tip = node.call("eth_maxPriorityFeePerGas", NONE).await;
    let priority_fee = match tip {
        Ok(tip) => saturated(tip),
        Err(CallError::Refused { .. }) => price.saturating_sub(base),
        Err(error) => return Err(error.into()),
    };
    Ok(Terms {
        chain_id,
        legacy: false,
        max_fee: base.saturating_mul(BASE_FEE_ROOM).saturating_add(priority_fee),
        priority_fee,
    })
}

fn saturated(amount: U256) -> u128 {
    amount.saturating_to()
}

/// The next nonce of each address, transactions that wait counted.
pub(super) async fn nonces(node: &JsonRpc, addresses: &[Address]) -> Result<Vec<u64>> {
    let params = addresses.iter().map(|a| format!(r#"["{a}","pending"]"#));
    let nonces: Vec<U64> = in_batches(node, "eth_getTransactionCount", params).await?;
    Ok(nonces.into_iter().map(|nonce| nonce.to()).collect())
}

/// What each address owns.
pub(super) async fn balances(node: &JsonRpc, addresses: &[Address]) -> Result<Vec<U256>> {
    let params = addresses.iter().map(|a| format!(r#"["{a}","latest"]"#));
    in_batches(node, "eth_getBalance", params).await
}

/// The receipts of these transactions; `None` where there is none.
pub(super) async fn receipts(node: &JsonRpc, hashes: impl IntoIterator<Item = B256>) -> Result<Vec<Option<Receipt>>> {
    let params = hashes.into_iter().map(|hash| format!(r#"["{hash}"]"#));
    in_batches(node, "eth_getTransactionReceipt", params).await
}

/// Calls `method` once per parameters, in batches, and expects results without exception.
async fn in_batches<T: DeserializeOwned>(
    node: &JsonRpc,
    method: &'static str,
    params: impl IntoIterator<Item = String>,
) -> Result<Vec<T>> {
    let mut results = Vec::new();
    let mut params = params.into_iter().peekable();
    while params.peek().is_some() {
        let mut batch = Batch::default();
        for params in params.by_ref().take(CALLS_PER_BATCH) {
            batch.push(method, &params);
        }
        for answer in node.batch(batch).await? {
            results.push(answer.with_context(|| format!("{}: {method}", node.url()))?);
        }
    }
    Ok(results)
}

/// The parameters of `eth_sendRawTransaction`.
pub(super) fn raw_params(raw: &[u8]) -> String {
    format!(r#"["{}"]"#, hex::encode_prefixed(raw))
}

/// Sends transactions in order and waits until all are in blocks. Returns the highest such block.
pub(super) async fn settle(node: &JsonRpc, transactions: &[super::account::Signed], patience: Duration) -> Result<u64> {
    let params = transactions.iter().map(|signed| raw_params(&signed.raw));
    let _: Vec<B256> = in_batches(node, "eth_sendRawTransaction", params).await?;
    let deadline = tokio::time::Instant::now() + patience;
    let mut waiting: Vec<B256> = transactions.iter().map(|signed| signed.hash).collect();
    let mut highest = 0;
    while !waiting.is_empty() {
        let found = receipts(node, waiting.iter().copied()).await?;
        let mut missing = Vec::new();
        for (hash, receipt) in waiting.into_iter().zip(found) {
            match receipt {
                None => missing.push(hash),
                Some(receipt) if receipt.status != U64::from(1) => {
                    bail!("the transfer {hash} failed: its receipt has status 0");
                }
                Some(receipt) => highest = highest.max(receipt.block_number.to()),
            }
        }
        waiting = missing;
        if !waiting.is_empty() {
            if tokio::time::Instant::now() > deadline {
                bail!(
                    "{} of {} transfers are in no block after {patience:?}: does the chain make blocks? \
                     Look with: assent status --rpc {}",
                    waiting.len(),
                    transactions.len(),
                    node.url()
                );
            }
            tokio::time::sleep(RECEIPT_POLL).await;
        }
    }
    Ok(highest)
}

/// Waits until `node` serves block `number`.
pub(super) async fn wait_for_block(node: &JsonRpc, number: u64, patience: Duration) -> Result<()> {
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        let head = head(node).await?;
        if head >= number {
            return Ok(());
        }
        if tokio::time::Instant::now() > deadline {
            bail!("{} stands at block {head} and does not reach block {number}: is it syncing?", node.url());
        }
        tokio::time::sleep(RECEIPT_POLL).await;
    }
}

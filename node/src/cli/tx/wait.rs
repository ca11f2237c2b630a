//! Waiting until a transaction is final.

use std::time::Duration;

use alloy_primitives::B256;
use alloy_rpc_types_eth::TransactionReceipt;
use anyhow::{Result, anyhow, bail};
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    cli::status::explain,
    jsonrpc::{CallError, JsonRpc},
};

/// The shortest and the longest time between two looks.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));

/// A pause is this part of the time that has passed: what is measured is right to some percent.
const PAUSE_SHARE: u32 = 20;

/// Looks until the receipt is there; with Assent it is there when the transaction is final. Gives up `limit` after
/// `start`.
pub(super) async fn until_final(
    node: &JsonRpc,
    hash: B256,
    start: Instant,
    limit: Duration,
) -> Result<TransactionReceipt> {
    let mut answered = false;
    loop {
        let answer = node.call::<Option<TransactionReceipt>>("eth_getTransactionReceipt", [hash]).await;
        let passed = start.elapsed();
        match answer {
            Ok(Some(receipt)) => return Ok(receipt),
            Ok(None) if passed >= limit => return Err(not_final(node, hash, limit).await),
            Ok(None) => answered = true,
            // A node that has answered before may be restarting.
            Err(CallError::Unreachable { .. }) if answered && passed < limit => {}
            Err(error) => return Err(explain(node, error)),
        }
        tokio::time::sleep((passed / PAUSE_SHARE).clamp(PAUSES.0, PAUSES.1)).await;
    }
}

/// What is known of a transaction that did not become final.
async fn not_final(node: &JsonRpc, hash: B256, limit: Duration) -> anyhow::Error {
    let known: Result<Option<Value>, CallError> = node.call("eth_getTransactionByHash", [hash]).await;
    let limit = humantime::format_duration(limit);
    let url = node.url();
    match known {
        Err(error) => explain(node, error),
        Ok(Some(_)) => anyhow!(
            "{hash} is not final after {limit}: it waits in the mempool of {url}. Are blocks made (assent status --rpc \
             {url})? Is a transaction with a lower nonce missing? assent tx wait {hash} waits on"
        ),
        Ok(None) => anyhow!(
            "{hash} is not final after {limit}, and {url} does not know it: it was never sent there, or it was dropped \
             from the mempool"
        ),
    }
}

/// Reads a length of time such as 60s.
pub(super) fn parse_limit(text: &str) -> Result<Duration> {
    match humantime::parse_duration(text) {
        Ok(limit) => Ok(limit),
        Err(_) => bail!("expected a time with its unit such as 60s or 5min, got \"{text}\""),
    }
}

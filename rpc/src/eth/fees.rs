//! What gas costs: `eth_gasPrice`, `eth_maxPriorityFeePerGas`, `eth_feeHistory`.
//!
//! The suggestions are the least that the network takes, not what others have paid: wallets that
//! add a tip by habit must not drive up the price of a chain whose gas is free.

use alloy_consensus::Transaction as _;
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::U256;
use alloy_rpc_types_eth::FeeHistory;
use assent_chain::transaction::Recovered;
use serde_json::Value;

use crate::{
    errors::CallError,
    eth::reader::{FullBlock, Reader, SearchTime},
    limits::{MAX_FEE_HISTORY_BLOCKS, MAX_FEE_HISTORY_PERCENTILES, MAX_REWARD_HISTORY_BLOCKS},
    methods::Api,
    params::{self, Args, invalid},
};

/// `eth_gasPrice`
pub(crate) fn gas_price(api: &Api, _: &Args) -> Result<U256, CallError> {
    let fees = &api.backend.genesis.assent.fees;
    Ok(U256::from(fees.base_fee.max(fees.min_gas_price)))
}

/// `eth_blobBaseFee`: the least that there is; blobs are refused.
pub(crate) fn blob_base_fee(_: &Api, _: &Args) -> Result<U256, CallError> {
    Ok(U256::ONE)
}

/// `eth_baseFee`: that of the next block, which is the genesis', always.
pub(crate) fn base_fee(api: &Api, _: &Args) -> Result<U256, CallError> {
    Ok(U256::from(api.backend.genesis.assent.fees.base_fee))
}

/// The least tip with which a transaction is taken.
pub(crate) fn suggested_tip(api: &Api) -> u64 {
    let fees = &api.backend.genesis.assent.fees;
    fees.min_gas_price.saturating_sub(fees.base_fee)
}

/// `eth_maxPriorityFeePerGas`
pub(crate) fn max_priority_fee_per_gas(api: &Api, _: &Args) -> Result<U256, CallError> {
    Ok(U256::from(suggested_tip(api)))
}

/// `eth_feeHistory`
pub(crate) fn fee_history(api: &Api, args: &Args) -> Result<FeeHistory, CallError> {
    let count = args.required(0, "blockCount", block_count)?;
    let newest = args.required(1, "newestBlock", params::block_number)?;
    let percentiles = args.optional(2, "rewardPercentiles", percentiles)?.unwrap_or_default();
    let most = if percentiles.is_empty() { MAX_FEE_HISTORY_BLOCKS } else { MAX_REWARD_HISTORY_BLOCKS };
    let count = count.min(most);
    let (reader, time) = (Reader::new(api), SearchTime::start(api));
    let head = reader.head_number();
    let newest = match newest {
        BlockNumberOrTag::Number(number) => number,
        BlockNumberOrTag::Earliest => 0,
        _ => head,
    };
    if newest > head {
        let message = format!("request beyond head block: requested {newest}, head {head}");
        return Err(CallError::InvalidParams(message));
    }
    if count == 0 {
        return Ok(FeeHistory::default());
    }
    let oldest = newest.saturating_sub(count - 1);
    let mut history = FeeHistory { oldest_block: oldest, ..FeeHistory::default() };
    let mut rewards = Vec::new();
    for number in oldest..=newest {
        time.check()?;
        let header = reader.known_header(number)?.header;
        history.base_fee_per_gas.push(header.base_fee_per_gas.unwrap_or_default().into());
        history.gas_used_ratio.push(ratio(header.gas_used, header.gas_limit));
        // Nobody uses blob gas, so it costs the least since there is some.
        history.base_fee_per_blob_gas.push(header.excess_blob_gas.map_or(0, |_| 1));
        history.blob_gas_used_ratio.push(0.0);
        if !percentiles.is_empty() {
            rewards.push(block_rewards(&reader.known_block(number)?, &percentiles));
        }
    }
    // The rule for the base fee of the next block: it is the genesis', always.
    history.base_fee_per_gas.push(api.backend.genesis.assent.fees.base_fee.into());
    let blob_gas = history.base_fee_per_blob_gas.last().copied();
    history.base_fee_per_blob_gas.extend(blob_gas);
    history.reward = (!percentiles.is_empty()).then_some(rewards);
    Ok(history)
}

fn ratio(used: u64, limit: u64) -> f64 {
    if limit == 0 { 0.0 } else { used as f64 / limit as f64 }
}

/// What was paid above the base fee at each percentile of the block's gas, by Geth's rule: the
/// transactions in the order of their tips, each as wide as its gas.
fn block_rewards(block: &FullBlock, percentiles: &[f64]) -> Vec<u128> {
    let header = block.header();
    let base_fee = header.base_fee_per_gas.unwrap_or_default();
    let tip = |tx: &Recovered| tx.tx().effective_tip_per_gas(base_fee).unwrap_or_default();
    let transactions = block.transactions().iter().zip(block.receipts());
    let mut paid: Vec<_> = transactions.map(|(tx, receipt)| (tip(tx), receipt.gas_used)).collect();
    paid.sort_unstable();
    rewards(&paid, header.gas_used, percentiles)
}

fn rewards(paid: &[(u128, u64)], gas_used: u64, percentiles: &[f64]) -> Vec<u128> {
    let Some((mut tip, mut reached)) = paid.first().copied() else {
        return vec![0; percentiles.len()];
    };
    let mut rest = paid.iter().skip(1);
    let at = |percentile: &f64| {
        let threshold = (gas_used as f64 * percentile / 100.0) as u64;
        while reached < threshold {
            let Some((next, gas)) = rest.next() else { break };
            tip = *next;
            reached += gas;
        }
        tip
    };
    percentiles.iter().map(at).collect()
}

/// A number of blocks: also as a decimal string, which Geth takes here and some clients send.
fn block_count(what: &str, value: &Value) -> Result<u64, CallError> {
    match value.as_str().map(str::parse) {
        Some(Ok(count)) => Ok(count),
        _ => params::u64(what, value),
    }
}

fn percentiles(what: &str, value: &Value) -> Result<Vec<f64>, CallError> {
    let expected = "an ascending array of numbers from 0 to 100";
    let list = value.as_array().ok_or_else(|| invalid(what, expected, value))?;
    if list.len() > MAX_FEE_HISTORY_PERCENTILES {
        let message = format!("{what}: at most {MAX_FEE_HISTORY_PERCENTILES} percentiles, got {}", list.len());
        return Err(CallError::InvalidParams(message));
    }
    let numbers: Option<Vec<f64>> = list.iter().map(Value::as_f64).collect();
    numbers
        .filter(|numbers| numbers.iter().all(|number| (0.0..=100.0).contains(number)) && numbers.is_sorted())
        .ok_or_else(|| invalid(what, expected, value))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn rewards_are_weighed_by_gas() {
        let paid = [(1, 10), (2, 40), (5, 50)];
        assert_eq!(rewards(&paid, 100, &[0.0, 10.0, 11.0, 50.0, 51.0, 100.0]), [1, 1, 2, 2, 5, 5]);
        assert_eq!(rewards(&[], 0, &[1.0, 99.0]), [0, 0]);
    }

    #[test]
    fn percentiles_ascend_from_0_to_100() {
        assert_eq!(percentiles("p", &json!([0, 20.5, 20.5, 100])).unwrap(), [0.0, 20.5, 20.5, 100.0]);
        for wrong in [json!([2, 1]), json!([-1]), json!([101]), json!(["1"]), json!(5), json!(vec![1; 101])] {
            assert!(percentiles("p", &wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn counts_are_hex_numbers_or_decimal_strings() {
        for value in [json!("0xa"), json!(10), json!("10")] {
            assert_eq!(block_count("n", &value), Ok(10));
        }
        assert!(block_count("n", &json!("ten")).is_err());
    }
}

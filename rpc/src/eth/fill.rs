//! Transactions that somebody else signs: `eth_fillTransaction`, and what Geth answers for accounts that it has no key of.

use alloy_consensus::transaction::Recovered as WithSender;
use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, Bytes};
use alloy_rpc_types_eth as rpc;
use assent_chain::{
    execution::{self, CallRequest, Overrides},
    transaction::{SignedTransaction, Transaction},
};
use serde::Serialize;

use crate::{
    errors::CallError,
    eth::{blocks::RpcTransaction, call, fees, reader::Reader},
    methods::Api,
    params::{self, Args},
};

/// A transaction that lacks nothing but a signature.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Filled {
    /// Its bytes, with a signature of zeros.
    raw: Bytes,
    tx: RpcTransaction,
}

fn refuse<T>(text: impl Into<String>) -> Result<T, CallError> {
    Err(CallError::Refused(text.into()))
}

/// `eth_fillTransaction`: nonce, fees and gas limit as a wallet would choose them.
pub(crate) fn fill_transaction(api: &Api, args: &Args) -> Result<Filled, CallError> {
    let mut request = call::request(api, args, 0)?;
    fill_fees(api, &mut request)?;
    if request.to.is_none() && request.input.is_empty() {
        return refuse("contract creation without any data provided");
    }
    let nonce = match request.nonce {
        Some(nonce) => nonce,
        None => Reader::new(api).pending_nonce(&request.from)?,
    };
    let gas = match request.gas {
        Some(gas) => gas,
        None => call::estimate(api, &request, BlockId::latest(), &Overrides::default())?,
    };
    let Some(tx) = execution::unsigned(&request, api.backend.genesis.chain_id(), nonce, gas) else {
        return refuse("EIP-7702 transaction cannot be used to create contract");
    };
    let raw = SignedTransaction::encode(&tx).map_err(|error| CallError::Refused(error.to_string()))?.raw().clone();
    Ok(Filled { raw, tx: rpc_unsigned(tx, request.from) })
}

/// Fills in the fees that the network takes. Geth refuses fees of zero; here they may suffice.
fn fill_fees(api: &Api, request: &mut CallRequest) -> Result<(), CallError> {
    if request.gas_price.is_some() {
        return Ok(());
    }
    let tip = request.max_priority_fee_per_gas.unwrap_or(fees::suggested_tip(api).into());
    let base_fee = u128::from(api.backend.genesis.assent.fees.base_fee);
    // Geth's slack for a base fee that rises, which it does not do here; wallets show the same price everywhere.
    let most = request.max_fee_per_gas.unwrap_or(tip.saturating_add(base_fee.saturating_mul(2)));
    if most < tip {
        return refuse(format!("maxFeePerGas ({most:#x}) < maxPriorityFeePerGas ({tip:#x})"));
    }
    (request.max_fee_per_gas, request.max_priority_fee_per_gas) = (Some(most), Some(tip));
    Ok(())
}

fn rpc_unsigned(tx: Transaction, from: Address) -> RpcTransaction {
    let price = alloy_consensus::Transaction::max_fee_per_gas(&tx);
    rpc::Transaction {
        inner: WithSender::new_unchecked(tx, from),
        block_hash: None,
        block_number: None,
        transaction_index: None,
        effective_gas_price: Some(price),
        block_timestamp: None,
    }
}

/// The node holds no keys of its users.
fn unknown_account<T>() -> Result<T, CallError> {
    refuse("unknown account")
}

/// `eth_sign`
pub(crate) fn sign(_: &Api, args: &Args) -> Result<Bytes, CallError> {
    args.required(0, "address", params::address)?;
    args.required(1, "message", params::bytes)?;
    unknown_account()
}

/// `eth_sendTransaction`
pub(crate) fn send_transaction(api: &Api, args: &Args) -> Result<B256, CallError> {
    call::request(api, args, 0)?;
    unknown_account()
}

/// `eth_signTransaction`
pub(crate) fn sign_transaction(api: &Api, args: &Args) -> Result<Filled, CallError> {
    let request = call::request(api, args, 0)?;
    if request.gas.is_none() {
        return refuse("gas not specified");
    }
    let dynamic = request.max_fee_per_gas.is_some() && request.max_priority_fee_per_gas.is_some();
    if request.gas_price.is_none() && !dynamic {
        return refuse("missing gasPrice or maxFeePerGas/maxPriorityFeePerGas");
    }
    if request.nonce.is_none() {
        return refuse("nonce not specified");
    }
    unknown_account()
}

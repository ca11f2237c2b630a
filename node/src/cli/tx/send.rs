//! Making a transaction: what the command line leaves open is asked of the node, then it is signed here.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U64, U256};
use alloy_rpc_types_eth::Header;
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use anyhow::{Context, Result, anyhow};
use serde::Serialize;

use super::SendArgs;
use crate::{
    cli::{UsageError, amount::Amount, status::explain},
    jsonrpc::{CallError, JsonRpc},
};

/// What to send, complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) chain_id: u64,
    pub(super) from: Address,
    pub(super) to: TxKind,
    pub(super) value: U256,
    pub(super) data: Bytes,
    pub(super) nonce: u64,
    pub(super) gas: u64,
    pub(super) price: Price,
}

/// What is paid for gas, in wei.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Price {
    Legacy { price: u128 },
    FeeMarket { max_fee: u128, tip: u128 },
}

/// A signed transaction.
#[derive(Debug)]
pub(super) struct Signed {
    pub(super) raw: Bytes,
    pub(super) hash: B256,
}

/// The parameters of `eth_estimateGas`.
#[derive(Serialize)]
struct Estimate<'a> {
    from: Address,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'a Address>,
    value: U256,
    data: &'a Bytes,
}

impl Plan {
    /// Completes what the arguments say.
    pub(super) async fn make(node: &JsonRpc, args: &SendArgs, from: Address) -> Result<Self> {
        let ask = |error| explain(node, error);
        let chain_id: U64 = node.call("eth_chainId", [(); 0]).await.map_err(ask)?;
        let nonce = match args.nonce {
            Some(nonce) => nonce,
            // After those that wait.
            None => node.call::<U64>("eth_getTransactionCount", (from, "pending")).await.map_err(ask)?.to(),
        };
        let price = price(node, args).await?;
        let to = args.to.map_or(TxKind::Create, TxKind::Call);
        let (value, data) = (args.value.0, args.data.clone().unwrap_or_default());
        let gas = match args.gas {
            Some(gas) => gas,
            None => {
                let call = Estimate { from, to: to.to(), value, data: &data };
                node.call::<U64>("eth_estimateGas", [call]).await.map_err(|error| explain_estimate(node, error))?.to()
            }
        };
        Ok(Self { chain_id: chain_id.to(), from, to, value, data, nonce, gas, price })
    }

    /// Signs it.
    pub(super) fn sign(&self, key: &PrivateKeySigner) -> Result<Signed> {
        let Self { chain_id, to, value, nonce, gas, .. } = *self;
        let input = self.data.clone();
        match self.price {
            Price::Legacy { price } => sign(
                key,
                TxLegacy { chain_id: Some(chain_id), nonce, gas_price: price, gas_limit: gas, to, value, input },
            ),
            Price::FeeMarket { max_fee, tip } => sign(
                key,
                TxEip1559 {
                    chain_id,
                    nonce,
                    gas_limit: gas,
                    max_fee_per_gas: max_fee,
                    max_priority_fee_per_gas: tip,
                    to,
                    value,
                    access_list: Default::default(),
                    input,
                },
            ),
        }
    }
}

fn sign<T: SignableTransaction<Signature>>(key: &PrivateKeySigner, transaction: T) -> Result<Signed>
where
    TxEnvelope: From<alloy_consensus::Signed<T>>,
{
    let signature = key.sign_hash_sync(&transaction.signature_hash()).context("cannot sign")?;
    let envelope = TxEnvelope::from(transaction.into_signed(signature));
    Ok(Signed { raw: envelope.encoded_2718().into(), hash: *envelope.tx_hash() })
}

/// The price that the arguments say, or one that the network takes.
async fn price(node: &JsonRpc, args: &SendArgs) -> Result<Price> {
    let ask = |error| explain(node, error);
    if args.legacy {
        let price = match args.gas_price {
            Some(price) => price.0,
            None => node.call("eth_gasPrice", [(); 0]).await.map_err(ask)?,
        };
        return Ok(Price::Legacy { price: narrow(price, "--gas-price")? });
    }
    let tip = match args.priority_fee {
        Some(tip) => tip.0,
        None => node.call("eth_maxPriorityFeePerGas", [(); 0]).await.map_err(ask)?,
    };
    let max_fee = match args.max_fee {
        Some(Amount(max_fee)) => max_fee,
        None => {
            let latest: Option<Header> = node.call("eth_getBlockByNumber", ("latest", false)).await.map_err(ask)?;
            let base = latest.and_then(|header| header.base_fee_per_gas).unwrap_or_default();
            // Room for a base fee that doubles.
            U256::from(base).saturating_mul(U256::from(2)).saturating_add(tip)
        }
    };
    if max_fee < tip {
        return Err(UsageError(format!(
            "--max-fee ({max_fee} wei) is below the tip ({tip} wei): raise it, or lower --priority-fee"
        ))
        .into());
    }
    Ok(Price::FeeMarket { max_fee: narrow(max_fee, "--max-fee")?, tip: narrow(tip, "--priority-fee")? })
}

fn narrow(wei: U256, what: &str) -> Result<u128> {
    u128::try_from(wei).map_err(|_| UsageError(format!("{what}: {wei} wei per gas is more than anybody has")).into())
}

/// An estimate that fails says that the transaction would.
fn explain_estimate(node: &JsonRpc, error: CallError) -> anyhow::Error {
    match error {
        CallError::Refused { error, .. } => {
            anyhow!("the transaction would fail: {error}. Nothing was sent. With --gas N it is sent all the same")
        }
        error => explain(node, error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use alloy_consensus::{Transaction as _, transaction::SignerRecoverable};
    use alloy_eips::eip2718::Decodable2718;

    use super::*;

    #[test]
    fn what_is_signed_is_what_was_planned() {
        let key = PrivateKeySigner::from_bytes(&B256::repeat_byte(0x11)).unwrap();
        let to = Address::repeat_byte(1);
        for (price, to) in [
            (Price::Legacy { price: 7 }, TxKind::Call(to)),
            (Price::FeeMarket { max_fee: 7, tip: 3 }, TxKind::Call(to)),
            (Price::FeeMarket { max_fee: 0, tip: 0 }, TxKind::Create),
        ] {
            let plan = Plan {
                chain_id: 31337,
                from: key.address(),
                to,
                value: U256::from(5),
                data: Bytes::from_static(&[1, 2]),
                nonce: 9,
                gas: 50_000,
                price,
            };
            let signed = plan.sign(&key).unwrap();
            let decoded = TxEnvelope::decode_2718_exact(&signed.raw).unwrap();
            assert_eq!(*decoded.tx_hash(), signed.hash);
            assert_eq!(decoded.recover_signer().unwrap(), plan.from);
            assert_eq!((decoded.chain_id(), decoded.nonce(), decoded.gas_limit()), (Some(31337), 9, 50_000));
            assert_eq!((decoded.kind(), decoded.value(), decoded.input()), (to, plan.value, &plan.data));
            assert_eq!(decoded.is_legacy(), matches!(price, Price::Legacy { .. }));
            assert_eq!(decoded.max_fee_per_gas(), if to.is_create() { 0 } else { 7 });
        }
    }
}

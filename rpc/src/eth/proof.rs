//! `eth_getProof` (EIP-1186): an account and its storage with the nodes of the tries that prove them.

use alloy_primitives::{Address, B256, Bytes, U64, U256};
use serde::Serialize;
use serde_json::Value;

use crate::{
    errors::CallError,
    eth::reader::Reader,
    limits::MAX_PROOF_SLOTS,
    methods::Api,
    params::{self, Args, invalid},
};

/// A proof as clients see it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RpcProof {
    address: Address,
    account_proof: Vec<Bytes>,
    balance: U256,
    code_hash: B256,
    nonce: U64,
    storage_hash: B256,
    storage_proof: Vec<RpcSlotProof>,
}

#[derive(Clone, Debug, Serialize)]
struct RpcSlotProof {
    /// As the client wrote it: 32 bytes as such, anything shorter as a quantity (Geth's rule).
    key: String,
    value: U256,
    proof: Vec<Bytes>,
}

/// A storage position and how the answer names it.
fn key(what: &str, value: &Value) -> Result<(B256, String), CallError> {
    let slot = params::slot(what, value)?;
    let whole = value.as_str().is_some_and(|text| text.len() == 2 + 2 * B256::len_bytes());
    let key = B256::from(slot);
    Ok((key, if whole { key.to_string() } else { format!("{slot:#x}") }))
}

/// The storage positions at an index of the parameters.
pub(crate) fn keys(args: &Args, index: usize) -> Result<Vec<(B256, String)>, CallError> {
    let what = format!("invalid argument {index}: storageKeys");
    match args.get(index) {
        None => Ok(Vec::new()),
        Some(Value::Array(keys)) if keys.len() > MAX_PROOF_SLOTS => {
            Err(CallError::InvalidParams(format!("too many keys (got {}, max {MAX_PROOF_SLOTS})", keys.len())))
        }
        Some(Value::Array(keys)) => keys.iter().map(|value| key(&what, value)).collect(),
        Some(other) => Err(invalid(&what, "an array of storage positions", other)),
    }
}

/// `eth_getProof`
pub(crate) fn get_proof(api: &Api, args: &Args) -> Result<RpcProof, CallError> {
    let address = args.required(0, "address", params::address)?;
    let (slots, names): (Vec<_>, Vec<_>) = keys(args, 1)?.into_iter().unzip();
    let (_, proof) = Reader::new(api).proof(args.block(2)?, &address, &slots)?;
    let account = proof.account.unwrap_or_default();
    let storage_proof =
        names.into_iter().zip(proof.slots).map(|(key, (value, proof))| RpcSlotProof { key, value, proof }).collect();
    Ok(RpcProof {
        address,
        account_proof: proof.proof,
        balance: account.balance,
        code_hash: account.code_hash,
        nonce: U64::from(account.nonce),
        storage_hash: proof.storage_root,
        storage_proof,
    })
}

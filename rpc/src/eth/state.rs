//! Reads of the state: balances, nonces, code, storage.

use std::collections::BTreeMap;

use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use serde::Serialize;
use serde_json::Value;

use crate::{
    errors::{CLIENT_LIMIT, CallError},
    eth::reader::Reader,
    limits::MAX_STORAGE_VALUES,
    methods::Api,
    params::{self, Args, invalid},
};

/// `eth_getBalance`
pub(crate) fn balance(api: &Api, args: &Args) -> Result<U256, CallError> {
    let address = args.required(0, "address", params::address)?;
    Ok(Reader::new(api).state(args.block(1)?)?.balance(&address)?)
}

/// `eth_getTransactionCount`; for "pending" it counts on from the transactions in the mempool that
/// could be in the next block.
pub(crate) fn transaction_count(api: &Api, args: &Args) -> Result<U64, CallError> {
    let address = args.required(0, "address", params::address)?;
    let block = args.block(1)?;
    let reader = Reader::new(api);
    let nonce = match block {
        BlockId::Number(BlockNumberOrTag::Pending) => reader.pending_nonce(&address)?,
        block => reader.state(block)?.nonce(&address)?,
    };
    Ok(U64::from(nonce))
}

/// `eth_getCode`
pub(crate) fn code(api: &Api, args: &Args) -> Result<Bytes, CallError> {
    let address = args.required(0, "address", params::address)?;
    Ok(Reader::new(api).state(args.block(1)?)?.code(&address)?)
}

/// `eth_getStorageAt`; the answer has 32 bytes.
pub(crate) fn storage_at(api: &Api, args: &Args) -> Result<B256, CallError> {
    let address = args.required(0, "address", params::address)?;
    let slot = args.required(1, "position", params::slot)?;
    Ok(Reader::new(api).state(args.block(2)?)?.storage(&address, &slot)?.into())
}

/// `eth_getStorageValues`: several slots of several accounts at once.
pub(crate) fn storage_values(api: &Api, args: &Args) -> Result<BTreeMap<Address, Vec<B256>>, CallError> {
    let requests = args.required(0, "requests", params::object)?;
    let mut wanted = BTreeMap::new();
    let mut count = 0;
    for (name, slots) in &requests {
        let what = format!("invalid argument 0: requests[{name}]");
        let address = params::address(&what, &Value::from(name.as_str()))?;
        let list = slots.as_array().ok_or_else(|| invalid(&what, "an array of storage positions", slots))?;
        count += list.len();
        if count > MAX_STORAGE_VALUES {
            let message = format!("too many slots (max {MAX_STORAGE_VALUES})");
            return Err(CallError::Coded { code: CLIENT_LIMIT, message });
        }
        let slots: Vec<U256> = list.iter().map(|slot| params::slot(&what, slot)).collect::<Result<_, _>>()?;
        wanted.insert(address, slots);
    }
    if count == 0 {
        return Err(CallError::InvalidParams("empty request".into()));
    }
    let state = Reader::new(api).state(args.block(1)?)?;
    let mut values = BTreeMap::new();
    for (address, slots) in wanted {
        let slots = slots.iter().map(|slot| Ok(B256::from(state.storage(&address, slot)?)));
        values.insert(address, slots.collect::<Result<Vec<_>, CallError>>()?);
    }
    Ok(values)
}

/// An account as it stands in the trie.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RpcAccount {
    balance: U256,
    nonce: U64,
    storage_root: B256,
    code_hash: B256,
}

/// `eth_getAccount`; null where there is none.
pub(crate) fn account(api: &Api, args: &Args) -> Result<Option<RpcAccount>, CallError> {
    let address = args.required(0, "address", params::address)?;
    let (_, proof) = Reader::new(api).proof(args.block(1)?, &address, &[])?;
    let storage_root = proof.storage_root;
    Ok(proof.account.map(|account| RpcAccount {
        balance: account.balance,
        nonce: U64::from(account.nonce),
        storage_root,
        code_hash: account.code_hash,
    }))
}

/// Nonce, balance and code of an account, which `forge` asks for at once.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct AccountInfo {
    balance: U256,
    nonce: U64,
    code: Bytes,
}

/// `eth_getAccountInfo`
pub(crate) fn account_info(api: &Api, args: &Args) -> Result<AccountInfo, CallError> {
    let address = args.required(0, "address", params::address)?;
    let state = Reader::new(api).state(args.block(1)?)?;
    let account = state.account(&address)?.unwrap_or_default();
    Ok(AccountInfo { balance: account.balance, nonce: U64::from(account.nonce), code: state.code(&address)? })
}

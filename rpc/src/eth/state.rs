//! Reads of the state: balances, nonces, code, storage.

use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{B256, Bytes, U64, U256};
use serde::Serialize;

use crate::{
    errors::CallError,
    eth::reader::Reader,
    methods::Api,
    params::{self, Args},
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

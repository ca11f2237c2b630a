//! The namespace `eth`.
//!
//! | file | what it answers |
//! |---|---|
//! | `blocks` | blocks and receipts of blocks, and the shapes of all of them |
//! | `transactions` | sending and finding transactions, receipts |
//! | `state` | balances, nonces, code, storage |
//! | `proof` | the same with their proofs |
//! | `call` | executions without trace |
//! | `simulate` | whole blocks of them |
//! | `fill` | transactions that somebody else signs |
//! | `config` | rules, and which blocks can be asked for |
//! | `fees` | prices |
//! | `logs` | searching logs |
//! | `filters` | the same for clients that ask again and again |
//! | `subscriptions` | new blocks, logs and pending transactions over WebSocket |
//! | `reader` | the chain as these see it: tags, hashes, what is missing |

pub(crate) mod blocks;
pub(crate) mod call;
mod config;
mod fees;
mod fill;
pub(crate) mod filters;
mod logs;
pub(crate) mod proof;
pub(crate) mod reader;
mod simulate;
mod state;
pub(crate) mod subscriptions;
mod transactions;

use alloy_primitives::{Address, U64};
use serde_json::{Value, json};

use crate::{
    errors::CallError,
    methods::{Api, Registrar},
    params::Args,
    status::SyncStatus,
};

pub(crate) fn register(methods: &mut Registrar) {
    methods.quick("eth_chainId", 0, chain_id);
    methods.quick("eth_syncing", 0, syncing);
    methods.quick("eth_accounts", 0, accounts);
    methods.quick("eth_blockNumber", 0, blocks::block_number);
    methods.quick("eth_gasPrice", 0, fees::gas_price);
    methods.quick("eth_maxPriorityFeePerGas", 0, fees::max_priority_fee_per_gas);
    methods.quick("eth_getBalance", 2, state::balance);
    methods.quick("eth_getTransactionCount", 2, state::transaction_count);
    methods.quick("eth_getCode", 2, state::code);
    methods.quick("eth_getStorageAt", 3, state::storage_at);
    methods.quick("eth_getUncleCountByBlockNumber", 1, blocks::uncle_count_by_number);
    methods.quick("eth_getUncleCountByBlockHash", 1, blocks::uncle_count_by_hash);
    methods.blocking("eth_getBlockByNumber", 2, blocks::by_number);
    methods.blocking("eth_getBlockByHash", 2, blocks::by_hash);
    methods.blocking("eth_getBlockReceipts", 1, blocks::receipts);
    methods.blocking("eth_getBlockTransactionCountByNumber", 1, blocks::transaction_count_by_number);
    methods.blocking("eth_getBlockTransactionCountByHash", 1, blocks::transaction_count_by_hash);
    methods.blocking("eth_getTransactionByBlockNumberAndIndex", 2, transactions::by_number_and_index);
    methods.blocking("eth_getTransactionByBlockHashAndIndex", 2, transactions::by_block_hash_and_index);
    methods.execution("eth_call", call::CALL_PARAMS, call::call);
    methods.execution("eth_estimateGas", call::CALL_PARAMS, call::estimate_gas);
    methods.execution("eth_createAccessList", call::CALL_PARAMS, call::create_access_list);
    methods.execution("eth_simulateV1", 2, simulate::simulate);
    methods.execution("eth_fillTransaction", 1, fill::fill_transaction);
    methods.quick("eth_sign", 2, fill::sign);
    methods.quick("eth_signTransaction", 1, fill::sign_transaction);
    methods.quick("eth_sendTransaction", 1, fill::send_transaction);
    methods.quick("eth_config", 0, config::config);
    methods.quick("eth_capabilities", 0, config::capabilities);
    methods.search("eth_getProof", 3, proof::get_proof);
    methods.search("eth_getAccount", 2, state::account);
    methods.blocking("eth_getStorageValues", 2, state::storage_values);
    methods.quick("eth_baseFee", 0, fees::base_fee);
    methods.quick("eth_blobBaseFee", 0, fees::blob_base_fee);
    methods.quick("eth_getAccountInfo", 2, state::account_info);
    methods.blocking("eth_getHeaderByNumber", 1, blocks::header_by_number);
    methods.blocking("eth_getHeaderByHash", 1, blocks::header_by_hash);
    methods.blocking("eth_getRawTransactionByHash", 1, transactions::raw_by_hash);
    methods.blocking("eth_getRawTransactionByBlockNumberAndIndex", 2, transactions::raw_by_number_and_index);
    methods.blocking("eth_getRawTransactionByBlockHashAndIndex", 2, transactions::raw_by_block_hash_and_index);
    methods.quick("eth_pendingTransactions", 0, pending_transactions);
    methods.search("eth_feeHistory", 3, fees::fee_history);
    methods.search("eth_getLogs", 1, logs::get_logs);
    methods.asynchronous("eth_sendRawTransaction", 1, transactions::send_raw);
    methods.asynchronous("eth_sendRawTransactionSync", 2, transactions::send_raw_sync);
    methods.asynchronous("eth_getTransactionByHash", 1, transactions::by_hash);
    methods.asynchronous("eth_getTransactionReceipt", 1, transactions::receipt);
    filters::register(methods);
    subscriptions::register(methods);
}

fn chain_id(api: &Api, _: &Args) -> Result<U64, CallError> {
    Ok(U64::from(api.backend.genesis.chain_id()))
}

/// The node holds no accounts of its users.
fn accounts(_: &Api, _: &Args) -> Result<Vec<Address>, CallError> {
    Ok(Vec::new())
}

/// Those of the node's own accounts, which it has none of.
fn pending_transactions(_: &Api, _: &Args) -> Result<Vec<Value>, CallError> {
    Ok(Vec::new())
}

fn syncing(api: &Api, _: &Args) -> Result<Value, CallError> {
    Ok(sync_status(api.backend.status.borrow().syncing))
}

/// `false`, or how far the node has come.
fn sync_status(status: SyncStatus) -> Value {
    let hex = |number: u64| format!("{number:#x}");
    match status {
        SyncStatus::Synced => json!(false),
        SyncStatus::Syncing(progress) => json!({
            "startingBlock": hex(progress.starting_block),
            "currentBlock": hex(progress.current_block),
            "highestBlock": hex(progress.highest_block),
        }),
    }
}

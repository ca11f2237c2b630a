//! Every method of the public schema: how it is called here, or why it does not apply.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256};
use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::scene::{LOOPED_LOGS, Played, SOMEBODY, Scene, add, looping};

/// Code of a method that the node does not have.
pub(crate) const METHOD_NOT_FOUND: i64 = -32601;
/// Code of a plain refusal.
const REFUSED: i64 = -32000;

/// How a method is tried.
#[derive(Clone, Debug)]
pub(crate) enum Use {
    /// Called with each of these parameters.
    Calls(Vec<Value>),
    /// Called where what it answers to is made: in [`crate::filters_tell_of_what_is_new`].
    AsThingsHappen,
    /// It does not apply to this chain, and is refused with this code.
    Refused {
        /// The code.
        code: i64,
        /// Parameters that another node would take.
        params: Value,
        /// The plain reason.
        why: &'static str,
    },
}

type Uses = BTreeMap<&'static str, Use>;

/// All uses, by method.
pub(crate) async fn uses(scene: &Scene) -> Result<Uses> {
    let mut uses = Uses::new();
    let numbers = scene.blocks().await?;
    let mut blocks = Vec::new();
    for number in &numbers {
        let block = scene.node.block(*number).await?;
        blocks.push((json!(format!("{number:#x}")), block["hash"].clone()));
    }
    blocks_by(&mut uses, &blocks);
    transactions(&mut uses, scene).await?;
    state(&mut uses, scene, &blocks);
    executions(&mut uses, scene);
    logs(&mut uses, scene);
    about_the_node(&mut uses);
    debug(&mut uses, scene, &blocks)?;
    pool(&mut uses, scene);
    not_here(&mut uses, scene);
    Ok(uses)
}

/// The parameters of calls that find nothing, by method.
pub(crate) fn nothing_there() -> Vec<(&'static str, Value)> {
    let (hash, number) = (B256::repeat_byte(0xee), "0xffffffff");
    vec![
        ("eth_getBlockByHash", json!([hash, true])),
        ("eth_getBlockByNumber", json!([number, false])),
        ("eth_getBlockReceipts", json!([number])),
        ("eth_getBlockTransactionCountByHash", json!([hash])),
        ("eth_getBlockTransactionCountByNumber", json!([number])),
        ("eth_getTransactionByHash", json!([hash])),
        ("eth_getTransactionByBlockHashAndIndex", json!([hash, "0x0"])),
        ("eth_getTransactionByBlockNumberAndIndex", json!(["latest", "0xffff"])),
        ("eth_getTransactionReceipt", json!([hash])),
    ]
}

/// Blocks by number, tag and hash.
fn blocks_by(uses: &mut Uses, blocks: &[(Value, Value)]) {
    let tags = ["earliest", "latest", "safe", "finalized", "pending"].map(Value::from);
    let numbers: Vec<Value> = blocks.iter().map(|(number, _)| number.clone()).chain(tags).collect();
    let hashes: Vec<Value> = blocks.iter().map(|(_, hash)| hash.clone()).collect();
    let both = |all: &[Value]| all.iter().flat_map(|one| [json!([one, true]), json!([one, false])]).collect::<Vec<_>>();
    let alone = |all: &[Value]| all.iter().map(|one| json!([one])).collect::<Vec<_>>();
    uses.insert("eth_getBlockByNumber", Use::Calls(both(&numbers)));
    uses.insert("eth_getBlockByHash", Use::Calls(both(&hashes)));
    uses.insert("eth_getBlockTransactionCountByNumber", Use::Calls(alone(&numbers)));
    uses.insert("eth_getBlockTransactionCountByHash", Use::Calls(alone(&hashes)));
    uses.insert("eth_getBlockReceipts", Use::Calls([alone(&numbers), alone(&hashes)].concat()));
    for method in ["debug_getRawHeader", "debug_getRawBlock", "debug_getRawReceipts"] {
        uses.insert(method, Use::Calls(alone(&numbers)));
    }
}

/// Each transaction in all ways to find it.
async fn transactions(uses: &mut Uses, scene: &Scene) -> Result<()> {
    let (mut by_hash, mut by_block, mut by_number) = (Vec::new(), Vec::new(), Vec::new());
    for played in &scene.played {
        let receipt = scene.receipt(played).await?;
        let index = &receipt["transactionIndex"];
        by_hash.push(json!([played.signed.hash]));
        by_block.push(json!([receipt["blockHash"], index]));
        by_number.push(json!([receipt["blockNumber"], index]));
    }
    uses.insert("eth_getTransactionByHash", Use::Calls(by_hash.clone()));
    uses.insert("eth_getTransactionReceipt", Use::Calls(by_hash.clone()));
    uses.insert("debug_getRawTransaction", Use::Calls(by_hash));
    uses.insert("eth_getTransactionByBlockHashAndIndex", Use::Calls(by_block));
    uses.insert("eth_getTransactionByBlockNumberAndIndex", Use::Calls(by_number));
    uses.insert("eth_sendRawTransaction", Use::AsThingsHappen);
    Ok(())
}

/// Accounts of each kind, at blocks named in each way.
fn state(uses: &mut Uses, scene: &Scene, blocks: &[(Value, Value)]) {
    let accounts = [scene.owner(), scene.counter, scene.delegating, SOMEBODY, Address::repeat_byte(0xee)];
    let mut places: Vec<Value> = ["earliest", "latest", "pending"].map(Value::from).to_vec();
    if let Some((number, hash)) = blocks.last() {
        places.extend([number.clone(), json!({"blockNumber": number}), json!({"blockHash": hash})]);
    }
    let with = |middle: Option<Value>| {
        let params = |account: &Address, place: &Value| match &middle {
            Some(middle) => json!([account, middle, place]),
            None => json!([account, place]),
        };
        let calls = accounts.iter().flat_map(|account| places.iter().map(move |place| params(account, place)));
        Use::Calls(calls.collect())
    };
    for method in ["eth_getBalance", "eth_getTransactionCount", "eth_getCode"] {
        uses.insert(method, with(None));
    }
    uses.insert("eth_getStorageAt", with(Some(json!("0x0"))));
    uses.insert("eth_getProof", with(Some(json!(["0x0", B256::repeat_byte(9)]))));
    let counter = scene.counter.to_string();
    let slots = json!({counter: ["0x0", B256::repeat_byte(9)]});
    uses.insert("eth_getStorageValues", Use::Calls(vec![json!([slots]), json!([slots, "latest"])]));
}

/// Executions of calls.
fn executions(uses: &mut Uses, scene: &Scene) {
    let call = scene.call_of_counter(1);
    let creation = json!({"from": scene.owner(), "input": "0x60006000a000"});
    let transfer = json!({"from": scene.owner(), "to": SOMEBODY, "value": "0x1"});
    let assumed = json!({SOMEBODY.to_string(): {"balance": "0xde0b6b3a7640000", "code": "0x4360005260206000f3"}});
    let calls = vec![json!([call]), json!([creation, "latest"]), json!([transfer, "pending"])];
    let mut with_overrides = calls.clone();
    with_overrides.push(json!([{"to": SOMEBODY}, "latest", assumed, {"number": "0x3039"}]));
    uses.insert("eth_call", Use::Calls(with_overrides));
    uses.insert("eth_estimateGas", Use::Calls(calls.clone()));
    let reverting = json!([scene.call_of_counter(0), "latest"]);
    uses.insert("eth_createAccessList", Use::Calls([calls, vec![reverting]].concat()));
    let legacy = json!({"from": scene.owner(), "to": SOMEBODY, "gasPrice": "0x3"});
    let listed = json!({"from": scene.owner(), "to": SOMEBODY, "gasPrice": "0x3", "accessList": []});
    let filled = [call, creation, transfer, legacy, listed];
    uses.insert("eth_fillTransaction", Use::Calls(filled.iter().map(|tx| json!([tx])).collect()));
    uses.insert("eth_simulateV1", Use::Calls(simulations(scene)));
}

/// Blocks of calls that succeed, revert and are stopped, and one that follows.
fn simulations(scene: &Scene) -> Vec<Value> {
    let rich = json!({SOMEBODY.to_string(): {"balance": "0xde0b6b3a7640000"}});
    let calls = json!([
        scene.call_of_counter(1),
        scene.call_of_counter(0),
        {"from": scene.owner(), "input": "0xfe", "gas": "0x186a0"},
        {"from": SOMEBODY, "to": scene.owner(), "value": "0x1"},
    ]);
    let more = json!([{"from": scene.owner(), "to": scene.emitter, "input": looping(3)}]);
    let blocks = json!([{"stateOverrides": rich, "calls": calls}, {"calls": more}, {"calls": []}]);
    let payload =
        |full: bool| json!({"blockStateCalls": blocks, "traceTransfers": full, "returnFullTransactions": full});
    vec![json!([payload(true), "latest"]), json!([payload(false)])]
}

/// Searches of logs that find some: an empty list fits both shapes of the schema's choice, which takes exactly one.
fn logs(uses: &mut Uses, scene: &Scene) {
    let found = vec![
        json!([{"fromBlock": "earliest", "toBlock": "latest"}]),
        json!([{"fromBlock": "0x0", "address": scene.emitter}]),
        json!([{"fromBlock": "0x0", "address": [scene.counter, scene.delegating]}]),
        json!([{"fromBlock": "0x0", "topics": [null, format!("{LOOPED_LOGS:#066x}")]}]),
        json!([{"fromBlock": "0x0", "topics": [[scene.accounts[3].address().into_word(), B256::ZERO]]}]),
    ];
    uses.insert("eth_getLogs", Use::Calls(found));
    for method in [
        "eth_newFilter",
        "eth_newBlockFilter",
        "eth_newPendingTransactionFilter",
        "eth_uninstallFilter",
        "eth_getFilterChanges",
        "eth_getFilterLogs",
    ] {
        uses.insert(method, Use::AsThingsHappen);
    }
}

/// What needs no parameters.
fn about_the_node(uses: &mut Uses) {
    for method in [
        "eth_gasPrice",
        "eth_baseFee",
        "eth_blobBaseFee",
        "eth_maxPriorityFeePerGas",
        "eth_chainId",
        "eth_syncing",
        "eth_accounts",
        "eth_blockNumber",
        "eth_capabilities",
        "eth_config",
        "net_version",
        "debug_getBadBlocks",
        "txpool_status",
        "txpool_content",
    ] {
        uses.insert(method, Use::Calls(vec![json!([])]));
    }
    let histories =
        [json!(["0x5", "latest", [10, 50.5, 90]]), json!(["0x400", "latest", []]), json!(["0x1", "0x1", null])];
    uses.insert("eth_feeHistory", Use::Calls(histories.to_vec()));
}

/// Traces without a tracer, and with those that have a name.
fn debug(uses: &mut Uses, scene: &Scene, blocks: &[(Value, Value)]) -> Result<()> {
    let named = ["callTracer", "prestateTracer", "4byteTracer", "noopTracer"];
    let mut configs = vec![json!({}), json!({"enableMemory": true, "enableReturnData": true})];
    configs.extend(named.map(|tracer| json!({"tracer": tracer})));
    let mut of_transactions = Vec::new();
    for played in traced(scene)? {
        of_transactions.extend(configs.iter().map(|config| json!([played.signed.hash, config])));
    }
    uses.insert("debug_traceTransaction", Use::Calls(of_transactions));
    let of = |which: fn(&(Value, Value)) -> &Value| {
        let calls = blocks.iter().flat_map(|block| named.map(|tracer| json!([which(block), {"tracer": tracer}])));
        Use::Calls(calls.collect())
    };
    uses.insert("debug_traceBlockByNumber", of(|(number, _)| number));
    uses.insert("debug_traceBlockByHash", of(|(_, hash)| hash));
    Ok(())
}

/// Transactions of which every step is looked at: those with few.
pub(crate) fn traced(scene: &Scene) -> Result<Vec<&Played>> {
    let traced: Vec<&Played> = scene.played.iter().filter(|played| played.logs < 10).collect();
    traced.first().context("nothing to trace")?;
    Ok(traced)
}

fn pool(uses: &mut Uses, scene: &Scene) {
    let accounts = [scene.accounts[8].address(), scene.owner()];
    uses.insert("txpool_contentFrom", Use::Calls(accounts.map(|account| json!([account])).to_vec()));
}

/// What does not apply here.
fn not_here(uses: &mut Uses, scene: &Scene) {
    let mut refuse = |method, code, params, why| uses.insert(method, Use::Refused { code, params, why });
    let keys = "the node holds no keys of its users: they sign in their wallets";
    let transaction = json!([{"from": scene.owner(), "to": scene.counter, "input": add(1), "gas": "0x186a0",
        "gasPrice": "0x3", "nonce": "0x0", "value": "0x0"}]);
    refuse("eth_sign", REFUSED, json!([scene.owner(), "0x00"]), keys);
    refuse("eth_signTransaction", REFUSED, transaction.clone(), keys);
    refuse("eth_sendTransaction", REFUSED, transaction, keys);
    let mining = "nobody mines: who is paid stands in each block, and a node has no account of its own";
    refuse("eth_coinbase", METHOD_NOT_FOUND, json!([]), mining);
    let lists = "blocks have no access lists (EIP-7928): they came with a fork that this chain's rules do not have";
    refuse("eth_getBlockAccessList", METHOD_NOT_FOUND, json!(["latest"]), lists);
    refuse("debug_getRawBlockAccessList", METHOD_NOT_FOUND, json!(["latest"]), lists);
}

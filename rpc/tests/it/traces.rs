//! `debug_` and `trace_`: what is traced of small contracts whose steps are known.

use alloy_primitives::{Address, B256, Bytes, U256, hex, keccak256};
use assent_rpc::RpcConfig;
use serde_json::{Value, json};

use crate::harness::{ENDLESS_CODE, Node};
use crate::history::{CELL, deploying};

/// Calls the address in its first word with the rest of its input and the value that it got; reverts if that fails.
pub const RELAY: [u8; 33] = hex!("602036038060206000376000600082600034600035 5af115601c57005b600080fd");
/// Reverts.
const FAIL: [u8; 5] = hex!("60006000fd");

/// A chain with a relay, a cell and a contract that fails.
pub struct World {
    pub node: Node,
    pub relay: Address,
    pub cell: Address,
    pub fail: Address,
}

impl World {
    pub async fn new() -> Self {
        let all = |config: &mut RpcConfig| config.namespaces = RpcConfig::ALL_NAMESPACES.map(String::from).to_vec();
        let node = Node::start_with(all).await;
        let creations = [(0, &RELAY[..]), (1, &CELL[..]), (2, &FAIL[..])]
            .map(|(nonce, code)| node.create(0, nonce, deploying(code)));
        node.block(&creations).await;
        let created = |nonce| node.address(0).create(nonce);
        let (relay, cell, fail) = (created(0), created(1), created(2));
        Self { node, relay, cell, fail }
    }

    pub fn through_relay(&self, nonce: u64, to: Address, input: &[u8]) -> Bytes {
        let input = [to.into_word().as_slice(), input].concat();
        self.node.call_contract(1, nonce, self.relay, input)
    }
}

fn word(value: u64) -> Vec<u8> {
    U256::from(value).to_be_bytes_vec()
}

#[tokio::test]
async fn geth_tracers_tell_what_a_transaction_did() {
    let world = World::new().await;
    let node = &world.node;
    let raw = [world.through_relay(0, world.cell, &word(7)), world.through_relay(1, world.fail, &[])];
    node.block(&raw).await;
    let hashes = raw.each_ref().map(keccak256);
    let receipt = node.result("eth_getTransactionReceipt", json!([hashes[0]])).await;
    let trace = |hash: B256, options: Value| node.result("debug_traceTransaction", json!([hash, options]));

    let calls = trace(hashes[0], json!({"tracer": "callTracer"})).await;
    assert_eq!((&calls["type"], &calls["to"]), (&json!("CALL"), &json!(world.relay)));
    assert_eq!(calls["gasUsed"], receipt["gasUsed"]);
    assert_eq!(calls["from"], json!(node.address(1)));
    let inner = &calls["calls"][0];
    assert_eq!((&inner["from"], &inner["to"]), (&json!(world.relay), &json!(world.cell)));
    assert_eq!(inner["input"], json!(Bytes::from(word(7))));
    let failed = trace(hashes[1], json!({"tracer": "callTracer"})).await;
    assert_eq!(failed["error"], "execution reverted");
    assert_eq!(failed["calls"][0]["error"], "execution reverted");

    let steps = trace(hashes[0], json!({})).await;
    assert_eq!((&steps["failed"], &steps["gas"]), (&json!(false), &json!(receipt_gas(&receipt))));
    let logs = steps["structLogs"].as_array().unwrap();
    let ops: Vec<_> =
        logs.iter().take(4).map(|log| (log["pc"].as_u64().unwrap(), log["op"].as_str().unwrap())).collect();
    assert_eq!(ops, [(0, "PUSH1"), (2, "CALLDATASIZE"), (3, "SUB"), (4, "DUP1")]);
    assert_eq!(logs[1]["stack"], json!(["0x20"]));
    let gas: Vec<_> = logs.iter().take(2).map(|log| log["gas"].as_u64().unwrap()).collect();
    assert_eq!(gas[0] - gas[1], 3, "PUSH1 costs 3");
    let store = logs.iter().find(|log| log["op"] == "SSTORE").unwrap();
    assert_eq!(store["depth"], 2);
    let short = trace(hashes[0], json!({"limit": 3, "disableStack": true})).await;
    assert_eq!(short["structLogs"].as_array().unwrap().len(), 3);
    assert!(short["structLogs"][1].get("stack").is_none());

    let diff = trace(hashes[0], json!({"tracer": "prestateTracer", "tracerConfig": {"diffMode": true}})).await;
    let cell = world.cell.to_string().to_lowercase();
    let slot = B256::ZERO.to_string();
    assert_eq!(diff["post"][&cell]["storage"][&slot], json!(B256::from(U256::from(7))));
    assert!(diff["pre"][&cell]["storage"].get(&slot).is_none(), "it was zero: {diff}");
    let before = trace(hashes[0], json!({"tracer": "prestateTracer"})).await;
    assert_eq!(before[&cell]["code"], json!(Bytes::from_static(&CELL)));
    let selectors = trace(hashes[0], json!({"tracer": "4byteTracer"})).await;
    assert_eq!(
        selectors,
        json!({"0x00000000-28": 1, format!("0x{}-60", hex::encode(&world.cell.into_word()[..4])): 1})
    );
    for tracer in ["noopTracer", "flatCallTracer", "muxTracer"] {
        let config = if tracer == "muxTracer" { json!({"callTracer": {}, "4byteTracer": null}) } else { json!({}) };
        trace(hashes[0], json!({"tracer": tracer, "tracerConfig": config})).await;
    }
}

fn receipt_gas(receipt: &Value) -> u64 {
    u64::from_str_radix(receipt["gasUsed"].as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

#[tokio::test]
async fn blocks_and_calls_are_traced_and_refusals_say_why() {
    let world = World::new().await;
    let node = &world.node;
    let raw = [world.through_relay(0, world.cell, &word(7)), world.through_relay(1, world.cell, &word(9))];
    let block = node.block(&raw).await;
    let traces = node.result("debug_traceBlockByNumber", json!(["0x2", {"tracer": "prestateTracer"}])).await;
    assert_eq!(
        traces,
        node.result("debug_traceBlockByHash", json!([block.hash(), {"tracer": "prestateTracer"}])).await
    );
    let cell = world.cell.to_string().to_lowercase();
    let slot = B256::ZERO.to_string();
    for (index, (raw, before)) in raw.iter().zip([0u64, 7]).enumerate() {
        assert_eq!(traces[index]["txHash"], json!(keccak256(raw)));
        let stored = &traces[index]["result"][&cell]["storage"][&slot];
        assert_eq!(*stored, json!(B256::from(U256::from(before))), "transaction {index}");
    }
    // Within the block, between its transactions, and with another code.
    let call = json!({"to": world.cell});
    let trace = |options: Value| node.result("debug_traceCall", json!([call, "0x2", options]));
    assert_eq!(trace(json!({"tracer": "callTracer"})).await["output"], json!(B256::from(U256::from(9))));
    let between = trace(json!({"tracer": "callTracer", "txIndex": "0x1"})).await;
    assert_eq!(between["output"], json!(B256::from(U256::from(7))));
    let overrides = json!({world.cell.to_string(): {"code": "0x60006000fd"}});
    let other = trace(json!({"tracer": "callTracer", "stateOverrides": overrides})).await;
    assert_eq!(other["error"], "execution reverted");

    for (method, params, expected) in [
        ("debug_traceTransaction", json!([B256::repeat_byte(1)]), "transaction not found"),
        ("debug_traceBlockByNumber", json!(["0x0"]), "genesis is not traceable"),
        ("debug_traceBlockByNumber", json!(["0x63"]), "block #99 not found"),
        (
            "debug_traceTransaction",
            json!([keccak256(&raw[0]), {"tracer": "{step: function() {}}"}]),
            "JS Tracer is not enabled",
        ),
    ] {
        let (code, message) = node.fails(method, params).await;
        assert_eq!((code, message.as_str()), (-32000, expected), "{method}");
    }
    let (code, message) = node.fails("debug_traceTransaction", json!([keccak256(&raw[0]), {"timeout": "soon"}])).await;
    assert!(code == -32602 && message.contains("expected a duration"), "{message}");
    let endless = json!({"data": Bytes::from_static(&ENDLESS_CODE)});
    let (code, message) = node.fails("debug_traceCall", json!([endless, "latest", {}])).await;
    assert!(code == -32000 && message.contains("leave out memory and stack"), "{message}");
}

#[tokio::test]
async fn parity_traces_tell_calls_and_differences() {
    let world = World::new().await;
    let node = &world.node;
    let raw = [world.through_relay(0, world.cell, &word(7)), world.through_relay(1, world.fail, &[])];
    node.block(&raw).await;
    let hash = keccak256(&raw[0]);
    let traces = node.result("trace_transaction", json!([hash])).await;
    let paths: Vec<_> = traces.as_array().unwrap().iter().map(|trace| trace["traceAddress"].clone()).collect();
    assert_eq!(paths, [json!([]), json!([0])]);
    assert_eq!(traces[1]["action"]["to"], json!(world.cell));
    assert_eq!((&traces[1]["blockNumber"], &traces[1]["transactionHash"]), (&json!(2), &json!(hash)));
    assert_eq!(node.result("trace_get", json!([hash, ["0x0"]])).await, traces[1]);
    let block = node.result("trace_block", json!(["0x2"])).await;
    assert_eq!(block.as_array().unwrap().len(), 4);
    assert_eq!(node.result("trace_block", json!(["0x0"])).await, json!([]));
    assert_eq!(node.result("trace_block", json!(["0x63"])).await, Value::Null);
    assert_eq!(node.result("trace_transaction", json!([B256::ZERO])).await, Value::Null);

    let types = json!(["trace", "vmTrace", "stateDiff"]);
    let replayed = node.result("trace_replayTransaction", json!([hash, types])).await;
    let slot = B256::ZERO.to_string();
    let change = &replayed["stateDiff"][world.cell.to_string().to_lowercase()]["storage"][&slot];
    assert_eq!(change["*"]["to"], json!(B256::from(U256::from(7))));
    assert!(replayed["vmTrace"]["ops"].as_array().unwrap().len() > 10);
    let all = node.result("trace_replayBlockTransactions", json!(["0x2", types])).await;
    assert_eq!(all[0]["transactionHash"], json!(hash));
    assert_eq!(all[0]["stateDiff"], replayed["stateDiff"]);
    // The second call sees what the first has stored.
    let store = json!([{"to": world.cell, "data": Bytes::from(word(5))}, ["trace"]]);
    let load = json!([{"to": world.cell}, ["trace"]]);
    let many = node.result("trace_callMany", json!([[store, load]])).await;
    assert_eq!(many[1]["output"], json!(B256::from(U256::from(5))));
    let one = node.result("trace_call", json!([{"to": world.cell}, ["trace"]])).await;
    assert_eq!(one["output"], json!(B256::from(U256::from(7))));

    let filter = |filter: Value| node.result("trace_filter", json!([filter]));
    let found = filter(json!({"fromBlock": "0x0", "toBlock": "0x2", "toAddress": [world.cell]})).await;
    let to_cell: Vec<_> = found.as_array().unwrap().iter().map(|trace| trace["type"].clone()).collect();
    assert_eq!(to_cell, ["create", "call"], "its creation and its call");
    let page = filter(json!({"fromBlock": "0x0", "toBlock": "0x2", "after": 1, "count": 2})).await;
    assert_eq!(page.as_array().unwrap().len(), 2);
    let (code, message) = node.fails("trace_filter", json!([{"fromBlock": "0x2", "toBlock": "0x1"}])).await;
    assert!(code == -32602 && message.contains("invalid block range"), "{message}");
    let (code, message) = node.fails("trace_replayTransaction", json!([hash, ["all"]])).await;
    assert!(code == -32602 && message.contains("\"vmTrace\""), "{message}");
}

#[tokio::test]
async fn raw_blocks_transactions_and_receipts_are_what_hashes_are_made_of() {
    let world = World::new().await;
    let node = &world.node;
    let raw = world.through_relay(0, world.cell, &word(7));
    let block = node.block(std::slice::from_ref(&raw)).await;
    let bytes = |value: Value| serde_json::from_value::<Bytes>(value).unwrap();
    let header = bytes(node.result("debug_getRawHeader", json!(["latest"])).await);
    assert_eq!(keccak256(&header), block.hash());
    let whole = bytes(node.result("debug_getRawBlock", json!(["latest"])).await);
    assert!(whole.windows(header.len()).any(|window| window == header.as_ref()));
    assert_eq!(bytes(node.result("debug_getRawTransaction", json!([keccak256(&raw)])).await), raw);
    assert_eq!(bytes(node.result("eth_getRawTransactionByHash", json!([keccak256(&raw)])).await), raw);
    for (method, block) in [
        ("eth_getRawTransactionByBlockNumberAndIndex", json!("0x2")),
        ("eth_getRawTransactionByBlockHashAndIndex", json!(block.hash())),
    ] {
        assert_eq!(bytes(node.result(method, json!([block, "0x0"])).await), raw);
    }
    let receipts = node.result("debug_getRawReceipts", json!(["latest"])).await;
    assert_eq!(receipts.as_array().unwrap().len(), 1);
    assert!(receipts[0].as_str().unwrap().starts_with("0x02f9"), "a receipt of type 2: {receipts}");
}

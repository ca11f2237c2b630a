//! Calls that assume another state or another block, and access lists.

use alloy_primitives::{Address, B256, U256};
use serde_json::{Value, json};

use crate::harness::Node;
use crate::history::{CELL, deploying};

fn word(value: u64) -> Value {
    json!(B256::from(U256::from(value)))
}

#[tokio::test]
async fn calls_assume_what_they_are_told() {
    let node = Node::start().await;
    node.block(&[node.create(0, 0, deploying(&CELL))]).await;
    let cell = node.address(0).create(0);
    let key = B256::ZERO.to_string();
    let call = |state: Value, block: Value| node.call("eth_call", json!([{"to": cell}, "latest", state, block]));
    for (state, expected) in [
        (json!({cell.to_string(): {"stateDiff": {&key: word(5)}}}), word(5)),
        (json!({cell.to_string(): {"state": {&key: word(6)}}}), word(6)),
        (json!({cell.to_string(): {"state": {}}}), word(0)),
        // SELFBALANCE; PUSH1 0; MSTORE; return it.
        (json!({cell.to_string(): {"code": "0x4760005260206000f3", "balance": "0x2a"}}), word(42)),
    ] {
        assert_eq!(call(state, Value::Null).await["result"], expected);
    }
    // NUMBER, TIMESTAMP, COINBASE, BASEFEE, PREVRANDAO, GASLIMIT, BLOCKHASH(5).
    let coinbase = Address::repeat_byte(0x11);
    for (opcode, block, expected) in [
        ("43", json!({"number": "0x64"}), word(100)),
        ("42", json!({"time": "0x3e8"}), word(1000)),
        ("41", json!({"feeRecipient": coinbase}), json!(coinbase.into_word())),
        ("48", json!({"baseFeePerGas": "0x7"}), word(7)),
        ("44", json!({"prevRandao": B256::repeat_byte(3)}), json!(B256::repeat_byte(3))),
        ("45", json!({"gasLimit": "0x5f5e100"}), word(100_000_000)),
        ("600540", json!({"number": "0x64", "blockHash": {"5": B256::repeat_byte(9)}}), json!(B256::repeat_byte(9))),
    ] {
        let state = json!({cell.to_string(): {"code": format!("0x{opcode}60005260206000f3")}});
        assert_eq!(call(state, block.clone()).await["result"], expected, "{block}");
    }
    let both = json!({cell.to_string(): {"state": {}, "stateDiff": {}}});
    let error = call(both, Value::Null).await["error"].clone();
    let expected = format!("account {cell} has both 'state' and 'stateDiff'");
    assert_eq!((&error["code"], &error["message"]), (&json!(-32000), &json!(expected)));
    let error = call(json!({cell.to_string(): {"colour": 1}}), Value::Null).await["error"].clone();
    assert_eq!(error["code"], -32602, "{error}");
    // An estimate sees the money that is assumed.
    let poor = Address::repeat_byte(0x99);
    let transfer = json!({"from": poor, "to": cell, "value": "0x1", "data": "0x"});
    node.fails("eth_estimateGas", json!([transfer, "latest"])).await;
    let rich = json!({poor.to_string(): {"balance": "0xffff"}});
    node.result("eth_estimateGas", json!([transfer, "latest", rich])).await;
}

#[tokio::test]
async fn access_lists_name_what_a_call_reads() {
    let node = Node::start().await;
    node.block(&[node.create(0, 0, deploying(&CELL))]).await;
    let cell = node.address(0).create(0);
    let found = node.result("eth_createAccessList", json!([{"from": node.address(1), "to": cell}])).await;
    assert_eq!(found["accessList"], json!([{"address": cell, "storageKeys": [B256::ZERO]}]));
    let plain = node.result("eth_estimateGas", json!([{"to": cell}])).await;
    assert!(found["gasUsed"].is_string() && plain.is_string() && found.get("error").is_none());
    let failing = json!({"from": node.address(1), "data": "0x60006000fd"});
    let failed = node.result("eth_createAccessList", json!([failing])).await;
    assert_eq!(failed["error"], "execution reverted");
    let info = node.result("eth_getAccountInfo", json!([cell, "latest"])).await;
    assert_eq!((&info["nonce"], &info["balance"]), (&json!("0x1"), &json!("0x0")));
    assert_eq!(node.result("eth_pendingTransactions", json!([])).await, json!([]));
    assert_eq!(node.result("eth_blobBaseFee", json!([])).await, "0x1");
}

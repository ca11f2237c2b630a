//! Filters that are asked again and again.

use alloy_primitives::{Address, B256, keccak256};
use serde_json::{Value, json};

use crate::harness::{Node, logging_contract};

async fn changes(node: &Node, id: &Value) -> Value {
    node.result("eth_getFilterChanges", json!([id])).await
}

#[tokio::test]
async fn blocks_come_once() {
    let node = Node::start().await;
    node.block(&[]).await;
    let filter = node.result("eth_newBlockFilter", json!([])).await;
    assert_eq!(changes(&node, &filter).await, json!([]));
    let new = [node.block(&[]).await.hash(), node.block(&[]).await.hash()];
    assert_eq!(changes(&node, &filter).await, json!(new));
    assert_eq!(changes(&node, &filter).await, json!([]));
    assert_eq!(node.result("eth_uninstallFilter", json!([filter])).await, true);
    assert_eq!(node.result("eth_uninstallFilter", json!([filter])).await, false);
    let not_found = (-32000, "filter not found".to_owned());
    for method in ["eth_getFilterChanges", "eth_getFilterLogs"] {
        assert_eq!(node.fails(method, json!([filter])).await, not_found);
        assert_eq!(node.fails(method, json!(["0x1"])).await, not_found);
    }
}

#[tokio::test]
async fn logs_come_as_filtered_and_in_portions() {
    let node = Node::start_with(|config| config.max_log_results = 2).await;
    let (a, b) = (B256::repeat_byte(0xa), B256::repeat_byte(0xb));
    let mut nonce = 0..;
    let mut log = |topic| node.create(0, nonce.next().unwrap(), logging_contract(topic));
    node.block(&[log(b)]).await;
    let filter = node.result("eth_newFilter", json!([{"fromBlock": "0x0", "topics": [b]}])).await;
    let ending = node.result("eth_newFilter", json!([{"toBlock": "0x2"}])).await;
    node.block(&[log(a), log(b)]).await;
    node.block(&[log(b)]).await;
    node.block(&[log(b), log(b), log(b)]).await;
    let numbers = |logs: &Value| -> Vec<Value> {
        logs.as_array().unwrap().iter().map(|log| log["blockNumber"].clone()).collect()
    };
    // Those before the filter are none of its changes; a block is never divided.
    assert_eq!(numbers(&changes(&node, &filter).await), ["0x2", "0x3"]);
    assert_eq!(numbers(&changes(&node, &filter).await), ["0x4", "0x4", "0x4"]);
    assert_eq!(changes(&node, &filter).await, json!([]));
    assert_eq!(numbers(&changes(&node, &ending).await), ["0x2", "0x2"]);
    assert_eq!(changes(&node, &ending).await, json!([]));
    // All of them, within the limits of eth_getLogs.
    assert_eq!(node.fails("eth_getFilterLogs", json!([filter])).await.0, -32602);
    let recent = node.result("eth_newFilter", json!([{"fromBlock": "0x4", "topics": [b]}])).await;
    assert_eq!(numbers(&node.result("eth_getFilterLogs", json!([recent])).await), ["0x4", "0x4", "0x4"]);
    assert_eq!(node.fails("eth_newFilter", json!([{"blockHash": a}])).await.0, -32602);
}

#[tokio::test]
async fn pending_transactions_come_when_they_can_run() {
    let node = Node::start().await;
    let hashes = node.result("eth_newPendingTransactionFilter", json!([])).await;
    let full = node.result("eth_newPendingTransactionFilter", json!([true])).await;
    let raw = [1, 0].map(|nonce| node.transfer(0, nonce, Address::ZERO, 1));
    node.result("eth_sendRawTransaction", json!([raw[0]])).await;
    assert_eq!(changes(&node, &hashes).await, json!([]), "it cannot run yet");
    node.result("eth_sendRawTransaction", json!([raw[1]])).await;
    assert_eq!(changes(&node, &hashes).await, json!([keccak256(&raw[1]), keccak256(&raw[0])]));
    assert_eq!(changes(&node, &hashes).await, json!([]));
    assert_eq!(changes(&node, &full).await[0]["hash"], json!(keccak256(&raw[1])));
    assert_eq!(node.fails("eth_getFilterLogs", json!([hashes])).await, (-32000, "filter not found".to_owned()));
}

//! What waits for a block.

use alloy_primitives::{Address, keccak256};
use assent_rpc::RpcConfig;
use serde_json::json;

use crate::harness::Node;

#[tokio::test]
async fn pending_and_queued_are_told_apart() {
    let all = |config: &mut RpcConfig| config.namespaces = RpcConfig::ALL_NAMESPACES.map(String::from).to_vec();
    let node = Node::start_with(all).await;
    let raw = [node.transfer(0, 0, Address::repeat_byte(1), 5), node.transfer(0, 2, Address::repeat_byte(1), 7)];
    for raw in &raw {
        node.result("eth_sendRawTransaction", json!([raw])).await;
    }
    assert_eq!(node.result("txpool_status", json!([])).await, json!({"pending": "0x1", "queued": "0x1"}));
    let sender = node.address(0).to_string();
    let content = node.result("txpool_content", json!([])).await;
    let from = node.result("txpool_contentFrom", json!([sender])).await;
    let found = |group: &str| content[group].as_object().unwrap().values().next().unwrap().clone();
    assert_eq!((&from["pending"], &from["queued"]), (&found("pending"), &found("queued")));
    assert_eq!(from["pending"]["0"]["hash"], json!(keccak256(&raw[0])));
    assert_eq!(from["queued"]["2"]["blockNumber"], json!(null));
    let inspected = node.result("txpool_inspect", json!([])).await;
    let line = inspected["queued"].as_object().unwrap().values().next().unwrap()["2"].as_str().unwrap().to_owned();
    assert_eq!(line, format!("{}: 7 wei + 21000 gas × 0 wei", Address::repeat_byte(1)));
    assert!(
        content["pending"].get(&sender).is_some() && inspected["queued"].get(&sender).is_some(),
        "checksummed keys"
    );
    let stranger = node.result("txpool_contentFrom", json!([Address::repeat_byte(9)])).await;
    assert_eq!(stranger, json!({"pending": {}, "queued": {}}));
}

#[tokio::test]
async fn namespaces_that_developers_want_are_off_unless_named() {
    let node = Node::start().await;
    for method in ["txpool_status", "debug_getBadBlocks", "trace_block"] {
        let (code, message) = node.fails(method, json!([])).await;
        assert_eq!((code, message), (-32601, format!("the method {method} does not exist/is not available")));
    }
    assert_eq!(node.result("ots_getApiLevel", json!([])).await, 8);
}

#[tokio::test]
async fn what_is_larger_than_an_answer_is_refused_with_a_way_on() {
    let few = |config: &mut RpcConfig| {
        config.namespaces = RpcConfig::ALL_NAMESPACES.map(String::from).to_vec();
        config.max_response = 4_000;
    };
    let node = Node::start_with(few).await;
    let send = |from: usize, nonce: u64| node.transfer(from, nonce, Address::repeat_byte(1), 5u64);
    for raw in [send(0, 0), send(0, 1)] {
        node.result("eth_sendRawTransaction", json!([raw])).await;
    }
    node.result("txpool_content", json!([])).await;
    node.result("eth_sendRawTransaction", json!([send(1, 0)])).await;
    let (code, message) = node.fails("txpool_content", json!([])).await;
    assert!(code == -32000 && message.contains("at most 4000") && message.contains("txpool_contentFrom"), "{message}");
    let one = node.result("txpool_contentFrom", json!([node.address(1)])).await;
    assert_eq!(one["pending"].as_object().unwrap().len(), 1);
    let lines = node.result("txpool_inspect", json!([])).await;
    assert_eq!(lines["pending"].as_object().unwrap().len(), 2);
}

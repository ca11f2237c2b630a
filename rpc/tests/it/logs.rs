//! `eth_getLogs`.

use alloy_primitives::{Address, B256};
use serde_json::{Value, json};

use crate::harness::{Node, logging_contract};

const A: B256 = B256::repeat_byte(0xa);
const B: B256 = B256::repeat_byte(0xb);

/// Blocks 1: A, 2: nothing, 3: A and B, 4: B.
async fn with_logs(node: &Node) {
    node.block(&[node.create(0, 0, logging_contract(A))]).await;
    node.block(&[]).await;
    node.block(&[node.create(0, 1, logging_contract(A)), node.create(1, 0, logging_contract(B))]).await;
    node.block(&[node.create(1, 1, logging_contract(B))]).await;
}

fn blocks(logs: &Value) -> Vec<&str> {
    logs.as_array().unwrap().iter().map(|log| log["blockNumber"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn filters_select_by_block_address_and_topic() {
    let node = Node::start().await;
    with_logs(&node).await;
    let first = node.address(0).create(0);
    let third = node.result("eth_getBlockByNumber", json!(["0x3"])).await["hash"].clone();
    for (filter, expected) in [
        (json!({}), vec!["0x4"]),
        (json!({"fromBlock": "earliest"}), vec!["0x1", "0x3", "0x3", "0x4"]),
        (json!({"fromBlock": "0x1", "toBlock": "0x3"}), vec!["0x1", "0x3", "0x3"]),
        (json!({"fromBlock": "0x0", "toBlock": "finalized", "topics": [A]}), vec!["0x1", "0x3"]),
        (json!({"fromBlock": "0x0", "topics": [[A, B]]}), vec!["0x1", "0x3", "0x3", "0x4"]),
        (json!({"fromBlock": "0x0", "topics": [null, A]}), vec![]),
        (json!({"fromBlock": "0x0", "address": first}), vec!["0x1"]),
        (json!({"fromBlock": "0x0", "address": [first, Address::ZERO], "topics": []}), vec!["0x1"]),
        (json!({"blockHash": third}), vec!["0x3", "0x3"]),
        (json!({"blockHash": third, "topics": [B]}), vec!["0x3"]),
        (json!({"fromBlock": "0x2", "toBlock": "0x2"}), vec![]),
    ] {
        let logs = node.result("eth_getLogs", json!([filter])).await;
        assert_eq!(blocks(&logs), expected, "{filter}");
    }
    let logs = node.result("eth_getLogs", json!([{"blockHash": third}])).await;
    let receipts = node.result("eth_getBlockReceipts", json!([third])).await;
    let of_receipts: Vec<_> =
        receipts.as_array().unwrap().iter().flat_map(|receipt| receipt["logs"].as_array().unwrap()).collect();
    assert_eq!(logs.as_array().unwrap().iter().collect::<Vec<_>>(), of_receipts);
}

#[tokio::test]
async fn wrong_ranges_are_refused() {
    let node = Node::start().await;
    with_logs(&node).await;
    let hash = B256::repeat_byte(1);
    for (filter, part) in [
        (json!({"fromBlock": "0x3", "toBlock": "0x2"}), "fromBlock 0x3 is after toBlock 0x2"),
        (json!({"fromBlock": "0x0", "toBlock": "0x5"}), "extends beyond current head block"),
        (json!({"fromBlock": "0x5"}), "fromBlock 0x5 is after toBlock 0x4"),
        (json!({"blockHash": hash, "fromBlock": "0x0"}), "cannot specify both"),
        (json!({"fromBlock": "first"}), "filter.fromBlock"),
    ] {
        let (code, message) = node.fails("eth_getLogs", json!([filter])).await;
        assert_eq!(code, -32602, "{filter}: {message}");
        assert!(message.contains(part), "{filter}: {message}");
    }
    assert_eq!(node.fails("eth_getLogs", json!([{"blockHash": hash}])).await, (-32000, "unknown block".into()));
}

#[tokio::test]
async fn limits_say_how_to_go_on() {
    let node = Node::start_with(|config| {
        config.max_log_blocks = 4;
        config.max_log_results = 2;
    })
    .await;
    with_logs(&node).await;
    let query = |from: &str, to: &str| json!([{"fromBlock": from, "toBlock": to}]);
    assert_eq!(blocks(&node.result("eth_getLogs", query("0x1", "0x2")).await), ["0x1"]);
    let error = node.error("eth_getLogs", query("0x0", "0x4")).await;
    assert_eq!((&error["code"], &error["data"]), (&json!(-32602), &json!({"from": "0x0", "to": "0x3"})), "{error}");
    let error = node.error("eth_getLogs", query("0x1", "0x4")).await;
    assert_eq!((&error["code"], &error["data"]), (&json!(-32602), &json!({"from": "0x1", "to": "0x2"})), "{error}");
    assert!(error["message"].as_str().unwrap().contains("more than 2 logs; retry with the range 0x1 to 0x2"));
    assert_eq!(blocks(&node.result("eth_getLogs", query("0x3", "0x3")).await), ["0x3", "0x3"]);
}

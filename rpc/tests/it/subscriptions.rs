//! Subscriptions and calls over WebSocket.

use alloy_primitives::{Address, B256, keccak256};
use assent_rpc::{SyncProgress, SyncStatus};
use jsonrpsee::{
    core::client::{ClientT, Error, Subscription, SubscriptionClientT},
    rpc_params,
    ws_client::{WsClient, WsClientBuilder},
};
use serde_json::{Value, json};

use crate::harness::{Node, logging_contract};

async fn connect(node: &Node) -> WsClient {
    WsClientBuilder::new().build(format!("ws://{}", node.rpc.addr())).await.unwrap()
}

async fn subscribe(client: &WsClient, params: Value) -> Subscription<Value> {
    let params = params.as_array().unwrap().clone();
    client.subscribe("eth_subscribe", params, "eth_unsubscribe").await.unwrap()
}

#[tokio::test]
async fn calls_and_errors_are_as_over_http() {
    let node = Node::start().await;
    let client = connect(&node).await;
    assert_eq!(client.request::<Value, _>("eth_chainId", rpc_params![]).await.unwrap(), "0x7a69");
    let error = client.request::<Value, _>("eth_foo", rpc_params![]).await.unwrap_err();
    let Error::Call(error) = error else { panic!("{error}") };
    assert_eq!((error.code(), error.message()), (-32601, "the method eth_foo does not exist/is not available"));
    let error = client.request::<Value, _>("eth_subscribe", rpc_params!["heads"]).await.unwrap_err();
    let Error::Call(error) = error else { panic!("{error}") };
    assert_eq!(error.code(), -32602);
}

#[tokio::test]
async fn new_heads_come_one_by_one() {
    let node = Node::start().await;
    let client = connect(&node).await;
    node.block(&[]).await;
    let mut heads = subscribe(&client, json!(["newHeads"])).await;
    for number in 2..6 {
        let block = node.block(&[]).await;
        let head = heads.next().await.unwrap().unwrap();
        assert_eq!((&head["number"], &head["hash"]), (&json!(format!("{number:#x}")), &json!(block.hash())));
        assert!(head.get("parentHash").is_some() && head.get("transactions").is_none(), "{head}");
    }
    heads.unsubscribe().await.unwrap();
}

#[tokio::test]
async fn logs_come_as_filtered() {
    let node = Node::start().await;
    let client = connect(&node).await;
    let (a, b) = (B256::repeat_byte(0xa), B256::repeat_byte(0xb));
    let mut logs = subscribe(&client, json!(["logs", {"topics": [b]}])).await;
    node.block(&[node.create(0, 0, logging_contract(a))]).await;
    node.block(&[node.create(0, 1, logging_contract(a)), node.create(1, 0, logging_contract(b))]).await;
    let log = logs.next().await.unwrap().unwrap();
    assert_eq!((&log["topics"], &log["blockNumber"]), (&json!([b]), &json!("0x2")));
    let same = client.request::<Value, _>("eth_getLogs", rpc_params![json!({"topics": [b]})]).await.unwrap();
    assert_eq!(same, json!([log]));
}

#[tokio::test]
async fn pending_transactions_come_when_they_can_run() {
    let node = Node::start().await;
    let client = connect(&node).await;
    let mut hashes = subscribe(&client, json!(["newPendingTransactions"])).await;
    let mut full = subscribe(&client, json!(["newPendingTransactions", true])).await;
    let raw = [1, 0].map(|nonce| node.transfer(0, nonce, Address::ZERO, 1));
    for raw in &raw {
        node.result("eth_sendRawTransaction", json!([raw])).await;
    }
    // The second makes the first executable.
    for raw in raw.iter().rev() {
        assert_eq!(hashes.next().await.unwrap().unwrap(), json!(keccak256(raw)));
        let tx = full.next().await.unwrap().unwrap();
        assert_eq!((&tx["hash"], &tx["blockHash"]), (&json!(keccak256(raw)), &Value::Null));
    }
}

#[tokio::test]
async fn subscriptions_are_limited() {
    let node = Node::start_with(|config| config.max_subscriptions = 2).await;
    let client = connect(&node).await;
    let first = subscribe(&client, json!(["newHeads"])).await;
    let _second = subscribe(&client, json!(["newHeads"])).await;
    let third: Result<Subscription<Value>, _> =
        client.subscribe("eth_subscribe", rpc_params!["newHeads"], "eth_unsubscribe").await;
    assert!(third.is_err());
    first.unsubscribe().await.unwrap();
}

#[tokio::test]
async fn falling_behind_and_catching_up_are_told_once_each() {
    let node = Node::start().await;
    let client = connect(&node).await;
    let mut told = subscribe(&client, json!(["syncing"])).await;
    assert_eq!(told.next().await.unwrap().unwrap(), json!(false));
    let set = |syncing| node.status.send_modify(|status| std::sync::Arc::make_mut(status).syncing = syncing);
    set(SyncStatus::Syncing(SyncProgress { starting_block: 1, current_block: 2, highest_block: 255 }));
    let behind = told.next().await.unwrap().unwrap();
    assert_eq!((&behind["syncing"], &behind["status"]["highestBlock"]), (&json!(true), &json!("0xff")));
    set(SyncStatus::Synced);
    assert_eq!(told.next().await.unwrap().unwrap(), json!(false));
}

//! What a client asks of the chain as a whole and of accounts.

use alloy_primitives::{Address, B256, U256, keccak256};
use assent_chain::{ChainOptions, History};
use assent_rpc::{NodeStatus, PeerStatus, QuorumStatus, SyncProgress, SyncStatus};
use serde_json::json;

use crate::harness::{Node, logging_contract};

#[tokio::test]
async fn the_chain_and_the_node() {
    let node = Node::start().await;
    node.blocks(2).await;
    for (method, expected) in [
        ("eth_chainId", json!("0x7a69")),
        ("net_version", json!("31337")),
        ("net_listening", json!(true)),
        ("net_peerCount", json!("0x0")),
        ("web3_clientVersion", json!("assent/test")),
        ("eth_blockNumber", json!("0x2")),
        ("eth_accounts", json!([])),
        ("eth_syncing", json!(false)),
        ("eth_gasPrice", json!("0x0")),
        ("eth_maxPriorityFeePerGas", json!("0x0")),
    ] {
        assert_eq!(node.result(method, json!([])).await, expected, "{method}");
    }
    assert_eq!(node.result("web3_sha3", json!(["0x68656c6c6f"])).await, json!(keccak256("hello")));
}

#[tokio::test]
async fn prices_are_the_least_that_is_taken() {
    let fees = |base_fee, min_gas_price| {
        Node::start_network(move |plan| plan.fees = assent_genesis::FeeParams { base_fee, min_gas_price }, |_| ())
    };
    let node = fees(7, 10).await;
    assert_eq!(node.result("eth_gasPrice", json!([])).await, "0xa");
    assert_eq!(node.result("eth_maxPriorityFeePerGas", json!([])).await, "0x3");
    let node = fees(7, 0).await;
    assert_eq!(node.result("eth_gasPrice", json!([])).await, "0x7");
    assert_eq!(node.result("eth_maxPriorityFeePerGas", json!([])).await, "0x0");
}

#[tokio::test]
async fn the_status_is_what_the_node_says_with_the_head_of_now() {
    let node = Node::start().await;
    node.status.send_modify(|status| {
        let peer = |connected| PeerStatus { connected, ..PeerStatus::default() };
        *std::sync::Arc::make_mut(status) = NodeStatus {
            node_name: "node7".into(),
            validator: Some(40),
            quorum: QuorumStatus::new(100, 60),
            syncing: SyncStatus::Syncing(SyncProgress { starting_block: 1, current_block: 2, highest_block: 300 }),
            peers: vec![peer(true), peer(false), peer(true)],
            ..NodeStatus::default()
        };
    });
    let block = node.block(&[]).await;
    let status = node.result("assent_status", json!([])).await;
    assert_eq!(status["nodeName"], "node7");
    assert_eq!(status["validator"], 40);
    assert_eq!(status["quorum"], json!({"total": 100, "heard": 60, "needed": 67, "missing": 7}));
    assert_eq!(status["head"], json!({"number": 1, "hash": block.hash(), "timestampMs": block.time_ms()}));
    assert_eq!(node.result("net_peerCount", json!([])).await, "0x2");
    assert_eq!(
        node.result("eth_syncing", json!([])).await,
        json!({"startingBlock": "0x1", "currentBlock": "0x2", "highestBlock": "0x12c"})
    );
}

#[tokio::test]
async fn accounts_at_all_kinds_of_blocks() {
    let node = Node::start().await;
    let to = Address::repeat_byte(0x42);
    let first = node.block(&[node.transfer(0, 0, to, 100)]).await;
    node.block(&[node.transfer(0, 1, to, 23)]).await;
    let balance = |block| node.result("eth_getBalance", json!([to, block]));
    for tag in ["latest", "safe", "finalized", "pending", "0x2", "0x02"] {
        assert_eq!(balance(json!(tag)).await, "0x7b", "{tag}");
    }
    assert_eq!(node.result("eth_getBalance", json!([to])).await, "0x7b");
    assert_eq!(node.result("eth_getBalance", json!([to, null])).await, "0x7b");
    assert_eq!(balance(json!("earliest")).await, "0x0");
    for block in [
        json!("0x1"),
        json!(1),
        json!(first.hash()),
        json!({"blockNumber": "0x1"}),
        json!({"blockHash": first.hash()}),
        json!({"blockHash": first.hash(), "requireCanonical": true}),
    ] {
        assert_eq!(balance(block.clone()).await, "0x64", "{block}");
    }
    let upper = format!("0x{}", "AB".repeat(20));
    assert_eq!(node.result("eth_getBalance", json!([upper])).await, "0x0");
}

#[tokio::test]
async fn states_that_are_no_longer_kept_say_so() {
    let options = ChainOptions { history: History::Blocks(128), ..ChainOptions::default() };
    let node = Node::launch(|_| (), options, |_| ()).await;
    node.blocks(140).await;
    let address = node.address(0);
    for (method, params) in [
        ("eth_getBalance", json!([address, "0x2"])),
        ("eth_getStorageAt", json!([address, "0x0", "earliest"])),
        ("eth_call", json!([{"to": address}, "0x2"])),
    ] {
        let (code, message) = node.fails(method, params).await;
        assert_eq!(code, -32000, "{message}");
        assert!(message.contains("pruned") && message.contains("use a more recent block"), "{message}");
    }
    // Blocks are kept.
    assert_eq!(node.result("eth_getBlockByNumber", json!(["0x2"])).await["number"], "0x2");
    assert_eq!(node.result("assent_getCertificate", json!(["0x2"])).await["number"], 2);
}

#[tokio::test]
async fn nonces_count_on_from_the_mempool_when_pending() {
    let node = Node::start().await;
    node.block(&[node.transfer(0, 0, Address::ZERO, 1)]).await;
    let count = |block| node.result("eth_getTransactionCount", json!([node.address(0), block]));
    assert_eq!(count("latest").await, "0x1");
    assert_eq!(count("pending").await, "0x1");
    for nonce in [1, 2, 5] {
        node.result("eth_sendRawTransaction", json!([node.transfer(0, nonce, Address::ZERO, 1)])).await;
    }
    assert_eq!(count("latest").await, "0x1");
    assert_eq!(count("pending").await, "0x3", "5 has to wait for 3");
    assert_eq!(count("earliest").await, "0x0");
}

#[tokio::test]
async fn code_and_storage() {
    let node = Node::start().await;
    node.block(&[node.create(0, 0, logging_contract(B256::ZERO))]).await;
    let contract = node.address(0).create(0);
    assert_eq!(node.result("eth_getCode", json!([contract])).await, "0x00");
    assert_eq!(node.result("eth_getCode", json!([contract, "0x0"])).await, "0x");
    assert_eq!(node.result("eth_getCode", json!([node.address(0)])).await, "0x");
    let expected = json!(B256::from(U256::from(42)));
    for slot in [json!("0x0"), json!("0x00"), json!(B256::ZERO), json!(0)] {
        assert_eq!(node.result("eth_getStorageAt", json!([contract, slot, "latest"])).await, expected, "{slot}");
    }
    assert_eq!(node.result("eth_getStorageAt", json!([contract, "0x1"])).await, json!(B256::ZERO));
    assert_eq!(node.result("eth_getStorageAt", json!([contract, "0x0", "earliest"])).await, json!(B256::ZERO));
}

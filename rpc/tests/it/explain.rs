//! What became of a transaction, or why it waits.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use assent_rpc::{QuorumStatus, SilentValidator};
use serde_json::{Value, json};

use crate::harness::Node;
use crate::history::deploying;
use crate::traces::World;

async fn explained(node: &Node, raw: &Bytes) -> (String, String, Value) {
    let answer = node.result("assent_explainTransaction", json!([keccak256(raw)])).await;
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    (text("status"), text("explanation"), answer.clone())
}

#[tokio::test]
async fn what_waits_says_for_what() {
    let node = Node::start().await;
    let to = Address::repeat_byte(1);
    let raw = [0u64, 1, 3].map(|nonce| node.transfer(0, nonce, to, 1));
    for raw in &raw {
        node.result("eth_sendRawTransaction", json!([raw])).await;
    }
    let (status, text, _) = explained(&node, &raw[0]).await;
    assert!(status == "pending" && text == "it is ready and will be in one of the next blocks", "{text}");
    let (status, text, answer) = explained(&node, &raw[1]).await;
    assert_eq!(answer["ahead"], 1);
    assert!(status == "pending" && text.ends_with("after 1 others"), "{text}");
    let (status, text, answer) = explained(&node, &raw[2]).await;
    assert!(status == "queued" && text.contains("with nonce 2 has to come first"), "{text}");
    assert_eq!((&answer["missingNonce"], &answer["nonce"]), (&json!(2), &json!(3)));

    node.status.send_modify(|status| {
        let status = std::sync::Arc::make_mut(status);
        status.quorum = QuorumStatus::new(100, 60);
        status.silent = vec![SilentValidator { name: "node0".into(), weight: 40, ..SilentValidator::default() }];
    });
    let (_, text, _) = explained(&node, &raw[0]).await;
    assert!(text.contains("weight 60 of 100 are heard, 67 are needed") && text.contains("7 more"), "{text}");
    assert!(text.ends_with("Silent are: node0 (40)"), "{text}");

    // More than half of what the account has, twice, the later one first.
    let half = node.chain.latest_state().balance(&node.address(1)).unwrap() / U256::from(2) + U256::ONE;
    let [first, second] = [0u64, 1].map(|nonce| node.transfer(1, nonce, to, half));
    for raw in [&second, &first] {
        node.result("eth_sendRawTransaction", json!([raw])).await;
    }
    let (status, text, answer) = explained(&node, &second).await;
    assert!(status == "queued" && text.contains("does not pay for it"), "{text}");
    assert!(answer.get("missingNonce").is_none());

    let (status, text, _) = explained(&node, &node.transfer(5, 9, to, 1)).await;
    assert!(status == "unknown" && text.contains("send it again"), "{text}");
    let (code, _) = node.fails("assent_explainTransaction", json!(["0x12"])).await;
    assert_eq!(code, -32602);
}

#[tokio::test]
async fn what_is_final_says_how_it_ended() {
    let world = World::new().await;
    let node = &world.node;
    let good = world.through_relay(0, world.cell, &B256::with_last_byte(1).0);
    let bad = world.through_relay(1, world.fail, &[]);
    // Code that never ends, with all the gas that it is given.
    let endless = node.create(2, 0, Bytes::from_static(&crate::harness::ENDLESS_CODE));
    node.block(&[good.clone(), bad.clone(), endless.clone(), node.create(3, 0, deploying(&[0]))]).await;
    let (status, text, answer) = explained(node, &good).await;
    assert!(status == "final" && text == "it is final in block 2 and succeeded", "{text}");
    assert_eq!((&answer["block"], &answer["success"], &answer["fee"]), (&json!(2), &json!(true), &json!("0x0")));
    let (_, text, answer) = explained(node, &bad).await;
    assert_eq!(text, "it is final in block 2 and failed: execution reverted");
    assert_eq!(answer["success"], false);
    let (_, text, _) = explained(node, &endless).await;
    assert!(text.contains("used up its gas limit of 200000"), "{text}");
}

#[tokio::test]
async fn what_is_gone_says_why() {
    let node = Node::start().await;
    let to = Address::repeat_byte(1);
    let poor = node.transfer(0, 0, to, U256::from(10).pow(U256::from(24)));
    assert_eq!(node.fails("eth_sendRawTransaction", json!([poor])).await.0, -32000);
    let (status, text, _) = explained(&node, &poor).await;
    assert!(status == "dropped" && text.contains("insufficient funds for gas * price + value (balance"), "{text}");

    let [first, second] = [1u64, 2].map(|value| node.transfer(0, 0, to, value));
    for raw in [&first, &second] {
        node.result("eth_sendRawTransaction", json!([raw])).await;
    }
    let (status, text, answer) = explained(&node, &first).await;
    assert!(status == "replaced" && text.contains("same nonce"), "{text}");
    assert_eq!(answer["by"], json!(keccak256(&second)));
    // Whatever the mempool remembers, a block has the last word.
    node.block(&[]).await;
    assert_eq!(explained(&node, &second).await.0, "final");
}

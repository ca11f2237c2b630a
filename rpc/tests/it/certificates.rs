//! `assent_validators`, `assent_getSeal` and `assent_getCertificate`.

use alloy_primitives::{Bytes, hex};
use serde_json::{Value, json};

use crate::harness::{Node, certificate};

#[tokio::test]
async fn validators_with_names_and_weights() {
    let node = Node::start().await;
    let block = node.block(&[]).await;
    let latest = node.result("assent_validators", json!([])).await;
    for params in [json!(["latest"]), json!(["0x0"]), json!([block.hash()]), json!([1])] {
        assert_eq!(node.result("assent_validators", params).await, latest);
    }
    assert_eq!((&latest["epoch"], &latest["total"], &latest["needed"]), (&json!(0), &json!(100), &json!(67)));
    assert_eq!(latest["hash"], json!(block.block().seal().validator_set));
    let validators = latest["validators"].as_array().unwrap();
    assert_eq!(validators.len(), 4);
    for (validator, spec) in validators.iter().zip(&node.genesis.assent.validators) {
        assert_eq!((&validator["name"], &validator["weight"]), (&json!(spec.name), &json!(spec.stake)));
        assert_eq!(validator["key"], json!(hex::encode_prefixed(spec.key.0)));
    }
}

#[tokio::test]
async fn a_certificate_names_its_signers() {
    let node = Node::start().await;
    node.block(&[]).await;
    let block = node.block(&[]).await;
    let answer = node.result("assent_getCertificate", json!(["0x2"])).await;
    let key = |index: usize| json!(hex::encode_prefixed(node.genesis.assent.validators[index].key.0));
    assert_eq!(
        answer,
        json!({
            "phase": "commit", "epoch": 0, "view": 2, "block": block.hash(), "number": 2, "weight": 70, "total": 100,
            "signers": [
                {"index": 0, "name": "node0", "key": key(0), "weight": 40, "signature": format!("0x{}", "aa".repeat(64))},
                {"index": 1, "name": "node1", "key": key(1), "weight": 30, "signature": format!("0x{}", "bb".repeat(64))},
            ],
            "raw": Bytes::from(certificate(2, block.hash())),
        })
    );
    assert_eq!(node.result("assent_getCertificate", json!([])).await, answer);
    assert_eq!(node.result("assent_getCertificate", json!([block.hash()])).await, answer);
    assert_eq!(node.result("assent_getCertificate", json!(["earliest"])).await, Value::Null);
}

#[tokio::test]
async fn a_seal_names_the_proposer() {
    let node = Node::start().await;
    let block = node.block(&[]).await;
    let seal = block.block().seal();
    let answer = node.result("assent_getSeal", json!(["0x1"])).await;
    assert_eq!(
        answer,
        json!({
            "epoch": 0, "view": 1, "proposer": 0, "proposerName": "node0", "timestampMs": seal.time_ms,
            "parentCertificate": seal.parent_certificate, "validatorSet": seal.validator_set, "evidence": [],
        })
    );
    assert_eq!(node.result("assent_getSeal", json!([])).await, answer);
    assert_eq!(node.result("assent_getSeal", json!([block.hash()])).await, answer);
    for params in [json!(["earliest"]), json!(["0x63"])] {
        assert_eq!(node.result("assent_getSeal", params).await, Value::Null);
    }
}

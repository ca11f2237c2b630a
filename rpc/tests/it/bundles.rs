//! `assent_getProofBundle`: what is proven, and to whom.

use alloy_primitives::{Address, B256, U256};
use assent_consensus::Epoch;
use assent_rpc::{BundleError, ProofBundle, Trust};
use serde_json::{Value, json};

use crate::harness::Node;

async fn bundle(node: &Node, params: Value) -> ProofBundle {
    serde_json::from_value(node.result("assent_getProofBundle", params).await).unwrap()
}

fn trust(node: &Node) -> Trust {
    let set = node.genesis.validator_set(Epoch(0), node.genesis.ethereum.timestamp).unwrap();
    Trust { genesis: node.genesis.hash(), validators: B256::new(set.hash().0) }
}

#[tokio::test]
async fn a_block_with_prepare_votes_only_is_proven_by_the_one_that_made_it_final() {
    let node = Node::start().await;
    let raw = node.transfer(0, 0, Address::repeat_byte(7), 5u64);
    node.result("eth_sendRawTransaction", json!([raw])).await;
    let [first, second] = node.two_at_once().await;
    let found = bundle(&node, json!([Address::repeat_byte(7), ["0x0"], "0x1"])).await;
    assert_eq!((found.headers.len(), found.balance), (2, U256::from(5)));
    let header = found.verify(&node.genesis).unwrap();
    assert_eq!(header.hash_slow(), first.hash());
    assert_eq!(found.verify_trusting(&trust(&node)).unwrap(), header);
    let certificate = node.result("assent_getCertificate", json!(["0x1"])).await;
    assert_eq!((&certificate["phase"], &certificate["block"]), (&json!("commit"), &json!(second.hash())));
}

#[tokio::test]
async fn two_hashes_are_enough_to_trust_and_both_are_needed() {
    let node = Node::start().await;
    node.two_at_once().await;
    let trust = trust(&node);
    let good = bundle(&node, json!([node.address(0), [], "latest"])).await;
    good.verify_trusting(&trust).unwrap();
    let told = node.result("assent_validators", json!([])).await;
    assert_eq!(told["hash"], json!(trust.validators), "what an operator can read aloud");
    let other = Trust { genesis: B256::ZERO, ..trust };
    assert!(matches!(good.verify_trusting(&other), Err(BundleError::OtherChain { .. })));
    let other = Trust { validators: B256::ZERO, ..trust };
    assert!(matches!(good.verify_trusting(&other), Err(BundleError::Validators { .. })));

    // Votes of validators that the liar chose himself.
    let mut forged = good.clone();
    forged.validators.iter_mut().for_each(|validator| validator.weight += 1);
    assert!(matches!(forged.verify_trusting(&trust), Err(BundleError::Validators { .. })));
    forged.validators.clear();
    assert!(matches!(forged.verify(&node.genesis), Err(BundleError::Validators { .. })));
    let mut later = good.clone();
    later.epoch = 1;
    assert!(matches!(later.verify_trusting(&trust), Err(BundleError::Validators { .. })));
    assert!(matches!(
        later.verify(&node.genesis),
        Err(BundleError::Validators { .. } | BundleError::Certificate { .. })
    ));
}

#[tokio::test]
async fn an_account_that_is_not_there_is_proven_as_well() {
    let node = Node::start().await;
    node.two_at_once().await;
    for block in ["0x0", "0x2"] {
        let found = bundle(&node, json!([Address::repeat_byte(0x56), ["0x1"], block])).await;
        assert_eq!((found.balance, found.nonce), (U256::ZERO, 0));
        found.verify(&node.genesis).unwrap();
        let mut rich = found.clone();
        rich.balance = U256::from(1);
        assert!(matches!(rich.verify(&node.genesis), Err(BundleError::State { .. })), "{block}");
        let mut hidden = bundle(&node, json!([node.address(0), [], block])).await;
        (hidden.balance, hidden.nonce) = (U256::ZERO, 0);
        assert!(matches!(hidden.verify(&node.genesis), Err(BundleError::State { .. })), "{block}");
    }
}

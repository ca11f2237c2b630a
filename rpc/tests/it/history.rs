//! Old states: read, called and proven.

use alloy_primitives::{Address, B256, Bytes, U256, hex, keccak256};
use alloy_trie::{Nibbles, TrieAccount, proof::verify_proof};
use serde_json::{Value, json};

use crate::harness::Node;

/// SSTORE(0, the word that it is sent); a call with nothing returns SLOAD(0).
pub const CELL: [u8; 22] = hex!("36600f5760005460005260206000f35b600035600055");

pub fn deploying(code: &[u8]) -> Bytes {
    let mut init = hex!("60ff80600b6000396000f3").to_vec();
    init[1] = u8::try_from(code.len()).unwrap();
    init.extend_from_slice(code);
    init.into()
}

fn bytes(value: &Value) -> Vec<Bytes> {
    serde_json::from_value(value.clone()).unwrap()
}

#[tokio::test]
async fn every_block_has_its_state() {
    let node = Node::start().await;
    let to = Address::repeat_byte(0x77);
    for nonce in 0..150 {
        node.block(&[node.transfer(0, nonce, to, 1)]).await;
    }
    for number in [0u64, 1, 2, 77, 150] {
        let at = format!("{number:#x}");
        assert_eq!(node.result("eth_getBalance", json!([to, at])).await, json!(format!("{number:#x}")));
        assert_eq!(node.result("eth_getTransactionCount", json!([node.address(0), at])).await, json!(at));
        let proof = node.result("eth_getProof", json!([to, ["0x0"], at])).await;
        assert_eq!(proof["balance"], json!(at));
        assert_eq!(proof["storageProof"], json!([{"key": "0x0", "value": "0x0", "proof": []}]));
        let header = node.result("eth_getBlockByNumber", json!([at, false])).await;
        let root: B256 = serde_json::from_value(header["stateRoot"].clone()).unwrap();
        let hash = |name: &str| serde_json::from_value::<B256>(proof[name].clone()).unwrap();
        let account = TrieAccount::new(0, U256::from(number), hash("storageHash"), hash("codeHash"));
        let leaf = (number > 0).then(|| alloy_rlp::encode(account));
        verify_proof(root, Nibbles::unpack(keccak256(to)), leaf, &bytes(&proof["accountProof"])).unwrap();
    }
    let (code, message) = node.fails("eth_getBalance", json!([to, "0x97"])).await;
    assert_eq!((code, message.as_str()), (-32000, "header not found"));
}

#[tokio::test]
async fn calls_see_the_storage_of_their_block() {
    let node = Node::start().await;
    node.block(&[node.create(0, 0, deploying(&CELL))]).await;
    let cell = node.address(0).create(0);
    let store = |nonce: u64, value: u64| node.call_contract(1, nonce, cell, U256::from(value).to_be_bytes_vec());
    for value in 1..5u64 {
        node.block(&[store(value - 1, value)]).await;
    }
    for number in 1..=5u64 {
        let at = format!("{number:#x}");
        let expected = json!(B256::from(U256::from(number - 1)));
        assert_eq!(node.result("eth_getStorageAt", json!([cell, "0x0", at])).await, expected);
        assert_eq!(node.result("eth_call", json!([{"to": cell}, at])).await, expected);
    }
    let key = B256::ZERO.to_string();
    let proof = node.result("eth_getProof", json!([cell, [key], "0x1"])).await;
    assert_eq!(proof["storageProof"][0]["key"], json!(key), "as it was asked");
    let many = vec!["0x0"; 1025];
    let (code, message) = node.fails("eth_getProof", json!([cell, many])).await;
    assert_eq!((code, message.as_str()), (-32602, "too many keys (got 1025, max 1024)"));
}

//! Blocks in all forms.

use alloy_consensus::Header;
use alloy_primitives::{Address, keccak256};
use serde_json::{Value, json};

use crate::harness::Node;

#[tokio::test]
async fn a_block_has_every_field_and_its_hash_can_be_computed_again() {
    let node = Node::start().await;
    let raw = node.transfer(0, 0, Address::ZERO, 1);
    let block = node.block(std::slice::from_ref(&raw)).await;
    let json = node.result("eth_getBlockByNumber", json!(["latest", false])).await;
    for field in [
        "hash",
        "parentHash",
        "sha3Uncles",
        "miner",
        "stateRoot",
        "transactionsRoot",
        "receiptsRoot",
        "logsBloom",
        "difficulty",
        "number",
        "gasLimit",
        "gasUsed",
        "timestamp",
        "extraData",
        "mixHash",
        "nonce",
        "baseFeePerGas",
        "size",
        "uncles",
        "transactions",
        "withdrawals",
    ] {
        assert!(json.get(field).is_some_and(|value| !value.is_null()), "{field}: {json}");
    }
    assert_eq!(json["uncles"], json!([]));
    assert_eq!(json["nonce"], "0x0000000000000000");
    assert_eq!(json["extraData"].as_str().unwrap().len(), 66);
    assert_eq!(json["transactions"], json!([keccak256(&raw)]));
    assert_eq!(json["hash"], json!(block.hash()));
    let header: Header = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(header.hash_slow(), block.hash());
    let typed: alloy_rpc_types_eth::Block = serde_json::from_value(json).unwrap();
    assert_eq!(typed.header.size.unwrap().to::<usize>(), block.block().ethereum_size());
}

#[tokio::test]
async fn by_number_tag_and_hash_with_and_without_transactions() {
    let node = Node::start().await;
    let raw = node.transfer(0, 0, Address::ZERO, 1);
    let block = node.block(std::slice::from_ref(&raw)).await;
    let latest = node.result("eth_getBlockByNumber", json!(["latest", true])).await;
    for tag in ["safe", "finalized", "pending", "0x1"] {
        assert_eq!(node.result("eth_getBlockByNumber", json!([tag, true])).await, latest, "{tag}");
    }
    assert_eq!(node.result("eth_getBlockByHash", json!([block.hash(), true])).await, latest);
    let tx = node.result("eth_getTransactionByHash", json!([keccak256(&raw)])).await;
    assert_eq!(latest["transactions"], json!([tx]));
    let short = node.result("eth_getBlockByHash", json!([block.hash()])).await;
    assert_eq!(short["transactions"], json!([keccak256(&raw)]));
    let genesis = node.result("eth_getBlockByNumber", json!(["earliest", true])).await;
    assert_eq!((&genesis["number"], &genesis["hash"]), (&json!("0x0"), &json!(node.genesis.hash())));
    assert_eq!(genesis["transactions"], json!([]));
    for (method, params) in [
        ("eth_getBlockTransactionCountByNumber", json!(["latest"])),
        ("eth_getBlockTransactionCountByHash", json!([block.hash()])),
    ] {
        assert_eq!(node.result(method, params).await, "0x1", "{method}");
    }
    assert_eq!(node.result("eth_getUncleCountByBlockNumber", json!(["0x1"])).await, "0x0");
    assert_eq!(node.result("eth_getUncleCountByBlockHash", json!([block.hash()])).await, "0x0");
}

#[tokio::test]
async fn fee_history() {
    let node =
        Node::start_network(|plan| plan.fees = assent_genesis::FeeParams { base_fee: 4, min_gas_price: 0 }, |_| ())
            .await;
    node.block(&[]).await;
    node.block(&[node.legacy(0, 0, 5), node.legacy(1, 0, 14)]).await;
    let history = node.result("eth_feeHistory", json!(["0xa", "latest", [20, 80]])).await;
    assert_eq!(history["oldestBlock"], "0x0");
    assert_eq!(history["baseFeePerGas"], json!(["0x4", "0x4", "0x4", "0x4"]));
    assert_eq!(history["reward"], json!([["0x0", "0x0"], ["0x0", "0x0"], ["0x1", "0xa"]]));
    let ratios = history["gasUsedRatio"].as_array().unwrap();
    assert_eq!((ratios.len(), ratios[1].as_f64()), (3, Some(0.0)));
    assert!(ratios[2].as_f64().unwrap() > 0.0);
    let plain = node.result("eth_feeHistory", json!([1, "0x1"])).await;
    assert_eq!((&plain["oldestBlock"], plain.get("reward")), (&json!("0x1"), None::<&Value>));
    assert_eq!(plain["baseFeePerGas"], json!(["0x4", "0x4"]));
}

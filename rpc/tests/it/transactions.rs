//! Sending transactions and finding them again.

use alloy_primitives::{Address, B256, Bytes, keccak256};
use serde_json::{Value, json};

use crate::harness::{Node, logging_contract};

#[tokio::test]
async fn from_pending_to_a_receipt() {
    let node = Node::start().await;
    let to = Address::repeat_byte(0x42);
    let raw = node.transfer(0, 0, to, 5);
    let hash = json!(keccak256(&raw));
    assert_eq!(node.result("eth_sendRawTransaction", json!([raw])).await, hash);

    let pending = node.result("eth_getTransactionByHash", json!([hash])).await;
    assert_eq!(pending["hash"], hash);
    assert_eq!(pending["from"], json!(node.address(0)));
    for field in ["blockHash", "blockNumber", "transactionIndex"] {
        assert_eq!(pending.get(field), Some(&Value::Null), "{field}");
    }
    assert_eq!(node.result("eth_getTransactionReceipt", json!([hash])).await, Value::Null);

    let block = node.block(&[]).await;
    let placed = node.result("eth_getTransactionByHash", json!([hash])).await;
    assert_eq!(placed["blockHash"], json!(block.hash()));
    assert_eq!((&placed["blockNumber"], &placed["transactionIndex"]), (&json!("0x1"), &json!("0x0")));
    assert_eq!((&placed["type"], &placed["value"], &placed["to"]), (&json!("0x2"), &json!("0x5"), &json!(to)));
    for field in
        ["nonce", "gas", "input", "r", "s", "v", "yParity", "accessList", "maxFeePerGas", "gasPrice", "chainId"]
    {
        assert!(placed.get(field).is_some(), "{field}: {placed}");
    }
    let by_number = node.result("eth_getTransactionByBlockNumberAndIndex", json!(["latest", "0x0"])).await;
    let by_hash = node.result("eth_getTransactionByBlockHashAndIndex", json!([block.hash(), 0])).await;
    assert_eq!((&by_number, &by_hash), (&placed, &placed));

    let receipt = node.result("eth_getTransactionReceipt", json!([hash])).await;
    assert_eq!(
        receipt,
        json!({
            "type": "0x2", "status": "0x1", "cumulativeGasUsed": "0x5208", "gasUsed": "0x5208", "logs": [],
            "logsBloom": format!("0x{}", "00".repeat(256)), "transactionHash": hash, "transactionIndex": "0x0",
            "blockHash": block.hash(), "blockNumber": "0x1", "from": node.address(0), "to": to,
            "contractAddress": null, "effectiveGasPrice": "0x0",
        })
    );
}

#[tokio::test]
async fn contracts_and_logs_in_receipts() {
    let node = Node::start().await;
    let topic = B256::repeat_byte(7);
    let create = |from| node.create(from, 0, logging_contract(topic));
    let transactions = [create(0), node.transfer(1, 0, Address::ZERO, 1), create(2)];
    let block = node.block(&transactions).await;
    assert_eq!(block.block().transactions().len(), 3);
    let receipts = node.result("eth_getBlockReceipts", json!(["latest"])).await;
    let receipts = receipts.as_array().unwrap();
    assert_eq!(receipts.len(), 3);
    let mut logs_before = 0;
    let mut gas_before = 0;
    for (index, receipt) in receipts.iter().enumerate() {
        let alone = node.result("eth_getTransactionReceipt", json!([receipt["transactionHash"]])).await;
        assert_eq!(&alone, receipt);
        assert_eq!(receipt["transactionIndex"], json!(format!("{index:#x}")));
        let quantity = |name: &str| u64::from_str_radix(&receipt[name].as_str().unwrap()[2..], 16).unwrap();
        gas_before += quantity("gasUsed");
        assert_eq!(quantity("cumulativeGasUsed"), gas_before);
        for log in receipt["logs"].as_array().unwrap() {
            assert_eq!(log["logIndex"], json!(format!("{logs_before:#x}")));
            assert_eq!(log["address"], receipt["contractAddress"]);
            assert_eq!(log["topics"], json!([topic]));
            assert_eq!((&log["transactionHash"], &log["removed"]), (&receipt["transactionHash"], &json!(false)));
            logs_before += 1;
        }
    }
    assert_eq!(logs_before, 2);
}

#[tokio::test]
async fn a_legacy_transaction_keeps_its_shape() {
    let node = Node::start().await;
    let raw = node.legacy(3, 0, 9);
    node.block(std::slice::from_ref(&raw)).await;
    let tx = node.result("eth_getTransactionByHash", json!([keccak256(&raw)])).await;
    assert_eq!((&tx["type"], &tx["gasPrice"]), (&json!("0x0"), &json!("0x9")));
    assert!(tx.get("maxFeePerGas").is_none() && tx.get("accessList").is_none(), "{tx}");
    let receipt = node.result("eth_getTransactionReceipt", json!([keccak256(&raw)])).await;
    assert_eq!((&receipt["type"], &receipt["effectiveGasPrice"]), (&json!("0x0"), &json!("0x9")));
}

#[tokio::test]
async fn refusals_of_the_mempool_reach_the_client_in_its_words() {
    let node = Node::start().await;
    let raw = node.transfer(0, 0, Address::ZERO, 5);
    node.result("eth_sendRawTransaction", json!([raw])).await;
    let error = node.error("eth_sendRawTransaction", json!([raw])).await;
    assert_eq!((&error["code"], &error["message"]), (&json!(-32000), &json!("already known")));
    assert!(error["data"].is_string(), "{error}");
    node.block(&[]).await;
    let low = node.fails("eth_sendRawTransaction", json!([node.transfer(0, 0, Address::ZERO, 6)])).await;
    assert_eq!(low, (-32000, "nonce too low".into()));
    let mut blob = vec![3];
    blob.extend_from_slice(&raw[1..]);
    let blob = node.fails("eth_sendRawTransaction", json!([Bytes::from(blob)])).await;
    assert_eq!(blob, (-32000, "transaction type not supported".into()));
    let (code, _) = node.fails("eth_sendRawTransaction", json!(["0x"])).await;
    assert_eq!(code, -32000);
}

//! What Otterscan asks for.

use alloy_primitives::{B256, Bytes, U256, keccak256};
use serde_json::{Value, json};

use crate::history::deploying;
use crate::traces::World;

#[tokio::test]
async fn a_block_and_its_pages() {
    let world = World::new().await;
    let node = &world.node;
    assert_eq!(node.result("ots_getApiLevel", json!([])).await, 8);
    let block = node.result("eth_getBlockByNumber", json!(["0x1", false])).await;
    for method in ["erigon_getHeaderByNumber", "eth_getHeaderByNumber"] {
        for number in [json!("latest"), json!("0x1"), json!(1)] {
            assert_eq!(node.result(method, json!([number])).await["hash"], block["hash"]);
        }
    }
    let details = node.result("ots_getBlockDetails", json!([1])).await;
    assert_eq!(details, node.result("ots_getBlockDetailsByHash", json!([block["hash"]])).await);
    assert_eq!(details["block"]["transactionCount"], 3);
    assert!(details["block"].get("transactions").is_none());
    assert_eq!(details["totalFees"], "0x0", "gas is free by default");
    assert_eq!(node.result("ots_getBlockDetails", json!([99])).await, Value::Null);

    let page = node.result("ots_getBlockTransactions", json!([1, 0, 2])).await;
    let hashes = |page: &Value| -> Vec<Value> {
        page["fullblock"]["transactions"].as_array().unwrap().iter().map(|tx| tx["hash"].clone()).collect()
    };
    let all = block["transactions"].as_array().unwrap();
    assert_eq!(hashes(&page), all[1..]);
    assert_eq!(page["fullblock"]["transactions"][0]["input"].as_str().unwrap().len(), 10, "the selector only");
    assert_eq!(page["receipts"][0]["logs"], Value::Null);
    assert_eq!(page["receipts"][0]["transactionHash"], all[1]);
    assert_eq!(hashes(&node.result("ots_getBlockTransactions", json!([1, 1, 2])).await), all[..1]);
    assert!(hashes(&node.result("ots_getBlockTransactions", json!([1, 9, 2])).await).is_empty());
}

#[tokio::test]
async fn an_account_and_its_transactions() {
    let world = World::new().await;
    let node = &world.node;
    for nonce in 0..7u64 {
        let store = world.through_relay(nonce, world.cell, &U256::from(nonce + 1).to_be_bytes_vec());
        node.block(&[store]).await;
    }
    // The cell was touched by its creation and through the relay.
    let blocks = |found: &Value| -> Vec<u64> {
        let number = |tx: &Value| u64::from_str_radix(&tx["blockNumber"].as_str().unwrap()[2..], 16).unwrap();
        found["txs"].as_array().unwrap().iter().map(number).collect()
    };
    let before = |number: u64| node.result("ots_searchTransactionsBefore", json!([world.cell, number, 3]));
    let first = before(0).await;
    assert_eq!((blocks(&first), &first["firstPage"], &first["lastPage"]), (vec![8, 7, 6], &json!(true), &json!(false)));
    assert_eq!(first["receipts"][0]["transactionHash"], first["txs"][0]["hash"]);
    assert!(first["receipts"][0]["logs"].is_array(), "Otterscan reads no receipt without a list of logs");
    let last = before(3).await;
    assert_eq!((blocks(&last), &last["firstPage"], &last["lastPage"]), (vec![2, 1], &json!(false), &json!(true)));
    let after = node.result("ots_searchTransactionsAfter", json!([world.cell, 5, 3])).await;
    assert_eq!((blocks(&after), &after["firstPage"], &after["lastPage"]), (vec![8, 7, 6], &json!(true), &json!(false)));
    let oldest = node.result("ots_searchTransactionsAfter", json!([world.cell, 0, 2])).await;
    assert_eq!((blocks(&oldest), &oldest["firstPage"], &oldest["lastPage"]), (vec![2, 1], &json!(false), &json!(true)));
    let (code, message) = node.fails("ots_searchTransactionsBefore", json!([world.cell, 0, 26])).await;
    assert!(code == -32602 && message.contains("expected 1 to 25"), "{message}");

    for nonce in 0..7u64 {
        let hash = node.result("ots_getTransactionBySenderAndNonce", json!([node.address(1), nonce])).await;
        let tx = node.result("eth_getTransactionByHash", json!([hash])).await;
        assert_eq!((&tx["nonce"], &tx["from"]), (&json!(format!("{nonce:#x}")), &json!(node.address(1))));
    }
    assert_eq!(node.result("ots_getTransactionBySenderAndNonce", json!([node.address(1), 7])).await, Value::Null);
    assert_eq!(node.result("ots_hasCode", json!([world.cell, "latest"])).await, true);
    assert_eq!(node.result("ots_hasCode", json!([world.cell, 0])).await, false);
    assert_eq!(node.result("ots_hasCode", json!([node.address(1), "latest"])).await, false);
}

#[tokio::test]
async fn the_inside_of_a_transaction() {
    let world = World::new().await;
    let node = &world.node;
    // A factory: CREATE of the init code that it is sent.
    let factory_code = alloy_primitives::hex!("3660006000373660006000f000");
    let factory = node.address(0).create(3);
    node.block(&[node.create(0, 3, deploying(&factory_code))]).await;
    let make = node.call_contract(0, 4, factory, deploying(&[0x00]));
    let fail = world.through_relay(0, world.fail, &[]);
    node.block(&[make.clone(), fail.clone()]).await;

    let child = factory.create(1);
    let creator = node.result("ots_getContractCreator", json!([child])).await;
    assert_eq!(creator, json!({"hash": keccak256(&make), "creator": factory}));
    let creator = node.result("ots_getContractCreator", json!([factory])).await;
    assert_eq!(creator["creator"], json!(node.address(0)));
    assert_eq!(node.result("ots_getContractCreator", json!([node.address(0)])).await, Value::Null);
    let operations = node.result("ots_getInternalOperations", json!([keccak256(&make)])).await;
    assert_eq!(operations, json!([{"type": 2, "from": factory, "to": child, "value": "0x0"}]));
    let entries = node.result("ots_traceTransaction", json!([keccak256(&make)])).await;
    let shape: Vec<_> = entries.as_array().unwrap().iter().map(|entry| (&entry["type"], &entry["depth"])).collect();
    assert_eq!(shape, [(&json!("CALL"), &json!(0)), (&json!("CREATE"), &json!(1))]);
    assert_eq!(node.result("ots_getTransactionError", json!([keccak256(&fail)])).await, json!(Bytes::new()));
    assert_eq!(node.result("ots_getTransactionError", json!([keccak256(&make)])).await, json!(Bytes::new()));
    let (code, message) = node.fails("ots_traceTransaction", json!([B256::ZERO])).await;
    assert_eq!((code, message.as_str()), (-32000, "transaction not found"));
}

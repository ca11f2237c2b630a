//! The shapes of answers against the public schema of the Ethereum JSON-RPC.

use std::{env, fs, path::PathBuf};

use alloy_primitives::{Address, B256, keccak256};
use assent_rpc::RpcConfig;
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::harness::{Node, logging_contract};

struct Schemas(Value);

impl Schemas {
    fn load() -> Option<Self> {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        let vectors = env::var_os("ASSENT_VECTORS").map_or_else(|| root.join("../shared/vectors"), PathBuf::from);
        let path = vectors.join("ethereum-jsonrpc/openrpc.json");
        match fs::read_to_string(&path) {
            Ok(text) => Some(Self(serde_json::from_str(&text).unwrap())),
            Err(error) => {
                eprintln!("SKIPPED: no public schema at {}: {error}; set ASSENT_VECTORS", path.display());
                None
            }
        }
    }

    fn of(&self, method: &str) -> Validator {
        let methods = self.0["methods"].as_array().unwrap();
        let method = methods.iter().find(|entry| entry["name"] == method).unwrap_or_else(|| panic!("{method}"));
        let schema = json!({
            "components": {"schemas": self.0["components"]["schemas"]},
            "allOf": [method["result"]["schema"]],
        });
        jsonschema::draft7::new(&schema).unwrap()
    }

    async fn check(&self, node: &Node, method: &str, params: Value) {
        let answer = node.result(method, params.clone()).await;
        let errors: Vec<_> = self.of(method).iter_errors(&answer).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{method} {params}: {errors:#?}\n{answer:#}");
    }
}

#[tokio::test]
async fn answers_have_the_public_shapes() {
    let Some(schemas) = Schemas::load() else { return };
    let all = |config: &mut RpcConfig| config.namespaces = RpcConfig::ALL_NAMESPACES.map(String::from).to_vec();
    let node = Node::start_with(all).await;
    let transactions = [
        node.create(0, 0, logging_contract(B256::repeat_byte(1))),
        node.transfer(1, 0, Address::ZERO, 1),
        node.legacy(2, 0, 3),
    ];
    let block = node.block(&transactions).await;
    assert_eq!(block.block().transactions().len(), 3);
    for block in [json!("latest"), json!("earliest"), json!("0x64")] {
        for full in [true, false] {
            schemas.check(&node, "eth_getBlockByNumber", json!([block, full])).await;
        }
        schemas.check(&node, "eth_getBlockReceipts", json!([block])).await;
        schemas.check(&node, "eth_getBlockTransactionCountByNumber", json!([block])).await;
    }
    schemas.check(&node, "eth_getBlockByHash", json!([block.hash(), true])).await;
    for (index, raw) in transactions.iter().enumerate() {
        let hash = keccak256(raw);
        schemas.check(&node, "eth_getTransactionByHash", json!([hash])).await;
        schemas.check(&node, "eth_getTransactionReceipt", json!([hash])).await;
        schemas.check(&node, "eth_getTransactionByBlockHashAndIndex", json!([block.hash(), index])).await;
    }
    let (account, contract) = (node.address(0), node.address(0).create(0));
    for (method, params) in [
        ("eth_getLogs", json!([{"fromBlock": "0x0"}])),
        ("eth_feeHistory", json!(["0x2", "latest", [10, 90]])),
        ("eth_feeHistory", json!(["0x2", "latest", []])),
        ("eth_getBalance", json!([account, "latest"])),
        ("eth_getTransactionCount", json!([account, "pending"])),
        ("eth_getCode", json!([contract, "latest"])),
        ("eth_getStorageAt", json!([contract, "0x0", "latest"])),
        ("eth_call", json!([{"to": contract}])),
        ("eth_estimateGas", json!([{"from": account, "to": account}])),
        ("eth_chainId", json!([])),
        ("eth_blockNumber", json!([])),
        ("eth_gasPrice", json!([])),
        ("eth_maxPriorityFeePerGas", json!([])),
        ("eth_accounts", json!([])),
        ("eth_syncing", json!([])),
        ("net_version", json!([])),
        ("eth_getProof", json!([contract, ["0x0"], "latest"])),
        ("eth_createAccessList", json!([{"from": account, "to": contract}, "latest"])),
        ("eth_blobBaseFee", json!([])),
        ("debug_getRawBlock", json!(["latest"])),
        ("debug_getRawHeader", json!(["latest"])),
        ("debug_getRawReceipts", json!(["latest"])),
        ("debug_getRawTransaction", json!([keccak256(&transactions[0])])),
        ("debug_getBadBlocks", json!([])),
        ("txpool_content", json!([])),
        ("txpool_contentFrom", json!([account])),
        ("txpool_status", json!([])),
        ("debug_traceTransaction", json!([keccak256(&transactions[0]), {}])),
        ("debug_traceTransaction", json!([keccak256(&transactions[0]), {"tracer": "callTracer"}])),
        ("debug_traceTransaction", json!([keccak256(&transactions[0]), {"tracer": "prestateTracer"}])),
        ("eth_sendRawTransaction", json!([node.transfer(0, 1, Address::ZERO, 1)])),
    ] {
        schemas.check(&node, method, params).await;
    }
}

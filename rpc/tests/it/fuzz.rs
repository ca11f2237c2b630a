//! Fuzz targets of JSON-RPC: parameters of each method, and bodies. A caller's mistake is the caller's, and never ends
//! in an internal error.

use std::time::Duration;

use alloy_primitives::{Address, B256, hex};
use assent_consensus::mutation::mutate;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::harness::{Node, logging_contract};

#[path = "../../../tests/fuzz/campaign.rs"]
mod campaign;
#[path = "../../../tests/fuzz/json.rs"]
mod json_edits;

use campaign::{Check, Target, long, quick};

/// What the server answers when it is itself at fault.
const INTERNAL: i64 = -32603;

const PARAMETERS: Target = Target { name: "RPC parameters", quick: 3_000, script: 32, check: parameters };
const BODIES: Target = Target { name: "RPC bodies", quick: 2_000, script: 40, check: bodies };

#[test]
fn wrong_parameters_of_any_method_are_the_callers_mistake() {
    quick(&PARAMETERS);
}

#[test]
fn a_damaged_body_is_answered_or_refused() {
    quick(&BODIES);
}

#[test]
#[ignore = "long: make soak"]
fn soak_of_all_targets() {
    long(&[&PARAMETERS, &BODIES]);
}

/// A node with a few blocks, and calls of all its methods that it answers.
fn served(runtime: &Runtime) -> (Node, Vec<Value>) {
    runtime.block_on(async {
        let node = Node::start_with(|config| {
            config.gas_cap = 1_000_000;
            config.evm_timeout = Duration::from_millis(200);
        })
        .await;
        let topic = B256::repeat_byte(7);
        let raw = node.create(0, 0, logging_contract(topic));
        let block = node.block(&[raw.clone(), node.transfer(1, 0, Address::repeat_byte(1), 5)]).await;
        node.blocks(2).await;
        let (hash, tx) = (block.hash(), *block.block().transactions()[0].hash());
        let (account, slot, raw) = (node.address(0), B256::ZERO, hex::encode_prefixed(&raw));
        let call = json!({"from": account, "to": Address::repeat_byte(1), "value": "0x1", "data": "0x00ff",
            "gas": "0x5208", "accessList": [{"address": account, "storageKeys": [slot]}]});
        let overrides = json!({(account.to_string()): {"balance": "0x5", "nonce": "0x1", "code": "0x5b600056",
            "stateDiff": {(slot.to_string()): topic}}});
        let filter = json!({"fromBlock": "0x0", "toBlock": "latest", "address": [account],
            "topics": [topic, null, [topic, null]]});
        let id = node.result("eth_newBlockFilter", json!([])).await;
        let calls = vec![
            json!(["eth_getBalance", [account, "latest"]]),
            json!(["eth_getTransactionCount", [account, "0x1"]]),
            json!(["eth_getCode", [account, {"blockHash": hash}]]),
            json!(["eth_getStorageAt", [account, slot, "latest"]]),
            json!(["eth_getBlockByNumber", ["0x1", true]]),
            json!(["eth_getBlockByHash", [hash, false]]),
            json!(["eth_getBlockReceipts", ["0x1"]]),
            json!(["eth_getBlockTransactionCountByNumber", ["0x1"]]),
            json!(["eth_getBlockTransactionCountByHash", [hash]]),
            json!(["eth_getUncleCountByBlockNumber", ["0x1"]]),
            json!(["eth_getUncleCountByBlockHash", [hash]]),
            json!(["eth_getTransactionByBlockNumberAndIndex", ["0x1", "0x0"]]),
            json!(["eth_getTransactionByBlockHashAndIndex", [hash, "0x1"]]),
            json!(["eth_getTransactionByHash", [tx]]),
            json!(["eth_getTransactionReceipt", [tx]]),
            json!(["eth_call", [call, "latest", overrides, {"time": "0x1", "number": "0x5"}]]),
            json!(["eth_estimateGas", [call, "latest", overrides]]),
            json!(["eth_feeHistory", ["0x2", "latest", [1.5, 50, 99]]]),
            json!(["eth_getLogs", [filter]]),
            json!(["eth_newFilter", [filter]]),
            json!(["eth_newPendingTransactionFilter", [true]]),
            json!(["eth_getFilterChanges", [id]]),
            json!(["eth_getFilterLogs", [id]]),
            json!(["eth_uninstallFilter", ["0x1"]]),
            json!(["eth_sendRawTransaction", [raw]]),
            json!(["eth_chainId", []]),
            json!(["eth_subscribe", ["logs", filter]]),
            json!(["web3_sha3", ["0x00ff"]]),
            json!(["assent_status", []]),
            json!(["assent_validators", ["latest"]]),
            json!(["assent_getSeal", ["0x1"]]),
            json!(["assent_getCertificate", ["0x1"]]),
            json!(["assent_getProofBundle", [account, [slot, "0x1"], "latest"]]),
            json!(["assent_explainTransaction", [tx]]),
            json!(["assent_analyzeValidators", [{"upProbability": 0.9, "up": {"node0": 0.5}, "group": "org"}]]),
            json!(["rpc_discover", []]),
        ];
        (node, calls)
    })
}

/// An answer holds a result, or an error that says what is wrong and is not the server's.
fn check_answer(answer: &Value, asked: &str) {
    let Some(error) = answer.get("error") else {
        return assert!(answer.get("result").is_some(), "{asked}: {answer}");
    };
    let (code, message) = (error["code"].as_i64(), error["message"].as_str());
    assert!(code.is_some_and(|code| code != INTERNAL), "{asked}: {answer}");
    assert!(message.is_some_and(|message| !message.is_empty()), "{asked}: {answer}");
}

fn parameters() -> Check {
    let runtime = Runtime::new().unwrap();
    let (node, calls) = served(&runtime);
    Box::new(move |script| {
        let Some((which, script)) = script.split_first() else { return };
        let call = &calls[usize::from(*which) % calls.len()];
        let mut parameters = call[1].clone();
        json_edits::edit(&mut parameters, script);
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": call[0], "params": parameters}).to_string();
        let answer = runtime.block_on(node.post(&body));
        check_answer(&answer, &body);
    })
}

fn bodies() -> Check {
    let runtime = Runtime::new().unwrap();
    let (node, calls) = served(&runtime);
    let body = |call: &Value| json!({"jsonrpc": "2.0", "id": 1, "method": call[0], "params": call[1]});
    let batch: Vec<Value> = calls.iter().take(5).map(body).collect();
    let mut corpus: Vec<Vec<u8>> = calls.iter().map(|call| body(call).to_string().into_bytes()).collect();
    corpus.push(json!(batch).to_string().into_bytes());
    Box::new(move |script| {
        let text = String::from_utf8_lossy(&mutate(&corpus, script)).into_owned();
        let response = runtime.block_on(node.http("POST", &[("content-type", "application/json")], &text));
        assert!(response.status < 500, "{text}: {response:?}");
        if response.status != 200 || response.body.is_empty() {
            return;
        }
        let answer: Value = serde_json::from_str(&response.body).unwrap();
        match &answer {
            Value::Array(answers) => answers.iter().for_each(|answer| check_answer(answer, &text)),
            answer => check_answer(answer, &text),
        }
    })
}

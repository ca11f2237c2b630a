//! `eth_call` and `eth_estimateGas`.

use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes, hex};
use serde_json::json;

use crate::harness::{ENDLESS_CODE, Node, logging_contract, reverting_code};

/// `Error("no way")`, as Solidity encodes it.
fn no_way() -> Vec<u8> {
    let mut data = hex!("08c379a0").to_vec();
    data.extend_from_slice(&[0; 31]);
    data.push(32);
    data.extend_from_slice(&[0; 31]);
    data.push(6);
    data.extend_from_slice(b"no way");
    data.extend_from_slice(&[0; 26]);
    data
}

#[tokio::test]
async fn calls_return_data_and_leave_no_trace() {
    let node = Node::start().await;
    let request = json!({"data": logging_contract(B256::ZERO)});
    for block in [json!("latest"), json!("pending"), json!("0x0"), json!({"blockNumber": "0x0"})] {
        assert_eq!(node.result("eth_call", json!([request, block])).await, "0x00");
    }
    assert_eq!(node.result("eth_call", json!([request, "latest", {}])).await, "0x00");
    assert_eq!(node.result("eth_call", json!([{"to": Address::repeat_byte(1), "input": "0x12"}])).await, "0x");
    // The identity precompile.
    let identity = json!({"to": format!("0x{:040x}", 4), "input": "0x123456", "from": node.address(0)});
    assert_eq!(node.result("eth_call", json!([identity])).await, "0x123456");
}

#[tokio::test]
async fn reverts_have_code_3_a_reason_and_data() {
    let node = Node::start().await;
    for method in ["eth_call", "eth_estimateGas"] {
        let with_reason = node.error(method, json!([{"data": reverting_code(&no_way())}])).await;
        let data = json!(Bytes::from(no_way()));
        assert_eq!(with_reason, json!({"code": 3, "message": "execution reverted: no way", "data": data}), "{method}");
        let plain = node.error(method, json!([{"data": reverting_code(&[])}])).await;
        assert_eq!(plain, json!({"code": 3, "message": "execution reverted", "data": "0x"}), "{method}");
        let custom = node.error(method, json!([{"data": reverting_code(&[1, 2, 3, 4])}])).await;
        assert_eq!(custom, json!({"code": 3, "message": "execution reverted", "data": "0x01020304"}), "{method}");
    }
}

#[tokio::test]
async fn impossible_calls_are_refused_in_geths_words() {
    let node = Node::start().await;
    let poor = Address::repeat_byte(0x99);
    let (code, text) = node.fails("eth_call", json!([{"from": poor, "to": poor, "value": "0x1"}])).await;
    assert_eq!(code, -32000);
    assert!(text.contains("insufficient funds"), "{text}");
    let (code, text) = node.fails("eth_call", json!([{"data": "0xfe"}])).await;
    assert_eq!((code, text.contains("invalid opcode")), (-32000, true), "{text}");
    let (code, text) = node.fails("eth_call", json!([{"to": poor, "gas": "0x1"}])).await;
    assert_eq!((code, text.contains("intrinsic gas too low")), (-32000, true), "{text}");
    assert_eq!(node.fails("eth_call", json!([{"to": poor, "gasPrice": "0x1", "maxFeePerGas": "0x1"}])).await.0, -32602);
}

#[tokio::test]
async fn estimates_suffice() {
    let node = Node::start().await;
    let transfer = json!({"from": node.address(0), "to": node.address(1), "value": "0x1"});
    assert_eq!(node.result("eth_estimateGas", json!([transfer])).await, "0x5208");
    let create = json!({"from": node.address(0), "data": logging_contract(B256::ZERO)});
    let estimate = node.result("eth_estimateGas", json!([create, "latest"])).await;
    let gas = u64::from_str_radix(&estimate.as_str().unwrap()[2..], 16).unwrap();
    let block = node.block(&[node.create(0, 0, logging_contract(B256::ZERO))]).await;
    let used = block.receipts()[0].gas_used;
    assert!(used <= gas && gas < used * 2, "used {used}, estimated {gas}");
}

#[tokio::test]
async fn endless_calls_end_at_the_gas_cap_or_in_time() {
    let node = Node::start_with(|config| config.gas_cap = 100_000).await;
    let endless = json!([{"data": Bytes::from(ENDLESS_CODE), "gas": "0xffffffffffff"}]);
    assert_eq!(node.fails("eth_call", endless.clone()).await, (-32000, "out of gas".into()));
    let node = Node::start_with(|config| {
        config.gas_cap = u64::MAX;
        config.evm_timeout = Duration::from_millis(20);
    })
    .await;
    assert_eq!(node.fails("eth_call", endless.clone()).await, (-32000, "execution aborted (timeout = 0.02s)".into()));
    let node = Node::start_with(|config| {
        config.gas_cap = u64::MAX;
        config.request_timeout = Duration::from_millis(20);
        config.evm_timeout = Duration::from_millis(500);
    })
    .await;
    let timeout = (-32002, "request timed out: it took longer than 20 ms".into());
    assert_eq!(node.fails("eth_call", endless).await, timeout);
}

//! The table of errors: each case with its code and text, always with status 200.

use alloy_primitives::{Address, B256};
use serde_json::{Value, json};

use crate::harness::Node;

#[tokio::test]
async fn unknown_methods_and_namespaces_that_are_off_look_alike() {
    let node = Node::start_with(|config| config.namespaces = vec!["eth".into()]).await;
    for method in ["eth_foo", "net_version", "web3_sha3", "assent_status", "debug_traceBlock", "", "rpc.discover"] {
        let expected = (-32601, format!("the method {method} does not exist/is not available"));
        assert_eq!(node.fails(method, json!([])).await, expected);
    }
    // Subscriptions need a WebSocket.
    assert_eq!(node.fails("eth_subscribe", json!(["newHeads"])).await.0, -32601);
}

#[tokio::test]
async fn an_unknown_namespace_in_the_configuration_is_refused() {
    let node = Node::start().await;
    let (submit, _) = tokio::sync::mpsc::channel(1);
    let backend = assent_rpc::Backend {
        chain: node.chain.clone(),
        genesis: node.genesis.clone(),
        status: node.status.subscribe(),
        submit,
        client_version: String::new(),
    };
    let config = assent_rpc::RpcConfig { namespaces: vec!["ether".into()], ..Default::default() };
    let error = assent_rpc::serve(config, backend.clone()).await.unwrap_err().to_string();
    assert_eq!(
        error,
        r#"unknown RPC namespace "ether": expected some of assent, debug, erigon, eth, net, ots, rpc, trace, txpool, web3"#
    );
    let taken = assent_rpc::RpcConfig { listen: node.rpc.addr(), ..Default::default() };
    let error = assent_rpc::serve(taken, backend).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot listen for JSON-RPC on {}", node.rpc.addr())), "{error}");
}

#[tokio::test]
async fn what_is_no_request() {
    let node = Node::start().await;
    for (body, code) in [
        ("", -32700),
        ("hello", -32700),
        ("{\"jsonrpc\":", -32700),
        ("[1,", -32700),
        ("[]", -32600),
        ("{}", -32600),
        ("{\"id\":1}", -32600),
        ("5", -32600),
        (" \"text\" ", -32600),
        ("{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"eth_chainId\"}", -32600),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":5}", -32600),
    ] {
        let answer = node.post(body).await;
        assert_eq!(answer["error"]["code"], code, "{body}: {answer}");
        assert!(answer["error"]["message"].is_string(), "{answer}");
    }
    let answer = node.post(r#"{"id":"mine","method":5}"#).await;
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!("mine"), &json!(-32600)));
    let notification = node.http("POST", &[], r#"{"jsonrpc":"2.0","method":"eth_chainId"}"#).await;
    assert_eq!((notification.status, notification.body.as_str()), (200, ""));
}

#[tokio::test]
async fn params_may_be_left_out_when_empty() {
    let node = Node::start().await;
    for params in ["", r#","params":[]"#, r#","params":null"#] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":"a","method":"eth_chainId"{params}}}"#);
        assert_eq!(node.post(&body).await, json!({"jsonrpc": "2.0", "id": "a", "result": "0x7a69"}), "{body}");
    }
}

#[tokio::test]
async fn a_batch_answers_each_call_in_order() {
    let node = Node::start().await;
    let body = json!([
        {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"},
        {"jsonrpc": "2.0", "id": 2, "method": "eth_nope", "params": []},
        {"jsonrpc": "2.0", "method": "eth_chainId"},
        5,
        {"jsonrpc": "2.0", "id": "x", "method": "eth_blockNumber", "params": []},
    ]);
    let answer = node.post(&body.to_string()).await;
    let answers = answer.as_array().unwrap();
    assert_eq!(answers.len(), 4);
    assert_eq!(answers[0]["result"], "0x7a69");
    assert_eq!((&answers[1]["id"], &answers[1]["error"]["code"]), (&json!(2), &json!(-32601)));
    assert_eq!((&answers[2]["id"], &answers[2]["error"]["code"]), (&Value::Null, &json!(-32600)));
    assert_eq!((&answers[3]["id"], &answers[3]["result"]), (&json!("x"), &json!("0x0")));
}

#[tokio::test]
async fn bad_parameters_name_what_is_wrong() {
    let node = Node::start().await;
    let address = Address::ZERO;
    for (method, params, part) in [
        ("eth_getBalance", json!([]), "missing value for required argument 0 (address)"),
        ("eth_getBalance", json!(["0x12"]), "invalid argument 0: address: expected an address"),
        ("eth_getBalance", json!([5]), "got 5"),
        ("eth_getBalance", json!([address, "newest"]), "invalid argument 1: block: expected a block number"),
        ("eth_getBalance", json!([address, "latest", 1]), "too many arguments, want at most 2, got 3"),
        ("eth_getBalance", json!({"address": address}), "params: expected an array"),
        ("eth_getStorageAt", json!([address]), "missing value for required argument 1 (position)"),
        ("eth_getStorageAt", json!([address, "0xzz"]), "invalid argument 1: position"),
        ("eth_getTransactionByHash", json!(["0x1234"]), "invalid argument 0: hash: expected a hash"),
        ("eth_getBlockByNumber", json!(["0x1", "yes"]), "invalid argument 1: full: expected true or false"),
        ("eth_getBlockByNumber", json!([{}]), "invalid argument 0: block"),
        ("eth_sendRawTransaction", json!(["0x123"]), "invalid argument 0: transaction: expected hex data"),
        ("eth_call", json!([]), "missing value for required argument 0 (transaction)"),
        ("eth_call", json!([{"to": "me"}]), "invalid argument 0: transaction.to"),
        ("eth_call", json!([{}, "latest", {"0x00": {}}]), "invalid argument 2: stateOverrides"),
        ("eth_feeHistory", json!([1, "0x9", []]), "request beyond head block"),
        ("eth_feeHistory", json!([1, "latest", [101]]), "invalid argument 2: rewardPercentiles"),
        ("web3_sha3", json!(["abc"]), "invalid argument 0: data"),
        ("assent_getCertificate", json!([true]), "invalid argument 0: block"),
    ] {
        let (code, message) = node.fails(method, params.clone()).await;
        assert_eq!(code, -32602, "{method} {params}: {message}");
        assert!(message.contains(part), "{method} {params}: {message}");
    }
}

#[tokio::test]
async fn what_does_not_exist_is_null_and_its_state_an_error() {
    let node = Node::start().await;
    let (unknown, address) = (B256::repeat_byte(7), Address::ZERO);
    for (method, params) in [
        ("eth_getBlockByNumber", json!(["0x64", false])),
        ("eth_getBlockByHash", json!([unknown, true])),
        ("eth_getBlockReceipts", json!(["0x64"])),
        ("eth_getBlockReceipts", json!([unknown])),
        ("eth_getTransactionByHash", json!([unknown])),
        ("eth_getTransactionReceipt", json!([unknown])),
        ("eth_getBlockTransactionCountByNumber", json!(["0x64"])),
        ("eth_getBlockTransactionCountByHash", json!([unknown])),
        ("eth_getUncleCountByBlockNumber", json!(["0x64"])),
        ("eth_getTransactionByBlockNumberAndIndex", json!(["0x64", "0x0"])),
        ("eth_getTransactionByBlockNumberAndIndex", json!(["0x0", "0x0"])),
        ("eth_getTransactionByBlockHashAndIndex", json!([unknown, "0xffffffffff"])),
        ("assent_getCertificate", json!(["0x64"])),
        ("assent_validators", json!([unknown])),
    ] {
        assert_eq!(node.result(method, params).await, Value::Null, "{method}");
    }
    for block in [json!("0x64"), json!(unknown), json!({"blockHash": unknown}), json!({"blockNumber": "0x64"})] {
        for (method, params) in [
            ("eth_getBalance", json!([address, block])),
            ("eth_getTransactionCount", json!([address, block])),
            ("eth_getCode", json!([address, block])),
            ("eth_getStorageAt", json!([address, "0x0", block])),
            ("eth_call", json!([{"to": address}, block])),
            ("eth_estimateGas", json!([{"to": address}, block])),
        ] {
            assert_eq!(node.fails(method, params).await, (-32000, "header not found".into()), "{method}");
        }
    }
}

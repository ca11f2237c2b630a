//! The table of errors: each case with its code and text, always with status 200.

use alloy_consensus::TxEip1559;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex};
use assent_chain::{ChainOptions, History};
use serde_json::{Value, json};

use crate::harness::{CHAIN_ID, Node, reverting_code};

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

/// Signs a transfer with everything in the test's hand.
fn signed(node: &Node, edit: impl FnOnce(&mut TxEip1559)) -> Bytes {
    let to = TxKind::Call(Address::repeat_byte(1));
    let mut tx = TxEip1559 { chain_id: CHAIN_ID, gas_limit: 21_000, to, ..TxEip1559::default() };
    edit(&mut tx);
    node.sign(0, tx)
}

#[tokio::test]
async fn refusals_of_the_mempool_are_geths_letter_by_letter() {
    let fees = assent_genesis::FeeParams { base_fee: 4, min_gas_price: 0 };
    let node = Node::start_network(|plan| plan.fees = fees, |_| ()).await;
    let priced = |nonce: u64, price: u128| {
        signed(&node, |tx| (tx.nonce, tx.max_fee_per_gas, tx.max_priority_fee_per_gas) = (nonce, price, price))
    };
    node.block(&[priced(0, 1_000)]).await;
    let waiting = priced(1, 1_000);
    node.result("eth_sendRawTransaction", json!([waiting])).await;
    let with = |edit: fn(&mut TxEip1559)| {
        signed(&node, |tx| {
            (tx.nonce, tx.max_fee_per_gas) = (2, 1_000);
            edit(tx);
        })
    };
    let mut blob = waiting.to_vec();
    blob[0] = 3;
    let table = [
        (priced(0, 2_000), "nonce too low"),
        (priced(1 << 40, 1_000), "nonce too high"),
        (with(|tx| tx.value = U256::from(10).pow(U256::from(24))), "insufficient funds for gas * price + value"),
        (priced(1, 1_099), "replacement transaction underpriced"),
        (waiting, "already known"),
        (with(|tx| tx.gas_limit = 20_999), "intrinsic gas too low"),
        (with(|tx| tx.max_fee_per_gas = 3), "max fee per gas less than block base fee"),
        (with(|tx| tx.gas_limit = u64::MAX), "exceeds block gas limit"),
        (Bytes::from(blob), "transaction type not supported"),
    ];
    for (raw, text) in table {
        let error = node.error("eth_sendRawTransaction", json!([raw])).await;
        assert_eq!((&error["code"], &error["message"]), (&json!(-32000), &json!(text)));
    }
    // One wei more replaces.
    node.result("eth_sendRawTransaction", json!([priced(1, 1_100)])).await;
}

#[tokio::test]
async fn a_revert_has_code_3_and_its_reason() {
    let node = Node::start().await;
    // Error("no"), as Solidity encodes it.
    let mut data = hex!("08c379a0").to_vec();
    data.extend([U256::from(32), U256::from(2)].iter().flat_map(U256::to_be_bytes::<32>));
    data.extend(b"no");
    data.extend([0u8; 30]);
    for method in ["eth_call", "eth_estimateGas"] {
        let reason = node.error(method, json!([{"data": reverting_code(&data)}])).await;
        let expected = json!({"code": 3, "message": "execution reverted: no", "data": Bytes::from(data.clone())});
        assert_eq!(reason, expected, "{method}");
        let silent = node.error(method, json!([{"data": reverting_code(&[])}])).await;
        assert_eq!(silent, json!({"code": 3, "message": "execution reverted", "data": "0x"}), "{method}");
    }
}

#[tokio::test]
async fn an_unknown_filter_is_not_found() {
    let node = Node::start().await;
    for method in ["eth_getFilterChanges", "eth_getFilterLogs"] {
        assert_eq!(node.fails(method, json!(["0x1"])).await, (-32000, "filter not found".into()), "{method}");
    }
    assert_eq!(node.result("eth_uninstallFilter", json!(["0x1"])).await, false);
}

#[tokio::test]
async fn ranges_of_logs_that_make_no_sense_are_bad_parameters() {
    let node = Node::start().await;
    node.blocks(2).await;
    for (filter, text) in [
        (
            json!({"fromBlock": "0x0", "toBlock": "0x3"}),
            "block range extends beyond current head block: toBlock 0x3, head 0x2",
        ),
        (
            json!({"fromBlock": "0x2", "toBlock": "0x1"}),
            "invalid block range params: fromBlock 0x2 is after toBlock 0x1",
        ),
    ] {
        assert_eq!(node.fails("eth_getLogs", json!([filter])).await, (-32602, text.into()));
    }
    let both = json!({"blockHash": node.genesis.hash(), "fromBlock": "0x0"});
    let (code, message) = node.fails("eth_getLogs", json!([both])).await;
    assert!(code == -32602 && message.contains("blockHash"), "{code} {message}");
}

#[tokio::test]
async fn who_calls_too_often_is_told_when_to_come_back() {
    let node = Node::start_with(|config| config.rate_limit = Some(1)).await;
    let calls = assent_rpc::limits::RATE_BURST_SECONDS as usize + 1;
    let batch: Vec<Value> = (0..calls).map(|id| json!({"jsonrpc": "2.0", "id": id, "method": "eth_chainId"})).collect();
    let answers = node.post(&json!(batch).to_string()).await;
    let error = &answers[calls - 1]["error"];
    let text = "rate limit exceeded: at most 1 calls per second from one address; try again later";
    assert_eq!((&error["code"], &error["message"]), (&json!(-32005), &json!(text)));
}

#[tokio::test]
async fn a_pruned_state_says_so_and_is_never_empty() {
    let options = ChainOptions { history: History::Blocks(128), ..ChainOptions::default() };
    let node = Node::launch(|_| (), options, |_| ()).await;
    node.blocks(140).await;
    let account = node.address(0);
    for (method, params) in [
        ("eth_getBalance", json!([account, "0x1"])),
        ("eth_getTransactionCount", json!([account, "0x1"])),
        ("eth_getCode", json!([account, "0x1"])),
        ("eth_getStorageAt", json!([account, "0x0", "0x1"])),
        ("eth_getProof", json!([account, [], "0x1"])),
        ("eth_call", json!([{"to": account}, "0x1"])),
        ("assent_getProofBundle", json!([account, [], "0x1"])),
    ] {
        let (code, message) = node.fails(method, params).await;
        assert_eq!(code, -32000, "{method}: {message}");
        assert!(message.starts_with("state of block 1 is pruned"), "{method}: {message}");
    }
}

//! `rpc_modules` and `rpc_discover`: a node tells what it offers.

use assent_rpc::RpcConfig;
use serde_json::{Value, json};

use crate::harness::Node;

fn names(document: &Value) -> Vec<&str> {
    document["methods"].as_array().unwrap().iter().map(|method| method["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_is_offered_is_told_and_nothing_else() {
    let node = Node::start_with(|config| config.namespaces = ["net", "rpc"].map(String::from).to_vec()).await;
    assert_eq!(node.result("rpc_modules", json!([])).await, json!({"net": "1.0", "rpc": "1.0"}));
    let document = node.result("rpc_discover", json!([])).await;
    assert_eq!(document, node.result("rpc.discover", json!([])).await);
    let expected = ["net_version", "net_listening", "net_peerCount", "rpc_modules", "rpc_discover", "rpc.discover"];
    assert_eq!(names(&document), expected);
    assert!(document["openrpc"].as_str().unwrap().starts_with("1."));
    assert_eq!(document["methods"][0]["examples"][0]["result"]["value"], "31337");
}

#[tokio::test]
async fn every_method_that_is_told_is_there() {
    let all = |config: &mut RpcConfig| config.namespaces = RpcConfig::ALL_NAMESPACES.map(String::from).to_vec();
    let node = Node::start_with(all).await;
    let document = node.result("rpc_discover", json!([])).await;
    for method in names(&document) {
        // Subscriptions need a WebSocket.
        if method.ends_with("ubscribe") {
            continue;
        }
        let answer = node.call(method, json!([])).await;
        assert_ne!(answer["error"]["code"], -32601, "{method}: {answer}");
    }
}

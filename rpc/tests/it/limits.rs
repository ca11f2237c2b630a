//! Limits, each at its bound and one beyond; hosts, origins, content types.

use std::{sync::Arc, time::Duration};

use alloy_primitives::Bytes;
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt, net::TcpStream, task::JoinSet};

use crate::harness::{ENDLESS_CODE, Node};

fn request(id: usize) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "eth_chainId"})
}

#[tokio::test]
async fn the_body_is_limited() {
    let node = Node::start_with(|config| config.max_body = 1_000).await;
    let padded = |length: usize| {
        let body = request(1).to_string();
        format!("{}{}", body, " ".repeat(length - body.len()))
    };
    assert_eq!(node.post(&padded(1_000)).await["result"], "0x7a69");
    let answer = node.post(&padded(1_001)).await;
    assert_eq!(answer["error"], json!({"code": -32600, "message": "request too large: at most 1000 bytes"}));
    // Without a length up front.
    let json = ("content-type", "application/json");
    let chunked = format!("3e9\r\n{}\r\n0\r\n\r\n", padded(1_001));
    let body = format!("POST / HTTP/1.1\r\nhost: localhost\r\n{}: {}\r\nconnection: close\r\n", json.0, json.1);
    let mut socket = TcpStream::connect(node.rpc.addr()).await.unwrap();
    let text = format!("{body}transfer-encoding: chunked\r\n\r\n{chunked}");
    tokio::io::AsyncWriteExt::write_all(&mut socket, text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("request too large"), "{answer}");
}

#[tokio::test]
async fn the_batch_is_limited() {
    let node = Node::start_with(|config| config.max_batch = 3).await;
    let batch = |count| Value::Array((0..count).map(request).collect()).to_string();
    assert_eq!(node.post(&batch(3)).await.as_array().unwrap().len(), 3);
    let answer = node.post(&batch(4)).await;
    let error =
        json!({"code": -32010, "message": "The batch request was too large", "data": "Exceeded max limit of 3"});
    assert_eq!(answer["error"], error);
}

#[tokio::test]
async fn the_rate_is_limited_per_call() {
    let node = Node::start_with(|config| config.rate_limit = Some(2)).await;
    let burst = 2 * assent_rpc::limits::RATE_BURST_SECONDS as usize;
    let batch = Value::Array((0..=burst).map(request).collect());
    let answers = node.post(&batch.to_string()).await;
    let (last, taken) = answers.as_array().unwrap().split_last().unwrap();
    assert!(taken.iter().all(|answer| answer["result"] == "0x7a69"), "{answers}");
    assert_eq!(last["error"]["code"], -32005, "{last}");
    assert!(last["error"]["data"]["retryAfterMs"].is_u64(), "{last}");
}

#[tokio::test]
async fn connections_are_limited() {
    let node = Node::start_with(|config| config.max_connections = 2).await;
    let held = [TcpStream::connect(node.rpc.addr()).await.unwrap(), TcpStream::connect(node.rpc.addr()).await.unwrap()];
    let answer = node.post(&request(1).to_string()).await;
    assert_eq!(answer["error"]["code"], -32005, "{answer}");
    drop(held);
    // The server sees the ends of the connections a moment later.
    while node.post(&request(1).to_string()).await.get("error").is_some() {}
}

#[tokio::test]
async fn browsers_get_cors_for_allowed_origins() {
    let node = Node::start_with(|config| config.cors.clear()).await;
    let origin = |origin: &'static str| {
        [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "content-type"),
        ]
    };
    let preflight = node.http("OPTIONS", &origin("http://localhost:3000"), "").await;
    assert_eq!(preflight.status, 200);
    assert_eq!(preflight.header("access-control-allow-origin"), Some("http://localhost:3000"));
    assert_eq!(preflight.header("access-control-allow-headers"), Some("content-type"));
    assert!(preflight.header("access-control-allow-methods").unwrap().contains("POST"));
    let stranger = node.http("OPTIONS", &origin("https://evil.example"), "").await;
    assert_eq!(stranger.header("access-control-allow-origin"), None);
    let call = [("origin", "http://localhost:3000"), ("content-type", "application/json; charset=UTF-8")];
    let answer = node.http("POST", &call, &request(1).to_string()).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some("http://localhost:3000")));

    let open = Node::start_with(|config| config.cors = vec!["*".into()]).await;
    let any = open.http("OPTIONS", &origin("https://dapp.example"), "").await;
    assert_eq!(any.header("access-control-allow-origin"), Some("*"));
}

#[tokio::test]
async fn hosts_content_types_and_methods() {
    let node = Node::start().await;
    let body = request(1).to_string();
    let json = ("content-type", "application/json");
    assert_eq!(node.http("POST", &[("host", "evil.example"), json], &body).await.status, 403);
    assert_eq!(node.http("POST", &[("host", "localhost:1"), json], &body).await.status, 200);
    assert_eq!(node.http("POST", &[], &body).await.status, 200, "curl without a header");
    let page = [("origin", "http://localhost"), ("content-type", "text/plain")];
    assert_eq!(node.http("POST", &page, &body).await.status, 415, "a page must ask first");
    assert_eq!(node.http("GET", &[], "").await.status, 200);
    assert_eq!(node.http("PUT", &[json], &body).await.status, 405);
}

#[tokio::test]
async fn a_stopped_server_takes_no_connections() {
    let node = Node::start().await;
    let addr = node.rpc.addr();
    node.post(&request(1).to_string()).await;
    node.rpc.clone().stop().await;
    TcpStream::connect(addr).await.unwrap_err();
}

#[tokio::test]
async fn searches_end_in_time() {
    let node = Node::start_with(|config| config.evm_timeout = Duration::ZERO).await;
    let timeout = (-32002, "request timed out: it took longer than 0 ms".to_owned());
    assert_eq!(node.fails("eth_getLogs", json!([{"fromBlock": "0x0"}])).await, timeout);
    assert_eq!(node.fails("eth_feeHistory", json!([1, "latest", []])).await, timeout);
}

#[tokio::test]
async fn rewards_are_of_fewer_blocks() {
    let node = Node::start().await;
    node.blocks(130).await;
    let history = node.result("eth_feeHistory", json!(["0x400", "latest", [50]])).await;
    assert_eq!((&history["oldestBlock"], history["reward"].as_array().unwrap().len()), (&json!("0x3"), 128));
    let history = node.result("eth_feeHistory", json!(["0x400", "latest", []])).await;
    assert_eq!((&history["oldestBlock"], history["gasUsedRatio"].as_array().unwrap().len()), (&json!("0x0"), 131));
}

/// Clients that fill all places for executions leave searches alone.
#[tokio::test]
async fn executions_and_searches_do_not_keep_each_other_out() {
    let node = Node::start_with(|config| {
        config.heavy_calls = 1;
        config.gas_cap = u64::MAX;
        config.evm_timeout = Duration::from_secs(3);
    })
    .await;
    let node = Arc::new(node);
    let mut calls = JoinSet::new();
    for _ in 0..assent_rpc::limits::HEAVY_QUEUE_PER_SLOT + 2 {
        let node = node.clone();
        calls.spawn(async move { node.fails("eth_call", json!([{"data": Bytes::from(ENDLESS_CODE)}])).await });
    }
    // One more than there are places.
    let (code, text) = calls.join_next().await.unwrap().unwrap();
    assert_eq!((code, text.contains("eth_call")), (-32005, true), "{text}");
    assert_eq!(node.result("eth_getLogs", json!([{"fromBlock": "0x0"}])).await, json!([]));
    node.result("eth_feeHistory", json!([1, "latest", [50]])).await;
}

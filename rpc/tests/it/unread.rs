//! Clients that do not read what they asked for, or read it late; and what comes over a WebSocket otherwise.

use std::time::Duration;

use alloy_primitives::{Address, Bytes};
use assent_rpc::{RpcConfig, limits::OWED_BYTES};
use serde_json::{Value, json};
use soketto::{
    Incoming, Receiver, Sender,
    handshake::{Client, ServerResponse},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

use crate::harness::Node;

type Socket = Compat<TcpStream>;

const DEADLINE: Duration = Duration::from_secs(60);

/// A node whose block 1 has some 400 KB in JSON.
async fn node(edit: impl FnOnce(&mut RpcConfig)) -> Node {
    let node = Node::start_with(edit).await;
    let call = |nonce| node.call_contract(0, nonce, Address::repeat_byte(7), vec![0u8; 40_000]);
    let transactions: Vec<Bytes> = (0..5).map(call).collect();
    let block = node.block(&transactions).await;
    assert_eq!(block.block().transactions().len(), 5);
    node
}

fn full_block(id: usize) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": "eth_getBlockByNumber", "params": ["0x1", true]}).to_string()
}

fn chain_id(id: usize) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": "eth_chainId"}).to_string()
}

async fn websocket(node: &Node) -> (Sender<Socket>, Receiver<Socket>) {
    let socket = TcpStream::connect(node.rpc.addr()).await.unwrap();
    let mut client = Client::new(socket.compat(), "localhost", "/");
    let response = client.handshake().await.unwrap();
    assert!(matches!(response, ServerResponse::Accepted { .. }), "{response:?}");
    client.into_builder().finish()
}

async fn send(sender: &mut Sender<Socket>, text: &str) -> Result<(), soketto::connection::Error> {
    sender.send_text(text).await?;
    sender.flush().await
}

/// The next answer; none when the connection has ended.
async fn answer(receiver: &mut Receiver<Socket>) -> Option<Value> {
    let mut data = Vec::new();
    loop {
        match timeout(DEADLINE, receiver.receive(&mut data)).await.unwrap() {
            Ok(Incoming::Data(_)) => return Some(serde_json::from_slice(&data).unwrap()),
            Ok(Incoming::Pong(_)) => {}
            Ok(Incoming::Closed(_)) | Err(_) => return None,
        }
    }
}

/// Serves another client until much was owed and nothing is any more. Returns how much it was.
async fn until_ended(node: &Node) -> usize {
    let mut most = 0;
    let ended = async {
        loop {
            let unread = node.rpc.unread_bytes();
            most = most.max(unread);
            if most >= OWED_BYTES && unread == 0 {
                return;
            }
            assert_eq!(node.post(&chain_id(1)).await["result"], "0x7a69", "others are served");
        }
    };
    timeout(DEADLINE, ended).await.unwrap();
    most
}

#[tokio::test]
async fn a_websocket_that_is_not_read_owes_little_and_is_ended() {
    let node = node(|config| {
        config.max_response = 1 << 20;
        config.write_timeout = Duration::from_secs(1);
    })
    .await;
    let (mut sender, mut receiver) = websocket(&node).await;
    let calls = tokio::spawn(async move {
        for id in 0..5_000 {
            if send(&mut sender, &full_block(id)).await.is_err() {
                return;
            }
        }
    });
    let most = until_ended(&node).await;
    let share = OWED_BYTES + RpcConfig::default().max_body as usize + (1 << 20);
    assert!(most < 2 * share, "{most}: five thousand answers have 2 GB");
    timeout(DEADLINE, calls).await.unwrap().unwrap();
    let mut answers = 0;
    while answer(&mut receiver).await.is_some() {
        answers += 1;
    }
    assert!(answers < 5_000, "it is ended");
}

#[tokio::test]
async fn who_reads_late_gets_all_answers() {
    let node = node(|_| ()).await;
    let (mut sender, mut receiver) = websocket(&node).await;
    const CALLS: usize = 300;
    let calls = tokio::spawn(async move {
        for id in 0..CALLS {
            send(&mut sender, &full_block(id)).await.unwrap();
        }
        sender
    });
    let much = async {
        while node.rpc.unread_bytes() < OWED_BYTES {
            node.post(&chain_id(1)).await;
        }
    };
    timeout(DEADLINE, much).await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..CALLS {
        let answer = answer(&mut receiver).await.unwrap();
        assert_eq!(answer["result"]["number"], "0x1", "{answer}");
        ids.push(answer["id"].as_u64().unwrap() as usize);
    }
    // Calls run beside each other: their answers come in any order, each once.
    ids.sort_unstable();
    assert!(ids.into_iter().eq(0..CALLS));
    let mut sender = calls.await.unwrap();
    send(&mut sender, &chain_id(7)).await.unwrap();
    assert_eq!(answer(&mut receiver).await.unwrap()["id"], 7);
}

#[tokio::test]
async fn an_http_client_that_does_not_read_is_ended() {
    let node = node(|config| config.write_timeout = Duration::from_secs(1)).await;
    let calls: Vec<String> = (0..100).map(full_block).collect();
    let body = format!("[{}]", calls.join(","));
    let head = format!("POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", body.len());
    let mut socket = TcpStream::connect(node.rpc.addr()).await.unwrap();
    socket.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let size = until_ended(&node).await;
    let mut got = Vec::new();
    // It ends in the middle, with an error or without.
    let _ = timeout(DEADLINE, socket.read_to_end(&mut got)).await.unwrap();
    assert!(got.len() < size, "{} of {size}", got.len());
}

#[tokio::test]
async fn a_websocket_answers_as_http_does() {
    let node = Node::start_with(|config| (config.max_body, config.max_batch) = (1_000, 3)).await;
    let (mut sender, mut receiver) = websocket(&node).await;
    let batch = |count| format!("[{}]", (0..count).map(chain_id).collect::<Vec<_>>().join(","));
    let notification = json!({"jsonrpc": "2.0", "method": "eth_chainId"}).to_string();
    let bodies = [
        chain_id(1),
        batch(3),
        batch(4),
        format!(" [{notification}, {}, 1]", chain_id(2)),
        "[]".into(),
        "{".into(),
        "\"text\"".into(),
        r#"{"jsonrpc": "2.0", "id": 9}"#.into(),
        r#"{"jsonrpc": "2.0", "id": "x", "method": "eth_foo", "params": []}"#.into(),
        format!("{}{}", chain_id(3), " ".repeat(1_000)),
    ];
    for body in bodies {
        // A notification has no answer, so that the next one is that of the body.
        send(&mut sender, &notification).await.unwrap();
        send(&mut sender, &body).await.unwrap();
        assert_eq!(answer(&mut receiver).await.unwrap(), node.post(&body).await, "{body}");
    }
    send(&mut sender, "[").await.unwrap();
    assert_eq!(answer(&mut receiver).await.unwrap()["error"]["code"], -32700);
    send(&mut sender, &chain_id(4)).await.unwrap();
    assert_eq!(answer(&mut receiver).await.unwrap()["id"], 4, "mistakes do not end it");
    sender.close().await.unwrap();
    assert_eq!(answer(&mut receiver).await, None);
}

#[tokio::test]
async fn what_is_subscribed_comes_before_the_answer_that_ends_it() {
    let node = Node::start().await;
    let (mut sender, mut receiver) = websocket(&node).await;
    let call = |id: usize, method: &str, parameter: &str| {
        json!({"jsonrpc": "2.0", "id": id, "method": method, "params": [parameter]}).to_string()
    };
    send(&mut sender, &call(1, "eth_subscribe", "newHeads")).await.unwrap();
    let subscribed = answer(&mut receiver).await.unwrap();
    assert_eq!(subscribed["id"], 1);
    let id = subscribed["result"].as_str().unwrap();
    for number in ["0x1", "0x2"] {
        node.block(&[]).await;
        let told = answer(&mut receiver).await.unwrap();
        assert_eq!((&told["method"], &told["params"]["subscription"]), (&json!("eth_subscription"), &json!(id)));
        assert_eq!(told["params"]["result"]["number"], number);
    }
    send(&mut sender, &call(2, "eth_unsubscribe", id)).await.unwrap();
    let ended = answer(&mut receiver).await.unwrap();
    assert_eq!((&ended["id"], &ended["result"]), (&json!(2), &json!(true)));
    node.block(&[]).await;
    send(&mut sender, &chain_id(3)).await.unwrap();
    assert_eq!(answer(&mut receiver).await.unwrap()["id"], 3, "nothing more is told");
}

#[tokio::test]
async fn a_batch_subscribes_to_nothing_and_says_so_once() {
    let node = Node::start().await;
    let (mut sender, mut receiver) = websocket(&node).await;
    let subscribe = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]});
    send(&mut sender, &format!("[{subscribe},{}]", chain_id(2))).await.unwrap();
    let answers = answer(&mut receiver).await.unwrap();
    assert_eq!((&answers[0]["id"], &answers[0]["error"]["code"]), (&json!(1), &json!(-32600)), "{answers}");
    assert_eq!((&answers[1]["id"], &answers[1]["result"]), (&json!(2), &json!("0x7a69")), "{answers}");
    node.block(&[]).await;
    send(&mut sender, &chain_id(3)).await.unwrap();
    assert_eq!(answer(&mut receiver).await.unwrap()["id"], 3, "nothing else is told");
}

#[tokio::test]
async fn what_is_no_websocket_is_told_why() {
    let node = Node::start().await;
    let upgrade = [("connection", "upgrade"), ("upgrade", "websocket")];
    let refused = node.http("GET", &upgrade, "").await;
    assert_eq!((refused.status, refused.body.contains("Sec-WebSocket-Key")), (400, true), "{refused:?}");
    let other = [("connection", "upgrade, http2-settings"), ("upgrade", "h2c"), ("content-type", "application/json")];
    assert_eq!(node.http("POST", &other, &chain_id(1)).await.status, 200, "as Java's client asks");
}

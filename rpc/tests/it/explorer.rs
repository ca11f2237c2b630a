//! The explorer's pages as a browser gets them, without its scripts.

use std::net::SocketAddr;

use alloy_consensus::TxEip1559;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use assent_rpc::{
    Backend, ExplorerConfig, ExplorerError, ExplorerServer, NodeStatus, PeerStatus, QuorumStatus, serve_explorer,
};
use std::sync::Arc;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
};

use crate::harness::{CHAIN_ID, Node, Response, logging_contract, reverting_code};

const EVIL: &str = "<script>alert(1)</script>";

async fn explorer(node: &Node) -> ExplorerServer {
    explorer_at(node, "127.0.0.1:0".parse().unwrap()).await.unwrap()
}

async fn explorer_at(node: &Node, listen: SocketAddr) -> Result<ExplorerServer, ExplorerError> {
    let (submit, _) = mpsc::channel(1);
    let backend = Backend {
        chain: node.chain.clone(),
        genesis: node.genesis.clone(),
        status: node.status.subscribe(),
        submit,
        client_version: "assent/test".into(),
    };
    serve_explorer(ExplorerConfig { listen, rpc_url: None, data: None }, backend).await
}

async fn send(address: SocketAddr, request: &str) -> Response {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP: {answer:?}"));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers =
        lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_owned(), value.to_owned()));
    Response { status, headers: headers.collect(), body: body.to_owned() }
}

async fn get(server: &ExplorerServer, path: &str) -> Response {
    let address = server.address();
    let response = send(address, &format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")).await;
    let policy = response.header("content-security-policy").unwrap_or_else(|| panic!("{path} has no policy"));
    assert!(policy.starts_with("default-src 'none'; style-src 'self'; script-src 'self';"), "{path}: {policy}");
    assert!(!policy.contains("unsafe"), "{path}: {policy}");
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"), "{path}");
    response
}

/// A page that must be there, without anything that a strict browser would refuse.
async fn page(server: &ExplorerServer, path: &str) -> String {
    let response = get(server, path).await;
    assert_eq!(response.status, 200, "{path}: {}", response.body);
    assert_eq!(response.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
    for inline in [" style=\"", "<style", " onclick", "javascript:", "http://", "https://"] {
        assert!(!response.body.contains(inline), "{path} has {inline}");
    }
    response.body
}

async fn missing(server: &ExplorerServer, path: &str) -> String {
    let response = get(server, path).await;
    assert_eq!(response.status, 404, "{path}: {}", response.body);
    assert!(response.body.contains("name=\"q\""), "{path} offers no search");
    response.body
}

fn contains(page: &str, words: &[&str]) {
    for word in words {
        assert!(page.contains(word), "{word:?} is missing in {page}");
    }
}

#[tokio::test]
async fn every_page_of_an_empty_chain_answers() {
    let node = Node::start().await;
    let server = explorer(&node).await;
    for path in ["/", "/blocks", "/txs", "/validators", "/network", "/mempool", "/block/0", "/validator/0"] {
        page(&server, path).await;
    }
    for (path, kind) in
        [("/assets/style.css", "text/css"), ("/assets/live.js", "text/javascript"), ("/assets/icon.svg", "image/svg")]
    {
        let asset = get(&server, path).await;
        assert_eq!(asset.status, 200, "{path}");
        assert!(asset.header("content-type").unwrap().starts_with(kind), "{path}");
        assert!(asset.header("cache-control").unwrap().contains("immutable"), "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn home_shows_the_last_block_and_who_signed_it() {
    let node = Node::start().await;
    let server = explorer(&node).await;
    let transfer = node.transfer(0, 0, Address::repeat_byte(7), 1_500_000_000_000_000_000_u64);
    node.block(&[]).await;
    node.block(&[transfer]).await;
    let home = page(&server, "/").await;
    contains(
        &home,
        &[
            "href=\"/block/2\"",
            "Signed: 70 of 100 weight (70.0%); a quorum needs 67",
            "1 transaction<",
            "1.5</span>",
            "1 transaction in the 60 seconds",
            "data-live",
        ],
    );
    let lists = [page(&server, "/blocks").await, page(&server, "/txs").await];
    contains(&lists[0], &["href=\"/block/2\"", "href=\"/block/1\"", "href=\"/block/0\"", "node0"]);
    contains(&lists[1], &["Transfer", "1.5</span>", "Success"]);
}

#[tokio::test]
async fn a_block_by_number_and_by_hash() {
    let node = Node::start().await;
    let server = explorer(&node).await;
    let [first, second] = node.two_at_once().await;
    let shown = page(&server, "/block/1").await;
    assert!(shown.contains("became final together with block"), "{shown}");
    contains(
        &shown,
        &[&first.hash().to_string(), "<span class=\"num\">1</span>", "Certificate, ", "Proposer", "no transactions"],
    );
    let by_hash = page(&server, &format!("/block/{}", second.hash())).await;
    contains(&by_hash, &[&second.hash().to_string(), &first.hash().to_string(), "a quorum needs 67"]);
    assert!(!by_hash.contains("became final together"));
    contains(&page(&server, "/block/0x1").await, &[&first.hash().to_string()]);
    contains(&missing(&server, "/block/3").await, &["Block 3 does not exist yet", "last final block is 2"]);
    contains(&missing(&server, &format!("/block/{}", B256::ZERO)).await, &["no final block with the hash"]);
    missing(&server, "/block/-1").await;
    assert_eq!(get(&server, "/block/1?page=2").await.status, 400);
    assert_eq!(get(&server, "/blocks?before=x").await.status, 400);
}

#[tokio::test]
async fn long_lists_have_pages() {
    let node = Node::start().await;
    let server = explorer(&node).await;
    let transfers: Vec<Bytes> = (0..60).map(|nonce| node.transfer(0, nonce, Address::repeat_byte(7), 1)).collect();
    node.block(&transfers).await;
    node.blocks(60).await;
    let blocks = page(&server, "/blocks").await;
    assert!(blocks.contains("href=\"/blocks?before=12\""), "{blocks}");
    let older = page(&server, "/blocks?before=12").await;
    contains(&older, &["href=\"/block/11\"", "href=\"/block/0\"", "Newest"]);
    assert!(!older.contains("href=\"/block/12\""));
    let first = page(&server, "/txs").await;
    assert_eq!(first.matches(">Transfer<").count(), 50);
    assert!(first.contains("href=\"/txs?before=1-10\""), "{first}");
    let second = page(&server, "/txs?before=1-10").await;
    assert_eq!(second.matches(">Transfer<").count(), 10);
    assert!(!second.contains("rel=\"next\""));
    let block = page(&server, "/block/1").await;
    assert_eq!(block.matches(">Transfer<").count(), 50);
    assert_eq!(page(&server, "/block/1?page=2").await.matches(">Transfer<").count(), 10);
}

#[tokio::test]
async fn a_transaction_says_what_it_did() {
    let node = Node::start().await;
    let server = explorer(&node).await;
    let create = node.create(0, 0, logging_contract(B256::repeat_byte(0xab)));
    let block = node.block(&[create]).await;
    let hash = *block.block().transactions()[0].hash();
    let shown = page(&server, &format!("/tx/{hash}")).await;
    let contract = node.address(0).create(0).to_string();
    contains(
        &shown,
        &["Success", "Creates", &contract, "1 log", &format!("0x{}", "ab".repeat(32)), "called no other contract"],
    );
    contains(&page(&server, &format!("/tx/{hash}/calls")).await, &["called no other contract"]);
}

#[tokio::test]
async fn a_failed_transaction_says_why() {
    let node = Node::start().await;
    let server = explorer(&node).await;
    let mut reason = vec![0x08, 0xc3, 0x79, 0xa0];
    reason.extend_from_slice(B256::with_last_byte(32).as_slice());
    reason.extend_from_slice(B256::with_last_byte(25).as_slice());
    reason.extend_from_slice(EVIL.as_bytes());
    reason.extend_from_slice(&[0; 7]);
    let block = node.block(&[node.create(0, 0, reverting_code(&reason))]).await;
    let hash = *block.block().transactions()[0].hash();
    let shown = page(&server, &format!("/tx/{hash}")).await;
    contains(&shown, &["Failed", "Why it failed", "execution reverted", "&lt;script&gt;alert(1)&lt;/script&gt;"]);
    assert!(!shown.contains(EVIL), "{shown}");
}

#[tokio::test]
async fn a_transaction_that_waits_and_one_that_is_unknown() {
    let node = Node::start().await;
    let server = explorer(&node).await;
    let waiting = node.transfer(0, 5, Address::repeat_byte(7), 1);
    let outcome = node.chain.pool().add_raw(waiting, assent_chain::mempool::Origin::Local).unwrap();
    let shown = page(&server, &format!("/tx/{}", outcome.hash)).await;
    contains(&shown, &["Queued", "lower nonce"]);
    contains(&page(&server, "/mempool").await, &[&outcome.hash.to_string()]);
    contains(&missing(&server, &format!("/tx/{}", B256::repeat_byte(1))).await, &["knows no such transaction"]);
    contains(&missing(&server, &format!("/tx/{}", node.genesis.hash())).await, &["the hash of block 0"]);
    contains(&missing(&server, "/tx/0x12").await, &["64 hex digits"]);
}

#[tokio::test]
async fn the_search_leads_on_or_helps() {
    let node = Node::start().await;
    let server = explorer(&node).await;
    let block = node.block(&[node.transfer(0, 0, Address::repeat_byte(7), 1)]).await;
    let (hash, tx) = (block.hash(), *block.block().transactions()[0].hash());
    let address = node.address(0);
    for (query, to) in [
        ("1".to_owned(), "/block/1".to_owned()),
        ("+0x1+".into(), "/block/1".into()),
        (hash.to_string(), "/block/1".into()),
        (tx.to_string(), format!("/tx/{tx}")),
        (tx.to_string()[2..].to_uppercase(), format!("/tx/{tx}")),
        (address.to_string().to_lowercase(), format!("/address/{address}")),
        ("NODE2".into(), "/validator/2".into()),
    ] {
        let answer = get(&server, &format!("/search?q={query}")).await;
        assert_eq!((answer.status, answer.header("location")), (303, Some(to.as_str())), "{query}");
    }
    contains(&missing(&server, "/search?q=1000").await, &["Block 1000 does not exist yet", "last final block is 1"]);
    contains(&missing(&server, "/search?q=0x1234567890abcdef12").await, &["It has 18 hex digits"]);
    let evil = missing(&server, "/search?q=%3Cscript%3Ealert(1)%3C/script%3E").await;
    assert!(!evil.contains(EVIL) && evil.contains("&lt;script&gt;"), "{evil}");
    assert_eq!(get(&server, "/search").await.status, 400);
    contains(&missing(&server, "/no/such/page").await, &["There is no page"]);
    missing(&server, "/validator/4").await;
}

#[tokio::test]
async fn what_others_wrote_is_text() {
    let node = Node::start().await;
    let server = explorer(&node).await;
    let input: Bytes = EVIL.as_bytes().to_vec().into();
    let tx = TxEip1559 {
        chain_id: CHAIN_ID,
        to: TxKind::Call(Address::repeat_byte(7)),
        gas_limit: 100_000,
        input,
        value: U256::ZERO,
        ..TxEip1559::default()
    };
    let block = node.block(&[node.sign(0, tx)]).await;
    let peer = PeerStatus { name: EVIL.into(), refused_reason: Some(EVIL.into()), ..PeerStatus::default() };
    let status = NodeStatus {
        node_name: EVIL.into(),
        abstaining: Some(EVIL.into()),
        quorum: QuorumStatus::new(100, 10),
        peers: vec![peer],
        ..NodeStatus::default()
    };
    node.status.send_replace(Arc::new(status));
    let transaction = format!("/tx/{}", block.block().transactions()[0].hash());
    for path in ["/", "/network", "/validators", &transaction] {
        let shown = page(&server, path).await;
        assert!(!shown.contains(EVIL), "{path}: {shown}");
        assert!(shown.contains("&lt;script&gt;"), "{path}: {shown}");
    }
    contains(&page(&server, "/").await, &["No blocks are being made", "weight 10 of 100"]);
}

#[tokio::test]
async fn validators_are_counted_over_the_last_blocks() {
    let node = Node::start().await;
    let server = explorer(&node).await;
    node.blocks(3).await;
    let shown = page(&server, "/validators").await;
    // Validators 0 and 1 sign all certificates of the harness, and validator 0 proposes all blocks.
    contains(&shown, &["4 validators", "node3", "Counted over the last 3 blocks, 1 to 3", "Missed"]);
    assert_eq!(shown.matches("there in 1 of 1 parts").count(), 2, "{shown}");
    assert_eq!(shown.matches("there in 0 of 1 parts").count(), 2, "{shown}");
    contains(&shown, &["What the chain withstands", "Who can halt the chain", "Who can break its safety", "Advice"]);
    let one = page(&server, "/validator/node1").await;
    contains(&one, &["Validator", "node1", "30.0%", "in 3 of 3 certificates"]);
}

#[tokio::test]
async fn other_hosts_and_forms_of_other_sites_are_refused() {
    let node = Node::start().await;
    let server = explorer(&node).await;
    let address = server.address();
    let request = |method: &str, host: &str, more: &str| {
        format!("{method} / HTTP/1.1\r\nhost: {host}\r\n{more}content-length: 0\r\nconnection: close\r\n\r\n")
    };
    let host = address.to_string();
    for (method, host, more, status) in [
        ("GET", "evil.example", "", 403),
        ("GET", "localhost", "", 200),
        ("POST", host.as_str(), "origin: http://evil.example\r\n", 403),
        ("POST", host.as_str(), "origin: null\r\n", 403),
        ("POST", host.as_str(), "", 405),
    ] {
        let answer = send(address, &request(method, host, more)).await;
        assert_eq!(answer.status, status, "{method} {host} {more}");
        assert!(answer.header("content-security-policy").is_some(), "{method} {host} {more}");
    }
}

#[tokio::test]
async fn live_tells_of_each_new_head_until_the_explorer_stops() {
    let node = Node::start().await;
    let server = explorer(&node).await;
    let address = server.address();
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(format!("GET /live HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes()).await.unwrap();
    let mut text = String::new();
    read_until(&mut socket, &mut text, "\"head\":0").await;
    assert!(text.contains("content-type: text/event-stream"), "{text}");
    node.block(&[]).await;
    read_until(&mut socket, &mut text, "\"head\":1").await;
    server.stop().await;
    let mut rest = Vec::new();
    socket.read_to_end(&mut rest).await.unwrap();
}

async fn read_until(socket: &mut TcpStream, text: &mut String, word: &str) {
    let read = async {
        let mut buffer = [0; 4_096];
        while !text.contains(word) {
            let count = socket.read(&mut buffer).await.unwrap();
            assert!(count > 0, "the stream ended before {word}: {text}");
            text.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), read)
        .await
        .unwrap_or_else(|_| panic!("no {word} in time"));
}

#[tokio::test]
async fn a_taken_port_is_named_with_its_setting() {
    let node = Node::start().await;
    let server = explorer(&node).await;
    let refused = explorer_at(&node, server.address()).await.unwrap_err().to_string();
    assert!(refused.starts_with("explorer.listen: cannot listen on 127.0.0.1:"), "{refused}");
}

#[tokio::test]
async fn forms_that_do_not_arrive_keep_others_out_and_no_pages() {
    let node = Node::start().await;
    let server = explorer(&node).await;
    let address = server.address();
    let form = |bytes: usize| {
        let path = format!("/address/{}/contract/verify", Address::ZERO);
        let kind = "application/x-www-form-urlencoded";
        format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: {kind}\r\ncontent-length: {bytes}\r\nconnection: close\r\n\r\n"
        )
    };
    let whole = format!("{}output=x", form(8));
    assert_eq!(send(address, &whole).await.status, 400, "there is no contract");
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(form(1_000_000).as_bytes()).await.unwrap();
        slow.push(socket);
    }
    let refused = async { while send(address, &whole).await.status != 503 {} };
    tokio::time::timeout(std::time::Duration::from_secs(20), refused).await.expect("a third one is refused");
    page(&server, "/blocks").await;
    drop(slow);
    let taken = async { while send(address, &whole).await.status != 400 {} };
    tokio::time::timeout(std::time::Duration::from_secs(20), taken).await.expect("places come back");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn its_threads_are_its_own_and_give_way() {
    use rustix::process::{Pid, getpriority_process};
    let node = Node::start().await;
    let server = explorer(&node).await;
    let mut niceness = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let task = task.unwrap();
        // One that ends meanwhile has no name.
        let Ok(name) = std::fs::read_to_string(task.path().join("comm")) else { continue };
        if name.trim() == "explorer" {
            let id = task.file_name().to_str().unwrap().parse().unwrap();
            niceness.extend(getpriority_process(Pid::from_raw(id)));
        }
    }
    assert!(!niceness.is_empty());
    assert!(niceness.iter().all(|nice| *nice == assent_rpc::limits::THREAD_NICENESS), "{niceness:?}");
    server.stop().await;
}

//! Networks of real nodes over TCP on the loopback interface, seen from outside.

#![allow(clippy::unwrap_used)]

use alloy_primitives::{B256, bytes::Bytes};
use assent::network::{
    CONSENSUS_MAX, CONSENSUS_SMALL_MAX, Channel, Hello, Message, Multiaddr, NetworkConfig, NetworkError, NetworkEvents,
    NetworkHandle, PeerEvent, PeerSpec, SYNC_MAX, SendError, TRANSACTIONS_MAX, Timing, start,
};
use assent_consensus::PublicKey;
use assent_genesis::SecretKey;
use std::{
    io::Write,
    sync::{Arc, LazyLock, Mutex},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::{interval, timeout},
};

const DEADLINE: Duration = Duration::from_secs(20);

/// Everything that was logged, by all tests.
static LOG: LazyLock<Log> = LazyLock::new(|| {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::INFO)
        .with_writer(move || writer.clone())
        .init();
    log
});

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Whether one line of the log holds all these words.
fn logged(words: &[&str]) -> bool {
    let log = String::from_utf8_lossy(&LOG.0.lock().unwrap()).into_owned();
    log.lines().any(|line| words.iter().all(|word| line.contains(word)))
}

fn secret(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn key(seed: u8) -> PublicKey {
    secret(seed).public()
}

fn spec(seed: u8, addresses: Vec<Multiaddr>) -> PeerSpec {
    PeerSpec { key: key(seed), name: format!("node{seed}"), addresses }
}

async fn within<T>(what: &str, wait: impl Future<Output = T>) -> T {
    timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("waited too long: {what}"))
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let mut ticks = interval(Duration::from_millis(2));
    within(what, async {
        while !holds() {
            ticks.tick().await;
        }
    })
    .await;
}

struct Node {
    key: PublicKey,
    handle: NetworkHandle,
    events: NetworkEvents,
}

fn config(seed: u8, peers: Vec<PeerSpec>) -> NetworkConfig {
    LazyLock::force(&LOG);
    NetworkConfig {
        key: secret(seed),
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        peers,
        hello: Hello::new(B256::repeat_byte(1), 31337, &format!("node{seed}"), 0),
        timing: Timing { heartbeat: Duration::from_millis(100), ..Timing::default() },
    }
}

impl Node {
    async fn start(config: NetworkConfig) -> Self {
        let key = config.key.public();
        let (handle, events) = start(config).await.unwrap();
        Self { key, handle, events }
    }

    fn address(&self) -> Multiaddr {
        self.handle.listen_addresses()[0].clone()
    }

    async fn connected(&mut self, peer: PublicKey) {
        loop {
            match within("connected", self.events.control.recv()).await.unwrap() {
                PeerEvent::Connected { peer: other, .. } if other == peer => return,
                _ => {}
            }
        }
    }

    async fn disconnected(&mut self, peer: PublicKey) -> String {
        loop {
            match within("disconnected", self.events.control.recv()).await.unwrap() {
                PeerEvent::Disconnected { peer: other, reason } if other == peer => return reason,
                _ => {}
            }
        }
    }

    fn inbox(&mut self, channel: Channel) -> &mut mpsc::Receiver<Message> {
        match channel {
            Channel::Consensus => &mut self.events.consensus,
            Channel::Transactions => &mut self.events.transactions,
            Channel::Sync => &mut self.events.sync,
        }
    }

    async fn receive(&mut self, channel: Channel) -> Message {
        within("a message", self.inbox(channel).recv()).await.unwrap()
    }
}

/// Two connected nodes; the second dials the first.
async fn pair(one: u8, two: u8) -> (Node, Node) {
    let mut a = Node::start(config(one, vec![spec(two, vec![])])).await;
    let mut b = Node::start(config(two, vec![spec(one, vec![a.address()])])).await;
    a.connected(b.key).await;
    b.connected(a.key).await;
    (a, b)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_exchange_frames_of_all_sizes_on_all_channels() {
    let (mut a, mut b) = pair(1, 2).await;
    for (channel, length) in [
        (Channel::Consensus, 0),
        (Channel::Consensus, 1),
        (Channel::Consensus, CONSENSUS_SMALL_MAX),
        (Channel::Consensus, CONSENSUS_SMALL_MAX + 1),
        (Channel::Consensus, CONSENSUS_MAX),
        (Channel::Transactions, 110),
        (Channel::Transactions, TRANSACTIONS_MAX),
        (Channel::Sync, 40),
        (Channel::Sync, SYNC_MAX),
    ] {
        let frame = Bytes::from(vec![length as u8; length]);
        a.handle.send(&b.key, channel, frame.clone()).unwrap();
        assert_eq!(b.handle.broadcast(channel, frame.clone()), 1);
        let (at_a, at_b) = (a.receive(channel).await, b.receive(channel).await);
        assert_eq!((at_a.peer, at_b.peer), (b.key, a.key));
        assert!(at_a.bytes == frame && at_b.into_bytes() == frame, "{channel:?} {length}");
    }
    for (channel, length) in
        [(Channel::Consensus, CONSENSUS_MAX), (Channel::Transactions, TRANSACTIONS_MAX), (Channel::Sync, SYNC_MAX)]
    {
        let frame = Bytes::from(vec![0; length + 1]);
        assert_eq!(a.handle.send(&b.key, channel, frame.clone()), Err(SendError::TooLarge { length: length + 1 }));
        assert_eq!(a.handle.broadcast(channel, frame), 0);
    }
    assert_eq!(a.handle.send(&key(99), Channel::Sync, vec![]), Err(SendError::NotConnected));
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_of_one_lane_keep_their_order() {
    let (a, mut b) = pair(3, 4).await;
    const COUNT: u32 = 5_000;
    let mut expected = 0;
    for number in 0..COUNT {
        let frame = number.to_be_bytes().to_vec();
        while a.handle.send(&b.key, Channel::Transactions, frame.clone()) == Err(SendError::Full) {
            let message = b.receive(Channel::Transactions).await;
            assert_eq!(message.bytes.as_ref(), u32::to_be_bytes(expected));
            expected += 1;
        }
    }
    while expected < COUNT {
        assert_eq!(b.receive(Channel::Transactions).await.bytes.as_ref(), expected.to_be_bytes());
        expected += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_of_a_peer_is_told() {
    let (a, b) = pair(5, 6).await;
    b.handle.set_head(12_345);
    until("head and latency", || {
        let status = a.handle.peer(&b.key).unwrap();
        status.head == Some(12_345) && status.latency.is_some()
    })
    .await;
    let status = a.handle.peers().remove(0);
    assert_eq!((status.key, status.name.as_str(), status.connected), (b.key, "node6", true));
    assert!(status.last_heard.unwrap() <= Instant::now() && status.since <= Instant::now());
    assert!(status.remote_address.unwrap().to_string().starts_with("/ip4/127.0.0.1/tcp/"));
    let hello = status.hello.unwrap();
    assert_eq!((hello.name.as_str(), hello.chain_id), ("node6", 31337));
    assert!(hello.software.starts_with("assent/"));
    assert_eq!(a.handle.connected(), 1);
    assert!(logged(&["peer connected", "node6", &b.key.to_string()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_gets_nowhere_and_the_log_says_why() {
    let mut a = Node::start(config(7, vec![spec(8, vec![])])).await;
    let stranger = Node::start(config(9, vec![spec(7, vec![a.address()])])).await;
    let words = ["refused a connection", &key(9).to_string(), "not on the node list", "add it", "/ip4/127.0.0.1/tcp/"];
    until("the log says so", || logged(&words)).await;
    until("the stranger notices", || stranger.handle.peer(&a.key).unwrap().last_error.is_some()).await;
    assert!(!stranger.handle.peer(&a.key).unwrap().connected);
    assert_eq!(a.handle.connected(), 0);
    assert!(a.events.control.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_node_at_a_known_address_is_told() {
    let a = Node::start(config(10, vec![spec(11, vec![]), spec(12, vec![])])).await;
    // 11 believes that 12 lives where 10 does.
    let b = Node::start(config(11, vec![spec(10, vec![]), spec(12, vec![a.address()])])).await;
    let words = ["another node answers", "node12", &key(10).to_string(), "correct the address"];
    until("the log says so", || logged(&words)).await;
    assert!(!b.handle.peer(&key(12)).unwrap().connected);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_genesis_is_reported_on_both_sides() {
    let mut a = Node::start(config(13, vec![spec(14, vec![])])).await;
    let mut other = config(14, vec![spec(13, vec![a.address()])]);
    other.hello.genesis_hash = B256::repeat_byte(2);
    let mut b = Node::start(other).await;
    let (ours, theirs) = (B256::repeat_byte(1).to_string(), B256::repeat_byte(2).to_string());
    for (node, peer) in [(&mut a, key(14)), (&mut b, key(13))] {
        let event = within("refused", node.events.control.recv()).await.unwrap();
        let PeerEvent::Refused { peer: refused, reason } = event else { panic!("{event:?}") };
        assert_eq!(refused, peer);
        assert!(reason.contains(&ours) && reason.contains(&theirs) && reason.contains("genesis.json"), "{reason}");
        let status = node.handle.peer(&peer).unwrap();
        assert_eq!((status.connected, status.refused_reason), (false, Some(reason)));
    }
    for (name, first, second) in [("node14", &ours, &theirs), ("node13", &theirs, &ours)] {
        let words = ["ERROR", "refused peer", name, &format!("ours {first}"), &format!("theirs {second}")];
        assert!(logged(&words), "{name}");
    }
    assert_eq!(a.handle.send(&b.key, Channel::Consensus, vec![1]), Err(SendError::NotConnected));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_was_refused_comes_back_with_the_right_genesis() {
    let mut a = Node::start(config(15, vec![spec(16, vec![])])).await;
    let mut wrong = config(16, vec![spec(15, vec![a.address()])]);
    wrong.hello.chain_id = 5;
    let b = Node::start(wrong).await;
    assert!(matches!(within("refused", a.events.control.recv()).await, Some(PeerEvent::Refused { .. })));
    b.handle.shutdown().await;
    let mut b = Node::start(config(16, vec![spec(15, vec![a.address()])])).await;
    a.connected(b.key).await;
    b.connected(a.key).await;
    assert_eq!(a.handle.peer(&b.key).unwrap().refused_reason, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_gets_nowhere_and_the_log_says_from_where() {
    let mut a = Node::start(config(17, vec![spec(18, vec![])])).await;
    let port = a.address().to_string().rsplit('/').next().unwrap().parse::<u16>().unwrap();
    let mut client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let from = format!("/ip4/127.0.0.1/tcp/{}", client.local_addr().unwrap().port());
    client.write_all(&[0xa5; 4096]).await.unwrap();
    let mut rest = Vec::new();
    // What libp2p says first may arrive; then the connection ends.
    let _ = within("the connection ends", client.read_to_end(&mut rest)).await;
    until("the log says so", || logged(&["handshake failed", &from])).await;

    let mut b = Node::start(config(18, vec![spec(17, vec![a.address()])])).await;
    a.connected(b.key).await;
    b.connected(a.key).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_say_nothing_do_not_keep_peers_out() {
    let mut config_a = config(19, vec![spec(20, vec![])]);
    config_a.timing.handshake = Duration::from_millis(300);
    let mut a = Node::start(config_a).await;
    let port = a.address().to_string().rsplit('/').next().unwrap().parse::<u16>().unwrap();
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
    }
    let mut b = Node::start(config(20, vec![spec(19, vec![a.address()])])).await;
    a.connected(b.key).await;
    b.connected(a.key).await;
    for mut client in silent {
        let _ = within("the connection ends", client.read_to_end(&mut Vec::new())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_peer_is_back_soon() {
    let (mut a, mut b) = pair(21, 22).await;
    // From now on only the one that stays can dial.
    let address = b.address();
    a.handle.set_allowed(vec![spec(22, vec![address.clone()])]).unwrap();
    b.handle.shutdown().await;
    assert!(a.disconnected(b.key).await.contains("shutting down"));
    assert_eq!(a.handle.send(&b.key, Channel::Consensus, vec![1]), Err(SendError::NotConnected));
    until("a dial has failed", || a.handle.peer(&b.key).unwrap().last_error.unwrap().contains("refused")).await;

    let mut again = config(22, vec![spec(21, vec![])]);
    again.listen = vec![address];
    let started = Instant::now();
    b = Node::start(again).await;
    a.connected(b.key).await;
    b.connected(a.key).await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    a.handle.send(&b.key, Channel::Consensus, vec![2]).unwrap();
    assert_eq!(b.receive(Channel::Consensus).await.bytes.as_ref(), [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_dial_each_other_at_once_keep_working() {
    let nodes = [23, 24, 25].map(|seed| config(seed, vec![]));
    let mut started = Vec::new();
    for config in nodes {
        started.push(Node::start(config).await);
    }
    let list: Vec<_> = (23..).zip(&started).map(|(seed, node)| spec(seed, vec![node.address()])).collect();
    for node in &started {
        node.handle.set_allowed(list.clone()).unwrap();
    }
    until("a full mesh", || started.iter().all(|node| node.handle.connected() == 2)).await;
    for round in 0..200u32 {
        for node in &started {
            assert_eq!(node.handle.broadcast(Channel::Consensus, round.to_be_bytes().to_vec()), 2);
        }
        for node in &mut started {
            let mut senders = Vec::new();
            for _ in 0..2 {
                let message = node.receive(Channel::Consensus).await;
                assert_eq!(message.bytes.as_ref(), round.to_be_bytes());
                senders.push(message.peer);
            }
            senders.sort();
            senders.dedup();
            assert_eq!(senders.len(), 2);
        }
    }
    assert!(started.iter().all(|node| node.handle.connected() == 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_does_not_hold_up_the_others() {
    let mut config_a = config(26, vec![spec(27, vec![]), spec(28, vec![])]);
    config_a.timing.stall = Duration::from_secs(1);
    let mut a = Node::start(config_a).await;
    let slow = Node::start(config(27, vec![spec(26, vec![a.address()])])).await;
    let mut quick = Node::start(config(28, vec![spec(26, vec![a.address()])])).await;
    until("both are connected", || a.handle.connected() == 2).await;

    // The slow one's node takes nothing; all queues on the way fill up.
    let frame = Bytes::from(vec![0; 4 << 20]);
    until("the queue is full", || a.handle.send(&slow.key, Channel::Sync, frame.clone()) == Err(SendError::Full)).await;
    a.handle.send(&quick.key, Channel::Sync, frame.clone()).unwrap();
    assert_eq!(quick.receive(Channel::Sync).await.bytes, frame);
    let reason = a.disconnected(slow.key).await;
    assert!(reason.contains("does not read"), "{reason}");
    assert!(a.handle.peer(&quick.key).unwrap().connected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_transactions_does_not_delay_consensus() {
    let (a, mut b) = pair(29, 30).await;
    let transaction = Bytes::from(vec![1; 2_000]);
    let full = || a.handle.send(&b.key, Channel::Transactions, transaction.clone()) == Err(SendError::Full);
    until("all queues are full", || (0..10_000).any(|_| full())).await;
    let proposal = Bytes::from(vec![2; 1 << 20]);
    for vote in 0..100u32 {
        a.handle.send(&b.key, Channel::Consensus, vote.to_be_bytes().to_vec()).unwrap();
        if vote % 10 == 0 {
            a.handle.send(&b.key, Channel::Consensus, proposal.clone()).unwrap();
        }
    }
    let (mut votes, mut proposals) = (0u32, 0);
    while votes < 100 || proposals < 10 {
        let message = b.receive(Channel::Consensus).await;
        if message.bytes.len() == 4 {
            assert_eq!(message.bytes.as_ref(), votes.to_be_bytes());
            votes += 1;
        } else {
            proposals += 1;
        }
    }
    assert!(b.events.transactions.len() <= 1024, "{}", b.events.transactions.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn consensus_drops_the_oldest_when_nobody_reads() {
    let (a, mut b) = pair(31, 32).await;
    let large = |tag: u8| Bytes::from(vec![tag; 8 << 20]);
    for tag in 0..40 {
        a.handle.send(&b.key, Channel::Consensus, large(tag)).unwrap();
    }
    let mut tags = vec![b.receive(Channel::Consensus).await.bytes[0]];
    while tags.last() != Some(&39) {
        tags.push(b.receive(Channel::Consensus).await.bytes[0]);
    }
    assert!(tags.is_sorted() && tags.len() < 40, "{tags:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_the_list_is_cut_off_and_who_returns_is_let_in() {
    let (mut a, mut b) = pair(33, 34).await;
    a.handle.set_allowed(vec![]).unwrap();
    assert!(b.disconnected(a.key).await.contains("taken off the node list"));
    assert!(a.handle.peers().is_empty());
    let words = ["refused a connection", &b.key.to_string(), "not on the node list"];
    until("it knocks in vain", || logged(&words)).await;
    a.handle.set_allowed(vec![spec(34, vec![])]).unwrap();
    a.connected(b.key).await;
    b.connected(a.key).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_sent_away_is_told_why_and_stays_away() {
    let (mut a, mut b) = pair(35, 36).await;
    a.handle.disconnect(&b.key, "sent a block that is not one");
    assert_eq!(a.disconnected(b.key).await, "sent a block that is not one");
    assert!(b.disconnected(a.key).await.contains("sent a block that is not one"));
    until("it knocks in vain", || {
        b.handle.peer(&a.key).unwrap().last_error.is_some_and(|error| !error.contains("block"))
    })
    .await;
    let status = a.handle.peer(&b.key).unwrap();
    assert!(!status.connected && status.refused_reason.unwrap().contains("block"));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_resolved_and_a_taken_port_is_named() {
    let mut a = Node::start(config(37, vec![spec(38, vec![])])).await;
    let port = a.address().to_string().rsplit('/').next().unwrap().to_owned();
    let by_name = format!("/dns4/localhost/tcp/{port}").parse().unwrap();
    let mut b = Node::start(config(38, vec![spec(37, vec![by_name])])).await;
    a.connected(b.key).await;
    b.connected(a.key).await;

    let mut taken = config(39, vec![]);
    taken.listen = vec![a.address()];
    let error = start(taken).await.unwrap_err();
    assert!(error.to_string().contains(&port) && error.to_string().contains("change the p2p listen address"));
    let mut unspoken = config(39, vec![]);
    unspoken.listen = vec!["/ip4/127.0.0.1/udp/1/quic-v1".parse().unwrap()];
    assert!(matches!(start(unspoken).await, Err(NetworkError::ListenAddress { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_absence_is_worth_a_warning() {
    let mut config = config(40, vec![spec(41, vec!["/ip4/127.0.0.1/tcp/1".parse().unwrap()])]);
    config.timing.away_warning = Duration::from_millis(500);
    let node = Node::start(config).await;
    let words = ["WARN", "peer away", "node41", "/ip4/127.0.0.1/tcp/1", "refused", &node.key.to_string()];
    until("the log says so", || logged(&words)).await;
}

//! A node against a peer that is on the list and does not keep to the rules. The peer speaks the same
//! transport, and whatever it likes above it.

#![allow(clippy::unwrap_used)]

use super::{
    channel::Lane,
    frame,
    hello::{FRAME_MAX, Heartbeat},
    hub::Hub,
    streams::{Behaviour, Purpose, Streams},
    *,
};
use alloy_primitives::{B256, bytes::Bytes};
use assent_consensus::PublicKey;
use assent_genesis::SecretKey;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::{
    Stream, Swarm,
    swarm::{SwarmEvent, dial_opts::DialOpts},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    task::AbortHandle,
    time::{interval, timeout},
};

const DEADLINE: Duration = Duration::from_secs(20);
const VICTIM: u8 = 1;
const ROGUE: u8 = 2;

fn secret(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn key(seed: u8) -> PublicKey {
    secret(seed).public()
}

fn hello(name: &str) -> Hello {
    Hello::new(B256::repeat_byte(1), 1, name, 0)
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

/// A node that has the rogue on its list and never dials it.
async fn victim(timing: Timing) -> (NetworkHandle, NetworkEvents) {
    let rogue = PeerSpec { key: key(ROGUE), name: "rogue".into(), addresses: Vec::new() };
    let listen = vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()];
    start(NetworkConfig { key: secret(VICTIM), listen, peers: vec![rogue], hello: hello("victim"), timing })
        .await
        .unwrap()
}

/// A peer with full control over its connections.
struct Rogue {
    dial: mpsc::Sender<Multiaddr>,
    established: mpsc::Receiver<Streams>,
    closed: mpsc::Receiver<()>,
    driver: AbortHandle,
}

impl Rogue {
    fn new() -> Self {
        let (shared, _, _) = Hub::new(key(ROGUE), hello("rogue"), Timing::default());
        let victim = peer_id(&key(VICTIM)).unwrap();
        shared.list.replace([victim]);
        let keys = identity::keypair(&secret(ROGUE)).unwrap();
        let config = libp2p::swarm::Config::with_tokio_executor();
        let transport = swarm::transport(&shared, &keys).unwrap();
        let behaviour = Behaviour::new(shared.list.clone());
        let mut swarm = Swarm::new(transport, behaviour, keys.public().to_peer_id(), config);
        let (dial, mut to_dial) = mpsc::channel::<Multiaddr>(1);
        let (tell, established) = mpsc::channel(8);
        let (tell_closed, closed) = mpsc::channel(8);
        let driver = tokio::spawn(async move {
            loop {
                tokio::select! {
                    Some(address) = to_dial.recv() => {
                        let opts = DialOpts::peer_id(victim).addresses(vec![address]);
                        let opts = opts.condition(libp2p::swarm::dial_opts::PeerCondition::Always);
                        swarm.dial(opts.allocate_new_port().build()).unwrap();
                    }
                    event = swarm.select_next_some() => match event {
                        SwarmEvent::ConnectionEstablished { connection_id, .. } => {
                            let streams = swarm.behaviour_mut().take(connection_id).unwrap();
                            tell.send(streams).await.unwrap();
                        }
                        SwarmEvent::ConnectionClosed { .. } => tell_closed.send(()).await.unwrap(),
                        SwarmEvent::OutgoingConnectionError { error, .. } => panic!("{error}"),
                        _ => {}
                    }
                }
            }
        });
        Self { dial, established, closed, driver: driver.abort_handle() }
    }

    async fn connect(&mut self, victim: &NetworkHandle) -> Streams {
        self.dial.send(victim.listen_addresses()[0].clone()).await.unwrap();
        within("a connection", self.established.recv()).await.unwrap()
    }

    /// Connects and says hello.
    async fn meet(&mut self, victim: &NetworkHandle) -> (Streams, Stream) {
        let streams = self.connect(victim).await;
        let mut stream = streams.opener.open(Purpose::Hello).await.unwrap();
        write(&mut stream, &hello("rogue").encode()).await;
        let theirs = within("the hello", frame::read_frame(&mut stream, FRAME_MAX, DEADLINE)).await.unwrap().unwrap();
        assert_eq!(Hello::decode(&theirs).unwrap().name, "victim");
        until("the victim has accepted", || victim.peer(&key(ROGUE)).unwrap().connected).await;
        (streams, stream)
    }

    async fn is_closed(&mut self) {
        within("the victim closes the connection", self.closed.recv()).await.unwrap();
    }
}

impl Drop for Rogue {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

async fn write(stream: &mut Stream, bytes: &Bytes) {
    frame::write_frames(stream, std::slice::from_ref(bytes), DEADLINE).await.unwrap();
}

async fn read(stream: &mut Stream, limit: usize) -> Bytes {
    within("a frame", frame::read_frame(stream, limit, DEADLINE)).await.unwrap().unwrap()
}

/// The victim's stream for a lane, on this connection.
async fn arrival(streams: &mut Streams, lane: Lane) -> Stream {
    loop {
        let (purpose, stream) = within("a stream of the victim", streams.arrivals.recv()).await.unwrap();
        if purpose == Purpose::Lane(lane) {
            return stream;
        }
    }
}

async fn disconnected(events: &mut NetworkEvents) -> String {
    loop {
        if let PeerEvent::Disconnected { reason, .. } = within("an event", events.control.recv()).await.unwrap() {
            return reason;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reliability_13_frames_up_to_the_limit_are_taken_and_one_byte_more_ends_the_connection() {
    for lane in Lane::ALL {
        let (victim, mut events) = victim(Timing::default()).await;
        let mut rogue = Rogue::new();
        let (streams, _heart) = rogue.meet(&victim).await;
        let mut stream = streams.opener.open(Purpose::Lane(lane)).await.unwrap();
        let limit = lane.limits().frame_bytes;
        write(&mut stream, &vec![7; limit].into()).await;
        let inbox = match lane.channel() {
            Channel::Consensus => &mut events.consensus,
            Channel::Transactions => &mut events.transactions,
            Channel::Sync => &mut events.sync,
        };
        assert_eq!(within("a message", inbox.recv()).await.unwrap().bytes.len(), limit, "{lane:?}");

        let length = u32::try_from(limit + 1).unwrap();
        stream.write_all(&length.to_be_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let reason = disconnected(&mut events).await;
        assert!(reason.contains(&format!("{length} bytes")) && reason.contains(&limit.to_string()), "{reason}");
        rogue.is_closed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_processed_before_the_hello() {
    let (victim, mut events) = victim(Timing::default()).await;
    let mut rogue = Rogue::new();
    let streams = rogue.connect(&victim).await;
    // The victim may have closed the connection before this side knows that the stream stands.
    if let Ok(mut lane) = streams.opener.open(Purpose::Lane(Lane::ConsensusSmall)).await {
        let _ = frame::write_frames(&mut lane, &[Bytes::from_static(b"vote")], DEADLINE).await;
    }
    rogue.is_closed().await;
    let status = victim.peer(&key(ROGUE)).unwrap();
    assert!(!status.connected);
    assert!(status.last_error.unwrap().contains("before its hello"));
    assert!(events.consensus.try_recv().is_err());
    assert!(events.control.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_a_hello_does_not_stay() {
    let timing = Timing { handshake: Duration::from_millis(200), ..Timing::default() };
    let (victim, _events) = victim(timing).await;
    let mut rogue = Rogue::new();
    let streams = rogue.connect(&victim).await;
    let _silent = streams.opener.open(Purpose::Hello).await.unwrap();
    rogue.is_closed().await;
    assert!(victim.peer(&key(ROGUE)).unwrap().last_error.unwrap().contains("no hello in time"));
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_words_end_the_connection() {
    let long = vec![0; FRAME_MAX + 1].into();
    for bytes in [Bytes::new(), Bytes::from_static(b"\x01short"), Bytes::from_static(b"\xff"), long] {
        let (victim, mut events) = victim(Timing::default()).await;
        let mut rogue = Rogue::new();
        let (_streams, mut heart) = rogue.meet(&victim).await;
        write(&mut heart, &bytes).await;
        let reason = disconnected(&mut events).await;
        assert!(reason.contains("hostile"), "{reason}");
        rogue.is_closed().await;
    }
    let (victim, _events) = victim(Timing::default()).await;
    let mut rogue = Rogue::new();
    let streams = rogue.connect(&victim).await;
    let mut stream = streams.opener.open(Purpose::Hello).await.unwrap();
    write(&mut stream, &Bytes::from_static(b"\xc3hello")).await;
    rogue.is_closed().await;
    assert!(victim.peer(&key(ROGUE)).unwrap().last_error.unwrap().contains("malformed hello"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_hello_ends_the_connection() {
    let (victim, mut events) = victim(Timing::default()).await;
    let mut rogue = Rogue::new();
    let (streams, _heart) = rogue.meet(&victim).await;
    let _second = streams.opener.open(Purpose::Hello).await;
    assert!(disconnected(&mut events).await.contains("hello twice"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_connection_is_dead() {
    let silence = Duration::from_millis(300);
    let timing = Timing { silence, heartbeat: Duration::from_millis(50), ..Timing::default() };
    let (victim, mut events) = victim(timing).await;
    let mut rogue = Rogue::new();
    let (_streams, _heart) = rogue.meet(&victim).await;
    assert!(disconnected(&mut events).await.contains("nothing heard"));
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_are_answered_and_carry_the_head() {
    let timing = Timing { heartbeat: Duration::from_millis(50), ..Timing::default() };
    let (victim, _events) = victim(timing).await;
    victim.set_head(77);
    let mut rogue = Rogue::new();
    let (_streams, mut heart) = rogue.meet(&victim).await;
    write(&mut heart, &Heartbeat::Ping { number: 42, head: 12 }.encode()).await;
    let (mut ponged, mut pinged) = (false, false);
    while !(ponged && pinged) {
        match Heartbeat::decode(&read(&mut heart, FRAME_MAX).await).unwrap() {
            Heartbeat::Pong { number } => ponged = number == 42,
            Heartbeat::Ping { number, head } => {
                pinged = head == 77;
                write(&mut heart, &Heartbeat::Pong { number }.encode()).await;
            }
            Heartbeat::Bye { reason } => panic!("{reason}"),
        }
    }
    let status = || victim.peer(&key(ROGUE)).unwrap();
    until("the head is known", || status().head == Some(12)).await;
    until("the latency is known", || status().latency.is_some()).await;
    assert!(status().last_heard.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_loses_its_connection() {
    let timing = Timing { stall: Duration::from_millis(300), ..Timing::default() };
    let (victim, mut events) = victim(timing).await;
    let mut rogue = Rogue::new();
    let (mut streams, _heart) = rogue.meet(&victim).await;
    let _unread = arrival(&mut streams, Lane::Sync).await;
    victim.send(&key(ROGUE), Channel::Sync, vec![0; SYNC_MAX]).unwrap();
    assert!(disconnected(&mut events).await.contains("does not read"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_half_a_frame_loses_its_connection() {
    let timing = Timing { stall: Duration::from_millis(200), ..Timing::default() };
    let (victim, mut events) = victim(timing).await;
    let mut rogue = Rogue::new();
    let (streams, _heart) = rogue.meet(&victim).await;
    let mut stream = streams.opener.open(Purpose::Lane(Lane::Sync)).await.unwrap();
    stream.write_all(&[0, 0, 1, 0, 7]).await.unwrap();
    stream.flush().await.unwrap();
    assert!(disconnected(&mut events).await.contains("did not move"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_stream_replaces_the_old_one_of_its_lane() {
    let (victim, mut events) = victim(Timing::default()).await;
    let mut rogue = Rogue::new();
    let (streams, _heart) = rogue.meet(&victim).await;
    let open = || streams.opener.open(Purpose::Lane(Lane::Transactions));
    let mut first = open().await.unwrap();
    write(&mut first, &Bytes::from_static(b"one")).await;
    assert_eq!(within("the first", events.transactions.recv()).await.unwrap().into_bytes().as_ref(), b"one");
    let mut second = open().await.unwrap();
    write(&mut second, &Bytes::from_static(b"two")).await;
    assert_eq!(within("the second", events.transactions.recv()).await.unwrap().into_bytes().as_ref(), b"two");
    let ended = within("the end of the first", first.read(&mut [0; 1])).await;
    assert!(matches!(ended, Ok(0) | Err(_)));
    assert!(victim.peer(&key(ROGUE)).unwrap().connected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_node_has_not_taken_is_bounded_and_other_lanes_go_on() {
    let (victim, mut events) = victim(Timing::default()).await;
    let mut rogue = Rogue::new();
    let (streams, _heart) = rogue.meet(&victim).await;
    let mut flood = streams.opener.open(Purpose::Lane(Lane::Transactions)).await.unwrap();
    let flooding = tokio::spawn(async move {
        let frames = vec![Bytes::from(vec![1; 200]); 1_000];
        while frame::write_frames(&mut flood, &frames, DEADLINE).await.is_ok() {}
    });
    let most = Lane::Transactions.limits().receive_frames;
    until("the budget is used up", || events.transactions.len() == most).await;

    let mut vote = streams.opener.open(Purpose::Lane(Lane::ConsensusSmall)).await.unwrap();
    write(&mut vote, &Bytes::from_static(b"vote")).await;
    assert_eq!(within("the vote", events.consensus.recv()).await.unwrap().bytes.as_ref(), b"vote");
    assert_eq!(events.transactions.len(), most, "not one more");

    drop(events.transactions.recv().await);
    until("the place is taken again", || events.transactions.len() == most).await;
    flooding.abort();
}

/// Nobody takes the blocks, the transactions and the answers of sync that a peer floods this node with: its budgets
/// stay used up, and a vote of the very same peer still gets to the node.
#[tokio::test(flavor = "multi_thread")]
async fn reliability_13_votes_come_in_while_all_other_lanes_are_full_and_not_taken() {
    let (victim, mut events) = victim(Timing::default()).await;
    let mut rogue = Rogue::new();
    let (streams, _heart) = rogue.meet(&victim).await;
    let mut floods = Vec::new();
    for lane in [Lane::ConsensusLarge, Lane::Transactions, Lane::Sync] {
        let mut stream = streams.opener.open(Purpose::Lane(lane)).await.unwrap();
        let limits = lane.limits();
        let body = Bytes::from(vec![1; limits.receive_bytes / limits.receive_frames]);
        floods.push(tokio::spawn(async move {
            while frame::write_frames(&mut stream, std::slice::from_ref(&body), DEADLINE).await.is_ok() {}
        }));
    }
    let most = |lane: Lane| lane.limits().receive_frames;
    let (blocks, transactions, answers) = (most(Lane::ConsensusLarge), most(Lane::Transactions), most(Lane::Sync));
    until("all budgets are used up", || {
        let waiting = (events.consensus.len(), events.transactions.len(), events.sync.len());
        waiting == (blocks, transactions, answers)
    })
    .await;

    let mut votes = streams.opener.open(Purpose::Lane(Lane::ConsensusSmall)).await.unwrap();
    write(&mut votes, &Bytes::from_static(b"vote")).await;
    until("the vote is there", || events.consensus.len() > blocks).await;
    assert_eq!((events.transactions.len(), events.sync.len()), (transactions, answers), "not one more");
    for _ in 0..blocks {
        let block = within("a block", events.consensus.recv()).await.unwrap();
        assert!(block.bytes.len() > CONSENSUS_SMALL_MAX);
    }
    assert_eq!(within("the vote", events.consensus.recv()).await.unwrap().bytes.as_ref(), b"vote");
    floods.iter().for_each(tokio::task::JoinHandle::abort);
}

/// The peer reads votes and nothing else. What waits for it stays within the queues' bytes, however much more there is
/// to send, and each vote comes, in order.
#[tokio::test(flavor = "multi_thread")]
async fn reliability_13_a_peer_that_reads_only_votes_costs_its_queues_and_gets_every_vote() {
    let (victim, _events) = victim(Timing::default()).await;
    let mut rogue = Rogue::new();
    let (mut streams, _heart) = rogue.meet(&victim).await;
    // A stream that is let go ends; these are held and not read.
    let (mut votes, mut unread) = (None, Vec::new());
    while votes.is_none() || unread.len() + 1 < Lane::COUNT {
        match within("a stream of the victim", streams.arrivals.recv()).await.unwrap() {
            (Purpose::Lane(Lane::ConsensusSmall), stream) => votes = Some(stream),
            (_, stream) => unread.push(stream),
        }
    }
    let mut votes = votes.unwrap();
    let block = Bytes::from(vec![1; CONSENSUS_MAX]);
    let transactions = Bytes::from(vec![2; TRANSACTIONS_MAX / 2]);
    let answer = Bytes::from(vec![3; 4 << 20]);
    let send = |channel, bytes: &Bytes| victim.send(&key(ROGUE), channel, bytes.clone());
    until("transactions are full", || send(Channel::Transactions, &transactions) == Err(SendError::Full)).await;
    until("sync is full", || send(Channel::Sync, &answer) == Err(SendError::Full)).await;
    for number in 0..200u32 {
        // New blocks drop old ones; the other channels refuse.
        send(Channel::Consensus, &block).unwrap();
        let _ = (send(Channel::Transactions, &transactions), send(Channel::Sync, &answer));
        send(Channel::Consensus, &Bytes::copy_from_slice(&number.to_be_bytes())).unwrap();
        for lane in Lane::ALL {
            let waiting = victim.waiting(&key(ROGUE), lane);
            assert!(waiting <= lane.limits().send_bytes, "{lane:?}: {waiting} bytes wait");
        }
        assert_eq!(read(&mut votes, CONSENSUS_SMALL_MAX).await.as_ref(), number.to_be_bytes());
    }
    assert!(victim.waiting(&key(ROGUE), Lane::ConsensusLarge) > 0, "nobody read the blocks");
    assert!(victim.peer(&key(ROGUE)).unwrap().connected);
    drop(unread);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_connection_is_written_to_and_the_other_when_it_fails() {
    let (victim, mut events) = victim(Timing::default()).await;
    let send = |text: &'static [u8]| victim.send(&key(ROGUE), Channel::Consensus, Bytes::from_static(text)).unwrap();
    let mut rogue = Rogue::new();
    let (mut first, _heart) = rogue.meet(&victim).await;
    let mut stream = arrival(&mut first, Lane::ConsensusSmall).await;
    send(b"one");
    assert_eq!(read(&mut stream, 10).await.as_ref(), b"one");

    let (mut second, heart) = rogue.meet(&victim).await;
    let mut stream = arrival(&mut second, Lane::ConsensusSmall).await;
    send(b"two");
    assert_eq!(read(&mut stream, 10).await.as_ref(), b"two");

    drop((heart, stream, second));
    let mut stream = arrival(&mut first, Lane::ConsensusSmall).await;
    send(b"three");
    assert_eq!(read(&mut stream, 10).await.as_ref(), b"three");
    assert!(matches!(events.control.recv().await, Some(PeerEvent::Connected { .. })));
    assert!(events.control.try_recv().is_err(), "to the node it was connected all the time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_third_connection_closes_the_oldest() {
    let (victim, _events) = victim(Timing::default()).await;
    let mut rogue = Rogue::new();
    let (_first, mut oldest) = rogue.meet(&victim).await;
    let (_second, _heart) = rogue.meet(&victim).await;
    let (_third, _heart) = rogue.meet(&victim).await;
    loop {
        if let Heartbeat::Bye { reason } = Heartbeat::decode(&read(&mut oldest, FRAME_MAX).await).unwrap() {
            assert!(reason.contains("newer"), "{reason}");
            break;
        }
    }
    rogue.is_closed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reliability_13_too_many_streams_cost_memory_no_more_than_a_connection() {
    let (victim, mut events) = victim(Timing::default()).await;
    let mut rogue = Rogue::new();
    let (streams, _heart) = rogue.meet(&victim).await;
    let mut open = Vec::new();
    let disconnected = tokio::spawn(async move { disconnected(&mut events).await });
    while !disconnected.is_finished() && open.len() < 100 {
        // The handler of the rogue answers at once; the victim's limit shows in the connection's end.
        match timeout(Duration::from_secs(1), streams.opener.open(Purpose::Lane(Lane::Sync))).await {
            Ok(Ok(stream)) => open.push(stream),
            _ => break,
        }
    }
    assert!(open.len() < 100, "at most 32 streams stand at once");
    assert_eq!(victim.peers().len(), 1);
}

/// The rogue keeps the shared part of a network alive that has no swarm.
#[tokio::test]
async fn a_list_with_bytes_that_are_no_key_changes_nothing() {
    let (shared, _events, _) = Hub::new(key(VICTIM), hello("victim"), Timing::default());
    let spec = |key| PeerSpec { key, name: "x".into(), addresses: Vec::new() };
    shared.set_list(vec![spec(key(VICTIM)), spec(key(ROGUE))]).unwrap();
    assert_eq!(shared.peers().len(), 1, "without this node itself");
    let mut no_key = [0; 32];
    no_key[0] = 2;
    assert!(matches!(shared.set_list(vec![spec(PublicKey(no_key))]), Err(NetworkError::PeerKey { .. })));
    assert_eq!(shared.peers().len(), 1);
    assert!(Arc::strong_count(&shared) >= 1);
    shared.dismiss_peers();
}

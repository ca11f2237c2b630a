//! One authenticated connection to a peer: hello first, then heartbeat and lanes until it ends.
//!
//! A connection is served by one task and ends once, for the first reason that anybody gives.

use super::{
    budget::Rate,
    channel::Lane,
    frame::{self, FrameError},
    hello::{FRAME_MAX, Heartbeat, Hello},
    hub::Hub,
    peer::Peer,
    receive,
    streams::{OpenError, Opener, Purpose, Streams},
};
use futures::{
    AsyncReadExt, AsyncWriteExt,
    io::{ReadHalf, WriteHalf},
};
use libp2p::{Multiaddr, Stream, swarm::ConnectionId};
use parking_lot::Mutex;
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time::{Interval, MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// How long the last word to a peer may take.
const FAREWELL_TIME: Duration = Duration::from_millis(500);
/// How long to wait after a refusal for the other side to have read why.
const REFUSAL_TIME: Duration = Duration::from_secs(2);
/// Pings that wait for their pong to be written; more are not answered.
const PONGS_MAX: usize = 4;
/// What is read of a peer's heartbeat: fifty times what an honest one sends.
const HEARTBEATS_PER_SECOND: u32 = 50;

/// When something was last heard. Milliseconds are exact enough, and an atomic is cheap per frame.
#[derive(Debug)]
pub(crate) struct Heard {
    base: Instant,
    /// Milliseconds after `base`, plus one; 0 for never.
    millis: AtomicU64,
}

impl Heard {
    pub(crate) fn never() -> Self {
        Self { base: Instant::now(), millis: AtomicU64::new(0) }
    }

    fn now() -> Self {
        Self { base: Instant::now(), millis: AtomicU64::new(1) }
    }

    pub(crate) fn touch(&self) {
        let millis = u64::try_from(self.base.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.millis.store(millis + 1, Ordering::Relaxed);
    }

    pub(crate) fn last(&self) -> Option<Instant> {
        let millis = self.millis.load(Ordering::Relaxed).checked_sub(1)?;
        self.base.checked_add(Duration::from_millis(millis))
    }
}

/// Why a connection ended, and whether the peer is to be told.
#[derive(Clone, Debug)]
struct Ending {
    reason: String,
    ours: bool,
}

/// The connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) remote: Multiaddr,
    /// Whether this node dialled.
    pub(crate) dialled: bool,
    pub(crate) since: Instant,
    opener: Opener,
    heard: Heard,
    ping: Mutex<Option<(u64, Instant)>>,
    ending: OnceLock<Ending>,
    ended: CancellationToken,
}

impl Connection {
    pub(crate) fn new(id: ConnectionId, remote: Multiaddr, dialled: bool, opener: Opener) -> Self {
        Self {
            id,
            remote,
            dialled,
            since: Instant::now(),
            opener,
            heard: Heard::now(),
            ping: Mutex::new(None),
            ending: OnceLock::new(),
            ended: CancellationToken::new(),
        }
    }

    /// Ends it because this node wants to. The peer is told the reason.
    pub(crate) fn close(&self, reason: impl Into<String>) {
        self.end(Ending { reason: reason.into(), ours: true });
    }

    /// Notes that it ended by itself.
    pub(crate) fn lost(&self, reason: impl Into<String>) {
        self.end(Ending { reason: reason.into(), ours: false });
    }

    fn end(&self, ending: Ending) {
        let _ = self.ending.set(ending);
        self.ended.cancel();
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Why it ended.
    pub(crate) fn reason(&self) -> String {
        self.ending.get().map_or_else(|| "still open".to_owned(), |ending| ending.reason.clone())
    }

    /// Opens a stream on this very connection.
    pub(crate) async fn open(&self, purpose: Purpose) -> Result<Stream, OpenError> {
        tokio::select! {
            biased;
            () = self.ended() => Err(OpenError::Closed),
            opened = self.opener.open(purpose) => opened,
        }
    }

    /// Notes that bytes came in.
    pub(crate) fn heard(&self) {
        self.heard.touch();
    }

    fn silence(&self) -> Duration {
        self.heard.last().map_or(Duration::MAX, |last| last.elapsed())
    }
}

/// Ticks that do not make up for those that were missed while the process stood still.
fn unhurried(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Why two nodes did not get acquainted.
enum Unmet {
    /// They belong to different networks; both know by now.
    Refused(String, Stream),
    /// It did not come to that.
    Failed(String),
}

impl From<FrameError> for Unmet {
    fn from(error: FrameError) -> Self {
        Self::Failed(format!("hello: {error}"))
    }
}

/// Serves a connection from its first stream to its end.
pub(crate) async fn serve(shared: Arc<Hub>, peer: Arc<Peer>, connection: Arc<Connection>, streams: Streams) {
    let mut arrivals = streams.arrivals;
    let met = tokio::select! {
        biased;
        () = connection.ended() => Err(Unmet::Failed(connection.reason())),
        met = greet(&shared, &connection, &mut arrivals) => met,
        () = sleep(shared.timing.handshake) => Err(Unmet::Failed("no hello in time".to_owned())),
    };
    match met {
        Ok((hello, stream)) => {
            connection.heard();
            peer.accept(&shared, &connection, hello);
            serve_accepted(&shared, &peer, &connection, &mut arrivals, stream).await;
        }
        Err(Unmet::Refused(reason, mut stream)) => {
            peer.refuse(&shared, &connection, &reason);
            let _ = timeout(REFUSAL_TIME, await_end(&mut stream)).await;
            connection.lost(reason);
        }
        Err(Unmet::Failed(reason)) => {
            peer.failed(&shared, &reason);
            connection.lost(reason);
        }
    }
    shared.hang_up(connection.id).await;
}

/// Exchanges hellos. Nothing else that the peer sends is looked at before.
async fn greet(
    shared: &Hub,
    connection: &Connection,
    arrivals: &mut mpsc::Receiver<(Purpose, Stream)>,
) -> Result<(Hello, Stream), Unmet> {
    let mut stream = if connection.dialled {
        connection.open(Purpose::Hello).await.map_err(|error| Unmet::Failed(format!("hello: {error}")))?
    } else {
        match arrivals.recv().await {
            Some((Purpose::Hello, stream)) => stream,
            Some((Purpose::Lane(lane), _)) => {
                return Err(Unmet::Failed(format!("the peer opened {} before its hello", lane.name())));
            }
            None => {
                return Err(Unmet::Failed("the connection closed before the hello".to_owned()));
            }
        }
    };
    let stall = shared.timing.stall;
    let ours = shared.hello();
    frame::write_frames(&mut stream, &[ours.encode()], stall).await?;
    let bytes = frame::read_frame(&mut stream, FRAME_MAX, stall).await?.ok_or(FrameError::Torn)?;
    let theirs = Hello::decode(&bytes).map_err(|error| Unmet::Failed(error.to_string()))?;
    match ours.conflict(&theirs) {
        Some(reason) => Err(Unmet::Refused(reason, stream)),
        None => Ok((theirs, stream)),
    }
}

/// Ends our side of a stream and waits for the other's end.
async fn await_end(stream: &mut Stream) -> std::io::Result<()> {
    stream.close().await?;
    let mut rest = [0; 64];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

/// Serves a connection whose hello was accepted.
async fn serve_accepted(
    shared: &Arc<Hub>,
    peer: &Arc<Peer>,
    connection: &Arc<Connection>,
    arrivals: &mut mpsc::Receiver<(Purpose, Stream)>,
    stream: Stream,
) {
    let (read, write) = stream.split();
    let (answer, pongs) = mpsc::channel(PONGS_MAX);
    let beating = tokio::spawn(beat(shared.clone(), connection.clone(), write, pongs));
    let mut tasks = JoinSet::new();
    tasks.spawn(listen(shared.clone(), peer.clone(), connection.clone(), read, answer));
    let mut receiving: [Option<AbortHandle>; Lane::COUNT] = Default::default();
    let silence = shared.timing.silence;
    let mut check = unhurried(silence / 8);
    loop {
        tokio::select! {
            biased;
            () = connection.ended() => break,
            _ = check.tick() => if connection.silence() > silence {
                connection.close(format!("nothing heard for {silence:?}"));
            },
            Some(_) = tasks.join_next() => {}
            Some((purpose, stream)) = arrivals.recv() => match purpose {
                Purpose::Hello => connection.close("the peer said hello twice"),
                Purpose::Lane(lane) => {
                    let reader = receive::run(shared.clone(), peer.clone(), connection.clone(), lane, stream);
                    if let Some(former) = receiving[lane.index()].replace(tasks.spawn(reader)) {
                        former.abort();
                    }
                }
            },
        }
    }
    tasks.abort_all();
    peer.lost(shared, connection);
    let _ = timeout(FAREWELL_TIME, beating).await;
    if connection.ending.get().is_some_and(|ending| ending.ours) {
        // Who was told goodbye closes the connection; if it were closed here, the word could be lost.
        let _ = timeout(FAREWELL_TIME, async { while arrivals.recv().await.is_some() {} }).await;
    }
}

/// Sends pings, pongs and at the end the reason why.
async fn beat(
    shared: Arc<Hub>,
    connection: Arc<Connection>,
    mut stream: WriteHalf<Stream>,
    mut pongs: mpsc::Receiver<u64>,
) {
    let mut ticks = unhurried(shared.timing.heartbeat);
    let mut number = 0;
    loop {
        let word = tokio::select! {
            biased;
            () = connection.ended() => break,
            Some(number) = pongs.recv() => Heartbeat::Pong { number },
            _ = ticks.tick() => {
                number += 1;
                *connection.ping.lock() = Some((number, Instant::now()));
                Heartbeat::Ping { number, head: shared.head() }
            }
        };
        if let Err(error) = say(&mut stream, &connection, &word, shared.timing.stall).await {
            connection.lost(format!("heartbeat: {error}"));
        }
    }
    if let Some(Ending { reason, ours: true }) = connection.ending.get() {
        let bye = Heartbeat::Bye { reason: reason.clone() };
        let _ = frame::write_frames(&mut stream, &[bye.encode()], FAREWELL_TIME).await;
        let _ = stream.close().await;
    }
}

/// Writes a word unless the connection ends first.
async fn say(
    stream: &mut WriteHalf<Stream>,
    connection: &Connection,
    word: &Heartbeat,
    stall: Duration,
) -> Result<(), FrameError> {
    let frame = [word.encode()];
    tokio::select! {
        biased;
        () = connection.ended() => Ok(()),
        said = frame::write_frames(stream, &frame, stall) => said,
    }
}

/// Hears the peer's heartbeat, to the end of the connection.
async fn listen(
    shared: Arc<Hub>,
    peer: Arc<Peer>,
    connection: Arc<Connection>,
    mut stream: ReadHalf<Stream>,
    answer: mpsc::Sender<u64>,
) {
    let mut rate = Rate::new(HEARTBEATS_PER_SECOND, HEARTBEATS_PER_SECOND * FRAME_MAX as u32, Instant::now());
    loop {
        let word = match frame::read_frame(&mut stream, FRAME_MAX, shared.timing.stall).await {
            Ok(Some(bytes)) => match Heartbeat::decode(&bytes) {
                Ok(word) => word,
                Err(error) => return connection.close(error.to_string()),
            },
            Ok(None) => return connection.lost("the peer closed the connection"),
            Err(error) if error.is_fault() => {
                return connection.close(format!("heartbeat: {error}"));
            }
            // The connection is failing; what it fails of is said by whoever closes it.
            Err(_) => return,
        };
        connection.heard();
        peer.heard.touch();
        match word {
            Heartbeat::Ping { number, head } => {
                peer.set_head(head);
                // A peer that pings faster than its pongs are written loses some.
                let _ = answer.try_send(number);
            }
            Heartbeat::Pong { number } => {
                let mut ping = connection.ping.lock();
                if let Some((_, sent)) = ping.take_if(|(waiting, _)| *waiting == number) {
                    peer.set_latency(sent.elapsed());
                }
            }
            Heartbeat::Bye { reason } => {
                return connection.lost(format!("the peer said: {reason}"));
            }
        }
        sleep(rate.charge(FRAME_MAX, Instant::now())).await;
    }
}

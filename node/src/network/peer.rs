//! What this node knows of one peer on the node list, and its send queues.

use super::{
    budget::{Inflow, Rate},
    channel::Lane,
    config::{PeerSpec, Timing},
    connection::{Connection, Heard},
    dialling::Dialling,
    handle::{PeerEvent, SendError},
    hello::Hello,
    hub::Hub,
    log_limit::LogLimit,
    measures,
    queue::{Push, SendQueue},
};
use alloy_primitives::bytes::Bytes;
use assent_consensus::PublicKey;
use libp2p::{Multiaddr, PeerId};
use parking_lot::{Mutex, RwLock};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often a peer that is away, refused or over its budget is mentioned again.
const REMIND: Duration = Duration::from_secs(60);

/// What is known of a peer. Times are of this node's monotonic clock.
#[derive(Clone, Debug)]
pub struct PeerStatus {
    /// Its node key.
    pub key: PublicKey,
    /// Its name on the node list.
    pub name: String,
    /// Whether a connection stands whose hello was accepted.
    pub connected: bool,
    /// Since when it is connected, or is not.
    pub since: Instant,
    /// When something came from it last.
    pub last_heard: Option<Instant>,
    /// The round trip of its last heartbeat.
    pub latency: Option<Duration>,
    /// The address of its newest connection.
    pub remote_address: Option<Multiaddr>,
    /// What it said when it connected last.
    pub hello: Option<Hello>,
    /// The number of the last final block that it told.
    pub head: Option<u64>,
    /// Why it was refused, when it belongs to another network or was sent away.
    pub refused_reason: Option<String>,
    /// Why it is not connected, as far as known.
    pub last_error: Option<String>,
}

/// All that changes, behind one lock: with two, a peer that is lost while it is dialled takes them in
/// the other order, and the node stands still.
#[derive(Debug)]
struct State {
    spec: PeerSpec,
    dialling: Dialling,
    /// Connections whose hello was accepted, oldest first. The newest is written to.
    accepted: Vec<Arc<Connection>>,
    since: Instant,
    latency: Option<Duration>,
    hello: Option<Hello>,
    head: Option<u64>,
    refused: Option<String>,
    last_error: Option<String>,
    barred_until: Option<Instant>,
}

/// One peer, from the day it is put on the list to the day it is taken off.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) key: PublicKey,
    pub(crate) id: PeerId,
    pub(crate) queues: [SendQueue; Lane::COUNT],
    pub(crate) inflow: [Inflow; Lane::COUNT],
    pub(crate) rates: [Mutex<Rate>; Lane::COUNT],
    pub(crate) slowed_logs: LogLimit,
    pub(crate) address_logs: LogLimit,
    pub(crate) heard: Heard,
    pub(crate) removed: CancellationToken,
    refused_logs: LogLimit,
    away_logs: LogLimit,
    active: watch::Sender<Option<Arc<Connection>>>,
    state: RwLock<State>,
}

impl Peer {
    pub(crate) fn new(spec: PeerSpec, id: PeerId, timing: &Timing) -> Self {
        let now = Instant::now();
        let rate = |lane: Lane| Rate::new(lane.limits().frames_per_second, lane.limits().bytes_per_second, now);
        Self {
            key: spec.key,
            id,
            queues: Lane::ALL.map(SendQueue::new),
            inflow: Lane::ALL.map(|lane| Inflow::new(lane.limits())),
            rates: Lane::ALL.map(|lane| Mutex::new(rate(lane))),
            slowed_logs: LogLimit::new(REMIND),
            address_logs: LogLimit::new(REMIND),
            heard: Heard::never(),
            removed: CancellationToken::new(),
            refused_logs: LogLimit::new(REMIND),
            away_logs: LogLimit::new(10 * REMIND),
            active: watch::Sender::new(None),
            state: RwLock::new(State {
                spec,
                dialling: Dialling::new(now, timing),
                accepted: Vec::new(),
                since: now,
                latency: None,
                hello: None,
                head: None,
                refused: None,
                last_error: None,
                barred_until: None,
            }),
        }
    }

    pub(crate) fn update(&self, spec: PeerSpec) {
        self.state.write().spec = spec;
    }

    pub(crate) fn name(&self) -> String {
        self.state.read().spec.name.clone()
    }

    /// When to dial it, unless an attempt is under way.
    pub(crate) fn dial_due(&self) -> Option<Instant> {
        self.state.read().dialling.due()
    }

    /// Begins an attempt to reach it and answers where; nothing begins when no address is known.
    pub(crate) fn start_dialling(&self) -> Vec<Multiaddr> {
        let mut state = self.state.write();
        if !state.spec.addresses.is_empty() {
            state.dialling.started();
        }
        state.spec.addresses.clone()
    }

    /// The attempt led to a connection, whatever becomes of it.
    pub(crate) fn dialled(&self) {
        self.state.write().dialling.ended();
    }

    /// The connection to write to, and its changes.
    pub(crate) fn active(&self) -> watch::Receiver<Option<Arc<Connection>>> {
        self.active.subscribe()
    }

    pub(crate) fn is_barred(&self, now: Instant) -> bool {
        self.state.read().barred_until.is_some_and(|until| now < until)
    }

    pub(crate) fn set_head(&self, head: u64) {
        self.state.write().head = Some(head);
    }

    pub(crate) fn set_latency(&self, latency: Duration) {
        self.state.write().latency = Some(latency);
    }

    /// Queues a frame for sending.
    pub(crate) fn push(&self, lane: Lane, frame: Bytes) -> Result<(), SendError> {
        let dropped = match self.queues[lane.index()].push(frame) {
            Push::Closed => return Err(SendError::NotConnected),
            Push::Queued { dropped: 0 } => return Ok(()),
            Push::Queued { dropped } => (dropped, Ok(())),
            Push::Full => (1, Err(SendError::Full)),
        };
        measures::dropped(lane, dropped.0);
        dropped.1
    }

    /// Takes a connection into use whose hello was accepted.
    pub(crate) fn accept(&self, shared: &Hub, connection: &Arc<Connection>, hello: Hello) {
        let mut state = self.state.write();
        if self.removed.is_cancelled() {
            return connection.close("taken off the node list");
        }
        let was_connected = !state.accepted.is_empty();
        state.accepted.push(connection.clone());
        state.head = Some(hello.head);
        state.refused = None;
        state.last_error = None;
        state.hello = Some(hello.clone());
        self.heard.touch();
        self.active.send_replace(Some(connection.clone()));
        if was_connected {
            tracing::debug!(peer = %state.spec.name, address = %connection.remote, "another connection");
            return;
        }
        state.since = Instant::now();
        self.queues.iter().for_each(SendQueue::open);
        tracing::info!(
            peer = %state.spec.name, key = %self.key, address = %connection.remote, dialled = connection.dialled,
            software = %hello.software, head = hello.head, "peer connected"
        );
        shared.tell(PeerEvent::Connected { peer: self.key, hello });
    }

    /// Takes a connection out of use that has ended. Does nothing if it never was in use.
    pub(crate) fn lost(&self, shared: &Hub, connection: &Connection) {
        let mut state = self.state.write();
        let before = state.accepted.len();
        state.accepted.retain(|other| other.id != connection.id);
        if state.accepted.len() == before {
            return;
        }
        self.active.send_replace(state.accepted.last().cloned());
        let reason = connection.reason();
        if !state.accepted.is_empty() {
            tracing::debug!(peer = %state.spec.name, address = %connection.remote, %reason, "one of two connections ended");
            return;
        }
        self.queues.iter().for_each(SendQueue::close);
        state.since = Instant::now();
        state.latency = None;
        state.last_error = Some(reason.clone());
        state.dialling.lost(Instant::now(), connection.since.elapsed(), &shared.timing);
        tracing::info!(peer = %state.spec.name, key = %self.key, address = %connection.remote, %reason, "peer disconnected");
        shared.tell(PeerEvent::Disconnected { peer: self.key, reason });
    }

    /// Notes that the peer belongs to another network, loudly.
    pub(crate) fn refuse(&self, shared: &Hub, connection: &Connection, reason: &str) {
        let mut state = self.state.write();
        let changed = state.refused.as_deref() != Some(reason);
        state.refused = Some(reason.to_owned());
        state.last_error = Some(reason.to_owned());
        state.dialling.put_off(Instant::now(), shared.timing.refused_retry);
        if self.refused_logs.permits(Instant::now()) || changed {
            tracing::error!(peer = %state.spec.name, key = %self.key, address = %connection.remote, "refused peer: {reason}");
        }
        measures::refused("hello");
        if changed {
            shared.tell(PeerEvent::Refused { peer: self.key, reason: reason.to_owned() });
        }
    }

    /// Notes that a connection did not come to stand.
    pub(crate) fn failed(&self, shared: &Hub, reason: &str) {
        let mut state = self.state.write();
        state.dialling.failed(Instant::now(), &shared.timing);
        tracing::debug!(peer = %state.spec.name, reason, "no connection");
        if state.accepted.is_empty() {
            state.last_error = Some(reason.to_owned());
        }
    }

    /// Closes all connections; with a time, keeps the peer away for so long.
    pub(crate) fn send_away(&self, reason: &str, keep_away: Option<Duration>) {
        let mut state = self.state.write();
        if let Some(time) = keep_away {
            let now = Instant::now();
            state.barred_until = now.checked_add(time);
            state.refused = Some(reason.to_owned());
            state.dialling.put_off(now, time);
        }
        for connection in &state.accepted {
            connection.close(reason);
        }
    }

    /// Mentions in the log that a peer has been away for long, now and then.
    pub(crate) fn warn_if_away(&self, now: Instant, local: &PublicKey, after: Duration) {
        let state = self.state.read();
        let away = now.saturating_duration_since(state.since);
        if !state.accepted.is_empty() || away < after || !self.away_logs.permits(now) {
            return;
        }
        let addresses: Vec<String> = state.spec.addresses.iter().map(Multiaddr::to_string).collect();
        tracing::warn!(
            peer = %state.spec.name, key = %self.key, addresses = %addresses.join(" "),
            last_error = state.last_error.as_deref().unwrap_or("none"),
            "peer away for {} s: check that it runs, that its address is right, and that its node list has our key {local}",
            away.as_secs()
        );
    }

    pub(crate) fn is_connected(&self) -> bool {
        !self.state.read().accepted.is_empty()
    }

    pub(crate) fn status(&self) -> PeerStatus {
        let state = self.state.read();
        PeerStatus {
            key: self.key,
            name: state.spec.name.clone(),
            connected: !state.accepted.is_empty(),
            since: state.since,
            last_heard: self.heard.last(),
            latency: state.latency,
            remote_address: state.accepted.last().map(|connection| connection.remote.clone()),
            hello: state.hello.clone(),
            head: state.head,
            refused_reason: state.refused.clone(),
            last_error: state.last_error.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::network::peer_id;
    use assent_genesis::SecretKey;
    use std::{sync::mpsc, thread};

    /// With a lock of its own, the timetable and the rest were taken in both orders, and two of these
    /// threads waited for each other for ever.
    #[test]
    fn what_is_dialled_and_sent_away_at_the_same_time_blocks_nobody() {
        const ROUNDS: usize = 20_000;
        let key = SecretKey::from_seed(&[7; 32]).public();
        let spec = PeerSpec { key, name: "other".into(), addresses: vec!["/ip4/127.0.0.1/tcp/1".parse().unwrap()] };
        let peer = Arc::new(Peer::new(spec, peer_id(&key).unwrap(), &Timing::default()));
        let (done, all_done) = mpsc::channel();
        let work: [fn(&Peer); 3] = [
            |peer| {
                if peer.dial_due().is_some() {
                    assert_eq!(peer.start_dialling().len(), 1);
                }
            },
            |peer| peer.send_away("test", Some(Duration::ZERO)),
            Peer::dialled,
        ];
        for work in work {
            let (peer, done) = (peer.clone(), done.clone());
            thread::spawn(move || {
                (0..ROUNDS).for_each(|_| work(&peer));
                done.send(()).unwrap();
            });
        }
        for _ in work {
            all_done.recv_timeout(Duration::from_secs(20)).expect("threads wait for each other");
        }
    }
}

//! Drives libp2p: listens, dials, and hands every new connection to a task of its own.
//!
//! No frame passes through here, so nothing that a peer sends can hold it up.

use super::{
    config::NetworkError,
    connection::{self, Connection},
    dialling,
    gate::{Gate, GateError},
    hub::Hub,
    log_limit::LogLimits,
    measures,
    muxer::BoundedYamux,
    peer::Peer,
    streams::{Behaviour, ip_of},
};
use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm, TransportError,
    core::{
        ConnectedPoint, Transport,
        muxing::StreamMuxerBox,
        transport::{Boxed, ListenerId},
        upgrade::Version,
    },
    identity::Keypair,
    noise,
    swarm::{
        self, ConnectionId, DialError, ListenError, SwarmEvent,
        dial_opts::{DialOpts, PeerCondition},
    },
    tcp,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    error::Error,
    io,
    net::{IpAddr, SocketAddr, TcpListener},
    num::NonZeroU8,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep, sleep_until, timeout},
};

/// Connections to one peer: both may dial at once. One more closes the oldest, which is likely dead.
const MAX_PER_PEER: usize = 2;
/// Streams of one connection that are being negotiated: the hello and the lanes, twice.
const MAX_NEGOTIATING: usize = 10;
/// Addresses of one peer that are dialled at the same time.
const DIALLED_AT_ONCE: NonZeroU8 = NonZeroU8::new(4).expect("not zero");
/// How often peers that are away are looked at.
const ROUND: Duration = Duration::from_secs(1);
/// How long listeners may take to say where they listen.
const LISTEN_TIME: Duration = Duration::from_secs(5);
/// How long the end may take, for peers that do not answer.
const END_TIME: Duration = Duration::from_secs(3);
/// A stranger is mentioned in the log once in this time, and so many strangers at most.
const STRANGER_LOG: Duration = Duration::from_secs(60);
const STRANGERS: usize = 256;
/// Results of name look-ups that wait.
const RESOLVED: usize = 16;

type Resolved = (Arc<Peer>, io::Result<Vec<Multiaddr>>);

/// The task that owns the swarm.
pub(crate) struct Driver {
    shared: Arc<Hub>,
    swarm: Swarm<Behaviour>,
    listeners: Vec<ListenerId>,
    /// Established connections, oldest first.
    connections: BTreeMap<ConnectionId, (Arc<Peer>, Arc<Connection>)>,
    to_close: mpsc::Receiver<ConnectionId>,
    resolve: mpsc::Sender<Resolved>,
    resolved: mpsc::Receiver<Resolved>,
    stranger_logs: LogLimits<Option<IpAddr>>,
}

/// TCP, Noise with the gate, Yamux.
pub(crate) fn transport(shared: &Hub, keys: &Keypair) -> Result<Boxed<(PeerId, StreamMuxerBox)>, NetworkError> {
    let noise = noise::Config::new(keys).map_err(|error| NetworkError::Key { reason: error.to_string() })?;
    Ok(tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(Version::V1Lazy)
        .authenticate(Gate::new(noise, shared.list.clone()))
        .multiplex(BoundedYamux)
        .timeout(shared.timing.handshake)
        .boxed())
}

impl Driver {
    pub(crate) fn new(
        shared: Arc<Hub>,
        keys: &Keypair,
        to_close: mpsc::Receiver<ConnectionId>,
    ) -> Result<Self, NetworkError> {
        let config = swarm::Config::with_tokio_executor()
            .with_max_negotiating_inbound_streams(MAX_NEGOTIATING)
            .with_dial_concurrency_factor(DIALLED_AT_ONCE);
        let behaviour = Behaviour::new(shared.list.clone());
        let swarm = Swarm::new(transport(&shared, keys)?, behaviour, keys.public().to_peer_id(), config);
        let (resolve, resolved) = mpsc::channel(RESOLVED);
        Ok(Self {
            shared,
            swarm,
            listeners: Vec::new(),
            connections: BTreeMap::new(),
            to_close,
            resolve,
            resolved,
            stranger_logs: LogLimits::new(STRANGER_LOG, STRANGERS),
        })
    }

    /// Starts to listen; returns when all ports are taken and known.
    pub(crate) async fn listen(&mut self, addresses: &[Multiaddr]) -> Result<(), NetworkError> {
        for address in addresses {
            probe(address)?;
            let listener = self.swarm.listen_on(address.clone()).map_err(|error| match error {
                TransportError::MultiaddrNotSupported(address) => NetworkError::ListenAddress { address },
                TransportError::Other(source) => NetworkError::Listen { address: address.clone(), source },
            })?;
            self.listeners.push(listener);
        }
        let mut silent: BTreeSet<String> = self.listeners.iter().map(ListenerId::to_string).collect();
        let deadline = tokio::time::Instant::now() + LISTEN_TIME;
        while !silent.is_empty() {
            let Ok(event) = tokio::time::timeout_at(deadline, self.swarm.select_next_some()).await else {
                break;
            };
            if let SwarmEvent::NewListenAddr { listener_id, .. } = &event {
                silent.remove(&listener_id.to_string());
            }
            self.on_event(event);
        }
        Ok(())
    }

    /// Runs until shutdown.
    pub(crate) async fn run(mut self) {
        let shared = self.shared.clone();
        let mut round = interval(ROUND);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let next = self.dial_who_is_due();
            tokio::select! {
                biased;
                () = shared.shutdown.cancelled() => break,
                Some(connection) = self.to_close.recv() => { self.swarm.close_connection(connection); }
                Some((peer, addresses)) = self.resolved.recv() => self.dial(&peer, addresses),
                () = shared.redial.notified() => {}
                () = sleep_until(next.into()) => {}
                _ = round.tick() => shared.for_each_peer(|peer| {
                    peer.warn_if_away(Instant::now(), &shared.local, shared.timing.away_warning);
                }),
                event = self.swarm.select_next_some() => self.on_event(event),
            }
        }
        self.end().await;
        shared.dismiss_peers();
        shared.stopped.cancel();
    }

    /// Closes everything in order. What does not close in time is dropped.
    async fn end(mut self) {
        for listener in std::mem::take(&mut self.listeners) {
            self.swarm.remove_listener(listener);
        }
        for (_, connection) in self.connections.values() {
            connection.close("shutting down");
        }
        let time = sleep(END_TIME);
        tokio::pin!(time);
        while !self.connections.is_empty() {
            tokio::select! {
                biased;
                () = &mut time => break,
                Some(connection) = self.to_close.recv() => { self.swarm.close_connection(connection); }
                event = self.swarm.select_next_some() => self.on_event(event),
            }
        }
        for (_, connection) in self.connections.values() {
            connection.lost("shutting down");
        }
    }

    /// Dials the peers whose time has come; answers when the next one's will.
    fn dial_who_is_due(&mut self) -> Instant {
        let now = Instant::now();
        let mut next = now + ROUND;
        let connected: BTreeSet<_> = self.connections.values().map(|(peer, _)| peer.key).collect();
        self.shared.for_each_peer(|peer| match peer.dial_due() {
            Some(_) if connected.contains(&peer.key) => {}
            Some(due) if due > now => next = next.min(due),
            Some(_) => {
                let addresses = peer.start_dialling();
                if !addresses.is_empty() {
                    self.look_up(peer.clone(), &addresses);
                }
            }
            None => {}
        });
        next
    }

    fn look_up(&self, peer: Arc<Peer>, addresses: &[Multiaddr]) {
        let targets: Vec<_> = addresses.iter().filter_map(dialling::target).collect();
        let (resolve, time) = (self.resolve.clone(), self.shared.timing.handshake);
        tokio::spawn(async move {
            let found = timeout(time, dialling::resolve(targets)).await;
            let found =
                found.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "name look-up timed out")));
            // The swarm may be gone; then nobody dials.
            let _ = resolve.send((peer, found)).await;
        });
    }

    fn dial(&mut self, peer: &Arc<Peer>, addresses: io::Result<Vec<Multiaddr>>) {
        let dialled = addresses.map_err(|error| error.to_string()).and_then(|addresses| {
            let to = DialOpts::peer_id(peer.id).condition(PeerCondition::Always).addresses(addresses);
            // From a port of its own: from the listening port, two nodes that dial each other at once
            // would make one connection on which both are the dialler.
            self.swarm.dial(to.allocate_new_port().build()).map_err(|error| explain(&error))
        });
        if let Err(reason) = dialled {
            peer.failed(&self.shared, &reason);
        }
    }

    fn on_event(&mut self, event: SwarmEvent<Infallible>) {
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.on_established(&peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { connection_id, cause, .. } => {
                if let Some((_, connection)) = self.connections.remove(&connection_id) {
                    connection.lost(cause.map_or_else(|| "the connection closed".to_owned(), |cause| explain(&cause)));
                }
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                self.on_incoming_failure(&send_back_addr, &error);
            }
            SwarmEvent::OutgoingConnectionError { peer_id, error, .. } => {
                self.on_dial_failure(peer_id, &error);
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                tracing::info!(%address, key = %self.shared.local, "listening for peers");
                self.shared.listening.write().push(address);
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                tracing::warn!(%address, "no longer listening for peers here");
                self.shared.listening.write().retain(|other| *other != address);
            }
            SwarmEvent::ListenerClosed { addresses, reason: Err(error), .. } => {
                tracing::error!(?addresses, %error, "a listener for peers has failed; restart the node");
            }
            SwarmEvent::ListenerError { error, .. } if self.stranger_logs.permits(None, Instant::now()) => {
                tracing::error!(%error, "cannot accept peers; are there too many open files?");
            }
            _ => {}
        }
    }

    fn on_established(&mut self, id: &PeerId, connection_id: ConnectionId, endpoint: &ConnectedPoint) {
        let streams = self.swarm.behaviour_mut().take(connection_id);
        let peer = super::identity::public_key(id).and_then(|key| self.shared.peer(&key));
        let (Some(streams), Some(peer)) = (streams, peer) else {
            self.swarm.close_connection(connection_id);
            return;
        };
        if endpoint.is_dialer() {
            peer.dialled();
        }
        if self.shared.shutdown.is_cancelled() || peer.is_barred(Instant::now()) {
            self.swarm.close_connection(connection_id);
            return;
        }
        let remote = endpoint.get_remote_address().clone();
        let connection = Arc::new(Connection::new(connection_id, remote, endpoint.is_dialer(), streams.opener.clone()));
        self.connections.insert(connection_id, (peer.clone(), connection.clone()));
        let of_peer: Vec<_> = self.connections.values().filter(|(other, _)| other.key == peer.key).collect();
        if of_peer.len() > MAX_PER_PEER {
            of_peer[0].1.close("replaced by a newer connection");
        }
        tokio::spawn(connection::serve(self.shared.clone(), peer, connection, streams));
    }

    fn on_incoming_failure(&mut self, from: &Multiaddr, error: &ListenError) {
        let reason = match gate_error(error) {
            Some(GateError::NotOnList { .. }) => "not_on_list",
            _ if matches!(error, ListenError::Denied { .. }) => "too_many",
            _ => "handshake",
        };
        measures::refused(reason);
        if !self.stranger_logs.permits(ip_of(from), Instant::now()) {
            tracing::debug!(address = %from, error = %explain(error), "refused a connection");
            return;
        }
        match gate_error(error) {
            Some(refused @ GateError::NotOnList { .. }) => {
                tracing::warn!(address = %from, "refused a connection: {refused}");
            }
            _ => tracing::warn!(
                address = %from, error = %explain(error),
                "handshake failed; the remote is no node, or one whose connection broke"
            ),
        }
    }

    fn on_dial_failure(&mut self, id: Option<PeerId>, error: &DialError) {
        let key = id.and_then(|id| super::identity::public_key(&id));
        let Some(peer) = key.and_then(|key| self.shared.peer(&key)) else {
            return;
        };
        let mut reason = explain(error);
        if let DialError::WrongPeerId { obtained, address } = error {
            let answered =
                super::identity::public_key(obtained).map_or_else(|| obtained.to_string(), |key| key.to_string());
            reason =
                format!("at {address} answers the node with key {answered}; correct the address of one of the two");
        }
        let another =
            matches!(error, DialError::WrongPeerId { .. }) || gate_error(error).is_some_and(GateError::is_refusal);
        if another && peer.address_logs.permits(Instant::now()) {
            tracing::warn!(peer = %peer.name(), key = %peer.key, "another node answers at its address: {reason}");
        }
        peer.failed(&self.shared, &reason);
    }
}

/// Refuses a port that another process listens on. libp2p itself would share it, and both would get
/// half of the connections.
fn probe(address: &Multiaddr) -> Result<(), NetworkError> {
    let unknown = || NetworkError::ListenAddress { address: address.clone() };
    let Some(dialling::Target::Known(known)) = dialling::target(address) else {
        return Err(unknown());
    };
    let ip = ip_of(&known).ok_or_else(unknown)?;
    let port = dialling::port(&known).ok_or_else(unknown)?;
    TcpListener::bind(SocketAddr::new(ip, port))
        .map(drop)
        .map_err(|source| NetworkError::Listen { address: address.clone(), source })
}

/// An error and what it came from, outermost first.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'a (dyn Error + 'static) = *error;
        match error.downcast_ref::<io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}

fn gate_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a GateError> {
    match error.downcast_ref::<DialError>() {
        Some(DialError::Transport(attempts)) => attempts.iter().find_map(|(_, error)| gate_error(error)),
        _ => causes(error).find_map(|error| error.downcast_ref()),
    }
}

/// An error with its causes, in one line, nothing said twice.
fn explain(error: &(dyn Error + 'static)) -> String {
    if let Some(DialError::Transport(attempts)) = error.downcast_ref() {
        let attempts: Vec<_> =
            attempts.iter().map(|(address, error)| format!("{address}: {}", explain(error))).collect();
        return attempts.join("; ");
    }
    let mut text = String::new();
    for cause in causes(error) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause);
        }
    }
    text.replace(char::is_control, " ")
}

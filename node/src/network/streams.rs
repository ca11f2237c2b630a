//! The libp2p behaviour of this network: it hands each connection's streams to whoever serves the
//! connection, opens streams on a given connection on request, and bounds the connections that are
//! still in their handshake.
//!
//! `libp2p-stream` does a similar thing, but it opens streams on any connection to a peer, drops
//! arriving streams when two come at once, and forgets to forget closed connections.

use super::{channel::Lane, gate::NodeList, hello};
use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol,
    core::{
        Endpoint,
        multiaddr::Protocol,
        transport::PortUse,
        upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo},
    },
    swarm::{
        ConnectionClosed, ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, DialFailure,
        FromSwarm, ListenFailure, NetworkBehaviour, StreamUpgradeError, SubstreamProtocol, THandler, THandlerInEvent,
        THandlerOutEvent, ToSwarm,
        handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound},
    },
};
use std::{
    collections::HashMap,
    convert::Infallible,
    future::{Ready, ready},
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// Connections from outside that have not proven their key yet. They cost a stranger nothing, so they
/// are few, and nodes that find no place come again (and are dialled as well).
pub(crate) const MAX_PENDING: usize = 32;
/// Of these from one address: several nodes may share one, but not all places.
pub(crate) const MAX_PENDING_PER_ADDRESS: usize = 16;
/// Arrived streams that wait for their connection to be served: the hello and the lanes, twice.
const ARRIVED_MAX: usize = 2 * (Lane::COUNT + 1);
/// How long the negotiation of a stream may take.
const NEGOTIATION_TIME: Duration = Duration::from_secs(10);

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Hello,
    Lane(Lane),
}

impl Purpose {
    fn all() -> impl Iterator<Item = Self> {
        [Self::Hello].into_iter().chain(Lane::ALL.map(Self::Lane))
    }

    fn protocol(self) -> StreamProtocol {
        match self {
            Self::Hello => hello::PROTOCOL,
            Self::Lane(lane) => lane.protocol(),
        }
    }
}

/// Why a stream could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OpenError {
    /// The peer does not know the protocol.
    #[error("the peer does not speak {0}; install the same release of assent on both nodes")]
    Unknown(StreamProtocol),
    /// The peer did not answer, or the connection failed.
    #[error("cannot open a stream: {0}")]
    Failed(String),
    /// The connection is gone.
    #[error("the connection is closed")]
    Closed,
}

type Opened = oneshot::Sender<Result<Stream, OpenError>>;

/// Opens streams on one connection.
#[derive(Clone, Debug)]
pub(crate) struct Opener(mpsc::Sender<(Purpose, Opened)>);

impl Opener {
    pub(crate) async fn open(&self, purpose: Purpose) -> Result<Stream, OpenError> {
        let (opened, answer) = oneshot::channel();
        self.0.send((purpose, opened)).await.map_err(|_| OpenError::Closed)?;
        answer.await.unwrap_or(Err(OpenError::Closed))
    }
}

/// The streams of one new connection.
#[derive(Debug)]
pub(crate) struct Streams {
    pub(crate) opener: Opener,
    pub(crate) arrivals: mpsc::Receiver<(Purpose, Stream)>,
}

/// Why a connection is not let in.
#[derive(Debug, thiserror::Error)]
enum Denied {
    #[error("{MAX_PENDING} connections are in their handshake already")]
    Pending,
    #[error("{MAX_PENDING_PER_ADDRESS} connections from this address are in their handshake already")]
    PendingPerAddress,
    #[error("its key left the node list during the handshake")]
    NotOnList,
}

/// The behaviour.
pub(crate) struct Behaviour {
    list: Arc<NodeList>,
    pending: HashMap<ConnectionId, Option<IpAddr>>,
    ready: HashMap<ConnectionId, Streams>,
}

/// The IP address in an address.
pub(crate) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    address.iter().find_map(|part| match part {
        Protocol::Ip4(ip) => Some(IpAddr::from(ip)),
        Protocol::Ip6(ip) => Some(IpAddr::from(ip)),
        _ => None,
    })
}

impl Behaviour {
    pub(crate) fn new(list: Arc<NodeList>) -> Self {
        Self { list, pending: HashMap::new(), ready: HashMap::new() }
    }

    /// The streams of a connection that was just established; once.
    pub(crate) fn take(&mut self, connection: ConnectionId) -> Option<Streams> {
        self.ready.remove(&connection)
    }

    fn admit(&mut self, connection: ConnectionId, peer: &PeerId) -> Result<Handler, ConnectionDenied> {
        if !self.list.contains(peer) {
            return Err(ConnectionDenied::new(Denied::NotOnList));
        }
        let (open, requests) = mpsc::channel(Lane::COUNT + 1);
        let (arrived, arrivals) = mpsc::channel(ARRIVED_MAX);
        self.ready.insert(connection, Streams { opener: Opener(open), arrivals });
        Ok(Handler { requests, arrived })
    }

    fn forget(&mut self, connection: ConnectionId) {
        self.pending.remove(&connection);
        self.ready.remove(&connection);
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        if self.pending.len() >= MAX_PENDING {
            return Err(ConnectionDenied::new(Denied::Pending));
        }
        let ip = ip_of(remote);
        if self.pending.values().filter(|other| **other == ip).count() >= MAX_PENDING_PER_ADDRESS {
            return Err(ConnectionDenied::new(Denied::PendingPerAddress));
        }
        self.pending.insert(connection, ip);
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.pending.remove(&connection);
        self.admit(connection, &peer)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit(connection, &peer)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ListenFailure(ListenFailure { connection_id, .. })
            | FromSwarm::DialFailure(DialFailure { connection_id, .. })
            | FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. }) => self.forget(connection_id),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

/// The side of one connection that libp2p drives.
pub(crate) struct Handler {
    requests: mpsc::Receiver<(Purpose, Opened)>,
    arrived: mpsc::Sender<(Purpose, Stream)>,
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Infallible;
    type ToBehaviour = Infallible;
    type InboundProtocol = Negotiation;
    type OutboundProtocol = Negotiation;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = (Purpose, Opened);

    fn listen_protocol(&self) -> SubstreamProtocol<Negotiation, ()> {
        SubstreamProtocol::new(Negotiation(Purpose::all().collect()), ()).with_timeout(NEGOTIATION_TIME)
    }

    /// The heartbeat decides how long a connection lives, not its being idle.
    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Negotiation, (Purpose, Opened), Infallible>> {
        match self.requests.poll_recv(cx) {
            Poll::Ready(Some((purpose, opened))) => Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest {
                protocol: SubstreamProtocol::new(Negotiation(vec![purpose]), (purpose, opened))
                    .with_timeout(NEGOTIATION_TIME),
            }),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    fn on_behaviour_event(&mut self, event: Infallible) {
        match event {}
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Negotiation, Negotiation, (), (Purpose, Opened)>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, .. }) => {
                // A peer that opens more than it may loses the stream that is too many.
                let dropped = self.arrived.try_send(protocol).is_err();
                if dropped {
                    tracing::debug!("dropped a stream: the peer opens more than are served");
                }
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, info: (_, opened) }) => {
                // Who asked may have gone; then the stream is dropped.
                let _ = opened.send(Ok(protocol.1));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { error, info: (purpose, opened) }) => {
                let _ = opened.send(Err(match error {
                    StreamUpgradeError::NegotiationFailed => OpenError::Unknown(purpose.protocol()),
                    StreamUpgradeError::Timeout => OpenError::Failed("no answer".to_owned()),
                    StreamUpgradeError::Io(error) => OpenError::Failed(error.to_string()),
                    StreamUpgradeError::Apply(never) => match never {},
                }));
            }
            _ => {}
        }
    }
}

/// Agrees on what a stream is for.
#[derive(Clone, Debug)]
pub(crate) struct Negotiation(Vec<Purpose>);

/// A purpose as libp2p negotiates it: by its protocol's text.
#[derive(Clone, Debug)]
pub(crate) struct Offer(Purpose, StreamProtocol);

impl AsRef<str> for Offer {
    fn as_ref(&self) -> &str {
        self.1.as_ref()
    }
}

impl UpgradeInfo for Negotiation {
    type Info = Offer;
    type InfoIter = std::vec::IntoIter<Offer>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.iter().map(|purpose| Offer(*purpose, purpose.protocol())).collect::<Vec<_>>().into_iter()
    }
}

impl InboundUpgrade<Stream> for Negotiation {
    type Output = (Purpose, Stream);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, offer: Offer) -> Self::Future {
        ready(Ok((offer.0, stream)))
    }
}

impl OutboundUpgrade<Stream> for Negotiation {
    type Output = (Purpose, Stream);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, offer: Offer) -> Self::Future {
        ready(Ok((offer.0, stream)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn arrive(behaviour: &mut Behaviour, id: usize, from: &str) -> Result<(), ConnectionDenied> {
        let local = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
        let connection = ConnectionId::new_unchecked(id);
        behaviour.handle_pending_inbound_connection(connection, &local, &from.parse().unwrap())
    }

    #[test]
    fn reliability_13_pending_connections_are_bounded_in_all_and_per_address() {
        let mut behaviour = Behaviour::new(Arc::default());
        for id in 0..MAX_PENDING_PER_ADDRESS {
            arrive(&mut behaviour, id, &format!("/ip4/10.0.0.1/tcp/{id}")).unwrap();
        }
        assert!(arrive(&mut behaviour, 1000, "/ip4/10.0.0.1/tcp/1000").is_err());
        for id in MAX_PENDING_PER_ADDRESS..MAX_PENDING {
            arrive(&mut behaviour, id, &format!("/ip6/::{id}/tcp/1")).unwrap();
        }
        assert!(arrive(&mut behaviour, 1001, "/ip4/10.0.0.2/tcp/1").is_err());
        behaviour.forget(ConnectionId::new_unchecked(0));
        arrive(&mut behaviour, 1002, "/ip4/10.0.0.2/tcp/1").unwrap();
    }

    #[test]
    fn who_left_the_list_during_the_handshake_is_denied() {
        let list = Arc::new(NodeList::default());
        let mut behaviour = Behaviour::new(list.clone());
        let (peer, connection) = (PeerId::random(), ConnectionId::new_unchecked(1));
        assert!(behaviour.admit(connection, &peer).is_err());
        list.replace([peer]);
        assert!(behaviour.admit(connection, &peer).is_ok());
        assert!(behaviour.take(connection).is_some());
        assert!(behaviour.take(connection).is_none());
    }
}

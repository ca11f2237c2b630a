//! What the node holds of the network: a handle to send with, and the events to take.

use super::{
    channel::{Channel, Lane},
    config::{NetworkError, PeerSpec},
    hello::Hello,
    hub::Hub,
    measures,
    peer::PeerStatus,
};
use alloy_primitives::bytes::Bytes;
use assent_consensus::PublicKey;
use libp2p::Multiaddr;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// A frame from a peer. Its room in the peer's budget is free again when this is dropped or turned
/// into its bytes, so take messages only as fast as they are worked on.
#[derive(Debug)]
pub struct Message {
    /// Who sent it: the key that its connection has proven.
    pub peer: PublicKey,
    /// What it sent.
    pub bytes: Bytes,
    room: Option<OwnedSemaphorePermit>,
}

impl Message {
    /// A message that did not come over the network, for tests of those who take messages.
    pub fn new(peer: PublicKey, bytes: impl Into<Bytes>) -> Self {
        Self { peer, bytes: bytes.into(), room: None }
    }

    pub(crate) fn received(peer: PublicKey, bytes: Bytes, room: OwnedSemaphorePermit) -> Self {
        Self { peer, bytes, room: Some(room) }
    }

    /// The bytes alone; frees the room.
    pub fn into_bytes(self) -> Bytes {
        drop(self.room);
        self.bytes
    }
}

/// What happened to a peer. Messages come another way, so one may be seen before the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerEvent {
    /// The first connection stands and its hello was accepted.
    Connected {
        /// Whom to.
        peer: PublicKey,
        /// What it said.
        hello: Hello,
    },
    /// The last connection ended; what waited to be sent is forgotten.
    Disconnected {
        /// Whom to.
        peer: PublicKey,
        /// Why, for people.
        reason: String,
    },
    /// It belongs to another network, or runs software that this one cannot talk to.
    Refused {
        /// Who.
        peer: PublicKey,
        /// Why and what to do, for people.
        reason: String,
    },
}

/// The receiving ends. Each channel has its own, so that a flood on one delays no other. A channel
/// whose messages are not taken stands still for all peers; take all four.
#[derive(Debug)]
pub struct NetworkEvents {
    /// Frames on [`Channel::Consensus`].
    pub consensus: mpsc::Receiver<Message>,
    /// Frames on [`Channel::Transactions`].
    pub transactions: mpsc::Receiver<Message>,
    /// Frames on [`Channel::Sync`].
    pub sync: mpsc::Receiver<Message>,
    /// What happened to peers.
    pub control: mpsc::Receiver<PeerEvent>,
}

/// Why a frame was not taken for sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The peer is not on the list, or not connected.
    #[error("the peer is not connected")]
    NotConnected,
    /// Too much waits to be sent to it already. On the transactions channel this drops the frame, and
    /// it is pushed again later; on the sync channel, wait. The consensus channel never says it.
    #[error("too much waits to be sent to the peer")]
    Full,
    /// The frame is over the channel's limit.
    #[error("a frame of {length} bytes is over the limit of its channel")]
    TooLarge {
        /// Its length.
        length: usize,
    },
}

/// Sends to peers and says how they are. Clones are the same network; when the last is dropped, the
/// network ends.
#[derive(Clone)]
pub struct NetworkHandle {
    shared: Arc<Hub>,
    _end: Arc<EndWithLast>,
}

struct EndWithLast(Arc<Hub>);

impl Drop for EndWithLast {
    fn drop(&mut self) {
        self.0.shutdown.cancel();
    }
}

impl NetworkHandle {
    pub(crate) fn new(shared: Arc<Hub>) -> Self {
        Self { _end: Arc::new(EndWithLast(shared.clone())), shared }
    }

    /// This node's key.
    pub fn local_key(&self) -> PublicKey {
        self.shared.local
    }

    /// Where this node listens, with the ports that were really taken.
    pub fn listen_addresses(&self) -> Vec<Multiaddr> {
        self.shared.listening.read().clone()
    }

    /// Queues a frame for one peer. Never waits. When the queue is full, consensus drops its oldest
    /// frames, the other channels refuse this one.
    pub fn send(&self, peer: &PublicKey, channel: Channel, bytes: impl Into<Bytes>) -> Result<(), SendError> {
        let bytes = bytes.into();
        let lane = Lane::of(channel, bytes.len()).ok_or(SendError::TooLarge { length: bytes.len() })?;
        self.shared.peer(peer).ok_or(SendError::NotConnected)?.push(lane, bytes)
    }

    /// Queues a frame for all connected peers, sharing its bytes; answers how many it was queued for.
    pub fn broadcast(&self, channel: Channel, bytes: impl Into<Bytes>) -> usize {
        let bytes = bytes.into();
        let Some(lane) = Lane::of(channel, bytes.len()) else {
            tracing::error!(
                ?channel,
                length = bytes.len(),
                "a frame is over the limit of its channel and was not sent"
            );
            return 0;
        };
        let mut taken = 0;
        self.shared.for_each_peer(|peer| taken += usize::from(peer.push(lane, bytes.clone()).is_ok()));
        taken
    }

    /// Bytes that wait to be sent to a peer over a lane.
    #[cfg(test)]
    pub(crate) fn waiting(&self, peer: &PublicKey, lane: Lane) -> usize {
        self.shared.peer(peer).map_or(0, |peer| peer.queues[lane.index()].waiting().1)
    }

    /// All peers on the node list, in the order of their keys.
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.shared.peers().iter().map(|peer| peer.status()).collect()
    }

    /// One peer, if it is on the list.
    pub fn peer(&self, key: &PublicKey) -> Option<PeerStatus> {
        Some(self.shared.peer(key)?.status())
    }

    /// How many peers are connected.
    pub fn connected(&self) -> usize {
        self.shared.peers().iter().filter(|peer| peer.is_connected()).count()
    }

    /// Sets the gauges of the queues to and from the peers.
    pub fn measure(&self) {
        measures::queues(&self.shared);
    }

    /// Replaces the node list. Newcomers are dialled; who is no longer on it loses its connections and
    /// is refused from now on. Fails, and changes nothing, when a key on it is no key.
    pub fn set_allowed(&self, list: Vec<PeerSpec>) -> Result<(), NetworkError> {
        self.shared.set_list(list)
    }

    /// The number of the last final block, told to peers with the next heartbeat.
    pub fn set_head(&self, head: u64) {
        self.shared.set_head(head);
    }

    /// Closes the connections to a peer, tells it why, and keeps it away for
    /// [`Timing::refused_retry`](super::Timing::refused_retry).
    pub fn disconnect(&self, peer: &PublicKey, reason: &str) {
        if let Some(peer) = self.shared.peer(peer) {
            peer.send_away(reason, Some(self.shared.timing.refused_retry));
        }
    }

    /// Ends the network: tells the peers, closes connections and listeners, and returns when that is
    /// done, within a few seconds.
    pub async fn shutdown(&self) {
        self.shared.shutdown.cancel();
        self.shared.stopped.cancelled().await;
    }
}

impl std::fmt::Debug for NetworkHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NetworkHandle").field("local", &self.shared.local).finish_non_exhaustive()
    }
}

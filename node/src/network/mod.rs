//! The network of one node: authenticated connections to the peers on the node list, and frames
//! over them.
//!
//! It moves bytes. It does not know what a vote, a transaction or a block is, and it never decides
//! whom to punish.
//!
//! # From the socket to the node
//!
//! libp2p over TCP (no delay), Noise and Yamux. A remote proves its key in the Noise handshake; the
//! [`gate`] turns away every key that is not on the list before Yamux is spoken. On a new connection
//! the two nodes exchange [`Hello`]s; nodes of different networks tell each other so, loudly, and
//! part. Only then are lanes opened: one-way, long-lived streams of frames ([`channel`], [`frame`]),
//! each opened by its sender. The same stream that carried the hello carries the heartbeat, which
//! finds dead connections and tells the heads ([`connection`]).
//!
//! # Priorities and bounds
//!
//! - Every lane is a stream with its own flow control, its own send queue and its own budget; the
//!   consensus channel has two, so that votes pass blocks. What comes in arrives at the node in one
//!   queue per channel ([`NetworkEvents`]).
//! - Send queues are bounded in frames and bytes and never make the sender wait; each lane has a
//!   policy for when its queue is full.
//! - Frame lengths are checked before memory is taken. Per peer and lane, what was read and not yet
//!   taken by the node is bounded, and so is the rate of reading; a peer over its budget is not read.
//! - A peer that does not read for [`Timing::stall`] loses its connection.
//!
//! # Two connections
//!
//! Both nodes dial, so two connections may come to stand at once. Both are kept; each side writes to
//! the newest, and moves to the other when it fails. Therefore a frame may come twice, and order
//! holds within one lane of one connection only. A frame may also be lost when a connection breaks.

mod budget;
mod channel;
mod config;
mod connection;
mod dialling;
mod frame;
#[cfg(test)]
mod fuzz;
mod gate;
mod handle;
mod hello;
mod hub;
mod identity;
mod log_limit;
mod measures;
mod muxer;
mod peer;
mod queue;
mod receive;
mod send;
mod streams;
mod swarm;
#[cfg(test)]
mod tests;

pub use channel::{CONSENSUS_MAX, CONSENSUS_SMALL_MAX, Channel, SYNC_MAX, TRANSACTIONS_MAX};
pub use config::{NetworkConfig, NetworkError, PeerSpec, Timing};
pub use handle::{Message, NetworkEvents, NetworkHandle, PeerEvent, SendError};
pub use hello::{Hello, PROTOCOL_VERSION};
pub use identity::{peer_id, public_key};
pub use libp2p::Multiaddr;
pub use measures::METRICS;
pub use peer::PeerStatus;

/// Starts the network: listens, then dials the peers until each is connected. Runs in the background
/// of the present tokio runtime until it is shut down or its last handle is dropped.
pub async fn start(config: NetworkConfig) -> Result<(NetworkHandle, NetworkEvents), NetworkError> {
    let keys = identity::keypair(&config.key)?;
    let (shared, events, to_close) = hub::Hub::new(config.key.public(), config.hello, config.timing);
    let mut driver = swarm::Driver::new(shared.clone(), &keys, to_close)?;
    let started = match shared.set_list(config.peers) {
        Ok(()) => driver.listen(&config.listen).await,
        Err(error) => Err(error),
    };
    if let Err(error) = started {
        shared.dismiss_peers();
        return Err(error);
    }
    tokio::spawn(driver.run());
    Ok((NetworkHandle::new(shared), events))
}

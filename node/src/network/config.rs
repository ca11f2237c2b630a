//! What the network is started with, and why it may not start.

use super::hello::Hello;
use assent_consensus::PublicKey;
use assent_genesis::SecretKey;
use libp2p::Multiaddr;
use std::{io, time::Duration};

/// A node on the node list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerSpec {
    /// Its node key.
    pub key: PublicKey,
    /// Its name, for logs and status.
    pub name: String,
    /// Where it listens, for example `/ip4/10.0.0.7/tcp/30303` or `/dns4/node7.example/tcp/30303`.
    /// Empty: this node waits to be dialled by it.
    pub addresses: Vec<Multiaddr>,
}

/// What [`start`](super::start) needs.
#[derive(Debug)]
pub struct NetworkConfig {
    /// This node's key. Its public half must stand on the node list of the others.
    pub key: SecretKey,
    /// Where to listen, for example `/ip4/0.0.0.0/tcp/30303`; port 0 takes a free one.
    pub listen: Vec<Multiaddr>,
    /// The node list. This node's own entry is skipped.
    pub peers: Vec<PeerSpec>,
    /// What this node says about itself.
    pub hello: Hello,
    /// Time limits.
    pub timing: Timing,
}

/// The time limits of the network. The defaults are for production; tests shorten some.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// For TCP, Noise and the multiplexer together, and once more for the hello.
    pub handshake: Duration,
    /// A stream on which a frame does not move for so long costs its peer the connection.
    pub stall: Duration,
    /// Between two heartbeats.
    pub heartbeat: Duration,
    /// A connection on which nothing was heard for so long is dead.
    pub silence: Duration,
    /// The first pause before dialling again; it doubles with each failure.
    pub retry_min: Duration,
    /// The longest pause before dialling again: an upper bound for a returning peer.
    pub retry_max: Duration,
    /// The pause after a peer was refused (another genesis) or sent away.
    pub refused_retry: Duration,
    /// A peer that is away for so long is worth a warning.
    pub away_warning: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            stall: Duration::from_secs(20),
            heartbeat: Duration::from_secs(2),
            silence: Duration::from_secs(10),
            retry_min: Duration::from_millis(100),
            retry_max: Duration::from_secs(2),
            refused_retry: Duration::from_secs(30),
            away_warning: Duration::from_secs(30),
        }
    }
}

/// Why the network does not start.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The libp2p library does not take the node key.
    #[error("the node key cannot be used: {reason}; make a new one with `assent keys`")]
    Key {
        /// What the library said.
        reason: String,
    },
    /// A key on the node list is not an ed25519 public key.
    #[error(
        "node {name} on the node list: {key} is not an ed25519 public key; correct its entry in genesis.json or the configuration"
    )]
    PeerKey {
        /// The node's name.
        name: String,
        /// The bytes that are no key.
        key: PublicKey,
    },
    /// An address to listen on is not of a kind that this node speaks.
    #[error(
        "cannot listen on {address}: expected /ip4/ADDRESS/tcp/PORT or /ip6/ADDRESS/tcp/PORT; correct the p2p listen address"
    )]
    ListenAddress {
        /// The address.
        address: Multiaddr,
    },
    /// The port is taken, or the address is not this machine's.
    #[error("cannot listen for peers on {address}: {source}; free the port or change the p2p listen address")]
    Listen {
        /// The address.
        address: Multiaddr,
        /// What the operating system said.
        source: io::Error,
    },
}

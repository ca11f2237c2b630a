//! Links between nodes that a test can break: a TCP proxy for each pair of nodes.
//!
//! Each node is told to find each of its peers at an address of a proxy ([`Links::address`]), which passes the
//! bytes on to where the peer really listens. Both nodes of a pair may dial, so there are two listeners for a
//! pair; what happens to the bytes depends on nothing but the nodes they come from and go to. A link can be cut
//! (connections are closed, and new ones closed as soon as they stand), and each of its two directions has a
//! [`Conduct`] of its own.
//!
//! What it does not do: lose single packets. TCP would repeat them; what a node sees of it is delay.

mod pump;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::watch,
    task::JoinSet,
};

use crate::dice::Dice;

/// Bytes that the system keeps for a connection of the proxy before its sender has to wait. Small, so that a slow
/// link feels slow to the sender, not only to the receiver.
const RECEIVE_BUFFER: u32 = 64 * 1024;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 128;

/// Whether bytes of one direction get through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Flow {
    /// They do.
    #[default]
    Pass,
    /// They wait, as on a network that loses every packet while TCP goes on repeating them: when this ends, they
    /// come. Connections stay open, and an end of one is not told.
    Hold,
    /// They are lost while connections stay open, as with a broken device between the nodes. No connection that
    /// lost something can be used again.
    Swallow,
}

/// What happens to the bytes of one direction of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Conduct {
    /// Whether they get through.
    pub flow: Flow,
    /// How long they take.
    pub delay: Duration,
    /// How much longer they take at most, by chance. Their order stays.
    pub jitter: Duration,
    /// How many get through in a second; all, unless said.
    pub bytes_per_second: Option<u32>,
    /// One bit in about so many bytes is flipped; none, unless said.
    pub flip_every: Option<u32>,
}

impl Conduct {
    /// Everything waits.
    pub fn held() -> Self {
        Self { flow: Flow::Hold, ..Self::default() }
    }

    /// Everything is lost.
    pub fn swallowed() -> Self {
        Self { flow: Flow::Swallow, ..Self::default() }
    }

    /// Everything takes `delay`, and up to `jitter` more.
    pub fn delayed(delay: Duration, jitter: Duration) -> Self {
        Self { delay, jitter, ..Self::default() }
    }

    /// So many bytes get through in a second.
    pub fn throttled(bytes_per_second: u32) -> Self {
        Self { bytes_per_second: Some(bytes_per_second), ..Self::default() }
    }

    /// One bit in about `bytes` bytes is flipped.
    pub fn flipping(bytes: u32) -> Self {
        Self { flip_every: Some(bytes), ..Self::default() }
    }
}

/// What the proxies have done so far.
#[derive(Debug, Default)]
struct Tally {
    connections: AtomicU64,
    passed: AtomicU64,
    swallowed: AtomicU64,
    flipped: AtomicU64,
}

/// The links of a network: a handle that can be cloned. The proxies end with the last handle.
#[derive(Clone, Debug)]
pub struct Links(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    nodes: usize,
    /// By (from, to).
    conducts: BTreeMap<(usize, usize), watch::Sender<Conduct>>,
    /// By (lower, higher).
    cuts: BTreeMap<(usize, usize), watch::Sender<bool>>,
    /// By (who dials, who is dialled).
    addresses: BTreeMap<(usize, usize), SocketAddr>,
    tally: Arc<Tally>,
    _listeners: JoinSet<()>,
}

impl Links {
    /// Opens the links between nodes that listen at these addresses. What is left to chance (jitter, flipped bits) is
    /// drawn from the seed. Must be called within a tokio runtime, in which the proxies run.
    pub fn open(targets: &[SocketAddr], seed: u64) -> Result<Self> {
        let pairs = pairs(targets.len());
        let mut conducts = BTreeMap::new();
        let mut cuts = BTreeMap::new();
        for (from, to) in &pairs {
            conducts.insert((*from, *to), watch::Sender::new(Conduct::default()));
            cuts.entry(unordered(*from, *to)).or_insert_with(|| watch::Sender::new(false));
        }
        let tally = Arc::new(Tally::default());
        let mut addresses = BTreeMap::new();
        let mut listeners = JoinSet::new();
        let mut dice = Dice::new(seed);
        for (from, to) in pairs {
            let listener = listen().context("a proxy cannot listen")?;
            addresses.insert((from, to), listener.local_addr()?);
            let route = pump::Route {
                target: targets[to],
                there: conducts[&(from, to)].subscribe(),
                back: conducts[&(to, from)].subscribe(),
                cut: cuts[&unordered(from, to)].subscribe(),
                dice: Dice::new(dice.draw()),
                tally: tally.clone(),
            };
            listeners.spawn(pump::accept(listener, route));
        }
        let inner = Inner { nodes: targets.len(), conducts, cuts, addresses, tally, _listeners: listeners };
        Ok(Self(Arc::new(inner)))
    }

    /// Where node `from` finds node `to`.
    pub fn address(&self, from: usize, to: usize) -> SocketAddr {
        self.0.addresses[&(from, to)]
    }

    /// The other nodes.
    pub fn others(&self, node: usize) -> impl Iterator<Item = usize> + use<> {
        (0..self.0.nodes).filter(move |other| *other != node)
    }

    /// Closes the connections between two nodes, and every new one at once.
    pub fn cut(&self, a: usize, b: usize) {
        self.0.cuts[&unordered(a, b)].send_replace(true);
    }

    /// Ends [`Self::cut`].
    pub fn mend(&self, a: usize, b: usize) {
        self.0.cuts[&unordered(a, b)].send_replace(false);
    }

    /// Cuts a node off from all others.
    pub fn isolate(&self, node: usize) {
        for other in self.others(node) {
            self.cut(node, other);
        }
    }

    /// Cuts all links between these nodes and the rest.
    pub fn split(&self, side: &[usize]) {
        for a in side {
            for b in self.others(*a).filter(|other| !side.contains(other)) {
                self.cut(*a, b);
            }
        }
    }

    /// Says what happens to bytes on their way from one node to another.
    pub fn set(&self, from: usize, to: usize, conduct: Conduct) {
        self.0.conducts[&(from, to)].send_replace(conduct);
    }

    /// The same for both directions.
    pub fn set_both(&self, a: usize, b: usize, conduct: Conduct) {
        self.set(a, b, conduct);
        self.set(b, a, conduct);
    }

    /// The same for everything that a node says.
    pub fn set_from(&self, node: usize, conduct: Conduct) {
        for other in self.others(node) {
            self.set(node, other, conduct);
        }
    }

    /// The same for everything that a node hears.
    pub fn set_to(&self, node: usize, conduct: Conduct) {
        for other in self.others(node) {
            self.set(other, node, conduct);
        }
    }

    /// The same for all links.
    pub fn set_all(&self, conduct: Conduct) {
        for sender in self.0.conducts.values() {
            sender.send_replace(conduct);
        }
    }

    /// Mends everything.
    pub fn heal(&self) {
        self.set_all(Conduct::default());
        for cut in self.0.cuts.values() {
            cut.send_replace(false);
        }
    }

    /// Connections that were passed on so far.
    pub fn connections(&self) -> u64 {
        self.0.tally.connections.load(Ordering::Relaxed)
    }

    /// Bytes that got through so far.
    pub fn passed(&self) -> u64 {
        self.0.tally.passed.load(Ordering::Relaxed)
    }

    /// Bytes that were lost so far.
    pub fn swallowed(&self) -> u64 {
        self.0.tally.swallowed.load(Ordering::Relaxed)
    }

    /// Bits that were flipped so far.
    pub fn flipped(&self) -> u64 {
        self.0.tally.flipped.load(Ordering::Relaxed)
    }
}

/// All pairs of different nodes, in both orders.
fn pairs(nodes: usize) -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    for from in 0..nodes {
        for to in 0..nodes {
            if from != to {
                all.push((from, to));
            }
        }
    }
    all
}

fn unordered(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

fn listen() -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    socket.listen(BACKLOG)
}

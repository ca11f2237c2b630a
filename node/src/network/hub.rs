//! What all parts of the network share: the node list, the peers, and the ways to the node.

use super::{
    channel::{Channel, Lane},
    config::{NetworkError, PeerSpec, Timing},
    gate::NodeList,
    handle::{Message, NetworkEvents, PeerEvent},
    hello::Hello,
    identity,
    peer::Peer,
    send,
};
use assent_consensus::PublicKey;
use libp2p::{Multiaddr, swarm::ConnectionId};
use parking_lot::RwLock;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{
    runtime::Handle,
    sync::{Notify, mpsc},
};
use tokio_util::sync::CancellationToken;

/// Frames on their way to the node, of all peers. Each peer's own budget is far below, and who waits
/// for a place gets it in the order of waiting, so that no peer keeps out another.
const CONSENSUS_INBOX: usize = 8192;
const TRANSACTIONS_INBOX: usize = 8192;
const SYNC_INBOX: usize = 1024;
/// Events on peers. When the node does not take them, further ones are dropped: the peers' status
/// says the same.
const CONTROL_INBOX: usize = 1024;
/// Connections to be closed; who has one more waits.
const HANG_UPS: usize = 64;

pub(crate) struct Hub {
    pub(crate) local: PublicKey,
    pub(crate) timing: Timing,
    pub(crate) list: Arc<NodeList>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) stopped: CancellationToken,
    /// Rung when the timetable for dialling has changed.
    pub(crate) redial: Notify,
    pub(crate) listening: RwLock<Vec<Multiaddr>>,
    hello: Hello,
    head: AtomicU64,
    peers: RwLock<BTreeMap<PublicKey, Arc<Peer>>>,
    consensus: mpsc::Sender<Message>,
    transactions: mpsc::Sender<Message>,
    sync: mpsc::Sender<Message>,
    control: mpsc::Sender<PeerEvent>,
    hang_ups: mpsc::Sender<ConnectionId>,
    runtime: Handle,
}

impl Hub {
    /// What is shared, the node's end of it, and the connections that are to be closed.
    pub(crate) fn new(
        local: PublicKey,
        hello: Hello,
        timing: Timing,
    ) -> (Arc<Self>, NetworkEvents, mpsc::Receiver<ConnectionId>) {
        let (consensus, consensus_inbox) = mpsc::channel(CONSENSUS_INBOX);
        let (transactions, transactions_inbox) = mpsc::channel(TRANSACTIONS_INBOX);
        let (sync, sync_inbox) = mpsc::channel(SYNC_INBOX);
        let (control, control_inbox) = mpsc::channel(CONTROL_INBOX);
        let (hang_ups, to_close) = mpsc::channel(HANG_UPS);
        let shared = Self {
            local,
            timing,
            list: Arc::default(),
            shutdown: CancellationToken::new(),
            stopped: CancellationToken::new(),
            redial: Notify::new(),
            listening: RwLock::default(),
            head: AtomicU64::new(hello.head),
            hello,
            peers: RwLock::default(),
            consensus,
            transactions,
            sync,
            control,
            hang_ups,
            runtime: Handle::current(),
        };
        let events = NetworkEvents {
            consensus: consensus_inbox,
            transactions: transactions_inbox,
            sync: sync_inbox,
            control: control_inbox,
        };
        (Arc::new(shared), events, to_close)
    }

    /// Makes this the node list: newcomers are dialled, who is no longer on it is sent away. Changes
    /// nothing when a key on it is no key.
    pub(crate) fn set_list(&self, specs: Vec<PeerSpec>) -> Result<(), NetworkError> {
        let mut listed = BTreeMap::new();
        for spec in specs.into_iter().filter(|spec| spec.key != self.local) {
            let id = identity::peer_id(&spec.key)
                .ok_or_else(|| NetworkError::PeerKey { name: spec.name.clone(), key: spec.key })?;
            listed.insert(spec.key, (id, spec));
        }
        let mut peers = self.peers.write();
        self.list.replace(listed.values().map(|(id, _)| *id));
        peers.retain(|key, peer| {
            let stays = listed.contains_key(key);
            if !stays {
                peer.removed.cancel();
                peer.send_away("taken off the node list", None);
            }
            stays
        });
        for (key, (id, spec)) in listed {
            match peers.get(&key) {
                Some(peer) => peer.update(spec),
                None => {
                    let peer = Arc::new(Peer::new(spec, id, &self.timing));
                    for lane in Lane::ALL {
                        self.runtime.spawn(send::run(peer.clone(), lane, self.timing.stall));
                    }
                    peers.insert(key, peer);
                }
            }
        }
        drop(peers);
        self.redial.notify_one();
        Ok(())
    }

    /// All peers on the list.
    pub(crate) fn peers(&self) -> Vec<Arc<Peer>> {
        self.peers.read().values().cloned().collect()
    }

    pub(crate) fn peer(&self, key: &PublicKey) -> Option<Arc<Peer>> {
        self.peers.read().get(key).cloned()
    }

    /// Calls with each peer, without copying the list.
    pub(crate) fn for_each_peer(&self, call: impl FnMut(&Arc<Peer>)) {
        self.peers.read().values().for_each(call);
    }

    pub(crate) fn hello(&self) -> Hello {
        Hello { head: self.head(), ..self.hello.clone() }
    }

    pub(crate) fn head(&self) -> u64 {
        self.head.load(Ordering::Relaxed)
    }

    pub(crate) fn set_head(&self, head: u64) {
        self.head.store(head, Ordering::Relaxed);
    }

    pub(crate) fn inbox(&self, channel: Channel) -> &mpsc::Sender<Message> {
        match channel {
            Channel::Consensus => &self.consensus,
            Channel::Transactions => &self.transactions,
            Channel::Sync => &self.sync,
        }
    }

    /// Tells the node about a peer.
    pub(crate) fn tell(&self, event: PeerEvent) {
        if let Err(mpsc::error::TrySendError::Full(event)) = self.control.try_send(event) {
            tracing::warn!(?event, "the node does not take events of the network; dropped one");
        }
    }

    /// Has the swarm close a connection.
    pub(crate) async fn hang_up(&self, connection: ConnectionId) {
        // The swarm may be gone; then the connection is as well.
        let _ = self.hang_ups.send(connection).await;
    }

    /// Ends the writers of all peers.
    pub(crate) fn dismiss_peers(&self) {
        self.for_each_peer(|peer| peer.removed.cancel());
    }
}

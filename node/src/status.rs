//! Gathers what `assent_status`, `/readiness` and the metrics tell.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_primitives::B256;
use assent_chain::Chain;
use assent_consensus::core::Standing;
use assent_consensus::{PublicKey, ValidatorIndex, ValidatorSet};
use assent_genesis::Genesis;
use assent_rpc::{
    FailedView, HeadStatus, MempoolStatus, NodeStatus, PeerStatus, QuorumStatus, SilentValidator, SyncStatus,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::driver::{self, ConsensusStatus, Directory};
use crate::network::{self, NetworkHandle};

/// A validator of which nothing came for so long is silent. Heartbeats come every few seconds.
pub const HEARD_WITHIN: Duration = Duration::from_secs(6);

/// How often the status is taken.
const TICK: Duration = Duration::from_millis(200);

/// Where the facts come from.
#[derive(Debug)]
pub struct StatusSource {
    /// The specification.
    pub genesis: Arc<Genesis>,
    /// Hash of block 0.
    pub genesis_hash: B256,
    /// The node's name.
    pub name: String,
    /// Program and version.
    pub client_version: String,
    /// This node's position in the set, on a validator.
    pub me: Option<ValidatorIndex>,
    /// The validators.
    pub set: Arc<ValidatorSet>,
    /// Who is who.
    pub directory: Directory,
    /// The peers.
    pub network: NetworkHandle,
    /// Blocks and mempool.
    pub chain: Arc<Chain>,
    /// How consensus stands, on a validator.
    pub consensus: Option<watch::Receiver<ConsensusStatus>>,
    /// How far sync is.
    pub sync: watch::Receiver<SyncStatus>,
    /// When the node started.
    pub started: Instant,
}

impl StatusSource {
    /// Publishes the status again and again until it is told to stop; says in the log when the quorum is lost and back.
    pub async fn run(self, status: watch::Sender<Arc<NodeStatus>>, stop: CancellationToken) {
        let mut tick = tokio::time::interval(TICK);
        let mut complete = true;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            let now = self.take();
            if self.started.elapsed() > HEARD_WITHIN {
                complete = report_quorum(&now, complete);
            }
            status.send_replace(Arc::new(now));
        }
    }

    /// The status now.
    #[must_use]
    pub fn take(&self) -> NodeStatus {
        let peers = self.network.peers();
        let head = self.chain.head();
        let pool = self.chain.pool().status();
        let consensus = self.consensus.as_ref().map(|status| status.borrow().clone());
        let view = consensus.as_ref().map_or_else(|| self.head_view(head.number), |status| status.view.0);
        let heard: Vec<ValidatorIndex> = self.set.iter().map(|(i, _)| i).filter(|i| self.hears(*i, &peers)).collect();
        let weight = u64::try_from(self.set.weigh(heard.iter().copied())).unwrap_or(u64::MAX);
        NodeStatus {
            chain_id: self.genesis.chain_id(),
            genesis_hash: self.genesis_hash,
            node_name: self.name.clone(),
            client_version: self.client_version.clone(),
            uptime_ms: millis(self.started.elapsed()),
            validator: self.me.map(|me| self.set.weight(me).0),
            head: HeadStatus { number: head.number, hash: head.hash, timestamp_ms: head.time_ms },
            epoch: self.set.epoch().0,
            view,
            syncing: *self.sync.borrow(),
            quorum: QuorumStatus::new(self.set.total().0, weight),
            peers: peers.iter().map(|peer| self.peer(peer)).collect(),
            silent: self.silent(&heard, &peers),
            mempool: MempoolStatus { pending: pool.executable as u64, queued: pool.queued as u64 },
            abstaining: consensus.as_ref().and_then(|status| abstention(status.standing)),
            failed_views: consensus.map(|status| self.failed_views(&status)).unwrap_or_default(),
        }
    }

    fn head_view(&self, number: u64) -> u64 {
        self.chain.header_by_number(number).ok().flatten().map_or(0, |header| header.seal.view)
    }

    fn hears(&self, index: ValidatorIndex, peers: &[network::PeerStatus]) -> bool {
        let node = self.directory.node(index);
        self.me == Some(index)
            || peers.iter().any(|peer| {
                Some(&peer.key) == node
                    && peer.connected
                    && peer.last_heard.is_some_and(|at| at.elapsed() < HEARD_WITHIN)
            })
    }

    fn peer(&self, peer: &network::PeerStatus) -> PeerStatus {
        let weight = self.directory.validator(&peer.key).map(|index| self.set.weight(index).0);
        PeerStatus {
            name: peer.name.clone(),
            key: B256::from(peer.key.0),
            weight,
            connected: peer.connected,
            last_heard_ms: peer.last_heard.map(|at| millis(at.elapsed())),
            head: peer.head,
            latency_ms: peer.latency.map(millis),
            refused_reason: peer.refused_reason.clone(),
            version: peer.hello.as_ref().map(|hello| hello.software.clone()),
        }
    }

    fn failed_views(&self, status: &ConsensusStatus) -> Vec<FailedView> {
        let told = |failed: &driver::FailedView| FailedView {
            view: failed.view.0,
            leader: self.directory.name(failed.leader).to_owned(),
            reason: failed.reason.words().to_owned(),
            ago_ms: millis(failed.at.elapsed()),
        };
        status.failed.iter().map(told).collect()
    }

    fn silent(&self, heard: &[ValidatorIndex], peers: &[network::PeerStatus]) -> Vec<SilentValidator> {
        let last =
            |key: Option<&PublicKey>| peers.iter().find(|peer| Some(&peer.key) == key).and_then(|peer| peer.last_heard);
        let silent = self.set.iter().filter(|(index, _)| !heard.contains(index));
        silent
            .map(|(index, validator)| SilentValidator {
                name: self.directory.name(index).to_owned(),
                key: B256::from(validator.key.0),
                weight: validator.weight.0,
                since_ms: last(self.directory.node(index)).map(|at| millis(at.elapsed())),
            })
            .collect()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn abstention(standing: Standing) -> Option<String> {
    match standing {
        Standing::Active => None,
        Standing::Listening => Some("it has started and asks the other validators where they stand".to_owned()),
        Standing::Abstaining(until) => Some(format!(
            "it may have forgotten what it signed (wiped or restored data), and votes again once view {until} has a certificate"
        )),
    }
}

/// Says once when too little weight is heard, naming who is silent, and once when it is back.
fn report_quorum(status: &NodeStatus, was_complete: bool) -> bool {
    let complete = status.quorum.missing == 0;
    match (was_complete, complete) {
        (true, false) => {
            let silent: Vec<String> = status.silent.iter().map(|v| format!("{} ({})", v.name, v.weight)).collect();
            tracing::warn!(target: "assent::status", heard = status.quorum.heard, needed = status.quorum.needed,
                total = status.quorum.total, silent = silent.join(", "), head = status.head.number,
                "no quorum: blocks wait until more of the weight is heard");
        }
        (false, true) => tracing::info!(target: "assent::status", heard = status.quorum.heard,
            needed = status.quorum.needed, "a quorum is heard"),
        _ => {}
    }
    complete
}

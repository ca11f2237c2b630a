//! The gauges that say what the node's status says.

use assent_chain::metric::{Label, Metric};
use assent_rpc::{NodeStatus, PeerStatus, SyncStatus};
use metrics::gauge;

use super::Readiness;

/// All metrics of this area.
pub(super) const METRICS: &[Metric] = &[
    BUILD,
    READY,
    HEAD,
    HEAD_TIME,
    EPOCH,
    VIEW,
    SYNCING,
    VALIDATOR_WEIGHT,
    ABSTAINING,
    WEIGHT_ALL,
    WEIGHT_HEARD,
    WEIGHT_NEEDED,
    VALIDATOR_SILENT,
    PEERS_CONNECTED,
    PEERS_LISTED,
    PEER_CONNECTED,
    PEER_HEAD,
    PEER_SILENCE,
    PEER_LATENCY,
];

const VERSION: &[Label] = &[Label::open("version")];
const VALIDATOR: &[Label] = &[Label::open("validator")];
const PEER: &[Label] = &[Label::open("peer")];

const BUILD: Metric = Metric::gauge("assent_build_info", "Always 1; the program's version is in the label").by(VERSION);
const READY: Metric = Metric::gauge("assent_ready", "1 while /readiness answers 200, else 0");
const HEAD: Metric = Metric::gauge("assent_head_number", "Number of the last final block");
const HEAD_TIME: Metric =
    Metric::gauge("assent_head_timestamp_seconds", "Time of the last final block, in seconds since 1970");
const EPOCH: Metric = Metric::gauge("assent_epoch", "Epoch in which the node is");
const VIEW: Metric = Metric::gauge("assent_view", "View in which the node is");
const SYNCING: Metric = Metric::gauge("assent_syncing", "1 while the node fetches blocks, else 0");
const VALIDATOR_WEIGHT: Metric =
    Metric::gauge("assent_validator_weight", "Weight of this node as a validator; 0 for a follower");
const ABSTAINING: Metric =
    Metric::gauge("assent_abstaining", "1 while this validator does not vote on purpose, else 0");
const WEIGHT_ALL: Metric = Metric::gauge("assent_quorum_weight_all", "Weight of all validators");
const WEIGHT_HEARD: Metric =
    Metric::gauge("assent_quorum_weight_heard", "Weight of the validators heard lately, this node included");
const WEIGHT_NEEDED: Metric = Metric::gauge("assent_quorum_weight_needed", "Least weight that makes blocks");
const VALIDATOR_SILENT: Metric =
    Metric::gauge("assent_validator_silent", "1 while the validator is not heard by this node, else 0").by(VALIDATOR);
const PEERS_CONNECTED: Metric = Metric::gauge("assent_peers_connected", "Peers with a connection");
const PEERS_LISTED: Metric = Metric::gauge("assent_peers_listed", "Peers on the node list");
const PEER_CONNECTED: Metric = Metric::gauge("assent_peer_connected", "1 while the peer is connected, else 0").by(PEER);
const PEER_HEAD: Metric =
    Metric::gauge("assent_peer_head_number", "Number of the last final block that the peer told of; 0: none").by(PEER);
const PEER_SILENCE: Metric =
    Metric::gauge("assent_peer_silence_seconds", "Time since the peer's last message; NaN: it was never heard")
        .by(PEER);
const PEER_LATENCY: Metric =
    Metric::gauge("assent_peer_latency_seconds", "Time of a message to the peer and back; NaN: unknown").by(PEER);

/// Sets all of them. Gauges are floats; none of these needs more than a float's 53 bits to be watched.
pub(super) fn publish(status: &NodeStatus) {
    gauge!(BUILD.name, "version" => status.client_version.clone()).set(1.0);
    gauge!(READY.name).set(flag(Readiness::of(status).ready));
    gauge!(HEAD.name).set(status.head.number as f64);
    gauge!(HEAD_TIME.name).set(seconds(status.head.timestamp_ms));
    gauge!(EPOCH.name).set(status.epoch as f64);
    gauge!(VIEW.name).set(status.view as f64);
    gauge!(SYNCING.name).set(flag(status.syncing != SyncStatus::Synced));
    gauge!(VALIDATOR_WEIGHT.name).set(status.validator.unwrap_or(0) as f64);
    gauge!(ABSTAINING.name).set(flag(status.abstaining.is_some()));
    gauge!(WEIGHT_ALL.name).set(status.quorum.total as f64);
    gauge!(WEIGHT_HEARD.name).set(status.quorum.heard as f64);
    gauge!(WEIGHT_NEEDED.name).set(status.quorum.needed as f64);
    let connected = status.peers.iter().filter(|peer| peer.connected).count();
    gauge!(PEERS_CONNECTED.name).set(connected as f64);
    gauge!(PEERS_LISTED.name).set(status.peers.len() as f64);
    status.peers.iter().for_each(|peer| publish_peer(status, peer));
}

fn publish_peer(status: &NodeStatus, peer: &PeerStatus) {
    let name = || peer.name.clone();
    gauge!(PEER_CONNECTED.name, "peer" => name()).set(flag(peer.connected));
    gauge!(PEER_HEAD.name, "peer" => name()).set(peer.head.unwrap_or(0) as f64);
    gauge!(PEER_SILENCE.name, "peer" => name()).set(peer.last_heard_ms.map_or(f64::NAN, seconds));
    gauge!(PEER_LATENCY.name, "peer" => name()).set(peer.latency_ms.map_or(f64::NAN, seconds));
    if peer.weight.is_some() {
        let silent = status.silent.iter().any(|silent| silent.name == peer.name);
        gauge!(VALIDATOR_SILENT.name, "validator" => name()).set(flag(silent));
    }
}

const fn flag(set: bool) -> f64 {
    if set { 1.0 } else { 0.0 }
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}

//! Monitoring over HTTP: `/metrics` in Prometheus' text format, `/liveness` and `/readiness`.
//!
//! Any part of the node counts with the `metrics` crate's macros; [`Recorder::install`] collects.
//! What [`NodeStatus`] says is turned into gauges when somebody asks, so that no part of the node
//! reports it twice. Everything is in base units and without rates: a monitoring system derives.
//!
//! - liveness: 200 while the process answers. A supervisor restarts on failure.
//! - readiness: 200 when this node is worth sending users to, else 503; the body says why, as in
//!   `{"ready": false, "reasons": ["..."]}`. A load balancer looks elsewhere meanwhile.

use std::{net::SocketAddr, sync::Arc};

use assent_rpc::{NodeStatus, SyncStatus};
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use metrics::{describe_counter, describe_gauge, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::info;

/// A peer that is further behind than this does not speak for the chain's head.
const BLOCKS_BEHIND: u64 = 20;

/// Why monitoring could not start.
#[derive(Debug, Error)]
pub enum MetricsError {
    /// The address is in use or not ours.
    #[error("metrics.listen: cannot listen on {address}: {source}")]
    Listen {
        /// The address as configured.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something else collects metrics in this process.
    #[error("metrics are being collected already: {0}")]
    Twice(String),
}

/// Collects what the `metrics` macros report in this process.
#[derive(Clone)]
pub struct Recorder {
    prometheus: PrometheusHandle,
    process: Collector,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl Recorder {
    /// Starts to collect; once per process, before anything is counted.
    pub fn install() -> Result<Self, MetricsError> {
        let prometheus =
            PrometheusBuilder::new().install_recorder().map_err(|error| MetricsError::Twice(error.to_string()))?;
        let process = Collector::default();
        process.describe();
        describe();
        Ok(Self { prometheus, process })
    }

    /// The text of `/metrics` at this moment.
    pub fn render(&self, status: &NodeStatus) -> String {
        self.process.collect();
        publish(status);
        self.prometheus.run_upkeep();
        self.prometheus.render()
    }
}

/// The running server.
#[derive(Debug)]
pub struct MetricsServer {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl MetricsServer {
    /// Where it listens; of use when the configuration said port 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it and waits for its end.
    pub async fn stop(self) {
        self.stop.cancel();
        // The task only fails by a panic, which has been printed; there is nothing left to stop.
        let _ = self.task.await;
    }
}

#[derive(Clone)]
struct Served {
    recorder: Recorder,
    status: watch::Receiver<Arc<NodeStatus>>,
}

/// Serves monitoring on `listen`.
pub async fn serve(
    listen: SocketAddr,
    recorder: Recorder,
    status: watch::Receiver<Arc<NodeStatus>>,
) -> Result<MetricsServer, MetricsError> {
    let failed = |source| MetricsError::Listen { address: listen, source };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let router = Router::new()
        .route("/metrics", get(metrics_text))
        .route("/liveness", get(liveness))
        .route("/readiness", get(readiness))
        .with_state(Served { recorder, status });
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    let task = tokio::spawn(async move {
        // Serving ends by `stop` alone: axum retries failed accepts by itself.
        let _ = axum::serve(listener, router).with_graceful_shutdown(stopped).await;
    });
    info!(%address, "monitoring at /metrics, /liveness, /readiness");
    Ok(MetricsServer { address, stop, task })
}

async fn metrics_text(State(served): State<Served>) -> impl IntoResponse {
    let status = served.status.borrow().clone();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], served.recorder.render(&status))
}

async fn liveness() -> Json<Liveness> {
    Json(Liveness { alive: true })
}

async fn readiness(State(served): State<Served>) -> (StatusCode, Json<Readiness>) {
    let readiness = Readiness::of(&served.status.borrow());
    let code = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(readiness))
}

#[derive(Debug, Serialize)]
struct Liveness {
    alive: bool,
}

/// Whether a node is worth sending users to, and why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// Whether it is.
    pub ready: bool,
    /// Why it is not; sentences for a person.
    pub reasons: Vec<String>,
}

impl Readiness {
    /// The readiness of a node with this status.
    pub fn of(status: &NodeStatus) -> Self {
        let mut reasons = Vec::new();
        if !status.peers.is_empty() && !status.peers.iter().any(|peer| peer.connected) {
            reasons.push(format!("no peer is connected (the node list has {})", status.peers.len()));
        }
        if let SyncStatus::Syncing(progress) = status.syncing {
            reasons.push(format!("behind: at block {} of {}", progress.current_block, progress.highest_block));
        } else if let Some(highest) = status.peers.iter().filter_map(|peer| peer.head).max()
            && highest > status.head.number.saturating_add(BLOCKS_BEHIND)
        {
            reasons.push(format!("behind: at block {}, a peer is at {highest}", status.head.number));
        }
        let quorum = &status.quorum;
        if quorum.missing > 0 {
            reasons.push(format!(
                "too little weight heard to make blocks: {} of {}, needed {}",
                quorum.heard, quorum.total, quorum.needed
            ));
        }
        Self { ready: reasons.is_empty(), reasons }
    }
}

fn describe() {
    describe_gauge!("assent_head_number", "Number of the last final block");
    describe_gauge!("assent_head_timestamp_seconds", "Time of the last final block, in seconds since 1970");
    describe_gauge!("assent_epoch", "Epoch in which the node is");
    describe_gauge!("assent_view", "View in which the node is");
    describe_gauge!("assent_syncing", "1 while the node fetches blocks, else 0");
    describe_counter!("assent_sync_blocks_total", "Final blocks taken from peers by block sync");
    describe_counter!("assent_sync_refused_total", "Answers of peers to block sync that proved nothing");
    describe_gauge!("assent_validator_weight", "Weight of this node as a validator; 0 for a follower");
    describe_gauge!("assent_abstaining", "1 while this validator does not vote on purpose, else 0");
    describe_gauge!("assent_quorum_weight_total", "Weight of all validators");
    describe_gauge!("assent_quorum_weight_heard", "Weight of the validators heard lately, this node included");
    describe_gauge!("assent_quorum_weight_needed", "Least weight that makes blocks");
    describe_gauge!("assent_peers_connected", "Peers with a connection");
    describe_gauge!("assent_peers_listed", "Peers on the node list");
    describe_gauge!("assent_peer_connected", "1 while the peer is connected");
    describe_gauge!("assent_mempool_pending", "Transactions for the next blocks");
    describe_gauge!("assent_mempool_queued", "Transactions that wait for one with a lower nonce");
}

/// Sets the gauges that say what the status says. Gauges are floats; none of these needs more
/// than a float's 53 bits to be watched.
fn publish(status: &NodeStatus) {
    let flag = |set: bool| if set { 1.0 } else { 0.0 };
    gauge!("assent_head_number").set(status.head.number as f64);
    gauge!("assent_head_timestamp_seconds").set(status.head.timestamp_ms as f64 / 1_000.0);
    gauge!("assent_epoch").set(status.epoch as f64);
    gauge!("assent_view").set(status.view as f64);
    gauge!("assent_syncing").set(flag(status.syncing != SyncStatus::Synced));
    gauge!("assent_validator_weight").set(status.validator.unwrap_or(0) as f64);
    gauge!("assent_abstaining").set(flag(status.abstaining.is_some()));
    gauge!("assent_quorum_weight_total").set(status.quorum.total as f64);
    gauge!("assent_quorum_weight_heard").set(status.quorum.heard as f64);
    gauge!("assent_quorum_weight_needed").set(status.quorum.needed as f64);
    let connected = status.peers.iter().filter(|peer| peer.connected).count();
    gauge!("assent_peers_connected").set(connected as f64);
    gauge!("assent_peers_listed").set(status.peers.len() as f64);
    for peer in &status.peers {
        gauge!("assent_peer_connected", "peer" => peer.name.clone()).set(flag(peer.connected));
    }
    gauge!("assent_mempool_pending").set(status.mempool.pending as f64);
    gauge!("assent_mempool_queued").set(status.mempool.queued as f64);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use assent_rpc::{PeerStatus, QuorumStatus, SyncProgress};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn healthy() -> NodeStatus {
        NodeStatus {
            quorum: QuorumStatus::new(100, 100),
            peers: vec![PeerStatus { name: "node1".into(), connected: true, ..PeerStatus::default() }],
            ..NodeStatus::default()
        }
    }

    #[test]
    fn readiness_says_why_not() {
        assert!(Readiness::of(&healthy()).ready);
        let mut alone = healthy();
        alone.peers[0].connected = false;
        let mut behind = healthy();
        behind.syncing = SyncStatus::Syncing(SyncProgress { starting_block: 0, current_block: 5, highest_block: 9 });
        let mut late = healthy();
        late.peers[0].head = Some(BLOCKS_BEHIND + 1);
        let mut halted = healthy();
        halted.quorum = QuorumStatus::new(100, 60);
        for (status, word) in [
            (alone, "no peer"),
            (behind, "at block 5 of 9"),
            (late, "a peer is at 21"),
            (halted, "60 of 100, needed 67"),
        ] {
            let readiness = Readiness::of(&status);
            assert!(!readiness.ready);
            assert_eq!(readiness.reasons.len(), 1, "{readiness:?}");
            assert!(readiness.reasons[0].contains(word), "{readiness:?}");
        }
        let mut single = healthy();
        single.peers.clear();
        assert!(Readiness::of(&single).ready, "a network of one needs no peer");
    }

    async fn fetch(address: SocketAddr, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn the_three_pages_answer() {
        let (sender, status) = watch::channel(Arc::new(healthy()));
        let recorder = Recorder::install().unwrap();
        assert!(Recorder::install().is_err());
        let listen = "127.0.0.1:0".parse().unwrap();
        let server = serve(listen, recorder.clone(), status).await.unwrap();
        let address = server.address();

        let text = fetch(address, "/metrics").await;
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        for line in [
            "assent_quorum_weight_needed 67",
            "assent_peer_connected{peer=\"node1\"} 1",
            "# HELP assent_view View in which the node is",
            "process_resident_memory_bytes ",
        ] {
            assert!(text.contains(line), "{line} is missing in {text}");
        }
        assert!(fetch(address, "/liveness").await.starts_with("HTTP/1.1 200"));
        assert!(fetch(address, "/readiness").await.contains(r#""ready":true"#));

        let mut halted = healthy();
        halted.quorum = QuorumStatus::new(100, 10);
        sender.send(Arc::new(halted)).unwrap();
        let text = fetch(address, "/readiness").await;
        assert!(text.starts_with("HTTP/1.1 503"), "{text}");
        assert!(text.contains(r#""ready":false"#), "{text}");

        let second = serve(address, recorder, sender.subscribe()).await;
        assert!(second.unwrap_err().to_string().contains("metrics.listen"));
        server.stop().await;
    }
}

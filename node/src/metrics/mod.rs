//! Monitoring over HTTP: `/metrics` in Prometheus' text format, `/liveness` and `/readiness`.
//!
//! Any part of the node counts with the `metrics` crate's macros; [`Recorder::install`] collects. What there is to
//! count is said in a table beside the code that counts it, and [`AREAS`] has all tables: `docs/metrics.md` is written
//! from them. What [`NodeStatus`] says is turned into gauges when somebody asks (`gauges`), so that no part of the
//! node reports it twice; what has to be looked up is, every few seconds (`sampler`). Everything is in base units and
//! without rates: a monitoring system derives.
//!
//! - liveness: 200 while the process answers. A supervisor restarts on failure.
//! - readiness: 200 when this node is worth sending users to, else 503; the body says why, as in
//!   `{"ready": false, "reasons": ["..."]}`. A load balancer looks elsewhere meanwhile.

mod gauges;
#[cfg(test)]
mod page;
mod process;
mod readiness;
pub(crate) mod sampler;
mod server;

use std::net::SocketAddr;

use assent_chain::metric::{Kind, Metric};
use assent_rpc::NodeStatus;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use thiserror::Error;

use crate::{driver, network, sync};
pub use readiness::Readiness;
pub use server::{MetricsServer, serve};

/// The metrics of a part of the node.
#[derive(Clone, Copy, Debug)]
pub struct Area {
    /// What the part is called.
    pub title: &'static str,
    /// What to know of its metrics.
    pub about: &'static str,
    /// Its metrics.
    pub metrics: &'static [Metric],
}

/// Everything that a node exports.
pub const AREAS: &[Area] = &[
    Area { title: "Node", about: "What `assent status` shows, at the moment of the scrape.", metrics: gauges::METRICS },
    Area { title: "Consensus", about: "Of this validator; a follower counts none of it.", metrics: driver::METRICS },
    Area {
        title: "Network",
        about: "Frames between nodes. A lane is a stream with its own queue and budget: `consensus_small` has votes, \
                `consensus_large` blocks. Queues are looked at every 5 seconds.",
        metrics: network::METRICS,
    },
    Area { title: "Block sync", about: "Blocks that came with their certificates.", metrics: sync::METRICS },
    Area { title: "Mempool", about: "Transactions that wait for a block.", metrics: assent_chain::mempool::METRICS },
    Area {
        title: "Execution",
        about: "Blocks, from the mempool until they are final.",
        metrics: assent_chain::chain::METRICS,
    },
    Area {
        title: "Storage",
        about: "RocksDB. Apart from the times, looked at every 5 seconds.",
        metrics: assent_chain::storage::METRICS,
    },
    Area {
        title: "JSON-RPC",
        about: "Calls over HTTP and WebSocket, each of a batch by itself. `method` is a method that this node offers, or \
                `unknown`.",
        metrics: assent_rpc::METRICS,
    },
    Area { title: "Process", about: "What the system says of the process.", metrics: process::METRICS },
];

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
    /// Most likely something else collects metrics in this process.
    #[error("metrics cannot be collected: {0}")]
    Install(String),
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
        let failed = |error: metrics_exporter_prometheus::BuildError| MetricsError::Install(error.to_string());
        let mut builder = PrometheusBuilder::new();
        for metric in AREAS.iter().flat_map(|area| area.metrics) {
            if let Kind::Histogram(buckets) = metric.kind {
                let name = Matcher::Full(metric.name.to_owned());
                builder = builder.set_buckets_for_metric(name, buckets).map_err(failed)?;
            }
        }
        let prometheus = builder.install_recorder().map_err(failed)?;
        AREAS.iter().flat_map(|area| area.metrics).for_each(Metric::announce);
        Ok(Self { prometheus, process: Collector::default() })
    }

    /// The text of `/metrics` at this moment.
    pub fn render(&self, status: &NodeStatus) -> String {
        self.process.collect();
        gauges::publish(status);
        self.prometheus.render()
    }

    /// Sorts the values of histograms into their buckets. They take memory until then, so it must not depend on
    /// anybody asking for them.
    fn upkeep(&self) {
        self.prometheus.run_upkeep();
    }
}

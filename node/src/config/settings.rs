//! The settings of a node as they stand in `config.toml`, with their defaults.
//!
//! Every field here has an entry in [`super::template`]; a test holds the two together.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use assent_chain::{History, mempool::MempoolLimits};
use assent_rpc::{ExplorerConfig, RpcConfig};
use bytesize::ByteSize;
use libp2p::Multiaddr;
use serde::Deserialize;

use super::value::{self, ExtraPeer};

/// The content of `config.toml`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The node's name in logs and towards peers; not set: its name in the genesis file.
    pub name: Option<String>,
    /// Table `[p2p]`.
    pub p2p: P2pSettings,
    /// Table `[rpc]`.
    pub rpc: RpcSettings,
    /// Table `[metrics]`.
    pub metrics: MetricsSettings,
    /// Table `[explorer]`.
    pub explorer: ExplorerSettings,
    /// Table `[log]`.
    pub log: LogSettings,
    /// Table `[mempool]`.
    pub mempool: MempoolSettings,
    /// Table `[history]`.
    pub history: HistorySettings,
    /// Table `[index]`.
    pub index: IndexSettings,
}

/// How other nodes reach this one, and it them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct P2pSettings {
    /// Addresses to listen on.
    #[serde(deserialize_with = "value::multiaddrs")]
    pub listen: Vec<Multiaddr>,
    /// Addresses of peers beyond those in the genesis file. They admit nobody: the node list does.
    #[serde(deserialize_with = "value::extra_peers")]
    pub peers: Vec<ExtraPeer>,
}

impl Default for P2pSettings {
    fn default() -> Self {
        Self { listen: vec![value::tcp_multiaddr(Ipv4Addr::UNSPECIFIED.into(), 30303)], peers: Vec::new() }
    }
}

/// The JSON-RPC server; the fields are those of [`RpcConfig`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "documented in RpcConfig and in the template")]
pub struct RpcSettings {
    /// Whether the node serves JSON-RPC at all.
    pub enabled: bool,
    pub listen: SocketAddr,
    #[serde(deserialize_with = "value::strings")]
    pub namespaces: Vec<String>,
    #[serde(deserialize_with = "value::strings")]
    pub hosts: Vec<String>,
    #[serde(deserialize_with = "value::strings")]
    pub cors: Vec<String>,
    pub max_body: ByteSize,
    pub max_response: ByteSize,
    pub max_batch: u32,
    pub max_connections: u32,
    pub max_subscriptions: u32,
    pub rate_limit: Option<u32>,
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    pub heavy_calls: usize,
    pub gas_cap: u64,
    #[serde(with = "humantime_serde")]
    pub evm_timeout: Duration,
    pub max_log_blocks: u64,
    pub max_log_results: usize,
}

impl Default for RpcSettings {
    fn default() -> Self {
        let server = RpcConfig::default();
        Self {
            enabled: true,
            listen: server.listen,
            namespaces: server.namespaces,
            hosts: server.hosts,
            cors: server.cors,
            max_body: ByteSize(server.max_body.into()),
            max_response: ByteSize(server.max_response.into()),
            max_batch: server.max_batch,
            max_connections: server.max_connections,
            max_subscriptions: server.max_subscriptions,
            rate_limit: server.rate_limit,
            request_timeout: server.request_timeout,
            heavy_calls: server.heavy_calls,
            gas_cap: server.gas_cap,
            evm_timeout: server.evm_timeout,
            max_log_blocks: server.max_log_blocks,
            max_log_results: server.max_log_results,
        }
    }
}

impl RpcSettings {
    /// The configuration of the server crate.
    pub fn server(&self) -> RpcConfig {
        RpcConfig {
            listen: self.listen,
            namespaces: self.namespaces.clone(),
            hosts: self.hosts.clone(),
            cors: self.cors.clone(),
            max_body: saturating_bytes(self.max_body),
            max_response: saturating_bytes(self.max_response),
            max_batch: self.max_batch,
            max_connections: self.max_connections,
            max_subscriptions: self.max_subscriptions,
            rate_limit: self.rate_limit,
            request_timeout: self.request_timeout,
            heavy_calls: self.heavy_calls,
            gas_cap: self.gas_cap,
            evm_timeout: self.evm_timeout,
            max_log_blocks: self.max_log_blocks,
            max_log_results: self.max_log_results,
            ..RpcConfig::default()
        }
    }
}

/// Bytes as the server counts them. `super::check` refuses what does not fit.
fn saturating_bytes(size: ByteSize) -> u32 {
    u32::try_from(size.as_u64()).unwrap_or(u32::MAX)
}

/// The HTTP server for monitoring.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsSettings {
    /// Whether the node serves `/metrics`, `/liveness` and `/readiness` at all.
    pub enabled: bool,
    /// Address and port.
    pub listen: SocketAddr,
}

impl Default for MetricsSettings {
    fn default() -> Self {
        Self { enabled: true, listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9545)) }
    }
}

/// The pages about the chain for people.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExplorerSettings {
    /// Whether the node serves them.
    pub enabled: bool,
    /// Address and port.
    pub listen: SocketAddr,
    /// Where browsers reach this node's JSON-RPC; not set: where it listens.
    pub rpc_url: Option<String>,
}

impl Default for ExplorerSettings {
    fn default() -> Self {
        Self { enabled: false, listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)), rpc_url: None }
    }
}

impl ExplorerSettings {
    /// The configuration of the explorer; what people upload about contracts is kept in `data`.
    pub fn server(&self, rpc: &RpcSettings, data: PathBuf) -> ExplorerConfig {
        let listens = rpc.enabled.then(|| format!("http://{}", reachable(rpc.listen)));
        ExplorerConfig { listen: self.listen, rpc_url: self.rpc_url.clone().or(listens), data: Some(data) }
    }
}

/// An address for clients of this machine: who listens on all addresses is reached on loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// What the node writes to its log, how and where.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// Levels, also by target, in the syntax of tracing-subscriber's `EnvFilter`.
    #[serde(deserialize_with = "value::log_filter")]
    pub filter: String,
    /// Lines for people or for machines.
    pub format: LogFormat,
    /// File that lines are appended to; not set: standard error.
    pub file: Option<PathBuf>,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { filter: "info".into(), format: LogFormat::Text, file: None }
    }
}

/// The shape of a line in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people: time, level, target, message, fields.
    #[default]
    Text,
    /// For machines: one JSON object per line.
    Json,
}

/// Limits of the mempool.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MempoolSettings {
    /// Transactions in all.
    pub max_transactions: usize,
    /// Memory of all transactions, estimated.
    pub max_bytes: ByteSize,
    /// Executable transactions of one sender.
    pub max_executable_per_sender: usize,
    /// Transactions of one sender that wait for one with a lower nonce.
    pub max_queued_per_sender: usize,
}

impl Default for MempoolSettings {
    fn default() -> Self {
        let limits = MempoolLimits::default();
        Self {
            max_transactions: limits.transactions,
            max_bytes: ByteSize(limits.bytes as u64),
            max_executable_per_sender: limits.executable_per_sender,
            max_queued_per_sender: limits.queued_per_sender,
        }
    }
}

impl MempoolSettings {
    /// The limits as the chain's crate takes them.
    pub fn limits(&self) -> MempoolLimits {
        MempoolLimits {
            transactions: self.max_transactions,
            bytes: usize::try_from(self.max_bytes.as_u64()).unwrap_or(usize::MAX),
            executable_per_sender: self.max_executable_per_sender,
            queued_per_sender: self.max_queued_per_sender,
        }
    }
}

/// How much of the past is kept.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HistorySettings {
    /// Of how many blocks the state can be read.
    #[serde(deserialize_with = "value::retention")]
    pub retention: History,
}

/// What is indexed beyond what JSON-RPC cannot do without.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IndexSettings {
    /// Whether it is noted which accounts each transaction touched.
    pub addresses: bool,
}

impl Default for IndexSettings {
    fn default() -> Self {
        Self { addresses: true }
    }
}

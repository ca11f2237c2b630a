//! What an operator may set: where the server listens, what it offers and its limits.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use crate::limits;

/// Settings of the RPC server. [`RpcConfig::default`] listens on loopback, port 8545.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcConfig {
    /// Address and port for HTTP and WebSocket. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Namespaces whose methods are offered. A method of another namespace is answered like one that does not exist.
    /// Not offered unless named: `debug`, `trace` (heavy), `txpool` (shows what others are about to do).
    pub namespaces: Vec<String>,
    /// Host names that a request may name in its `Host` header, against DNS rebinding from a
    /// browser; `*` allows any. Empty: `localhost` and any IP address.
    pub hosts: Vec<String>,
    /// Origins from which browsers may call, `*` for any. Empty: pages that this machine serves
    /// (`localhost`, any port).
    pub cors: Vec<String>,
    /// Bytes of a request.
    pub max_body: u32,
    /// Bytes of an answer.
    pub max_response: u32,
    /// Calls in a batch.
    pub max_batch: u32,
    /// Connections at a time.
    pub max_connections: u32,
    /// Subscriptions of one WebSocket connection.
    pub max_subscriptions: u32,
    /// Calls per second of one IP address, each call of a batch counted; 0: any number. Not set:
    /// any number while `listen` is a loopback address, [`limits::DEFAULT_RATE_LIMIT`] otherwise.
    pub rate_limit: Option<u32>,
    /// Time that one call may take.
    pub request_timeout: Duration,
    /// Time in which a client must take some of what is written to it, or lose its connection. Who owes more than
    /// [`limits::SLOW_BYTES`] must take [`limits::SLOW_RATE`] bytes for each second of it.
    pub write_timeout: Duration,
    /// Executions (`eth_call`, `eth_estimateGas`, traces) that run at a time; 0: one per processor. Half as
    /// many searches (`eth_getLogs`, `eth_feeHistory`) run beside them.
    pub heavy_calls: usize,
    /// Gas of one execution.
    pub gas_cap: u64,
    /// Time of one execution, and of one search.
    pub evm_timeout: Duration,
    /// Blocks that one `eth_getLogs` may span that names neither address nor topic.
    pub max_log_blocks: u64,
    /// Logs that one `eth_getLogs` may return.
    pub max_log_results: usize,
}

impl Default for RpcConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8545)),
            namespaces: Self::USUAL_NAMESPACES.map(String::from).to_vec(),
            hosts: Vec::new(),
            cors: Vec::new(),
            max_body: limits::MAX_REQUEST_BYTES,
            max_response: limits::MAX_RESPONSE_BYTES,
            max_batch: limits::MAX_BATCH,
            max_connections: limits::MAX_CONNECTIONS,
            max_subscriptions: limits::MAX_SUBSCRIPTIONS,
            rate_limit: None,
            request_timeout: limits::REQUEST_TIMEOUT,
            write_timeout: limits::WRITE_TIMEOUT,
            heavy_calls: 0,
            gas_cap: limits::GAS_CAP,
            evm_timeout: limits::EVM_TIMEOUT,
            max_log_blocks: limits::MAX_LOG_BLOCKS,
            max_log_results: limits::MAX_LOG_RESULTS,
        }
    }
}

impl RpcConfig {
    /// The namespaces that are offered unless the configuration says otherwise.
    pub const USUAL_NAMESPACES: [&str; 7] = ["eth", "net", "web3", "assent", "rpc", "ots", "erigon"];
    /// All there are.
    pub const ALL_NAMESPACES: [&str; 10] =
        ["eth", "net", "web3", "assent", "rpc", "ots", "erigon", "txpool", "debug", "trace"];

    /// Executions that run at a time.
    pub(crate) fn execution_slots(&self) -> usize {
        match self.heavy_calls {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            slots => slots,
        }
    }

    /// Searches that run at a time.
    pub(crate) fn search_slots(&self) -> usize {
        self.execution_slots().div_ceil(2)
    }

    /// Executions and searches of one connection that run or wait: half of what there is place
    /// for, so that one client does not keep all others out.
    pub(crate) fn heavy_per_connection(&self) -> usize {
        let places = self.search_slots().saturating_mul(1 + limits::HEAVY_QUEUE_PER_SLOT);
        (places / 2).clamp(1, tokio::sync::Semaphore::MAX_PERMITS)
    }

    /// The rate limit in force: calls per second of one address, if any.
    pub fn effective_rate_limit(&self) -> Option<u32> {
        match self.rate_limit {
            Some(0) => None,
            Some(limit) => Some(limit),
            None if self.listen.ip().is_loopback() => None,
            None => Some(limits::DEFAULT_RATE_LIMIT),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn loopback_has_no_rate_limit_unless_asked() {
        let mut config = RpcConfig::default();
        assert_eq!(config.effective_rate_limit(), None);
        config.listen = "0.0.0.0:8545".parse().unwrap();
        assert_eq!(config.effective_rate_limit(), Some(limits::DEFAULT_RATE_LIMIT));
        config.rate_limit = Some(0);
        assert_eq!(config.effective_rate_limit(), None);
        config.rate_limit = Some(7);
        assert_eq!(config.effective_rate_limit(), Some(7));
    }
}

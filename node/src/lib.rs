//! The node of Assent: network, consensus driver, block sync, configuration, command line.
//!
//! Everything lives in this library so that tests can reach it; `main.rs` only calls it.

pub mod bench;
pub mod cli;
pub mod committer;
pub mod config;
pub mod crash_point;
pub mod devnet;
pub mod driver;
pub mod gossip;
pub mod home;
pub mod jsonrpc;
pub mod logging;
pub mod metrics;
pub mod network;
pub mod node;
pub mod signer;
pub mod status;
pub mod sync;
pub mod wal;

#[cfg(test)]
#[path = "../../tests/fuzz/campaign.rs"]
mod campaign;

//! JSON-RPC of Assent: what wallets, tools, explorers and operators ask a node over HTTP and
//! WebSocket.
//!
//! This crate reads the chain, hands raw transactions to the node and turns answers into the
//! shapes that Ethereum's tools expect. It decides nothing: no consensus, no admission to the
//! mempool, no network to other nodes.
//!
//! A request passes `server` (connections), `http` (hosts, origins, content types), `middleware`
//! (rates, deadlines, metrics), `params` (reading its parameters), and ends in the file of its
//! namespace: `eth`, `net`, `web3`, `assent`, `rpc` (in `openrpc`), and for tools `txpool`, `debug`, `trace`, `ots`.
//!
//! Beside that, on a port of its own, `explorer` shows the chain to people.

mod assent;
mod backend;
mod blocking;
mod config;
mod debug;
mod errors;
mod eth;
mod explorer;
mod frames;
mod http;
pub mod limits;
mod measures;
mod methods;
mod middleware;
mod net;
mod openrpc;
mod ots;
mod outflow;
mod params;
mod rate_limit;
mod relay;
mod server;
mod socket;
mod status;
mod threads;
mod trace;
mod traces;
mod txpool;
mod web3;
mod websocket;

pub use assent::bundle::{BundleError, BundleValidator, ProofBundle, SlotProof, Trust};
pub use backend::{Backend, Submission, SubmitError};
pub use config::RpcConfig;
pub use explorer::{ExplorerConfig, ExplorerError, ExplorerServer, serve as serve_explorer};
pub use measures::METRICS;
pub use server::{RpcError, RpcHandle, serve};
pub use status::{
    Abstention, FailedView, HeadStatus, MempoolStatus, NodeStatus, PeerStatus, QuorumStatus, SilentValidator,
    SyncProgress, SyncStatus,
};

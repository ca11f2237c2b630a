//! JSON-RPC of Assent: what wallets, tools, explorers and operators ask a node over HTTP and
//! WebSocket.
//!
//! This crate reads the chain, hands raw transactions to the node and turns answers into the
//! shapes that Ethereum's tools expect. It decides nothing: no consensus, no admission to the
//! mempool, no network to other nodes.

mod backend;
mod config;
pub mod limits;
mod status;

pub use backend::{Submission, SubmitError};
pub use config::RpcConfig;
pub use status::{
    Abstention, HeadStatus, MempoolStatus, NodeStatus, PeerStatus, QuorumStatus, SilentValidator, SyncProgress,
    SyncStatus,
};

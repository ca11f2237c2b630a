//! What the server needs from the node that runs it.

use std::{fmt, sync::Arc};

use alloy_primitives::{B256, Bytes};
use assent_chain::{Chain, mempool::PoolError};
use assent_genesis::Genesis;
use tokio::sync::{mpsc, oneshot, watch};

use crate::status::NodeStatus;

/// The node, as far as the server may reach it.
#[derive(Clone)]
pub struct Backend {
    /// The chain, for reading.
    pub chain: Arc<Chain>,
    /// The chain's specification.
    pub genesis: Arc<Genesis>,
    /// What the node last said of itself.
    pub status: watch::Receiver<Arc<NodeStatus>>,
    /// Takes transactions from clients.
    pub submit: mpsc::Sender<Submission>,
    /// Name, version and platform of the program, for `web3_clientVersion`.
    pub client_version: String,
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend").field("client_version", &self.client_version).finish_non_exhaustive()
    }
}

/// A raw transaction on its way from a client to the node, which decodes it, admits it to the
/// mempool, spreads it and replies.
#[derive(Debug)]
pub struct Submission {
    /// The transaction as the client sent it (EIP-2718).
    pub raw: Bytes,
    /// Takes the transaction's hash, or why it was refused. Dropping it tells the client that the
    /// node is stopping.
    pub reply: oneshot::Sender<Result<B256, SubmitError>>,
}

/// Why a transaction was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// Decoding or the mempool refused it; the client sees code -32000 and Geth's text.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The node refuses it for another reason; the client sees the text with code -32000.
    #[error("{0}")]
    Refused(String),
    /// The node has more to do than it can; the client sees code -32005 and may come back.
    #[error("the node has more transactions to check than it can: try again")]
    Busy,
}

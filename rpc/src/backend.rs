//! What the server needs from the node that runs it.

use alloy_primitives::{B256, Bytes};
use tokio::sync::oneshot;

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
    /// Decoding or the mempool refused it. The client sees the text as it is, with code -32000, so
    /// it should be Geth's where Geth has one.
    #[error("{0}")]
    Refused(String),
    /// The node has more to do than it can; the client sees code -32005 and may come back.
    #[error("the node has more transactions to check than it can: try again")]
    Busy,
}

//! What a call can fail with, and the JSON-RPC code and text that the client sees.
//!
//! Clients match codes and texts, so they are Geth's where Geth has one. Two codes make clients
//! try again by themselves, -32005 and -32603: a mistake of the caller never gets one of them.

use std::time::Duration;

use alloy_primitives::{B256, Bytes};
use assent_chain::{mempool::PoolError, state::StateError};
use jsonrpsee::types::ErrorObjectOwned;
use serde_json::json;

/// The call was made well, and what it asked for cannot be done (also: refused by the mempool).
pub(crate) const SERVER_ERROR: i32 = -32000;
/// The call took too long.
pub(crate) const TIMEOUT: i32 = -32002;
/// A rate or a queue is full; the client should come back later.
pub(crate) const LIMIT_EXCEEDED: i32 = -32005;
/// The request is no JSON-RPC request, or too large to be taken as one.
pub(crate) const INVALID_REQUEST: i32 = -32600;
/// There is no such method, or it is not offered here.
pub(crate) const METHOD_NOT_FOUND: i32 = -32601;
/// A parameter is wrong.
pub(crate) const INVALID_PARAMS: i32 = -32602;
/// A fault of this node.
pub(crate) const INTERNAL: i32 = -32603;
/// The request is no JSON.
pub(crate) const PARSE_ERROR: i32 = -32700;
/// One call asks for too much (Geth's).
pub(crate) const CLIENT_LIMIT: i32 = -38026;
/// A contract reverted.
pub(crate) const REVERTED: i32 = 3;
/// A transaction that was waited for is not final in time.
pub(crate) const NOT_FINAL_YET: i32 = 4;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum CallError {
    /// A parameter is missing, has the wrong shape or does not fit the others. The text names it.
    #[error("{0}")]
    InvalidParams(String),
    /// More was asked for than one call may return; `from` and `to` are what would do.
    #[error("{message}")]
    RangeTooLarge {
        /// What the limit is and how to go on.
        message: String,
        /// First block of a range that can be answered.
        from: u64,
        /// Its last block.
        to: u64,
    },
    /// There is no such method, or its namespace is not offered.
    #[error("the method {0} does not exist/is not available")]
    MethodNotFound(String),
    /// The execution reverted.
    #[error("execution reverted{}", .reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default())]
    Reverted {
        /// The contract's reason, if it gave one that can be read.
        reason: Option<String>,
        /// What the contract returned.
        data: Bytes,
    },
    /// Refused for the reason given.
    #[error("{0}")]
    Refused(String),
    /// Refused with a code that only this kind of call has.
    #[error("{message}")]
    Coded {
        /// The code.
        code: i32,
        /// Why.
        message: String,
    },
    /// The transaction was taken, and is not final yet when the caller no longer wants to wait (EIP-7966).
    #[error("The transaction was added to the transaction pool but wasn't processed in {}.", InGo(.waited))]
    NotFinalYet {
        /// The transaction.
        hash: B256,
        /// How long it was waited for.
        waited: Duration,
    },
    /// Refused by the mempool.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The state cannot be read: its block is unknown, or it is pruned.
    #[error("header not found")]
    HeaderNotFound,
    /// The state is known to be gone.
    #[error("{0}")]
    Pruned(String),
    /// The address calls too often.
    #[error("rate limit exceeded: at most {per_second} calls per second from one address; try again later")]
    RateLimited {
        /// Calls per second that are allowed.
        per_second: u32,
        /// When the next call can be taken.
        retry_after: Duration,
    },
    /// Too many calls of the kind wait already.
    #[error("the node is busy: {0}; try again later")]
    Busy(&'static str),
    /// The call did not end in time.
    #[error("request timed out: it took longer than {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// A fault of this node; the log has more.
    #[error("internal error: {0}")]
    Internal(String),
}

/// A duration as Go writes it, in seconds or, below one, in milliseconds.
struct InGo<'a>(&'a Duration);

impl std::fmt::Display for InGo<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.as_secs() {
            0 => write!(f, "{}ms", self.0.as_millis()),
            _ => write!(f, "{}s", self.0.as_secs_f64()),
        }
    }
}

impl CallError {
    /// The JSON-RPC code.
    pub(crate) fn code(&self) -> i32 {
        match self {
            Self::InvalidParams(_) | Self::RangeTooLarge { .. } => INVALID_PARAMS,
            Self::MethodNotFound(_) => METHOD_NOT_FOUND,
            Self::Reverted { .. } => REVERTED,
            Self::NotFinalYet { .. } => NOT_FINAL_YET,
            Self::Coded { code, .. } => *code,
            Self::Refused(_) | Self::Pool(_) | Self::HeaderNotFound | Self::Pruned(_) => SERVER_ERROR,
            Self::RateLimited { .. } | Self::Busy(_) => LIMIT_EXCEEDED,
            Self::TimedOut(_) => TIMEOUT,
            Self::Internal(_) => INTERNAL,
        }
    }

    /// A fault of this node: logged here, told to the client in short.
    pub(crate) fn internal(error: impl std::fmt::Display) -> Self {
        tracing::error!(target: "assent::rpc", %error, "a call failed through a fault of this node");
        Self::Internal(error.to_string())
    }
}

impl From<CallError> for ErrorObjectOwned {
    fn from(error: CallError) -> Self {
        let data = match &error {
            CallError::Reverted { data, .. } => Some(json!(data)),
            CallError::RangeTooLarge { from, to, .. } => {
                Some(json!({"from": format!("{from:#x}"), "to": format!("{to:#x}")}))
            }
            CallError::NotFinalYet { hash, .. } => Some(json!(hash)),
            CallError::Pool(error) => Some(json!(error.detail())),
            CallError::RateLimited { retry_after, .. } => {
                // Rounded up, so that who waits as long is taken.
                Some(json!({"retryAfterMs": retry_after.as_millis() + 1}))
            }
            _ => None,
        };
        Self::owned(error.code(), error.to_string(), data)
    }
}

impl From<StateError> for CallError {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Unknown => Self::HeaderNotFound,
            StateError::Pruned { .. } => Self::Pruned(error.to_string()),
            other => Self::internal(other),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn json(error: CallError) -> serde_json::Value {
        serde_json::to_value(ErrorObjectOwned::from(error)).unwrap()
    }

    #[test]
    fn a_revert_has_code_3_and_its_data() {
        let data = Bytes::from_static(&[0xab, 0xcd]);
        assert_eq!(
            json(CallError::Reverted { reason: None, data: data.clone() }),
            json!({"code": 3, "message": "execution reverted", "data": "0xabcd"})
        );
        assert_eq!(
            json(CallError::Reverted { reason: Some("no".into()), data }),
            json!({"code": 3, "message": "execution reverted: no", "data": "0xabcd"})
        );
    }

    #[test]
    fn who_no_longer_waits_is_told_for_which_transaction() {
        let hash = B256::repeat_byte(7);
        for (waited, text) in [(Duration::from_millis(250), "250ms"), (Duration::from_millis(2_500), "2.5s")] {
            let message = format!("The transaction was added to the transaction pool but wasn't processed in {text}.");
            let expected = json!({"code": 4, "message": message, "data": hash});
            assert_eq!(json(CallError::NotFinalYet { hash, waited }), expected);
        }
    }

    #[test]
    fn a_rate_limit_says_when_to_come_back() {
        let error = CallError::RateLimited { per_second: 5, retry_after: Duration::from_micros(199_500) };
        let json = json(error);
        assert_eq!(json["code"], -32005);
        assert_eq!(json["data"], json!({"retryAfterMs": 200}));
    }

    #[test]
    fn unknown_methods_have_the_text_that_ethers_matches() {
        let json = json(CallError::MethodNotFound("eth_foo".into()));
        assert_eq!(json, json!({"code": -32601, "message": "the method eth_foo does not exist/is not available"}));
    }
}

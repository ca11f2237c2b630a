//! What a transaction or a call did, step by step.
//!
//! A final transaction is executed again: upon the state before its block, after the transactions before it in the
//! block. What comes of it is compared with its receipt. The shapes of Geth's `debug_` tracers and of Parity's `trace_`
//! come from `revm-inspectors`; [`bounded`] keeps an eye on their memory, by the weights of [`recorded`].

mod bounded;
mod geth;
mod parity;
mod recorded;
mod replay;
mod touched;

use std::time::Instant;

use revm::context::result::EVMError;
use revm_inspectors::tracing::DebugInspectorError;

pub use alloy_rpc_types_trace as types;

use crate::execution::CallError;
use crate::state::StateError;
use crate::storage::StorageError;

/// Limits of a trace.
#[derive(Clone, Copy, Debug)]
pub struct TraceLimits {
    /// When to give up.
    pub deadline: Option<Instant>,
    /// Most bytes of memory that what is recorded may take.
    pub max_bytes: usize,
    /// Most gas of a call.
    pub gas_cap: u64,
}

/// There is no trace.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// There is no such block.
    #[error("block not found")]
    UnknownBlock,
    /// There is no such final transaction.
    #[error("transaction not found")]
    UnknownTransaction,
    /// Block 0 has no transactions and no block before it.
    #[error("genesis is not traceable")]
    Genesis,
    /// No transaction like this is possible, in Geth's words.
    #[error("{0}")]
    Invalid(String),
    /// The tracer is unknown, or its settings are wrong.
    #[error("{0}")]
    Tracer(String),
    /// It takes too long.
    #[error("execution timeout")]
    TimedOut,
    /// What was recorded takes too much memory.
    #[error(
        "the trace takes more than {limit} bytes: leave out memory and stack (enableMemory, disableStack), set a limit of \
         steps, or use callTracer"
    )]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// The state before it cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// A mistake of this program, or a damaged database.
    #[error("tracing: {0}")]
    Internal(String),
}

impl From<StorageError> for TraceError {
    fn from(error: StorageError) -> Self {
        Self::State(error.into())
    }
}

impl From<CallError> for TraceError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Invalid(text) => Self::Invalid(text),
            CallError::TimedOut => Self::TimedOut,
            CallError::State(error) => Self::State(error),
            other => Self::Internal(other.to_string()),
        }
    }
}

impl From<EVMError<StateError>> for TraceError {
    fn from(error: EVMError<StateError>) -> Self {
        CallError::from(error).into()
    }
}

impl From<DebugInspectorError> for TraceError {
    fn from(error: DebugInspectorError) -> Self {
        Self::Tracer(error.to_string())
    }
}

//! What the namespaces that trace share: their limits, and their errors in Geth's words.

use std::time::Instant;

use assent_chain::trace::{TraceError, TraceLimits};

use crate::{errors::CallError, limits::MAX_TRACE_BYTES, methods::Api};

/// Limits of one call.
pub(crate) fn limits(api: &Api) -> TraceLimits {
    TraceLimits {
        deadline: Some(Instant::now() + api.config.evm_timeout),
        max_bytes: MAX_TRACE_BYTES,
        gas_cap: api.config.gas_cap,
    }
}

impl From<TraceError> for CallError {
    fn from(error: TraceError) -> Self {
        match error {
            TraceError::State(error) => error.into(),
            TraceError::Internal(text) => Self::internal(text),
            other => Self::Refused(other.to_string()),
        }
    }
}

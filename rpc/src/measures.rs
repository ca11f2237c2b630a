//! The metrics of JSON-RPC: what they are, and where they are counted.
//!
//! Calls are divided by method. A client cannot make series: a method that is not offered counts as [`UNKNOWN`], and
//! codes are those of this crate.

use std::time::Duration;

use assent_chain::metric::{Label, Metric, SECONDS_LONG};
use metrics::{counter, gauge, histogram};

/// All metrics of this area.
pub const METRICS: &[Metric] = &[REQUEST, ERRORS, CONNECTIONS, UNREAD, UNREAD_REFUSALS, STALLED];

/// Name under which calls of unknown methods are counted.
pub(crate) const UNKNOWN: &str = "unknown";

const METHOD: &[Label] = &[Label::open("method")];
const METHOD_AND_CODE: &[Label] = &[Label::open("method"), Label::open("code")];

const REQUEST: Metric = Metric::histogram(
    "assent_rpc_request_seconds",
    SECONDS_LONG,
    "Time from a call to its answer, by method; its count is the number of calls",
)
.by(METHOD);
const ERRORS: Metric =
    Metric::counter("assent_rpc_errors_total", "Calls that were answered with an error, by method and JSON-RPC code")
        .by(METHOD_AND_CODE);
const CONNECTIONS: Metric = Metric::gauge("assent_rpc_connections", "Connections to the JSON-RPC port that are open");
const UNREAD: Metric = Metric::gauge(
    "assent_rpc_unread_bytes",
    "Bytes of calls and answers that wait until clients have read the answers",
);
const UNREAD_REFUSALS: Metric = Metric::counter(
    "assent_rpc_unread_refusals_total",
    "Calls that were refused because too many answers wait until clients have read them",
);
const STALLED: Metric = Metric::counter(
    "assent_rpc_stalled_connections_total",
    "Connections that were ended because the client did not read its answers",
);

/// A call was answered.
pub(crate) fn called(method: &'static str, took: Duration, error: Option<i32>) {
    histogram!(REQUEST.name, "method" => method).record(took);
    if let Some(code) = error {
        counter!(ERRORS.name, "method" => method, "code" => code.to_string()).increment(1);
    }
}

/// A connection was taken.
pub(crate) fn opened() {
    gauge!(CONNECTIONS.name).increment(1.0);
}

/// A connection has ended.
pub(crate) fn closed() {
    gauge!(CONNECTIONS.name).decrement(1.0);
}

/// So many bytes wait for a client.
pub(crate) fn waits(bytes: usize) {
    gauge!(UNREAD.name).increment(bytes as f64);
}

/// So many bytes wait no longer.
pub(crate) fn left(bytes: usize) {
    gauge!(UNREAD.name).decrement(bytes as f64);
}

/// There was no room for the answer to a call.
pub(crate) fn refused() {
    counter!(UNREAD_REFUSALS.name).increment(1);
}

/// A connection is ended because its client does not read.
pub(crate) fn stalled() {
    counter!(STALLED.name).increment(1);
}

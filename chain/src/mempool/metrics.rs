//! The pool's metrics: what they are, and where they are counted.

use metrics::{counter, gauge};

use super::error::REASONS;
use super::eviction::Class;
use super::pool::Admitted;
use super::{Origin, PoolError, PoolStatus};
use crate::metric::{Label, Metric};

/// All metrics of this area.
pub const METRICS: &[Metric] = &[TRANSACTIONS, BYTES, ADMITTED, REFUSED, EVICTED, DROPPED, JOURNAL_SKIPPED];

/// Executable: for the next blocks. Queued: waits for one of its sender with a lower nonce.
const CLASS: &[Label] = &[Label::of("class", &["executable", "queued"])];
const ORIGIN: &[Label] = &[Label::of("origin", &["local", "peer", "journal"])];
const REASON: &[Label] = &[Label::of("reason", REASONS)];

const TRANSACTIONS: Metric = Metric::gauge(
    "assent_mempool_transactions",
    "Transactions in the pool: for the next blocks, or waiting for one with a lower nonce",
)
.by(CLASS);
const BYTES: Metric = Metric::gauge("assent_mempool_bytes", "Memory of the pool's transactions, estimated");
const ADMITTED: Metric =
    Metric::counter("assent_mempool_admitted_total", "Transactions admitted, by where they came from").by(ORIGIN);
const REFUSED: Metric = Metric::counter("assent_mempool_refused_total", "Transactions refused, by reason").by(REASON);
const EVICTED: Metric =
    Metric::counter("assent_mempool_evicted_total", "Transactions that had to leave the full pool for others")
        .by(CLASS);
const DROPPED: Metric = Metric::counter(
    "assent_mempool_dropped_total",
    "Transactions that left the pool because of a final block: included, overtaken, or beyond their sender's means",
);
const JOURNAL_SKIPPED: Metric = Metric::counter(
    "assent_mempool_journal_skipped_total",
    "Admitted transactions that the journal's thread was too slow to write; a restart forgets them",
);

pub(super) fn admitted(origin: Origin) {
    counter!(ADMITTED.name, "origin" => origin.label()).increment(1);
}

/// Transactions that a final block or new rules took out of the pool.
pub(super) fn dropped(count: usize) {
    counter!(DROPPED.name).increment(count as u64);
}

pub(super) fn journal_skipped() {
    counter!(JOURNAL_SKIPPED.name).increment(1);
}

/// Counts a refusal and passes it on.
pub(super) fn refused(error: PoolError) -> PoolError {
    let reason = error.reason();
    #[cfg(test)]
    assert!(REASONS.contains(&reason), "{reason} is not in the list of reasons");
    counter!(REFUSED.name, "reason" => reason).increment(1);
    error
}

pub(super) fn evicted(admitted: &Admitted) {
    for (class, _) in &admitted.evicted {
        let class = match class {
            Class::Queued => "queued",
            Class::Executable => "executable",
        };
        counter!(EVICTED.name, "class" => class).increment(1);
    }
}

pub(super) fn sizes(status: &PoolStatus) {
    gauge!(TRANSACTIONS.name, "class" => "executable").set(status.executable as f64);
    gauge!(TRANSACTIONS.name, "class" => "queued").set(status.queued as f64);
    gauge!(BYTES.name).set(status.bytes as f64);
}

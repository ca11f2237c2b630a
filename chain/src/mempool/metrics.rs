//! The pool's metrics: names, help texts, and where they are counted.

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use super::eviction::Class;
use super::pool::Admitted;
use super::{Origin, PoolError, PoolStatus};

pub(super) fn admitted(origin: Origin) {
    counter!("assent_mempool_admitted_total", "origin" => origin.label()).increment(1);
}

/// Transactions that a final block or new rules took out of the pool.
pub(super) fn dropped(count: usize) {
    counter!("assent_mempool_dropped_total").increment(count as u64);
}

pub(super) fn journal_skipped() {
    counter!("assent_mempool_journal_skipped_total").increment(1);
}

/// Counts a refusal and passes it on.
pub(super) fn refused(error: PoolError) -> PoolError {
    counter!("assent_mempool_refused_total", "reason" => error.reason()).increment(1);
    error
}

pub(super) fn evicted(admitted: &Admitted) {
    for (class, _) in &admitted.evicted {
        let class = match class {
            Class::Queued => "queued",
            Class::Executable => "executable",
        };
        counter!("assent_mempool_evicted_total", "class" => class).increment(1);
    }
}

pub(super) fn sizes(status: &PoolStatus) {
    gauge!("assent_mempool_transactions", "class" => "executable").set(status.executable as f64);
    gauge!("assent_mempool_transactions", "class" => "queued").set(status.queued as f64);
    gauge!("assent_mempool_bytes").set(status.bytes as f64);
}

pub(super) fn describe() {
    describe_gauge!("assent_mempool_transactions", "Transactions in the pool, by class");
    describe_gauge!("assent_mempool_bytes", Unit::Bytes, "Estimated memory of the pool's transactions");
    describe_counter!("assent_mempool_admitted_total", "Transactions admitted, by origin");
    describe_counter!("assent_mempool_refused_total", "Transactions refused, by reason");
    describe_counter!("assent_mempool_evicted_total", "Transactions evicted from a full pool, by class");
    describe_counter!(
        "assent_mempool_dropped_total",
        "Transactions that left the pool because of a final block: included, overtaken, or beyond \
         their sender's means"
    );
    describe_counter!(
        "assent_mempool_journal_skipped_total",
        "Admitted transactions that the journal's thread was too slow to write"
    );
}

//! The metrics of consensus: what they are called and what they mean, in one place.

use assent_consensus::core::Output;
use assent_consensus::{Phase, Record};
use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};

pub(super) const SYNC: &str = "assent_consensus_sync_seconds";
pub(super) const MALFORMED: &str = "assent_consensus_malformed_total";
pub(super) const EVIDENCE: &str = "assent_consensus_evidence_total";
const FINALITY: &str = "assent_consensus_finality_seconds";
const VIEW_CHANGES: &str = "assent_consensus_view_changes_total";
const CERTIFICATES: &str = "assent_consensus_certificates_total";

pub(super) fn describe() {
    describe_histogram!(SYNC, Unit::Seconds, "Time to make a vote durable: log and signer's mark");
    describe_histogram!(FINALITY, Unit::Seconds, "Time from a block's proposal (its own clock) to its finality here");
    describe_counter!(VIEW_CHANGES, "Times this validator gave a view up");
    describe_counter!(CERTIFICATES, "Certificates acted on, by phase");
    describe_counter!(MALFORMED, "Messages of validators that could not be read");
    describe_counter!(EVIDENCE, "Contradictions of validators seen");
}

/// Counts what the state machine asks for.
pub(super) fn count(output: &Output) {
    match output {
        Output::Persist(Record::Certificate(certificate)) => {
            let phase = match certificate.phase {
                Phase::Propose | Phase::Prepare => "prepare",
                Phase::Commit => "commit",
                Phase::ViewChange => "view_change",
            };
            counter!(CERTIFICATES, "phase" => phase).increment(1);
        }
        Output::Sign(ballot) if ballot.phase == Phase::ViewChange => counter!(VIEW_CHANGES).increment(1),
        _ => {}
    }
}

/// A block proposed at `time_ms` has become final at `now_ms`.
pub(super) fn finality(time_ms: u64, now_ms: u64) {
    histogram!(FINALITY).record(now_ms.saturating_sub(time_ms) as f64 / 1000.0);
}

//! The metrics of consensus: what they are, and where they are counted.

use std::time::{Duration, Instant};

use assent_chain::metric::{Label, Metric, SECONDS_LONG, SECONDS_SHORT};
use assent_consensus::core::Output;
use assent_consensus::{Message, Phase, Record};
use metrics::{counter, gauge, histogram};

use super::Failure;

/// All metrics of this area.
pub const METRICS: &[Metric] =
    &[PHASE, FINALITY, SYNC, WORKING, FAILED_VIEWS, CERTIFICATES, SENT, RECEIVED, MALFORMED, EVIDENCE];

const PHASES: &[Label] = &[Label::of("phase", &["propose", "validate", "prepare", "commit", "view_change"])];
const REASON: &[Label] = &[Label::of("reason", Failure::WORDS)];
const CERTIFIED: &[Label] = &[Label::of("phase", &["prepare", "commit", "view_change"])];
const KIND: &[Label] = &[Label::of(
    "kind",
    &["proposal", "prepare", "commit", "view_change", "certificate", "status", "fetch", "evidence"],
)];

const PHASE: Metric = Metric::histogram(
    "assent_consensus_phase_seconds",
    SECONDS_LONG,
    "Time of each phase of a view. propose: from work to a proposal; validate: to our Prepare; prepare: to a quorum of \
     Prepare; commit: to a quorum of Commit; view_change: from giving up to a quorum that does",
)
.by(PHASES);
const FINALITY: Metric = Metric::histogram(
    "assent_consensus_finality_seconds",
    SECONDS_LONG,
    "Time from a block's proposal (its own clock) to its finality here",
);
const SYNC: Metric = Metric::histogram(
    "assent_consensus_sync_seconds",
    SECONDS_SHORT,
    "Time to make a vote durable: the log and the signer's mark",
);
const WORKING: Metric = Metric::gauge(
    "assent_consensus_working",
    "1 while the view has work, so that a block is due and the view's timer runs, else 0",
);
const FAILED_VIEWS: Metric =
    Metric::counter("assent_consensus_failed_views_total", "Views given up here or skipped by the others, by reason")
        .by(REASON);
const CERTIFICATES: Metric =
    Metric::counter("assent_consensus_certificates_total", "Certificates acted on, by phase").by(CERTIFIED);
const SENT: Metric = Metric::counter(
    "assent_consensus_messages_sent_total",
    "Messages for validators, by kind; one for all of them counts once for each",
)
.by(KIND);
const RECEIVED: Metric =
    Metric::counter("assent_consensus_messages_received_total", "Messages of validators, by kind").by(KIND);
const MALFORMED: Metric =
    Metric::counter("assent_consensus_malformed_total", "Messages of validators that could not be read");
const EVIDENCE: Metric = Metric::counter("assent_consensus_evidence_total", "Contradictions of validators seen");

/// Counts what the state machine asks for.
pub(super) fn count(output: &Output) {
    if let Output::Persist(Record::Certificate(certificate)) = output {
        let phase = match certificate.phase {
            Phase::Propose | Phase::Prepare => "prepare",
            Phase::Commit => "commit",
            Phase::ViewChange => "view_change",
        };
        counter!(CERTIFICATES.name, "phase" => phase).increment(1);
    }
}

/// A phase that began then is over; nothing when its beginning was not seen.
pub(super) fn phase(name: &'static str, began: Option<Instant>) {
    if let Some(began) = began {
        histogram!(PHASE.name, "phase" => name).record(began.elapsed());
    }
}

/// A block proposed at `time_ms` has become final at `now_ms`.
pub(super) fn finality(time_ms: u64, now_ms: u64) {
    histogram!(FINALITY.name).record(now_ms.saturating_sub(time_ms) as f64 / 1000.0);
}

/// A vote is durable.
pub(super) fn synced(took: Duration) {
    histogram!(SYNC.name).record(took);
}

/// Whether the view has work.
pub(super) fn working(working: bool) {
    gauge!(WORKING.name).set(if working { 1.0 } else { 0.0 });
}

/// A view did not come to a block.
pub(super) fn view_failed(reason: Failure) {
    counter!(FAILED_VIEWS.name, "reason" => reason.words()).increment(1);
}

/// A message goes to so many validators.
pub(super) fn sent(message: &Message, validators: usize) {
    counter!(SENT.name, "kind" => kind(message)).increment(validators as u64);
}

/// A validator's message was read.
pub(super) fn received(message: &Message) {
    counter!(RECEIVED.name, "kind" => kind(message)).increment(1);
}

/// A validator's message could not be read.
pub(super) fn malformed() {
    counter!(MALFORMED.name).increment(1);
}

/// A validator contradicted itself.
pub(super) fn evidence() {
    counter!(EVIDENCE.name).increment(1);
}

const fn kind(message: &Message) -> &'static str {
    match message {
        Message::Propose(_) => "proposal",
        Message::Vote(vote) => match vote.ballot.phase {
            Phase::Propose | Phase::Prepare => "prepare",
            Phase::Commit => "commit",
            Phase::ViewChange => "view_change",
        },
        Message::Certificate(_) => "certificate",
        Message::Status(_) => "status",
        Message::Fetch(_) => "fetch",
        Message::Evidence(_) => "evidence",
    }
}

//! What `assent bench` reports, for people and as JSON.
//!
//! The JSON (`--json`) is one object with `"version": 1`. A field is never renamed or removed within
//! a version; new ones may appear. All times are in the unit that the name ends with. Numbers:
//!
//! - `transactions.measured`: `planned = included + failed + refused + skipped + lost`. *Included*
//!   ones are in a block with a receipt of status 1 (as far as receipts were checked), *failed* ones
//!   in a block with status 0, *refused* ones were turned down by the node, *skipped* ones were never
//!   sent (an earlier one of their sender was refused, or the run was broken off), *lost* ones were
//!   sent and are in no block at the deadline. `transactions.all` counts the warm-up as well.
//! - `rate.offered`: measured transactions per second as planned. `rate.achieved`: transactions that
//!   were included during the measured time (the last of the warm-up may be among them, and the last
//!   measured ones not), divided by it. It equals the offered rate unless a backlog grows.
//! - `latencyMs`: from the intended send time to when the node that it was sent to served the block.
//! - `sendDelayMs`: from the intended send time to when the first request left, the client's part of
//!   the latency. A large one means that the client, not the chain, was measured.
//! - `cpu.clientSeconds`: processor time of this process from the start of the load to its end,
//!   signing not counted.
//! - `blocks`: of the first URL, while the load lasted.
//! - `agreement`: false when two nodes served different blocks at one height.

use std::{fmt, time::Duration};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::ledger::{Ledger, Totals};

/// The result of a run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    version: u32,
    pub(super) client: String,
    pub(super) node: String,
    pub(super) chain_id: u64,
    pub(super) load: Load,
    transactions: Transactions,
    refusals: Vec<Reason>,
    retries: Vec<Reason>,
    pub(super) rate: Rate,
    latency_ms: Latency,
    send_delay_ms: Latency,
    per_url: Vec<PerUrl>,
    blocks: Blocks,
    pub(super) receipts: Receipts,
    pub(super) cpu: Cpu,
    agreement: bool,
    pub(super) interrupted: bool,
    pub(super) failed_looks: u64,
    /// Whether every transaction, the warm-up's too, was included and none failed.
    complete: bool,
}

/// What was asked for.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Load {
    pub(super) urls: Vec<String>,
    pub(super) rate: u32,
    pub(super) duration_seconds: f64,
    pub(super) warmup_seconds: f64,
    pub(super) kind: &'static str,
    pub(super) transaction_type: &'static str,
    pub(super) senders: u32,
    pub(super) seed: u64,
    pub(super) batch: u32,
    pub(super) connections: u32,
    pub(super) tick_ms: f64,
    pub(super) poll_ms: f64,
}

#[derive(Debug, Serialize)]
struct Transactions {
    measured: Counts,
    all: Counts,
}

#[derive(Debug, Serialize)]
struct Counts {
    planned: u64,
    included: u64,
    failed: u64,
    refused: u64,
    skipped: u64,
    lost: u64,
}

impl From<Totals> for Counts {
    fn from(totals: Totals) -> Self {
        Self {
            planned: totals.planned,
            included: totals.included,
            failed: totals.failed,
            refused: totals.refused,
            skipped: totals.skipped,
            lost: totals.lost,
        }
    }
}

#[derive(Debug, Serialize)]
struct Reason {
    reason: String,
    count: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Rate {
    offered: f64,
    achieved: f64,
}

#[derive(Debug, Serialize)]
struct Latency {
    count: u64,
    min: f64,
    mean: f64,
    p50: f64,
    p90: f64,
    p95: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

impl Latency {
    fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| millis(histogram.value_at_quantile(quantile));
        Self {
            count: histogram.len(),
            min: millis(histogram.min()),
            mean: round(histogram.mean() / 1_000.0),
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            p999: at(0.999),
            max: millis(histogram.max()),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PerUrl {
    url: String,
    included: u64,
    latency_ms: Latency,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Blocks {
    count: u64,
    first: Option<u64>,
    last: Option<u64>,
    transactions: u64,
    mean_transactions: f64,
    max_transactions: u64,
    mean_interval_ms: f64,
}

/// What the receipts said.
#[derive(Debug, Default, Clone, Serialize)]
pub(super) struct Receipts {
    pub(super) checked: u64,
    pub(super) failed: u64,
    /// No receipt although its block was served, or another block's number in it.
    pub(super) wrong: u64,
    /// The node did not answer.
    pub(super) unread: u64,
}

/// Processor time of the client.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cpu {
    client_seconds: f64,
    client_cores: f64,
    microseconds_per_transaction: f64,
}

impl Cpu {
    pub(super) fn new(used: Duration, elapsed: Duration, transactions: u64) -> Self {
        let used = used.as_secs_f64();
        Self {
            client_seconds: round(used),
            client_cores: round(used / elapsed.as_secs_f64().max(f64::MIN_POSITIVE)),
            microseconds_per_transaction: round(used * 1e6 / transactions.max(1) as f64),
        }
    }
}

/// What the report needs beside the ledger.
pub(super) struct Facts {
    pub(super) node: String,
    pub(super) chain_id: u64,
    pub(super) load: Load,
    pub(super) receipts: Receipts,
    pub(super) cpu: Cpu,
    pub(super) interrupted: bool,
    pub(super) failed_looks: u64,
    /// When the first measured transaction was due and when the planned time ends.
    pub(super) window: (Duration, Duration),
}

impl Report {
    pub(super) fn new(ledger: &Ledger, facts: Facts) -> Self {
        let (measured, all) = (ledger.totals(true), ledger.totals(false));
        let (begin, end) = facts.window;
        let during = ledger.included_during(begin, end);
        let seconds = (end - begin).as_secs_f64();
        let reasons = |(reason, count): (String, u64)| Reason { reason, count };
        let urls = facts.load.urls.iter().enumerate();
        let per_url = urls
            .map(|(index, url)| {
                let latencies = ledger.latencies(Some(index));
                PerUrl { url: url.clone(), included: latencies.len(), latency_ms: Latency::of(&latencies) }
            })
            .collect();
        let agreement = ledger.disagreement().is_none();
        Self {
            version: 1,
            client: concat!("assent/", env!("CARGO_PKG_VERSION")).into(),
            node: facts.node,
            chain_id: facts.chain_id,
            rate: Rate { offered: round(measured.planned as f64 / seconds), achieved: round(during as f64 / seconds) },
            complete: all.included == all.planned && facts.receipts.wrong + facts.receipts.unread == 0 && agreement,
            transactions: Transactions { measured: measured.into(), all: all.into() },
            refusals: ledger.refusals().into_iter().map(reasons).collect(),
            retries: ledger.retries().iter().map(|(reason, count)| reasons((reason.clone(), *count))).collect(),
            latency_ms: Latency::of(&ledger.latencies(None)),
            send_delay_ms: Latency::of(ledger.send_delays()),
            per_url,
            blocks: blocks(ledger),
            load: facts.load,
            receipts: facts.receipts,
            cpu: facts.cpu,
            agreement,
            interrupted: facts.interrupted,
            failed_looks: facts.failed_looks,
        }
    }

    /// Whether every transaction was included and succeeded.
    pub(super) fn complete(&self) -> bool {
        self.complete
    }
}

fn blocks(ledger: &Ledger) -> Blocks {
    let blocks = ledger.blocks(0);
    let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else {
        return Blocks::default();
    };
    let count = blocks.len() as u64;
    let transactions: u64 = blocks.iter().map(|block| block.transactions as u64).sum();
    let largest = blocks.iter().map(|block| block.transactions as u64).max();
    let span = (last.at - first.at).as_secs_f64() * 1_000.0;
    Blocks {
        count,
        first: Some(first.number),
        last: Some(last.number),
        transactions,
        mean_transactions: round(transactions as f64 / count as f64),
        max_transactions: largest.unwrap_or(0),
        mean_interval_ms: round(span / (count - 1).max(1) as f64),
    }
}

fn millis(micros: u64) -> f64 {
    round(micros as f64 / 1_000.0)
}

/// Three digits after the point; more would only look exact.
fn round(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Latency { min, mean, p50, p90, p99, p999, max, .. } = &self.latency_ms;
        let measured = &self.transactions.measured;
        writeln!(f, "Node           {} (chain {})", self.node, self.chain_id)?;
        writeln!(
            f,
            "Rate           {:.1} per second achieved of {:.1} offered",
            self.rate.achieved, self.rate.offered
        )?;
        writeln!(
            f,
            "Latency        p50 {p50:.1} ms, p90 {p90:.1} ms, p99 {p99:.1} ms, p99.9 {p999:.1} ms, max {max:.1} ms (min {min:.1}, mean {mean:.1})"
        )?;
        writeln!(
            f,
            "Transactions   {} measured: {} included, {} failed, {} refused, {} skipped, {} lost",
            measured.planned, measured.included, measured.failed, measured.refused, measured.skipped, measured.lost
        )?;
        for Reason { reason, count } in &self.refusals {
            writeln!(f, "  refused      {count} x {reason}")?;
        }
        for Reason { reason, count } in &self.retries {
            writeln!(f, "  sent again   {count} x {reason}")?;
        }
        writeln!(
            f,
            "Receipts       {} checked, {} failed, {} wrong, {} unread",
            self.receipts.checked, self.receipts.failed, self.receipts.wrong, self.receipts.unread
        )?;
        writeln!(
            f,
            "Blocks         {} with {:.1} transactions on average (at most {}), one every {:.1} ms",
            self.blocks.count,
            self.blocks.mean_transactions,
            self.blocks.max_transactions,
            self.blocks.mean_interval_ms
        )?;
        writeln!(
            f,
            "Client         {:.2} of a core, {:.0} us per transaction; sent {:.1} ms late at p99",
            self.cpu.client_cores, self.cpu.microseconds_per_transaction, self.send_delay_ms.p99
        )?;
        if !self.agreement {
            writeln!(f, "FORK           two nodes served different blocks at one height")?;
        }
        if self.interrupted {
            writeln!(f, "Interrupted    the run was broken off")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use alloy_primitives::B256;
    use serde_json::{Value, json};

    use super::*;
    use crate::bench::ledger::{Planned, SeenBlock};

    fn report() -> Report {
        let plan = (0..2_u8).map(|index| Planned {
            hash: B256::repeat_byte(index),
            sender: u32::from(index),
            url: 0,
            due: Duration::from_secs(index.into()),
            measured: true,
        });
        let mut ledger = Ledger::new(plan.collect(), 1, 2);
        ledger.sent(0, Duration::from_millis(2));
        ledger.refused(1, "nonce too low");
        let block = SeenBlock { number: 9, hash: B256::ZERO, transactions: 3, at: Duration::from_millis(40) };
        ledger.block(0, block, &[B256::ZERO]);
        let facts = Facts {
            node: "node".into(),
            chain_id: 1,
            load: Load {
                urls: vec!["http://x".into()],
                rate: 1,
                duration_seconds: 2.0,
                warmup_seconds: 0.0,
                kind: "transfer",
                transaction_type: "eip1559",
                senders: 2,
                seed: 0,
                batch: 100,
                connections: 2,
                tick_ms: 10.0,
                poll_ms: 5.0,
            },
            receipts: Receipts::default(),
            cpu: Cpu::new(Duration::from_secs(1), Duration::from_secs(4), 2),
            interrupted: false,
            failed_looks: 0,
            window: (Duration::ZERO, Duration::from_secs(2)),
        };
        Report::new(&ledger, facts)
    }

    #[test]
    fn the_json_is_frozen() {
        let json = serde_json::to_value(report()).unwrap();
        let keys = |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
        let mut top = keys(&json);
        top.sort();
        assert_eq!(
            top,
            [
                "agreement",
                "blocks",
                "chainId",
                "client",
                "complete",
                "cpu",
                "failedLooks",
                "interrupted",
                "latencyMs",
                "load",
                "node",
                "perUrl",
                "rate",
                "receipts",
                "refusals",
                "retries",
                "sendDelayMs",
                "transactions",
                "version"
            ]
        );
        assert_eq!(json["version"], 1);
        assert_eq!(
            json["transactions"]["measured"],
            json!({"planned": 2, "included": 1, "failed": 0, "refused": 1, "skipped": 0, "lost": 0})
        );
        assert_eq!(json["rate"], json!({"offered": 1.0, "achieved": 0.5}));
        assert_eq!(json["refusals"], json!([{"reason": "nonce too low", "count": 1}]));
        assert_eq!(json["latencyMs"]["count"], 1);
        assert_eq!(json["cpu"]["clientCores"], 0.25);
        assert_eq!(json["blocks"]["meanTransactions"], 3.0);
        assert_eq!(json["complete"], false);
    }

    #[test]
    fn the_text_accounts_for_everything() {
        let text = report().to_string();
        for words in ["1 included, 0 failed, 1 refused, 0 skipped, 0 lost", "1 x nonce too low", "p99"] {
            assert!(text.contains(words), "{text}");
        }
    }
}

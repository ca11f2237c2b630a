//! The measurements: an idle network, and a network under one load.

use std::{process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use assent_tests::{
    binary,
    devnet::Devnet,
    process::is_alive,
    usage::{Usage, usage},
    wait,
};
use serde::Deserialize;
use tokio::{process::Command, time::Instant};

use crate::scrape::{Stage, Totals, stages};

/// An idle network.
#[derive(Debug)]
pub(crate) struct Idle {
    /// For how long it was watched.
    pub(crate) time: Duration,
    /// Share of a core that each node used.
    pub(crate) cores: Vec<f64>,
    /// Memory of each node in bytes.
    pub(crate) resident: Vec<u64>,
}

/// A network under one load.
#[derive(Debug)]
pub(crate) struct Run {
    /// What `assent bench` reported.
    pub(crate) report: Report,
    /// Processor seconds of each node, warm-up and check of the receipts included.
    pub(crate) node_cpu: Vec<f64>,
    /// Seconds from the start of the client to its end.
    pub(crate) seconds: f64,
    /// The most memory that a node ever had, in bytes.
    pub(crate) peak_bytes: u64,
    /// Where the nodes' time went.
    pub(crate) stages: Vec<Stage>,
}

/// The part of the report of `assent bench --json` that the page shows.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// The node's name and version.
    pub(crate) node: String,
    /// The load.
    pub(crate) load: Load,
    /// What became of the transactions.
    pub(crate) transactions: Transactions,
    /// Per second.
    pub(crate) rate: Rate,
    /// From the intended time of sending to the receipt.
    pub(crate) latency_ms: Latency,
    /// How late the client was.
    pub(crate) send_delay_ms: Latency,
    /// Blocks while the load lasted.
    pub(crate) blocks: Blocks,
    /// The client's processor time.
    pub(crate) cpu: Cpu,
    /// Whether every transaction was included.
    pub(crate) complete: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Load {
    pub(crate) rate: u32,
    pub(crate) duration_seconds: f64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Transactions {
    pub(crate) measured: Counts,
    pub(crate) all: Counts,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Counts {
    pub(crate) planned: u64,
    pub(crate) included: u64,
    pub(crate) lost: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Rate {
    pub(crate) achieved: f64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Blocks {
    pub(crate) mean_transactions: f64,
    pub(crate) mean_interval_ms: f64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cpu {
    pub(crate) client_cores: f64,
}

impl Run {
    /// Whether every transaction was included.
    pub(crate) fn complete(&self) -> bool {
        self.report.complete
    }

    /// Processor microseconds of one node per transaction.
    pub(crate) fn micros_per_transaction(&self) -> f64 {
        let nodes = self.node_cpu.len().max(1) as f64;
        let all: f64 = self.node_cpu.iter().sum();
        all * 1e6 / nodes / self.report.transactions.all.included.max(1) as f64
    }
}

fn usages(devnet: &Devnet) -> Result<Vec<Usage>> {
    devnet.node_ids().into_iter().map(usage).collect()
}

fn cpu_between(before: &[Usage], after: &[Usage]) -> Vec<f64> {
    let pairs = before.iter().zip(after);
    pairs.map(|(before, after)| after.cpu.saturating_sub(before.cpu).as_secs_f64()).collect()
}

/// Watches a network to which nobody sends anything.
pub(crate) async fn idle(devnet: &Devnet, time: Duration) -> Result<Idle> {
    let before = usages(devnet)?;
    let start = Instant::now();
    let ids = devnet.node_ids();
    wait::holds("all nodes run", time, async || Ok(ids.iter().all(|id| is_alive(*id)))).await?;
    let time = start.elapsed();
    let after = usages(devnet)?;
    Ok(Idle {
        time,
        cores: cpu_between(&before, &after).iter().map(|cpu| cpu / time.as_secs_f64()).collect(),
        resident: after.iter().map(|node| node.resident_bytes).collect(),
    })
}

/// Puts a network under a load.
pub(crate) async fn run(devnet: &Devnet, rate: u32, seconds: u64) -> Result<Run> {
    let nodes = &devnet.description.nodes;
    let urls: Vec<&str> = nodes.iter().map(|node| node.rpc.as_str()).collect();
    let totals_before = totals(devnet).await?;
    let before = usages(devnet)?;
    let start = Instant::now();
    let output = Command::new(binary::assent()?)
        .args(["bench", "--json", "--rpc", &urls.join(",")])
        .args(["--rate", &rate.to_string(), "--duration", &format!("{seconds}s")])
        .args(["--seed", &rate.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await
        .context("assent bench cannot be run")?;
    let seconds = start.elapsed().as_secs_f64();
    let after = usages(devnet)?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(!text.trim().is_empty(), "assent bench ended with {} and no report", output.status);
    let report = serde_json::from_str(&text).with_context(|| format!("the report of assent bench: {text}"))?;
    Ok(Run {
        report,
        node_cpu: cpu_between(&before, &after),
        seconds,
        peak_bytes: after.iter().map(|node| node.peak_bytes).max().unwrap_or(0),
        stages: stages(&totals_before, &totals(devnet).await?),
    })
}

/// What the metrics of all nodes have summed up so far.
async fn totals(devnet: &Devnet) -> Result<Totals> {
    let mut totals = Totals::default();
    for node in &devnet.description.nodes {
        let page = alloy::transports::http::reqwest::get(node.metrics.clone()).await?;
        totals.add(&page.text().await?);
    }
    Ok(totals)
}

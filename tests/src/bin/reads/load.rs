//! The load under which reads are measured: `assent bench`, the same on each chain.

use std::{process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use assent_tests::{binary, rpc::Rpc, wait};
use serde::Deserialize;
use tokio::process::{Child, Command};

/// Transactions per second.
pub(crate) const RATE: u32 = 500;
/// The load must be seen this long after its start.
const LIMIT: Duration = Duration::from_secs(60);

/// A load that goes on.
#[derive(Debug)]
pub(crate) struct Load {
    child: Child,
}

/// The part of the report of `assent bench --json` that is read here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// Per second.
    pub(crate) rate: Rate,
    /// Whether every transaction was included.
    pub(crate) complete: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Rate {
    pub(crate) achieved: f64,
}

fn command(nodes: &[String], time: Duration) -> Result<Command> {
    let mut command = Command::new(binary::assent()?);
    command
        .args(["bench", "--json", "--rpc", &nodes.join(","), "--seed", "7"])
        .args(["--rate", &RATE.to_string(), "--warmup", "1s", "--duration", &format!("{}s", time.as_secs())])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    Ok(command)
}

/// Sends for a moment, so that the senders are funded when it matters.
pub(crate) async fn fund(nodes: &[String]) -> Result<()> {
    let child = command(nodes, Duration::from_secs(1))?.spawn().context("assent bench cannot be run")?;
    Load { child }.end().await.map(|_| ())
}

impl Load {
    /// Begins to send for so long, and waits until transactions are in blocks.
    pub(crate) async fn start(nodes: &[String], rpc: &Rpc, time: Duration) -> Result<Self> {
        let child = command(nodes, time)?.spawn().context("assent bench cannot be run")?;
        wait::until_true("the load is in blocks", LIMIT, async || {
            let block = rpc.block(rpc.block_number().await?).await?;
            Ok::<_, anyhow::Error>(block["transactions"].as_array().is_some_and(|all| !all.is_empty()))
        })
        .await?;
        Ok(Self { child })
    }

    /// Whether it still sends, or checks what it sent.
    pub(crate) fn goes_on(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Waits for its end.
    pub(crate) async fn end(self) -> Result<Report> {
        let output = self.child.wait_with_output().await?;
        let text = String::from_utf8(output.stdout)?;
        ensure!(!text.trim().is_empty(), "assent bench ended with {} and no report", output.status);
        serde_json::from_str(&text).with_context(|| format!("the report of assent bench: {text}"))
    }
}

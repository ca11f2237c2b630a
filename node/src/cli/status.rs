//! `assent status`: what a node sees, for a person or a script.

use std::{
    fmt::Write,
    io::{self, IsTerminal},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, anyhow};
use assent_rpc::{FailedView, NodeStatus, PeerStatus, SilentValidator, SyncStatus};
use clap::Args;
use serde_json::Value;

use super::print;
use crate::jsonrpc::{CallError, JsonRpc};

/// Time in which a node must answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Time between two looks with `--watch`.
const WATCH: Duration = Duration::from_secs(1);

/// Failed views that the table has.
const FAILED_SHOWN: usize = 3;

/// JSON-RPC's code for a method that does not exist.
pub(super) const METHOD_NOT_FOUND: i64 = -32601;

#[derive(Debug, Args)]
#[command(
    about = "Show what a node sees: height, peers, who is silent, whether blocks are made",
    after_help = "\
Examples:
  assent status
  assent status --rpc http://127.0.0.1:8546 --watch
  assent status --json | jq .quorum

The exit code is 0 when the node answers, also when no blocks are made; 1 when it does not."
)]
pub(super) struct StatusArgs {
    /// The node's JSON-RPC
    #[arg(long, value_name = "URL", env = "ETH_RPC_URL", default_value = "http://127.0.0.1:8545")]
    rpc: String,
    /// Print the node's answer to assent_status as it is
    #[arg(long)]
    json: bool,
    /// Look again every second until Ctrl-C
    #[arg(long, short)]
    watch: bool,
}

pub(super) async fn run(args: StatusArgs) -> Result<()> {
    let node = JsonRpc::new(&args.rpc, TIMEOUT)?;
    if !args.watch {
        return print(&look(&node, args.json).await?);
    }
    loop {
        let text = match look(&node, args.json).await {
            Ok(text) => text,
            // Whoever watches wants to see it come back.
            Err(error) => format!("{error:#}\n"),
        };
        if io::stdout().is_terminal() && !args.json {
            // Home, the text, and nothing left below it.
            let lines = text.replace('\n', "\x1b[K\n");
            print(&format!("\x1b[H{lines}\x1b[J"))?;
        } else {
            print(&text)?;
        }
        tokio::time::sleep(WATCH).await;
    }
}

async fn look(node: &JsonRpc, json: bool) -> Result<String> {
    let answer: Value = node.call("assent_status", [(); 0]).await.map_err(|error| explain(node, error))?;
    if json {
        return Ok(format!("{answer}\n"));
    }
    let status: NodeStatus = serde_json::from_value(answer).with_context(|| {
        format!(
            "{} answers in another form than this program (version {}) knows: use the node's own version",
            node.url(),
            env!("CARGO_PKG_VERSION")
        )
    })?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(table(&status, now))
}

/// What may be the matter, and what to try.
pub(super) fn explain(node: &JsonRpc, error: CallError) -> anyhow::Error {
    match error {
        CallError::Unreachable { .. } => anyhow!(
            "{error}\n\
             Is the node running? Start it with assent start --home DIR, or a network with assent devnet.\n\
             Does it listen there? --rpc URL asks another address (rpc.listen in its config.toml)."
        ),
        CallError::Refused { error, method, .. } if error.code == METHOD_NOT_FOUND => {
            let namespace = method.split('_').next().unwrap_or_default();
            anyhow!(
                "{} knows no {method}: it is no Assent node, or its rpc.namespaces leave out \"{namespace}\"",
                node.url()
            )
        }
        error => error.into(),
    }
}

/// The status as a person reads it. `now` is the time since 1970.
fn table(status: &NodeStatus, now: Duration) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<11}{value}");
    };
    line("Node", format!("{} ({}, chain {})", status.node_name, status.client_version, status.chain_id));
    line("Blocks", verdict(status));
    let age = now.saturating_sub(Duration::from_millis(status.head.timestamp_ms));
    line("Head", format!("{}, {} old, {}", status.head.number, ago(age), status.head.hash));
    line("View", format!("{} (epoch {})", status.view, status.epoch));
    line(
        "Votes",
        match (status.validator, &status.abstaining) {
            (None, _) => "none: this node is a follower".to_string(),
            (Some(weight), None) => format!("weight {weight} of {}", status.quorum.total),
            (Some(weight), Some(reason)) => format!("weight {weight}, but it abstains: {reason}"),
        },
    );
    line("Uptime", ago(Duration::from_millis(status.uptime_ms)));
    if let SyncStatus::Syncing(progress) = status.syncing {
        line("Syncing", format!("block {} of {}", progress.current_block, progress.highest_block));
    }
    line("Mempool", format!("{} pending, {} queued", status.mempool.pending, status.mempool.queued));
    line("Genesis", status.genesis_hash.to_string());
    if !status.failed_views.is_empty() {
        text.push('\n');
        text.push_str(&failed_views(&status.failed_views));
    }
    if !status.peers.is_empty() {
        text.push('\n');
        text.push_str(&peers(&status.peers));
    }
    text
}

fn peers(peers: &[PeerStatus]) -> String {
    let header = ["Peer", "Weight", "Connection", "Heard", "Head", "Delay"].map(String::from);
    let rows = peers.iter().map(|peer| {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        let millis = |ms: u64| ago(Duration::from_millis(ms));
        [
            peer.name.clone(),
            or_dash(peer.weight.map(|weight| weight.to_string())),
            match (&peer.refused_reason, peer.connected) {
                (_, true) => "yes".into(),
                (None, false) => "no".into(),
                (Some(reason), false) => format!("refused: {reason}"),
            },
            peer.last_heard_ms.map_or("never".into(), |ms| format!("{} ago", millis(ms))),
            or_dash(peer.head.map(|head| head.to_string())),
            or_dash(peer.latency_ms.map(|ms| format!("{ms} ms"))),
        ]
    });
    let rows: Vec<[String; 6]> = std::iter::once(header).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..6).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// The last views that did not come to a block, and why.
fn failed_views(views: &[FailedView]) -> String {
    let more = views.len().saturating_sub(FAILED_SHOWN);
    let mut text = String::new();
    for (place, failed) in views.iter().take(FAILED_SHOWN).enumerate() {
        let name = if place == 0 { "Failed" } else { "" };
        let FailedView { view, leader, reason, ago_ms } = failed;
        let ago = ago(Duration::from_millis(*ago_ms));
        let _ = writeln!(text, "{name:<11}view {view}, led by {leader}, {ago} ago: {reason}");
    }
    if more > 0 {
        let _ = writeln!(text, "{:<11}and {more} before (--json shows them)", "");
    }
    text
}

/// Whether blocks are made, and if not, why: one sentence.
pub(crate) fn verdict(status: &NodeStatus) -> String {
    let quorum = &status.quorum;
    let silent: Vec<String> = status.silent.iter().map(silence).collect();
    if quorum.missing > 0 {
        let who = if silent.is_empty() { String::new() } else { format!(": {}", silent.join(", ")) };
        return format!("stopped: needs {} of {}, hears {}{who}", quorum.needed, quorum.total, quorum.heard);
    }
    let mut text = match status.syncing {
        SyncStatus::Syncing(_) => "this node is catching up with the others".to_string(),
        SyncStatus::Synced => {
            format!("being made: hears {} of {}, needs {}", quorum.heard, quorum.total, quorum.needed)
        }
    };
    if !silent.is_empty() {
        let _ = write!(text, "; {}", silent.join(", "));
    }
    text
}

fn silence(validator: &SilentValidator) -> String {
    let SilentValidator { name, weight, .. } = validator;
    match validator.since_ms {
        Some(ms) => format!("{name} ({weight}) silent for {}", ago(Duration::from_millis(ms))),
        None => format!("{name} ({weight}) not heard since this node started"),
    }
}

/// A length of time as people say it: one unit up to a minute, two above.
pub(super) fn ago(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use assent_rpc::{HeadStatus, QuorumStatus};

    use super::*;

    fn halted() -> NodeStatus {
        NodeStatus {
            chain_id: 31337,
            node_name: "node0".into(),
            validator: Some(40),
            head: HeadStatus { number: 7, timestamp_ms: 1_000, ..HeadStatus::default() },
            quorum: QuorumStatus::new(100, 60),
            peers: vec![PeerStatus {
                name: "node1".into(),
                weight: Some(30),
                last_heard_ms: Some(12_300),
                head: Some(6),
                refused_reason: Some("other genesis".into()),
                ..PeerStatus::default()
            }],
            silent: vec![SilentValidator {
                name: "node1".into(),
                weight: 30,
                since_ms: Some(12_300),
                ..SilentValidator::default()
            }],
            ..NodeStatus::default()
        }
    }

    #[test]
    fn a_halt_names_who_is_silent_and_what_is_missing() {
        assert_eq!(verdict(&halted()), "stopped: needs 67 of 100, hears 60: node1 (30) silent for 12 s");
        let mut never = halted();
        never.silent[0].since_ms = None;
        assert!(verdict(&never).ends_with("node1 (30) not heard since this node started"));
        let mut enough = halted();
        enough.quorum = QuorumStatus::new(100, 70);
        assert_eq!(verdict(&enough), "being made: hears 70 of 100, needs 67; node1 (30) silent for 12 s");
    }

    #[test]
    fn the_table_has_everything_a_person_asks_for() {
        let text = table(&halted(), Duration::from_secs(4));
        for words in [
            "Node       node0",
            "Head       7, 3.0 s old",
            "Votes      weight 40 of 100",
            "Peer   Weight  Connection",
            "node1  30      refused: other genesis  12 s ago  6",
        ] {
            assert!(text.contains(words), "{words} is missing in\n{text}");
        }
        let mut follower = halted();
        follower.validator = None;
        assert!(table(&follower, Duration::ZERO).contains("follower"));
    }

    #[test]
    fn failed_views_are_shown_with_their_reasons_the_newest_first() {
        let mut status = halted();
        assert!(!table(&status, Duration::ZERO).contains("Failed"));
        status.failed_views = (0..5)
            .map(|number| FailedView {
                view: 20 - number,
                leader: "node1".into(),
                reason: "silent leader".into(),
                ago_ms: 3_000 * (number + 1),
            })
            .collect();
        let text = table(&status, Duration::ZERO);
        for words in [
            "Failed     view 20, led by node1, 3.0 s ago: silent leader",
            "           view 18, led by node1, 9.0 s ago: silent leader",
            "           and 2 before",
        ] {
            assert!(text.contains(words), "{words} is missing in\n{text}");
        }
        assert!(!text.contains("view 17"));
    }

    #[test]
    fn times_are_short() {
        for (seconds, text) in
            [(3, "3.0 s"), (42, "42 s"), (61, "1 min 1 s"), (7_260, "2 h 1 min"), (90_000, "1 d 1 h")]
        {
            assert_eq!(ago(Duration::from_secs(seconds)), text);
        }
    }
}

//! `make bench`, third part: how soon the explorer answers on a long chain while its node validates.
//!
//! Writes a chain of a million transactions into the homes of four validators, starts them, puts them under load, and
//! asks node 0 for every kind of page in turn, over one connection that is kept. What came out becomes a section of the
//! page that the first part wrote.

mod ask;
mod section;

use std::{fs, path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use assent_tests::{
    accounts::Account,
    benchmarks::with_section,
    binary,
    cluster::{Cluster, Plan},
    prefill::{self, Past},
    usage,
};
use clap::Parser;
use tokio::process::{Child, Command};

use crate::{ask::ask_all, section::Section};

/// Stake of the validators.
const STAKES: [u64; 4] = [40, 30, 20, 10];
/// Accounts that sent what is on the chain.
const SENDERS: usize = 1_000;
/// The load: transfers per second over all nodes.
const RATE: u32 = 500;
/// The load begins before the first page is asked for and ends after the last one by so much.
const MARGIN: Duration = Duration::from_secs(15);
/// Blocks under load before the first page is asked for.
const WARM_UP_BLOCKS: u64 = 40;

/// Measures the pages of the explorer on a long chain.
#[derive(Debug, Parser)]
struct Arguments {
    /// The page that gets the section; it is printed in any case
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How many transactions the chain has
    #[arg(long, value_name = "N", default_value = "1000000")]
    transactions: usize,
    /// For how many seconds pages are asked for
    #[arg(long, value_name = "N", default_value = "60")]
    seconds: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    // The account after the last sender pays for the load.
    let plan = Plan::validators(&STAKES).accounts(SENDERS + 1).explorer();
    let mut cluster = Cluster::create(plan).await?;
    let past = prefill(&cluster, arguments.transactions).await?;
    eprintln!("Written in {:.0} s: {} transactions", past.took.as_secs_f64(), past.transactions);
    cluster.start_validators().await?;
    let section = measure(&cluster, past, Duration::from_secs(arguments.seconds)).await?;
    cluster.finish().await?;
    let text = section.to_string();
    println!("{text}");
    for (name, p99) in section.too_slow() {
        eprintln!("warning: {name} takes {p99:.1} ms (99th percentile)");
    }
    if let Some(output) = &arguments.output {
        let page = fs::read_to_string(output).unwrap_or_default();
        fs::write(output, with_section(&page, &text)).with_context(|| format!("cannot write {}", output.display()))?;
        eprintln!("Written to {}", output.display());
    }
    Ok(())
}

async fn prefill(cluster: &Cluster, transactions: usize) -> Result<Past> {
    eprintln!("Writing a chain of {transactions} transactions");
    let homes: Vec<PathBuf> = (0..STAKES.len()).map(|number| cluster.home(number).to_path_buf()).collect();
    let senders = Account::tests(SENDERS)?;
    tokio::task::spawn_blocking(move || prefill::write(&homes, senders, transactions)).await?
}

async fn measure(cluster: &Cluster, past: Past, time: Duration) -> Result<Section> {
    let node = cluster.rpc(0);
    let mut load = start_load(cluster, time + 2 * MARGIN)?;
    let before = node.block_number().await?;
    cluster.reaches(0, before + WARM_UP_BLOCKS, MARGIN).await?;
    eprintln!("Asking for pages for {} s", time.as_secs());
    let first = node.block_number().await?;
    let pages = ask_all(cluster.explorer(), &past, time).await?;
    let last = node.block_number().await?;
    ensure!(load.try_wait()?.is_none(), "the load ended before the last page was asked for");
    let status = load.wait().await?;
    ensure!(status.success(), "assent bench ended with {status}: not every transaction was included");
    let id = cluster.process_id(0).context("node 0 does not run")?;
    let peak_bytes = usage::usage(id)?.peak_bytes;
    Ok(Section { past, time, rate: RATE, blocks: last - first, peak_bytes, pages })
}

/// Transfers to all nodes in the background.
fn start_load(cluster: &Cluster, time: Duration) -> Result<Child> {
    let urls: Vec<String> = cluster.rpcs().iter().map(|rpc| rpc.url().to_string()).collect();
    let funder = Account::test(SENDERS)?;
    Command::new(binary::assent()?)
        .args(["bench", "--json", "--rpc", &urls.join(","), "--rate", &RATE.to_string()])
        .args(["--duration", &format!("{}s", time.as_secs()), "--receipts", "1000"])
        .args(["--funder", &funder.private_key()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("assent bench cannot be run")
}

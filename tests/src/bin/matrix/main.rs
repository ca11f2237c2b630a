//! `make bench`: measures a network of four validators on this machine, all syncs on.
//!
//! Starts `assent devnet` in a fresh folder, lets it idle, then runs `assent bench` at rising rates, and
//! writes what came out as a page. Not for judging a change by a few percent: for that, run it several
//! times on a machine that does nothing else.

mod measure;
mod page;
mod scrape;

use std::{fs, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use assent_tests::{devnet::Devnet, ports, turn::Turn, usage};
use clap::Parser;

use crate::{
    measure::{Idle, Run, idle, run},
    page::Page,
};

/// Stake of the validators.
const STAKE: &str = "40,30,20,10";
/// Rates, transactions per second, and for how long.
const MATRIX: [(u32, u64); 4] = [(100, 30), (1_500, 60), (2_000, 60), (2_500, 60)];
/// How long the idle network is watched.
const IDLE_SECONDS: u64 = 30;

/// Measures a network of four validators on this machine.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to write the page; it is printed in any case
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Measure each load for this many seconds only (to try the benchmark itself)
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// Where to keep the network's folder while it runs; must be on a disk [default: the system's
    /// temporary folder, or this one when that is in memory]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let _turn = Turn::take().await?;
    let folder = folder(&arguments)?;
    let page = measure_all(&arguments, folder.path()).await?;
    let text = page.to_string();
    println!("{text}");
    if let Some(output) = &arguments.output {
        if let Some(parent) = output.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(output, &text).with_context(|| format!("cannot write {}", output.display()))?;
        eprintln!("Written to {}", output.display());
    }
    let complete = page.runs.iter().all(Run::complete);
    if !complete {
        eprintln!("error: not every transaction was included; see the table");
    }
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A fresh folder on a disk.
fn folder(arguments: &Arguments) -> Result<tempfile::TempDir> {
    let parent = match &arguments.dir {
        Some(dir) => dir.clone(),
        None if usage::is_in_memory(&std::env::temp_dir())? => std::env::current_dir()?,
        None => std::env::temp_dir(),
    };
    if usage::is_in_memory(&parent)? {
        eprintln!("warning: {} is kept in memory, syncs cost nothing there", parent.display());
    }
    tempfile::Builder::new()
        .prefix("assent-bench-")
        .tempdir_in(&parent)
        .with_context(|| format!("cannot make a folder in {}", parent.display()))
}

async fn measure_all(arguments: &Arguments, folder: &std::path::Path) -> Result<Page> {
    let sync = usage::sync_cost(folder)?;
    let log = folder.join("devnet.log");
    let offset = ports::free_offset(4)?;
    eprintln!("Starting four validators with stake {STAKE}");
    let mut devnet = Devnet::start(&folder.join("net"), offset, &["--stake", STAKE], &log).await?;

    let seconds = arguments.seconds.unwrap_or(IDLE_SECONDS);
    eprintln!("Watching the idle network for {seconds} s");
    let idle: Idle = idle(&devnet, Duration::from_secs(seconds)).await?;

    let mut runs = Vec::new();
    for (rate, seconds) in MATRIX {
        let seconds = arguments.seconds.unwrap_or(seconds);
        eprintln!("{rate} transactions per second for {seconds} s");
        runs.push(run(&devnet, rate, seconds).await?);
    }
    devnet.stop(Duration::from_secs(30)).await?;
    Ok(Page { machine: usage::machine()?, sync, stake: STAKE, idle, runs })
}

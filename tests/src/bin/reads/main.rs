//! `make bench`, second part: how many reads per second a node answers while it validates under load, beside anvil.
//!
//! A network of one validator, one of four and anvil run at the same time; in each round they get the load and the reads
//! one after the other. The client is the same for all of them, and what it costs is told.

mod chain;
mod client;
mod load;
mod page;

use std::{fs, net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, Result, ensure};
use assent_tests::{anvil::Anvil, benchmarks::with_section, devnet::Devnet, ports, rpc::Rpc, turn::Turn, usage};
use clap::Parser;

use crate::{
    chain::{Chain, METHODS},
    client::{Outcome, drive},
    load::{Load, RATE},
    page::{Setting, ratio, section},
};

/// Connections of the client.
const CONNECTIONS: usize = 8;
/// Rounds; the medians count.
const ROUNDS: usize = 3;
/// How long a method is measured in a round.
const SECONDS: u64 = 5;
/// How long before that, so that caches and connections are warm.
const WARM: Duration = Duration::from_secs(1);
/// anvil makes blocks as often as a validator under load does.
const BLOCK_SECONDS: f64 = 0.05;
/// The load goes on for so much longer than the measurements should take.
const MARGIN: Duration = Duration::from_secs(3);
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Measures reads under load, beside anvil.
#[derive(Debug, Parser)]
struct Arguments {
    /// The page whose section is replaced; the section is printed in any case
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Measure each method for this many seconds in a round (to try the benchmark itself)
    #[arg(long, value_name = "N", default_value_t = SECONDS)]
    seconds: u64,
    /// How many rounds
    #[arg(long, value_name = "N", default_value_t = ROUNDS)]
    rounds: usize,
    /// Leave the network of four validators out
    #[arg(long)]
    one: bool,
}

/// A chain and what was measured of it.
#[derive(Debug)]
struct Measured {
    name: &'static str,
    /// Whether it is what the others are compared with.
    is_other: bool,
    /// Where the load goes.
    nodes: Vec<String>,
    chain: Chain,
    /// Of each method, a round each.
    outcomes: Vec<Vec<Outcome>>,
    /// What the load came to, a round each.
    rates: Vec<f64>,
    complete: bool,
}

impl Measured {
    async fn prepare(name: &'static str, nodes: Vec<String>, rpc: &Rpc, is_other: bool) -> Result<Self> {
        let chain = Chain::prepare(rpc).await.with_context(|| format!("the token on {name}"))?;
        load::fund(&nodes).await.with_context(|| format!("the load's accounts on {name}"))?;
        let outcomes = METHODS.iter().map(|_| Vec::new()).collect();
        Ok(Self { name, is_other, nodes, chain, outcomes, rates: Vec::new(), complete: true })
    }

    /// All methods once under load.
    async fn round(&mut self, time: Duration) -> Result<()> {
        let url = self.chain.rpc.url();
        let port = url.port_or_known_default().context("a URL without a port")?;
        let server = SocketAddr::from(([127, 0, 0, 1], port));
        let length = (time + WARM) * METHODS.len() as u32 + MARGIN;
        let mut load = Load::start(&self.nodes, &self.chain.rpc, length).await?;
        for (method, outcomes) in METHODS.iter().zip(&mut self.outcomes) {
            let requests = self.chain.requests(method, server).await?;
            drive(server, &requests, CONNECTIONS, WARM).await?;
            let outcome = drive(server, &requests, CONNECTIONS, time).await?;
            eprintln!("  {method}: {:.0} per second, p99 {:.1} ms", outcome.per_second, outcome.p99_ms);
            outcomes.push(outcome);
        }
        ensure!(load.goes_on()?, "the load on {} ended before the measurements", self.name);
        let report = load.end().await?;
        self.rates.push(report.rate.achieved);
        self.complete &= report.complete;
        Ok(())
    }

    /// The round in the middle by its rate. There is one at least.
    fn median(&self, method: usize) -> Outcome {
        let mut rounds = self.outcomes[method].clone();
        rounds.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
        rounds[rounds.len() / 2].clone()
    }

    fn final_per_second(&self) -> f64 {
        self.rates.iter().sum::<f64>() / self.rates.len().max(1) as f64
    }
}

// One thread: the client, which is all that works here, costs least so.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    ensure!(arguments.rounds > 0 && arguments.seconds > 0, "--rounds and --seconds must be at least 1");
    let _turn = Turn::take().await?;
    let folder = tempfile::Builder::new().prefix("assent-reads-").tempdir()?;
    let mut devnets = Vec::new();
    let mut chains = Vec::new();
    for (name, validators) in [("1 validator:", 1u16), ("4 validators:", 4)] {
        if validators > 1 && arguments.one {
            continue;
        }
        eprintln!("Starting a network of {validators}");
        let (dir, log) = (folder.path().join(format!("net{validators}")), folder.path().join("log"));
        let offset = ports::free_offset(validators)?;
        let devnet = Devnet::start(&dir, offset, &["--validators", &validators.to_string()], &log).await?;
        let nodes = devnet.description.nodes.iter().map(|node| node.rpc.clone()).collect();
        let rpcs = devnet.rpcs()?;
        chains.push(Measured::prepare(name, nodes, rpcs.first().context("no node")?, false).await?);
        devnets.push(devnet);
    }
    let anvil = Anvil::start(BLOCK_SECONDS, &folder.path().join("anvil.log")).await?;
    if let Some(anvil) = &anvil {
        chains.push(Measured::prepare("anvil:", vec![anvil.rpc.url().to_string()], &anvil.rpc, true).await?);
    }
    let time = Duration::from_secs(arguments.seconds);
    for round in 1..=arguments.rounds {
        for chain in &mut chains {
            eprintln!("Round {round}, {} under {RATE} per second", chain.name);
            chain.round(time).await.with_context(|| chain.name.to_owned())?;
        }
    }
    let setting = Setting {
        machine: usage::machine()?,
        connections: CONNECTIONS,
        rounds: arguments.rounds,
        time,
        block_seconds: BLOCK_SECONDS,
        other: anvil.as_ref().map(|anvil| anvil.version.clone()),
    };
    for devnet in &mut devnets {
        devnet.stop(STOP_LIMIT).await?;
    }
    drop(anvil);
    finish(&arguments, &setting, &chains)
}

/// Prints and writes the section. A method that is slower than anvil's is a failure.
fn finish(arguments: &Arguments, setting: &Setting, chains: &[Measured]) -> Result<ExitCode> {
    let text = section(setting, chains);
    println!("{text}");
    if let Some(output) = &arguments.output {
        let page = fs::read_to_string(output).with_context(|| format!("cannot read {}", output.display()))?;
        fs::write(output, with_section(&page, &text)).with_context(|| format!("cannot write {}", output.display()))?;
        eprintln!("Written to {}", output.display());
    }
    let mut success = true;
    for (index, method) in METHODS.iter().enumerate() {
        if let Some(ratio) = ratio(chains, index).filter(|ratio| *ratio < 1.0) {
            eprintln!("error: {method} has {ratio:.2} of anvil's rate, expected at least 1");
            success = false;
        }
    }
    Ok(if success { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

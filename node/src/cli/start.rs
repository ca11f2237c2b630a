//! `assent start`: one node, until it is told to stop.

use std::{path::PathBuf, process};

use anyhow::{Context, Result, bail};
use assent_rpc::limits::EXPLORER_CONNECTIONS;
use clap::Args;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use super::{UsageError, open_files, runtime};
use crate::{
    config::{self, Flags, LogFormat, NodeConfig},
    crash_point,
    home::Home,
    logging, node,
};

/// Variables that are no settings of the node and yet ours.
const KNOWN_VARIABLES: [&str; 2] = ["ASSENT_HOME", "ASSENT_BENCH_FUNDER"];

#[derive(Debug, Args)]
#[command(
    about = "Run a node",
    after_help = "\
Examples:
  assent start --home node0
  assent start --home node0 --log info,assent::network=debug --log-format json
  ASSENT_RPC_LISTEN=0.0.0.0:8545 assent start --home node0
  assent start --home node0 --set rpc.max_batch=500 --set mempool.max_bytes=256MiB

A flag wins over the environment (ASSENT_TABLE_KEY), that over config.toml, that over the default.
config.toml in the home lists every setting. SIGTERM or Ctrl-C stops the node in order."
)]
pub(super) struct StartArgs {
    /// The node's home, as init, testnet or devnet created it
    #[arg(long, value_name = "DIR", env = "ASSENT_HOME")]
    home: PathBuf,
    /// The node's name in logs and towards peers
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Addresses for other nodes, as multiaddrs
    #[arg(long, value_name = "ADDR[,ADDR...]")]
    p2p_listen: Option<String>,
    /// Further addresses of peers
    #[arg(long, value_name = "KEY@ADDR[,...]")]
    p2p_peers: Option<String>,
    /// Address and port for JSON-RPC
    #[arg(long, value_name = "ADDR:PORT")]
    rpc_listen: Option<String>,
    /// Address and port for /metrics, /liveness and /readiness
    #[arg(long, value_name = "ADDR:PORT")]
    metrics_listen: Option<String>,
    /// Address and port for the explorer's pages, which this turns on
    #[arg(long, value_name = "ADDR:PORT")]
    explorer_listen: Option<String>,
    /// Levels of the log, also by target
    #[arg(long = "log", value_name = "FILTER")]
    log_filter: Option<String>,
    /// Lines for people or for machines
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// File that the log is appended to, instead of standard error
    #[arg(long, value_name = "FILE")]
    log_file: Option<PathBuf>,
    /// Any other setting of config.toml
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Vote although this node does not know what it signed before
    ///
    /// DANGEROUS. A validator that has lost its data (wiped, new disk, restored backup) abstains by
    /// itself until it is safe to vote, and then votes by itself. Give this only when so many
    /// validators have lost their data that blocks will not come back without it, and only on
    /// those. If this validator signed something shortly before the loss and now signs the
    /// contrary, the chain can fork, and the contradiction is evidence against this validator.
    #[arg(long)]
    accept_lost_memory_risk: bool,
    /// Die as soon as the process with this id does (devnet's children)
    #[arg(long, value_name = "PID", hide = true)]
    die_with_parent: Option<i32>,
}

pub(super) fn run(args: StartArgs) -> Result<()> {
    if let Some(parent) = args.die_with_parent {
        die_with_parent(parent)?;
    }
    crash_point::arm(std::env::vars()).map_err(|error| UsageError(error.to_string()))?;
    let home = Home::new(&args.home);
    check_home(&home)?;
    let mut config = NodeConfig::load(home, &flags(&args)?, std::env::vars())?;
    config.accept_lost_memory_risk = args.accept_lost_memory_risk;
    logging::start(&config.log)?;
    info!(version = env!("CARGO_PKG_VERSION"), home = %config.home, "assent");
    let known: Vec<&str> = KNOWN_VARIABLES.iter().chain(crash_point::VARIABLES).copied().collect();
    for name in config::unknown_variables(std::env::vars(), &known) {
        warn!("the environment variable {name} is no setting of a node and is ignored");
    }
    if config.accept_lost_memory_risk {
        warn!(
            "--accept-lost-memory-risk: this validator will vote without knowing what it signed \
             before. If it contradicts itself, the chain can fork and this validator is to blame. \
             Restart without this flag once blocks are made again"
        );
    }
    open_files::allow(clients(&config));
    runtime()?.block_on(async {
        let stop = stop_signal()?;
        node::run(config, stop).await
    })
}

/// Connections that clients may open.
fn clients(config: &NodeConfig) -> u64 {
    let rpc = if config.rpc.enabled { u64::from(config.rpc.max_connections) } else { 0 };
    let explorer = if config.explorer.enabled { u64::from(EXPLORER_CONNECTIONS) } else { 0 };
    rpc.saturating_add(explorer)
}

fn flags(args: &StartArgs) -> Result<Flags> {
    let mut flags = Flags::default();
    for assignment in &args.settings {
        flags.set_text(assignment)?;
    }
    flags.set("name", args.name.as_ref());
    flags.set("p2p.listen", args.p2p_listen.as_ref());
    flags.set("p2p.peers", args.p2p_peers.as_ref());
    flags.set("rpc.listen", args.rpc_listen.as_ref());
    flags.set("metrics.listen", args.metrics_listen.as_ref());
    flags.set("explorer.listen", args.explorer_listen.as_ref());
    if args.explorer_listen.is_some() {
        flags.set_text("explorer.enabled=true")?;
    }
    flags.set("log.filter", args.log_filter.as_ref());
    let format = args.log_format.map(|format| match format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    });
    flags.set("log.format", format);
    let file = args.log_file.as_ref().map(|file| file.display());
    flags.set("log.file", file);
    Ok(flags)
}

fn check_home(home: &Home) -> Result<()> {
    if !home.path().is_dir() {
        return Err(UsageError(format!(
            "there is no home in {home}: create one with assent init --home {home}, or a whole network \
             with assent testnet"
        ))
        .into());
    }
    if !home.genesis().exists() {
        bail!("{} is missing: put the network's genesis file there", home.genesis().display());
    }
    if !home.node_key().exists() {
        bail!(
            "{} is missing: restore the node's key, or create a new home with assent init",
            home.node_key().display()
        );
    }
    Ok(())
}

/// Has the system kill this process when its parent dies, however it dies.
fn die_with_parent(parent: i32) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL)).context("--die-with-parent: the system refuses")?;
    // The parent may have died before the line above; then nobody will send the signal any more.
    if getppid().map(Pid::as_raw_nonzero).map(i32::from) != Some(parent) {
        bail!("the process {parent} that started this node is gone");
    }
    Ok(())
}

/// Ends when the process is told to stop. Registers for the signals at once, so that none is missed
/// while the node starts.
fn stop_signal() -> Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    Ok(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        info!("{name}: stopping (once more to stop at once)");
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            process::exit(1);
        });
    })
}

//! `assent devnet`: a whole network on this machine, for trying things out and for tests.
//!
//! Every validator is a process of its own with its own home, exactly as it would be elsewhere; this
//! process only starts, watches and stops them.

mod children;
mod description;
mod ports;

use std::{
    fs::{self, File},
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use assent_genesis::{DEV_CHAIN_ID, NetworkPlan};
use assent_rpc::{NodeStatus, SyncStatus};
use clap::Args;
use futures::future::join_all;
use indicatif::{ProgressBar, ProgressStyle};
use tempfile::TempDir;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval},
};

use self::children::Node;
pub use self::description::{AccountDescription, Description, FILE_NAME, NodeDescription};
use crate::{
    cli::{NetworkFolder, Ports, Stakes, UsageError, print, unix_now, verdict},
    jsonrpc::JsonRpc,
};

/// Time in which a node of this machine must answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Time between two looks at nodes that start.
const LOOK: Duration = Duration::from_millis(100);

/// Time between two updates of the status line.
const UPDATE: Duration = Duration::from_secs(1);

/// Time after which a start that takes so long is explained.
const SLOW: Duration = Duration::from_secs(20);

/// Time between empty blocks of a devnet. Shorter than a network's default, so that whoever starts
/// one sees it live.
const EMPTY_BLOCK_INTERVAL: Duration = Duration::from_secs(2);

/// Arguments of `assent devnet`.
#[derive(Debug, Args)]
#[command(
    about = "Run a network of validators on this machine",
    long_about = "Run a network of validators on this machine, each a process of its own, with ten \
funded development accounts. Node i serves JSON-RPC on port 8545 + i, p2p on 30303 + i and metrics \
on 9545 + i; node 0 serves the explorer's pages on 8080. DIR/devnet.json describes the network to \
scripts as soon as it makes blocks.",
    after_help = "\
Examples:
  assent devnet
      Four validators with stakes 40, 30, 20 and 10 in a temporary folder.
  assent devnet --validators 7 --dir net
      Seven equal validators in a folder that stays; the same command resumes them.
  assent devnet --stake 1,1,1,1 --port-offset 100
      Beside another devnet: JSON-RPC on 8645 to 8648.
  assent devnet --chain-id 2026
      For Hardhat's Ignition, which takes 31337 for its own simulated network.
  ASSENT_LOG_FILTER=debug assent devnet --dir net
      Settings in the environment reach all nodes; their logs are net/nodeN/node.log."
)]
pub struct DevnetArgs {
    /// How many validators [default: one per stake, or 4]
    #[arg(long, value_name = "N")]
    validators: Option<usize>,
    /// Stake of each validator, or one number for all [default: 40,30,20,10 for four, else 10 each]
    #[arg(long, value_name = "S,S,...")]
    stake: Option<Stakes>,
    /// Folder that stays; one that holds a network is resumed [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Added to every port
    #[arg(long, value_name = "K", default_value = "0")]
    port_offset: u16,
    /// The chain's id [default: 31337]
    #[arg(long, value_name = "ID")]
    chain_id: Option<u64>,
}

/// Runs a devnet until it is told to stop. Must be polled by the main thread, which lives as long
/// as the process (see [`Node::start`]).
pub async fn run(args: DevnetArgs) -> Result<()> {
    let mut stop = StopSignals::listen()?;
    let prepared = Prepared::new(&args)?;
    Description::remove(prepared.path())?;
    let mut nodes = prepared.start()?;
    let served = serve(&prepared, &mut nodes, &mut stop).await;
    Description::remove(prepared.path())?;
    eprintln!("stopping {} nodes", nodes.iter().filter(|node| node.runs()).count());
    let killed = children::stop(&mut nodes, stop.recv()).await;
    for name in killed {
        eprintln!("{name} did not stop in time and was killed");
    }
    prepared.finish(served.is_ok())?;
    served
}

/// Waits for readiness, tells about it, watches.
async fn serve(prepared: &Prepared, nodes: &mut [Node], stop: &mut StopSignals) -> Result<()> {
    let clients: Vec<JsonRpc> =
        nodes.iter().map(|node| JsonRpc::new(&node.rpc(), TIMEOUT)).collect::<Result<_, _>>()?;
    let Some(block) = wait_until_ready(prepared, nodes, &clients, stop).await? else {
        return Ok(());
    };
    let parts: Vec<_> =
        nodes.iter().map(|node| (node.home.path().to_path_buf(), node.pid, node.ports.clone())).collect();
    let description = Description::new(&prepared.folder.genesis, &parts);
    description.save(prepared.path())?;
    let temporary = prepared.temporary.is_some();
    print(&description.greeting(prepared.path(), temporary, block))?;
    watch(nodes, &clients, stop).await
}

/// A devnet's folder, made or found, with everything checked that can be checked before a start.
struct Prepared {
    folder: NetworkFolder,
    ports: Vec<Ports>,
    temporary: Option<TempDir>,
    /// Whether the network has run before.
    resumed: bool,
    /// Held while the devnet runs.
    _lock: File,
}

impl Prepared {
    fn new(args: &DevnetArgs) -> Result<Self> {
        let (path, temporary) = match &args.dir {
            Some(dir) => (dir.clone(), None),
            None => {
                let temporary = tempfile::Builder::new()
                    .prefix("assent-devnet-")
                    .tempdir()
                    .context("cannot create a temporary folder (give one with --dir)")?;
                (temporary.path().to_path_buf(), Some(temporary))
            }
        };
        let (folder, ports, resumed) = match NetworkFolder::open(&path)? {
            Some(folder) => {
                check_flags(args, &folder)?;
                let ports = ports::assign(folder.homes.len(), args.port_offset)?;
                ports::check_free(&ports, args.port_offset)?;
                (folder, ports, true)
            }
            None => {
                let (folder, ports) = create(args, &path)?;
                (folder, ports, false)
            }
        };
        // Absolute, because scripts are told the homes and may run elsewhere.
        let path = fs::canonicalize(&path).with_context(|| format!("cannot resolve {}", path.display()))?;
        let folder = NetworkFolder::open(&path)?.unwrap_or(folder);
        let lock = lock(&path)?;
        Ok(Self { folder, ports, temporary, resumed, _lock: lock })
    }

    fn path(&self) -> &Path {
        &self.folder.path
    }

    fn start(&self) -> Result<Vec<Node>> {
        let listed = &self.folder.genesis.assent.nodes;
        // The genesis file has the addresses of the first start; a resumed devnet may use others.
        let addresses: Vec<String> =
            self.ports.iter().map(|ports| format!("/ip4/127.0.0.1/tcp/{}", ports.p2p)).collect();
        let moved = listed.iter().zip(&addresses).any(|(node, address)| !node.addresses.contains(address));
        let peers: Vec<String> = listed
            .iter()
            .zip(&addresses)
            .filter(|_| moved)
            .map(|(node, address)| format!("{}@{address}", node.key))
            .collect();
        let homes = listed.iter().zip(&self.folder.homes).zip(&self.ports);
        homes.map(|((node, home), ports)| Node::start(&node.name, home, ports, &peers)).collect()
    }

    /// Removes a temporary folder, or keeps it for whoever wants to know what went wrong.
    fn finish(self, well: bool) -> Result<()> {
        match self.temporary {
            Some(folder) if well => folder.close().context("cannot remove the temporary folder"),
            Some(folder) => {
                eprintln!("the folder is kept, with the logs: {}", folder.keep().display());
                Ok(())
            }
            None => Ok(()),
        }
    }
}

fn create(args: &DevnetArgs, path: &Path) -> Result<(NetworkFolder, Vec<Ports>)> {
    let stakes = Stakes::resolve(args.validators, args.stake.as_ref())?;
    let ports = ports::assign(stakes.len(), args.port_offset)?;
    ports::check_free(&ports, args.port_offset)?;
    let mut plan = NetworkPlan::new(args.chain_id.unwrap_or(DEV_CHAIN_ID), stakes);
    plan.timestamp = unix_now()?;
    plan.fund_dev_accounts = true;
    plan.p2p_ports = ports.iter().map(|ports| ports.p2p).collect();
    plan.consensus.empty_block_interval = EMPTY_BLOCK_INTERVAL;
    let folder = NetworkFolder::create(path, &plan, &ports)?;
    Ok((folder, ports))
}

/// A resumed network is what it is; flags that say otherwise are a mistake.
fn check_flags(args: &DevnetArgs, folder: &NetworkFolder) -> Result<(), UsageError> {
    let genesis = &folder.genesis;
    let refuse = |flag: &str, has: String| {
        Err(UsageError(format!(
            "{} holds a network with {has}, which {flag} cannot change: leave the flag out to resume \
             it, or choose another --dir",
            folder.path.display()
        )))
    };
    if let Some(id) = args.chain_id
        && id != genesis.chain_id()
    {
        return refuse("--chain-id", format!("chain id {}", genesis.chain_id()));
    }
    let stakes: Vec<u64> = genesis.assent.validators.iter().map(|it| it.stake).collect();
    if args.validators.is_some_and(|n| n != stakes.len()) {
        return refuse("--validators", format!("{} validators", stakes.len()));
    }
    if args.stake.is_some() && Stakes::resolve(Some(stakes.len()), args.stake.as_ref())? != stakes {
        let stakes: Vec<String> = stakes.iter().map(u64::to_string).collect();
        return refuse("--stake", format!("stakes {}", stakes.join(",")));
    }
    Ok(())
}

/// Keeps a second devnet out of the folder.
fn lock(folder: &Path) -> Result<File> {
    let path = folder.join(".devnet.lock");
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => {
            bail!("another devnet runs in {}: stop it, or choose another --dir", folder.display())
        }
        Err(fs::TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
}

/// Whatever tells this process to stop.
struct StopSignals([Signal; 3]);

impl StopSignals {
    fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self([listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?, listen(SignalKind::hangup())?]))
    }

    async fn recv(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// Waits until every node answers and blocks are being made. Returns the lowest of their heads, or
/// `None` when the devnet was told to stop. A node that dies before that is an error.
async fn wait_until_ready(
    prepared: &Prepared,
    nodes: &mut [Node],
    clients: &[JsonRpc],
    stop: &mut StopSignals,
) -> Result<Option<u64>> {
    let line = status_line();
    let begin = Instant::now();
    let mut slow = false;
    let mut readiness = Readiness::new(prepared);
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = look.tick() => {}
            () = stop.recv() => return Ok(None),
        }
        for node in nodes.iter_mut() {
            if let Some(status) = node.ended() {
                line.finish_and_clear();
                bail!("the devnet does not start: {}", node.obituary(status));
            }
        }
        let statuses = tokio::select! {
            statuses = join_all(clients.iter().map(status)) => statuses,
            () = stop.recv() => return Ok(None),
        };
        let answering = statuses.iter().flatten().count();
        let statuses: Option<Vec<NodeStatus>> = statuses.into_iter().collect();
        if let Some(block) = statuses.and_then(|statuses| readiness.reached(&statuses)) {
            line.finish_and_clear();
            return Ok(Some(block));
        }
        let text = format!("{answering} of {} nodes answer, waiting for a block on all of them", nodes.len());
        if !slow && begin.elapsed() > SLOW {
            slow = true;
            line.suspend(|| eprintln!("{text}; their logs are {}/nodeN/node.log", prepared.path().display()));
        }
        line.set_message(text);
    }
}

async fn status(client: &JsonRpc) -> Option<NodeStatus> {
    client.call("assent_status", [(); 0]).await.ok()
}

/// When a devnet counts as ready: when a block has been made since the start and all nodes have it.
struct Readiness {
    /// The highest block from before the start; not known until all nodes of a resumed network have
    /// answered.
    before: Option<u64>,
    /// Whether blocks come without transactions. If not, hearing a quorum has to do.
    empty_blocks: bool,
}

impl Readiness {
    fn new(prepared: &Prepared) -> Self {
        let interval = prepared.folder.genesis.assent.consensus.empty_block_interval;
        Self { before: (!prepared.resumed).then_some(0), empty_blocks: !interval.is_zero() }
    }

    /// The lowest head of all nodes once they are ready.
    fn reached(&mut self, statuses: &[NodeStatus]) -> Option<u64> {
        let heads = statuses.iter().map(|status| status.head.number);
        let (lowest, highest) = (heads.clone().min()?, heads.max()?);
        let before = *self.before.get_or_insert(highest);
        let at_work = |status: &NodeStatus| {
            status.quorum.missing == 0 && status.syncing == SyncStatus::Synced && status.abstaining.is_none()
        };
        let ready = if self.empty_blocks { lowest > before } else { statuses.iter().all(at_work) };
        ready.then_some(lowest)
    }
}

/// Shows the status line and tells of nodes that die, until the devnet is told to stop or no node
/// is left.
async fn watch(nodes: &mut [Node], clients: &[JsonRpc], stop: &mut StopSignals) -> Result<()> {
    let line = status_line();
    let mut update = interval(UPDATE);
    update.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = update.tick() => {}
            () = stop.recv() => {
                line.finish_and_clear();
                return Ok(());
            }
        }
        for node in nodes.iter_mut() {
            if let Some(status) = node.ended() {
                let text = node.obituary(status);
                line.suspend(|| eprintln!("{text}\nThe others go on."));
            }
        }
        let running = nodes.iter().filter(|node| node.runs()).count();
        if running == 0 {
            line.finish_and_clear();
            bail!("no node of the devnet runs any more");
        }
        if line.is_hidden() {
            continue;
        }
        let asked = nodes.iter().zip(clients).find(|(node, _)| node.runs());
        if let Some((node, client)) = asked {
            let answer = tokio::select! {
                answer = status(client) => answer,
                () = stop.recv() => {
                    line.finish_and_clear();
                    return Ok(());
                }
            };
            line.set_message(summary(&node.name, running, nodes.len(), answer.as_ref()));
        }
    }
}

/// The live status: one line.
fn summary(name: &str, running: usize, nodes: usize, status: Option<&NodeStatus>) -> String {
    let Some(status) = status else {
        return format!("{running} of {nodes} nodes run; {name} does not answer");
    };
    format!(
        "block {}, {} | {} pending | {running} of {nodes} nodes run",
        status.head.number,
        verdict(status),
        status.mempool.pending
    )
}

/// A line at the bottom of a terminal; nothing elsewhere.
fn status_line() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    // What has been printed so far must not end up behind the line.
    let _ = std::io::stdout().flush();
    let style = ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::new_spinner().with_style(style)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use assent_rpc::{HeadStatus, QuorumStatus};

    use super::*;

    fn args(dir: &Path) -> DevnetArgs {
        DevnetArgs { validators: Some(2), stake: None, dir: Some(dir.to_path_buf()), port_offset: 0, chain_id: None }
    }

    #[test]
    fn a_resumed_network_keeps_its_shape() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net");
        let plan = NetworkPlan::new(7, vec![5, 6]);
        NetworkFolder::create(&path, &plan, &ports::assign(2, 0).unwrap()).unwrap();
        let network = NetworkFolder::open(&path).unwrap().unwrap();
        assert_eq!(network.homes.len(), 2);

        let mut same = args(&path);
        same.stake = Some("5,6".parse().unwrap());
        same.chain_id = Some(7);
        check_flags(&same, &network).unwrap();
        type Change = (&'static str, fn(&mut DevnetArgs));
        let changes: [Change; 3] = [
            ("--chain-id", |args| args.chain_id = Some(8)),
            ("--validators", |args| args.validators = Some(3)),
            ("--stake", |args| args.stake = Some("5,7".parse().unwrap())),
        ];
        for (flag, change) in changes {
            let mut other = args(&path);
            change(&mut other);
            let error = check_flags(&other, &network).unwrap_err().to_string();
            assert!(error.contains(flag), "{error}");
        }
        let again = NetworkFolder::create(&path, &plan, &[]);
        assert!(again.unwrap_err().to_string().contains("is not empty"));
    }

    #[test]
    fn a_folder_is_one_devnets_alone() {
        let folder = tempfile::tempdir().unwrap();
        let held = lock(folder.path()).unwrap();
        let error = lock(folder.path()).unwrap_err().to_string();
        assert!(error.contains("another devnet runs in"), "{error}");
        drop(held);
        lock(folder.path()).unwrap();
    }

    #[test]
    fn ready_means_a_new_block_on_all_nodes() {
        let at = |number| NodeStatus {
            head: HeadStatus { number, ..HeadStatus::default() },
            quorum: QuorumStatus::new(100, 100),
            ..NodeStatus::default()
        };
        let mut new = Readiness { before: Some(0), empty_blocks: true };
        assert_eq!(new.reached(&[at(1), at(0)]), None);
        assert_eq!(new.reached(&[at(2), at(1)]), Some(1));
        let mut resumed = Readiness { before: None, empty_blocks: true };
        assert_eq!(resumed.reached(&[at(8), at(9)]), None);
        assert_eq!(resumed.reached(&[at(10), at(9)]), None);
        assert_eq!(resumed.reached(&[at(10), at(10)]), Some(10));
        let mut quiet = Readiness { before: None, empty_blocks: false };
        let mut deaf = at(5);
        deaf.quorum = QuorumStatus::new(100, 40);
        assert_eq!(quiet.reached(&[at(5), deaf]), None);
        assert_eq!(quiet.reached(&[at(5), at(5)]), Some(5));
    }

    #[test]
    fn the_status_line_says_whether_blocks_are_made() {
        let status = NodeStatus {
            head: HeadStatus { number: 9, ..HeadStatus::default() },
            quorum: QuorumStatus::new(100, 60),
            ..NodeStatus::default()
        };
        let text = summary("node0", 2, 4, Some(&status));
        assert!(text.contains("block 9, stopped: needs 67 of 100, hears 60"), "{text}");
        assert!(summary("node0", 2, 4, None).contains("node0 does not answer"));
    }
}

//! A network of real nodes on this machine.
//!
//! [`Cluster::launch`] writes the homes with `assent testnet`, starts one process per validator and waits
//! until blocks can be made. A test kills, restarts, wipes and adds nodes as it likes and ends with
//! [`Cluster::finish`]. A cluster that is dropped before that belongs to a failed test: the last lines of
//! each node's log are printed and the folder is kept. In both cases no process is left.

use std::{
    ffi::OsStr,
    fmt::Debug,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Duration,
};

use alloy::transports::http::reqwest::Client;
use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    binary, homes, ports,
    process::{self, Process},
    proxy::Links,
    rpc::Rpc,
    turn::Turn,
    wait,
};

/// A node must answer this long after its start.
const START_LIMIT: Duration = Duration::from_secs(30);
/// A node must end this long after it was asked to.
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// Lines of each log in the report of a failed test.
const TAIL_LINES: usize = 60;

/// What network to make.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) stakes: Vec<u64>,
    pub(crate) followers: usize,
    pub(crate) accounts: usize,
    pub(crate) consensus: Vec<(&'static str, &'static str)>,
    pub(crate) links: Option<u64>,
    pub(crate) explorer: bool,
}

impl Plan {
    /// A network of validators with these stakes, and the first 16 test accounts funded.
    pub fn validators(stakes: &[u64]) -> Self {
        let (followers, accounts, consensus, links) = (0, 16, Vec::new(), None);
        Self { stakes: stakes.to_vec(), followers, accounts, consensus, links, explorer: false }
    }

    /// Puts `count` further nodes, which are no validators, on the node list. They are started by hand.
    pub fn followers(mut self, count: usize) -> Self {
        self.followers = count;
        self
    }

    /// Funds the first `count` test accounts.
    pub fn accounts(mut self, count: usize) -> Self {
        self.accounts = count;
        self
    }

    /// Sets an interval of the genesis file's `assent.consensus`, for example `emptyBlockInterval` to `50ms`.
    pub fn consensus(mut self, parameter: &'static str, value: &'static str) -> Self {
        self.consensus.push((parameter, value));
        self
    }

    /// Has the nodes reach each other through [`Links`] only; chance is drawn from this seed.
    pub fn links(mut self, seed: u64) -> Self {
        self.links = Some(seed);
        self
    }

    /// Has node 0 serve the explorer, at [`Cluster::explorer`].
    pub fn explorer(mut self) -> Self {
        self.explorer = true;
        self
    }

    /// Whether the network differs from what `assent testnet` makes.
    pub(crate) fn has_own_genesis(&self) -> bool {
        !self.consensus.is_empty() || self.links.is_some()
    }

    /// How many nodes there are.
    pub(crate) fn nodes(&self) -> usize {
        self.stakes.len() + self.followers
    }
}

/// A node of a cluster; it need not be running.
#[derive(Debug)]
pub struct Node {
    name: String,
    home: PathBuf,
    log: PathBuf,
    rpc: Rpc,
    metrics: String,
    p2p: u16,
    /// Further arguments of `assent start`.
    arguments: Vec<String>,
    process: Option<Process>,
}

/// A network of nodes.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
    validators: usize,
    links: Option<Links>,
    explorer: String,
    folder: Option<TempDir>,
    finished: bool,
    _turn: Turn,
}

impl Cluster {
    /// Makes a network, starts its validators and waits until a quorum of them hear each other.
    pub async fn launch(plan: Plan) -> Result<Self> {
        let mut cluster = Self::create(plan).await?;
        cluster.start_validators().await?;
        Ok(cluster)
    }

    /// Starts all validators of a network that was created, and waits until a quorum of them hear each other.
    pub async fn start_validators(&mut self) -> Result<()> {
        for number in 0..self.validators {
            self.start(number)?;
        }
        for number in 0..self.validators {
            self.connected(number, self.validators - 1).await?;
        }
        Ok(())
    }

    /// Makes the homes of a network without starting anything.
    pub async fn create(plan: Plan) -> Result<Self> {
        let turn = Turn::take().await?;
        let folder = tempfile::Builder::new().prefix("assent-cluster-").tempdir()?;
        let count = plan.nodes();
        let offset = ports::free_offset(u16::try_from(count)?)?;
        let homes = homes::write(folder.path(), &plan, offset)?;
        let links = plan.links.map(|seed| Links::open(&listening(count, offset), seed)).transpose()?;
        let mut nodes = Vec::with_capacity(count);
        for (index, (home, number)) in homes.into_iter().zip(offset..).enumerate() {
            let name = home.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            nodes.push(Node {
                log: folder.path().join(format!("{name}.log")),
                rpc: Rpc::new(&format!("http://127.0.0.1:{}", ports::RPC + number))?,
                metrics: format!("http://127.0.0.1:{}/metrics", ports::METRICS + number),
                p2p: ports::P2P + number,
                arguments: homes::arguments(&home, &plan, index, offset, links.as_ref())?,
                name,
                home,
                process: None,
            });
        }
        let validators = plan.stakes.len();
        let explorer = format!("127.0.0.1:{}", ports::EXPLORER + offset);
        if let Some(node) = nodes.first_mut().filter(|_| plan.explorer) {
            for setting in ["explorer.enabled=true".into(), format!("explorer.listen={explorer}")] {
                node.arguments.extend(["--set".into(), setting]);
            }
        }
        let explorer = format!("http://{explorer}");
        Ok(Self { nodes, validators, links, explorer, folder: Some(folder), finished: false, _turn: turn })
    }

    /// Starts a node's process. The thread that calls this must live as long as the node: the system takes
    /// its end for the parent's.
    pub fn start(&mut self, number: usize) -> Result<()> {
        self.start_in(number, &[])
    }

    /// As [`Self::start`], with these variables in the node's environment.
    pub fn start_in(&mut self, number: usize, environment: &[(&str, &str)]) -> Result<()> {
        let binary = binary::assent()?;
        let node = &mut self.nodes[number];
        ensure!(node.process.is_none(), "{} runs already", node.name);
        let home = node.home.to_string_lossy();
        // Even a test that is killed leaves no node behind.
        let own = std::process::id().to_string();
        let mut arguments = vec!["start", "--home", home.as_ref(), "--die-with-parent", &own];
        arguments.extend(node.arguments.iter().map(String::as_str));
        node.process = Some(Process::start_in(&node.name, &binary, arguments, environment, &node.log)?);
        Ok(())
    }

    /// Starts a node and waits until its RPC answers.
    pub async fn start_and_wait(&mut self, number: usize) -> Result<()> {
        self.start(number)?;
        self.answers(number).await
    }

    /// Ends a node at once, as `kill -9` does.
    pub fn kill(&mut self, number: usize) -> Result<()> {
        let node = &mut self.nodes[number];
        let mut process = node.process.take().with_context(|| format!("{} does not run", node.name))?;
        process.kill()
    }

    /// Ends several nodes as nearly at the same moment as can be.
    pub fn kill_all(&mut self, numbers: &[usize]) -> Result<()> {
        for number in numbers {
            if let Some(process) = &self.nodes[*number].process {
                process.signal(Signal::KILL)?;
            }
        }
        numbers.iter().try_for_each(|number| self.kill(*number))
    }

    /// Freezes a node (SIGSTOP): it neither answers nor hangs up, as on a machine that hangs.
    pub fn freeze(&self, number: usize) -> Result<()> {
        self.running(number)?.signal(Signal::STOP)
    }

    /// Lets a frozen node go on.
    pub fn thaw(&self, number: usize) -> Result<()> {
        self.running(number)?.signal(Signal::CONT)
    }

    fn running(&self, number: usize) -> Result<&Process> {
        let node = &self.nodes[number];
        node.process.as_ref().with_context(|| format!("{} does not run", node.name))
    }

    /// Asks a node to end and checks that it does so in good order.
    pub async fn stop(&mut self, number: usize) -> Result<()> {
        let node = &mut self.nodes[number];
        if let Some(process) = &mut node.process {
            let status = process.stop(STOP_LIMIT).await?;
            ensure!(status.success(), "{} ended with {status}", node.name);
        }
        node.process = None;
        Ok(())
    }

    /// How a node ended by itself; `None` while it runs. Afterwards it can be started again.
    pub fn ended(&mut self, number: usize) -> Result<Option<ExitStatus>> {
        let node = &mut self.nodes[number];
        let process = node.process.as_mut().with_context(|| format!("{} does not run", node.name))?;
        let status = process.ended()?;
        if status.is_some() {
            node.process = None;
        }
        Ok(status)
    }

    /// Waits until a node ends by itself, and tells how.
    pub async fn ends(&mut self, number: usize, limit: Duration) -> Result<ExitStatus> {
        let what = format!("{} ends by itself", self.nodes[number].name);
        wait::until(what, limit, async || self.ended(number)).await
    }

    /// Waits until a node that was started has caught up with the others, goes on with them and votes. If it
    /// ends by itself instead, tells how.
    pub async fn rejoins_or_ends(&mut self, number: usize, limit: Duration) -> Result<Option<ExitStatus>> {
        const MORE: u64 = 5;
        let other = usize::from(number == 0);
        let target = self.rpc(other).block_number().await? + MORE;
        let what = format!("{} has block {target} and votes", self.nodes[number].name);
        wait::until(what, limit, async || {
            if let Some(status) = self.ended(number)? {
                return Ok(Some(Some(status)));
            }
            let status = self.rpc(number).status().await?;
            ensure!(status.abstaining.is_none(), "it says: {:?}", status.abstaining);
            ensure!(status.head.number >= target, "it has block {}", status.head.number);
            Ok(Some(None))
        })
        .await
    }

    /// As [`Self::rejoins_or_ends`], for a node that must rejoin.
    pub async fn rejoins(&mut self, number: usize, limit: Duration) -> Result<()> {
        match self.rejoins_or_ends(number, limit).await? {
            Some(status) => bail!("{} ended by itself with {status}", self.nodes[number].name),
            None => Ok(()),
        }
    }

    /// Removes everything that a node remembers but its keys, genesis and configuration.
    pub fn wipe(&self, number: usize) -> Result<()> {
        let node = &self.nodes[number];
        ensure!(node.process.is_none(), "{} still runs", node.name);
        let data = node.home.join("data");
        fs::remove_dir_all(&data).with_context(|| format!("cannot remove {}", data.display()))
    }

    /// Copies everything that a node remembers, as a backup does. It must not run.
    pub fn save(&self, number: usize, to: &Path) -> Result<()> {
        let node = &self.nodes[number];
        ensure!(node.process.is_none(), "{} still runs", node.name);
        copy_folder(&node.home.join("data"), to)
    }

    /// Puts a backup in the place of everything that a node remembers.
    pub fn restore(&self, number: usize, from: &Path) -> Result<()> {
        self.wipe(number)?;
        copy_folder(from, &self.nodes[number].home.join("data"))
    }

    /// Waits until a node's RPC answers.
    pub async fn answers(&mut self, number: usize) -> Result<()> {
        self.connected(number, 0).await
    }

    /// Waits until a node's RPC answers and `peers` of its peers are connected.
    pub async fn connected(&mut self, number: usize, peers: usize) -> Result<()> {
        let node = &mut self.nodes[number];
        let what = format!("{} answers and has {peers} peers", node.name);
        let (rpc, process) = (&node.rpc, &mut node.process);
        let ended = wait::until(what, START_LIMIT, async || {
            if let Some(status) = process.as_mut().map(Process::ended).transpose()?.flatten() {
                return Ok(Some(Some(status)));
            }
            let status = rpc.status().await?;
            let connected = status.peers.iter().filter(|peer| peer.connected).count();
            Ok::<_, anyhow::Error>((connected >= peers).then_some(None))
        })
        .await?;
        match ended {
            Some(status) => bail!("{} ended by itself with {status}", node.name),
            None => Ok(()),
        }
    }

    /// A node's RPC.
    pub fn rpc(&self, number: usize) -> &Rpc {
        &self.nodes[number].rpc
    }

    /// The RPC of each validator.
    pub fn rpcs(&self) -> Vec<&Rpc> {
        self.nodes[..self.validators].iter().map(|node| &node.rpc).collect()
    }

    /// Where node 0 serves the explorer, of a plan with [`Plan::explorer`].
    pub fn explorer(&self) -> &str {
        &self.explorer
    }

    /// The links between the nodes, of a plan with [`Plan::links`].
    pub fn links(&self) -> Result<&Links> {
        self.links.as_ref().context("the nodes of this cluster reach each other directly")
    }

    /// A node's name.
    pub fn name(&self, number: usize) -> &str {
        &self.nodes[number].name
    }

    /// A node's home.
    pub fn home(&self, number: usize) -> &Path {
        &self.nodes[number].home
    }

    /// The port on which a node listens for other nodes.
    pub fn p2p_port(&self, number: usize) -> u16 {
        self.nodes[number].p2p
    }

    /// What a node counts under this name, over all labels; 0 when it has nothing to count yet.
    pub async fn metric(&self, number: usize, name: &str) -> Result<f64> {
        let http = Client::builder().no_proxy().timeout(START_LIMIT).build()?;
        let text = http.get(&self.nodes[number].metrics).send().await?.error_for_status()?.text().await?;
        let mut sum = 0.0;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((key, value)) = line.rsplit_once(' ') else { continue };
            if key.split('{').next() == Some(name) {
                let value: f64 = value.parse().with_context(|| format!("no number in the metric {line}"))?;
                sum += value;
            }
        }
        Ok(sum)
    }

    /// Process id of a running node.
    pub fn process_id(&self, number: usize) -> Option<u32> {
        self.nodes[number].process.as_ref().map(Process::id)
    }

    /// What a node has logged so far, over all its runs.
    pub fn log(&self, number: usize) -> String {
        process::printed(&self.nodes[number].log)
    }

    /// What a node has logged since its log had this many bytes.
    pub fn log_since(&self, number: usize, bytes: usize) -> String {
        let log = self.log(number);
        log.get(bytes..).unwrap_or(&log).to_owned()
    }

    /// The network's genesis file.
    pub fn genesis(&self) -> Result<Value> {
        read_json(&self.home(0).join("genesis.json"))
    }

    /// Waits until a node has this block.
    pub async fn reaches(&self, number: usize, block: u64, limit: Duration) -> Result<()> {
        let node = &self.nodes[number];
        let what = format!("{} has block {block}", node.name);
        wait::until_true(what, limit, async || Ok::<_, anyhow::Error>(node.rpc.block_number().await? >= block)).await
    }

    /// Waits until a node has `more` blocks than now.
    pub async fn goes_on(&self, number: usize, more: u64, limit: Duration) -> Result<()> {
        let head = self.nodes[number].rpc.block_number().await?;
        self.reaches(number, head + more, limit).await
    }

    /// Ends all nodes in good order and checks what must be true after every test: none panicked, and none
    /// saw a validator contradict itself.
    pub async fn finish(mut self) -> Result<()> {
        for number in 0..self.nodes.len() {
            self.stop(number).await?;
        }
        for number in 0..self.nodes.len() {
            let log = self.log(number);
            for sign in ["panicked at", "contradicted itself"] {
                if let Some(line) = log.lines().find(|line| line.contains(sign)) {
                    bail!("{} logged: {line}", self.nodes[number].name);
                }
            }
        }
        self.finished = true;
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            node.process = None;
        }
        if self.finished {
            return;
        }
        for node in &self.nodes {
            eprint!("{}", process::tail(&node.log, TAIL_LINES));
        }
        if let Some(folder) = self.folder.take() {
            eprintln!("The homes and logs are kept in {}", folder.keep().display());
        }
    }
}

/// Runs `assent` with these arguments to its end; what it prints on success.
pub fn run_assent(arguments: &[impl AsRef<OsStr> + Debug]) -> Result<String> {
    let output = Command::new(binary::assent()?).args(arguments).output()?;
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let err = String::from_utf8_lossy(&output.stderr);
        bail!("assent {arguments:?} ended with {}:\n{out}{err}", output.status);
    }
    Ok(out)
}

/// Where the nodes listen for each other.
fn listening(count: usize, offset: u16) -> Vec<SocketAddr> {
    (offset..).take(count).map(|number| SocketAddr::from((Ipv4Addr::LOCALHOST, ports::P2P + number))).collect()
}

/// Copies a folder with everything in it.
fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Reads a JSON file.
pub fn read_json(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))
}

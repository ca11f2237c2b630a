//! `assent devnet` as a user runs it: one command, a folder, and `devnet.json` for scripts.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Result, bail};
use rustix::process::Signal;
use serde::Deserialize;

use crate::{binary, cluster::read_json, process::Process, rpc::Rpc, wait};

/// The network must be ready this long after the start.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// A running `assent devnet`.
#[derive(Debug)]
pub struct Devnet {
    /// The command's own process.
    pub process: Process,
    /// What it wrote into `devnet.json`.
    pub description: Description,
}

/// The content of `devnet.json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// Chain id.
    pub chain_id: u64,
    /// The nodes, validator 0 first.
    pub nodes: Vec<NodeDescription>,
    /// Accounts with funds.
    pub accounts: Vec<AccountDescription>,
}

/// A node in `devnet.json`.
#[derive(Clone, Debug, Deserialize)]
pub struct NodeDescription {
    /// Its name.
    pub name: String,
    /// Its process id.
    pub pid: u32,
    /// Its home.
    pub home: PathBuf,
    /// Its stake.
    pub stake: u64,
    /// JSON-RPC over HTTP.
    pub rpc: String,
    /// JSON-RPC over WebSocket.
    pub ws: String,
    /// Where it serves its metrics.
    pub metrics: String,
    /// Where it serves its explorer, if it does.
    pub explorer: Option<String>,
}

/// An account in `devnet.json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountDescription {
    /// Its address.
    pub address: alloy::primitives::Address,
    /// Its private key in hex.
    pub private_key: String,
}

impl Devnet {
    /// Starts the command with these arguments behind `--dir` and `--port-offset`. What it prints goes
    /// to `log`.
    pub fn spawn(dir: &Path, offset: u16, arguments: &[&str], log: &Path) -> Result<Process> {
        let offset = offset.to_string();
        let dir = dir.to_string_lossy();
        let mut all = vec!["devnet", "--dir", dir.as_ref(), "--port-offset", &offset];
        all.extend(arguments);
        Process::start("devnet", &binary::assent()?, all, log)
    }

    /// Starts the command and waits until it says that the network is ready.
    pub async fn start(dir: &Path, offset: u16, arguments: &[&str], log: &Path) -> Result<Self> {
        let mut process = Self::spawn(dir, offset, arguments, log)?;
        let file = dir.join("devnet.json");
        let ready = wait::until("devnet.json tells of running nodes", READY_LIMIT, async || {
            if let Some(status) = process.ended()? {
                return Ok(Some(Err(status)));
            }
            let description: Description = serde_json::from_value(read_json(&file)?)?;
            // A file of an earlier run names processes that are gone.
            let up = description.nodes.iter().all(|node| crate::process::is_alive(node.pid));
            Ok::<_, anyhow::Error>(up.then_some(Ok(description)))
        })
        .await;
        match ready {
            Ok(Ok(description)) => Ok(Self { process, description }),
            Ok(Err(status)) => bail!("devnet ended by itself with {status}:\n{}", process.printed()),
            Err(error) => bail!("{error:#}; devnet printed:\n{}", process.printed()),
        }
    }

    /// The RPC of each node.
    pub fn rpcs(&self) -> Result<Vec<Rpc>> {
        self.description.nodes.iter().map(|node| Rpc::new(&node.rpc)).collect()
    }

    /// The process ids of the nodes.
    pub fn node_ids(&self) -> Vec<u32> {
        self.description.nodes.iter().map(|node| node.pid).collect()
    }

    /// Ends the network as Ctrl-C does (the same path as SIGTERM) and checks that it ended well.
    pub async fn stop(&mut self, limit: Duration) -> Result<()> {
        let status = self.process.stop(limit).await?;
        if !status.success() {
            bail!("devnet ended with {status}:\n{}", self.process.printed());
        }
        Ok(())
    }

    /// Ends the command itself at once, leaving its nodes to themselves.
    pub fn kill(&mut self) -> Result<()> {
        self.process.signal(Signal::KILL)?;
        self.process.kill()
    }
}

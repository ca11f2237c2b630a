//! Foundry's `anvil`, a node that is not ours, to compare with.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{ports, process::Process, rpc::Rpc, tools, wait};

/// It must answer this long after its start.
const READY_LIMIT: Duration = Duration::from_secs(30);

/// A running `anvil`, with Hardhat's accounts and no fees.
#[derive(Debug)]
pub struct Anvil {
    /// Its process.
    pub process: Process,
    /// Its RPC.
    pub rpc: Rpc,
    /// Its name and version.
    pub version: String,
}

impl Anvil {
    /// Starts it on a free port with a block every so many seconds. `None`, said loudly, where there is no `anvil`.
    pub async fn start(block_seconds: f64, log: &Path) -> Result<Option<Self>> {
        let Some(folder) = tools::folder() else { return Ok(None) };
        let program = program(&folder)?;
        let port = (ports::RPC + ports::free_offset(1)?).to_string();
        let interval = block_seconds.to_string();
        let arguments = ["--port", &port, "--block-time", &interval, "--base-fee", "0", "--gas-price", "0", "--quiet"];
        let mut process = Process::start("anvil", &program, arguments, log)?;
        let rpc = Rpc::new(&format!("http://127.0.0.1:{port}"))?;
        let version = wait::until("anvil answers", READY_LIMIT, async || {
            if let Some(status) = process.ended()? {
                return Ok(Some(Err(status)));
            }
            let version: String = rpc.get("web3_clientVersion", serde_json::json!([])).await?;
            Ok::<_, anyhow::Error>(Some(Ok(version)))
        })
        .await?;
        match version {
            Ok(version) => Ok(Some(Self { process, rpc, version })),
            Err(status) => bail!("anvil ended by itself with {status}:\n{}", process.printed()),
        }
    }
}

/// The program itself: the script that npm puts before it would not end with it.
fn program(tools: &Path) -> Result<PathBuf> {
    let packages = tools.join("node_modules/@foundry-rs");
    let entries = fs::read_dir(&packages).with_context(|| format!("cannot read {}", packages.display()))?;
    for entry in entries {
        let program = entry?.path().join("bin/anvil");
        // The package without a platform in its name has scripts only.
        let platform = program.parent().and_then(Path::parent).and_then(Path::file_name);
        if platform.is_some_and(|name| name.to_string_lossy().starts_with("anvil-")) && program.is_file() {
            return Ok(program);
        }
    }
    bail!("{} has no anvil for this platform", packages.display())
}

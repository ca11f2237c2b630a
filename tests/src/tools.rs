//! Ethereum's own tools, from npm and PyPI, against a network.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::{process::Command, time::timeout};

use crate::{brought::brought, devnet::Devnet};

/// Names the folder with the tools (`scripts/tools` makes it; `make test` sets this).
pub const TOOLS_VARIABLE: &str = "ASSENT_TOOLS";

/// One tool may take this long for all that it checks.
const LIMIT: Duration = Duration::from_secs(180);

/// The folder with the tools; `None`, said loudly, where there is none.
pub fn folder() -> Option<PathBuf> {
    brought(TOOLS_VARIABLE, "no tool of npm or PyPI is run")
}

/// Runs one of the programs of `tests/tools` against the first node of a network and returns what it printed. It runs
/// in a copy, so that whatever a tool writes beside its project is gone afterwards.
pub async fn run(devnet: &Devnet, program: &[&str]) -> Result<String> {
    let tools = folder().context("no tools")?;
    let work = tempfile::tempdir()?;
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tools"), work.path())?;
    for name in ["node_modules", "venv"] {
        symlink(tools.join(name), work.path().join(name))?;
    }
    run_in(devnet, work.path(), program).await
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Runs a program of this folder, or one of the machine, there. It finds the first node in `RPC_URL` and `WS_URL`, and
/// the funded accounts in `PRIVATE_KEYS`.
pub async fn run_in(devnet: &Devnet, folder: &Path, program: &[&str]) -> Result<String> {
    let node = devnet.description.nodes.first().context("no node")?;
    let keys: Vec<&str> = devnet.description.accounts.iter().map(|account| account.private_key.as_str()).collect();
    let (name, rest) = program.split_first().context("no program")?;
    let own = folder.join(name);
    let name = if own.exists() { own } else { PathBuf::from(name) };
    let output = Command::new(&name)
        .args(rest)
        .current_dir(folder)
        .env("RPC_URL", &node.rpc)
        .env("WS_URL", node.rpc.replacen("http", "ws", 1))
        .env("PRIVATE_KEYS", keys.join(","))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(LIMIT, output)
        .await
        .with_context(|| format!("{program:?} did not end within {LIMIT:?}"))?
        .with_context(|| format!("cannot run {}", name.display()))?;
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("{program:?} ended with {}:\n{out}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(out)
}

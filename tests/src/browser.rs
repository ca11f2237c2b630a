//! The explorer in a real browser: programs of `tests/browser` against a network.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::{process::Command, time::timeout};

use crate::brought::brought;

/// Names the folder with the browser's programs (`scripts/browser` makes it; `make test` sets this).
pub const BROWSER_VARIABLE: &str = "ASSENT_BROWSER";

/// One program may take this long for all that it checks.
const LIMIT: Duration = Duration::from_secs(240);

/// The folder with the programs; `None`, said loudly, where there is none.
pub fn folder() -> Option<PathBuf> {
    brought(BROWSER_VARIABLE, "no page is looked at with a browser")
}

/// Runs one of the programs and returns what it printed. It finds in `FACTS` where the explorer is and what is on the
/// chain, and puts its pictures into the folder `SCREENSHOTS`.
pub async fn run(program: &str, facts: &Value, screenshots: &Path) -> Result<String> {
    let folder = folder().context("no browser")?;
    let output = Command::new("node")
        .arg(folder.join(program))
        .current_dir(&folder)
        .env("FACTS", facts.to_string())
        .env("SCREENSHOTS", screenshots)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(LIMIT, output)
        .await
        .with_context(|| format!("{program} did not end within {LIMIT:?}"))?
        .context("cannot run node")?;
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("{program} ended with {}:\n{out}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(out)
}

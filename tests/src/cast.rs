//! Foundry's `cast`, a client that is not ours.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use tokio::{process::Command, time::timeout};

use crate::{brought::brought, rpc::Rpc};

/// Names the `cast` program (`scripts/cast` finds or installs it; `make test` sets this).
pub const CAST_VARIABLE: &str = "ASSENT_CAST";

/// One command may take this long.
const LIMIT: Duration = Duration::from_secs(60);

/// `cast` against one node.
#[derive(Clone, Debug)]
pub struct Cast {
    program: PathBuf,
    rpc: String,
}

impl Cast {
    /// `cast` against this node; `None`, said loudly, where there is no `cast`.
    pub fn at(rpc: &Rpc) -> Option<Self> {
        let program = brought(CAST_VARIABLE, "nothing is sent with cast")?;
        Some(Self { program, rpc: rpc.url().to_string() })
    }

    /// Runs a command such as `["send", ADDRESS, "--value", "1"]` and returns what it printed.
    pub async fn run(&self, arguments: &[&str]) -> Result<String> {
        let (name, rest) = arguments.split_first().context("no command for cast")?;
        let mut command = Command::new(&self.program);
        // The node first: `--create` takes everything behind it.
        command
            .args([name, "--rpc-url", &self.rpc])
            .args(rest)
            .env("NO_COLOR", "1")
            .env("FOUNDRY_DISABLE_NIGHTLY_WARNING", "1")
            .kill_on_drop(true);
        let output = timeout(LIMIT, command.output())
            .await
            .with_context(|| format!("cast {arguments:?} did not end within {LIMIT:?}"))?
            .with_context(|| format!("cannot run {}", self.program.display()))?;
        let out = String::from_utf8_lossy(&output.stdout).trim().to_string();
        if !output.status.success() {
            let err = String::from_utf8_lossy(&output.stderr);
            bail!("cast {arguments:?} ended with {}:\n{out}\n{err}", output.status);
        }
        Ok(out)
    }

    /// Like [`Cast::run`] with `--json`, read as JSON.
    pub async fn json(&self, arguments: &[&str]) -> Result<serde_json::Value> {
        let mut arguments = arguments.to_vec();
        arguments.insert(1.min(arguments.len()), "--json");
        let out = self.run(&arguments).await?;
        serde_json::from_str(&out).with_context(|| format!("cast {arguments:?} printed {out}"))
    }
}

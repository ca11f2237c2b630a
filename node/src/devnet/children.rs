//! The nodes of a devnet as child processes of this one.
//!
//! They never outlive it: the devnet stops them in order; a child asks the system to kill it when
//! its parent dies (`start --die-with-parent`), which works even when the devnet is killed with
//! SIGKILL; and each is in a process group of its own, so that Ctrl-C reaches the devnet alone,
//! which then stops them.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio, id},
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

use crate::{cli::Ports, home::Home};

/// The log of a node, in its home.
const LOG_NAME: &str = "node.log";

/// Time for a node to stop in order before it is killed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Time between two looks at whether they have stopped.
const LOOK: Duration = Duration::from_millis(20);

/// Bytes at the end of a log in which its last lines are searched.
const TAIL_BYTES: u64 = 16 * 1024;

/// Lines of a log that are shown when its node dies.
const TAIL_LINES: usize = 15;

/// One node.
pub(super) struct Node {
    pub(super) name: String,
    pub(super) home: Home,
    pub(super) ports: Ports,
    pub(super) pid: u32,
    child: Child,
    /// Set when it has ended.
    end: Option<ExitStatus>,
}

impl Node {
    /// Starts `assent start` for a home. Must be called on a thread that lives as long as the
    /// process: the system takes the end of the starting thread for the end of the parent.
    pub(super) fn start(name: &str, home: &Home, ports: &Ports, peers: &[String]) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let log = open_log(home)?;
        let errors = log.try_clone().context("cannot share the log file")?;
        let mut command = Command::new(program);
        command
            .arg("start")
            .arg("--home")
            .arg(home.path())
            .args(["--die-with-parent", &id().to_string()])
            .args(["--p2p-listen", &format!("/ip4/127.0.0.1/tcp/{}", ports.p2p)])
            .args(["--rpc-listen", &format!("127.0.0.1:{}", ports.rpc)])
            .args(["--metrics-listen", &format!("127.0.0.1:{}", ports.metrics)])
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .process_group(0)
            .kill_on_drop(true);
        if let Some(port) = ports.explorer {
            command.args(["--explorer-listen", &format!("127.0.0.1:{port}")]);
        }
        if !peers.is_empty() {
            command.args(["--p2p-peers", &peers.join(",")]);
        }
        let child = command.spawn().with_context(|| format!("cannot start a process for {name}"))?;
        let pid = child.id().context("the child has ended already")?;
        Ok(Self { name: name.to_string(), home: home.clone(), ports: ports.clone(), pid, child, end: None })
    }

    /// Whether it still runs.
    pub(super) fn runs(&self) -> bool {
        self.end.is_none()
    }

    /// Its JSON-RPC.
    pub(super) fn rpc(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.rpc)
    }

    /// How it ended, when it has done so since the last call.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        if self.end.is_some() {
            return None;
        }
        // A failure to ask means that there is no such child any more.
        self.end = self.child.try_wait().unwrap_or_default();
        self.end
    }

    /// What to tell a person about its end.
    pub(super) fn obituary(&self, status: ExitStatus) -> String {
        let path = log_path(&self.home);
        let lines = tail(&path).unwrap_or_default();
        let lines: Vec<String> = lines.iter().map(|line| format!("    {line}")).collect();
        format!("{} has ended ({status}). The end of {}:\n{}", self.name, path.display(), lines.join("\n"))
    }

    fn signal(&self, signal: Signal) {
        if self.runs()
            && let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw)
        {
            // It may have ended a moment ago; then there is nothing to stop. Its id is not
            // somebody else's yet, because nobody has waited for it.
            let _ = kill_process(pid, signal);
        }
    }
}

/// Stops all nodes in order; those that do not stop in time, or when `hurry` comes first, are
/// killed. Returns the names of those.
pub(super) async fn stop(nodes: &mut [Node], hurry: impl Future<Output = ()>) -> Vec<String> {
    for node in nodes.iter() {
        node.signal(Signal::TERM);
    }
    let deadline = Instant::now() + PATIENCE;
    tokio::pin!(hurry);
    let mut waiting = true;
    while waiting && any_runs(nodes) && Instant::now() < deadline {
        tokio::select! {
            () = sleep(LOOK) => {}
            () = &mut hurry => waiting = false,
        }
    }
    let mut killed = Vec::new();
    for node in nodes.iter_mut().filter(|node| node.runs()) {
        killed.push(node.name.clone());
        // Fails only when it has ended in this very moment.
        let _ = node.child.kill().await;
    }
    killed
}

fn any_runs(nodes: &mut [Node]) -> bool {
    for node in nodes.iter_mut() {
        node.ended();
    }
    nodes.iter().any(Node::runs)
}

fn log_path(home: &Home) -> PathBuf {
    home.path().join(LOG_NAME)
}

fn open_log(home: &Home) -> Result<File> {
    let path = log_path(home);
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("cannot write the log {}", path.display()))
}

/// The last lines of a file.
fn tail(path: &Path) -> std::io::Result<Vec<String>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<String> = text.lines().map(String::from).collect();
    Ok(lines[lines.len().saturating_sub(TAIL_LINES)..].to_vec())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_tail_is_the_last_lines_of_a_long_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text: String = (0..10_000).map(|number| format!("line {number}\n")).collect();
        std::fs::write(file.path(), text).unwrap();
        let lines = tail(file.path()).unwrap();
        assert_eq!(lines.len(), TAIL_LINES);
        assert_eq!(lines.last().unwrap(), "line 9999");
        std::fs::write(file.path(), "one\ntwo").unwrap();
        assert_eq!(tail(file.path()).unwrap(), ["one", "two"]);
    }
}

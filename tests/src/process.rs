//! A child process that writes its output to a file and never outlives its owner.

use std::{
    env,
    ffi::OsStr,
    fmt::Write,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// A running (or ended) child process.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program` with `arguments`; what it prints is appended to `log`.
    pub fn start<A: AsRef<OsStr>>(
        name: &str,
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
        log: &Path,
    ) -> Result<Self> {
        Self::start_in(name, program, arguments, &[], log)
    }

    /// As [`Self::start`], with these variables in its environment.
    pub fn start_in<A: AsRef<OsStr>>(
        name: &str,
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
        environment: &[(&str, &str)],
        log: &Path,
    ) -> Result<Self> {
        let out = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot open {}", log.display()))?;
        let mut command = Command::new(program);
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ASSENT_")) {
            // Settings of the tests, or of who runs them, are not the node's.
            command.env_remove(name);
        }
        let child = command
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { name: name.into(), child, log: log.into() })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended; `None` while it runs.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Ends it at once, as `kill -9` does, and waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        if self.ended()?.is_none() {
            self.child.kill()?;
            self.child.wait()?;
        }
        Ok(())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Asks it to end (SIGTERM) and waits for the end.
    pub async fn stop(&mut self, limit: Duration) -> Result<ExitStatus> {
        if self.ended()?.is_none() {
            self.signal(Signal::TERM)?;
        }
        self.wait(limit).await
    }

    /// Waits for its end.
    pub async fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("{} ends", self.name);
        wait::until(what, limit, async || self.ended()).await
    }

    /// What it has printed so far, over all processes that wrote to the same file.
    pub fn printed(&self) -> String {
        printed(&self.log)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing to be done about a failure here: the process is gone already.
        let _ = self.kill();
    }
}

/// The text of a log file; empty when it is not there. Bytes that are no text are replaced.
pub fn printed(log: &Path) -> String {
    fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// The last lines of a log, with a heading, for the report of a failed test.
pub fn tail(log: &Path, lines: usize) -> String {
    let text = printed(log);
    let all: Vec<&str> = text.lines().collect();
    let mut report = format!("---- last lines of {} ----\n", log.display());
    for line in &all[all.len().saturating_sub(lines)..] {
        // Writing to a string cannot fail.
        let _ = writeln!(report, "{line}");
    }
    report
}

/// True while a process with this id is there.
pub fn is_alive(id: u32) -> bool {
    // A zombie is no longer alive, although its entry is still there.
    fs::read_to_string(format!("/proc/{id}/stat"))
        .ok()
        .and_then(|stat| {
            let state = stat.rsplit(')').next()?.trim_start().chars().next()?;
            Some(state != 'Z' && state != 'X')
        })
        .unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn output_goes_to_the_file_and_drop_kills() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let log = folder.path().join("log");
        let script = ["-c", "echo hello; exec tail -f /dev/null"];
        let process = Process::start("shell", Path::new("/bin/sh"), script, &log)?;
        let id = process.id();
        wait::until_true("hello is printed", Duration::from_secs(10), async || {
            Ok::<_, anyhow::Error>(process.printed() == "hello\n")
        })
        .await?;
        assert!(is_alive(id));
        assert!(tail(&log, 5).contains("hello"));
        drop(process);
        assert!(!is_alive(id));
        Ok(())
    }
}

//! One cluster at a time.
//!
//! Several clusters at once on a small machine would make each other slow, and limits such as "blocks
//! within five seconds" would mean nothing. A lock on a file serialises them over all test programs and
//! users of this machine's account.

use std::{env, fs::File};

use anyhow::{Context, Result};

/// The right to run a cluster, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    _lock: File,
}

impl Turn {
    /// Waits until no other cluster runs.
    pub async fn take() -> Result<Self> {
        let user = rustix::process::getuid().as_raw();
        let path = env::temp_dir().join(format!("assent-tests-{user}.lock"));
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        let lock = tokio::task::spawn_blocking(move || file.lock().map(|()| file))
            .await?
            .with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(Self { _lock: lock })
    }
}

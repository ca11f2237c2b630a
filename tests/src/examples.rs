//! The examples for users, against a network.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::{brought::brought, devnet::Devnet, tools};

/// Names the folder with the examples and their packages (`scripts/examples` makes it; `make test` sets this).
pub const EXAMPLES_VARIABLE: &str = "ASSENT_EXAMPLES";

/// The folder with the examples; `None`, said loudly, where there is none.
pub fn folder() -> Option<PathBuf> {
    brought(EXAMPLES_VARIABLE, "no example is run")
}

/// Runs an example against the first node of a network, as its README says, and returns what it printed.
pub async fn run(devnet: &Devnet, name: &str) -> Result<String> {
    let folder = folder().context("no examples")?.join(name);
    tools::run_in(devnet, &folder, &["npm", "start"]).await
}

//! `assent db index`: the index of accounts, for the blocks that were made without it.

use std::path::Path;

use anyhow::{Context, Result, bail};
use assent_chain::{Chain, ChainOptions, OpenError, storage::AddressIndex};
use assent_genesis::Genesis;
use indicatif::ProgressBar;

use crate::{
    cli::{UsageError, print, table::count},
    config::{Flags, NodeConfig},
    home::Home,
};

/// Goes on where the last run ended, and can be ended at any time: each block is added with the new end of the index.
pub(super) fn run(home: &Path) -> Result<()> {
    let home = Home::new(home);
    if !home.path().is_dir() {
        return Err(UsageError(format!("there is no home in {home}")).into());
    }
    let (genesis, _) = Genesis::load(&home.genesis())?;
    let folder = home.chain();
    if !folder.join("CURRENT").exists() {
        bail!("there is no database in {}: the node has not been started yet", folder.display());
    }
    let config = NodeConfig::load(home, &Flags::default(), std::env::vars())?;
    // The pool's content stays in its file.
    let options = ChainOptions { mempool_journal: None, without_address_index: false, ..config.chain_options() };
    let chain = match Chain::open(&folder, &genesis, &options) {
        Err(error @ OpenError::Locked { .. }) => {
            return Err(error).context("the node runs. Stop it first (SIGTERM or Ctrl-C)");
        }
        chain => chain?,
    };
    let built = build(&chain)?;
    chain.sync()?;
    let mut text = match built {
        0 => "the index of accounts was whole already\n".to_string(),
        built => format!("the index of accounts is whole: {} added\n", count(built, "block")),
    };
    if !config.index.addresses {
        text.push_str("[index] addresses is false: with the next start the index ends here. Set it to true first\n");
    }
    print(&text)
}

fn build(chain: &Chain) -> Result<u64> {
    let AddressIndex::UpTo(end) = chain.address_index() else { return Ok(0) };
    let progress = ProgressBar::new(chain.head().number.saturating_sub(end));
    let built = chain.build_address_index(|_, _| {
        progress.inc(1);
        true
    });
    progress.finish_and_clear();
    Ok(built?)
}

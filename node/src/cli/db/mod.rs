//! `assent db`: the data of a node that does not run. Nothing is ever repaired here, and nothing written but the index
//! of accounts, which the blocks tell.

mod check;
mod index;
mod info;
mod logs;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use assent_chain::{OpenError, storage::StoredChain};
use assent_consensus::{Epoch, Hash, ValidatorSet};
use assent_genesis::Genesis;
use clap::{Args, Subcommand};

use super::UsageError;
use crate::home::Home;

/// Blocks that `check` looks at unless told otherwise.
const DEFAULT_BLOCKS: u64 = 1_000;

#[derive(Debug, Args)]
#[command(
    about = "Check, describe and index the data of a node that does not run",
    after_help = "\
Examples:
  assent db info --home node0
  assent db check --home node0             the last 1000 blocks, head, logs
  assent db check --home node0 --full      every block and the whole state
  assent db index --home node0             what was left out of the index of accounts

All refuse while the node runs: stop it first (SIGTERM). check and info only read."
)]
pub(super) struct DbArgs {
    #[command(subcommand)]
    command: DbCommand,
}

#[derive(Debug, Subcommand)]
enum DbCommand {
    /// Check what is stored, say what is wrong and what to do
    Check(CheckArgs),
    /// Build the index of accounts where it was left out
    Index(HomeArgs),
    /// Show the head, sizes, the consensus log and what was signed last
    Info(HomeArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  assent db check --home node0
  assent db check --home node0 --blocks 100000
  assent db check --home node0 --full

Checked of each block: that its hash is its header's and that it names the block before it; its
seal, its transactions with their senders and its receipts against the roots in the header; its
certificate, every signature of it, against the validators. Of the state: that the root is the
head's; with --full every node of every trie, and every account, slot and code against them. Of a
validator: the consensus log and the signer's mark.

The exit code is 0 when all of it is sound and 1 when not.")]
struct CheckArgs {
    #[command(flatten)]
    home: HomeArgs,
    /// How many of the last blocks to check
    #[arg(long, value_name = "N", default_value_t = DEFAULT_BLOCKS, conflicts_with = "full")]
    blocks: u64,
    /// Check every block and the whole state
    #[arg(long)]
    full: bool,
}

#[derive(Debug, Args)]
struct HomeArgs {
    /// The node's home
    #[arg(long, value_name = "DIR", env = "ASSENT_HOME")]
    home: PathBuf,
}

pub(super) fn run(args: DbArgs) -> Result<()> {
    match args.command {
        DbCommand::Check(args) => {
            let data = Data::open(&args.home)?;
            check::run(&data, if args.full { None } else { Some(args.blocks) })
        }
        DbCommand::Index(args) => index::run(&args.home),
        DbCommand::Info(args) => info::run(&Data::open(&args)?),
    }
}

/// The data of a node, opened for reading.
struct Data {
    home: Home,
    genesis: Genesis,
    genesis_hash: Hash,
    chain: StoredChain,
}

impl Data {
    fn open(args: &HomeArgs) -> Result<Self> {
        let home = Home::new(&args.home);
        if !home.path().is_dir() {
            return Err(UsageError(format!("there is no home in {home}")).into());
        }
        let (genesis, _) = Genesis::load(&home.genesis())?;
        let genesis_hash = genesis.hash();
        let chain = match StoredChain::open(&home.chain(), genesis_hash) {
            Err(error @ OpenError::Locked { .. }) => {
                return Err(error).context(
                    "the node runs, and its data cannot be read meanwhile. Stop it first (SIGTERM or Ctrl-C); assent \
                     status and assent query ask a node that runs",
                );
            }
            chain => chain?,
        };
        let Some(chain) = chain else {
            bail!("there is no database in {}: the node has not been started yet", home.chain().display());
        };
        Ok(Self { home, genesis, genesis_hash: Hash(genesis_hash.0), chain })
    }

    /// The validators of an epoch. Every epoch has the genesis' until they can be changed on the chain.
    fn validators(&self, epoch: u64) -> Result<ValidatorSet> {
        Ok(self.genesis.validator_set(Epoch(epoch), self.genesis.header().timestamp)?)
    }
}

//! `assent genesis`: what a genesis file says, and whether it can be used.

use std::{fmt::Write, path::PathBuf};

use anyhow::Result;
use assent_consensus::{Epoch, ValidatorIndex};
use assent_genesis::{Finding, Genesis, tolerance};
use clap::{Args, Subcommand};

use super::{print, unix_now};

#[derive(Debug, Args)]
#[command(
    about = "Check a genesis file, print its hash",
    after_help = "\
Examples:
  assent genesis validate genesis.json   every error and warning with the field's name, and a summary
  assent genesis hash genesis.json       the hash that all nodes of the network must agree on"
)]
pub(super) struct GenesisArgs {
    #[command(subcommand)]
    command: GenesisCommand,
}

#[derive(Debug, Subcommand)]
enum GenesisCommand {
    /// Check every value; exit code 1 when it cannot be used
    Validate {
        /// The genesis file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Print the genesis hash
    Hash {
        /// The genesis file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

pub(super) fn run(args: GenesisArgs) -> Result<()> {
    match args.command {
        GenesisCommand::Hash { file } => {
            let (genesis, _) = Genesis::load(&file)?;
            print(&format!("{}\n", genesis.hash()))
        }
        GenesisCommand::Validate { file } => {
            let (genesis, warnings) = Genesis::load(&file)?;
            print(&summary(&genesis, &warnings)?)
        }
    }
}

fn summary(genesis: &Genesis, warnings: &[Finding]) -> Result<String> {
    let mut text = String::new();
    for warning in warnings {
        let _ = writeln!(text, "{warning}");
    }
    let set = genesis.validator_set(Epoch(0), unix_now()?)?;
    let weights: Vec<u64> = set.iter().map(|(_, validator)| validator.weight.0).collect();
    let _ = writeln!(text, "valid: chain {}, genesis hash {}", genesis.chain_id(), genesis.hash());
    let _ = writeln!(
        text,
        "{} validators with weight {} in all, {} nodes, {} accounts",
        weights.len(),
        set.total(),
        genesis.assent.nodes.len(),
        genesis.ethereum.alloc.len()
    );
    let tolerance = tolerance(&weights);
    let _ = writeln!(
        text,
        "any {} of them may fail and blocks go on{}",
        tolerance.faults,
        halting(genesis, &tolerance.halting)
    );
    Ok(text)
}

fn halting(genesis: &Genesis, indices: &[usize]) -> String {
    if indices.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = indices
        .iter()
        .filter_map(|index| u16::try_from(*index).ok())
        .filter_map(|index| genesis.validator(ValidatorIndex(index)))
        .map(|validator| validator.name.as_str())
        .collect();
    format!("; not without {}", names.join(", not without "))
}

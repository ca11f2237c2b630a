//! `assent genesis`: what a genesis file says, whether it can be used, and what its validators withstand.

mod analyze;
mod report;

use std::{fmt::Write, path::PathBuf};

use anyhow::Result;
use assent_genesis::{
    Finding, Genesis,
    analysis::{self, Analysis, Options},
};
use clap::{Args, Subcommand};

use super::print;

#[derive(Debug, Args)]
#[command(
    about = "Check a genesis file, print its hash, analyse its validators",
    after_help = "\
Examples:
  assent genesis validate genesis.json   errors and warnings with the field's name, and a summary
  assent genesis hash genesis.json       the hash that all nodes of the network must agree on
  assent genesis analyze genesis.json --up-probability 0.999 --up node2=0.9 --group region
                                         who can halt the chain, how long it stands still in a year"
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
    /// Show who can halt the chain or break its safety, and how long it is expected to stand still
    Analyze(analyze::AnalyzeArgs),
    /// Print the genesis hash
    Hash {
        /// The genesis file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

pub(super) fn run(args: GenesisArgs) -> Result<()> {
    match args.command {
        GenesisCommand::Analyze(args) => analyze::run(&args),
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
    let analysis = analysis::analyze(&genesis.members()?, &Options::default());
    let _ = writeln!(text, "valid: chain {}, genesis hash {}", genesis.chain_id(), genesis.hash());
    let _ = writeln!(
        text,
        "{} validators with weight {} in all, {} nodes, {} accounts",
        analysis.validators.len(),
        analysis.total,
        genesis.assent.nodes.len(),
        genesis.ethereum.alloc.len()
    );
    let _ =
        writeln!(text, "any {} of them may fail and blocks go on{}", analysis.failures.worst_case, halting(&analysis));
    let _ = writeln!(
        text,
        "when each is up {} of the time, expect no blocks for {} per year: assent genesis analyze says more",
        report::percent_of_time(analysis::DEFAULT_UP_PROBABILITY),
        analysis.availability.downtime()
    );
    Ok(text)
}

fn halting(analysis: &Analysis) -> String {
    let halting = analysis.validators.iter().filter(|validator| validator.can_halt);
    halting.map(|validator| format!("; not without {}", validator.name)).collect()
}

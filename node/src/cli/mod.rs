//! The command line: what `assent` understands, and what it exits with.
//!
//! Exit codes: 0 done, 1 it did not work, 2 it was called wrongly (flags, configuration). Results go
//! to standard output, everything else to standard error.

mod amount;
mod db;
mod folder;
mod genesis;
mod init;
mod keys;
mod open_files;
mod query;
mod simulate;
mod stake;
mod start;
mod status;
mod table;
mod testnet;
mod tx;
mod verify_proof;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use thiserror::Error;

pub(crate) use self::{
    folder::{NetworkFolder, Ports, unix_now},
    stake::Stakes,
    status::verdict,
};
use crate::{bench, config::ConfigError, devnet};

/// The program was called wrongly: exit code 2.
#[derive(Debug, Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

#[derive(Debug, Parser)]
#[command(
    name = "assent",
    version,
    about = "A permissioned EVM chain in one binary",
    long_about = "Assent is a permissioned EVM chain: stake-weighted validators, final blocks after \
one quorum round, and the JSON-RPC that every Ethereum tool speaks.",
    after_help = "\
Start here:
  assent devnet                     four validators on this machine, ready in seconds
  assent status                     what the node on port 8545 sees

A network of your own:
  assent testnet --output net       homes for four validators
  assent start --home net/node0     one node (the others likewise, here or elsewhere)

Every command explains itself: assent COMMAND --help",
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Devnet(devnet::DevnetArgs),
    Testnet(testnet::TestnetArgs),
    Init(init::InitArgs),
    Start(start::StartArgs),
    Status(status::StatusArgs),
    Keys(keys::KeysArgs),
    Genesis(genesis::GenesisArgs),
    Query(query::QueryArgs),
    Tx(tx::TxArgs),
    Db(db::DbArgs),
    Simulate(simulate::SimulateArgs),
    VerifyProof(verify_proof::VerifyProofArgs),
    Bench(bench::BenchArgs),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            if is_broken_pipe(&error) {
                return ExitCode::SUCCESS;
            }
            eprintln!("error: {}", describe(&error));
            ExitCode::from(if is_usage(&error) { 2 } else { 1 })
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Testnet(args) => testnet::run(&args)?,
        Command::Init(args) => init::run(&args)?,
        Command::Devnet(args) => runtime()?.block_on(devnet::run(args))?,
        Command::Start(args) => start::run(args)?,
        Command::Status(args) => runtime()?.block_on(status::run(args))?,
        Command::Keys(args) => keys::run(args)?,
        Command::Genesis(args) => genesis::run(args)?,
        Command::Query(args) => runtime()?.block_on(query::run(args))?,
        Command::Tx(args) => return runtime()?.block_on(tx::run(args)),
        Command::Db(args) => db::run(args)?,
        Command::Simulate(args) => return simulate::run(&args),
        Command::VerifyProof(args) => verify_proof::run(&args)?,
        Command::Bench(args) => {
            let complete = runtime()?.block_on(bench::run(args))?;
            return Ok(ExitCode::from(u8::from(!complete)));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the asynchronous runtime")
}

/// The error with its causes. Many errors tell their cause themselves; it is not said twice.
fn describe(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn is_usage(error: &anyhow::Error) -> bool {
    error.is::<UsageError>() || error.is::<ConfigError>()
}

/// Somebody closed the pipe that we print into (`assent status | head -1`): no failure of ours.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let cause = error.root_cause().downcast_ref::<io::Error>();
    cause.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Prints a result.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_cause_is_told_once() {
        let cause = || io::Error::other("disk full");
        let own = anyhow::Error::from(cause()).context("cannot write x");
        assert_eq!(describe(&own), "cannot write x: disk full");
        let told = anyhow::Error::from(cause()).context("cannot write x: disk full");
        assert_eq!(describe(&told), "cannot write x: disk full");
    }

    #[test]
    fn every_command_says_what_it_is_for_and_shows_an_example() {
        let mut cli = Cli::command();
        cli.build();
        for command in cli.get_subcommands().filter(|command| command.get_name() != "help") {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "{name}");
            let help = command.get_after_help().map(ToString::to_string);
            assert!(help.is_some_and(|text| text.contains("assent ")), "{name}");
        }
    }
}

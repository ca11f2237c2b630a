//! `assent keys`: key files.

use std::{fmt::Write, path::PathBuf};

use anyhow::Result;
use assent_genesis::SecretKey;
use clap::{Args, Subcommand};

use super::{UsageError, print};
use crate::home::Home;

#[derive(Debug, Args)]
#[command(
    about = "Make and show keys",
    after_help = "\
Examples:
  assent keys show --home node0          public keys of a home
  assent keys show validator.json        public key of a file
  assent keys generate --output key.json a new ed25519 key (mode 0600)"
)]
pub(super) struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Print public keys, never secret ones
    Show {
        /// Key file
        #[arg(value_name = "FILE", conflicts_with = "home")]
        file: Option<PathBuf>,
        /// A node's home: its validator key (if any) and node key
        #[arg(long, value_name = "DIR")]
        home: Option<PathBuf>,
    },
    /// Make a new ed25519 key from the system's entropy
    Generate {
        /// File to write; an existing one is never replaced
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
    },
}

pub(super) fn run(args: KeysArgs) -> Result<()> {
    match args.command {
        KeysCommand::Generate { output } => {
            let key = SecretKey::generate()?;
            key.save(&output)?;
            print(&format!("{}\n", key.public()))
        }
        KeysCommand::Show { file: Some(file), .. } => print(&format!("{}\n", SecretKey::load(&file)?.public())),
        KeysCommand::Show { home: Some(home), .. } => show_home(&Home::new(home)),
        KeysCommand::Show { .. } => {
            Err(UsageError("expected a key FILE or --home DIR: see assent keys show --help".into()).into())
        }
    }
}

fn show_home(home: &Home) -> Result<()> {
    let mut text = String::new();
    if home.validator_key().exists() {
        let key = SecretKey::load(&home.validator_key())?;
        let _ = writeln!(text, "validator {}", key.public());
    }
    let key = SecretKey::load(&home.node_key())?;
    let _ = writeln!(text, "node      {}", key.public());
    print(&text)
}

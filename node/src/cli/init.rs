//! `assent init`: one new home.

use std::{fmt::Write, path::PathBuf};

use anyhow::{Result, bail};
use assent_consensus::PublicKey;
use assent_genesis::{Genesis, NodeKeys, SecretKey};
use clap::Args;

use super::{UsageError, folder, print};
use crate::{config::Overrides, home::Home};

#[derive(Debug, Args)]
#[command(
    about = "Create the home of one node: keys and configuration",
    after_help = "\
Examples:
  assent init --home /var/lib/assent --name bank-a
      A validator. Send the printed public keys to whoever writes genesis.json.
  assent init --home /var/lib/assent --genesis genesis.json
      When that file is there: checks it and puts it into the home.
  assent init --home /var/lib/follower --genesis genesis.json --follower
      A node without a vote that follows the chain.

For a whole network at once: assent testnet"
)]
pub(super) struct InitArgs {
    /// Folder to create
    #[arg(long, value_name = "DIR", env = "ASSENT_HOME")]
    home: PathBuf,
    /// The node's name in logs and towards peers
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// genesis.json of the network, to be checked and copied
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// No validator key: the node follows the chain without a vote
    #[arg(long)]
    follower: bool,
}

pub(super) fn run(args: &InitArgs) -> Result<()> {
    let home = Home::new(&args.home);
    let genesis = args.genesis.as_deref().map(Genesis::load).transpose()?;
    let keys = if folder::waits_for_genesis(&home) && genesis.is_some() {
        refuse_other_flags(args)?;
        read_keys(&home)?
    } else if folder::is_empty(home.path())? {
        create(args, &home)?
    } else {
        bail!("{home} is not empty: choose a new folder (keys and data are never overwritten)");
    };
    if let Some((genesis, warnings)) = &genesis {
        for warning in warnings {
            eprintln!("{warning}");
        }
        folder::adopt_genesis(&home, genesis)?;
    }
    print(&next_steps(&home, &keys, genesis.as_ref().map(|(genesis, _)| genesis)))
}

/// Public keys of a home.
struct PublicKeys {
    validator: Option<PublicKey>,
    node: PublicKey,
}

fn create(args: &InitArgs, home: &Home) -> Result<PublicKeys> {
    let validator = (!args.follower).then(SecretKey::generate).transpose()?;
    let keys = NodeKeys { name: args.name.clone().unwrap_or_default(), validator, node: SecretKey::generate()? };
    let mut overrides = Overrides::default();
    if let Some(name) = &args.name {
        overrides.text("name", name);
    }
    folder::create_home(home, &keys, &overrides)?;
    Ok(PublicKeys { validator: keys.validator.as_ref().map(SecretKey::public), node: keys.node.public() })
}

/// The home has its keys and configuration; only the genesis is new.
fn refuse_other_flags(args: &InitArgs) -> Result<(), UsageError> {
    if args.follower || args.name.is_some() {
        return Err(UsageError(format!(
            "{} has keys and a configuration and only waits for its genesis: leave --name and \
             --follower out",
            args.home.display()
        )));
    }
    Ok(())
}

fn read_keys(home: &Home) -> Result<PublicKeys> {
    let file = home.validator_key();
    let validator = file.exists().then(|| SecretKey::load(&file)).transpose()?;
    Ok(PublicKeys {
        validator: validator.as_ref().map(SecretKey::public),
        node: SecretKey::load(&home.node_key())?.public(),
    })
}

fn next_steps(home: &Home, keys: &PublicKeys, genesis: Option<&Genesis>) -> String {
    let mut text = format!("Home           {home}\n");
    let node = keys.node;
    if let Some(validator) = &keys.validator {
        let _ = writeln!(text, "Validator key  {validator}");
    }
    let _ = writeln!(text, "Node key       {node}");
    let listed = genesis.as_ref().is_some_and(|genesis| genesis.assent.nodes.iter().any(|listed| listed.key == node));
    if genesis.is_none() {
        let _ = writeln!(
            text,
            "\nNext: send these public keys to whoever writes genesis.json; with that file run\n\
             assent init --home {home} --genesis FILE"
        );
    } else if !listed {
        text.push_str(
            "\nThe node key is not on the node list of this genesis: its nodes will refuse this one \
             until the key is there.\n",
        );
    }
    let _ = writeln!(text, "Then:  assent start --home {home}");
    text
}

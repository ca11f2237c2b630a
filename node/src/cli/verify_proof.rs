//! `assent verify-proof`: checks a proof of `assent_getProofBundle` without any node.

use std::{fs, path::PathBuf};

use alloy_primitives::{B256, utils::format_ether};
use anyhow::{Context, Result};
use assent_genesis::Genesis;
use assent_rpc::{ProofBundle, Trust};
use clap::Args;

use super::{UsageError, print, query::parse_hash};

#[derive(Debug, Args)]
#[command(
    about = "Check a proof of an account, without any node",
    after_help = "\
Examples:
  assent query proof 0xf39F...2266 --block 12 > proof.json
  assent verify-proof proof.json --genesis genesis.json
  assent verify-proof proof.json --genesis-hash 0x8b4c...c3d4 --validators-hash 0x51fe...521b

The genesis file is all that has to be trusted: it names the validators whose votes must be there.
Two hashes do as well: that of block 0, and that of the validators (`assent query validators` shows
it, on a node that you trust). The exit code is 1 when the proof does not hold."
)]
pub(super) struct VerifyProofArgs {
    /// The proof, as `assent query proof` prints it
    #[arg(value_name = "FILE")]
    proof: PathBuf,
    /// The chain's genesis file
    #[arg(long, value_name = "FILE", required_unless_present = "genesis_hash", conflicts_with = "genesis_hash")]
    genesis: Option<PathBuf>,
    /// Without the file: the hash of block 0
    #[arg(long, value_name = "HASH", value_parser = parse_hash, requires = "validators_hash")]
    genesis_hash: Option<B256>,
    /// Without the file: the hash of the validator set
    #[arg(long, value_name = "HASH", value_parser = parse_hash, requires = "genesis_hash")]
    validators_hash: Option<B256>,
}

pub(super) fn run(args: &VerifyProofArgs) -> Result<()> {
    let text = fs::read_to_string(&args.proof).with_context(|| format!("cannot read {}", args.proof.display()))?;
    let bundle: ProofBundle = serde_json::from_str(&text)
        .with_context(|| format!("{}: expected a proof as `assent query proof` prints it", args.proof.display()))?;
    let (proven, by) = match (&args.genesis, args.genesis_hash, args.validators_hash) {
        (Some(file), ..) => (bundle.verify(&Genesis::load(file)?.0), format!("the validators of {}", file.display())),
        (None, Some(genesis), Some(validators)) => (
            bundle.verify_trusting(&Trust { genesis, validators }),
            format!("the validators with the hash {validators}"),
        ),
        _ => return Err(UsageError("give --genesis, or --genesis-hash and --validators-hash".into()).into()),
    };
    let header = proven.with_context(|| format!("{} proves nothing", args.proof.display()))?;
    let mut lines = vec![
        format!("proven by {by}:"),
        format!("block     {} of {} s since 1970", header.number, header.timestamp),
        format!("account   {}", bundle.address),
        format!("balance   {} wei ({} ether)", bundle.balance, format_ether(bundle.balance)),
        format!("nonce     {}", bundle.nonce),
        format!("code hash {}", bundle.code_hash),
    ];
    lines.extend(bundle.storage_proof.iter().map(|slot| format!("slot      {:#x} = {:#x}", slot.key, slot.value)));
    print(&(lines.join("\n") + "\n"))
}

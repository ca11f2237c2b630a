//! `assent verify-proof`: checks a proof of `assent_getProofBundle` without any node.

use std::{fs, path::PathBuf};

use alloy_primitives::utils::format_ether;
use anyhow::{Context, Result};
use assent_genesis::Genesis;
use assent_rpc::ProofBundle;
use clap::Args;

use super::print;

#[derive(Debug, Args)]
#[command(
    about = "Check a proof of an account, without any node",
    after_help = "\
Example:
  assent query proof 0xf39F...2266 --block 12 > proof.json
  assent verify-proof proof.json --genesis genesis.json

The genesis file is all that has to be trusted: it names the validators whose votes must be there. The exit code is 1 when
the proof does not hold."
)]
pub(super) struct VerifyProofArgs {
    /// The proof, as `assent query proof` prints it
    #[arg(value_name = "FILE")]
    proof: PathBuf,
    /// The chain's genesis file
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
}

pub(super) fn run(args: &VerifyProofArgs) -> Result<()> {
    let (genesis, _) = Genesis::load(&args.genesis)?;
    let text = fs::read_to_string(&args.proof).with_context(|| format!("cannot read {}", args.proof.display()))?;
    let bundle: ProofBundle = serde_json::from_str(&text)
        .with_context(|| format!("{}: expected a proof as `assent query proof` prints it", args.proof.display()))?;
    let header = bundle.verify(&genesis).with_context(|| format!("{} proves nothing", args.proof.display()))?;
    let mut lines = vec![
        format!("proven by the validators of {}:", args.genesis.display()),
        format!("block     {} of {} s since 1970", header.number, header.timestamp),
        format!("account   {}", bundle.address),
        format!("balance   {} wei ({} ether)", bundle.balance, format_ether(bundle.balance)),
        format!("nonce     {}", bundle.nonce),
        format!("code hash {}", bundle.code_hash),
    ];
    lines.extend(bundle.storage_proof.iter().map(|slot| format!("slot      {:#x} = {:#x}", slot.key, slot.value)));
    print(&(lines.join("\n") + "\n"))
}

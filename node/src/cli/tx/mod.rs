//! `assent tx`: sending a transaction and waiting until it is final.
//!
//! The key never leaves this process: what is sent is signed. Exit code 1 also when the transaction is final but
//! failed.

mod key;
mod send;
mod wait;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rpc_types_eth::TransactionReceipt;
use anyhow::{Result, anyhow};
use clap::{Args, Subcommand};
use serde::Serialize;
use tokio::time::Instant;

use self::send::{Plan, Signed};
use super::{
    UsageError,
    amount::{Amount, ether},
    print,
    query::{parse_address, parse_hash, status_of},
    status::explain,
    table::Lines,
};
use crate::jsonrpc::{CallError, JsonRpc};

/// Time in which a node must answer.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
#[command(
    about = "Send a transaction, wait until it is final",
    after_help = "\
Examples:
  assent tx send --to 0x7099...79C8 --value 1ether --private-key-file key
  assent tx wait 0xec08...21e5

assent tx send --help tells more."
)]
pub(super) struct TxArgs {
    #[command(subcommand)]
    command: TxCommand,
}

#[derive(Debug, Subcommand)]
enum TxCommand {
    /// Sign a transaction here, send it, wait until it is final
    Send(Box<SendArgs>),
    /// Wait until a transaction is final
    Wait(WaitArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  assent tx send --to 0x7099...79C8 --value 1ether --private-key-file key
  ASSENT_PRIVATE_KEY=$(pass show my-key) assent tx send --to 0x7099...79C8 --value 20gwei
  assent tx send --to 0x5FbD...0aa3 --data 0xd09de08a --private-key-file key     call a contract
  assent tx send --create --data 0x6080...0033 --private-key-file key            create one
  assent tx send --to 0x7099...79C8 --value 1ether --no-wait --json | jq -r .hash

The key: a file of mode 0600 with 0x and 64 hexadecimal digits, or ASSENT_PRIVATE_KEY; never an
argument, which every user of the machine can see. Amounts have a unit: ether, gwei or wei.

The exit code is 0 when the transaction is final and did what it should (with --no-wait: when the
node took it), 1 when not.")]
struct SendArgs {
    /// Whom to send to
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address, required_unless_present = "create")]
    to: Option<Address>,
    /// Create a contract with --data as its code
    #[arg(long, conflicts_with = "to", requires = "data")]
    create: bool,
    /// How much to send, such as 1ether, 20gwei or 7wei
    #[arg(long, value_name = "AMOUNT", default_value = "0")]
    value: Amount,
    /// Data for a contract, or its code
    #[arg(long, value_name = "0xHEX", value_parser = parse_data)]
    data: Option<Bytes>,
    /// File with the private key (mode 0600) [otherwise: env ASSENT_PRIVATE_KEY]
    #[arg(long, value_name = "FILE")]
    private_key_file: Option<PathBuf>,
    /// Takes no key: says why
    #[arg(long, value_name = "KEY", hide = true, num_args = 0..=1, default_missing_value = "")]
    private_key: Option<String>,
    /// Most gas that it may use [default: what the node estimates]
    #[arg(long, value_name = "N")]
    gas: Option<u64>,
    /// Most that is paid per gas [default: twice the base fee, and the tip]
    #[arg(long, value_name = "AMOUNT", conflicts_with_all = ["legacy", "gas_price"])]
    max_fee: Option<Amount>,
    /// Tip per gas for the proposer [default: what the node suggests]
    #[arg(long, value_name = "AMOUNT", conflicts_with_all = ["legacy", "gas_price"])]
    priority_fee: Option<Amount>,
    /// Send a legacy transaction in place of one of type 2 (EIP-1559)
    #[arg(long)]
    legacy: bool,
    /// Price per gas of a legacy transaction [default: what the node suggests]
    #[arg(long, value_name = "AMOUNT", requires = "legacy")]
    gas_price: Option<Amount>,
    /// The account's number of transactions before this one [default: what the node says, with those that wait]
    #[arg(long, value_name = "N")]
    nonce: Option<u64>,
    /// Do not wait until it is final
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  assent tx wait 0xec081b23...ffd821e5
  assent tx wait 0xec081b23...ffd821e5 --timeout 5min --json")]
struct WaitArgs {
    /// The transaction's hash
    #[arg(value_name = "HASH", value_parser = parse_hash)]
    hash: B256,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Args)]
struct CommonArgs {
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = wait::parse_limit)]
    timeout: Duration,
    /// The node's JSON-RPC
    #[arg(long, value_name = "URL", env = "ETH_RPC_URL", default_value = "http://127.0.0.1:8545")]
    rpc: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn parse_data(text: &str) -> Result<Bytes, String> {
    let data = text.starts_with("0x").then(|| text.parse().ok()).flatten();
    data.ok_or_else(|| format!("expected 0x and an even number of hexadecimal digits, got \"{text}\""))
}

pub(super) async fn run(args: TxArgs) -> Result<ExitCode> {
    match args.command {
        TxCommand::Send(args) => send(&args).await,
        TxCommand::Wait(args) => wait(&args).await,
    }
}

/// What is told in JSON. Amounts are decimal strings in wei.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    hash: B256,
    /// `sent`, `success` or `failed`.
    status: &'static str,
    from: Address,
    to: Option<Address>,
    /// Null after `tx wait`.
    nonce: Option<u64>,
    contract_address: Option<Address>,
    block_number: Option<u64>,
    block_hash: Option<B256>,
    gas_used: Option<u64>,
    effective_gas_price: Option<String>,
    fee: Option<String>,
    /// From just before sending until this program saw that it is final; null after `tx wait`.
    finality_ms: Option<u64>,
}

async fn send(args: &SendArgs) -> Result<ExitCode> {
    if args.private_key.is_some() {
        return Err(UsageError(key::NEVER_AN_ARGUMENT.to_string()).into());
    }
    let key = key::load(args.private_key_file.as_deref(), std::env::var(key::VARIABLE).ok())?;
    let node = JsonRpc::new(&args.common.rpc, TIMEOUT)?;
    let plan = Plan::make(&node, args, key.address()).await?;
    let signed = plan.sign(&key)?;
    drop(key);
    let start = Instant::now();
    submit(&node, &signed).await?;
    let mut outcome = Outcome::sent(&plan, signed.hash);
    let mut lines = plan_lines(&plan, signed.hash);
    if args.no_wait {
        lines.add("Status", format!("sent; assent tx wait {} tells when it is final", signed.hash));
        return show(args.common.json, &lines, &outcome);
    }
    if !args.common.json {
        eprintln!("sent {}, waiting until it is final", signed.hash);
    }
    let receipt = wait::until_final(&node, signed.hash, start, args.common.timeout).await?;
    let passed = milliseconds(start.elapsed());
    outcome.finished(&receipt, Some(passed));
    receipt_lines(&mut lines, &receipt, Some(plan.gas));
    lines.add("Final after", format!("{passed} ms"));
    show(args.common.json, &lines, &outcome)
}

async fn wait(args: &WaitArgs) -> Result<ExitCode> {
    let node = JsonRpc::new(&args.common.rpc, TIMEOUT)?;
    let start = Instant::now();
    let receipt = wait::until_final(&node, args.hash, start, args.common.timeout).await?;
    let mut outcome = Outcome::of(&receipt);
    outcome.finished(&receipt, None);
    let mut lines = Lines::default();
    lines.add("Transaction", args.hash);
    lines.add("From", receipt.from);
    lines.add("To", receipt.to.map_or_else(|| "creates a contract".to_string(), |to| to.to_string()));
    receipt_lines(&mut lines, &receipt, None);
    lines.add("Waited", format!("{} ms", milliseconds(start.elapsed())));
    show(args.common.json, &lines, &outcome)
}

/// Hands the transaction to the node.
async fn submit(node: &JsonRpc, signed: &Signed) -> Result<()> {
    let Signed { raw, hash } = signed;
    match node.call::<B256>("eth_sendRawTransaction", [raw]).await {
        Ok(_) => Ok(()),
        Err(CallError::Refused { error, .. }) => {
            Err(anyhow!("{} did not take the transaction: {error}. Nothing was sent", node.url()))
        }
        Err(error @ CallError::Unreachable { .. }) => Err(explain(node, error)
            .context(format!("the transaction {hash} may have been sent or not; assent tx wait {hash} tells"))),
        Err(error) => Err(error.into()),
    }
}

impl Outcome {
    fn sent(plan: &Plan, hash: B256) -> Self {
        Self {
            hash,
            status: "sent",
            from: plan.from,
            to: plan.to.to().copied(),
            nonce: Some(plan.nonce),
            ..Self::default()
        }
    }

    fn of(receipt: &TransactionReceipt) -> Self {
        Self { hash: receipt.transaction_hash, status: "sent", from: receipt.from, to: receipt.to, ..Self::default() }
    }

    fn finished(&mut self, receipt: &TransactionReceipt, finality_ms: Option<u64>) {
        self.status = if receipt.status() { "success" } else { "failed" };
        self.contract_address = receipt.contract_address;
        self.block_number = receipt.block_number;
        self.block_hash = receipt.block_hash;
        self.gas_used = Some(receipt.gas_used);
        self.effective_gas_price = Some(receipt.effective_gas_price.to_string());
        self.fee = Some(fee(receipt).to_string());
        self.finality_ms = finality_ms;
    }
}

fn fee(receipt: &TransactionReceipt) -> U256 {
    U256::from(receipt.effective_gas_price) * U256::from(receipt.gas_used)
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn plan_lines(plan: &Plan, hash: B256) -> Lines {
    let mut lines = Lines::default();
    lines.add("Transaction", hash);
    lines.add("From", format!("{}, nonce {}", plan.from, plan.nonce));
    lines.add("To", plan.to.to().map_or_else(|| "creates a contract".to_string(), Address::to_string));
    lines.add("Value", ether(plan.value));
    lines
}

fn receipt_lines(lines: &mut Lines, receipt: &TransactionReceipt, limit: Option<u64>) {
    lines.add("Status", format!("final, {}", status_of(receipt)));
    let number = receipt.block_number.unwrap_or_default();
    lines.add("Block", format!("{number}, {}", receipt.block_hash.unwrap_or_default()));
    if let Some(contract) = receipt.contract_address {
        lines.add("Contract", contract);
    }
    let limit = limit.map_or_else(String::new, |limit| format!(" of at most {limit}"));
    lines.add("Gas", format!("{}{limit}", receipt.gas_used));
    lines.add("Fee", ether(fee(receipt)));
}

fn show(json: bool, lines: &Lines, outcome: &Outcome) -> Result<ExitCode> {
    let text = if json { format!("{}\n", serde_json::to_string(outcome)?) } else { lines.text() };
    print(&text)?;
    Ok(ExitCode::from(u8::from(outcome.status == "failed")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        tx: TxArgs,
    }

    const TO: [&str; 4] = ["tx", "send", "--to", "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"];

    fn parse(more: &[&str]) -> Result<SendArgs, String> {
        let line = Line::try_parse_from(TO.iter().chain(more)).map_err(|error| error.to_string())?;
        match line.tx.command {
            TxCommand::Send(args) => Ok(*args),
            TxCommand::Wait(_) => unreachable!("send was said"),
        }
    }

    #[test]
    fn flags_fit_together() {
        let args = parse(&["--value", "1ether", "--data", "0x0102"]).unwrap();
        assert_eq!(args.data.unwrap().as_ref(), [1, 2]);
        assert_eq!(args.common.timeout, Duration::from_secs(60));
        parse(&["--legacy", "--gas-price", "1gwei"]).unwrap();
        for (flags, words) in [
            (&["--value", "1"][..], "names no unit"),
            (&["--data", "0102"], "0x and an even number"),
            (&["--data", "0x012"], "0x and an even number"),
            (&["--gas-price", "1gwei"], "--legacy"),
            (&["--legacy", "--max-fee", "1gwei"], "cannot be used with"),
            (&["--create", "--data", "0x00"], "cannot be used with"),
            (&["--timeout", "60"], "60s or 5min"),
        ] {
            let error = parse(flags).unwrap_err();
            assert!(error.contains(words), "{flags:?}: {error}");
        }
        assert!(Line::try_parse_from(["tx", "send"]).unwrap_err().to_string().contains("--to"));
        assert!(Line::try_parse_from(["tx", "send", "--create"]).unwrap_err().to_string().contains("--data"));
    }

    #[tokio::test]
    async fn a_key_on_the_command_line_is_refused_and_not_repeated() {
        for flags in [&["--private-key", "0xsecret"][..], &["--private-key=0xsecret"], &["--private-key"]] {
            let error = send(&parse(flags).unwrap()).await.unwrap_err();
            let text = error.to_string();
            assert!(error.is::<UsageError>() && text.contains("--private-key-file"), "{text}");
            assert!(!text.contains("secret"), "{text}");
        }
    }
}

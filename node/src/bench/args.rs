//! The command line of `assent bench`.

use std::time::Duration;

use alloy_primitives::B256;
use clap::{Args, ValueEnum};

use crate::cli::UsageError;

/// What each transaction does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// 1 wei to an address that nobody else pays, in turn.
    Transfer,
    /// 1 wei to one address that everybody pays.
    HotRecipient,
}

/// Arguments of `assent bench`.
#[derive(Debug, Clone, Args)]
#[command(
    about = "Measure a chain under load",
    long_about = "Measure a chain under load.\n\n\
Sends signed transfers at a fixed rate, whether or not earlier ones have been answered (open loop), \
and measures the time from the moment when each should have been sent to the moment when the node \
that it was sent to serves its receipt. At the end every transaction is accounted for. It speaks \
plain Ethereum JSON-RPC and so measures other chains as well.",
    after_help = "\
Examples:
  assent bench --rate 100 --duration 30s
      A devnet's first node, 100 transactions per second.
  assent bench --rpc http://127.0.0.1:8545,http://127.0.0.1:8546 --rate 1500 --duration 1m --json
      Two nodes take turns; the result as JSON for a script.
  assent bench --rpc http://127.0.0.1:8545 --funder 0xac09... --legacy
      Another chain, with the key of an account that can pay.

The exit code is 0 when every transaction was included and succeeded, else 1."
)]
pub struct BenchArgs {
    /// Nodes to send to; each sender keeps to one of them
    #[arg(long, value_name = "URL[,URL...]", value_delimiter = ',', default_value = "http://127.0.0.1:8545")]
    pub rpc: Vec<String>,
    /// Transactions per second, over all nodes
    #[arg(long, value_name = "N", default_value = "100", value_parser = positive)]
    pub rate: u32,
    /// How long to measure
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    pub duration: Duration,
    /// How long to send at the same rate before measuring
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    pub warmup: Duration,
    /// What the transactions do
    #[arg(long, value_enum, default_value = "transfer")]
    pub kind: Kind,
    /// Send legacy transactions instead of EIP-1559 ones
    #[arg(long)]
    pub legacy: bool,
    /// Accounts that send, in turn
    #[arg(long, value_name = "N", default_value = "1000", value_parser = positive)]
    pub senders: u32,
    /// Which accounts: the same seed gives the same ones
    #[arg(long, value_name = "N", default_value = "0")]
    pub seed: u64,
    /// Private key of the account that funds the senders [default: the first development account]
    #[arg(long, value_name = "KEY", env = "ASSENT_BENCH_FUNDER", hide_env_values = true)]
    pub funder: Option<PrivateKey>,
    /// Transactions in one request at most
    #[arg(long, value_name = "N", default_value = "100", value_parser = positive)]
    pub batch: u32,
    /// Connections per node that submit
    #[arg(long, value_name = "N", default_value = "2", value_parser = positive)]
    pub connections: u32,
    /// Least time between two requests of a connection, so that more of them share one
    #[arg(long, value_name = "TIME", default_value = "10ms", value_parser = humantime::parse_duration)]
    pub tick: Duration,
    /// How often to look for a new block at each node
    #[arg(long, value_name = "TIME", default_value = "5ms", value_parser = humantime::parse_duration)]
    pub poll: Duration,
    /// How long to wait for the last transactions before they count as lost
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    pub deadline: Duration,
    /// Receipts to check at the end, evenly picked [default: all]
    #[arg(long, value_name = "N")]
    pub receipts: Option<usize>,
    /// Print the result as JSON (its shape is described in the source, bench/report.rs)
    #[arg(long)]
    pub json: bool,
}

/// The text of a private key. Neither `Debug` nor an error ever shows it.
#[derive(Clone)]
pub struct PrivateKey(String);

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateKey")
    }
}

impl From<String> for PrivateKey {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl PrivateKey {
    /// The key itself.
    pub(super) fn read(&self) -> Result<B256, UsageError> {
        self.0
            .trim()
            .parse()
            .map_err(|_| UsageError("--funder: expected a private key: 64 hex digits, with or without 0x".into()))
    }
}

fn positive(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("expected a whole number of at least 1".into()),
        Ok(number) => Ok(number),
    }
}

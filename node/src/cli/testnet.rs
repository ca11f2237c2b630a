//! `assent testnet`: the homes of a whole network, for one machine or several.

use std::{collections::BTreeMap, fmt::Write, path::PathBuf, str::FromStr};

use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, U256, utils::parse_ether};
use anyhow::{Context, Result};
use assent_genesis::{DEV_CHAIN_ID, NetworkPlan};
use clap::Args;

use super::{NetworkFolder, Ports, Stakes, UsageError, print, unix_now};

/// Ether of an account for which `--fund` names no amount.
const DEFAULT_ETHER: u64 = 1_000;

#[derive(Debug, Args)]
#[command(
    about = "Create the homes of a whole network",
    after_help = "\
Examples:
  assent testnet --validators 4 --stake 40,30,20,10 --output net
      Four validators on this machine: start each with assent start --home net/nodeI
  assent testnet --hosts 10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4 --output net --chain-id 2024
      One per machine: copy net/nodeI to machine I and start it there. The folder holds secret keys.
  assent testnet --followers 2 --fund 0xYourAddress=5000 --output net
      Two nodes without a vote beside the validators, and an account with 5,000 ether."
)]
pub(super) struct TestnetArgs {
    /// Folder to create
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// How many validators [default: one per stake, or 4]
    #[arg(long, value_name = "N")]
    validators: Option<usize>,
    /// Stake of each validator, or one number for all [default: 40,30,20,10 for four, else 10 each]
    #[arg(long, value_name = "S,S,...")]
    stake: Option<Stakes>,
    /// How many nodes without a vote beside them
    #[arg(long, value_name = "N", default_value = "0")]
    followers: usize,
    /// The chain's id, in every transaction's signature
    #[arg(long, value_name = "ID", default_value_t = DEV_CHAIN_ID)]
    chain_id: u64,
    /// Addresses or names by which the nodes reach each other: one per node, or one for all
    #[arg(long, value_name = "H,H,...", value_delimiter = ',', default_value = "127.0.0.1")]
    hosts: Vec<String>,
    /// First p2p port; further nodes on the same host take the next ones
    #[arg(long, value_name = "PORT", default_value = "30303")]
    p2p_port: u16,
    /// First JSON-RPC port, likewise
    #[arg(long, value_name = "PORT", default_value = "8545")]
    rpc_port: u16,
    /// First metrics port, likewise
    #[arg(long, value_name = "PORT", default_value = "9545")]
    metrics_port: u16,
    /// Give an account ether at the start (1000 unless said)
    #[arg(long, value_name = "ADDRESS[=ETHER]")]
    fund: Vec<Fund>,
    /// Give the ten well-known development accounts 10,000 ether each; anybody can spend it
    #[arg(long)]
    dev_accounts: bool,
}

/// `ADDRESS[=ETHER]`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fund {
    address: Address,
    wei: U256,
}

impl FromStr for Fund {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, ether) = match text.split_once('=') {
            Some((address, ether)) => (address, Some(ether)),
            None => (text, None),
        };
        let address = address
            .parse()
            .map_err(|_| format!("expected an address of 40 hex digits such as 0xf39F...2266, got \"{address}\""))?;
        let default = DEFAULT_ETHER.to_string();
        let ether = ether.unwrap_or(&default);
        let wei = parse_ether(ether)
            .map_err(|_| format!("expected an amount of ether such as 5000 or 0.5, got \"{ether}\""))?;
        Ok(Self { address, wei })
    }
}

pub(super) fn run(args: &TestnetArgs) -> Result<()> {
    let stakes = Stakes::resolve(args.validators, args.stake.as_ref())?;
    let mut plan = NetworkPlan::new(args.chain_id, stakes);
    plan.timestamp = unix_now()?;
    plan.followers = args.followers;
    plan.fund_dev_accounts = args.dev_accounts;
    let funded = args.fund.iter().map(|fund| {
        let account = GenesisAccount::default().with_balance(fund.wei);
        (fund.address, account)
    });
    plan.alloc = funded.collect();
    plan.hosts = hosts(&args.hosts, plan.nodes())?;
    let ports = ports(args, &plan.hosts)?;
    plan.p2p_ports = ports.iter().map(|ports| ports.p2p).collect();
    let folder = NetworkFolder::create(&args.output, &plan, &ports)?;
    for warning in folder.genesis.validate() {
        eprintln!("{warning}");
    }
    if plan.alloc.is_empty() && !plan.fund_dev_accounts {
        eprintln!("warning: no account has any ether: --fund ADDRESS or --dev-accounts gives some");
    }
    print(&next_steps(&folder, &plan.hosts))
}

/// One host per node.
fn hosts(given: &[String], nodes: usize) -> Result<Vec<String>, UsageError> {
    match given {
        [one] => Ok(vec![one.clone(); nodes]),
        all if all.len() == nodes => Ok(all.to_vec()),
        all => Err(UsageError(format!(
            "--hosts names {} hosts for {nodes} nodes: give one per node, or one for all",
            all.len()
        ))),
    }
}

/// The ports of each node: the first ones, or the next that its host has free in this network.
fn ports(args: &TestnetArgs, hosts: &[String]) -> Result<Vec<Ports>> {
    let mut on_host: BTreeMap<&str, u16> = BTreeMap::new();
    let mut ports = Vec::new();
    for host in hosts {
        let number = on_host.entry(host).or_default();
        let port = |first: u16, what: &str| {
            first.checked_add(*number).with_context(|| {
                format!("{what} {first} leaves too few ports up to 65535 for all nodes: choose a lower one")
            })
        };
        ports.push(Ports {
            p2p: port(args.p2p_port, "--p2p-port")?,
            rpc: port(args.rpc_port, "--rpc-port")?,
            metrics: port(args.metrics_port, "--metrics-port")?,
            explorer: None,
            loopback: is_loopback(host),
            all_namespaces: false,
        });
        *number += 1;
    }
    Ok(ports)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn next_steps(folder: &NetworkFolder, hosts: &[String]) -> String {
    let mut text = format!(
        "Created {} homes in {} (chain {}, genesis hash {})\n\n",
        folder.homes.len(),
        folder.path.display(),
        folder.genesis.chain_id(),
        folder.genesis.hash()
    );
    let nodes = folder.genesis.assent.nodes.iter();
    for ((home, node), host) in folder.homes.iter().zip(nodes).zip(hosts) {
        let stake = folder
            .genesis
            .assent
            .validators
            .iter()
            .find(|validator| validator.node_key == node.key)
            .map_or("follower".to_string(), |validator| format!("stake {}", validator.stake));
        let _ = writeln!(text, "  {:12} {stake:16} on {host:15} assent start --home {home}", node.name);
    }
    text.push_str("\nThe homes hold secret keys: give each to its operator alone.\n");
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn fund(text: &str) -> Result<Fund, String> {
        text.parse()
    }

    #[test]
    fn funds_are_an_address_and_ether() {
        let address = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
        let ether = U256::from(10).pow(U256::from(18));
        assert_eq!(fund(address).unwrap().wei, U256::from(1_000) * ether);
        assert_eq!(fund(&format!("{address}=0.5")).unwrap().wei, ether / U256::from(2));
        assert!(fund("0x12").unwrap_err().contains("40 hex digits"));
        assert!(fund(&format!("{address}=much")).unwrap_err().contains("amount of ether"));
    }

    #[test]
    fn hosts_are_one_or_one_per_node() {
        let list = |text: &str| -> Vec<String> { text.split(',').map(String::from).collect() };
        assert_eq!(hosts(&list("a"), 2).unwrap(), ["a", "a"]);
        assert_eq!(hosts(&list("a,b"), 2).unwrap(), ["a", "b"]);
        assert!(hosts(&list("a,b"), 3).is_err());
    }
}

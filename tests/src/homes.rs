//! The homes of a test network, made with the commands that an operator uses.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{
    accounts::{self, Account},
    cluster::{Plan, read_json, run_assent},
    ports,
    proxy::Links,
};

/// Writes a home per validator and follower below `folder`; the homes, validators first.
pub(crate) fn write(folder: &Path, plan: &Plan, offset: u16) -> Result<Vec<PathBuf>> {
    let network = folder.join("network");
    let homes = (0..plan.nodes()).map(|number| network.join(format!("node{number}"))).collect::<Vec<_>>();
    if !plan.has_own_genesis() {
        testnet(&network, plan, offset)?;
        return Ok(homes);
    }
    // The signer's mark binds a home to its genesis: another genesis needs homes of its own.
    let template = folder.join("template");
    testnet(&template, plan, offset)?;
    let mut genesis = read_json(&template.join("genesis.json"))?;
    for (number, home) in homes.iter().enumerate() {
        create(home, number, plan, &mut genesis)?;
    }
    for (parameter, value) in &plan.consensus {
        genesis["assent"]["consensus"][*parameter] = json!(value);
    }
    let file = network.join("genesis.json");
    fs::write(&file, genesis.to_string())?;
    for home in &homes {
        run_assent(&["init", "--home", &home.to_string_lossy(), "--genesis", &file.to_string_lossy()])?;
    }
    Ok(homes)
}

/// All homes at once, with `assent testnet`.
fn testnet(network: &Path, plan: &Plan, offset: u16) -> Result<()> {
    let stakes: Vec<String> = plan.stakes.iter().map(u64::to_string).collect();
    let port = |first: u16| (first + offset).to_string();
    let mut arguments: Vec<String> = vec!["testnet".into()];
    for (flag, value) in [
        ("--stake", stakes.join(",")),
        ("--validators", plan.stakes.len().to_string()),
        ("--followers", plan.followers.to_string()),
        ("--chain-id", accounts::CHAIN_ID.to_string()),
        ("--rpc-port", port(ports::RPC)),
        ("--p2p-port", port(ports::P2P)),
        ("--metrics-port", port(ports::METRICS)),
        ("--output", network.to_string_lossy().into_owned()),
    ] {
        arguments.extend([flag.into(), value]);
    }
    for account in Account::tests(plan.accounts)? {
        arguments.extend(["--fund".into(), format!("{}={}", account.address(), accounts::FUNDS_ETHER)]);
    }
    run_assent(&arguments)?;
    Ok(())
}

/// Creates one home with `assent init`, without a genesis yet, and puts its public keys into the genesis. Where the
/// nodes reach each other through links only, the genesis names no addresses.
fn create(home: &Path, number: usize, plan: &Plan, genesis: &mut Value) -> Result<()> {
    let (path, name) = (home.to_string_lossy(), format!("node{number}"));
    let mut arguments = vec!["init", "--home", path.as_ref(), "--name", &name];
    let validates = number < plan.stakes.len();
    if !validates {
        arguments.push("--follower");
    }
    let printed = run_assent(&arguments)?;
    let node = &mut genesis["assent"]["nodes"][number];
    node["key"] = json!(told(&printed, "Node key")?);
    if plan.links.is_some() {
        node["addresses"] = json!([]);
    }
    if validates {
        let validator = &mut genesis["assent"]["validators"][number];
        validator["key"] = json!(told(&printed, "Validator key")?);
        validator["nodeKey"] = json!(told(&printed, "Node key")?);
    }
    Ok(())
}

/// What stands behind a label in what `assent init` prints.
fn told<'a>(printed: &'a str, label: &str) -> Result<&'a str> {
    let value = printed.lines().find_map(|line| line.strip_prefix(label)).map(str::trim);
    value.with_context(|| format!("assent init printed no {label}:\n{printed}"))
}

/// What a node is started with beyond its home: its ports, which only `assent testnet` writes into the configuration,
/// and where it finds its peers when that is at the links.
pub(crate) fn arguments(
    home: &Path,
    plan: &Plan,
    index: usize,
    offset: u16,
    links: Option<&Links>,
) -> Result<Vec<String>> {
    if !plan.has_own_genesis() {
        return Ok(Vec::new());
    }
    let number = offset + u16::try_from(index)?;
    let mut arguments = Vec::new();
    for (flag, value) in [
        ("--p2p-listen", format!("/ip4/127.0.0.1/tcp/{}", ports::P2P + number)),
        ("--rpc-listen", format!("127.0.0.1:{}", ports::RPC + number)),
        ("--metrics-listen", format!("127.0.0.1:{}", ports::METRICS + number)),
    ] {
        arguments.extend([flag.to_string(), value]);
    }
    if let Some(links) = links {
        let genesis = read_json(&home.join("genesis.json"))?;
        let mut peers = Vec::new();
        for other in links.others(index) {
            let key = genesis["assent"]["nodes"][other]["key"].as_str().context("a node without a key")?;
            peers.push(format!("{key}@/ip4/127.0.0.1/tcp/{}", links.address(index, other).port()));
        }
        arguments.extend(["--p2p-peers".to_string(), peers.join(",")]);
    }
    Ok(arguments)
}

//! `assent devnet`: a network with one command, ended in good order, taken up again, and no process left.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::Path,
    time::Duration,
};

use alloy::primitives::{Address, U256};
use anyhow::{Context, Result, ensure};
use assent_tests::{accounts::Account, checks, devnet::Devnet, ports, process::is_alive, rpc::Rpc, turn::Turn, wait};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(30);
const SOMEBODY: Address = Address::repeat_byte(0x44);

async fn all_gone(ids: &[u32]) -> Result<()> {
    wait::until_true(format!("the nodes {ids:?} have ended"), LIMIT, async || {
        Ok::<_, anyhow::Error>(ids.iter().all(|id| !is_alive(*id)))
    })
    .await
}

/// Sends 5 wei from a development account and waits until each node shows the receipt.
async fn pay(devnet: &Devnet, nodes: &[Rpc]) -> Result<alloy::primitives::B256> {
    let payer = devnet.description.accounts.first().context("no account")?;
    let signer = payer.private_key.parse().context("private key")?;
    let mut account = Account::with_signer(signer);
    ensure!(account.address() == payer.address, "key and address do not belong together");
    account.nonce = nodes[0].nonce(account.address()).await?;
    let transfer = account.transfer(SOMEBODY, U256::from(5))?;
    transfer.submit(&nodes[0]).await?;
    for node in nodes {
        wait::until_true(format!("the receipt is at {}", node.url()), LIMIT, async || {
            Ok::<_, anyhow::Error>(node.receipt(transfer.hash).await?.is_some())
        })
        .await?;
    }
    Ok(transfer.hash)
}

/// The transaction that the README hands in with curl works, and has the hash that it says.
async fn readme_is_true(nodes: &[Rpc]) -> Result<()> {
    let readme = include_str!("../../README.md");
    let quoted = |method: &str| {
        let (_, rest) = readme.split_once(method)?;
        let (_, rest) = rest.split_once("[\"")?;
        Some(rest.split_once('"')?.0.to_string())
    };
    let raw = quoted("eth_sendRawTransaction").context("no transaction in the README")?;
    let hash = quoted("eth_getTransactionReceipt").context("no receipt in the README")?;
    let answer = nodes[2].call("eth_sendRawTransaction", json!([raw])).await?;
    ensure!(answer == json!(hash), "{answer}");
    wait::until_true("the README's transaction is final", LIMIT, async || {
        Ok::<_, anyhow::Error>(nodes[3].receipt(hash.parse()?).await?.is_some())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_devnet_starts_ends_and_resumes() -> Result<()> {
    let _turn = Turn::take().await?;
    let folder = tempfile::tempdir()?;
    let (dir, log) = (folder.path().join("net"), folder.path().join("log"));
    let offset = ports::free_offset(4)?;
    let mut devnet = Devnet::start(&dir, offset, &["--stake", "40,30,20,10"], &log).await?;

    let told = &devnet.description;
    ensure!(told.chain_id == 31337, "{told:?}");
    ensure!(told.nodes.iter().map(|node| node.stake).eq([40, 30, 20, 10]), "{told:?}");
    ensure!(told.accounts.len() == 10, "{told:?}");
    // The first account of Hardhat and anvil.
    ensure!(told.accounts[0].address.to_string() == "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
    for (node, number) in told.nodes.iter().zip(offset..) {
        ensure!(node.rpc.contains(&(ports::RPC + number).to_string()), "{node:?}");
        ensure!(node.ws.starts_with("ws://"), "{node:?}");
        ensure!(node.metrics.contains(&(ports::METRICS + number).to_string()), "{node:?}");
        ensure!(Path::new(&node.home).is_dir(), "{node:?}");
    }
    let nodes = devnet.rpcs()?;
    readme_is_true(&nodes).await?;
    let first = pay(&devnet, &nodes).await?;
    let ids = devnet.node_ids();
    devnet.stop(LIMIT).await?;
    all_gone(&ids).await?;
    let printed = devnet.process.printed();
    ensure!(printed.contains("ready") || printed.contains("Ready"), "{printed}");
    drop(devnet);

    // The same folder: the same chain goes on.
    let mut devnet = Devnet::start(&dir, offset, &[], &log).await?;
    for node in &nodes {
        ensure!(node.receipt(first).await?.is_some(), "{} lost a final transaction", node.url());
    }
    pay(&devnet, &nodes).await?;
    for node in &nodes {
        ensure!(node.balance(SOMEBODY).await? == U256::from(10));
    }
    checks::same_chain(&nodes.iter().collect::<Vec<_>>()).await?;
    let ids = devnet.node_ids();
    devnet.stop(LIMIT).await?;
    all_gone(&ids).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_node_outlives_a_killed_devnet() -> Result<()> {
    let _turn = Turn::take().await?;
    let folder = tempfile::tempdir()?;
    let (dir, log) = (folder.path().join("net"), folder.path().join("log"));
    let mut devnet = Devnet::start(&dir, ports::free_offset(2)?, &["--validators", "2"], &log).await?;
    let ids = devnet.node_ids();
    ensure!(ids.len() == 2);
    devnet.kill()?;
    all_gone(&ids).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named_with_its_setting() -> Result<()> {
    let _turn = Turn::take().await?;
    let folder = tempfile::tempdir()?;
    let (dir, log) = (folder.path().join("net"), folder.path().join("log"));
    let offset = ports::free_offset(2)?;
    let port = ports::RPC + offset + 1;
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let mut process = Devnet::spawn(&dir, offset, &["--validators", "2"], &log)?;
    let status = process.wait(LIMIT).await?;
    drop(taken);
    let printed = process.printed();
    ensure!(!status.success(), "devnet took a port that is in use:\n{printed}");
    ensure!(printed.contains(&port.to_string()), "the port is not named:\n{printed}");
    ensure!(printed.contains("--port-offset"), "the setting is not named:\n{printed}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn websockets_answer_on_the_same_port() -> Result<()> {
    use alloy::providers::{Provider, ProviderBuilder, WsConnect};
    let _turn = Turn::take().await?;
    let folder = tempfile::tempdir()?;
    let (dir, log) = (folder.path().join("net"), folder.path().join("log"));
    let mut devnet = Devnet::start(&dir, ports::free_offset(1)?, &["--validators", "1"], &log).await?;
    let node = devnet.description.nodes.first().context("no node")?;
    let provider = ProviderBuilder::new().connect_ws(WsConnect::new(&node.ws)).await?;
    ensure!(provider.get_chain_id().await? == 31337);
    let id: String = provider.raw_request("net_version".into(), json!([])).await?;
    ensure!(id == "31337");
    drop(provider);
    devnet.stop(LIMIT).await
}

//! Ethereum's tools work unchanged: each of them deploys, sends, calls, watches, decodes and proves as its users do.
//! What they do stands in `tests/tools`.

use std::time::Duration;

use anyhow::{Result, ensure};
use assent_tests::{devnet::Devnet, ports, tools, turn::Turn};

const LIMIT: Duration = Duration::from_secs(30);

/// Runs a program against a network of its own; it prints a line for each of the things that it checks.
async fn passes(program: &[&str], least: usize) -> Result<()> {
    passes_on(&[], program, least).await
}

/// The same on a network with these arguments of `assent devnet`.
async fn passes_on(network: &[&str], program: &[&str], least: usize) -> Result<()> {
    if tools::folder().is_none() {
        return Ok(());
    }
    let _turn = Turn::take().await?;
    let folder = tempfile::tempdir()?;
    let (dir, log) = (folder.path().join("net"), folder.path().join("log"));
    let mut devnet = Devnet::start(&dir, ports::free_offset(4)?, network, &log).await?;
    let printed = tools::run(&devnet, program).await?;
    println!("{printed}");
    let checked = printed.lines().filter(|line| line.starts_with("ok  ")).count();
    ensure!(checked >= least, "{checked} things were checked, expected at least {least}:\n{printed}");
    devnet.stop(LIMIT).await
}

#[tokio::test(flavor = "multi_thread")]
async fn cast_and_forge() -> Result<()> {
    passes(&["foundry.sh"], 19).await
}

#[tokio::test(flavor = "multi_thread")]
async fn ethers_6() -> Result<()> {
    passes(&["node", "ethers.mjs"], 26).await
}

#[tokio::test(flavor = "multi_thread")]
async fn viem_2() -> Result<()> {
    passes(&["node", "viem.mjs"], 20).await
}

#[tokio::test(flavor = "multi_thread")]
async fn web3_py_8() -> Result<()> {
    passes(&["venv/bin/python", "web3_tool.py"], 19).await
}

/// With a chain id of its own: Ignition takes 31337 for Hardhat's simulated network.
#[tokio::test(flavor = "multi_thread")]
async fn hardhat_3() -> Result<()> {
    passes_on(&["--chain-id", "2026"], &["hardhat.sh"], 16).await
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_are_those_of_anvil() -> Result<()> {
    passes(&["node", "traces.mjs"], 16).await
}

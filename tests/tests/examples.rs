//! The examples for users run to their end: contracts that everybody knows are deployed and used, and every balance is
//! what it must be. What they do stands in `examples`.

use std::time::Duration;

use anyhow::{Result, ensure};
use assent_tests::{devnet::Devnet, examples, ports, turn::Turn};

const LIMIT: Duration = Duration::from_secs(30);

/// Runs an example against a network of its own; it prints a line for each of the things that it checks, and its last
/// line when all were right.
async fn passes(name: &str, least: usize) -> Result<()> {
    if examples::folder().is_none() {
        return Ok(());
    }
    let _turn = Turn::take().await?;
    let folder = tempfile::tempdir()?;
    let (dir, log) = (folder.path().join("net"), folder.path().join("log"));
    let mut devnet = Devnet::start(&dir, ports::free_offset(4)?, &[], &log).await?;
    let printed = examples::run(&devnet, name).await?;
    println!("{printed}");
    let checked = printed.lines().filter(|line| line.trim_start().starts_with("ok  ")).count();
    ensure!(checked >= least, "{checked} things were checked, expected at least {least}:\n{printed}");
    ensure!(printed.trim_end().ends_with("All balances are right."), "it did not come to its end:\n{printed}");
    devnet.stop(LIMIT).await
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_votes_about_a_treasury() -> Result<()> {
    passes("token", 31).await
}

#[tokio::test(flavor = "multi_thread")]
async fn liquidity_and_swaps_on_both_versions_of_the_exchange() -> Result<()> {
    passes("exchange", 31).await
}

#[tokio::test(flavor = "multi_thread")]
async fn loans_with_interest_and_a_liquidation() -> Result<()> {
    passes("lending", 27).await
}

#[tokio::test(flavor = "multi_thread")]
async fn wallets_that_are_contracts() -> Result<()> {
    passes("multisig", 38).await
}

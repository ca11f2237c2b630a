//! The explorer of a real network in a real browser (headless Chromium): every page, live, searched, paged, by keyboard,
//! without JavaScript, with what hostile users wrote. What is checked stands in `tests/browser`, a program for each test.
//!
//! The pages' pictures are left in `screenshots` in Cargo's folder for temporary files (below `target`).

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use alloy::primitives::Address;
use anyhow::{Context, Result, ensure};
use assent_tests::{browser, devnet::Devnet, ports, showcase, turn::Turn};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);

/// Names the folder into which the README's pictures are written; they are taken in any case.
const PICTURES_VARIABLE: &str = "ASSENT_PICTURES";

/// The address to which many transfers go, and how many.
const CROWDED: Address = Address::repeat_byte(0xee);
const CROWD: usize = 10_000;
/// How many for a picture.
const LIVELY: usize = 1_500;

/// What is on the chain before the browser comes.
#[derive(Clone, Copy)]
enum Chain {
    /// One of everything.
    Showcase,
    /// One address with many transactions.
    Crowd,
    /// One of everything, and then some hundred transfers: what a picture should show.
    Lively,
}

fn screenshots() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots")
}

/// Runs a program of the browser against a network of its own; it prints a line for each of the things that it checks.
async fn passes(program: &str, chain: Chain, pictures: &Path, least: usize) -> Result<()> {
    if browser::folder().is_none() {
        return Ok(());
    }
    let _turn = Turn::take().await?;
    let folder = tempfile::tempdir()?;
    let (dir, log) = (folder.path().join("net"), folder.path().join("log"));
    let mut devnet = Devnet::start(&dir, ports::free_offset(4)?, &["--stake", "40,30,20,10"], &log).await?;
    let facts = prepare(&devnet, chain).await?;
    let printed = browser::run(program, &facts, pictures).await?;
    println!("{printed}");
    let checked = printed.lines().filter(|line| line.starts_with("ok  ")).count();
    ensure!(checked >= least, "{checked} things were checked, expected at least {least}:\n{printed}");
    devnet.stop(LIMIT).await
}

async fn prepare(devnet: &Devnet, chain: Chain) -> Result<Value> {
    match chain {
        Chain::Showcase => showcase::arrange(devnet).await,
        Chain::Crowd => {
            showcase::crowd(devnet, CROWDED, CROWD).await?;
            let mut facts = showcase::whereabouts(devnet)?;
            facts["crowd"] = json!({ "address": CROWDED, "count": CROWD });
            Ok(facts)
        }
        Chain::Lively => {
            let facts = showcase::arrange(devnet).await?;
            showcase::crowd(devnet, CROWDED, LIVELY).await?;
            Ok(facts)
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_right_in_wide_and_narrow_windows_light_and_dark() -> Result<()> {
    passes("pages.mjs", Chain::Showcase, &screenshots(), 5).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_works_without_javascript() -> Result<()> {
    passes("plain.mjs", Chain::Showcase, &screenshots(), 3).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overview_follows_the_chain_by_itself() -> Result<()> {
    passes("live.mjs", Chain::Showcase, &screenshots(), 6).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_search_finds_everything_and_helps_where_there_is_nothing() -> Result<()> {
    passes("search.mjs", Chain::Showcase, &screenshots(), 23).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unknown_is_answered_with_advice() -> Result<()> {
    passes("unknown.mjs", Chain::Showcase, &screenshots(), 25).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_with_ten_thousand_transactions_is_paged() -> Result<()> {
    passes("paging.mjs", Chain::Crowd, &screenshots(), 4).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_others_wrote_is_run() -> Result<()> {
    passes("hostile.mjs", Chain::Showcase, &screenshots(), 4).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_does_all_that_a_mouse_does() -> Result<()> {
    passes("keyboard.mjs", Chain::Showcase, &screenshots(), 4).await
}

#[tokio::test(flavor = "multi_thread")]
async fn contracts_are_described_read_and_compared() -> Result<()> {
    passes("contract.mjs", Chain::Showcase, &screenshots(), 7).await
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_of_the_readme_are_small() -> Result<()> {
    let folder = match env::var_os(PICTURES_VARIABLE) {
        // A path from where `make` is, which is not where tests run.
        Some(folder) => {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the tests are not in the workspace")?;
            root.join(folder)
        }
        None => screenshots().join("readme"),
    };
    passes("pictures.mjs", Chain::Lively, &folder, 3).await
}

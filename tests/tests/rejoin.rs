//! A validator that lost its memory rejoins with its key while the load goes on, and never contradicts
//! what it signed before.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use assent_tests::{
    accounts::Account,
    checks,
    cluster::{Cluster, Plan},
    load::Load,
    votes::{copy_files, never_contradicted},
    wait,
};

const STAKES: [u64; 4] = [40, 30, 20, 10];
const WIPED: usize = 2;
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_validator_rejoins_without_contradicting_itself() -> Result<()> {
    let mut cluster = Cluster::launch(Plan::validators(&STAKES)).await?;
    let load = Load::start(&cluster.rpcs(), Account::tests(4)?, 60);
    cluster.reaches(WIPED, 40, LIMIT).await?;

    let kept = tempfile::tempdir()?;
    for round in 0..3 {
        cluster.kill(WIPED)?;
        // What it signed so far, for the comparison at the end.
        let life = kept.path().join(format!("life-{round}"));
        copy_files(&cluster.home(WIPED).join("data/wal"), &life)?;
        cluster.wipe(WIPED)?;
        let head = cluster.rpc(0).block_number().await?;
        cluster.reaches(0, head + 10, LIMIT).await?;
        cluster.start_and_wait(WIPED).await?;

        // It catches up, listens, and then votes again.
        let target = cluster.rpc(0).block_number().await?;
        cluster.reaches(WIPED, target, LIMIT).await?;
        let wiped = cluster.rpc(WIPED);
        wait::until(format!("round {round}: the wiped validator votes"), LIMIT, async || {
            let status = wiped.status().await?;
            ensure!(status.abstaining.is_none(), "it says: {:?}", status.abstaining);
            Ok(Some(()))
        })
        .await?;
        // Its votes count: without the 30 there is a quorum with it only.
        if round == 0 {
            cluster.kill(1)?;
            let head = cluster.rpc(0).block_number().await?;
            let without_it = STAKES[0] + STAKES[3];
            ensure!(3 * without_it <= 200);
            cluster.reaches(0, head + 10, LIMIT).await?;
            cluster.start_and_wait(1).await?;
        }
    }

    load.settle(&cluster.rpcs()).await?;
    checks::same_chain(&cluster.rpcs()).await?;
    for number in 0..STAKES.len() {
        cluster.stop(number).await?;
    }
    never_contradicted_itself(&cluster, kept.path())?;
    cluster.finish().await
}

/// Everything that the wiped validator signed in all its lives, as its own logs and those of the others kept
/// it, fits together.
fn never_contradicted_itself(cluster: &Cluster, kept: &Path) -> Result<()> {
    let genesis = cluster.genesis()?;
    let key = genesis["assent"]["validators"][WIPED]["key"].as_str().context("no validator key")?;
    let mut logs: Vec<PathBuf> = (0..STAKES.len()).map(|number| cluster.home(number).join("data/wal")).collect();
    for life in fs::read_dir(kept)? {
        logs.push(life?.path());
    }
    let ballots = never_contradicted(&cluster.home(0).join("genesis.json"), key, &logs)?;
    ensure!(ballots > 100, "{ballots} ballots prove little");
    Ok(())
}

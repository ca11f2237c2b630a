//! A validator that lost its memory rejoins with its key while the load goes on, and never contradicts
//! what it signed before.

use std::time::Duration;

use anyhow::{Result, ensure};
use assent_tests::{
    accounts::Account,
    checks,
    cluster::{Cluster, Plan},
    load::Load,
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

    for round in 0..3 {
        cluster.kill(WIPED)?;
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
    cluster.finish().await
}

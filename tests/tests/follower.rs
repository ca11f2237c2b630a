//! A follower that joins late catches up and stays at the head.

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
const FOLLOWER: usize = 4;
const LIMIT: Duration = Duration::from_secs(60);
/// A follower that has caught up is never further behind than this, under load.
const BEHIND: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn a_late_follower_has_the_same_head() -> Result<()> {
    let mut cluster = Cluster::launch(Plan::validators(&STAKES).followers(1)).await?;
    let load = Load::start(&cluster.rpcs(), Account::tests(4)?, 100);
    cluster.reaches(0, 60, LIMIT).await?;

    cluster.start_and_wait(FOLLOWER).await?;
    let target = cluster.rpc(0).block_number().await?;
    cluster.reaches(FOLLOWER, target, LIMIT).await?;

    // It stays there while blocks are made.
    for _ in 0..20 {
        let head = cluster.rpc(0).block_number().await?;
        cluster.reaches(FOLLOWER, head, BEHIND).await?;
        cluster.reaches(0, head + 1, LIMIT).await?;
    }
    let status = cluster.rpc(FOLLOWER).status().await?;
    ensure!(status.validator.is_none(), "{status:?}");
    ensure!(status.syncing == false, "{status:?}");

    // What is handed to a follower becomes final like everything else.
    let mut account = Account::test(9)?;
    let transfer = account.transfer(Account::test(8)?.address(), alloy::primitives::U256::from(1))?;
    transfer.submit(cluster.rpc(FOLLOWER)).await?;
    let follower = cluster.rpc(FOLLOWER);
    wait::until_true("the follower's transfer is final", LIMIT, async || {
        Ok::<_, anyhow::Error>(follower.receipt(transfer.hash).await?.is_some())
    })
    .await?;

    // A follower that was down catches up again, and the validators never miss it.
    cluster.kill(FOLLOWER)?;
    let head = cluster.rpc(0).block_number().await?;
    cluster.reaches(0, head + 20, LIMIT).await?;
    cluster.start_and_wait(FOLLOWER).await?;
    let head = cluster.rpc(0).block_number().await?;
    cluster.reaches(FOLLOWER, head, LIMIT).await?;

    let mut all = cluster.rpcs();
    all.push(cluster.rpc(FOLLOWER));
    load.settle(&all).await?;
    checks::same_chain(&all).await?;
    cluster.finish().await
}

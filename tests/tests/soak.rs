//! Faults of all kinds, one after the other, for as long as `ASSENT_SOAK_SECONDS` says (60 unless set),
//! while transfers go on. Run by `make soak`; the order of faults is drawn from a seed that is printed and
//! can be set (`ASSENT_SOAK_SEED`).

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use assent_tests::{
    accounts::Account,
    checks,
    cluster::{Cluster, Plan},
    load::Load,
    soak::{self, Dice},
    usage::usage,
    wait,
};
use tokio::time::Instant;

const STAKES: [u64; 4] = [40, 30, 20, 10];
const FOLLOWER: usize = 4;
const NODES: usize = 5;
const LIMIT: Duration = Duration::from_secs(60);
/// No node may use more memory than this, however long it runs.
const MEMORY: u64 = 1 << 30;

/// One fault and its end. Afterwards all nodes run.
async fn fault(cluster: &mut Cluster, dice: &mut Dice) -> Result<String> {
    let victim = dice.below(NODES);
    let name = cluster.name(victim).to_string();
    match dice.below(6) {
        0 => {
            cluster.kill(victim)?;
            cluster.start_and_wait(victim).await?;
            Ok(format!("{name} killed and restarted at once"))
        }
        1 => {
            cluster.kill(victim)?;
            let other = usize::from(victim == 0);
            let head = cluster.rpc(other).block_number().await?;
            // Blocks go on only when the others are a quorum.
            if STAKES.get(victim).is_none_or(|stake| 3 * stake < 100) {
                cluster.reaches(other, head + 20, LIMIT).await?;
            }
            cluster.start_and_wait(victim).await?;
            Ok(format!("{name} killed, restarted later"))
        }
        2 => {
            // The 40 is not wiped: the others are no quorum, and it would wait for one for ever, as it must.
            let victim = 1 + dice.below(NODES - 1);
            cluster.kill(victim)?;
            cluster.wipe(victim)?;
            cluster.start_and_wait(victim).await?;
            Ok(format!("{} wiped", cluster.name(victim)))
        }
        3 => {
            let all: Vec<usize> = (0..NODES).collect();
            cluster.kill_all(&all)?;
            for number in all {
                cluster.start(number)?;
            }
            Ok("all killed and restarted".into())
        }
        4 => {
            cluster.freeze(victim)?;
            let other = (victim + 1) % STAKES.len();
            let frozen = Instant::now();
            wait::until_true("a frozen node was frozen for a while", LIMIT, async || {
                Ok::<_, anyhow::Error>(frozen.elapsed() > Duration::from_secs(8))
            })
            .await?;
            cluster.thaw(victim)?;
            cluster.answers(other).await?;
            Ok(format!("{name} hung for a while"))
        }
        _ => {
            cluster.stop(victim).await?;
            cluster.start_and_wait(victim).await?;
            Ok(format!("{name} stopped and restarted"))
        }
    }
}

/// All nodes make or follow new blocks, and each validator votes.
async fn healed(cluster: &mut Cluster) -> Result<u64> {
    let mut head = 0;
    for number in 0..NODES {
        cluster.answers(number).await?;
        head = head.max(cluster.rpc(number).block_number().await?);
    }
    for number in 0..NODES {
        cluster.reaches(number, head + 10, LIMIT).await?;
        let rpc = cluster.rpc(number);
        wait::until("nobody abstains", LIMIT, async || {
            let abstaining = rpc.status().await?.abstaining;
            ensure!(abstaining.is_none(), "{abstaining:?}");
            Ok(Some(()))
        })
        .await?;
        let id = cluster.process_id(number).context("a node is gone")?;
        let memory = usage(id)?.resident_bytes;
        ensure!(memory < MEMORY, "{} uses {} MiB", cluster.name(number), memory >> 20);
    }
    Ok(head)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak"]
async fn faults_of_all_kinds_for_a_long_time() -> Result<()> {
    let (length, mut dice) = soak::settings()?;
    let mut cluster = Cluster::launch(Plan::validators(&STAKES).followers(1)).await?;
    cluster.start_and_wait(FOLLOWER).await?;
    let load = Load::start(&cluster.rpcs(), Account::tests(8)?, 50);

    let start = Instant::now();
    let mut faults = 0;
    while start.elapsed() < length {
        let what = fault(&mut cluster, &mut dice).await?;
        let head = healed(&mut cluster).await.with_context(|| format!("after: {what}"))?;
        faults += 1;
        println!("{:>5} s  block {head}  {what}", start.elapsed().as_secs());
    }
    let mut all = cluster.rpcs();
    all.push(cluster.rpc(FOLLOWER));
    let sent = load.settle(&all).await?;
    let blocks = checks::same_chain(&all).await?;
    println!("{faults} faults, {} transfers, {blocks} blocks", sent.len());
    cluster.finish().await
}

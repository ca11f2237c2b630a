//! Validators die and come back: blocks go on while more than two thirds of the weight are there, stop
//! when they are not, and resume by themselves, with nothing final lost.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use assent_tests::{
    accounts::Account,
    binary, checks,
    cluster::{Cluster, Plan},
    load::Load,
    process::Process,
    rpc::Rpc,
    wait,
};
use serde_json::{Value, json};

const STAKES: [u64; 4] = [40, 30, 20, 10];
/// Blocks must be there this soon after a quorum is back.
const BACK: Duration = Duration::from_secs(5);
/// Blocks must be there this soon after all nodes were killed and restarted.
const ALL_BACK: Duration = Duration::from_secs(10);
const LIMIT: Duration = Duration::from_secs(30);

/// Waits until the node has `more` blocks than now.
async fn blocks_go_on(node: &Rpc, more: u64, limit: Duration) -> Result<()> {
    let before = node.block_number().await?;
    wait::until_true(format!("{more} blocks after block {before} at {}", node.url()), limit, async || {
        Ok::<_, anyhow::Error>(node.block_number().await? >= before + more)
    })
    .await
}

/// Waits until a node that was just started has a block after `before`; how long it took since `start`.
async fn block_after(node: &Rpc, before: u64, start: Instant, limit: Duration) -> Result<Duration> {
    wait::until_true(format!("a block after {before} at {}", node.url()), limit, async || {
        Ok::<_, anyhow::Error>(node.block_number().await? > before)
    })
    .await?;
    Ok(start.elapsed())
}

/// The halt explains itself at the node that is left: what weight is missing and who is silent.
async fn halt_is_explained(cluster: &Cluster, left: usize, silent: &[usize]) -> Result<()> {
    let node = cluster.rpc(left);
    let missing = 67 - STAKES[left];
    let status = wait::until("the status shows the missing weight", LIMIT, async || {
        let status = node.status().await?;
        let told = status.quorum.missing == missing && status.silent.len() == silent.len();
        ensure!(told, "missing {}, expected {missing}; silent {:?}", status.quorum.missing, status.silent);
        Ok(Some(status))
    })
    .await?;
    ensure!(status.quorum.total == 100 && status.quorum.needed == 67, "{status:?}");
    ensure!(status.quorum.heard == STAKES[left], "{status:?}");
    for number in silent {
        let named = status
            .silent
            .iter()
            .find(|validator| validator.name == cluster.name(*number))
            .with_context(|| format!("{} is not named as silent", cluster.name(*number)))?;
        ensure!(named.weight == STAKES[*number], "{named:?}");
        ensure!(named.since_ms.is_some(), "{named:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_stop_without_a_quorum_and_resume_with_it() -> Result<()> {
    let mut cluster = Cluster::launch(Plan::validators(&STAKES)).await?;
    let load = Load::start(&cluster.rpcs(), Account::tests(4)?, 40);
    blocks_go_on(cluster.rpc(0), 5, LIMIT).await?;

    // 30 of 100 are gone: 70 are a quorum.
    cluster.kill_all(&[2, 3])?;
    blocks_go_on(cluster.rpc(0), 10, LIMIT).await?;
    blocks_go_on(cluster.rpc(1), 10, LIMIT).await?;

    // 60 of 100 are gone: 40 are none.
    cluster.kill(1)?;
    let alone = cluster.rpc(0).clone();
    halt_is_explained(&cluster, 0, &[1, 2, 3]).await?;
    let halted = alone.block_number().await?;
    wait::holds("no block is made", Duration::from_secs(3), async || Ok(alone.block_number().await? == halted)).await?;
    let block = alone.block(halted).await?;
    ensure!(block["number"] == json!(format!("{halted:#x}")));
    alone.balance(Account::test(0)?.address()).await?;

    // 70 of 100 again.
    let start = Instant::now();
    cluster.start(1)?;
    let took = block_after(&alone, halted, start, LIMIT).await?;
    println!("blocks {took:?} after the restart of the validator that was missing");
    ensure!(took <= BACK, "blocks came after {took:?}, allowed is {BACK:?}");

    cluster.start_and_wait(2).await?;
    cluster.start_and_wait(3).await?;
    let target = alone.block_number().await?;
    for number in 0..STAKES.len() {
        cluster.reaches(number, target, LIMIT).await?;
    }
    let sent = load.settle(&cluster.rpcs()).await?;
    println!("{} transfers, all final on all nodes", sent.len());
    ensure!(sent.len() > 100, "the load sent {} transfers only", sent.len());
    checks::same_chain(&cluster.rpcs()).await?;
    cluster.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_final_is_lost_when_all_are_killed_at_once() -> Result<()> {
    let mut cluster = Cluster::launch(Plan::validators(&STAKES)).await?;
    let load = Load::start(&cluster.rpcs(), Account::tests(4)?, 100);
    blocks_go_on(cluster.rpc(0), 20, LIMIT).await?;

    for round in 0..3 {
        let before = final_blocks(&cluster).await?;
        let start = Instant::now();
        cluster.kill_all(&[0, 1, 2, 3])?;
        for number in 0..STAKES.len() {
            cluster.start(number)?;
        }
        // Some blocks more than may have become final between the look and the end.
        let head = before.iter().map(|(number, _)| *number).max().unwrap_or(0) + 10;
        for number in 0..STAKES.len() {
            let took = block_after(cluster.rpc(number), head, start, LIMIT).await?;
            println!("round {round}: {} makes blocks {took:?} after the restart of all", cluster.name(number));
            ensure!(took <= ALL_BACK, "blocks came after {took:?}, allowed is {ALL_BACK:?}");
        }
        for node in cluster.rpcs() {
            for (number, block) in &before {
                let now = node.block(*number).await?;
                ensure!(*block == now, "block {number} was {block:#}\nand is {now:#}");
            }
        }
    }

    let sent = load.settle(&cluster.rpcs()).await?;
    println!("{} transfers, all final on all nodes", sent.len());
    checks::same_chain(&cluster.rpcs()).await?;
    cluster.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_that_hung_catches_up_by_itself() -> Result<()> {
    const FROZEN: usize = 1;
    let cluster = Cluster::launch(Plan::validators(&STAKES)).await?;
    // The load keeps to the others: a frozen node takes a call and never answers it.
    let load = Load::start(&[cluster.rpc(0), cluster.rpc(2)], Account::tests(4)?, 60);
    blocks_go_on(cluster.rpc(0), 5, LIMIT).await?;

    cluster.freeze(FROZEN)?;
    blocks_go_on(cluster.rpc(0), 60, Duration::from_secs(60)).await?;
    cluster.thaw(FROZEN)?;
    let target = cluster.rpc(0).block_number().await?;
    cluster.reaches(FROZEN, target, LIMIT).await?;
    for _ in 0..10 {
        let head = cluster.rpc(0).block_number().await?;
        cluster.reaches(FROZEN, head, BACK).await?;
        cluster.reaches(0, head + 1, LIMIT).await?;
    }
    load.settle(&cluster.rpcs()).await?;
    checks::same_chain(&cluster.rpcs()).await?;
    cluster.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_with_the_same_home_does_not_start() -> Result<()> {
    let cluster = Cluster::launch(Plan::validators(&STAKES)).await?;
    let home = cluster.home(0).to_string_lossy().into_owned();
    let mut arguments = vec!["start", "--home", home.as_str()];
    arguments.extend(["--rpc-listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]);
    arguments.extend(["--p2p-listen", "/ip4/127.0.0.1/tcp/0"]);
    let folder = tempfile::tempdir()?;
    let mut second = Process::start("second", &binary::assent()?, arguments, &folder.path().join("log"))?;
    let status = second.wait(LIMIT).await?;
    let printed = second.printed();
    ensure!(!status.success(), "two processes run with one home:\n{printed}");
    ensure!(printed.contains("another process"), "the reason is not named:\n{printed}");
    ensure!(!printed.contains("panicked"), "{printed}");
    // The first one does not mind.
    let load = Load::start(&cluster.rpcs(), Account::tests(2)?, 40);
    blocks_go_on(cluster.rpc(0), 5, LIMIT).await?;
    load.settle(&cluster.rpcs()).await?;
    cluster.finish().await
}

/// The last final block of each node.
async fn final_blocks(cluster: &Cluster) -> Result<Vec<(u64, Value)>> {
    let mut heads = Vec::new();
    for node in cluster.rpcs() {
        let number = node.block_number().await?;
        heads.push((number, node.block(number).await?));
    }
    Ok(heads)
}

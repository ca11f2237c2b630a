//! Halts that other systems had in production, replayed against a real cluster.
//!
//! `RELIABILITY.md`, "Rules that cost others dearly", tells the incidents; a test here is named after the number of its
//! rule. What other files show already is not shown again:
//!
//! | rule | incident | shown by |
//! |---|---|---|
//! | 2 | Besu's timeouts doubled without a cap; GoQuorum's overflowed into a storm | [`reliability_2_after_many_failed_views_blocks_resume_within_seconds`]; a halt without a quorum: `faults.rs`, `blocks_stop_without_a_quorum_and_resume_with_it`; `links.rs`, `two_halves_stop_say_why_and_go_on_together` |
//! | 5 | a header from unverified votes (CometBFT, "Tachyon") | `assent-consensus`, rule P1 of its specification |
//! | 7 | RocksDB's recovery truncates a log silently | [`reliability_7_an_older_log_under_a_newer_mark_does_not_start`] |
//! | 8 | a signer's mark rolls back with a restored backup | [`reliability_8_a_restored_backup_signs_nothing_below_its_mark`] |
//! | 8 | two processes with one key | `faults.rs`, `a_second_process_with_the_same_home_does_not_start` |
//! | 9 | a lagging CometBFT validator stayed slow until restarted | [`reliability_9_a_lagging_validator_changes_over_to_block_sync_and_back_by_itself`] |
//! | 9 | wiped validators never rejoined | `rejoin.rs`, `a_wiped_validator_rejoins_without_contradicting_itself` |
//! | 9 | a third or all at once restarted and nothing resumed (Besu, Polygon Edge, Fabric, Malachite) | `faults.rs`, `blocks_stop_without_a_quorum_and_resume_with_it` and `nothing_final_is_lost_when_all_are_killed_at_once` |
//! | 10 | empty blocks filled disks (GoQuorum) and memory (Besu) | [`reliability_10_an_idle_network_grows_neither_on_disk_nor_in_memory`] |
//! | 12 | strangers get as far as the multiplexer | `strangers.rs`, `a_key_that_is_not_on_the_list_is_refused` |
//! | 13 | connections and bytes of strangers are collected | `strangers.rs`, `garbage_on_the_port_for_nodes_does_no_harm` |
//! | 14, 15 | executable transactions dropped, requests without limits | `bad_input.rs`; `assent-chain` (mempool); `assent-rpc` (limits) |
//! | 16 | "context deadline exceeded" | who is silent: `faults.rs`, `blocks_stop_without_a_quorum_and_resume_with_it`; whose genesis differs: [`reliability_16_a_halt_by_another_genesis_names_whose_it_is`] and `strangers.rs`, `another_genesis_is_refused_on_both_sides` |

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use assent_tests::{
    accounts::Account,
    binary, checks,
    cluster::{Cluster, Plan, read_json, run_assent},
    load::Load,
    process::Process,
    proxy::Conduct,
    usage::usage,
    votes::{copy_files, never_contradicted},
    wait,
};
use serde_json::json;

/// Each is less than a third: the others go on without it.
const STAKES: [u64; 4] = [30, 30, 20, 20];
const NODES: usize = 4;
/// Blocks must be there this soon after what stopped them has ended.
const BACK: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(60);

fn load(cluster: &Cluster) -> Result<Load> {
    Ok(Load::start(&cluster.rpcs(), Account::tests(NODES)?, 30))
}

/// Views that gave no final block, as a node sees it.
async fn failed_views(cluster: &Cluster, number: usize) -> Result<u64> {
    let status = cluster.rpc(number).status().await?;
    Ok(status.view.saturating_sub(status.head.number))
}

#[tokio::test(flavor = "multi_thread")]
async fn reliability_2_after_many_failed_views_blocks_resume_within_seconds() -> Result<()> {
    let plan = Plan::validators(&STAKES).links(2);
    let plan = plan.consensus("viewTimeout", "250ms").consensus("viewTimeoutMax", "1s");
    let cluster = Cluster::launch(plan.consensus("retransmitInterval", "200ms")).await?;
    let load = load(&cluster)?;
    cluster.goes_on(0, 5, LIMIT).await?;

    // A proposal and the votes for it take longer than the longest timeout: views fail one after the other.
    let before = failed_views(&cluster, 0).await?;
    cluster.links()?.set_all(Conduct::delayed(Duration::from_millis(900), Duration::ZERO));
    wait::until("views fail", LIMIT, async || {
        let failed = failed_views(&cluster, 0).await?;
        ensure!(failed >= before + 8, "{} views failed", failed.saturating_sub(before));
        Ok::<_, anyhow::Error>(Some(()))
    })
    .await?;
    let halted = cluster.rpc(0).block_number().await?;

    let start = Instant::now();
    cluster.links()?.heal();
    for number in 0..NODES {
        // Beyond the block that may have been under way.
        cluster.reaches(number, halted + 3, LIMIT).await?;
    }
    let took = start.elapsed();
    println!("blocks {took:?} after the last of many failed views");
    ensure!(took <= BACK, "blocks came after {took:?}, allowed is {BACK:?}");
    load.settle(&cluster.rpcs()).await?;
    checks::same_chain(&cluster.rpcs()).await?;
    cluster.finish().await
}

/// Waits until a validator votes again.
async fn votes(cluster: &Cluster, number: usize) -> Result<()> {
    let node = cluster.rpc(number);
    wait::until(format!("{} votes", cluster.name(number)), LIMIT, async || {
        let status = node.status().await?;
        ensure!(status.abstaining.is_none(), "it says: {:?}", status.abstaining);
        Ok::<_, anyhow::Error>(Some(()))
    })
    .await
}

/// All that a validator signed, as the logs of all nodes and these older ones kept it, fits together. No node runs.
fn never_contradicted_itself(cluster: &Cluster, number: usize, older: &[PathBuf]) -> Result<()> {
    let genesis = cluster.genesis()?;
    let key = genesis["assent"]["validators"][number]["key"].as_str().context("no validator key")?;
    let mut logs: Vec<PathBuf> = (0..NODES).map(|node| cluster.home(node).join("data/wal")).collect();
    logs.extend_from_slice(older);
    let ballots = never_contradicted(&cluster.home(0).join("genesis.json"), key, &logs)?;
    ensure!(ballots > 30, "{ballots} ballots prove little");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn reliability_8_a_restored_backup_signs_nothing_below_its_mark() -> Result<()> {
    const RESTORED: usize = 2;
    let kept = tempfile::tempdir()?;
    let (backup, newer) = (kept.path().join("backup"), kept.path().join("newer-log"));
    let mut cluster = Cluster::launch(Plan::validators(&STAKES)).await?;
    let load = load(&cluster)?;
    cluster.reaches(RESTORED, 20, LIMIT).await?;
    cluster.stop(RESTORED).await?;
    cluster.save(RESTORED, &backup)?;

    // It signs more than the backup knows of, and is killed.
    cluster.start_and_wait(RESTORED).await?;
    votes(&cluster, RESTORED).await?;
    cluster.goes_on(RESTORED, 30, LIMIT).await?;
    cluster.kill(RESTORED)?;
    copy_files(&cluster.home(RESTORED).join("data/wal"), &newer)?;
    cluster.restore(RESTORED, &backup)?;
    let from = cluster.log(RESTORED).len();
    cluster.start_and_wait(RESTORED).await?;

    // The others show it what it signed; it keeps away until that is behind.
    wait::until_true("the restored validator abstains", LIMIT, async || {
        let log = cluster.log(RESTORED);
        Ok::<_, anyhow::Error>(log.get(from..).unwrap_or_default().contains("it abstains until"))
    })
    .await?;
    votes(&cluster, RESTORED).await?;
    checks::converge(&cluster.rpcs(), 10, LIMIT).await?;
    load.settle(&cluster.rpcs()).await?;
    checks::same_chain(&cluster.rpcs()).await?;
    checks::nobody_is_accused(cluster.rpc(0)).await?;
    for number in 0..NODES {
        cluster.stop(number).await?;
    }
    never_contradicted_itself(&cluster, RESTORED, &[newer])?;
    cluster.finish().await
}

/// Starts a node that must not start; what it prints.
async fn refuses_to_start(cluster: &Cluster, number: usize) -> Result<String> {
    let home = cluster.home(number).to_string_lossy().into_owned();
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log");
    let mut process = Process::start("refused", &binary::assent()?, ["start", "--home", home.as_str()], &log)?;
    let status = process.wait(LIMIT).await?;
    let printed = process.printed();
    ensure!(!status.success(), "it ended well:\n{printed}");
    ensure!(!printed.contains("panicked"), "{printed}");
    Ok(printed)
}

#[tokio::test(flavor = "multi_thread")]
async fn reliability_7_an_older_log_under_a_newer_mark_does_not_start() -> Result<()> {
    const VICTIM: usize = 3;
    let kept = tempfile::tempdir()?;
    let (older, newer) = (kept.path().join("older-log"), kept.path().join("newer-log"));
    let mut cluster = Cluster::launch(Plan::validators(&STAKES)).await?;
    let load = load(&cluster)?;
    cluster.reaches(VICTIM, 20, LIMIT).await?;
    let log = cluster.home(VICTIM).join("data/wal");
    cluster.stop(VICTIM).await?;
    copy_files(&log, &older)?;
    cluster.start_and_wait(VICTIM).await?;
    votes(&cluster, VICTIM).await?;
    cluster.goes_on(VICTIM, 30, LIMIT).await?;
    cluster.stop(VICTIM).await?;
    copy_files(&log, &newer)?;

    fs::remove_dir_all(&log)?;
    copy_files(&older, &log)?;
    let printed = refuses_to_start(&cluster, VICTIM).await?;
    ensure!(printed.contains("below what this validator signed"), "{printed}");

    // The first thing that the message advises: the newer log again.
    fs::remove_dir_all(&log)?;
    copy_files(&newer, &log)?;
    cluster.start_and_wait(VICTIM).await?;
    votes(&cluster, VICTIM).await?;

    // The other: everything away, and join again.
    cluster.stop(VICTIM).await?;
    cluster.wipe(VICTIM)?;
    cluster.start_and_wait(VICTIM).await?;
    votes(&cluster, VICTIM).await?;
    checks::converge(&cluster.rpcs(), 10, LIMIT).await?;
    load.settle(&cluster.rpcs()).await?;
    for number in 0..NODES {
        cluster.stop(number).await?;
    }
    never_contradicted_itself(&cluster, VICTIM, &[older, newer])?;
    cluster.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn reliability_9_a_lagging_validator_changes_over_to_block_sync_and_back_by_itself() -> Result<()> {
    const LAGGING: usize = 3;
    let cluster = Cluster::launch(Plan::validators(&STAKES).links(9)).await?;
    let load = load(&cluster)?;
    cluster.goes_on(LAGGING, 5, LIMIT).await?;
    let process = cluster.process_id(LAGGING).context("it does not run")?;

    // Twice: it must come back from sync to be able to fall behind again.
    for _ in 0..2 {
        let synced = cluster.metric(LAGGING, "assent_sync_blocks_total").await?;
        cluster.links()?.isolate(LAGGING);
        // More than consensus hands over by itself.
        cluster.goes_on(0, 60, LIMIT).await?;
        cluster.links()?.heal();
        let head = cluster.rpc(0).block_number().await?;
        cluster.reaches(LAGGING, head, LIMIT).await?;
        let synced = cluster.metric(LAGGING, "assent_sync_blocks_total").await? - synced;
        println!("{synced} of the blocks came by block sync");
        ensure!(synced >= 1.0, "block sync brought {synced} of more than 60 blocks");

        // It votes: without the first validator's 30, the others need its 20, and soon.
        cluster.links()?.isolate(0);
        cluster.goes_on(1, 10, LIMIT).await?;
        cluster.links()?.heal();
        checks::converge(&cluster.rpcs(), 5, LIMIT).await?;
    }
    ensure!(cluster.process_id(LAGGING) == Some(process), "it was restarted");
    load.settle(&cluster.rpcs()).await?;
    checks::same_chain(&cluster.rpcs()).await?;
    cluster.finish().await
}

/// Bytes of all files in a folder.
fn bytes(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => sum += bytes(&path)?,
            Ok(found) => sum += found.len(),
            // The node works here: a file may be gone already.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot look at {}", path.display())),
        }
    }
    Ok(sum)
}

/// Disk and memory of each node.
fn footprints(cluster: &Cluster) -> Result<Vec<(u64, u64)>> {
    let mut all = Vec::with_capacity(NODES);
    for number in 0..NODES {
        let process = cluster.process_id(number).context("a node is gone")?;
        all.push((bytes(&cluster.home(number).join("data"))?, usage(process)?.resident_bytes));
    }
    Ok(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn reliability_10_an_idle_network_grows_neither_on_disk_nor_in_memory() -> Result<()> {
    const BLOCKS: u64 = 250;
    // A header, a seal and a certificate stay; the same and the votes stand in the logs of database and consensus, which
    // are replaced when they have grown to a fixed size and are counted here all the same.
    const DISK_PER_BLOCK: u64 = 8 * 1024;
    // Buffers that fill once, not something that is kept of every block.
    const MEMORY: u64 = 16 << 20;
    let plan = Plan::validators(&STAKES).consensus("emptyBlockInterval", "50ms");
    let cluster = Cluster::launch(plan).await?;
    cluster.reaches(0, 50, LIMIT).await?;
    let before = footprints(&cluster)?;
    let first = cluster.rpc(0).block_number().await?;
    cluster.reaches(0, first + BLOCKS, LIMIT).await?;
    let after = footprints(&cluster)?;
    let blocks = cluster.rpc(0).block_number().await? - first;
    for (number, ((disk, memory), (disk_after, memory_after))) in before.into_iter().zip(after).enumerate() {
        let (disk, memory) = (disk_after.saturating_sub(disk), memory_after.saturating_sub(memory));
        let name = cluster.name(number);
        println!("{name}: {blocks} empty blocks, {} bytes of disk each, {} KiB of memory", disk / blocks, memory >> 10);
        ensure!(disk / blocks <= DISK_PER_BLOCK, "{name}: {} bytes of disk for an empty block", disk / blocks);
        ensure!(memory <= MEMORY, "{name}: {} KiB of memory for {blocks} empty blocks", memory >> 10);
    }
    checks::same_chain(&cluster.rpcs()).await?;
    cluster.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn reliability_16_a_halt_by_another_genesis_names_whose_it_is() -> Result<()> {
    const OTHERS: [usize; 2] = [2, 3];
    let mut cluster = Cluster::create(Plan::validators(&STAKES)).await?;
    // Two operators set their validators up with another file: 60 of 100 are left, 67 are needed.
    for number in OTHERS {
        let path = cluster.home(number).join("genesis.json");
        let mut genesis = read_json(&path)?;
        genesis["alloc"][format!("0x{}", "22".repeat(20))] = json!({"balance": "0x1"});
        fs::write(&path, genesis.to_string())?;
    }
    // With what was prepared for the right file they do not even start, and say why.
    let printed = refuses_to_start(&cluster, OTHERS[0]).await?;
    ensure!(printed.contains("genesis"), "{printed}");
    for number in OTHERS {
        cluster.wipe(number)?;
    }
    for number in 0..NODES {
        cluster.start_and_wait(number).await?;
    }

    for at in [0, 1] {
        let node = cluster.rpc(at);
        wait::until(format!("{} names whose genesis differs", cluster.name(at)), LIMIT, async || {
            let status = node.status().await?;
            ensure!(status.quorum.missing == 7 && status.head.number == 0, "{status:?}");
            for number in OTHERS {
                let name = cluster.name(number);
                ensure!(status.silent.iter().any(|silent| silent.name == name), "{:?}", status.silent);
                let peer = status.peers.iter().find(|peer| peer.name == name).context("not on the list")?;
                let reason = peer.refused_reason.as_deref().unwrap_or_default();
                ensure!(reason.contains("genesis"), "{peer:?}");
            }
            Ok::<_, anyhow::Error>(Some(()))
        })
        .await?;
        let printed = run_assent(&["status", "--rpc", node.url().as_str()])?;
        ensure!(printed.contains("stopped: needs 67 of 100, hears 60"), "{printed}");
        for number in OTHERS {
            let name = cluster.name(number);
            let mut lines = printed.lines().filter(|line| line.starts_with(name));
            ensure!(lines.any(|line| line.contains("refused") && line.contains("genesis")), "{name}:\n{printed}");
        }
    }
    cluster.finish().await
}

//! Links between nodes break in every way, under load: cut, silent in one direction, slow, late, noisy. Blocks go on
//! where a quorum hears each other, stop where none does, and are the same everywhere afterwards; each accepted
//! transfer was executed once, and nobody is accused.
//!
//! No node of these tests reaches another but through a proxy ([`assent_tests::proxy`]). Each validator's share is
//! less than a third here: the others go on without it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use assent_tests::{
    accounts::Account,
    checks,
    cluster::{Cluster, Plan, run_assent},
    dice::{Dice, Soak},
    load::Load,
    proxy::Conduct,
    wait,
};

const STAKES: [u64; 4] = [30, 30, 20, 20];
const NODES: usize = 4;
const SEED: u64 = 1;
/// Transfers per second.
const LOAD: u32 = 30;
/// Blocks must be there this soon after the links are whole again.
const BACK: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(30);

async fn launch() -> Result<(Cluster, Load)> {
    let cluster = Cluster::launch(Plan::validators(&STAKES).links(SEED)).await?;
    let load = Load::start(&cluster.rpcs(), Account::tests(NODES)?, LOAD);
    cluster.goes_on(0, 5, LIMIT).await?;
    Ok((cluster, load))
}

/// Mends everything and waits until all nodes make blocks again, which are the same; how long that took.
async fn healed(cluster: &Cluster) -> Result<Duration> {
    let start = Instant::now();
    cluster.links()?.heal();
    checks::converge(&cluster.rpcs(), 3, LIMIT).await?;
    Ok(start.elapsed())
}

/// What must be true at the end, whatever happened.
async fn all_is_well(cluster: Cluster, load: Load) -> Result<()> {
    let nodes = cluster.rpcs();
    let sent = load.settle(&nodes).await?;
    ensure!(sent.len() > 30, "the load sent {} transfers only", sent.len());
    let blocks = checks::same_chain(&nodes).await?;
    for node in &nodes {
        let executed = checks::executed_once(node, &sent).await?;
        ensure!(executed >= sent.len(), "{executed} of {}", sent.len());
        checks::nobody_is_accused(node).await?;
    }
    println!("{} transfers, each executed once, in {blocks} blocks", sent.len());
    cluster.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_validator_is_cut_off_in_turn_and_comes_back() -> Result<()> {
    let (cluster, load) = launch().await?;
    for victim in 0..NODES {
        let other = (victim + 1) % NODES;
        cluster.links()?.isolate(victim);
        cluster.goes_on(other, 8, LIMIT).await?;
        let took = healed(&cluster).await?;
        println!("{} took part again {took:?} after it was cut off", cluster.name(victim));
    }

    // A link that comes and goes, at the pace of blocks.
    for _ in 0..20 {
        cluster.links()?.cut(0, 1);
        cluster.goes_on(2, 1, LIMIT).await?;
        cluster.links()?.mend(0, 1);
        cluster.goes_on(2, 1, LIMIT).await?;
    }
    let took = healed(&cluster).await?;
    println!("all took part {took:?} after a link had flapped");
    all_is_well(cluster, load).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_silent_in_one_direction_stops_nobody_else() -> Result<()> {
    const LEADER: usize = 0;
    let (cluster, load) = launch().await?;

    // It hears the others and is not heard.
    cluster.links()?.set_from(LEADER, Conduct::held());
    cluster.goes_on(1, 3, LIMIT).await?;
    let head = cluster.rpc(1).block_number().await?;
    cluster.reaches(LEADER, head, LIMIT).await?;
    let took = healed(&cluster).await?;
    println!("all took part {took:?} after a leader was not heard");

    // It is heard and does not hear.
    cluster.links()?.set_to(LEADER, Conduct::held());
    cluster.goes_on(1, 10, LIMIT).await?;
    let (deaf, head) = (cluster.rpc(LEADER).block_number().await?, cluster.rpc(1).block_number().await?);
    ensure!(deaf < head, "block {deaf} at a node that hears nobody, {head} at the others");
    let took = healed(&cluster).await?;
    println!("all took part {took:?} after a leader was deaf");

    // What it says is lost for good, so that its connections are useless until somebody closes them.
    cluster.links()?.set_from(LEADER, Conduct::swallowed());
    cluster.goes_on(1, 6, LIMIT).await?;
    ensure!(cluster.links()?.swallowed() > 0);
    let took = healed(&cluster).await?;
    println!("all took part {took:?} after what a leader said was lost");
    all_is_well(cluster, load).await
}

/// A node without a quorum says so: the missing weight, and who is silent, over RPC and on the command line.
async fn halt_is_explained(cluster: &Cluster, at: usize, silent: &[usize]) -> Result<()> {
    let lost: u64 = silent.iter().map(|number| STAKES[*number]).sum();
    let (heard, missing) = (100 - lost, 67 - (100 - lost));
    let node = cluster.rpc(at);
    wait::until(format!("{} explains the halt", cluster.name(at)), LIMIT, async || {
        let status = node.status().await?;
        let mut named: Vec<&str> = status.silent.iter().map(|validator| validator.name.as_str()).collect();
        named.sort_unstable();
        let expected: Vec<&str> = silent.iter().map(|number| cluster.name(*number)).collect();
        ensure!(named == expected, "silent: {named:?}, expected {expected:?}");
        ensure!(status.quorum.missing == missing && status.quorum.needed == 67, "{:?}", status.quorum);
        Ok::<_, anyhow::Error>(Some(()))
    })
    .await?;
    let printed = run_assent(&["status", "--rpc", node.url().as_str()])?;
    let verdict = format!("stopped: needs 67 of 100, hears {heard}");
    ensure!(printed.contains(&verdict), "{verdict} is missing in\n{printed}");
    for number in silent {
        let named = format!("{} ({}) silent for", cluster.name(*number), STAKES[*number]);
        ensure!(printed.contains(&named), "{named} is missing in\n{printed}");
    }
    Ok(())
}

/// Waits until no node has had a new block for this long; the highest block.
async fn standstill(cluster: &Cluster, time: Duration) -> Result<u64> {
    let mut last = (0, Instant::now());
    wait::until("no more blocks are made", LIMIT, async || {
        let mut head = 0;
        for node in cluster.rpcs() {
            head = head.max(node.block_number().await?);
        }
        if head > last.0 {
            last = (head, Instant::now());
        }
        Ok::<_, anyhow::Error>((last.1.elapsed() >= time).then_some(head))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_halves_stop_say_why_and_go_on_together() -> Result<()> {
    let (cluster, load) = launch().await?;
    // Twice: the pauses between attempts to connect grow.
    for round in 0..2 {
        let before = cluster.rpc(0).block_number().await?;
        cluster.links()?.split(&[0, 1]);
        for (at, silent) in [(0, [2, 3]), (1, [2, 3]), (2, [0, 1]), (3, [0, 1])] {
            halt_is_explained(&cluster, at, &silent).await?;
        }
        // What was under way may still become final; then nothing does.
        let halted = standstill(&cluster, Duration::from_secs(2)).await?;
        println!("round {round}: {} blocks before the halves stood still", halted.saturating_sub(before));

        let start = Instant::now();
        cluster.links()?.heal();
        for number in 0..NODES {
            cluster.reaches(number, halted + 1, LIMIT).await?;
        }
        let took = start.elapsed();
        println!("round {round}: blocks {took:?} after the halves were one again");
        ensure!(took <= BACK, "blocks came after {took:?}, allowed is {BACK:?}");
        healed(&cluster).await?;
    }
    all_is_well(cluster, load).await
}

/// Height and view of a node.
async fn position(cluster: &Cluster, number: usize) -> Result<(u64, u64)> {
    let status = cluster.rpc(number).status().await?;
    Ok((status.head.number, status.view))
}

#[tokio::test(flavor = "multi_thread")]
async fn late_and_slow_links_slow_down_and_stop_nothing() -> Result<()> {
    const SLOW: usize = 3;
    let (cluster, load) = launch().await?;

    // 200 ms on all links: blocks take longer, and no view is given up for it but by chance.
    cluster.links()?.set_all(Conduct::delayed(Duration::from_millis(200), Duration::from_millis(20)));
    cluster.goes_on(0, 3, LIMIT).await?;
    let before = position(&cluster, 0).await?;
    cluster.goes_on(0, 12, LIMIT).await?;
    let after = position(&cluster, 0).await?;
    let (blocks, views) = (after.0 - before.0, after.1 - before.1);
    println!("{blocks} blocks in {views} views with 200 ms on all links");
    ensure!(views <= blocks + 4, "{blocks} blocks took {views} views");
    healed(&cluster).await?;

    // One slow peer: the others do not wait for it.
    for other in cluster.links()?.others(SLOW) {
        cluster.links()?.set_both(SLOW, other, Conduct::throttled(20_000));
    }
    let start = Instant::now();
    for number in 0..SLOW {
        cluster.goes_on(number, 15, LIMIT).await?;
    }
    println!("45 blocks in {:?} beside a slow peer", start.elapsed());
    let took = healed(&cluster).await?;
    println!("all took part {took:?} after one was slow");
    all_is_well(cluster, load).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_leader_and_flipped_bits_do_no_harm() -> Result<()> {
    const LEADER: usize = 0;
    let (cluster, load) = launch().await?;

    // In twelve views it leads several; the others give those up, and then skip it.
    cluster.freeze(LEADER)?;
    cluster.goes_on(1, 12, LIMIT).await?;
    cluster.thaw(LEADER)?;
    let took = healed(&cluster).await?;
    println!("all took part {took:?} after a leader was frozen");

    // A changed bit costs the connection, and is never taken for a message.
    let from: Vec<usize> = (0..NODES).map(|number| cluster.log(number).len()).collect();
    let connections = cluster.links()?.connections();
    cluster.links()?.set_both(1, 2, Conduct::flipping(1_000));
    wait::until_true("bits are flipped and connections replaced", LIMIT, async || {
        let links = cluster.links()?;
        Ok::<_, anyhow::Error>(links.flipped() >= 4 && links.connections() >= connections + 2)
    })
    .await?;
    cluster.goes_on(0, 5, LIMIT).await?;
    healed(&cluster).await?;
    for (number, from) in from.into_iter().enumerate() {
        let log = cluster.log(number);
        let new = log.get(from..).unwrap_or_default();
        ensure!(!new.contains("malformed message"), "a flipped bit got into a message at {}", cluster.name(number));
    }
    all_is_well(cluster, load).await
}

/// The kinds of faults of the long test.
const KINDS: [&str; 12] = [
    "cut off",
    "one link cut",
    "flapping link",
    "split in halves",
    "not heard",
    "deaf",
    "lost in one direction",
    "late",
    "slow",
    "flipped bits",
    "frozen",
    "killed while cut off",
];

/// Faults last this long when nobody can make blocks.
async fn for_a_while(dice: &mut Dice) -> Result<()> {
    let time = Duration::from_millis(1_000 + dice.below(12_000) as u64);
    wait::holds("a fault lasts", time, async || Ok(true)).await
}

/// One fault that links have. What it does to them is mended by whoever calls this.
async fn link_fault(cluster: &Cluster, kind: &str, dice: &mut Dice) -> Result<()> {
    let links = cluster.links()?;
    let victim = dice.below(NODES);
    let other = (victim + 1 + dice.below(NODES - 1)) % NODES;
    let delay = Duration::from_millis(50 + dice.below(1_500) as u64);
    match kind {
        "cut off" => links.isolate(victim),
        "one link cut" => links.cut(victim, other),
        "flapping link" => {
            for _ in 0..10 + dice.below(20) {
                links.cut(victim, other);
                cluster.goes_on(other, 1, LIMIT).await?;
                links.mend(victim, other);
                cluster.goes_on(other, 1, LIMIT).await?;
            }
        }
        "split in halves" => links.split(&[victim, other]),
        "not heard" => links.set_from(victim, Conduct::held()),
        "deaf" => links.set_to(victim, Conduct::held()),
        "lost in one direction" => links.set(victim, other, Conduct::swallowed()),
        "late" => links.set_all(Conduct::delayed(delay, delay / 4)),
        "slow" => links.set_from(victim, Conduct::throttled(2_000 + u32::try_from(dice.below(40_000))?)),
        "flipped bits" => links.set_both(victim, other, Conduct::flipping(500 + u32::try_from(dice.below(20_000))?)),
        other => anyhow::bail!("{other} is no fault of links"),
    }
    for_a_while(dice).await
}

/// One fault and its end.
async fn fault(cluster: &mut Cluster, kind: &str, dice: &mut Dice) -> Result<()> {
    let victim = dice.below(NODES);
    match kind {
        "frozen" => {
            cluster.freeze(victim)?;
            for_a_while(dice).await?;
            cluster.thaw(victim)
        }
        "killed while cut off" => {
            cluster.links()?.isolate(victim);
            for_a_while(dice).await?;
            cluster.kill(victim)?;
            cluster.start_and_wait(victim).await
        }
        kind => link_fault(cluster, kind, dice).await,
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak"]
async fn faults_of_links_for_a_long_time() -> Result<()> {
    let soak = Soak::from_environment()?;
    let mut dice = Dice::new(soak.seed);
    let (mut cluster, load) = launch().await?;
    let mut injected: BTreeMap<&str, u32> = BTreeMap::new();
    let start = Instant::now();
    while start.elapsed() < soak.time {
        let kind = KINDS[dice.below(KINDS.len())];
        fault(&mut cluster, kind, &mut dice).await.with_context(|| format!("while: {kind}"))?;
        let took = healed(&cluster).await.with_context(|| format!("after: {kind}"))?;
        *injected.entry(kind).or_default() += 1;
        let head = cluster.rpc(0).block_number().await?;
        println!("{:>5} s  block {head}  {kind}, healed after {took:?}", start.elapsed().as_secs());
    }
    println!("faults of links, ASSENT_SOAK_SEED={}:", soak.seed);
    for (kind, count) in &injected {
        println!("{count:>6}  {kind}");
    }
    let links = cluster.links()?;
    println!("{:>6}  bits flipped, {} bytes lost, {} passed", links.flipped(), links.swallowed(), links.passed());
    all_is_well(cluster, load).await
}

//! Processes that end at each durable step as `kill -9` ends them, as leader and as voter, with what a loss of power
//! would have taken as well; and that stop in order when they are asked to.
//!
//! A round starts a node with a point at which it is to end. Each start is both the repair of one crash and the way to
//! the next: a node passes the points of signing and sending only when it came back from the round before, heard its
//! peers and caught up. The points are those of `assent::crash_point`.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    time::Duration,
};

use alloy::primitives::U256;
use anyhow::{Context, Result, bail, ensure};
use assent::crash_point::{CRASH_AT, Point, Role, SEGMENT_BYTES, Wish};
use assent_tests::{
    accounts::Account,
    checks,
    cluster::{Cluster, Plan},
    damage::{self, At, Slots},
    dice::{Dice, Soak},
    load::{self, Load},
    votes::{self, Electorate, Lives},
    wait,
};
use rustix::process::Signal;
use tokio::time::Instant;

/// Each alone may be missing: the others are more than two thirds.
const STAKES: [u64; 4] = [32, 28, 24, 16];
/// The node that dies most of the time, and leads most views.
const VICTIM: usize = 0;
/// The node that dies while it joins, or is away.
const SMALLEST: usize = 3;
const LIMIT: Duration = Duration::from_secs(60);
/// Bytes of a log's segment: a few views.
const SEGMENT: &str = "16384";

/// What a loss of power takes that was not synced when the process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    Nothing,
    /// A part of the last record of the log.
    Log,
    /// A part of the slot of the mark that was written last.
    Mark,
    Both,
}

/// What may be lost at a point.
const fn losses(point: Point) -> &'static [Loss] {
    match point {
        Point::RecordAppended | Point::BeforeMarkWrite | Point::MarkSynced => &[Loss::Nothing, Loss::Log],
        Point::MarkWritten => &[Loss::Nothing, Loss::Log, Loss::Mark, Loss::Both],
        Point::LogSynced | Point::MarkWrittenLast => &[Loss::Nothing, Loss::Mark],
        _ => &[Loss::Nothing],
    }
}

/// The points that a node passes while it votes, with the role in which it passes them.
fn rounds() -> Vec<(Point, Role)> {
    const EITHER: [Point; 20] = [
        Point::BallotSigned,
        Point::RecordAppended,
        Point::LogSyncedFirst,
        Point::MarkWrittenLast,
        Point::BeforeMarkWrite,
        Point::MarkWritten,
        Point::LogSynced,
        Point::MarkSynced,
        Point::BothSynced,
        Point::BeforePrepare,
        Point::PrepareSentToOne,
        Point::BeforeCommit,
        Point::CommitSentToOne,
        Point::FinalDecided,
        Point::BeforeFinalWrite,
        Point::FinalWritten,
        Point::BeforeSegment,
        Point::SegmentBegun,
        Point::SegmentComplete,
        Point::SegmentReplaced,
    ];
    let proposals = [Point::BeforePropose, Point::ProposeSentToOne];
    let both = EITHER.into_iter().flat_map(|point| [(point, Role::Leader), (point, Role::Voter)]);
    both.chain(proposals.map(|point| (point, Role::Leader))).collect()
}

/// The points that a node passes when another one is away: as voter, since views of its own succeed.
const AWAY: [Point; 2] = [Point::BeforeViewChange, Point::ViewChangeSentToOne];
/// The points that a node passes while it catches up.
const IMPORT: [Point; 3] = [Point::BeforeImport, Point::ImportWritten, Point::ImportUntold];

/// A network, the load on it, and what the nodes that died had signed.
struct Crashes {
    cluster: Cluster,
    load: Load,
    lives: Lives,
}

impl Crashes {
    async fn launch() -> Result<Self> {
        let cluster = Cluster::launch(Plan::validators(&STAKES)).await?;
        let load = Load::start(&cluster.rpcs(), Account::tests(4)?, 60);
        cluster.reaches(VICTIM, 5, LIMIT).await?;
        Ok(Self { cluster, load, lives: Lives::none()? })
    }

    /// Ends a node that runs.
    fn kill(&mut self, number: usize) -> Result<()> {
        self.cluster.kill(number)?;
        self.lives.keep(self.cluster.home(number))
    }

    fn start(&mut self, number: usize) -> Result<()> {
        self.cluster.start_in(number, &[(SEGMENT_BYTES, SEGMENT)])
    }

    /// Starts a node that is to end at a point; what it printed until now is so long.
    fn arm(&mut self, number: usize, wish: Wish) -> Result<usize> {
        let (before, wish) = (self.cluster.log(number).len(), wish.to_string());
        self.cluster.start_in(number, &[(CRASH_AT, wish.as_str()), (SEGMENT_BYTES, SEGMENT)])?;
        Ok(before)
    }

    /// Starts a node, waits until it has ended, and checks that it ended at the point, by the signal.
    async fn crash(&mut self, number: usize, wish: Wish) -> Result<()> {
        let before = self.arm(number, wish)?;
        let status = self.cluster.ends(number, LIMIT).await.with_context(|| wish.to_string())?;
        self.ended_at(number, wish, before)?;
        ensure!(status.signal() == Some(Signal::KILL.as_raw()), "{wish}: ended with {status}");
        Ok(())
    }

    fn ended_at(&self, number: usize, wish: Wish, before: usize) -> Result<()> {
        let printed = self.cluster.log_since(number, before);
        let place = format!("crash point {} reached as ", wish.point.name());
        let role = printed.lines().find_map(|line| line.strip_prefix(&place));
        let role = role.with_context(|| format!("{wish}: ended elsewhere:\n{printed}"))?;
        ensure!(wish.role.is_none_or(|wanted| role == wanted.to_string()), "{wish}: ended as {role}");
        Ok(())
    }

    /// Takes from a dead node what was not synced, and keeps the rest of its log. What is lost here was signed and has
    /// not left the node: something else may be signed in its place.
    fn lose(&mut self, number: usize, loss: Loss) -> Result<()> {
        let data = self.cluster.home(number).join("data");
        if matches!(loss, Loss::Log | Loss::Both) {
            damage::cut(&damage::newest(&data.join("wal"), "", ".wal")?, At::End(3))?;
        }
        if matches!(loss, Loss::Mark | Loss::Both) {
            damage::tear_mark(&data.join("signer.mark"), Slots::Newest)?;
        }
        self.lives.keep(self.cluster.home(number))
    }

    /// Starts a node that must not run as it is; it says why, and exits.
    async fn is_refused(&mut self, number: usize, reasons: &[&str]) -> Result<()> {
        let before = self.cluster.log(number).len();
        self.start(number)?;
        let status = self.cluster.ends(number, LIMIT).await?;
        let printed = self.cluster.log_since(number, before);
        ensure!(status.code() == Some(1), "ended with {status}:\n{printed}");
        for reason in reasons {
            ensure!(printed.contains(reason), "{reason:?} is not said:\n{printed}");
        }
        Ok(())
    }

    /// All nodes run: everything that was sent was executed once, all have the same blocks and state roots, and nobody
    /// ever contradicted itself.
    async fn finish(mut self) -> Result<()> {
        for number in 0..STAKES.len() {
            self.cluster.rejoins(number, LIMIT).await?;
        }
        let sent = self.load.settle(&self.cluster.rpcs()).await?;
        let distinct: BTreeSet<_> = sent.iter().collect();
        ensure!(distinct.len() == sent.len(), "a transfer was sent twice");
        let head = checks::same_chain(&self.cluster.rpcs()).await?;
        for node in self.cluster.rpcs() {
            let received = load::received(node).await?;
            ensure!(received == U256::from(sent.len()), "{} transfers brought {received} wei", sent.len());
        }
        for number in 0..STAKES.len() {
            self.cluster.stop(number).await?;
            self.lives.keep(self.cluster.home(number))?;
        }
        let electorate = Electorate::of(&self.cluster.home(0).join("genesis.json"))?;
        let ballots = votes::nobody_contradicted_itself(&electorate, self.lives.logs())?;
        ensure!(ballots > 200, "{ballots} ballots prove little");
        println!("{} transfers, {head} blocks, {ballots} ballots in {} logs", sent.len(), self.lives.logs().len());
        self.cluster.finish().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_durable_step_is_repaired_and_contradicts_nothing() -> Result<()> {
    let used: BTreeSet<Point> = rounds().into_iter().map(|(point, _)| point).chain(AWAY).chain(IMPORT).collect();
    let all: BTreeSet<Point> = Point::ALL.iter().copied().collect();
    ensure!(used == all, "a point is in no round, here or where a node joins");

    let start = Instant::now();
    let mut crashes = Crashes::launch().await?;
    crashes.kill(VICTIM)?;
    for (turn, (point, role)) in rounds().into_iter().enumerate() {
        // Something else is lost as leader than as voter.
        let losses = losses(point);
        let loss = losses[losses.len() - 1 - turn % losses.len()];
        crashes.crash(VICTIM, Wish { point, role: Some(role), passage: 1 }).await?;
        crashes.lose(VICTIM, loss)?;
        println!("{:>5.1} s  {point:?} as {role}, lost: {loss:?}", start.elapsed().as_secs_f64());
    }
    crashes.start(VICTIM)?;
    crashes.cluster.rejoins(VICTIM, LIMIT).await?;

    crashes.kill(SMALLEST)?;
    crashes.kill(VICTIM)?;
    for point in AWAY {
        crashes.crash(VICTIM, Wish { point, role: Some(Role::Voter), passage: 2 }).await?;
        crashes.lose(VICTIM, Loss::Nothing)?;
        println!("{:>5.1} s  {point:?}", start.elapsed().as_secs_f64());
    }
    crashes.start(VICTIM)?;
    crashes.start(SMALLEST)?;
    println!("{:>5.1} s  all are started", start.elapsed().as_secs_f64());
    crashes.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_while_joining_is_repaired_or_refused_with_advice() -> Result<()> {
    let mut crashes = Crashes::launch().await?;
    crashes.cluster.reaches(0, 40, LIMIT).await?;
    crashes.kill(SMALLEST)?;
    crashes.cluster.wipe(SMALLEST)?;
    for point in IMPORT {
        crashes.crash(SMALLEST, Wish { point, role: None, passage: 3 }).await?;
        crashes.lose(SMALLEST, Loss::Nothing)?;
    }

    // The first ballot after the loss begins the signer's file anew, when the log is durable.
    let first = |point| Wish { point, role: None, passage: 1 };
    crashes.crash(SMALLEST, first(Point::LogSyncedFirst)).await?;
    crashes.lose(SMALLEST, Loss::Nothing)?;
    crashes.is_refused(SMALLEST, &["signer.mark is damaged in both slots", "remove it"]).await?;
    damage::remove(&crashes.cluster.home(SMALLEST).join("data/signer.mark"))?;
    crashes.crash(SMALLEST, first(Point::MarkWrittenLast)).await?;
    crashes.lose(SMALLEST, Loss::Nothing)?;
    crashes.start(SMALLEST)?;
    crashes.cluster.rejoins(SMALLEST, LIMIT).await?;

    // The very first segment of the log has none before it.
    crashes.kill(SMALLEST)?;
    crashes.cluster.wipe(SMALLEST)?;
    crashes.crash(SMALLEST, first(Point::SegmentBegun)).await?;
    crashes.is_refused(SMALLEST, &[".wal", "was begun and not completed", "remove the file"]).await?;
    damage::remove(&damage::newest(&crashes.cluster.home(SMALLEST).join("data/wal"), "", ".wal")?)?;
    crashes.start(SMALLEST)?;
    crashes.finish().await
}

/// Nobody else has the votes of a validator that is a quorum alone: wherever its log ends, it makes of them what they are.
/// Its views are so short that some are given up before a block is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_quorum_alone_goes_on_from_each_record_of_its_log() -> Result<()> {
    let plan = Plan::validators(&[1]).consensus("minBlockInterval", "1ms").consensus("viewTimeout", "1ms");
    let mut cluster = Cluster::launch(plan.consensus("emptyBlockInterval", "20ms")).await?;
    cluster.reaches(0, 3, LIMIT).await?;
    cluster.kill(0)?;
    for passage in 1..=12 {
        let wish = Wish { point: Point::RecordAppended, role: None, passage };
        cluster.start_in(0, &[(CRASH_AT, wish.to_string().as_str())])?;
        let status = cluster.ends(0, LIMIT).await.with_context(|| wish.to_string())?;
        ensure!(status.signal() == Some(Signal::KILL.as_raw()), "{wish}: ended with {status}");
    }
    cluster.start_and_wait(0).await?;
    cluster.goes_on(0, 3, LIMIT).await?;
    cluster.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_point_that_does_not_exist_is_refused_with_the_names_of_all() -> Result<()> {
    let mut cluster = Cluster::create(Plan::validators(&[1])).await?;
    cluster.start_in(0, &[(CRASH_AT, "nowhere")])?;
    let status = cluster.ends(0, LIMIT).await?;
    let printed = cluster.log(0);
    ensure!(status.code() == Some(2), "ended with {status}:\n{printed}");
    for point in Point::ALL {
        ensure!(printed.contains(point.name()), "{} is not named:\n{printed}", point.name());
    }
    cluster.finish().await
}

/// A thread that closes the database while the process ends crashes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_asked_to_stop_under_load_exits_with_0_each_time() -> Result<()> {
    let mut cluster = Cluster::launch(Plan::validators(&STAKES)).await?;
    let load = Load::start(&cluster.rpcs(), Account::tests(8)?, 150);
    for round in 0..10 {
        let number = round % STAKES.len();
        let head = cluster.rpc(number).block_number().await?;
        cluster.reaches(number, head + 5, LIMIT).await?;
        // Fails unless the exit code is 0.
        cluster.stop(number).await.with_context(|| format!("round {round}"))?;
        cluster.start(number)?;
        cluster.rejoins(number, LIMIT).await?;
    }
    load.settle(&cluster.rpcs()).await?;
    checks::same_chain(&cluster.rpcs()).await?;
    cluster.finish().await
}

/// The same for a start that fails when the database is open already: another process has the node's port.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_fails_late_exits_with_1_each_time() -> Result<()> {
    let mut cluster = Cluster::create(Plan::validators(&[1])).await?;
    let address = cluster.rpc(0).url().socket_addrs(|| None)?;
    let _taken = std::net::TcpListener::bind(address.as_slice())?;
    for round in 0..10 {
        cluster.start(0)?;
        let status = cluster.ends(0, LIMIT).await?;
        ensure!(status.code() == Some(1), "round {round}: ended with {status}:\n{}", cluster.log(0));
    }
    cluster.finish().await
}

/// How long a node has to reach a point that was drawn: not every point is reached in every situation.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until a node is at its point; `false`: it was not there in time, and was killed.
async fn reaches_its_point(crashes: &mut Crashes, victim: usize, wish: Wish, before: usize) -> Result<bool> {
    let armed = Instant::now();
    let what = format!("{wish} is reached, or not in time");
    let cluster = &mut crashes.cluster;
    let ended = wait::until(what, LIMIT, async || match cluster.ended(victim)? {
        None if armed.elapsed() < PATIENCE => Ok::<_, anyhow::Error>(None),
        ended => Ok(Some(ended)),
    })
    .await?;
    match ended {
        None => crashes.cluster.kill(victim)?,
        Some(status) if status.signal() == Some(Signal::KILL.as_raw()) => {
            crashes.ended_at(victim, wish, before)?;
            return Ok(true);
        }
        Some(status) => bail!("{wish}: ended with {status}"),
    }
    Ok(false)
}

/// One node ends somewhere, perhaps while another is away, and comes back.
async fn random_crash(crashes: &mut Crashes, dice: &mut Dice) -> Result<(String, bool)> {
    let victim = dice.below(STAKES.len());
    let point = Point::ALL[dice.below(Point::ALL.len())];
    let role = [None, Some(Role::Leader), Some(Role::Voter)][dice.below(3)];
    let wish = Wish { point, role, passage: 1 + dice.below(6) as u64 };
    let loss = losses(point)[dice.below(losses(point).len())];
    let (wiped, another) = (IMPORT.contains(&point) || dice.below(16) == 0, dice.below(4) == 0);
    crashes.kill(victim)?;
    if wiped {
        crashes.cluster.wipe(victim)?;
    }
    let away = (victim + 1 + dice.below(STAKES.len() - 1)) % STAKES.len();
    if another {
        crashes.kill(away)?;
    }
    let before = crashes.arm(victim, wish)?;
    let reached = reaches_its_point(crashes, victim, wish, before).await?;
    // A file that was begun and never used says nothing; the next start refuses it and tells to remove it.
    let begun = wiped && forget_unused(&crashes.cluster.home(victim).join("data"))?;
    // What is lost is known only of a process that ended where it was told to; a first mark has no slot before it.
    let loss = if reached && !wiped { loss } else { Loss::Nothing };
    if !begun {
        crashes.lose(victim, loss)?;
    }
    crashes.start(victim)?;
    if another {
        crashes.start(away)?;
    }
    let extra = format!("{}{}", if wiped { ", wiped" } else { "" }, if another { ", another one away" } else { "" });
    Ok((format!("{} at {wish}, lost: {loss:?}{extra}", crashes.cluster.name(victim)), reached))
}

/// Removes an empty mark and an unfinished first segment, as the node's message advises; tells whether there is no
/// log to look at.
fn forget_unused(data: &Path) -> Result<bool> {
    let mark = data.join("signer.mark");
    if fs::metadata(&mark).is_ok_and(|file| file.len() == 0) {
        damage::remove(&mark)?;
    }
    let wal = data.join("wal");
    let logs: Vec<PathBuf> = damage::files(&wal, "", ".wal").unwrap_or_default();
    // The header, and the empty record that completes a first segment.
    const COMPLETE: u64 = 85 + 40;
    let unused = match logs.as_slice() {
        [] => true,
        [only] => fs::metadata(only)?.len() < COMPLETE,
        _ => false,
    };
    if unused {
        logs.iter().try_for_each(|log| damage::remove(log))?;
    }
    Ok(unused)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak"]
async fn crashes_at_random_points_for_a_long_time() -> Result<()> {
    let soak = Soak::from_environment()?;
    let (length, mut dice) = (soak.time, Dice::new(soak.seed));
    let mut crashes = Crashes::launch().await?;
    let (start, mut count, mut reached) = (Instant::now(), 0, 0);
    while start.elapsed() < length {
        let (what, there) = random_crash(&mut crashes, &mut dice).await?;
        // Where a node has to come is asked of another one, which may just have been started.
        for number in 0..STAKES.len() {
            crashes.cluster.answers(number).await.with_context(|| format!("after: {what}"))?;
        }
        for number in 0..STAKES.len() {
            crashes.cluster.rejoins(number, LIMIT).await.with_context(|| format!("after: {what}"))?;
        }
        count += 1;
        reached += usize::from(there);
        let note = if there { "" } else { " (not reached)" };
        println!("{:>5} s  {what}{note}", start.elapsed().as_secs());
    }
    println!("{count} crashes, {reached} of them at the point that was drawn");
    ensure!(reached > 0, "no point was reached");
    crashes.finish().await
}

//! Data folders that are damaged or of an older time: the node repairs itself and rejoins, or it refuses to start
//! with a message that names what is wrong and says what to do. It never signs a contradiction, and the others go on
//! meanwhile.

use std::{os::unix::process::ExitStatusExt, path::PathBuf, process::ExitStatus, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use assent_tests::{
    accounts::Account,
    checks,
    cluster::{Cluster, Plan},
    damage::{At, Slots, copy, cut, files, flip, newest, remove, replace, tear_mark},
    load::Load,
    votes::{self, Electorate, Lives},
};
use tempfile::TempDir;
use tokio::time::Instant;

use Outcome::{Either, Refuses, Rejoins};

const STAKES: [u64; 4] = [40, 30, 20, 10];
/// The others make blocks without it.
const VICTIM: usize = 3;
const LIMIT: Duration = Duration::from_secs(60);
/// Blocks that the victim has seen since its start before it is ended: so much is in RocksDB's log.
const BLOCKS: u64 = 10;

/// How the node ended before its data was damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// In order: all is synced.
    Stopped,
    /// By `kill -9`.
    Killed,
}

/// What must come of a damage.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// The node catches up with the others and votes.
    Rejoins,
    /// The node says all this, and exits with 1.
    Refuses(&'static [&'static str]),
    /// One or the other, as far as the damage is in what a start looks at.
    Either(&'static [&'static str]),
}

/// The folders of the damaged node.
struct Folders {
    /// Its data.
    data: PathBuf,
    /// A copy of it from an older time.
    old: PathBuf,
}

impl Folders {
    fn log(&self) -> Result<PathBuf> {
        newest(&self.data.join("wal"), "", ".wal")
    }

    fn mark(&self) -> PathBuf {
        self.data.join("signer.mark")
    }

    fn chain(&self) -> PathBuf {
        self.data.join("chain")
    }

    /// RocksDB's own log.
    fn chain_log(&self) -> Result<PathBuf> {
        newest(&self.chain(), "", ".log")
    }

    fn manifest(&self) -> Result<PathBuf> {
        newest(&self.chain(), "MANIFEST-", "")
    }

    fn tables(&self) -> Result<Vec<PathBuf>> {
        files(&self.chain(), "", ".sst")
    }

    /// Puts a part of the older copy in its place.
    fn restore(&self, part: &str) -> Result<()> {
        replace(&self.data.join(part), &self.old.join(part))
    }
}

/// A damage, what comes before it and what must come of it.
struct Case {
    name: &'static str,
    end: End,
    damage: fn(&Folders) -> Result<()>,
    outcome: Outcome,
}

const fn stopped(name: &'static str, damage: fn(&Folders) -> Result<()>, outcome: Outcome) -> Case {
    Case { name, end: End::Stopped, damage, outcome }
}

const fn killed(name: &'static str, damage: fn(&Folders) -> Result<()>, outcome: Outcome) -> Case {
    Case { name, end: End::Killed, damage, outcome }
}

const NOT_A_LOG: Outcome = Refuses(&[".wal", "not a consensus log of version 1", "Restore the file"]);
const UNFINISHED_LOG: Outcome =
    Refuses(&[".wal", "begun and not completed", "treat the node as one that lost its disk"]);
const SHORT_LOG: Outcome = Refuses(&["data/wal", "the consensus log ends at view", "remove the whole data folder"]);
const NO_MARK: Outcome = Refuses(&["signer.mark is damaged in both slots", "Restore the file; or remove it"]);
const DAMAGED_CHAIN: Outcome =
    Refuses(&["data/chain: the database is damaged", "remove the data directory and sync again"]);
const LOST_BLOCKS: Outcome = Refuses(&["data/chain: the database is damaged", "sync again"]);
const NO_DATABASE: Outcome =
    Refuses(&["data/chain is not a database of this program", "no file CURRENT", "remove this one and sync again"]);
const NO_CHAIN: Outcome = Refuses(&["data/chain", "sync again"]);
/// While it runs, the database names its file itself.
const CHAIN_MAYBE: Outcome = Either(&["database"]);

/// The log of votes.
fn log_cases() -> Vec<Case> {
    vec![
        stopped("log: a bit of the header", |at| flip(&at.log()?, At::Start(5)), NOT_A_LOG),
        stopped("log: a bit of the header's genesis hash", |at| flip(&at.log()?, At::Start(30)), NOT_A_LOG),
        stopped("log: a bit in the middle", |at| flip(&at.log()?, At::Middle), SHORT_LOG),
        stopped("log: cut in half", |at| cut(&at.log()?, At::Middle), SHORT_LOG),
        stopped("log: cut in its header", |at| cut(&at.log()?, At::Start(20)), UNFINISHED_LOG),
        stopped("log: cut behind its header", |at| cut(&at.log()?, At::Start(85)), UNFINISHED_LOG),
        stopped("log: cut to nothing", |at| cut(&at.log()?, At::Start(0)), UNFINISHED_LOG),
        stopped("log: removed", |at| remove(&at.log()?), SHORT_LOG),
        stopped("log: its folder removed", |at| remove(&at.data.join("wal")), SHORT_LOG),
        stopped("log: an older copy", |at| at.restore("wal"), SHORT_LOG),
        stopped("log: a bit of the last record", |at| flip(&at.log()?, At::End(1)), Rejoins),
        stopped("log: the last byte cut", |at| cut(&at.log()?, At::End(1)), Rejoins),
        killed("log: a bit of the last record, killed", |at| flip(&at.log()?, At::End(1)), Rejoins),
        killed("log: the last bytes cut, killed", |at| cut(&at.log()?, At::End(7)), Rejoins),
        killed("log: cut in half, killed", |at| cut(&at.log()?, At::Middle), SHORT_LOG),
    ]
}

/// The signer's mark.
fn mark_cases() -> Vec<Case> {
    vec![
        stopped("mark: both slots torn", |at| tear_mark(&at.mark(), Slots::Both), NO_MARK),
        stopped(
            "mark: a bit of both slots",
            |at| [0, 1024].iter().try_for_each(|slot| flip(&at.mark(), At::Start(slot + 60))),
            NO_MARK,
        ),
        stopped("mark: cut to nothing", |at| cut(&at.mark(), At::Start(0)), NO_MARK),
        stopped("mark: the newest slot torn", |at| tear_mark(&at.mark(), Slots::Newest), Rejoins),
        stopped("mark: the older slot torn", |at| tear_mark(&at.mark(), Slots::Older), Rejoins),
        stopped("mark: cut to one slot", |at| cut(&at.mark(), At::Start(1024)), Rejoins),
        stopped("mark: an older copy", |at| at.restore("signer.mark"), Rejoins),
        stopped("mark: removed", |at| remove(&at.mark()), Rejoins),
    ]
}

/// Everything, or the parts that come back from the others.
fn folder_cases() -> Vec<Case> {
    vec![
        stopped("data: an older copy of all", |at| replace(&at.data, &at.old), Rejoins),
        stopped("data: removed, the keys kept", |at| remove(&at.data), Rejoins),
        stopped("mempool's journal: a bit", |at| flip(&at.data.join("mempool.journal"), At::Middle), Rejoins),
        stopped("chain: removed, log and mark kept", |at| remove(&at.chain()), Rejoins),
        stopped("chain: an older copy", |at| at.restore("chain"), Rejoins),
    ]
}

/// RocksDB's files. What stands behind a table's or the manifest's beginning is not always looked at by a start.
fn chain_cases() -> Vec<Case> {
    vec![
        stopped("chain: CURRENT removed", |at| remove(&at.chain().join("CURRENT")), NO_DATABASE),
        stopped("chain: the manifest removed", |at| remove(&at.manifest()?), DAMAGED_CHAIN),
        stopped(
            "chain: a bit of the manifest's first record",
            |at| flip(&at.manifest()?, At::Start(10)),
            DAMAGED_CHAIN,
        ),
        stopped("chain: the manifest cut to nothing", |at| cut(&at.manifest()?, At::Start(0)), NO_CHAIN),
        stopped(
            "chain: a bit of each table's end",
            |at| at.tables()?.iter().try_for_each(|table| flip(table, At::End(1))),
            DAMAGED_CHAIN,
        ),
        stopped(
            "chain: each table cut in half",
            |at| at.tables()?.iter().try_for_each(|table| cut(table, At::Middle)),
            DAMAGED_CHAIN,
        ),
        stopped(
            "chain: all tables removed",
            |at| at.tables()?.iter().try_for_each(|table| remove(table)),
            DAMAGED_CHAIN,
        ),
        stopped("chain: a bit in the middle of RocksDB's log", |at| flip(&at.chain_log()?, At::Middle), LOST_BLOCKS),
        stopped("chain: RocksDB's log cut in half", |at| cut(&at.chain_log()?, At::Middle), LOST_BLOCKS),
        stopped("chain: RocksDB's log removed", |at| remove(&at.chain_log()?), LOST_BLOCKS),
        stopped("chain: a bit of the mark `durable`", |at| flip(&at.chain().join("durable"), At::Middle), LOST_BLOCKS),
        killed("chain: the last bytes of RocksDB's log cut, killed", |at| cut(&at.chain_log()?, At::End(7)), Rejoins),
        stopped(
            "chain: a bit in the middle of each table",
            |at| at.tables()?.iter().try_for_each(|table| flip(table, At::Middle)),
            CHAIN_MAYBE,
        ),
        stopped("chain: one table cut in half", |at| cut(&newest(&at.chain(), "", ".sst")?, At::Middle), CHAIN_MAYBE),
        stopped("chain: one table removed", |at| remove(&newest(&at.chain(), "", ".sst")?), CHAIN_MAYBE),
        stopped("chain: the manifest cut in half", |at| cut(&at.manifest()?, At::Middle), CHAIN_MAYBE),
    ]
}

/// A network with a node whose data is damaged again and again.
struct Ward {
    cluster: Cluster,
    folders: Folders,
    /// A copy of the data as it was when the node ended last. It has signed nothing since.
    sound: PathBuf,
    /// How it ended last; `None` while it runs.
    ended: Option<End>,
    lives: Lives,
    _kept: TempDir,
}

impl Ward {
    async fn open() -> Result<(Self, Load)> {
        let mut cluster = Cluster::launch(Plan::validators(&STAKES)).await?;
        let others: Vec<_> = (0..VICTIM).map(|number| cluster.rpc(number)).collect();
        let load = Load::start(&others, Account::tests(4)?, 60);
        cluster.reaches(VICTIM, 2 * BLOCKS, LIMIT).await?;
        let kept = tempfile::tempdir()?;
        let folders = Folders { data: cluster.home(VICTIM).join("data"), old: kept.path().join("old") };
        cluster.stop(VICTIM).await?;
        copy(&folders.data, &folders.old)?;
        cluster.start(VICTIM)?;
        let sound = kept.path().join("sound");
        Ok((Self { cluster, folders, sound, ended: None, lives: Lives::none()?, _kept: kept }, load))
    }

    /// Has sound data of a node that ended so.
    async fn prepare(&mut self, end: End) -> Result<()> {
        if self.ended.is_some() {
            self.heal()?;
        }
        if self.ended == Some(end) {
            return Ok(());
        }
        if self.ended.take().is_some() {
            self.cluster.start(VICTIM)?;
        }
        self.cluster.rejoins(VICTIM, LIMIT).await?;
        let head = self.cluster.rpc(VICTIM).block_number().await?;
        self.cluster.reaches(VICTIM, head + BLOCKS, LIMIT).await?;
        match end {
            End::Stopped => self.cluster.stop(VICTIM).await?,
            End::Killed => self.cluster.kill(VICTIM)?,
        }
        self.ended = Some(end);
        if self.sound.exists() {
            remove(&self.sound)?;
        }
        copy(&self.folders.data, &self.sound)?;
        // What a process had written and not synced when it was killed may have been lost, and signed otherwise.
        if end == End::Stopped {
            self.lives.keep(self.cluster.home(VICTIM))?;
        }
        Ok(())
    }

    /// Puts the sound data back, as an operator with the newest backup does.
    fn heal(&self) -> Result<()> {
        if self.folders.data.exists() {
            remove(&self.folders.data)?;
        }
        copy(&self.sound, &self.folders.data)
    }

    /// Damages the data and starts the node.
    async fn try_case(&mut self, case: &Case) -> Result<()> {
        self.prepare(case.end).await?;
        (case.damage)(&self.folders).context("the damage itself")?;
        let before = self.cluster.log(VICTIM).len();
        self.cluster.start(VICTIM)?;
        let status = self.cluster.rejoins_or_ends(VICTIM, LIMIT).await?;
        let printed = self.cluster.log_since(VICTIM, before);
        match (case.outcome, status) {
            (Rejoins, None) => self.ended = None,
            (Either(_), None) => self.replace_chain().await?,
            (Refuses(reasons) | Either(reasons), Some(status)) => refused(reasons, status, &printed)?,
            (Refuses(_), None) => {
                self.ended = None;
                bail!("it was not refused:\n{printed}");
            }
            (Rejoins, Some(status)) => bail!("ended with {status}:\n{printed}"),
        }
        Ok(())
    }

    /// What is damaged and was not looked at yet is fetched from the others.
    async fn replace_chain(&mut self) -> Result<()> {
        self.cluster.kill(VICTIM)?;
        remove(&self.folders.chain())?;
        self.cluster.start(VICTIM)?;
        self.ended = None;
        self.cluster.rejoins(VICTIM, LIMIT).await
    }

    /// The node is sound again, and nobody ever contradicted itself.
    async fn close(mut self, load: Load) -> Result<()> {
        if self.ended.take().is_some() {
            self.heal()?;
            self.cluster.start(VICTIM)?;
        }
        self.cluster.rejoins(VICTIM, LIMIT).await?;
        let sent = load.settle(&self.cluster.rpcs()).await?;
        let head = checks::same_chain(&self.cluster.rpcs()).await?;
        for number in 0..STAKES.len() {
            self.cluster.stop(number).await?;
            self.lives.keep(self.cluster.home(number))?;
        }
        let electorate = Electorate::of(&self.cluster.home(0).join("genesis.json"))?;
        let ballots = votes::nobody_contradicted_itself(&electorate, self.lives.logs())?;
        println!("{} transfers, {head} blocks, {ballots} ballots in {} logs", sent.len(), self.lives.logs().len());
        self.cluster.finish().await
    }
}

/// The node ended in order with code 1, and said why.
fn refused(reasons: &[&str], status: ExitStatus, printed: &str) -> Result<()> {
    ensure!(status.code() == Some(1), "ended with {status}, signal {:?}:\n{printed}", status.signal());
    for reason in reasons {
        ensure!(printed.contains(reason), "{reason:?} is not said:\n{printed}");
    }
    Ok(())
}

async fn try_all(cases: Vec<Case>) -> Result<()> {
    let (mut ward, load) = Ward::open().await?;
    let start = Instant::now();
    for case in &cases {
        ward.try_case(case).await.with_context(|| case.name)?;
        let outcome = if ward.ended.is_some() { "refused" } else { "rejoined" };
        println!("{:>5.1} s  {}: {outcome}", start.elapsed().as_secs_f64(), case.name);
    }
    ward.close(load).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_log_or_mark_is_repaired_or_refused_and_never_leads_to_a_contradiction() -> Result<()> {
    let mut cases = log_cases();
    cases.extend(mark_cases());
    try_all(cases).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_database_or_an_older_folder_is_repaired_or_refused() -> Result<()> {
    let mut cases = folder_cases();
    cases.extend(chain_cases());
    try_all(cases).await
}

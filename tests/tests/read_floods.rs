//! Clients that ask one validator for as much as they may: deep traces of heavy blocks, searches over huge ranges,
//! batches of a thousand calls. Blocks keep their pace, and what is refused is refused with the error that says why.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use alloy::{
    primitives::{Address, TxKind, U256},
    signers::local::PrivateKeySigner,
    transports::http::reqwest::Client,
};
use anyhow::{Context, Result, anyhow, bail, ensure};
use assent_tests::{
    accounts::{Account, Signed},
    contracts::spinner_creation,
    devnet::Devnet,
    load::Load,
    ports,
    rpc::Rpc,
    turn::Turn,
    usage::usage,
    wait,
};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};

const LIMIT: Duration = Duration::from_secs(60);
/// Transfers per second meanwhile.
const LOAD: u32 = 50;
/// Pairs of windows, without and with the flood.
const PAIRS: usize = 5;
/// How long a window is: more than a hundred blocks.
const WINDOW: Duration = Duration::from_secs(6);
/// The 99th percentile of the time between blocks may grow by a tenth,
const GROWTH: f64 = 1.10;
/// or by what times in whole milliseconds cannot tell: each of the two ends of an interval is rounded.
const FLOOR_MS: f64 = 2.0;
/// In a flood the node that is asked uses so much of a processor more than without, or there is no flood.
const FLOOD_CORES: f64 = 0.4;

/// Clients that flood, each over a connection of its own.
const CLIENTS: usize = 8;
/// The clients would be on other machines. On this one they are not to take the processors from the nodes.
const CLIENT_NICENESS: i32 = 19;
/// An answer must come in this time; the node's own limit on a call is half of it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Rounds of the contract that is traced, fourteen steps each: what can be traced, and what is more than one trace may
/// record.
const ROUNDS: [u64; 4] = [5_000, 10_000, 10_000, 60_000];
/// Longer answers are looked at in their first bytes only.
const PARSED: usize = 4 << 20;

/// What the clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Quiet,
    Flood,
    End,
}

/// How many answers of each kind there were: `ok`, or the code of an error with its text's first words.
type Tally = BTreeMap<String, u64>;

/// The clients, on a thread of their own.
struct Flood {
    mode: watch::Sender<Mode>,
    /// Requests that are not answered yet.
    open: watch::Receiver<usize>,
    thread: thread::JoinHandle<Result<Tally>>,
}

impl Flood {
    fn start(url: &str, bodies: Vec<String>) -> Self {
        let (mode, modes) = watch::channel(Mode::Quiet);
        let (opened, open) = watch::channel(0);
        let url = url.to_owned();
        let thread = thread::spawn(move || {
            // Linux takes the calling thread. Where it cannot be done the test is harder, not easier.
            let _ = rustix::process::setpriority_process(None, CLIENT_NICENESS);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(flood(url, bodies, modes, opened))
        });
        Self { mode, open, thread }
    }

    /// Lets it begin.
    fn begin(&self) {
        self.mode.send_replace(Mode::Flood);
    }

    /// Lets it pause, and waits until every request is answered.
    async fn pause(&mut self) -> Result<()> {
        self.mode.send_replace(Mode::Quiet);
        let answered = self.open.wait_for(|open| *open == 0);
        let answered = tokio::time::timeout(PATIENCE, answered).await.context("requests stay without an answer")?;
        answered.map(|_| ()).map_err(|_| anyhow!("the clients have ended"))
    }

    /// Ends it; what was answered.
    fn end(self) -> Result<Tally> {
        self.mode.send_replace(Mode::End);
        self.thread.join().map_err(|_| anyhow!("the clients panicked"))?
    }
}

async fn flood(
    url: String,
    bodies: Vec<String>,
    modes: watch::Receiver<Mode>,
    opened: watch::Sender<usize>,
) -> Result<Tally> {
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(client(url.clone(), bodies.clone(), number, modes.clone(), opened.clone()));
    }
    let mut all = Tally::new();
    while let Some(tally) = clients.join_next().await {
        for (kind, count) in tally?? {
            *all.entry(kind).or_default() += count;
        }
    }
    Ok(all)
}

/// Sends one request after the other, beginning with another one than its neighbours.
async fn client(
    url: String,
    bodies: Vec<String>,
    first: usize,
    mut modes: watch::Receiver<Mode>,
    opened: watch::Sender<usize>,
) -> Result<Tally> {
    let http = Client::builder().no_proxy().timeout(PATIENCE).build()?;
    let mut tally = Tally::new();
    for body in bodies.iter().cycle().skip(first) {
        if *modes.wait_for(|mode| *mode != Mode::Quiet).await? == Mode::End {
            break;
        }
        opened.send_modify(|open| *open += 1);
        let request = http.post(&url).header("content-type", "application/json").body(body.clone());
        let answer = async { request.send().await?.bytes().await }.await;
        opened.send_modify(|open| *open -= 1);
        for kind in kinds(&answer?)? {
            *tally.entry(kind).or_default() += 1;
        }
    }
    Ok(tally)
}

/// What an answer is, or each of a batch's.
fn kinds(answer: &[u8]) -> Result<Vec<String>> {
    if answer.len() > PARSED {
        let begin = String::from_utf8_lossy(&answer[..200]).into_owned();
        let calls = [r#""result""#, r#"[{"jsonrpc""#];
        ensure!(calls.iter().any(|call| begin.contains(call)), "a long answer begins with {begin}");
        return Ok(vec!["ok".to_owned()]);
    }
    let answer: Value = serde_json::from_slice(answer).with_context(|| String::from_utf8_lossy(answer).into_owned())?;
    match answer {
        Value::Array(answers) => answers.iter().map(kind).collect(),
        one => Ok(vec![kind(&one)?]),
    }
}

/// The kind of one answer. An error must be one of those that say what the limit is, in its own form.
fn kind(answer: &Value) -> Result<String> {
    let Some(error) = answer.get("error") else {
        ensure!(answer.get("result").is_some(), "no answer: {answer}");
        return Ok("ok".to_owned());
    };
    let message = error["message"].as_str().context("an error without a text")?;
    let begins = |texts: &[&str]| texts.iter().any(|text| message.starts_with(text));
    let bounded = ["from", "to"].iter().all(|bound| error["data"][bound].is_string());
    let typed = match error["code"].as_i64() {
        Some(-32602) => bounded && begins(&["block range is too large", "query takes too long", "query returns more"]),
        Some(-32005) => begins(&["the node is busy"]),
        Some(-32002) => begins(&["request timed out"]),
        Some(-32000) => begins(&["execution timeout", "the trace takes more than"]),
        // An answer that is too long, alone or of a batch.
        Some(-32008 | -32011) => true,
        _ => false,
    };
    ensure!(typed, "an error that is not one of the limits': {error}");
    let words: Vec<&str> = message.split_whitespace().take(3).collect();
    Ok(format!("{} {}", error["code"], words.join(" ")))
}

/// The requests of the flood.
fn bodies(heavy: &[u64]) -> Vec<String> {
    let call = |id: usize, method: &str, params: Value| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    let hex = |number: u64| format!("{number:#x}");
    let mut bodies: Vec<Value> = Vec::new();
    for block in heavy {
        bodies.push(call(1, "debug_traceBlockByNumber", json!([hex(*block), {"enableMemory": true}])));
    }
    let all = json!({"fromBlock": "0x0", "toBlock": "latest"});
    bodies.push(call(1, "eth_getLogs", json!([all])));
    bodies.push(call(1, "trace_filter", json!([{"fromBlock": "0x0", "toBlock": hex(heavy[0])}])));
    let balance =
        |id: usize| call(id, "eth_getBalance", json!([Address::left_padding_from(&id.to_be_bytes()), "latest"]));
    bodies.push((0..1_000).map(balance).collect());
    let block = |id: usize| call(id, "eth_getBlockByNumber", json!([hex(id as u64 % heavy[0]), true]));
    bodies.push((0..1_000).map(block).collect());
    bodies.push((0..20).map(|id| call(id, "eth_getLogs", json!([all]))).collect());
    bodies.iter().map(Value::to_string).collect()
}

/// Makes the blocks that are heavy to trace; their numbers.
async fn heavy_blocks(node: &Rpc, account: &mut Account) -> Result<Vec<u64>> {
    let contract = account.address().create(account.nonce);
    let creation = account.next(TxKind::Create, U256::ZERO, spinner_creation(), 500_000);
    final_block(node, account.sign(creation)?).await?;
    let mut numbers = Vec::new();
    for rounds in ROUNDS {
        let input = U256::from(rounds).to_be_bytes_vec().into();
        let gas = 100_000 + rounds * 100;
        let call = account.next(TxKind::Call(contract), U256::ZERO, input, gas);
        numbers.push(final_block(node, account.sign(call)?).await?);
    }
    Ok(numbers)
}

/// Submits a transaction, which must succeed; the block that has it.
async fn final_block(node: &Rpc, signed: Signed) -> Result<u64> {
    signed.submit(node).await?;
    let receipt = wait::until("a transaction is final", LIMIT, async || node.receipt(signed.hash).await).await?;
    ensure!(receipt["status"] == "0x1", "{receipt:#}");
    let number: U256 = serde_json::from_value(receipt["blockNumber"].clone())?;
    Ok(number.to())
}

/// What was measured in a window.
struct Window {
    blocks: usize,
    p99_ms: f64,
    /// Of the node that is asked.
    cores: f64,
}

/// Watches blocks for a while.
async fn window(node: &Rpc, asked: u32) -> Result<Window> {
    let first = node.block_number().await?;
    let (before, start) = (usage(asked)?, Instant::now());
    wait::holds("the node that is asked runs", WINDOW, async || Ok(assent_tests::process::is_alive(asked))).await?;
    let cpu = usage(asked)?.cpu.saturating_sub(before.cpu);
    let cores = cpu.as_secs_f64() / start.elapsed().as_secs_f64();
    let last = node.block_number().await?;
    let times = times(node, first, last).await?;
    let mut intervals: Vec<u64> = times.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
    intervals.sort_unstable();
    ensure!(intervals.len() >= 20, "{} blocks in {WINDOW:?}", intervals.len());
    let p99_ms = intervals[(intervals.len() - 1) * 99 / 100] as f64;
    Ok(Window { blocks: intervals.len(), p99_ms, cores })
}

/// When the leaders made these blocks, in milliseconds.
async fn times(node: &Rpc, first: u64, last: u64) -> Result<Vec<u64>> {
    let calls: Vec<_> = (first..=last).map(|number| ("assent_getSeal", json!([format!("{number:#x}")]))).collect();
    let mut times = Vec::new();
    for part in calls.chunks(100) {
        for seal in node.batch(part).await? {
            times.push(seal?["timestampMs"].as_u64().context("a seal without a time")?);
        }
    }
    Ok(times)
}

fn median(windows: &[Window], of: impl Fn(&Window) -> f64) -> f64 {
    let mut values: Vec<f64> = windows.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_reads_does_not_slow_blocks_down() -> Result<()> {
    let _turn = Turn::take().await?;
    let folder = tempfile::tempdir()?;
    let (dir, log) = (folder.path().join("net"), folder.path().join("log"));
    let mut devnet = Devnet::start(&dir, ports::free_offset(4)?, &[], &log).await?;
    let rpcs = devnet.rpcs()?;
    let [asked, others @ ..] = rpcs.as_slice() else { bail!("no node") };
    let pid = *devnet.node_ids().first().context("no node")?;
    let mut accounts = Vec::new();
    for account in &devnet.description.accounts {
        accounts.push(Account::with_signer(account.private_key.parse::<PrivateKeySigner>()?));
    }
    let mut own = accounts.pop().context("no account")?;
    let heavy = heavy_blocks(asked, &mut own).await?;
    // The others take the load, so that it is the same with and without a flood.
    let load = Load::start(&others.iter().collect::<Vec<_>>(), accounts, LOAD);
    let watched = others.first().context("one node only")?;

    let mut flood = Flood::start(asked.url().as_str(), bodies(&heavy));
    let (mut quiet, mut flooded) = (Vec::new(), Vec::new());
    for pair in 1..=PAIRS {
        quiet.push(window(watched, pid).await?);
        flood.begin();
        flooded.push(window(watched, pid).await?);
        flood.pause().await?;
        let (without, with) = (&quiet[pair - 1], &flooded[pair - 1]);
        println!(
            "{pair}: p99 {} ms over {} blocks and {:.2} cores without, {} ms over {} and {:.2} with the flood",
            without.p99_ms, without.blocks, without.cores, with.p99_ms, with.blocks, with.cores
        );
    }
    let tally = flood.end()?;
    println!("answers: {tally:?}");
    load.settle(&rpcs.iter().collect::<Vec<_>>()).await?;
    devnet.stop(LIMIT).await?;

    let (before, during) = (median(&quiet, |window| window.p99_ms), median(&flooded, |window| window.p99_ms));
    let cores = |windows: &[Window]| median(windows, |window| window.cores);
    ensure!(cores(&flooded) > cores(&quiet) + FLOOD_CORES, "the flood was none: {:.2} cores", cores(&flooded));
    ensure!(tally.contains_key("ok") && tally.len() > 1, "some are answered and some refused: {tally:?}");
    let limit = (before * GROWTH).max(before + FLOOR_MS);
    ensure!(during < limit, "p99 of the time between blocks: {during} ms in the flood, {before} ms without it");
    Ok(())
}

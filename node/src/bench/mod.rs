//! `assent bench`: an open-loop load client for any Ethereum chain.
//!
//! A run: fund the senders ([`funding`]), sign everything beforehand ([`plan`]), then submit at the
//! intended times ([`lane`], one per connection) while a [`watcher`] per node reads new blocks; the
//! [`ledger`] accounts for every transaction and the [`report`] tells. It speaks plain JSON-RPC and
//! depends on nothing of the node.

mod account;
mod args;
mod chain;
mod funding;
mod lane;
mod ledger;
mod plan;
mod report;
mod watcher;

use std::{sync::Arc, time::Duration};

use alloy_primitives::{Address, U256};
use anyhow::{Context, Result, bail};
use futures::future::join_all;
use indicatif::{ProgressBar, ProgressStyle};
use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

pub use self::args::{BenchArgs, Kind};
use self::{
    account::{Account, Terms},
    lane::{Lane, Pace},
    ledger::Ledger,
    plan::{Plan, Routes, Schedule},
    report::{Cpu, Facts, Load, Receipts, Report},
};
use crate::jsonrpc::JsonRpc;

/// Time in which a node must answer one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Time for all nodes to serve the funding's last block.
const CATCH_UP: Duration = Duration::from_secs(30);

/// Between signing and the first transaction, so that lanes and watchers stand ready.
const HEAD_START: Duration = Duration::from_millis(200);

/// Time between two looks at the ledger.
const LOOK: Duration = Duration::from_millis(50);

/// How long a run that is broken off waits for what is under way.
const BREAK_OFF: Duration = Duration::from_secs(5);

/// What the parts of a running load share.
struct Run {
    start: Instant,
    ledger: Mutex<Ledger>,
    stop_sending: CancellationToken,
    stop_watching: CancellationToken,
}

/// Runs the load and prints the result. `false` when not every transaction was included and
/// successful.
pub async fn run(args: BenchArgs) -> Result<bool> {
    let schedule = Schedule::new(args.rate, args.warmup, args.duration)?;
    let nodes: Vec<JsonRpc> =
        args.rpc.iter().map(|url| JsonRpc::new(url, REQUEST_TIMEOUT)).collect::<Result<_, _>>()?;
    let chain_id = same_chain(&nodes).await?;
    let node = chain::client_version(&nodes[0]).await;
    let terms = chain::terms(&nodes[0], chain_id, args.legacy).await?;
    let senders = prepare_senders(&args, &schedule, &nodes, &terms).await?;
    let (plan, senders) = sign(&args, schedule, &nodes, terms, senders).await?;

    let heads = join_all(nodes.iter().map(chain::head)).await;
    let heads: Vec<u64> = heads.into_iter().collect::<Result<_, _>>()?;
    let interrupts = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
    let outcome = drive(&args, schedule, &nodes, &heads, plan, senders, interrupts).await;

    let receipts = check_receipts(&args, &nodes, &outcome.run).await;
    let ledger = outcome.run.ledger.lock();
    let report = Report::new(
        &ledger,
        Facts {
            node,
            chain_id,
            load: load(&args, &terms),
            receipts,
            cpu: Cpu::new(outcome.cpu, outcome.elapsed, ledger.included()),
            interrupted: outcome.interrupted,
            failed_looks: outcome.failed_looks,
            window: (schedule.due(schedule.warmup), schedule.due(schedule.total)),
        },
    );
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(report.complete())
}

async fn same_chain(nodes: &[JsonRpc]) -> Result<u64> {
    let mut common = None;
    for node in nodes {
        let id = chain::chain_id(node).await?;
        match common {
            Some(first) if first != id => {
                bail!("{} is of chain {id}, {} of chain {first}: give nodes of one chain", node.url(), nodes[0].url())
            }
            _ => common = Some(id),
        }
    }
    common.context("expected at least one --rpc URL")
}

/// Derives the senders and sees to their funds on every node.
async fn prepare_senders(
    args: &BenchArgs,
    schedule: &Schedule,
    nodes: &[JsonRpc],
    terms: &Terms,
) -> Result<Vec<Account>> {
    // More senders than transactions would only be funded for nothing.
    let count = args.senders.min(schedule.total);
    let senders: Vec<Account> = (0..count).map(|index| Account::derive(args.seed, index)).collect::<Result<_>>()?;
    let key = match &args.funder {
        Some(key) => key.read()?,
        None => first_dev_account()?,
    };
    let funder = Account::new(&key).context("--funder")?;
    let each = (terms.transfer_cost() + U256::ONE) * U256::from(schedule.of_sender(0, count));
    let bar = bar(senders.len() as u64, "funding senders");
    let report = |done: usize| bar.set_position(done as u64);
    let last = funding::fund(&nodes[0], &funder, &senders, each, terms, report).await?;
    bar.finish_and_clear();
    for node in nodes {
        chain::wait_for_block(node, last, CATCH_UP).await?;
    }
    Ok(senders)
}

fn first_dev_account() -> Result<alloy_primitives::B256> {
    let accounts = assent_genesis::dev_accounts();
    let first = accounts.first().context("there is no development account")?;
    Ok(first.private_key)
}

/// Signs all transactions, on threads of their own. Hands back how many senders there are.
async fn sign(
    args: &BenchArgs,
    schedule: Schedule,
    nodes: &[JsonRpc],
    terms: Terms,
    senders: Vec<Account>,
) -> Result<(Plan, usize)> {
    let addresses: Vec<Address> = senders.iter().map(|sender| sender.address).collect();
    let nonces = chain::nonces(&nodes[0], &addresses).await?;
    let routes = Routes { urls: nodes.len(), connections: args.connections as usize };
    let kind = args.kind;
    let bar = bar(schedule.total.into(), "signing");
    let count = senders.len();
    let signing = tokio::task::spawn_blocking(move || {
        let plan = plan::sign(&schedule, &routes, &senders, &nonces, &terms, kind, || bar.inc(1));
        bar.finish_and_clear();
        plan
    });
    Ok((signing.await.context("signing")?, count))
}

/// What is left after the load.
struct Outcome {
    run: Arc<Run>,
    cpu: Duration,
    elapsed: Duration,
    interrupted: bool,
    failed_looks: u64,
}

/// Lets lanes and watchers work until everything has come to an end, the deadline has passed, or
/// somebody presses Ctrl-C.
async fn drive(
    args: &BenchArgs,
    schedule: Schedule,
    nodes: &[JsonRpc],
    heads: &[u64],
    plan: Plan,
    senders: usize,
    interrupts: Signal,
) -> Outcome {
    let run = Arc::new(Run {
        start: Instant::now() + HEAD_START,
        ledger: Mutex::new(Ledger::new(plan.planned, nodes.len(), senders)),
        stop_sending: CancellationToken::new(),
        stop_watching: CancellationToken::new(),
    });
    let cpu_before = cpu_time();
    let watchers: Vec<_> = nodes
        .iter()
        .zip(heads)
        .enumerate()
        .map(|(url, (node, head))| {
            let (run, node, head, poll) = (run.clone(), node.clone(), *head, args.poll);
            tokio::spawn(async move { watcher::watch(node, url, head, poll, &run).await })
        })
        .collect();
    let pace = Pace { batch: args.batch as usize, tick: args.tick };
    let connections = args.connections as usize;
    let lanes: Vec<_> = (0..)
        .zip(plan.lanes)
        .map(|(lane, items): (usize, _)| {
            let lane = Lane::new(nodes[lane / connections].clone(), pace, items);
            let run = run.clone();
            tokio::spawn(async move { lane.run(&run).await })
        })
        .collect();

    let interrupted = wait_for_end(args, &schedule, &run, interrupts).await;
    run.stop_sending.cancel();
    // A task only fails by a panic, which has been printed; its part shows up as lost.
    let _ = join_all(lanes).await;
    run.stop_watching.cancel();
    let looks = join_all(watchers).await;
    Outcome {
        cpu: cpu_time().saturating_sub(cpu_before),
        elapsed: run.start.elapsed() + HEAD_START,
        interrupted,
        failed_looks: looks.into_iter().flatten().sum(),
        run,
    }
}

/// Shows progress until the load has come to its end. Returns whether it was broken off.
async fn wait_for_end(args: &BenchArgs, schedule: &Schedule, run: &Run, mut interrupts: Signal) -> bool {
    let bar = bar(schedule.total.into(), "included");
    let mut give_up = run.start + schedule.due(schedule.total) + args.deadline;
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut interrupted = false;
    loop {
        tokio::select! {
            _ = look.tick() => {}
            _ = interrupts.recv() => {
                if interrupted {
                    break;
                }
                interrupted = true;
                // The lanes account for what they have not sent; what is under way may still arrive.
                run.stop_sending.cancel();
                give_up = give_up.min(Instant::now() + BREAK_OFF);
            }
        }
        let (open, included) = {
            let ledger = run.ledger.lock();
            (ledger.open(), ledger.included())
        };
        bar.set_position(included);
        if open == 0 || Instant::now() >= give_up {
            break;
        }
    }
    bar.finish_and_clear();
    interrupted
}

/// Reads the receipts of what was included, or of an even sample.
async fn check_receipts(args: &BenchArgs, nodes: &[JsonRpc], run: &Run) -> Receipts {
    let included: Vec<_> = run.ledger.lock().included_in().collect();
    let wanted = args.receipts.unwrap_or(usize::MAX).min(included.len());
    let step = included.len().checked_div(wanted).unwrap_or(1).max(1);
    let sample: Vec<_> = included.into_iter().step_by(step).take(wanted).collect();
    let mut receipts = Receipts::default();
    let bar = bar(sample.len() as u64, "checking receipts");
    for (url, node) in nodes.iter().enumerate() {
        let own: Vec<_> = sample.iter().filter(|(_, at, ..)| *at == url).collect();
        for part in own.chunks(chain::CALLS_PER_BATCH) {
            bar.inc(part.len() as u64);
            let hashes = part.iter().map(|(_, _, hash, _)| *hash);
            let Ok(found) = chain::receipts(node, hashes).await else {
                receipts.unread += part.len() as u64;
                continue;
            };
            for ((index, _, _, block), receipt) in part.iter().zip(found) {
                receipts.checked += 1;
                match receipt {
                    Some(receipt) if receipt.block_number.to::<u64>() == *block => {
                        if receipt.status.is_zero() {
                            receipts.failed += 1;
                            run.ledger.lock().failed(*index);
                        }
                    }
                    _ => receipts.wrong += 1,
                }
            }
        }
    }
    bar.finish_and_clear();
    receipts
}

fn load(args: &BenchArgs, terms: &Terms) -> Load {
    Load {
        urls: args.rpc.clone(),
        rate: args.rate,
        duration_seconds: args.duration.as_secs_f64(),
        warmup_seconds: args.warmup.as_secs_f64(),
        kind: match args.kind {
            Kind::Transfer => "transfer",
            Kind::HotRecipient => "hot-recipient",
        },
        transaction_type: if terms.legacy { "legacy" } else { "eip1559" },
        senders: args.senders,
        seed: args.seed,
        batch: args.batch,
        connections: args.connections,
        tick_ms: args.tick.as_secs_f64() * 1_000.0,
        poll_ms: args.poll.as_secs_f64() * 1_000.0,
    }
}

/// Processor time of this process so far.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// A progress bar on a terminal; nothing elsewhere.
fn bar(length: u64, what: &'static str) -> ProgressBar {
    let template = "{msg:18} [{wide_bar}] {pos}/{len} {per_sec} {eta}";
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ");
    ProgressBar::new(length).with_style(style).with_message(what)
}

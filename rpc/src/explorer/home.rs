//! The first page: where the chain stands.

use std::sync::Arc;

use axum::extract::State;
use maud::{Markup, html};

use crate::{
    explorer::{
        Explorer, block, blocking, blocks,
        format::{count, duration, number, percent},
        page::{self, Answer, Failure, Nav},
        picture,
        recent::{Entry, Throughput},
        transactions::{self, Cursor},
    },
    status::{NodeStatus, QuorumStatus},
};

/// Blocks and transactions on the page.
const LATEST: usize = 8;

/// Blocks that are looked through for the latest transactions.
const MOST_BLOCKS: usize = 500;

/// The seconds over which the present throughput is taken.
const PRESENT_SECONDS: usize = 10;

/// What is known of the last blocks together.
struct Pace {
    latest: Vec<Entry>,
    throughput: Throughput,
    finality: Option<(u64, usize)>,
    interval: Option<(u64, u64)>,
}

/// `/`
pub(super) async fn page(State(explorer): State<Arc<Explorer>>) -> Answer {
    blocking(explorer, show).await
}

fn show(explorer: &Explorer) -> Answer {
    let pace = {
        let recent = explorer.recent()?;
        Pace {
            latest: recent.newest().take(LATEST).cloned().collect(),
            throughput: recent.throughput(),
            finality: recent.finality(),
            interval: recent.interval(),
        }
    };
    let entries: Result<Vec<_>, Failure> =
        pace.latest.iter().map(|entry| entry.clone().counted(&explorer.chain)).collect();
    let entries = entries?;
    let status = explorer.status();
    let head = explorer.chain.head().number;
    let body = html! {
        h1.hidden { "Overview of Assent chain " (explorer.genesis.chain_id()) }
        div #trouble data-live { (trouble(&status)) }
        div #figures data-live { (figures(&status, &entries, &pace)) }
        (page::live_section("throughput", "Throughput", picture::throughput(&pace.throughput)))
        (page::live_section("last-signed", "Who signed the last block", last_signed(explorer, head)?))
        div.pair {
            (page::live_section("latest-blocks", "Latest blocks", html! {
                (blocks_list(explorer, &entries))
                p.more { a href="/blocks" { "All blocks" } }
            }))
            (page::live_section("latest-transactions", "Latest transactions", html! {
                (transactions_list(explorer, head)?)
                p.more { a href="/txs" { "All transactions" } }
            }))
        }
    };
    Ok(page::page(explorer, Nav::Home, "Overview", body))
}

/// What is not as it should be.
fn trouble(status: &NodeStatus) -> Markup {
    let quorum = &status.quorum;
    html! {
        @if quorum.missing > 0 {
            div.card.alert role="status" {
                p {
                    strong { "No blocks are being made. " }
                    "This node hears validators with weight " (number(quorum.heard)) " of " (number(quorum.total)) "; "
                    (number(quorum.needed)) " are needed. "
                    @if !status.silent.is_empty() { "Silent: " (silent(status)) ". " }
                    a href="/network" { "Network" }
                }
            }
        }
    }
}

fn silent(status: &NodeStatus) -> String {
    status.silent.iter().map(|one| format!("{} ({})", one.name, number(one.weight))).collect::<Vec<_>>().join(", ")
}

fn figures(status: &NodeStatus, latest: &[Entry], pace: &Pace) -> Markup {
    let present = &pace.throughput.per_second;
    let present = &present[present.len().saturating_sub(PRESENT_SECONDS)..];
    let per_second = present.iter().sum::<u64>() as f64 / present.len().max(1) as f64;
    let unknown = || html! { span.muted { "–" } };
    let quorum = &status.quorum;
    page::figures(vec![
        (
            "Last block",
            html! { @for entry in latest.iter().take(1) { (page::block_link(entry.number)) } },
            html! { @for entry in latest.iter().take(1) { (page::age(entry.time_ms)) } },
        ),
        (
            "Time to finality",
            pace.finality.map_or_else(unknown, |(ms, _)| html! { span.num { (duration(ms)) } }),
            html! { @match pace.finality {
                Some((_, blocks)) => { "median of the last " (count(blocks, "block")) },
                None => "measured from the next block on",
            } },
        ),
        (
            "Block time",
            pace.interval.map_or_else(unknown, |(ms, _)| html! { span.num { (duration(ms)) } }),
            html! { @match pace.interval {
                Some((_, blocks)) => { "mean of the last " (number(blocks)) },
                None => "known after two blocks",
            } },
        ),
        (
            "Throughput",
            html! { span.num { (format!("{per_second:.1}")) } " " span.unit { "tx/s" } },
            html! { "in the last " (PRESENT_SECONDS) " seconds" },
        ),
        (
            "Mempool",
            html! { a.num href="/mempool" { (number(status.mempool.pending)) } },
            html! { (number(status.mempool.queued)) " queued" },
        ),
        (
            "Validators heard",
            html! { span.num { (percent(quorum.heard.into(), quorum.total.into())) } },
            html! { "of the weight; needed: " (percent(quorum.needed.into(), quorum.total.into())) },
        ),
    ])
}

fn last_signed(explorer: &Explorer, head: u64) -> Result<Markup, Failure> {
    if head == 0 {
        return Ok(page::empty("There is no block but the genesis block, which needs no votes."));
    }
    let needed = QuorumStatus::new(explorer.set.total().0, 0).needed;
    Ok(match block::certificate(explorer, head)? {
        Some(certified) => picture::weights(&block::parts(explorer, certified.signers), needed, "Signed"),
        None => page::empty("This node has no certificate of the last block yet."),
    })
}

fn blocks_list(explorer: &Explorer, entries: &[Entry]) -> Markup {
    html! {
        ol.list { @for entry in entries {
            li {
                div { (page::block_link(entry.number)) span.muted { (page::age(entry.time_ms)) } }
                div {
                    span { (count(entry.transactions.unwrap_or(0), "transaction")) }
                    span.muted { "by " (blocks::proposer(explorer, entry.number, entry.proposer)) }
                }
            }
        } }
    }
}

fn transactions_list(explorer: &Explorer, head: u64) -> Result<Markup, Failure> {
    let listed = transactions::list(explorer, Cursor::end_of(head), LATEST, MOST_BLOCKS)?;
    Ok(html! {
        @if listed.rows.is_empty() { (page::empty("None in the last blocks.")) }
        ol.list { @for row in &listed.rows {
            li {
                div { (page::transaction_link(row.transaction.hash())) span.muted { (page::age(row.time_ms)) } }
                div {
                    span { (page::address_link(&row.transaction.sender())) " → " (transactions::recipient(&row.transaction)) }
                    span {
                        @if !row.receipt.success { (page::outcome(false)) " " }
                        (transactions::value(&row.transaction))
                    }
                }
            }
        } }
    })
}

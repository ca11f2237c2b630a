//! The page of a transaction: what became of it, what it was to do, what it logged, and why it failed.

use std::sync::Arc;

use alloy_consensus::{Transaction as _, Typed2718 as _};
use alloy_primitives::{B256, Log, U256};
use assent_chain::{chain::FinalReceipt, trace::types::geth::CallFrame, transaction::Recovered};
use axum::extract::{Path, Query, State};
use maud::{Markup, html};
use serde::Deserialize;

use crate::{
    assent::explain,
    explorer::{
        Explorer, blocking,
        calls::{self, NoCalls},
        decode,
        format::{count, gas_price, number, percent},
        page::{self, Answer, Failure, Nav, Numbered},
        parse_bytes, transactions,
    },
};

/// Logs on a page.
const LOGS_PER_PAGE: usize = 50;

/// Entries of an access list, and authorizations, that are shown.
const LISTED: usize = 50;

/// Characters of why it failed, which a contract may say.
const MAX_REASON: usize = 1_024;

#[derive(Debug, Deserialize)]
pub(super) struct Which {
    /// Which page of its logs.
    logs: Option<String>,
}

/// `/tx/{hash}`
pub(super) async fn page(
    State(explorer): State<Arc<Explorer>>,
    Path(hash): Path<String>,
    Query(which): Query<Which>,
) -> Answer {
    blocking(explorer, move |explorer| show(explorer, &hash, which.logs.as_deref())).await
}

/// The hash that a path names.
pub(super) fn find_hash(text: &str) -> Result<B256, Failure> {
    parse_bytes(text).map(B256::new).ok_or_else(|| Failure::NotFound {
        what: format!("\"{}\" is no transaction.", page::short(text)),
        advice: "A transaction is named by its hash: 64 hex digits behind 0x.".into(),
    })
}

fn show(explorer: &Explorer, text: &str, logs: Option<&str>) -> Answer {
    let hash = find_hash(text)?;
    // The mempool first: a transaction leaves it only after its block is stored.
    let waiting = explorer.chain.pool().get(&hash);
    if let Some(found) = explorer.chain.receipt(&hash)? {
        return show_final(explorer, &hash, &found, logs);
    }
    match waiting {
        Some(tx) => show_waiting(explorer, &tx),
        None => Err(absent(explorer, &hash)?),
    }
}

/// What is known of a transaction that this node does not have.
fn absent(explorer: &Explorer, hash: &B256) -> Result<Failure, Failure> {
    if let Some(block) = explorer.chain.number_by_hash(hash)? {
        return Ok(Failure::NotFound {
            what: format!("This is the hash of block {}, not of a transaction.", number(block)),
            advice: "Search for it: the search finds blocks as well.".into(),
        });
    }
    Ok(match explorer.chain.pool().gone(hash) {
        Some(why) => Failure::NotFound {
            what: "This node knew this transaction and does not hold it any more.".into(),
            advice: format!("What became of it: {}.", explain::gone(why).words()),
        },
        None => Failure::NotFound {
            what: "This node knows no such transaction, neither in a block nor in its mempool.".into(),
            advice: "It was never sent here, or it was refused or dropped long ago. Sending it again tells what is wrong with \
                     it."
                .into(),
        },
    })
}

fn show_final(explorer: &Explorer, hash: &B256, found: &FinalReceipt, logs: Option<&str>) -> Answer {
    let tx = &found.transaction.transaction;
    let block = found.transaction.block_number;
    let seal = explorer.chain.header_by_number(block)?.map(|header| header.seal).unwrap_or_default();
    let with_code = found.contract_address.is_some() || !tx.tx().input().is_empty() || found.receipt.gas_used > 21_000;
    let calls = (with_code || !found.receipt.success).then(|| calls::quick(explorer, hash));
    let body = html! {
        (page::heading("Transaction", html! { span.hash.full { (hash) } (page::copy(&hash.to_string())) }, html! {
            (page::outcome(found.receipt.success)) " final in block " (page::block_link(block)) " · " (page::moment(seal.time_ms))
        }))
        @if !found.receipt.success { (why(explorer, hash, found, calls.as_ref())) }
        (page::section("overview", "Overview", overview(found)))
        (page::section("input", if tx.tx().is_create() { "Code that creates the contract" } else { "Input" }, input(explorer, tx)))
        (section_of_logs(explorer, hash, found, logs)?)
        @if let Some(calls) = &calls { (calls::section(hash, calls)) }
        (envelope(tx))
    };
    Ok(page::page(explorer, Nav::Transactions, "Transaction", body))
}

/// Why it failed, in words.
fn why(explorer: &Explorer, hash: &B256, found: &FinalReceipt, calls: Option<&Result<CallFrame, NoCalls>>) -> Markup {
    let words = match calls {
        Some(Ok(frame)) => failure(explorer, found, frame),
        Some(Err(NoCalls::Impossible(error))) => format!("this cannot be found out here: {error}"),
        Some(Err(NoCalls::Slow)) | None => "finding it out takes a while".to_owned(),
    };
    html! {
        section.card.alert #failure aria-labelledby="failure-title" {
            h2 #failure-title { "Why it failed" }
            p.what { (decode::text::shown(&words, MAX_REASON)) }
            @if let Some(Err(NoCalls::Slow)) = calls { p { a href={ "/tx/" (hash) "/calls" } { "Find it out" } } }
            p.muted { "It changed nothing but its sender's nonce, and it paid for the gas that it used." }
        }
    }
}

/// The reason that the contract gave, which may be an error of its own; otherwise what the execution says.
fn failure(explorer: &Explorer, found: &FinalReceipt, frame: &CallFrame) -> String {
    let tx = &found.transaction.transaction;
    let own = match &frame.revert_reason {
        None => frame.output.as_ref().filter(|output| !output.is_empty()),
        Some(_) => None,
    };
    let own = own.and_then(|output| decode::revert(explorer, tx.tx().to().as_ref(), output));
    match own {
        Some(reason) => format!("execution reverted: {reason}"),
        None => explain::failure(frame, found.receipt.gas_used, tx),
    }
}

fn overview(found: &FinalReceipt) -> Markup {
    let placed = &found.transaction;
    let tx = &placed.transaction;
    let (used, limit) = (found.receipt.gas_used, tx.tx().gas_limit());
    let fee = U256::from(used).saturating_mul(U256::from(found.effective_gas_price));
    let mut rows = vec![("From", page::address_full(&tx.sender()))];
    match (tx.tx().to(), found.contract_address) {
        (Some(to), _) => rows.push(("To", page::address_full(&to))),
        (None, Some(contract)) => rows.push(("Creates", page::address_full(&contract))),
        (None, None) => {}
    }
    rows.extend([
        ("Value", page::ether(tx.tx().value())),
        ("Fee", page::ether(fee)),
        (
            "Gas used",
            html! {
                span.num { (number(used)) } " of " span.num { (number(limit)) } " "
                span.muted { "(" (percent(used.into(), limit.into())) ")" }
            },
        ),
        ("Paid per gas", html! { span.num { (gas_price(found.effective_gas_price)) } }),
        (
            "Block",
            html! {
                (page::block_link(placed.block_number)) span.muted { " at position " } span.num { (placed.index) }
            },
        ),
    ]);
    page::facts(rows)
}

fn input(explorer: &Explorer, tx: &Recovered) -> Markup {
    let input = tx.tx().input();
    let call = if tx.tx().is_create() { None } else { decode::call(explorer, tx.tx().to().as_ref(), input) };
    html! {
        @if input.is_empty() { (page::empty("None: it only moves value.")) }
        @else {
            @if let Some(call) = &call {
                (decoded(call))
                details {
                    summary { (count(input.len(), "byte")) }
                    (page::bytes(input))
                }
            }
            @else {
                p { (transactions::method(explorer, tx)) " " span.muted { (count(input.len(), "byte")) } }
                (page::bytes(input))
            }
        }
    }
}

/// A call or a log, as far as its form is known.
fn decoded(call: &decode::Call) -> Markup {
    let rows = call.arguments.iter().map(|argument| {
        vec![
            html! { @if argument.name.is_empty() { span.muted { "unnamed" } } @else { (argument.name) } },
            html! { span.hash { (argument.kind) } },
            html! { span.hash.full { (argument.value) } },
        ]
    });
    html! {
        p { span.hash.full { (call.signature) } }
        @if !call.arguments.is_empty() { (page::table(&["Name", "Type", "Value"], rows.collect())) }
    }
}

fn section_of_logs(
    explorer: &Explorer,
    hash: &B256,
    found: &FinalReceipt,
    which: Option<&str>,
) -> Result<Markup, Failure> {
    let logs = &found.receipt.logs;
    let at = Numbered::new(which, logs.len(), LOGS_PER_PAGE)?;
    let first = u64::from(found.first_log_index);
    let content = html! {
        @if logs.is_empty() { (page::empty("It logged nothing.")) }
        @else {
            ol.logs { @for (position, log) in logs.iter().enumerate().skip(at.start()).take(LOGS_PER_PAGE) {
                li { (one_log(explorer, first + position as u64, log)) }
            } }
            (at.links(&format!("/tx/{hash}?logs="), "#logs"))
        }
    };
    Ok(page::section("logs", &count(logs.len(), "log"), content))
}

fn one_log(explorer: &Explorer, index: u64, log: &Log) -> Markup {
    let mut rows = vec![
        ("Log", html! { span.num { (number(index)) } span.muted { " of its block" } }),
        ("Contract", page::address_full(&log.address)),
    ];
    if let Some(known) = decode::log(explorer, log) {
        rows.push(("Says", decoded(&known)));
    }
    rows.push((
        "Topics",
        html! {
            @if log.topics().is_empty() { span.muted { "none" } }
            @else { ol.topics start="0" { @for topic in log.topics() { li { span.hash.full { (topic) } } } } }
        },
    ));
    rows.push(("Data", page::bytes(&log.data.data)));
    page::facts(rows)
}

/// What its sender signed beside what it does.
fn envelope(tx: &Recovered) -> Markup {
    let signed = tx.tx();
    let kind = match signed.ty() {
        0 => "legacy",
        1 => "with an access list (EIP-2930)",
        2 => "with a priority fee (EIP-1559)",
        4 => "sets code of accounts (EIP-7702)",
        _ => "unknown",
    };
    let mut rows = vec![
        ("Type", html! { span.num { (signed.ty()) } span.muted { " " (kind) } }),
        ("Nonce", html! { span.num { (number(tx.nonce())) } }),
        ("Gas limit", html! { span.num { (number(signed.gas_limit())) } }),
        ("Pays per gas", html! { "at most " span.num { (gas_price(signed.max_fee_per_gas())) } }),
        ("Size", html! { (count(tx.size(), "byte")) }),
    ];
    let accesses = signed.access_list().map(|list| list.0.as_slice()).unwrap_or_default();
    if !accesses.is_empty() {
        rows.push(("Access list", html! {
            ul.plain { @for item in accesses.iter().take(LISTED) {
                li { (page::address_link(&item.address)) " " span.muted { (count(item.storage_keys.len(), "slot")) } }
            } }
            (more(accesses.len()))
        }));
    }
    let authorizations = signed.authorization_list().unwrap_or_default();
    if !authorizations.is_empty() {
        rows.push(("Authorizations", html! {
            ul.plain { @for item in authorizations.iter().take(LISTED) {
                li { "code of " (page::address_link(&item.inner().address)) span.muted { " at nonce " (number(item.inner().nonce)) } }
            } }
            (more(authorizations.len()))
        }));
    }
    page::section("envelope", "What its sender signed", page::facts(rows))
}

fn more(all: usize) -> Markup {
    html! { @if all > LISTED { p.muted { "The first " (LISTED) " of " (all) "." } } }
}

/// A transaction that is in no block yet.
fn show_waiting(explorer: &Explorer, tx: &Recovered) -> Answer {
    let ahead = explorer.chain.pool().ahead_of(tx.hash());
    let missing = explorer.status().quorum.missing;
    let words = match ahead {
        _ if missing > 0 => {
            format!("No blocks are made at the moment: {} more weight has to come back.", number(missing))
        }
        Some(0) => "It is ready and will be in one of the next blocks.".to_owned(),
        Some(before) => format!("It is ready; {} before it.", count(before, "transaction")),
        None => "It waits: for a transaction of its sender with a lower nonce, or for money of its sender.".to_owned(),
    };
    let state = if ahead.is_some() { page::badge("wait", "Pending") } else { page::badge("wait", "Queued") };
    let mut rows = vec![("From", page::address_full(&tx.sender()))];
    rows.push(("To", transactions::recipient(tx)));
    rows.push(("Value", page::ether(tx.tx().value())));
    let body = html! {
        (page::heading("Transaction", html! { span.hash.full { (tx.hash()) } (page::copy(&tx.hash().to_string())) }, html! { (state) }))
        (page::live_section("waiting", "Waiting for a block", html! { p.what { (words) } (page::facts(rows)) }))
        (page::section("input", "Input", input(explorer, tx)))
        (envelope(tx))
    };
    Ok(page::page(explorer, Nav::Mempool, "Transaction", body))
}

//! The list of blocks, newest first, and the rows that other pages show as well.

use std::sync::Arc;

use axum::extract::{Query, State};
use maud::{Markup, html};

use crate::explorer::{
    Explorer, blocking,
    format::{number, percent},
    page::{self, Answer, Failure, Nav},
    parse_number,
    recent::Entry,
    transactions::Before,
};

/// Blocks on a page.
const PER_PAGE: u64 = 50;

/// A block's proposer.
pub(crate) fn proposer(explorer: &Explorer, block: u64, index: u16) -> Markup {
    html! {
        @if block == 0 { span.muted { "genesis" } }
        @else { a href={ "/validator/" (index) } { (explorer.validator_name(index)) } }
    }
}

/// A table of blocks.
pub(crate) fn table(explorer: &Explorer, entries: &[Entry]) -> Markup {
    let rows = entries.iter().map(|entry| {
        vec![
            page::block_link(entry.number),
            page::age(entry.time_ms),
            html! { span.num { (entry.transactions.map(|count| number(count as u64)).unwrap_or_default()) } },
            proposer(explorer, entry.number, entry.proposer),
            html! { span.num { (number(entry.view)) } },
            html! {
                span.num { (number(entry.gas_used)) } " "
                span.num.muted { (percent(entry.gas_used.into(), entry.gas_limit.into())) }
            },
            html! { a.hash href={ "/block/" (entry.hash) } { (page::short(&entry.hash.to_string())) } },
        ]
    });
    page::table(&["Block", "Age", "Transactions", "Proposer", "View", "Gas", "Hash"], rows.collect())
}

/// Blocks from one on, downwards.
pub(crate) fn entries(explorer: &Explorer, from: u64, count: u64) -> Result<Vec<Entry>, Failure> {
    let mut entries = Vec::new();
    for block in (from.saturating_sub(count.saturating_sub(1))..=from).rev() {
        if let Some(entry) = Entry::read(&explorer.chain, &explorer.set, block)? {
            entries.push(entry.counted(&explorer.chain)?);
        }
    }
    Ok(entries)
}

/// `/blocks`
pub(super) async fn page(State(explorer): State<Arc<Explorer>>, Query(query): Query<Before>) -> Answer {
    blocking(explorer, move |explorer| show(explorer, query.before.as_deref())).await
}

fn show(explorer: &Explorer, before: Option<&str>) -> Answer {
    let head = explorer.chain.head().number;
    let refuse = || Failure::Bad("before: expected the number of a block such as 1200".into());
    let before = before.map(|text| parse_number(text).ok_or_else(refuse)).transpose()?;
    let from = before.map_or(head, |before| before.saturating_sub(1).min(head));
    let entries = entries(explorer, from, PER_PAGE)?;
    let older = entries.last().filter(|last| last.number > 0).map(|last| format!("/blocks?before={}", last.number));
    let content = table(explorer, &entries);
    let section = match before {
        None => page::live_section("blocks", "Latest blocks", content),
        Some(_) => page::section("blocks", "Older blocks", content),
    };
    let below = html! { (number(head + 1)) " blocks, counted from 0. Each is final." };
    let body = html! {
        (page::heading("", html! { "Blocks" }, below))
        (section)
        (page::pager(before.map(|_| "/blocks"), older.as_deref()))
    };
    Ok(page::page(explorer, Nav::Blocks, "Blocks", body))
}

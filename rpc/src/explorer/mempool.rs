//! The page of the mempool: transactions that wait for a block, as this node has them.

use std::{cmp::Reverse, sync::Arc};

use alloy_consensus::Transaction as _;
use assent_chain::{mempool::SenderContent, transaction::Recovered};
use axum::extract::State;
use maud::{Markup, html};

use crate::explorer::{
    Explorer, blocking,
    format::{gas_price, number},
    page::{self, Answer, Nav},
    transactions,
};

/// Transactions of each kind that are listed.
const LISTED: usize = 100;

/// `/mempool`
pub(super) async fn page(State(explorer): State<Arc<Explorer>>) -> Answer {
    blocking(explorer, show).await
}

fn show(explorer: &Explorer) -> Answer {
    let status = explorer.chain.pool().status();
    let content = explorer.chain.pool().content();
    let ready = listed(&content, |sender| &sender.executable);
    let queued = listed(&content, |sender| &sender.queued);
    let body = html! {
        (page::heading("", html! { "Mempool" }, html! { "Transactions that wait for a block, as this node has them." }))
        (page::live_section("figures", "At a glance", page::figures(vec![
            ("Ready", html! { span.num { (number(status.executable as u64)) } }, html! { "for the next blocks" }),
            ("Queued", html! { span.num { (number(status.queued as u64)) } }, html! { "for another one, or for money" }),
            ("Senders", html! { span.num { (number(status.senders as u64)) } }, html! { (number(status.bytes as u64 / 1_024)) " KiB of memory" }),
        ])))
        (page::live_section("ready", "Ready", table(explorer, &ready, status.executable, "No transaction waits for a block.")))
        (page::live_section("queued", "Queued", table(explorer, &queued, status.queued, "No transaction waits for another one.")))
    };
    Ok(page::page(explorer, Nav::Mempool, "Mempool", body))
}

/// Some of them, those that pay most first, and of each sender in the order of nonces.
fn listed(content: &[SenderContent], of: fn(&SenderContent) -> &[Arc<Recovered>]) -> Vec<Arc<Recovered>> {
    let mut senders: Vec<&[Arc<Recovered>]> = content.iter().map(of).filter(|all| !all.is_empty()).collect();
    senders.sort_by_key(|all| Reverse(all.first().map(|tx| tx.tx().max_fee_per_gas())));
    senders.into_iter().flatten().take(LISTED).cloned().collect()
}

fn table(explorer: &Explorer, listed: &[Arc<Recovered>], all: usize, nothing: &str) -> Markup {
    if listed.is_empty() {
        return page::empty(nothing);
    }
    let rows = listed.iter().map(|tx| {
        vec![
            page::transaction_link(tx.hash()),
            transactions::method(explorer, tx),
            page::address_link(&tx.sender()),
            html! { span.num { (number(tx.nonce())) } },
            transactions::recipient(tx),
            page::ether(tx.tx().value()),
            html! { span.num { (gas_price(tx.tx().max_fee_per_gas())) } },
        ]
    });
    html! {
        (page::table(&["Transaction", "Kind", "From", "Nonce", "To", "Value", "Pays per gas"], rows.collect()))
        @if all > listed.len() { p.muted { (number(listed.len() as u64)) " of " (number(all as u64)) "." } }
    }
}

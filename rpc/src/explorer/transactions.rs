//! The list of transactions, newest first, and the rows that other pages show as well.

use std::sync::Arc;

use alloy_consensus::Transaction as _;
use alloy_primitives::hex;
use alloy_trie::EMPTY_ROOT_HASH;
use assent_chain::{chain::FinalHeader, execution::Receipt, transaction::Recovered};
use axum::extract::{Query, State};
use maud::{Markup, html};
use serde::Deserialize;

use crate::explorer::{
    Explorer, blocking, decode,
    page::{self, Answer, Failure, Nav},
    parse_number,
};

/// Transactions on a page.
const PER_PAGE: usize = 50;

/// Blocks that one page looks through: an idle chain makes many without transactions.
const MOST_BLOCKS: usize = 2_000;

/// A final transaction in a list.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) block: u64,
    pub(crate) time_ms: u64,
    pub(crate) transaction: Arc<Recovered>,
    pub(crate) receipt: Receipt,
}

/// Where a list goes on: before this transaction of this block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) block: u64,
    pub(crate) index: usize,
}

impl Cursor {
    /// From the end of a block on.
    pub(crate) fn end_of(block: u64) -> Self {
        Self { block, index: usize::MAX }
    }

    fn parse(text: &str) -> Result<Self, Failure> {
        let parsed = text.split_once('-').and_then(|(block, index)| {
            Some(Self { block: parse_number(block)?, index: usize::try_from(parse_number(index)?).ok()? })
        });
        let refuse = || Failure::Bad("before: expected a block and a position such as 1200-7".into());
        // A block alone stands for all of it.
        parsed.or_else(|| parse_number(text).map(Self::end_of)).ok_or_else(refuse)
    }

    fn text(self) -> String {
        if self.index == usize::MAX { self.block.to_string() } else { format!("{}-{}", self.block, self.index) }
    }
}

/// Some transactions, and where the list goes on, if it does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listed {
    pub(crate) rows: Vec<Row>,
    pub(crate) next: Option<Cursor>,
}

/// Transactions before a place, newest first: so many, out of so many blocks.
pub(crate) fn list(explorer: &Explorer, from: Cursor, count: usize, blocks: usize) -> Result<Listed, Failure> {
    let mut listed = Listed::default();
    let mut place = Some(from);
    for _ in 0..blocks {
        let Some(at) = place.filter(|at| at.block > 0) else { return Ok(listed) };
        let start = take_from_block(explorer, at, count - listed.rows.len(), &mut listed.rows)?;
        place = Some(if start > 0 { Cursor { block: at.block, index: start } } else { Cursor::end_of(at.block - 1) });
        if listed.rows.len() >= count {
            break;
        }
    }
    listed.next = place.filter(|at| at.block > 0);
    Ok(listed)
}

/// Takes transactions from the end of a block, and says how many come before them in it.
fn take_from_block(explorer: &Explorer, at: Cursor, count: usize, rows: &mut Vec<Row>) -> Result<usize, Failure> {
    let Some(FinalHeader { header, seal, .. }) = explorer.chain.header_by_number(at.block)? else { return Ok(0) };
    if header.transactions_root == EMPTY_ROOT_HASH {
        return Ok(0);
    }
    let all = explorer.chain.transaction_count(at.block)?.unwrap_or(0);
    let end = at.index.min(all);
    let start = end.saturating_sub(count);
    let some = explorer.chain.transactions_in(at.block, start..end)?.unwrap_or_default();
    for (transaction, receipt) in some.into_iter().rev() {
        rows.push(Row { block: at.block, time_ms: seal.time_ms, transaction, receipt });
    }
    Ok(start)
}

/// What a transaction does, in a word.
pub(crate) fn method(explorer: &Explorer, transaction: &Recovered) -> Markup {
    let tx = transaction.tx();
    let input = tx.input();
    html! {
        @if tx.is_create() { (page::badge("plain", "Creation")) }
        @else if input.is_empty() { (page::badge("plain", "Transfer")) }
        @else if let Some(call) = decode::call(explorer, tx.to().as_ref(), input) {
            span.badge.plain title=(call.signature) { (page::short(call.name())) }
        }
        @else { span.badge.plain.hash { (hex::encode_prefixed(&input[..input.len().min(4)])) } }
    }
}

/// Whom a transaction goes to.
pub(crate) fn recipient(transaction: &Recovered) -> Markup {
    let tx = transaction.tx();
    html! {
        @match tx.to() {
            Some(to) => (page::address_link(&to)),
            None => { span.muted { "new " } (page::address_link(&transaction.sender().create(transaction.nonce()))) }
        }
    }
}

/// What a transaction moves of the chain's own money.
pub(crate) fn value(transaction: &Recovered) -> Markup {
    page::ether(transaction.tx().value())
}

/// A table of transactions.
pub(crate) fn table(explorer: &Explorer, rows: &[Row]) -> Markup {
    let cells = rows.iter().map(|row| {
        let tx = &row.transaction;
        vec![
            page::transaction_link(tx.hash()),
            method(explorer, tx),
            html! { (page::block_link(row.block)) },
            page::age(row.time_ms),
            page::address_link(&tx.sender()),
            recipient(tx),
            value(tx),
            page::outcome(row.receipt.success),
        ]
    });
    page::table(&["Transaction", "Kind", "Block", "Age", "From", "To", "Value", "Status"], cells.collect())
}

/// The query of a list.
#[derive(Debug, Deserialize)]
pub(super) struct Before {
    pub(super) before: Option<String>,
}

/// `/txs`
pub(super) async fn page(State(explorer): State<Arc<Explorer>>, Query(query): Query<Before>) -> Answer {
    blocking(explorer, move |explorer| show(explorer, query.before.as_deref())).await
}

fn show(explorer: &Explorer, before: Option<&str>) -> Answer {
    let head = explorer.chain.head().number;
    let from = before.map(Cursor::parse).transpose()?.unwrap_or(Cursor::end_of(head));
    let from = if from.block > head { Cursor::end_of(head) } else { from };
    let listed = list(explorer, from, PER_PAGE, MOST_BLOCKS)?;
    let older = listed.next.map(|next| format!("/txs?before={}", next.text()));
    let content = html! {
        @if !listed.rows.is_empty() { (table(explorer, &listed.rows)) }
        @else if listed.next.is_some() {
            (page::empty("No transactions in these blocks. Older blocks may have some."))
        }
        @else { (page::empty("There are no transactions yet.")) }
    };
    let section = match before {
        None => page::live_section("transactions", "Latest transactions", content),
        Some(_) => page::section("transactions", "Older transactions", content),
    };
    let body = html! {
        (page::heading("", html! { "Transactions" }, html! { "Newest first. Each is final." }))
        (section)
        (page::pager(before.map(|_| "/txs"), older.as_deref()))
    };
    Ok(page::page(explorer, Nav::Transactions, "Transactions", body))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_is_written() {
        for text in ["12-7", "12"] {
            assert_eq!(Cursor::parse(text).unwrap().text(), text);
        }
        for text in ["", "-", "12-", "-7", "x", "12-x", "99999999999999999999-1", "1-99999999999999999999"] {
            assert!(matches!(Cursor::parse(text), Err(Failure::Bad(_))), "{text}");
        }
    }
}

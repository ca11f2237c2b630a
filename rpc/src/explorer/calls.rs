//! The calls inside of a transaction: found by running it again, so within a deadline, and after a short one on a page of
//! their own.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::{B256, U256, hex};
use assent_chain::trace::{TraceError, TraceLimits, types::geth::CallFrame};
use axum::extract::{Path, State};
use maud::{Markup, html};

use crate::{
    explorer::{
        Explorer, blocking,
        decode::text::shown,
        format::{count, grouped},
        page::{self, Answer, Failure, Nav},
        transaction::find_hash,
    },
    limits::{EVM_TIMEOUT, GAS_CAP},
};

/// Time for the calls on the page of a transaction, which should come at once.
const QUICK: Duration = Duration::from_millis(25);

/// Calls on the page of a transaction.
const FEW: usize = 50;

/// Calls on the page of their own.
const MANY: usize = 2_000;

/// Characters of the reason of one call.
const MAX_REASON: usize = 512;

/// Bytes that a trace may take.
const TRACE_BYTES: usize = 16 * 1024 * 1024;

/// Why there are no calls to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoCalls {
    /// It takes longer than a page may.
    Slow,
    /// It cannot be done; the text says why.
    Impossible(String),
}

/// The calls of a transaction, if running it again is done in a moment.
pub(super) fn quick(explorer: &Explorer, hash: &B256) -> Result<CallFrame, NoCalls> {
    within(explorer, hash, QUICK)
}

fn within(explorer: &Explorer, hash: &B256, time: Duration) -> Result<CallFrame, NoCalls> {
    let limits = TraceLimits { deadline: Some(Instant::now() + time), max_bytes: TRACE_BYTES, gas_cap: GAS_CAP };
    explorer.chain.call_frames(hash, limits).map_err(|error| match error {
        TraceError::TimedOut => NoCalls::Slow,
        other => NoCalls::Impossible(other.to_string()),
    })
}

/// The calls inside of the first one, as a part of the page of the transaction.
pub(super) fn section(hash: &B256, calls: &Result<CallFrame, NoCalls>) -> Markup {
    let all = html! { a href={ "/tx/" (hash) "/calls" } { "Show all calls" } };
    let content = match calls {
        Ok(frame) if frame.calls.is_empty() => page::empty("It called no other contract."),
        Ok(frame) => html! {
            (table(frame, FEW))
            @if size(frame) > FEW { p { "The first " (FEW) " of " (count(size(frame), "call")) ". " (all) } }
        },
        Err(NoCalls::Slow) => html! { p { "Finding them takes longer than this page should. " (all) } },
        Err(NoCalls::Impossible(why)) => html! { p.muted { "They cannot be found out here: " (why) "." } },
    };
    page::section("calls", "Internal calls", content)
}

/// How many calls there are, the first one not counted.
fn size(frame: &CallFrame) -> usize {
    frame.iter().count() - 1
}

/// Calls in their order, indented by their depth.
fn table(frame: &CallFrame, most: usize) -> Markup {
    // From the last to the first, so that the first is taken first.
    let mut waiting: Vec<(&CallFrame, usize)> = frame.calls.iter().rev().map(|call| (call, 0)).collect();
    let mut rows = Vec::new();
    while let Some((call, depth)) = waiting.pop() {
        if rows.len() == most {
            break;
        }
        rows.push(row(call, depth));
        waiting.extend(call.calls.iter().rev().map(|inner| (inner, depth + 1)));
    }
    page::table(&["Call", "From", "To", "Value", "Gas used", "Input", "Outcome"], rows)
}

fn row(call: &CallFrame, depth: usize) -> Vec<Markup> {
    let outcome = match (&call.error, &call.revert_reason) {
        (None, _) => page::badge("good", "Success"),
        (Some(error), reason) => html! { (page::badge("bad", "Failed")) " " (failure(error, reason.as_deref())) },
    };
    vec![
        html! { span.depth aria-hidden="true" { ("│ ".repeat(depth.min(12))) } (page::badge("plain", &call.typ)) },
        page::address_link(&call.from),
        html! { @if let Some(to) = &call.to { (page::address_link(to)) } @else { span.muted { "none" } } },
        page::ether(call.value.unwrap_or(U256::ZERO)),
        html! { span.num { (grouped(&call.gas_used.to_string())) } },
        html! {
            @if call.input.is_empty() { span.muted { "none" } }
            @else { span.hash { (hex::encode_prefixed(&call.input[..call.input.len().min(4)])) } }
        },
        outcome,
    ]
}

/// Why a call failed. The reason is the contract's: it may be long, and meant to deceive.
fn failure(error: &str, reason: Option<&str>) -> String {
    let error = shown(error, MAX_REASON);
    reason.map_or_else(|| error.clone(), |reason| format!("{error}: {}", shown(reason, MAX_REASON)))
}

/// `/tx/{hash}/calls`
pub(super) async fn page(State(explorer): State<Arc<Explorer>>, Path(hash): Path<String>) -> Answer {
    blocking(explorer, move |explorer| show(explorer, &hash)).await
}

fn show(explorer: &Explorer, text: &str) -> Answer {
    let hash = find_hash(text)?;
    if explorer.chain.transaction(&hash)?.is_none() {
        return Err(Failure::NotFound {
            what: "There is no final transaction with this hash, so it has made no calls.".into(),
            advice: "The page of the transaction says what is known of it: search for its hash.".into(),
        });
    }
    let content = match within(explorer, &hash, EVM_TIMEOUT) {
        Ok(frame) => html! {
            @if let Some(error) = &frame.error {
                p.what { "It failed: " (failure(error, frame.revert_reason.as_deref())) }
            }
            @if frame.calls.is_empty() { (page::empty("It called no other contract.")) } @else { (table(&frame, MANY)) }
            @if size(&frame) > MANY {
                p { "The first " (MANY) " of " (count(size(&frame), "call")) ". The method debug_traceTransaction gives all." }
            }
        },
        Err(NoCalls::Slow) => html! {
            p { "Running this transaction again takes longer than " (EVM_TIMEOUT.as_secs()) " seconds." }
        },
        Err(NoCalls::Impossible(why)) => html! { p { "They cannot be found out here: " (why) "." } },
    };
    let body = html! {
        (page::heading("Calls of transaction", html! { a.hash.full href={ "/tx/" (hash) } { (hash) } }, html! {}))
        (page::section("calls", "Internal calls", content))
    };
    Ok(page::page(explorer, Nav::Transactions, "Internal calls", body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_cut_and_do_not_deceive() {
        assert_eq!(failure("out of gas", None), "out of gas");
        assert_eq!(failure("execution reverted", Some("no\u{202e}")), "execution reverted: no\\u{202e}");
        let long = failure("execution reverted", Some(&"x".repeat(100_000)));
        assert!(long.chars().count() < 2 * MAX_REASON, "{}", long.len());
    }
}

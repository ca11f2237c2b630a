//! The page of one validator.

use std::sync::Arc;

use alloy_primitives::B256;
use axum::extract::{Path, State};
use maud::{Markup, html};

use crate::explorer::{
    Explorer, blocking, blocks,
    format::{number, percent},
    page::{self, Answer, Failure, Nav},
    parse_number, picture,
    recent::Record,
    validator_index, validators,
};

/// Blocks of its own that are listed.
const BLOCKS: usize = 20;

/// `/validator/{index}`
pub(super) async fn page(State(explorer): State<Arc<Explorer>>, Path(index): Path<String>) -> Answer {
    blocking(explorer, move |explorer| show(explorer, &index)).await
}

/// The position of a validator in the set, from its index or its name.
pub(super) fn find(explorer: &Explorer, text: &str) -> Option<u16> {
    let by_index = parse_number(text).and_then(|index| u16::try_from(index).ok());
    let by_index = by_index.filter(|index| usize::from(*index) < explorer.set.len());
    by_index.or_else(|| {
        let mut named = explorer.set.iter().map(|(index, _)| index.0);
        named.find(|index| explorer.validator_name(*index).eq_ignore_ascii_case(text))
    })
}

fn show(explorer: &Explorer, text: &str) -> Answer {
    let index = find(explorer, text).ok_or_else(|| Failure::NotFound {
        what: format!("There is no validator \"{}\".", page::short(text)),
        advice: format!("Validators are counted from 0 to {}, and may be named as well.", explorer.set.len() - 1),
    })?;
    let (participation, entries) = {
        let recent = explorer.recent()?;
        let own = recent.newest().filter(|entry| entry.number > 0 && entry.proposer == index);
        let entries: Vec<_> = own.take(BLOCKS).cloned().collect();
        (recent.participation(&explorer.set), entries)
    };
    let counted: Result<Vec<_>, Failure> = entries.into_iter().map(|entry| entry.counted(&explorer.chain)).collect();
    let record = participation.records.get(usize::from(index)).cloned().unwrap_or_default();
    let name = explorer.validator_name(index);
    let weight = explorer.set.weight(validator_index(index)).0;
    let total = explorer.set.total().0;
    let body = html! {
        (page::heading("Validator", html! { (name) }, html! { "number " (index) (validators::labels(explorer, index)) }))
        (page::live_section("figures", "At a glance", page::figures(vec![
            ("Weight", html! { span.num { (number(weight)) } }, html! { (percent(weight.into(), total.into())) " of " (number(total)) }),
            ("Uptime", html! { span.num { (validators::uptime(&record)) } }, picture::presence(&record.parts, &name)),
            ("Proposed", html! { span.num { (number(record.proposed as u64)) } }, html! { (number(record.missed as u64)) " missed" }),
            ("Votes", html! { span.num { (percent(record.signed as u128, participation.certificates as u128)) } },
                html! { "in " (number(record.signed as u64)) " of " (number(participation.certificates as u64)) " certificates" }),
        ])))
        (page::live_section("about", "About it", about(explorer, index, &record)))
        (page::section("blocks", "Blocks that it proposed", {
            let entries = counted?;
            if entries.is_empty() { page::empty("None of the last blocks.") } else { blocks::table(explorer, &entries) }
        }))
        (validators::explained(&participation))
    };
    Ok(page::page(explorer, Nav::Validators, &name, body))
}

fn about(explorer: &Explorer, index: u16, record: &Record) -> Markup {
    let seen = validators::seen(explorer, &explorer.status(), index);
    let mut rows = vec![
        ("Last seen", html! { @if !seen.heard { (page::badge("bad", "Silent")) " " } (seen.words) }),
        (
            "Last block",
            html! {
                @match record.last {
                    Some((block, time_ms)) => { (page::block_link(block)) " proposed or signed " (page::age(time_ms)) }
                    None => { span.muted { "none of the last blocks" } }
                }
            },
        ),
        (
            "Version",
            html! { @match &seen.version { Some(version) => (version), None => { span.muted { "not told" } } } },
        ),
    ];
    if let Some(spec) = explorer.genesis.validator(validator_index(index)) {
        rows.push(("Stake", html! { span.num { (number(spec.stake)) } }));
        rows.push(("Fees go to", html! {
            @if spec.fee_recipient.is_zero() { span.muted { "nobody (burnt)" } } @else { (page::address_full(&spec.fee_recipient)) }
        }));
        rows.push(("Votes with the key", page::hash(&B256::new(spec.key.0))));
        rows.push(("Its node's key", page::hash(&B256::new(spec.node_key.0))));
    }
    page::facts(rows)
}

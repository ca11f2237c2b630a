//! The page of the validators: who they are, who has been up, and what the chain withstands.

use std::sync::Arc;

use alloy_primitives::B256;
use assent_consensus::PublicKey;
use axum::extract::State;
use maud::{Markup, html};

use crate::{
    explorer::{
        Explorer, analysis, blocking,
        format::{count, duration, number, percent},
        page::{self, Answer, Nav},
        picture::{self, Part},
        recent::{Participation, Record},
    },
    status::{NodeStatus, PeerStatus, QuorumStatus},
};

/// What this node knows of a validator's own node.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Whether it has been heard lately.
    pub(super) heard: bool,
    /// In words.
    pub(super) words: String,
    /// Name and version of its program, where it tells.
    pub(super) version: Option<String>,
}

/// What this node's status says of a validator.
pub(super) fn seen(explorer: &Explorer, status: &NodeStatus, index: u16) -> Seen {
    let Some(spec) = explorer.genesis.validator(super::validator_index(index)) else { return Seen::default() };
    let key = |key: &PublicKey| B256::new(key.0);
    let heard = !status.silent.iter().any(|silent| silent.key == key(&spec.key));
    match status.peers.iter().find(|peer| peer.key == key(&spec.node_key)) {
        Some(peer) => Seen { heard, words: last_heard(peer), version: peer.version.clone() },
        // The node list has everybody but this node.
        None => Seen { heard, words: "this node".into(), version: Some(explorer.client_version.clone()) },
    }
}

pub(super) fn last_heard(peer: &PeerStatus) -> String {
    match peer.last_heard_ms {
        Some(ms) if ms < 1_000 => "just now".into(),
        Some(ms) => format!("{} ago", duration(ms)),
        None => "never since this node started".into(),
    }
}

/// `/validators`
pub(super) async fn page(State(explorer): State<Arc<Explorer>>) -> Answer {
    blocking(explorer, show).await
}

fn show(explorer: &Explorer) -> Answer {
    let status = explorer.status();
    let participation = explorer.recent()?.participation(&explorer.set);
    let below = html! {
        (count(explorer.set.len(), "validator")) " with weight " span.num { (number(explorer.set.total().0)) }
        " · epoch " span.num { (explorer.set.epoch().0) }
    };
    let body = html! {
        (page::heading("", html! { "Validators" }, below))
        (page::live_section("heard", "Heard in the last seconds", heard(explorer, &status)))
        (page::live_section("validators", "Who they are and what they did", html! {
            (table(explorer, &status, &participation))
            (explained(&participation))
        }))
        (analysis::sections(explorer))
    };
    Ok(page::page(explorer, Nav::Validators, "Validators", body))
}

/// The weight that answers this node.
pub(super) fn heard(explorer: &Explorer, status: &NodeStatus) -> Markup {
    let parts: Vec<Part> = explorer
        .set
        .iter()
        .map(|(index, validator)| Part {
            index: index.0,
            name: explorer.validator_name(index.0),
            weight: validator.weight.0,
            there: seen(explorer, status, index.0).heard,
        })
        .collect();
    picture::weights(&parts, QuorumStatus::new(explorer.set.total().0, 0).needed, "Heard")
}

fn table(explorer: &Explorer, status: &NodeStatus, participation: &Participation) -> Markup {
    let total = explorer.set.total().0;
    let rows = explorer.set.iter().zip(&participation.records).map(|((index, validator), record)| {
        let (name, weight) = (explorer.validator_name(index.0), validator.weight.0);
        let seen = seen(explorer, status, index.0);
        let label = format!("{name} in the last {}", count(participation.blocks, "block"));
        vec![
            html! { a href={ "/validator/" (index.0) } { (name) } (labels(explorer, index.0)) },
            html! { span.num { (number(weight)) } },
            html! { span.num { (percent(weight.into(), total.into())) } (picture::share(weight as f64, total as f64)) },
            html! { span.num { (uptime(record)) } (picture::presence(&record.parts, &label)) },
            html! { span.num { (number(record.proposed as u64)) } },
            html! { span.num { (number(record.missed as u64)) } },
            html! { span.num { (percent(record.signed as u128, participation.certificates as u128)) } },
            html! { @if !seen.heard { (page::badge("bad", "Silent")) " " } (seen.words) },
            html! { @match &seen.version { Some(version) => (version), None => { span.muted { "not told" } } } },
        ]
    });
    let head = ["Validator", "Weight", "Share", "Uptime", "Proposed", "Missed", "Votes", "Last seen", "Version"];
    page::table(&head, rows.collect())
}

/// Its organisation and region, where the genesis file names them.
pub(super) fn labels(explorer: &Explorer, index: u16) -> Markup {
    let spec = explorer.genesis.validator(super::validator_index(index));
    let labels = spec.map(|spec| [spec.org.as_deref(), spec.region.as_deref()]).unwrap_or_default();
    html! { @for label in labels.into_iter().flatten() { " " (page::badge("plain", label)) } }
}

/// The share of the last blocks' parts in which it took part.
pub(super) fn uptime(record: &Record) -> String {
    if record.parts.is_empty() { "–".into() } else { percent(record.up() as u128, record.parts.len() as u128) }
}

/// What the columns mean.
pub(super) fn explained(participation: &Participation) -> Markup {
    let Some((first, last)) = participation.range else {
        return html! { p.muted { "Nothing is counted before block 1." } };
    };
    let parts = participation.records.first().map_or(0, |record| record.parts.len());
    html! {
        p.muted {
            "Counted over the last " (count(participation.blocks, "block")) ", " (number(first)) " to " (number(last)) ". "
            "Uptime: in how many of " (number(parts as u64)) " equal parts of them the validator proposed a block or its vote is in a "
            "certificate. Missed: views that it was to lead and that gave no block. Votes: certificates that carry its vote; "
            "a certificate is closed as soon as it is a quorum, so a validator that is up but far away is often left out."
        }
    }
}

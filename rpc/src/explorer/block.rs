//! The page of a block: header, seal, who signed it, and its transactions.

use std::sync::Arc;

use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes};
use assent_chain::{Seal, chain::FinalHeader};
use axum::extract::{Path, Query, State};
use maud::{Markup, html};
use serde::Deserialize;

use crate::{
    eth::reader::Reader,
    explorer::{
        Explorer, blocking, blocks,
        format::{count, gas_price, number, percent},
        page::{self, Answer, Failure, Nav},
        parse_bytes, parse_number,
        picture::{self, Part},
        recent::Signers,
        transactions::{self, Row},
    },
    status::QuorumStatus,
};

/// Transactions on a page.
const PER_PAGE: usize = 50;

#[derive(Debug, Deserialize)]
pub(super) struct Which {
    page: Option<String>,
}

/// `/block/{number or hash}`
pub(super) async fn page(
    State(explorer): State<Arc<Explorer>>,
    Path(block): Path<String>,
    Query(which): Query<Which>,
) -> Answer {
    blocking(explorer, move |explorer| show(explorer, &block, which.page.as_deref())).await
}

/// The number of the block that a path names.
fn find(explorer: &Explorer, text: &str) -> Result<u64, Failure> {
    let head = explorer.chain.head().number;
    if text == "latest" {
        return Ok(head);
    }
    // 32 bytes in hex are a hash, even where all of them are digits.
    if let Some(hash) = parse_bytes(text) {
        return explorer.chain.number_by_hash(&B256::new(hash))?.ok_or_else(|| Failure::NotFound {
            what: format!("There is no final block with the hash {text}."),
            advice: "It may be the hash of a transaction: search for it. Blocks that are not final are never shown."
                .into(),
        });
    }
    match parse_number(text) {
        Some(block) if block <= head => Ok(block),
        Some(block) => Err(Failure::NotFound {
            what: format!("Block {block} does not exist yet."),
            advice: format!("The last final block is {}.", number(head)),
        }),
        None => Err(Failure::NotFound {
            what: format!("\"{}\" is no block.", page::short(text)),
            advice: "A block is named by its number, or by its hash of 64 hex digits behind 0x.".into(),
        }),
    }
}

fn show(explorer: &Explorer, text: &str, which: Option<&str>) -> Answer {
    let block = find(explorer, text)?;
    let absent = || Failure::Internal(format!("block {block} is final but not stored"));
    let FinalHeader { hash, header, seal } = explorer.chain.header_by_number(block)?.ok_or_else(absent)?;
    let all = explorer.chain.transaction_count(block)?.ok_or_else(absent)?;
    let time_ms = if block == 0 { header.timestamp.saturating_mul(1_000) } else { seal.time_ms };
    let body = html! {
        (page::heading("Block", html! { span.num { (number(block)) } }, html! {
            (page::badge("good", "Final")) " " (page::moment(time_ms)) " · " (count(all, "transaction"))
            (neighbours(block, explorer.chain.head().number))
        }))
        (section_of_certificate(explorer, block, &header, &seal)?)
        (page::section("header", "Header", header_facts(block, &hash, &header)))
        @if block > 0 { (page::section("seal", "Seal", seal_facts(explorer, block, &seal))) }
        (section_of_transactions(explorer, block, time_ms, all, which)?)
    };
    Ok(page::page(explorer, Nav::Blocks, &format!("Block {}", number(block)), body))
}

fn neighbours(block: u64, head: u64) -> Markup {
    html! {
        nav.neighbours aria-label="Neighbouring blocks" {
            @if block > 0 { a href={ "/block/" (block - 1) } rel="prev" { "← " (number(block - 1)) } }
            @if block < head { a href={ "/block/" (block + 1) } rel="next" { (number(block + 1)) " →" } }
        }
    }
}

/// The certificate that made a block final: of the first block from it on that has one.
pub(super) struct Certified {
    pub(super) block: u64,
    pub(super) signers: Signers,
    pub(super) raw: Bytes,
}

pub(super) fn certificate(explorer: &Explorer, block: u64) -> Result<Option<Certified>, Failure> {
    let found = Reader::of(&explorer.chain).certificate_from(block);
    let Some((block, raw)) = found.map_err(|error| Failure::Internal(error.to_string()))? else { return Ok(None) };
    Ok(Signers::of(&raw, &explorer.set).map(|signers| Certified { block, signers, raw }))
}

/// The validators and which of them signed.
pub(super) fn parts(explorer: &Explorer, signers: Signers) -> Vec<Part> {
    let part = |(index, validator): (assent_consensus::ValidatorIndex, &assent_consensus::Validator)| Part {
        index: index.0,
        name: explorer.validator_name(index.0),
        weight: validator.weight.0,
        there: signers.contains(index.0),
    };
    explorer.set.iter().map(part).collect()
}

fn section_of_certificate(explorer: &Explorer, block: u64, header: &Header, seal: &Seal) -> Result<Markup, Failure> {
    let content = if block == 0 {
        html! { p { "The genesis block needs no votes: it is what all nodes were given." } }
    } else if seal.validator_set.0 != explorer.set.hash().0 {
        html! { p { "The validators of epoch " (seal.epoch) " are not known here." } }
    } else {
        match certificate(explorer, block)? {
            Some(certified) => certificate_content(explorer, block, &certified),
            None => html! { p { "This node has no certificate of Commit votes for block " (header.number) " yet." } },
        }
    };
    Ok(page::section("certificate", "Who signed it", content))
}

fn certificate_content(explorer: &Explorer, block: u64, certified: &Certified) -> Markup {
    let needed = QuorumStatus::new(explorer.set.total().0, 0).needed;
    html! {
        (picture::weights(&parts(explorer, certified.signers), needed, "Signed"))
        @if certified.block != block {
            p.muted {
                "Block " (number(block)) " became final together with block " (page::block_link(certified.block))
                ", whose certificate this is: who commits to a block commits to all before it."
            }
        }
        details {
            summary { "Certificate, " (number(certified.raw.len() as u64)) " bytes" }
            (page::bytes(&certified.raw))
        }
    }
}

fn header_facts(block: u64, hash: &B256, header: &Header) -> Markup {
    let base_fee = header.base_fee_per_gas.unwrap_or_default();
    page::facts(vec![
        ("Hash", page::hash(hash)),
        (
            "Parent",
            html! {
                @if block == 0 { span.muted { "none" } } @else {
                    a.hash.full href={ "/block/" (header.parent_hash) } { (header.parent_hash) }
                }
            },
        ),
        (
            "Fees go to",
            html! {
                @if header.beneficiary.is_zero() { span.muted { "nobody (burnt)" } } @else { (page::address_full(&header.beneficiary)) }
            },
        ),
        (
            "Gas used",
            html! {
                span.num { (number(header.gas_used)) } " of " span.num { (number(header.gas_limit)) } " "
                span.muted { "(" (percent(header.gas_used.into(), header.gas_limit.into())) ")" }
            },
        ),
        ("Base fee", html! { span.num { (gas_price(base_fee.into())) } " per gas" }),
        ("State root", page::hash(&header.state_root)),
        ("Transactions root", page::hash(&header.transactions_root)),
        ("Receipts root", page::hash(&header.receipts_root)),
        ("Extra data", page::bytes(&header.extra_data)),
    ])
}

fn seal_facts(explorer: &Explorer, block: u64, seal: &Seal) -> Markup {
    page::facts(vec![
        ("Proposer", blocks::proposer(explorer, block, seal.proposer)),
        (
            "View",
            html! { span.num { (number(seal.view)) } span.muted { " of epoch " } span.num { (number(seal.epoch)) } },
        ),
        ("Proposed", page::moment(seal.time_ms)),
        ("Validator set", page::hash(&seal.validator_set)),
        ("Parent's certificate", page::hash(&seal.parent_certificate)),
        (
            "Evidence",
            html! {
                @if seal.evidence.is_empty() { span.muted { "none: nobody was caught misbehaving" } }
                @else {
                    (page::badge("bad", &count(seal.evidence.len(), "piece")))
                    @for piece in &seal.evidence { (page::bytes(piece)) }
                }
            },
        ),
    ])
}

fn section_of_transactions(
    explorer: &Explorer,
    block: u64,
    time_ms: u64,
    all: usize,
    which: Option<&str>,
) -> Result<Markup, Failure> {
    let at = page::Numbered::new(which, all, PER_PAGE)?;
    let start = at.start();
    let some = explorer.chain.transactions_in(block, start..start + PER_PAGE)?.unwrap_or_default();
    let rows: Vec<Row> =
        some.into_iter().map(|(transaction, receipt)| Row { block, time_ms, transaction, receipt }).collect();
    let content = html! {
        @if rows.is_empty() { (page::empty("This block has no transactions.")) } @else { (transactions::table(explorer, &rows)) }
        (at.links(&format!("/block/{block}?page="), "#transactions"))
    };
    Ok(page::section("transactions", &count(all, "transaction"), content))
}

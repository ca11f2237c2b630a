//! The search: one field for blocks, hashes, addresses and validators, and a page that helps when nothing is found.

use std::sync::Arc;

use alloy_primitives::{Address, B256};
use axum::{
    extract::{Query, State},
    http::Uri,
    response::{IntoResponse, Redirect},
};
use serde::Deserialize;

use crate::explorer::{
    Explorer, blocking,
    format::number,
    page::{Answer, Failure, short},
    parse_bytes, parse_number, validator,
};

/// What can be searched.
const FORMS: &str = "Search for the number of a block (1200), the hash of a block or transaction (64 hex digits behind 0x), \
                     an address (40 hex digits behind 0x), or a validator's name.";

#[derive(Debug, Deserialize)]
pub(super) struct Search {
    q: Option<String>,
}

/// `/search`
pub(super) async fn page(State(explorer): State<Arc<Explorer>>, Query(search): Query<Search>) -> Answer {
    let text = search.q.unwrap_or_default();
    blocking(explorer, move |explorer| Ok(Redirect::to(&find(explorer, text.trim())?).into_response())).await
}

/// The path of the page about what somebody looks for.
fn find(explorer: &Explorer, text: &str) -> Result<String, Failure> {
    if text.is_empty() {
        return Err(Failure::Bad(format!("Nothing was searched for. {FORMS}")));
    }
    let head = explorer.chain.head().number;
    if let Some(hash) = parse_bytes(text).map(B256::new) {
        return by_hash(explorer, &hash);
    }
    if let Some(address) = parse_bytes(text).map(Address::new) {
        return Ok(format!("/address/{address}"));
    }
    // Numbers may be written as pages show them.
    let block = parse_number(&text.replace([',', '_', ' '], ""));
    if let Some(block) = block.filter(|block| *block <= head) {
        return Ok(format!("/block/{block}"));
    }
    // A number names a block; a validator is found by its name.
    if block.is_none()
        && let Some(index) = validator::find(explorer, text)
    {
        return Ok(format!("/validator/{index}"));
    }
    Err(match block {
        Some(block) => Failure::NotFound {
            what: format!("Block {block} does not exist yet."),
            advice: format!("The last final block is {}. {FORMS}", number(head)),
        },
        None => nothing(text),
    })
}

fn by_hash(explorer: &Explorer, hash: &B256) -> Result<String, Failure> {
    let pool = explorer.chain.pool();
    let known = pool.contains(hash) || explorer.chain.transaction(hash)?.is_some() || pool.gone(hash).is_some();
    if known {
        return Ok(format!("/tx/{hash}"));
    }
    match explorer.chain.number_by_hash(hash)? {
        Some(block) => Ok(format!("/block/{block}")),
        None => Err(Failure::NotFound {
            what: format!("Neither a block nor a transaction has the hash {hash}."),
            advice: "A transaction that was refused, or that this node has never seen, is not found. Another node may know it."
                .into(),
        }),
    }
}

/// Nothing has this form; what may be meant is said.
fn nothing(text: &str) -> Failure {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let advice = match hex && text.starts_with("0x") {
        true => format!("It has {} hex digits: a hash has 64, an address 40. {FORMS}", digits.len()),
        false => FORMS.to_owned(),
    };
    Failure::NotFound { what: format!("Nothing is found for \"{}\".", short(text)), advice }
}

/// For all other paths.
pub(super) async fn no_such_page(uri: Uri) -> Failure {
    Failure::NotFound { what: format!("There is no page \"{}\" here.", short(uri.path())), advice: FORMS.into() }
}

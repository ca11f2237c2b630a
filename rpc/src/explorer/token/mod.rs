//! Tokens: contracts that say of themselves that they are one, and what their logs tell.
//!
//! Nothing about them is true but what the chain says: any contract may call itself by any name and log transfers that
//! never were. Names are shown as text, within bounds; balances are what the contract answers.

mod asking;
mod page;
pub(crate) mod transfers;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, Query, State, rejection::QueryRejection},
    routing::get,
};

use crate::explorer::{
    Explorer,
    account::{Listing, cursor},
    blocking,
    contract::parse_address,
    page::Answer,
};

pub(crate) use asking::{Standard, Token, balance, balance_of_kind};
pub(crate) use page::{HEAD, named, transfer_rows};

/// The page of a token.
pub(super) fn routes() -> Router<Arc<Explorer>> {
    Router::new().route("/token/{address}", get(overview))
}

async fn overview(
    State(explorer): State<Arc<Explorer>>,
    Path(address): Path<String>,
    query: Result<Query<Listing>, QueryRejection>,
) -> Answer {
    let address = parse_address(&address)?;
    let before = cursor(query)?.before;
    blocking(explorer, move |explorer| page::token(explorer, &address, before)).await
}

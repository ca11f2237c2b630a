//! The server as clients see it: a chain in a temporary directory, a served port, real requests.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod analysis;
mod blocks;
mod bundles;
mod calls;
mod certificates;
mod discovery;
mod errors;
mod explain;
mod explorer;
mod filters;
mod fuzz;
mod harness;
mod history;
mod limits;
mod logs;
mod ots;
mod overrides;
mod schema;
mod state;
mod subscriptions;
mod traces;
mod transactions;
mod txpool;
mod unread;

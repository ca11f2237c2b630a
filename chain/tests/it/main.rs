//! The chain from outside: two nodes without a network, blocks built, judged and made final by
//! hand.

#![allow(missing_docs, clippy::unwrap_used, unreachable_pub)]

mod blocks;
mod building;
mod calls;
mod damage;
mod encoding;
mod forks;
mod history;
mod index;
mod inspection;
mod lifecycle;
mod random;
mod state;
mod support;

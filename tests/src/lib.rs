//! Real clusters of real processes, tested from outside.
//!
//! The library is the harness: it finds the `assent` binary beside the tests ([`binary`]), chooses
//! ports ([`ports`]), starts, kills and restarts nodes ([`process`], [`cluster`], [`devnet`]), breaks the
//! links between them ([`proxy`]), speaks JSON-RPC with them ([`rpc`]), sends signed transactions
//! ([`accounts`], [`load`], [`contracts`], [`cast`]), checks that all nodes have the same chain ([`checks`]) and that
//! operators can watch them ([`monitoring`]), and looks at the explorer's pages with a browser ([`browser`],
//! [`showcase`]). What others made is run against it as its users run it ([`tools`], [`examples`]). The tests themselves
//! are in `tests/tests`, one file per group, the benchmarks in `src/bin`. The harness sees the product only as a user
//! does: its command line, its files and its sockets. The exceptions are [`votes`], which reads what nodes wrote into
//! their logs of votes, [`prefill`], which writes a long chain into a node's home before its first start, and
//! [`damage`], which damages data folders and knows where the signer's mark has its slots.

pub mod accounts;
pub mod anvil;
pub mod benchmarks;
pub mod binary;
mod brought;
pub mod browser;
pub mod cast;
pub mod checks;
pub mod cluster;
pub mod contracts;
pub mod damage;
pub mod devnet;
pub mod dice;
pub mod examples;
mod homes;
pub mod load;
pub mod monitoring;
pub mod ports;
pub mod prefill;
pub mod process;
pub mod proxy;
pub mod rpc;
pub mod showcase;
pub mod token;
pub mod tools;
pub mod turn;
pub mod usage;
pub mod votes;
pub mod wait;

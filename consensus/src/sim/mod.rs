//! A seeded simulator of whole networks: the real state machine on every node, virtual time, a faulty network, crashes
//! with a disk that loses what was not synced, and an observer that checks after each event what must always hold.
//!
//! `run(&scenario, seed)` plays one run. The same scenario and seed play the same run, event for event, on every
//! machine; a failed run prints its last events and how to play it again. First there are faults, for a stated time;
//! then they end, and every node must make progress within a stated time.
//!
//! It does not know the node's log format, libp2p or the EVM: what it drives is the protocol.

mod application;
mod checks;
mod disk;
mod faults;
mod network;
mod node;
mod report;
mod rng;
mod run;
mod scenario;
#[cfg(test)]
mod tests;
mod trace;
pub mod twins;

pub use network::Links;
pub use report::Report;
pub use rng::Rng;
pub use run::run;
pub use scenario::{Faults, Goal, Load, Scenario, Stakes};

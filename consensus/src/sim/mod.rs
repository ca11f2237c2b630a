//! A seeded simulator of whole networks: the real state machine on every node with the real formats of log and mark,
//! virtual time, a faulty network, faulty disks, clocks and processes, Byzantine validators, and an observer that checks
//! after each event what must always hold.
//!
//! `run(&scenario, seed)` plays one run. The same scenario and seed play the same run, event for event, on every
//! machine; a failed run prints its last events and how to play it again. First there are faults, for a stated time;
//! then they end, and every node must make progress within a stated time and number of views.
//!
//! It does not know libp2p, files or the EVM: what it drives is the protocol. [`run_with`] plays the same runs with
//! another [`Application`], such as the real execution.

mod application;
mod byzantine;
mod checks;
mod disk;
mod faults;
pub(crate) mod ideal;
mod kinds;
mod network;
mod node;
mod report;
mod rng;
mod run;
mod scenario;
#[cfg(test)]
mod tests;
mod trace;
mod trouble;
pub mod twins;
mod watch;

pub use application::{Application, Built, FinalBlock, Ledger};
pub use byzantine::Kind as Byzantine;
pub use faults::{Fault, Planned};
pub use ideal::{Signers, ideal_validators, real_validators};
pub use kinds::{Counts, FaultKind};
pub use network::Links;
pub use report::{BlockMoment, Report};
pub use rng::Rng;
pub use run::{run, run_with};
pub use scenario::{Faults, Goal, Load, Scenario, Stakes};
pub use trace::Line;

//! Step tests of the state machine: for each rule of SPEC.md the inputs that matter and what comes of them.
//!
//! `bench` holds one core and plays everybody else; the other files follow the sections of the specification.
#![allow(clippy::unwrap_used)]

mod bench;
mod bounds;
mod building;
mod fetch;
mod finality;
mod liveness;
mod memory;
mod proposals;
mod restore;
mod spec;
mod views;
mod votes;

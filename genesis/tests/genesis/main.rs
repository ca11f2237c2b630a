//! The crate from outside: genesis files as people write them.
#![allow(clippy::unwrap_used)]

mod findings;
mod fixtures;
mod fuzz;
mod hash;
mod loading;
mod planning;

//! Tests of the pool as a whole, by theme.
#![allow(clippy::unwrap_used)]

mod admission;
mod finals;
mod fuzz;
mod gone;
mod limits;
mod measure;
mod order;
mod property;
mod restart;

//! The consensus protocol of Assent as a pure state machine; `consensus/SPEC.md` is its specification.
//!
//! Knows no clock, no network, no disk, no entropy and no threads: the driver in the node does the effects
//! that the core asks for, and the simulator does them in virtual time.
#![forbid(unsafe_code)]

mod certificate;
mod codec;
pub mod core;
pub mod durability;
mod evidence;
pub mod log;
pub mod mark;
mod message;
pub mod mutation;
mod quorum;
mod record;
pub mod recovery;
mod rotation;
pub mod sim;
mod types;
mod validators;
mod vote;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod planted;
#[cfg(test)]
mod testing;

pub use certificate::{Certificate, CertificateError};
pub use codec::DecodeError;
pub use evidence::{Evidence, Signed};
pub use message::{
    Fetch, MAX_CARRIED, MAX_CERTIFICATE_BYTES, MAX_FETCHED_VIEWS, MAX_MESSAGE_BYTES, MAX_PAYLOAD_BYTES, Message,
    Proposal, ReadBlock, Status,
};
pub use quorum::{is_quorum, least_quorum};
pub use record::Record;
pub use rotation::MAX_CYCLE;
pub use types::{BlockInfo, Epoch, Hash, Height, PublicKey, Signature, ValidatorIndex, View, Weight};
pub use validators::{MAX_TOTAL_WEIGHT, MAX_VALIDATORS, Validator, ValidatorSet, ValidatorSetError};
pub use vote::{Ballot, MAX_HEADER_BYTES, Named, Phase, Vote, sha256};

//! What a node answers in the namespace `assent`, as far as it is shown.

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::Deserialize;

/// The answer to `assent_getSeal`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Seal {
    pub(super) epoch: u64,
    pub(super) view: u64,
    pub(super) proposer: u16,
    pub(super) proposer_name: Option<String>,
    pub(super) timestamp_ms: u64,
    pub(super) evidence: Vec<Bytes>,
}

/// The answer to `assent_getCertificate`.
#[derive(Debug, Deserialize)]
pub(super) struct Certificate {
    pub(super) phase: String,
    pub(super) epoch: u64,
    pub(super) view: u64,
    pub(super) block: B256,
    pub(super) number: u64,
    pub(super) signers: Vec<Signer>,
    pub(super) weight: u64,
    pub(super) total: u64,
}

/// One of those who voted.
#[derive(Debug, Deserialize)]
pub(super) struct Signer {
    pub(super) index: u16,
    pub(super) name: Option<String>,
    pub(super) key: B256,
    pub(super) weight: u64,
    pub(super) signature: Bytes,
}

/// The answer to `assent_validators`.
#[derive(Debug, Deserialize)]
pub(super) struct Validators {
    pub(super) epoch: u64,
    pub(super) hash: B256,
    pub(super) total: u64,
    pub(super) needed: u64,
    pub(super) validators: Vec<Validator>,
}

/// One of those who may vote.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Validator {
    pub(super) index: u16,
    pub(super) name: Option<String>,
    pub(super) key: B256,
    pub(super) weight: u64,
    pub(super) fee_recipient: Option<Address>,
    pub(super) org: Option<String>,
    pub(super) region: Option<String>,
}

/// An account at one block.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) address: Address,
    pub(super) block: u64,
    pub(super) balance: U256,
    pub(super) nonce: u64,
    pub(super) pending_nonce: u64,
    pub(super) code: Bytes,
}

//! The namespace `assent`: the node's status, validators and what they withstand, seals, and the
//! certificates that make blocks final.
//!
//! Unlike in `eth`, numbers are JSON numbers here; see `status` for weights.

mod analyze;
pub(crate) mod bundle;
pub(crate) mod explain;

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes};
use assent_chain::chain::FinalHeader;
use assent_consensus::{Certificate, Epoch, Phase, ValidatorIndex, ValidatorSet};
use serde::Serialize;

use crate::{
    errors::CallError,
    eth::reader::Reader,
    methods::{Api, Registrar},
    params::Args,
    status::{HeadStatus, NodeStatus, QuorumStatus},
};

pub(crate) fn register(methods: &mut Registrar) {
    methods.quick("assent_status", 0, status);
    methods.blocking("assent_validators", 1, validators);
    methods.blocking("assent_getSeal", 1, seal);
    methods.blocking("assent_getCertificate", 1, certificate);
    methods.search("assent_getProofBundle", 3, bundle::proof_bundle);
    methods.execution("assent_explainTransaction", 1, explain::explain);
    methods.execution("assent_analyzeValidators", 1, analyze::analyze);
}

/// What the node last said of itself, with the head as it is now.
fn status(api: &Api, _: &Args) -> Result<NodeStatus, CallError> {
    let status = api.backend.status.borrow().clone();
    let mut status = Arc::unwrap_or_clone(status);
    let head = api.backend.chain.head();
    status.head = HeadStatus { number: head.number, hash: head.hash, timestamp_ms: head.time_ms };
    Ok(status)
}

/// The validators of the epoch of a block.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Validators {
    epoch: u64,
    /// SHA-256 of the set, as in the seals of the epoch's blocks.
    hash: B256,
    total: u64,
    /// The least weight that makes a quorum.
    needed: u64,
    validators: Vec<ValidatorEntry>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ValidatorEntry {
    index: u16,
    name: Option<String>,
    key: B256,
    weight: u64,
    fee_recipient: Option<Address>,
    org: Option<String>,
    region: Option<String>,
}

fn validators(api: &Api, args: &Args) -> Result<Option<Validators>, CallError> {
    let Some(block) = Reader::new(api).header(args.block(0)?)? else { return Ok(None) };
    let set = validator_set(api, &block)?;
    let entry = |index: u16| {
        let index = ValidatorIndex(index);
        let validator = set.get(index)?;
        let spec = api.backend.genesis.validator(index).filter(|spec| spec.key == validator.key);
        Some(ValidatorEntry {
            index: index.0,
            name: spec.map(|spec| spec.name.clone()),
            key: B256::new(validator.key.0),
            weight: validator.weight.0,
            fee_recipient: spec.map(|spec| spec.fee_recipient),
            org: spec.and_then(|spec| spec.org.clone()),
            region: spec.and_then(|spec| spec.region.clone()),
        })
    };
    Ok(Some(Validators {
        epoch: set.epoch().0,
        hash: B256::new(set.hash().0),
        total: set.total().0,
        needed: QuorumStatus::new(set.total().0, 0).needed,
        validators: (0..).map_while(entry).collect(),
    }))
}

/// The set of the epoch in which a block was made. Until validators can be changed on the chain
/// every epoch has the genesis' set; the block's seal says whether that is so.
fn validator_set(api: &Api, block: &FinalHeader) -> Result<ValidatorSet, CallError> {
    let genesis = &api.backend.genesis;
    let (epoch, sealed) = (block.seal.epoch, block.seal.validator_set);
    let set = genesis.validator_set(Epoch(epoch), genesis.ethereum.timestamp).map_err(CallError::internal)?;
    let hash = B256::new(set.hash().0);
    // Block 0 has no proposer and its seal names no set.
    if block.header.number > 0 && hash != sealed {
        return Err(CallError::Refused(format!(
            "the validator set of epoch {epoch} is not known here: the block's seal has {sealed}, the genesis gives {hash}"
        )));
    }
    Ok(set)
}

/// What consensus added to a block; the header's `extraData` is its hash.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RpcSeal {
    epoch: u64,
    view: u64,
    /// Index of the validator that proposed the block.
    proposer: u16,
    /// Its name in the genesis file.
    proposer_name: Option<String>,
    /// When it was proposed, in milliseconds since 1970.
    timestamp_ms: u64,
    parent_certificate: B256,
    validator_set: B256,
    evidence: Vec<Bytes>,
}

/// The seal of a block; null for block 0, which has none, and for blocks that do not exist.
fn seal(api: &Api, args: &Args) -> Result<Option<RpcSeal>, CallError> {
    let block = Reader::new(api).header(args.block(0)?)?;
    let Some(FinalHeader { seal, .. }) = block.filter(|block| block.header.number > 0) else { return Ok(None) };
    let spec = api.backend.genesis.validator(ValidatorIndex(seal.proposer));
    Ok(Some(RpcSeal {
        epoch: seal.epoch,
        view: seal.view,
        proposer: seal.proposer,
        proposer_name: spec.map(|spec| spec.name.clone()),
        timestamp_ms: seal.time_ms,
        parent_certificate: seal.parent_certificate,
        validator_set: seal.validator_set,
        evidence: seal.evidence,
    }))
}

/// A certificate with what a person or a light client needs to check it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RpcCertificate {
    /// What the signers voted: `prepare`, `commit` or `viewChange`.
    phase: &'static str,
    epoch: u64,
    view: u64,
    /// The block that the signers voted for. It makes its ancestors final as well, so this may be
    /// a later block than the one that was asked for.
    block: B256,
    number: u64,
    signers: Vec<Signer>,
    /// What the signers weigh together.
    weight: u64,
    total: u64,
    /// The certificate as it is stored and sent.
    raw: Bytes,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Signer {
    index: u16,
    name: Option<String>,
    key: B256,
    weight: u64,
    signature: Bytes,
}

/// The certificate that made a block final; null for block 0, which needs none, and for blocks
/// that do not exist.
fn certificate(api: &Api, args: &Args) -> Result<Option<RpcCertificate>, CallError> {
    let reader = Reader::new(api);
    let Some(block) = reader.header(args.block(0)?)? else { return Ok(None) };
    if block.header.number == 0 {
        return Ok(None);
    }
    let Some((number, raw)) = reader.certificate_from(block.header.number)? else { return Ok(None) };
    let set = validator_set(api, &reader.known_header(number)?)?;
    let certificate = Certificate::decode(&raw, set.len())
        .map_err(|error| CallError::internal(format!("the stored certificate of block {number}: {error}")))?;
    let signer = |(index, signature): (ValidatorIndex, &assent_consensus::Signature)| {
        let validator = set.get(index)?;
        let spec = api.backend.genesis.validator(index).filter(|spec| spec.key == validator.key);
        Some(Signer {
            index: index.0,
            name: spec.map(|spec| spec.name.clone()),
            key: B256::new(validator.key.0),
            weight: validator.weight.0,
            signature: Bytes::copy_from_slice(&signature.0),
        })
    };
    let signers: Vec<_> = certificate.signers().zip(certificate.signatures()).filter_map(signer).collect();
    Ok(Some(RpcCertificate {
        phase: phase_name(certificate.phase),
        epoch: certificate.epoch.0,
        view: certificate.view.0,
        block: B256::new(certificate.block.0),
        number,
        // At most the set's total, which fits.
        weight: signers.iter().map(|signer| signer.weight).sum(),
        signers,
        total: set.total().0,
        raw,
    }))
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Propose => "propose",
        Phase::Prepare => "prepare",
        Phase::Commit => "commit",
        Phase::ViewChange => "viewChange",
    }
}

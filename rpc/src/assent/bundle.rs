//! A proof that needs no trust in the node that gives it: what an account holds after a final block, the tries' nodes that
//! lead to it from the header, and the votes that made the header final.
//!
//! Who verifies it knows the chain's genesis and nothing else; two hashes of it are enough ([`Trust`]). A block without a
//! certificate of its own comes with the headers up to the first that has one; each names the one before it.

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::{Decodable, Encodable};
use alloy_trie::{EMPTY_ROOT_HASH, KECCAK_EMPTY, Nibbles, TrieAccount, proof::verify_proof};
use assent_consensus::{Certificate, Epoch, Hash, Phase, PublicKey, Validator, ValidatorSet, Weight};
use assent_genesis::Genesis;
use serde::{Deserialize, Serialize};

use crate::{
    errors::CallError,
    eth::{proof::keys, reader::Reader},
    methods::Api,
    params::{self, Args},
};

/// The proof. Epoch and nonce are JSON numbers, money and slots are hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProofBundle {
    /// The hash of the chain's block 0.
    pub genesis: B256,
    /// RLP headers: that of the block, then those after it up to the one that the certificate is for.
    pub headers: Vec<Bytes>,
    /// The epoch of the certificate.
    pub epoch: u64,
    /// The commit certificate of the last header, as consensus encodes it; empty for block 0, which needs none.
    pub certificate: Bytes,
    /// The validators of that epoch, in their order.
    pub validators: Vec<BundleValidator>,
    /// Whose account.
    pub address: Address,
    /// Its nonce.
    pub nonce: u64,
    /// Its balance, in wei.
    pub balance: U256,
    /// The hash of its code.
    pub code_hash: B256,
    /// The root of its storage.
    pub storage_hash: B256,
    /// The nodes from the state root down.
    pub account_proof: Vec<Bytes>,
    /// Storage slots.
    pub storage_proof: Vec<SlotProof>,
}

/// A validator whose vote counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleValidator {
    /// The key that signs its votes (ed25519).
    pub key: B256,
    /// What its vote weighs.
    pub weight: u64,
}

/// What has to be known of a chain, from somebody who is trusted, to verify a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trust {
    /// The hash of block 0.
    pub genesis: B256,
    /// The SHA-256 of the epoch's validator set, as `assent_validators` and the seals of blocks have it.
    pub validators: B256,
}

/// A storage slot with the nodes from the storage root down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotProof {
    /// Its position.
    pub key: B256,
    /// What it holds.
    pub value: U256,
    /// The nodes.
    pub proof: Vec<Bytes>,
}

/// Why a bundle proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Of another chain.
    #[error("the proof is of the chain with genesis {got}, expected {expected}")]
    OtherChain {
        /// The hash of the genesis that is trusted.
        expected: B256,
        /// The bundle's.
        got: B256,
    },
    /// The validators are others than those that are trusted, or none that could decide anything.
    #[error("the validators of the proof are not those that are trusted: {reason}")]
    Validators {
        /// What is wrong.
        reason: String,
    },
    /// The headers cannot be read, or do not follow each other.
    #[error("header {position} of the proof {reason}")]
    Header {
        /// Counted from 0.
        position: usize,
        /// What is wrong.
        reason: String,
    },
    /// The votes do not make the last header final.
    #[error("the certificate does not make block {block} final: {reason}")]
    Certificate {
        /// The hash of the last header.
        block: B256,
        /// What is wrong.
        reason: String,
    },
    /// The nodes do not lead to the account or the slot.
    #[error("{what} is not what the state root {root} stands for")]
    State {
        /// Account or slot.
        what: String,
        /// The root that was expected.
        root: B256,
    },
}

impl ProofBundle {
    /// Checks everything, and returns the header of the block after which the account is as the bundle says.
    ///
    /// # Errors
    /// See [`BundleError`].
    pub fn verify(&self, genesis: &Genesis) -> Result<Header, BundleError> {
        // Until validators can be changed on the chain, every epoch has the genesis' set.
        let set = genesis.validator_set(Epoch(self.epoch), genesis.ethereum.timestamp);
        let set = set.map_err(|error| BundleError::Validators { reason: error.to_string() })?;
        self.verify_trusting(&Trust { genesis: genesis.hash(), validators: B256::new(set.hash().0) })
    }

    /// The same for who knows two hashes of the chain, and no more of it.
    ///
    /// # Errors
    /// See [`BundleError`].
    pub fn verify_trusting(&self, trust: &Trust) -> Result<Header, BundleError> {
        if self.genesis != trust.genesis {
            return Err(BundleError::OtherChain { expected: trust.genesis, got: self.genesis });
        }
        let set = self.validator_set(trust.validators)?;
        let (header, last) = self.read_headers()?;
        self.check_final(&set, last)?;
        self.check_state(header.state_root)?;
        Ok(header)
    }

    fn validator_set(&self, expected: B256) -> Result<ValidatorSet, BundleError> {
        let validator = |one: &BundleValidator| Validator { key: PublicKey(one.key.0), weight: Weight(one.weight) };
        let set = ValidatorSet::new(Epoch(self.epoch), self.validators.iter().map(validator).collect())
            .map_err(|error| BundleError::Validators { reason: error.to_string() })?;
        let got = B256::new(set.hash().0);
        if got != expected {
            let reason = format!("the set of epoch {} has the hash {got}, expected {expected}", self.epoch);
            return Err(BundleError::Validators { reason });
        }
        Ok(set)
    }

    /// The block's header and the hash of the last one.
    fn read_headers(&self) -> Result<(Header, B256), BundleError> {
        let wrong = |position, reason: String| BundleError::Header { position, reason };
        let mut first = None;
        let mut last = B256::ZERO;
        for (position, bytes) in self.headers.iter().enumerate() {
            let mut rest = bytes.as_ref();
            let header =
                Header::decode(&mut rest).map_err(|error| wrong(position, format!("cannot be read: {error}")))?;
            if !rest.is_empty() {
                return Err(wrong(position, "has bytes behind it".into()));
            }
            if position > 0 && header.parent_hash != last {
                return Err(wrong(position, format!("follows {}, expected {last}", header.parent_hash)));
            }
            last = keccak256(bytes);
            first = first.or(Some(header));
        }
        first.map(|header| (header, last)).ok_or_else(|| wrong(0, "is missing".into()))
    }

    fn check_final(&self, set: &ValidatorSet, last: B256) -> Result<(), BundleError> {
        if last == self.genesis {
            return Ok(());
        }
        let wrong = |reason: String| BundleError::Certificate { block: last, reason };
        let certificate =
            Certificate::decode(&self.certificate, set.len()).map_err(|error| wrong(error.to_string()))?;
        if certificate.phase != Phase::Commit || certificate.block.0 != last.0 {
            return Err(wrong("it is for another block, or not of Commit votes".into()));
        }
        certificate.verify(set, &Hash(self.genesis.0)).map_err(|error| wrong(error.to_string()))
    }

    fn check_state(&self, root: B256) -> Result<(), BundleError> {
        let wrong = |what: String, root| BundleError::State { what, root };
        let blank = self.nonce == 0 && self.balance.is_zero() && self.code_hash == KECCAK_EMPTY;
        let absent = blank && self.storage_hash == EMPTY_ROOT_HASH;
        let leaf = (!absent)
            .then(|| alloy_rlp::encode(TrieAccount::new(self.nonce, self.balance, self.storage_hash, self.code_hash)));
        verify_proof(root, Nibbles::unpack(keccak256(self.address)), leaf, &self.account_proof)
            .map_err(|_| wrong(format!("the account {}", self.address), root))?;
        for slot in &self.storage_proof {
            let leaf = (!slot.value.is_zero()).then(|| alloy_rlp::encode(slot.value));
            if self.storage_hash == EMPTY_ROOT_HASH && leaf.is_none() && slot.proof.is_empty() {
                continue;
            }
            verify_proof(self.storage_hash, Nibbles::unpack(keccak256(slot.key)), leaf, &slot.proof)
                .map_err(|_| wrong(format!("slot {}", slot.key), self.storage_hash))?;
        }
        Ok(())
    }
}

/// `assent_getProofBundle`
pub(super) fn proof_bundle(api: &Api, args: &Args) -> Result<ProofBundle, CallError> {
    let address = args.required(0, "address", params::address)?;
    let slots: Vec<_> = keys(args, 1)?.into_iter().map(|(slot, _)| slot).collect();
    let reader = Reader::new(api);
    let (block, proof) = reader.proof(args.block(2)?, &address, &slots)?;
    let number = block.header.number;
    let (last, certificate) = match number {
        0 => (0, Bytes::new()),
        _ => reader.certificate_from(number)?.ok_or_else(|| {
            CallError::Refused(format!(
                "block {number} is final, but this node has no certificate of it or after it yet"
            ))
        })?,
    };
    let mut headers = Vec::new();
    for number in number..=last {
        let mut bytes = Vec::new();
        reader.known_header(number)?.header.encode(&mut bytes);
        headers.push(bytes.into());
    }
    let newest = reader.known_header(last)?;
    let validator = |one: &Validator| BundleValidator { key: B256::new(one.key.0), weight: one.weight.0 };
    let validators = super::validator_set(api, &newest)?.iter().map(|(_, one)| validator(one)).collect();
    let account = proof.account.unwrap_or_default();
    let slot = |(key, (value, proof))| SlotProof { key, value, proof };
    Ok(ProofBundle {
        genesis: api.backend.chain.spec().genesis_hash,
        headers,
        epoch: newest.seal.epoch,
        certificate,
        validators,
        address,
        nonce: account.nonce,
        balance: account.balance,
        code_hash: account.code_hash,
        storage_hash: proof.storage_root,
        account_proof: proof.proof,
        storage_proof: slots.into_iter().zip(proof.slots).map(slot).collect(),
    })
}

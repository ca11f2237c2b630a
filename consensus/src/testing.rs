//! A small network of keys for the tests of this crate.

use std::cell::Cell;
use std::sync::Arc;

use ed25519_dalek::{Signer, SigningKey};

use crate::certificate::Certificate;
use crate::codec::{Reader, Writer};
use crate::core::Timing;
use crate::evidence::Signed;
use crate::vote::{Named, sha256};
use crate::{
    Ballot, BlockInfo, Epoch, Hash, Height, Phase, Proposal, PublicKey, Signature, Validator, ValidatorIndex,
    ValidatorSet, View, Vote, Weight,
};

pub(crate) const GENESIS: Hash = Hash([0xaa; 32]);

thread_local! {
    /// How many signatures this thread has verified.
    pub(crate) static VERIFICATIONS: Cell<u64> = const { Cell::new(0) };
}

pub(crate) const TIMING: Timing = Timing { view_timeout_ms: 1000, view_timeout_max_ms: 10_000, retransmit_ms: 400 };

/// Block 0.
pub(crate) fn genesis() -> BlockInfo {
    BlockInfo {
        hash: GENESIS,
        parent: Hash::ZERO,
        height: Height(0),
        epoch: Epoch(0),
        view: View(0),
        parent_certificate: Hash::ZERO,
    }
}

pub(crate) fn key_pair(seed: u8) -> (SigningKey, PublicKey) {
    let secret = SigningKey::from_bytes(&[seed.wrapping_add(1); 32]);
    let public = PublicKey(secret.verifying_key().to_bytes());
    (secret, public)
}

/// The hash of the test block with a number; 0 is «no block».
pub(crate) fn block_hash(block: u8) -> Hash {
    Hash([block; 32])
}

/// A test block's bytes: its info, field by field.
pub(crate) fn payload(info: &BlockInfo) -> Arc<[u8]> {
    let mut writer = Writer::default();
    writer.raw(&info.hash.0).raw(&info.parent.0).u64(info.height.0).u64(info.epoch.0).u64(info.view.0);
    writer.raw(&info.parent_certificate.0);
    writer.0.into()
}

pub(crate) fn read_block(bytes: &[u8]) -> Option<(BlockInfo, Arc<[u8]>)> {
    let mut reader = Reader::new(bytes);
    let (hash, parent) = (reader.hash("hash").ok()?, reader.hash("parent").ok()?);
    let height = Height(reader.u64("height").ok()?);
    let (epoch, view) = (reader.epoch().ok()?, reader.view().ok()?);
    let parent_certificate = reader.hash("certificate").ok()?;
    reader.finish().ok()?;
    let header = hash.0.as_slice().into();
    Some((BlockInfo { hash, parent, height, epoch, view, parent_certificate }, header))
}

pub(crate) struct Network {
    pub(crate) set: ValidatorSet,
    /// Who signs no parent certificate of [`Self::proposal`].
    pub(crate) absent: Option<u16>,
    keys: Vec<SigningKey>,
}

impl Network {
    pub(crate) fn new(weights: &[u64]) -> Self {
        let pairs: Vec<_> = (0u8..).take(weights.len()).map(key_pair).collect();
        let validators =
            pairs.iter().zip(weights).map(|((_, key), w)| Validator { key: *key, weight: Weight(*w) }).collect();
        let set = ValidatorSet::new(Epoch(0), validators).expect("a valid test set");
        Self { set, absent: None, keys: pairs.into_iter().map(|(secret, _)| secret).collect() }
    }

    pub(crate) fn sign(&self, by: u16, ballot: &Ballot) -> Signature {
        self.sign_for(by, ballot, &GENESIS)
    }

    /// The same key's signature in the network with this genesis.
    pub(crate) fn sign_for(&self, by: u16, ballot: &Ballot, genesis: &Hash) -> Signature {
        Signature(self.keys[usize::from(by)].sign(&ballot.sign_bytes(genesis)).to_bytes())
    }

    pub(crate) fn ballot(phase: Phase, view: u64, block: u8) -> Ballot {
        Ballot { epoch: Epoch(0), view: View(view), phase, block: block_hash(block) }
    }

    pub(crate) fn signed(&self, by: u16, phase: Phase, view: u64, block: u8) -> Signed {
        let ballot = Self::ballot(phase, view, block);
        Signed { phase, block: ballot.block, signature: self.sign(by, &ballot) }
    }

    pub(crate) fn vote(&self, by: u16, phase: Phase, view: u64, block: u8) -> Vote {
        let ballot = Self::ballot(phase, view, block);
        Vote { ballot, voter: ValidatorIndex(by), signature: self.sign(by, &ballot), named: None }
    }

    pub(crate) fn view_change_naming(&self, by: u16, view: u64, block: u8) -> Vote {
        let leader = self.set.leader(View(view)).0;
        let leader_signature = self.sign(leader, &Self::ballot(Phase::Propose, view, block));
        let named = Some(Named { header: vec![block; 3], leader_signature });
        Vote { named, ..self.vote(by, Phase::ViewChange, view, block) }
    }

    pub(crate) fn certificate(&self, phase: Phase, view: u64, block: u8, signers: &[u16]) -> Certificate {
        let votes: Vec<Vote> = signers.iter().map(|by| self.vote(*by, phase, view, block)).collect();
        Certificate::form(&self.set, Self::ballot(phase, view, block), votes.iter())
    }

    pub(crate) fn skip(&self, view: u64, signers: &[u16]) -> Certificate {
        self.certificate(Phase::ViewChange, view, 0, signers)
    }

    pub(crate) fn skip_naming(&self, view: u64, signers: &[(u16, Option<u8>)]) -> Certificate {
        let vote = |(by, block): &(u16, Option<u8>)| match block {
            Some(block) => self.view_change_naming(*by, view, *block),
            None => self.vote(*by, Phase::ViewChange, view, 0),
        };
        let votes: Vec<Vote> = signers.iter().map(vote).collect();
        Certificate::form(&self.set, Self::ballot(Phase::ViewChange, view, 0), votes.iter())
    }

    /// Block `block` of `view` on the parent (view, block) that has a prepare certificate of everybody;
    /// the parent (0, 0) is genesis. Heights follow the block numbers.
    pub(crate) fn proposal(&self, view: u64, block: u8, parent: (u64, u8), skipped: Vec<Certificate>) -> Proposal {
        let everybody: Vec<u16> = (0..).take(self.keys.len()).filter(|who| Some(*who) != self.absent).collect();
        let certificate = (parent.0 > 0).then(|| self.certificate(Phase::Prepare, parent.0, parent.1, &everybody));
        let info = BlockInfo {
            hash: block_hash(block),
            parent: if parent.0 == 0 { GENESIS } else { block_hash(parent.1) },
            height: Height(u64::from(parent.1) + 1),
            epoch: Epoch(0),
            view: View(view),
            parent_certificate: certificate.as_ref().map_or(Hash::ZERO, Certificate::hash),
        };
        let signature = self.sign(self.set.leader(View(view)).0, &Self::ballot(Phase::Propose, view, block));
        let header = info.hash.0.as_slice().into();
        Proposal { block: info, payload: payload(&info), header, parent: certificate, skipped, signature }
    }
}

#[test]
fn hashes_are_sha256() {
    assert!(sha256(b"abc").to_string().starts_with("0xba7816bf"));
}

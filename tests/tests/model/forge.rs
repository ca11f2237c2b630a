//! Blocks of a few bytes, and certificates as anybody can put them together: byte by byte (SPEC section 4.3).

use std::sync::Arc;

use assent_consensus::{
    BlockInfo, Certificate, Epoch, Hash, Height, Phase, Signature, ValidatorIndex, View, Vote, sha256,
};

/// How many validators there are.
pub(crate) const VALIDATORS: usize = 4;

/// Hash of the genesis block.
pub(crate) const GENESIS: Hash = Hash([0xaa; 32]);

/// The block on which everything stands.
pub(crate) const fn genesis() -> BlockInfo {
    BlockInfo {
        hash: GENESIS,
        parent: Hash::ZERO,
        height: Height(0),
        epoch: Epoch(0),
        view: View(0),
        parent_certificate: Hash::ZERO,
    }
}

/// A block and its bytes, which are its header, too. The salt tells the blocks of one leader apart.
pub(crate) fn block(
    parent: Hash,
    height: Height,
    view: View,
    parent_certificate: Hash,
    salt: u8,
) -> (BlockInfo, Arc<[u8]>) {
    let mut bytes = vec![salt];
    bytes.extend(view.0.to_be_bytes());
    bytes.extend(height.0.to_be_bytes());
    bytes.extend(parent.0);
    bytes.extend(parent_certificate.0);
    let info = BlockInfo { hash: sha256(&bytes), parent, height, epoch: Epoch(0), view, parent_certificate };
    (info, bytes.into())
}

/// A vote as it stands in a certificate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signed {
    /// Who signed.
    pub(crate) who: ValidatorIndex,
    /// The block of its ballot: for a ViewChange the one that it names, or zero.
    pub(crate) block: Hash,
    /// Its signature.
    pub(crate) signature: Signature,
}

impl Signed {
    /// What a certificate keeps of a vote.
    pub(crate) fn of(vote: &Vote) -> Self {
        Self { who: vote.voter, block: vote.ballot.block, signature: vote.signature }
    }
}

/// The certificate of these votes, which come in validator order. `block` is zero for a view change.
pub(crate) fn certificate(phase: Phase, view: View, block: Hash, votes: &[Signed]) -> Certificate {
    let short = |count: usize| u16::try_from(count).expect("a count of at most four").to_be_bytes();
    let mut bytes = vec![phase as u8];
    bytes.extend(Epoch(0).0.to_be_bytes());
    bytes.extend(view.0.to_be_bytes());
    bytes.extend(block.0);
    bytes.extend(short(VALIDATORS));
    bytes.push(votes.iter().fold(0u8, |bitmap, vote| bitmap | (1u8 << vote.who.position())));
    if phase == Phase::ViewChange {
        let mut named: Vec<Hash> = votes.iter().map(|vote| vote.block).filter(|block| *block != Hash::ZERO).collect();
        named.sort_unstable();
        named.dedup();
        bytes.extend(short(named.len()));
        for hash in &named {
            bytes.extend(hash.0);
        }
        for vote in votes {
            let choice = named.iter().position(|hash| *hash == vote.block).map_or(0, |position| position + 1);
            bytes.extend(short(choice));
        }
    }
    for vote in votes {
        bytes.extend(vote.signature.0);
    }
    Certificate::decode(&bytes, VALIDATORS).expect("these are the bytes of a certificate")
}

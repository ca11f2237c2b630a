//! Ballots (what a validator signs), their sign-bytes, and votes (a ballot with its signature).

use sha2::{Digest, Sha256};

use crate::codec::{DecodeError, Reader, Writer};
use crate::{Epoch, Hash, Signature, ValidatorIndex, ValidatorSet, View};

/// Most bytes of the header that a ViewChange names. An Ethereum header is below 700 bytes.
pub const MAX_HEADER_BYTES: usize = 1024;

/// Domain tag and version of the sign-bytes.
const SIGN_DOMAIN: &[u8; 18] = b"ASSENT-CONSENSUS/1";

/// What a ballot says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Phase {
    /// The leader proposes a block.
    Propose = 0,
    /// The block is valid, and the first of this view that the signer saw.
    Prepare = 1,
    /// The block has a prepare certificate.
    Commit = 2,
    /// The signer gave the view up.
    ViewChange = 3,
}

impl Phase {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8("phase")? {
            0 => Ok(Self::Propose),
            1 => Ok(Self::Prepare),
            2 => Ok(Self::Commit),
            3 => Ok(Self::ViewChange),
            _ => Err(DecodeError::Invalid { field: "phase", reason: "not one of 0 to 3" }),
        }
    }

    /// The step within a view: a validator signs ballots of strictly rising (view, step) (SPEC rule S).
    /// Commit and ViewChange share one, because nobody may send both.
    #[must_use]
    pub const fn step(self) -> u8 {
        match self {
            Self::Propose => 0,
            Self::Prepare => 1,
            Self::Commit | Self::ViewChange => 2,
        }
    }
}

/// What is signed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ballot {
    /// The epoch, whose validator set counts the vote.
    pub epoch: Epoch,
    /// The view.
    pub view: View,
    /// What it says.
    pub phase: Phase,
    /// The block. For a ViewChange: the block for which the signer sent Prepare in this view, or zero.
    pub block: Hash,
}

impl Ballot {
    /// The bytes under the signature (SPEC section 4.1).
    #[must_use]
    pub fn sign_bytes(&self, genesis: &Hash) -> Vec<u8> {
        #[cfg(test)]
        let genesis = if crate::planted::is(crate::planted::Bug::ChainIdMissing) { &Hash::ZERO } else { genesis };
        let mut writer = Writer::default();
        writer.raw(SIGN_DOMAIN).raw(&genesis.0).u64(self.epoch.0).u64(self.view.0);
        writer.u8(self.phase as u8).raw(&self.block.0);
        writer.0
    }

    /// (view, step): the order in which one validator signs (SPEC rule S).
    #[must_use]
    pub const fn mark(&self) -> (View, u8) {
        (self.view, self.phase.step())
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.u64(self.epoch.0).u64(self.view.0).u8(self.phase as u8).raw(&self.block.0);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (epoch, view) = (reader.epoch()?, reader.view()?);
        let (phase, block) = (Phase::read(reader)?, reader.hash("block")?);
        if phase != Phase::ViewChange && block == Hash::ZERO {
            return Err(DecodeError::Invalid { field: "block", reason: "zero outside of a ViewChange" });
        }
        Ok(Self { epoch, view, phase, block })
    }
}

/// The proposal that the sender of a ViewChange had prepared: enough for a later fast path to re-propose it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Named {
    /// The block's header, encoded. Its keccak256 is the ballot's block; who decodes messages checks it.
    pub header: Vec<u8>,
    /// The leader's signature of the Propose ballot.
    pub leader_signature: Signature,
}

/// A signed Prepare, Commit or ViewChange.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Vote {
    /// What is signed.
    pub ballot: Ballot,
    /// Who signed.
    pub voter: ValidatorIndex,
    /// Its signature.
    pub signature: Signature,
    /// With a ViewChange that names a block: the proposal.
    pub named: Option<Named>,
}

impl Vote {
    /// Whether the signature, and that of the named proposal, are right (SPEC rule V).
    #[must_use]
    pub fn verify(&self, set: &ValidatorSet, genesis: &Hash) -> bool {
        let own = set.verify(self.voter, &self.ballot.sign_bytes(genesis), &self.signature);
        own && self.named.as_ref().is_none_or(|named| {
            let propose = Ballot { phase: Phase::Propose, ..self.ballot };
            set.verify(set.leader(self.ballot.view), &propose.sign_bytes(genesis), &named.leader_signature)
        })
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        self.ballot.write(writer);
        writer.u16(self.voter.0).raw(&self.signature.0);
        if let Some(named) = &self.named {
            writer.bytes(&named.header).raw(&named.leader_signature.0);
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let ballot = Ballot::read(reader)?;
        if ballot.phase == Phase::Propose {
            return Err(DecodeError::Invalid { field: "phase", reason: "a proposal is no vote" });
        }
        let (voter, signature) = (reader.validator()?, reader.signature()?);
        let names = ballot.phase == Phase::ViewChange && ballot.block != Hash::ZERO;
        let named = if names {
            let header = reader.bytes("header", MAX_HEADER_BYTES)?.to_vec();
            Some(Named { header, leader_signature: reader.signature()? })
        } else {
            None
        };
        Ok(Self { ballot, voter, signature, named })
    }
}

/// SHA-256 of bytes, as the hash of everything that is the protocol's own.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Hash {
    Hash(Sha256::digest(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{GENESIS, Network};

    /// The bytes that are signed, explained field by field. They never change within a version.
    #[test]
    fn rule_v1_frozen_sign_bytes() {
        let ballot = Ballot { epoch: Epoch(1), view: View(2), phase: Phase::Commit, block: Hash([0xbb; 32]) };
        let mut expected = b"ASSENT-CONSENSUS/1".to_vec(); // domain tag and version
        expected.extend([0xaa; 32]); // genesis hash
        expected.extend([0, 0, 0, 0, 0, 0, 0, 1]); // epoch
        expected.extend([0, 0, 0, 0, 0, 0, 0, 2]); // view
        expected.push(2); // phase: Commit
        expected.extend([0xbb; 32]); // block
        assert_eq!(ballot.sign_bytes(&Hash([0xaa; 32])), expected);
    }

    #[test]
    fn rule_v1_every_field_is_covered() {
        let net = Network::new(&[1, 1, 1, 1]);
        let vote = net.vote(0, Phase::Prepare, 1, 7);
        assert!(vote.verify(&net.set, &GENESIS));
        assert!(!vote.verify(&net.set, &Hash([0x11; 32])));
        let forgeries = [
            Ballot { epoch: Epoch(1), ..vote.ballot },
            Ballot { view: View(2), ..vote.ballot },
            Ballot { phase: Phase::Commit, ..vote.ballot },
            Ballot { block: Hash([9; 32]), ..vote.ballot },
        ];
        for ballot in forgeries {
            assert!(!Vote { ballot, ..vote.clone() }.verify(&net.set, &GENESIS), "{ballot:?}");
        }
        assert!(!Vote { voter: ValidatorIndex(1), ..vote.clone() }.verify(&net.set, &GENESIS));
        assert!(!Vote { voter: ValidatorIndex(99), ..vote }.verify(&net.set, &GENESIS));
    }

    #[test]
    fn rule_v4_a_view_change_names_only_what_the_leader_signed() {
        let net = Network::new(&[1, 1, 1, 1]);
        let vote = net.view_change_naming(2, 1, 7);
        assert!(vote.verify(&net.set, &GENESIS));
        let mut forged = vote;
        forged.named = forged.named.map(|n| Named { leader_signature: Signature([1; 64]), ..n });
        assert!(!forged.verify(&net.set, &GENESIS));
    }
}

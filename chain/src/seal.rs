//! The seal: what consensus adds to an Ethereum block.
//!
//! The header's `extraData` is the SHA-256 of the seal's RLP encoding, so the block hash, and with
//! it every certificate, covers the seal. This module holds its form and its limits; what the
//! values must be is known to consensus, which hands a [`SealExpectation`] to validation. Evidence
//! is opaque here: the caller verifies it.

use alloy_primitives::{B256, Bytes};
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};
use sha2::{Digest, Sha256};

/// Most pieces of evidence in a block. More wait for the next block.
pub const MAX_EVIDENCE: usize = 4;
/// Most bytes of a piece of evidence: two signed messages fit several times.
pub const MAX_EVIDENCE_BYTES: usize = 4 * 1024;
/// No seal within these limits is larger: the evidence with the head of each piece, and the rest.
pub(crate) const MAX_SEAL_BYTES: usize = MAX_EVIDENCE * (MAX_EVIDENCE_BYTES + 3) + 128;

/// See the module. The encoding is the RLP list of the fields in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Seal {
    /// The epoch, which names the validator set.
    pub epoch: u64,
    /// The view in which the block was proposed.
    pub view: u64,
    /// Index of the validator that proposed it.
    pub proposer: u16,
    /// When it was proposed, in milliseconds of Unix time.
    pub time_ms: u64,
    /// SHA-256 of the certificate of the parent that the proposal carries.
    pub parent_certificate: B256,
    /// SHA-256 of the epoch's validator set.
    pub validator_set: B256,
    /// Evidence of misbehaviour, each piece encoded by consensus.
    pub evidence: Vec<Bytes>,
}

/// A seal is larger than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealLimit {
    /// Too many pieces of evidence.
    #[error("{got} pieces of evidence, at most {MAX_EVIDENCE} are allowed")]
    Evidence {
        /// How many there are.
        got: usize,
    },
    /// A piece of evidence is too large.
    #[error("evidence {index} has {got} bytes, at most {MAX_EVIDENCE_BYTES} are allowed")]
    EvidenceBytes {
        /// Which piece.
        index: usize,
        /// Its size.
        got: usize,
    },
}

impl Seal {
    /// SHA-256 of the RLP encoding: the header's `extraData`.
    pub fn hash(&self) -> B256 {
        B256::new(Sha256::digest(self.encoded()).into())
    }

    /// The RLP encoding.
    pub fn encoded(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.length());
        self.encode(&mut out);
        out
    }

    /// Checks the limits.
    pub fn check_limits(&self) -> Result<(), SealLimit> {
        if self.evidence.len() > MAX_EVIDENCE {
            return Err(SealLimit::Evidence { got: self.evidence.len() });
        }
        let large = self.evidence.iter().position(|piece| piece.len() > MAX_EVIDENCE_BYTES);
        match large {
            Some(index) => Err(SealLimit::EvidenceBytes { index, got: self.evidence[index].len() }),
            None => Ok(()),
        }
    }

    pub(crate) fn decode_exact(mut bytes: &[u8]) -> alloy_rlp::Result<Self> {
        let seal = Self::decode(&mut bytes)?;
        if bytes.is_empty() { Ok(seal) } else { Err(alloy_rlp::Error::UnexpectedLength) }
    }
}

/// What a valid block's seal must say; consensus knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealExpectation {
    /// The epoch.
    pub epoch: u64,
    /// The view.
    pub view: u64,
    /// The view's leader.
    pub proposer: u16,
    /// SHA-256 of the parent's certificate.
    pub parent_certificate: B256,
    /// SHA-256 of the epoch's validator set.
    pub validator_set: B256,
}

impl SealExpectation {
    /// What the seal itself says, for blocks whose certificate has been verified: then a quorum
    /// has compared it.
    pub fn of(seal: &Seal) -> Self {
        Self {
            epoch: seal.epoch,
            view: seal.view,
            proposer: seal.proposer,
            parent_certificate: seal.parent_certificate,
            validator_set: seal.validator_set,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]

    use alloy_primitives::hex;

    use super::*;

    pub(crate) fn example() -> Seal {
        Seal {
            epoch: 1,
            view: 300,
            proposer: 2,
            time_ms: 1_700_000_000_123,
            parent_certificate: B256::repeat_byte(0x11),
            validator_set: B256::repeat_byte(0x22),
            evidence: vec![Bytes::from_static(&[1, 2, 3])],
        }
    }

    #[test]
    fn frozen_bytes() {
        let expected =
            format!("f85301{}02{}a0{}a0{}c483010203", "82012c", "86018bcfe5687b", "11".repeat(32), "22".repeat(32));
        let seal = example();
        assert_eq!(hex::encode(seal.encoded()), expected);
        assert_eq!(Seal::decode_exact(&seal.encoded()).unwrap(), seal);
        assert_eq!(hex::encode(seal.hash()), hex::encode(Sha256::digest(hex::decode(expected).unwrap())));
        let empty = format!("f84780808080a0{0}a0{0}c0", "00".repeat(32));
        assert_eq!(hex::encode(Seal::default().encoded()), empty);
    }

    #[test]
    fn refuses_other_forms() {
        let bytes = example().encoded();
        for end in 0..bytes.len() {
            assert!(Seal::decode_exact(&bytes[..end]).is_err(), "cut at {end}");
        }
        let mut longer = bytes.clone();
        longer.push(0x80);
        assert!(Seal::decode_exact(&longer).is_err());
        // The epoch as 0x8101 in place of 0x01.
        let mut padded = bytes.clone();
        padded.splice(2..3, [0x81, 0x01]);
        padded[1] += 1;
        assert!(Seal::decode_exact(&padded).is_err());
        // An eighth field.
        let mut more = bytes;
        more.push(0x80);
        more[1] += 1;
        assert!(Seal::decode_exact(&more).is_err());
    }

    #[test]
    fn limits_and_one_more() {
        let mut seal = Seal { evidence: vec![vec![0; MAX_EVIDENCE_BYTES].into(); MAX_EVIDENCE], ..example() };
        assert_eq!(seal.check_limits(), Ok(()));
        let most = Seal { epoch: u64::MAX, view: u64::MAX, proposer: u16::MAX, time_ms: u64::MAX, ..seal.clone() };
        assert!(most.encoded().len() <= MAX_SEAL_BYTES, "{}", most.encoded().len());
        seal.evidence[2] = vec![0; MAX_EVIDENCE_BYTES + 1].into();
        assert_eq!(seal.check_limits(), Err(SealLimit::EvidenceBytes { index: 2, got: MAX_EVIDENCE_BYTES + 1 }));
        seal.evidence = vec![Bytes::new(); MAX_EVIDENCE + 1];
        assert_eq!(seal.check_limits(), Err(SealLimit::Evidence { got: 5 }));
    }
}

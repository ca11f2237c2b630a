//! Certificates: a quorum of votes of one kind for one view.

use crate::codec::{DecodeError, Reader, Writer};
use crate::evidence::Signed;
use crate::vote::sha256;
use crate::{Ballot, Epoch, Hash, Phase, Signature, ValidatorIndex, ValidatorSet, View, Vote};

/// A quorum's Prepare, Commit or ViewChange votes for one view.
///
/// Signers are a bitmap over the validator set; signatures follow in validator order. The votes of a
/// view-change certificate may name different blocks: `named` lists these, in ascending order, and
/// `choices` tells for each signer which one it named (0: none, k: the k-th).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Certificate {
    /// Which kind of vote.
    pub phase: Phase,
    /// The epoch.
    pub epoch: Epoch,
    /// The view.
    pub view: View,
    /// The block; zero for a view-change certificate.
    pub block: Hash,
    /// How many validators the set has: the length of the bitmap, in bits.
    validators: u16,
    bitmap: Vec<u8>,
    named: Vec<Hash>,
    choices: Vec<u16>,
    signatures: Vec<Signature>,
}

/// Why a certificate proves nothing. It is refused whole: one bad signature spoils it (SPEC rule C).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Of another epoch than the validator set.
    #[error("certificate of epoch {got}, epoch {expected} expected")]
    WrongEpoch {
        /// The set's.
        expected: Epoch,
        /// The certificate's.
        got: Epoch,
    },
    /// Its bitmap has another length than the set.
    #[error("certificate over {got} validators, {expected} expected")]
    WrongSize {
        /// Validators in the set.
        expected: usize,
        /// Bits in the certificate.
        got: usize,
    },
    /// The signers are no quorum.
    #[error("the signers weigh {weight} of {total}: no quorum")]
    NoQuorum {
        /// What they weigh.
        weight: u128,
        /// What all weigh.
        total: u128,
    },
    /// A signature does not verify.
    #[error("the signature of validator {0} does not verify")]
    BadSignature(ValidatorIndex),
}

fn bitmap_length(validators: usize) -> usize {
    validators.div_ceil(8)
}

impl Certificate {
    /// Forms a certificate of distinct voters' verified votes for one (phase, view) and, outside of view
    /// changes, one block. The votes come in validator order.
    pub(crate) fn form<'a>(set: &ValidatorSet, ballot: Ballot, votes: impl Iterator<Item = &'a Vote> + Clone) -> Self {
        let block = if ballot.phase == Phase::ViewChange { Hash::ZERO } else { ballot.block };
        let mut bitmap = vec![0u8; bitmap_length(set.len())];
        let (mut named, mut choices, mut signatures) = (Vec::new(), Vec::new(), Vec::new());
        if ballot.phase == Phase::ViewChange {
            named = votes.clone().map(|v| v.ballot.block).filter(|b| *b != Hash::ZERO).collect();
            named.sort_unstable();
            named.dedup();
        }
        for vote in votes {
            bitmap[vote.voter.position() / 8] |= 1 << (vote.voter.position() % 8);
            signatures.push(vote.signature);
            if ballot.phase == Phase::ViewChange {
                let choice = named.binary_search(&vote.ballot.block).map_or(0, |k| k + 1);
                choices.push(u16::try_from(choice).unwrap_or(0));
            }
        }
        let validators = u16::try_from(set.len()).unwrap_or(u16::MAX);
        let (phase, epoch, view) = (ballot.phase, ballot.epoch, ballot.view);
        Self { phase, epoch, view, block, validators, bitmap, named, choices, signatures }
    }

    /// The signers, in validator order.
    pub fn signers(&self) -> impl Iterator<Item = ValidatorIndex> + '_ {
        (0..self.validators)
            .filter(|i| self.bitmap.get(usize::from(*i) / 8).is_some_and(|byte| byte >> (i % 8) & 1 == 1))
            .map(ValidatorIndex)
    }

    /// The signatures, in the order of [`Self::signers`].
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// What each signer signed, in the order of [`Self::signers`].
    pub(crate) fn signed(&self) -> impl Iterator<Item = (ValidatorIndex, Signed)> + '_ {
        self.signers().zip(&self.signatures).enumerate().map(|(position, (signer, signature))| {
            let ballot = self.ballot(position);
            (signer, Signed { phase: ballot.phase, block: ballot.block, signature: *signature })
        })
    }

    /// What this validator signed, if it is among the signers.
    pub(crate) fn signed_by(&self, signer: ValidatorIndex) -> Option<Signed> {
        let (byte, bit) = (signer.position() / 8, signer.position() % 8);
        let own = self.bitmap.get(byte).copied().filter(|own| own >> bit & 1 == 1)?;
        let below = own & ((1 << bit) - 1);
        let before: u32 = self.bitmap[..byte].iter().chain(&[below]).map(|byte| byte.count_ones()).sum();
        let position = usize::try_from(before).ok()?;
        let ballot = self.ballot(position);
        Some(Signed { phase: ballot.phase, block: ballot.block, signature: *self.signatures.get(position)? })
    }

    /// What the signers weigh together.
    #[must_use]
    pub fn weight(&self, set: &ValidatorSet) -> u128 {
        set.weigh(self.signers())
    }

    /// The ballot that a signer signed; `position` counts the signers.
    fn ballot(&self, position: usize) -> Ballot {
        let choice = self.choices.get(position).copied().unwrap_or(0);
        let block = match self.phase {
            Phase::ViewChange => usize::from(choice).checked_sub(1).and_then(|k| self.named.get(k)).copied(),
            _ => Some(self.block),
        };
        Ballot { epoch: self.epoch, view: self.view, phase: self.phase, block: block.unwrap_or(Hash::ZERO) }
    }

    /// Checks the certificate whole (SPEC rule C): epoch, size, quorum, then every signature.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn verify(&self, set: &ValidatorSet, genesis: &Hash) -> Result<(), CertificateError> {
        self.verify_unknown(set, genesis, |_, _, _| false)
    }

    /// As [`Self::verify`], but does not verify again what `known` has: (signer, ballot, signature).
    pub(crate) fn verify_unknown(
        &self,
        set: &ValidatorSet,
        genesis: &Hash,
        known: impl Fn(ValidatorIndex, &Ballot, &Signature) -> bool,
    ) -> Result<(), CertificateError> {
        if self.epoch != set.epoch() {
            return Err(CertificateError::WrongEpoch { expected: set.epoch(), got: self.epoch });
        }
        if usize::from(self.validators) != set.len() {
            return Err(CertificateError::WrongSize { expected: set.len(), got: usize::from(self.validators) });
        }
        let weight = self.weight(set);
        let enough = set.is_quorum(weight);
        #[cfg(test)]
        let enough = enough || crate::planted::is_enough_elsewhere(weight, u128::from(set.total().0));
        if !enough {
            return Err(CertificateError::NoQuorum { weight, total: u128::from(set.total().0) });
        }
        for (position, (signer, signature)) in self.signers().zip(&self.signatures).enumerate() {
            let ballot = self.ballot(position);
            if !known(signer, &ballot, signature) && !set.verify(signer, &ballot.sign_bytes(genesis), signature) {
                return Err(CertificateError::BadSignature(signer));
            }
        }
        Ok(())
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        let (hash, choice, signature) = (size_of::<Hash>(), size_of::<u16>(), size_of::<Signature>());
        let lists = self.named.len() * hash + self.choices.len() * choice + self.signatures.len() * signature;
        size_of::<Self>() + self.bitmap.len() + lists
    }

    /// The wire form (SPEC section 4.3).
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        self.write(&mut writer);
        writer.0
    }

    /// SHA-256 of the wire form.
    #[must_use]
    pub fn hash(&self) -> Hash {
        sha256(&self.encode())
    }

    /// Reads the wire form of a certificate over `validators` validators.
    ///
    /// # Errors
    /// When the bytes are no canonical certificate of that size.
    pub fn decode(bytes: &[u8], validators: usize) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let certificate = Self::read(&mut reader, validators)?;
        reader.finish()?;
        Ok(certificate)
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.u8(self.phase as u8).u64(self.epoch.0).u64(self.view.0).raw(&self.block.0);
        writer.u16(self.validators).raw(&self.bitmap);
        if self.phase == Phase::ViewChange {
            writer.count(self.named.len());
            self.named.iter().for_each(|hash| {
                writer.raw(&hash.0);
            });
            self.choices.iter().for_each(|choice| {
                writer.u16(*choice);
            });
        }
        self.signatures.iter().for_each(|signature| {
            writer.raw(&signature.0);
        });
    }

    pub(crate) fn read(reader: &mut Reader<'_>, validators: usize) -> Result<Self, DecodeError> {
        let invalid = |field, reason| Err(DecodeError::Invalid { field, reason });
        let phase = Phase::read(reader)?;
        let (epoch, view, block) = (reader.epoch()?, reader.view()?, reader.hash("block")?);
        if phase == Phase::Propose {
            return invalid("phase", "there is no certificate of proposals");
        }
        if (phase == Phase::ViewChange) != (block == Hash::ZERO) {
            return invalid("block", "zero exactly in view-change certificates");
        }
        let size = reader.u16("validators")?;
        if usize::from(size) != validators {
            return invalid("validators", "not the size of the validator set");
        }
        let bitmap = reader.take("signers", bitmap_length(validators))?.to_vec();
        let spare = bitmap.len() * 8 - validators;
        if bitmap.last().is_some_and(|last| last.leading_zeros() < u32::try_from(spare).unwrap_or(8)) {
            return invalid("signers", "a bit beyond the last validator");
        }
        let signers = bitmap.iter().map(|byte| byte.count_ones() as usize).sum();
        let (named, choices) = match phase {
            Phase::ViewChange => read_named(reader, signers)?,
            _ => (Vec::new(), Vec::new()),
        };
        let signatures = (0..signers).map(|_| reader.signature()).collect::<Result<_, _>>()?;
        Ok(Self { phase, epoch, view, block, validators: size, bitmap, named, choices, signatures })
    }
}

/// The blocks that the signers of a view-change certificate name, each at least once, ascending.
fn read_named(reader: &mut Reader<'_>, signers: usize) -> Result<(Vec<Hash>, Vec<u16>), DecodeError> {
    let count = reader.count("named blocks", signers)?;
    let named: Vec<Hash> = (0..count).map(|_| reader.hash("named block")).collect::<Result<_, _>>()?;
    let choices: Vec<u16> = (0..signers).map(|_| reader.u16("choice")).collect::<Result<_, _>>()?;
    let ascending = named.windows(2).all(|pair| pair[0] < pair[1]) && named.first() != Some(&Hash::ZERO);
    let mut used = vec![false; count];
    for choice in choices.iter().filter(|choice| **choice > 0) {
        match used.get_mut(usize::from(*choice) - 1) {
            Some(slot) => *slot = true,
            None => return Err(DecodeError::Invalid { field: "choice", reason: "names no block of the list" }),
        }
    }
    if !ascending || used.contains(&false) {
        return Err(DecodeError::Invalid { field: "named blocks", reason: "not ascending, or one that nobody named" });
    }
    Ok((named, choices))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::{GENESIS, Network, block_hash};

    #[test]
    fn rule_c2_round_trip_of_each_kind() {
        let net = Network::new(&[40, 30, 20, 10]);
        for certificate in [
            net.certificate(Phase::Prepare, 3, 7, &[0, 1]),
            net.certificate(Phase::Commit, 3, 7, &[0, 2, 3]),
            net.skip(4, &[0, 1, 2, 3]),
            net.skip_naming(4, &[(0, Some(7)), (1, None), (3, Some(8))]),
        ] {
            certificate.verify(&net.set, &GENESIS).unwrap();
            let bytes = certificate.encode();
            assert_eq!(Certificate::decode(&bytes, 4).unwrap(), certificate);
            assert!(Certificate::decode(&bytes, 5).is_err());
            for length in 0..bytes.len() {
                assert!(Certificate::decode(&bytes[..length], 4).is_err(), "cut at {length}");
            }
            let longer = [&bytes[..], &[0]].concat();
            assert_eq!(Certificate::decode(&longer, 4).unwrap_err(), DecodeError::Trailing(1));
        }
    }

    #[test]
    fn what_one_signer_signed_is_what_the_list_of_all_has_of_it() {
        let net = Network::new(&[1; 20]);
        let signers = [0, 3, 7, 8, 12, 15, 16, 17, 18, 19];
        let naming = signers.map(|who| (who, (who % 2 == 0).then_some(7)));
        for certificate in [net.certificate(Phase::Commit, 3, 7, &signers), net.skip_naming(4, &naming)] {
            for who in (0..21).map(ValidatorIndex) {
                let listed = certificate.signed().find(|(signer, _)| *signer == who).map(|(_, signed)| signed);
                assert_eq!(certificate.signed_by(who), listed, "{who:?}");
            }
        }
    }

    #[test]
    fn reliability_4_a_certificate_is_refused_whole() {
        let net = Network::new(&[40, 30, 20, 10]);
        let no_quorum = net.certificate(Phase::Prepare, 3, 7, &[0, 2]);
        let error = no_quorum.verify(&net.set, &GENESIS).unwrap_err();
        assert_eq!(error, CertificateError::NoQuorum { weight: 60, total: 100 });
        // One bad signature among enough good ones spoils it.
        let mut padded = net.certificate(Phase::Prepare, 3, 7, &[0, 1, 2]);
        padded.signatures[2] = Signature([7; 64]);
        let error = padded.verify(&net.set, &GENESIS).unwrap_err();
        assert_eq!(error, CertificateError::BadSignature(ValidatorIndex(2)));
        // The signatures of another block, of another view, of another chain.
        let mut other = net.certificate(Phase::Prepare, 3, 7, &[0, 1]);
        other.block = block_hash(8);
        assert!(other.verify(&net.set, &GENESIS).is_err());
        let mut other = net.certificate(Phase::Prepare, 3, 7, &[0, 1]);
        other.view = View(4);
        assert!(other.verify(&net.set, &GENESIS).is_err());
        assert!(net.certificate(Phase::Prepare, 3, 7, &[0, 1]).verify(&net.set, &Hash::ZERO).is_err());
    }

    /// All four signed, three are more than a quorum, and still each signature has to be right.
    #[test]
    fn reliability_4_any_bad_duplicate_or_foreign_signature_spoils_it() {
        let net = Network::new(&[1, 1, 1, 1]);
        let stranger = Network::new(&[1; 9]);
        for phase in [Phase::Prepare, Phase::Commit, Phase::ViewChange] {
            let block = u8::from(phase != Phase::ViewChange) * 7;
            let good = net.certificate(phase, 3, block, &[0, 1, 2, 3]);
            good.verify(&net.set, &GENESIS).unwrap();
            let other_phase = if phase == Phase::Commit { Phase::Prepare } else { Phase::Commit };
            for (position, by) in (0u16..4).enumerate() {
                let spoiled = [
                    ("a bad one", Signature([7; 64])),
                    ("none", Signature([0; 64])),
                    ("a duplicate", good.signatures[(position + 1) % 4]),
                    ("a stranger's", stranger.signed(8, phase, 3, block).signature),
                    ("of another view", net.signed(by, phase, 4, block).signature),
                    ("of another phase", net.signed(by, other_phase, 3, 7).signature),
                    ("of another block", net.signed(by, phase, 3, 8).signature),
                ];
                for (what, signature) in spoiled {
                    let mut certificate = good.clone();
                    certificate.signatures[position] = signature;
                    let error = certificate.verify(&net.set, &GENESIS).unwrap_err();
                    assert_eq!(error, CertificateError::BadSignature(ValidatorIndex(by)), "{phase:?}: {what}");
                }
            }
        }
    }

    /// What is known from votes is not verified again, but nothing else is let through with it.
    #[test]
    fn reliability_4_signatures_that_are_known_vouch_for_no_others() {
        let net = Network::new(&[1, 1, 1, 1]);
        let mut certificate = net.certificate(Phase::Prepare, 3, 7, &[0, 1, 2, 3]);
        certificate.signatures[3] = Signature([7; 64]);
        let known = |signer: ValidatorIndex, _: &Ballot, _: &Signature| signer.0 < 3;
        let error = certificate.verify_unknown(&net.set, &GENESIS, known).unwrap_err();
        assert_eq!(error, CertificateError::BadSignature(ValidatorIndex(3)));
    }

    /// Bitmap, names, choices and signatures must be as long as each other and as the set, or nothing is read.
    #[test]
    fn reliability_6_lengths_that_do_not_agree_are_refused() {
        let net = Network::new(&[1, 1, 1, 1]);
        let good = net.skip_naming(4, &[(0, Some(7)), (1, None), (2, Some(8)), (3, None)]);
        type Spoil = fn(&mut Certificate);
        let table: [(&str, Spoil); 9] = [
            ("a signature less", |c| c.signatures.truncate(3)),
            ("a signature more", |c| c.signatures.push(Signature([1; 64]))),
            ("a signer less", |c| c.bitmap[0] &= 0b0111),
            ("a signer beyond the set", |c| c.bitmap[0] |= 0b1_0000),
            ("a longer bitmap", |c| c.bitmap.push(0)),
            ("no bitmap", |c| c.bitmap.clear()),
            ("a choice less", |c| c.choices.truncate(3)),
            ("a choice beyond the names", |c| c.choices[1] = u16::MAX),
            ("another size of the set", |c| c.validators = u16::MAX),
        ];
        assert_eq!(Certificate::decode(&good.encode(), 4).unwrap(), good);
        for (what, spoil) in table {
            let mut certificate = good.clone();
            spoil(&mut certificate);
            assert!(Certificate::decode(&certificate.encode(), 4).is_err(), "{what}");
            // In memory, too, they prove nothing and make nothing panic.
            let _ = certificate.verify(&net.set, &GENESIS);
        }
    }

    #[test]
    fn rule_c2_one_encoding_only() {
        let net = Network::new(&[1, 1, 1]);
        let mut spare_bit = net.certificate(Phase::Commit, 1, 7, &[0, 1, 2]).encode();
        let bitmap_at = 1 + 8 + 8 + 32 + 2;
        spare_bit[bitmap_at] |= 0x80;
        assert!(Certificate::decode(&spare_bit, 3).is_err());
        let mut unsorted = net.skip_naming(4, &[(0, Some(7)), (1, Some(8)), (2, None)]);
        unsorted.named.swap(0, 1);
        assert!(Certificate::decode(&unsorted.encode(), 3).is_err());
        let mut unused = net.skip(4, &[0, 1, 2]);
        unused.named.push(block_hash(9));
        assert!(Certificate::decode(&unused.encode(), 3).is_err());
    }
}

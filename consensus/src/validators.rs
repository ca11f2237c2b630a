//! The validator set of an epoch: keys, weights, their sum, and the leader of each view.

use std::collections::BTreeMap;
use std::sync::Arc;

use ed25519_dalek::VerifyingKey;
use sha2::{Digest, Sha256};

use crate::rotation::Rotation;
use crate::sim::ideal::Secrets;
use crate::{Epoch, Hash, PublicKey, ValidatorIndex, View, Weight, is_quorum};

/// Most validators in a set. Certificates grow with it (64 bytes each), and every validator speaks with
/// every other.
pub const MAX_VALIDATORS: usize = 256;

/// Cap of the sum of weights: 2^63 - 1, so that it fits every client's signed integer.
pub const MAX_TOTAL_WEIGHT: u64 = i64::MAX as u64;

/// One member of the set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Validator {
    /// The key that signs its votes.
    pub key: PublicKey,
    /// Its weight; zero is allowed and counts for nothing.
    pub weight: Weight,
}

/// Why a list of validators is no validator set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValidatorSetError {
    /// No validator at all.
    #[error("no validators: at least one expected")]
    Empty,
    /// More than [`MAX_VALIDATORS`].
    #[error("{0} validators: at most {MAX_VALIDATORS} expected")]
    TooMany(usize),
    /// The weights sum to zero.
    #[error("the total weight is 0: nobody could decide anything")]
    ZeroTotal,
    /// The weights sum to more than [`MAX_TOTAL_WEIGHT`].
    #[error("the total weight is {0}: at most {MAX_TOTAL_WEIGHT} expected")]
    TotalOverCap(u128),
    /// Two validators with one key.
    #[error("validators {first} and {second} have the same key {key}")]
    DuplicateKey {
        /// Position of the first.
        first: usize,
        /// Position of the second.
        second: usize,
        /// The key.
        key: PublicKey,
    },
    /// A key that is no point of the curve, or one of small order.
    #[error("validator {0}: {1} is not a valid ed25519 public key")]
    InvalidKey(usize, PublicKey),
}

/// The validators of one epoch, in their fixed order.
#[derive(Clone, Debug)]
pub struct ValidatorSet {
    epoch: Epoch,
    validators: Vec<Validator>,
    verifying: Vec<VerifyingKey>,
    positions: BTreeMap<PublicKey, ValidatorIndex>,
    total: Weight,
    rotation: Rotation,
    /// The simulator's signatures, in place of real ones.
    ideal: Option<Arc<Secrets>>,
}

/// Epoch, keys, weights and order make a set; all else in it follows from them.
impl PartialEq for ValidatorSet {
    fn eq(&self, other: &Self) -> bool {
        self.epoch == other.epoch && self.validators == other.validators
    }
}

impl Eq for ValidatorSet {}

impl std::hash::Hash for ValidatorSet {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        std::hash::Hash::hash(&(self.epoch, self.total), state);
    }
}

impl ValidatorSet {
    /// Checks and keeps a list of validators.
    ///
    /// # Errors
    /// See [`ValidatorSetError`].
    pub fn new(epoch: Epoch, validators: Vec<Validator>) -> Result<Self, ValidatorSetError> {
        if validators.is_empty() {
            return Err(ValidatorSetError::Empty);
        }
        if validators.len() > MAX_VALIDATORS {
            return Err(ValidatorSetError::TooMany(validators.len()));
        }
        let sum: u128 = validators.iter().map(|v| u128::from(v.weight.0)).sum();
        let total = match u64::try_from(sum) {
            Ok(0) => return Err(ValidatorSetError::ZeroTotal),
            Ok(total) if total <= MAX_TOTAL_WEIGHT => Weight(total),
            _ => return Err(ValidatorSetError::TotalOverCap(sum)),
        };
        let mut positions: BTreeMap<PublicKey, ValidatorIndex> = BTreeMap::new();
        let mut verifying = Vec::with_capacity(validators.len());
        for (position, (validator, index)) in validators.iter().zip(0u16..).enumerate() {
            if let Some(first) = positions.insert(validator.key, ValidatorIndex(index)) {
                let (first, key) = (first.position(), validator.key);
                return Err(ValidatorSetError::DuplicateKey { first, second: position, key });
            }
            match VerifyingKey::from_bytes(&validator.key.0) {
                Ok(key) if !key.is_weak() => verifying.push(key),
                _ => return Err(ValidatorSetError::InvalidKey(position, validator.key)),
            }
        }
        let weights: Vec<u64> = validators.iter().map(|v| v.weight.0).collect();
        let rotation = Rotation::new(&weights);
        Ok(Self { epoch, validators, verifying, positions, total, rotation, ideal: None })
    }

    /// The same set with ideal signatures: for the simulator alone.
    pub(crate) fn with_ideal_signatures(mut self, secrets: Arc<Secrets>) -> Self {
        self.ideal = Some(secrets);
        self
    }

    /// The epoch in which this set decides.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// How many validators there are.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a set is never empty")]
    pub fn len(&self) -> usize {
        self.validators.len()
    }

    /// The sum of the weights.
    #[must_use]
    pub const fn total(&self) -> Weight {
        self.total
    }

    /// The validator at a position.
    #[must_use]
    pub fn get(&self, index: ValidatorIndex) -> Option<&Validator> {
        self.validators.get(index.position())
    }

    /// The weight at a position; nobody weighs nothing.
    #[must_use]
    pub fn weight(&self, index: ValidatorIndex) -> Weight {
        self.get(index).map_or(Weight(0), |v| v.weight)
    }

    /// The position of a key.
    #[must_use]
    pub fn index_of(&self, key: &PublicKey) -> Option<ValidatorIndex> {
        self.positions.get(key).copied()
    }

    /// The validators in order.
    pub fn iter(&self) -> impl Iterator<Item = (ValidatorIndex, &Validator)> {
        (0u16..).map(ValidatorIndex).zip(&self.validators)
    }

    /// The sum of the weights at the given positions, which must be distinct.
    pub fn weigh(&self, members: impl IntoIterator<Item = ValidatorIndex>) -> u128 {
        members.into_iter().map(|index| u128::from(self.weight(index).0)).sum()
    }

    /// Whether a weight is a quorum of this set (SPEC rule Q).
    #[must_use]
    pub fn is_quorum(&self, weight: u128) -> bool {
        #[cfg(test)]
        if crate::planted::is(crate::planted::Bug::QuorumOf2f) {
            return weight >= crate::planted::twice_f(u128::from(self.total.0));
        }
        is_quorum(weight, u128::from(self.total.0))
    }

    /// Whether the others can no longer be a quorum without this weight (SPEC rule Q).
    #[must_use]
    pub fn blocks_quorum(&self, weight: u128) -> bool {
        crate::quorum::blocks_quorum(weight, u128::from(self.total.0))
    }

    /// The leader of a view (SPEC rule L).
    #[must_use]
    pub fn leader(&self, view: View) -> ValidatorIndex {
        self.rotation.leader(view)
    }

    /// How many views a full turn of the rotation takes.
    #[must_use]
    pub fn cycle(&self) -> usize {
        self.rotation.cycle()
    }

    /// SHA-256 over domain tag, epoch, count, and each key and weight in order.
    #[must_use]
    pub fn hash(&self) -> Hash {
        let mut hasher = Sha256::new();
        hasher.update(b"ASSENT-VALIDATORS/1");
        hasher.update(self.epoch.0.to_be_bytes());
        hasher.update((self.validators.len() as u64).to_be_bytes());
        for validator in &self.validators {
            hasher.update(validator.key.0);
            hasher.update(validator.weight.0.to_be_bytes());
        }
        Hash(hasher.finalize().into())
    }

    /// Verifies one signature by one member: the only signature predicate of the protocol
    /// (`verify_strict`: no malleable encodings, no keys of small order).
    #[must_use]
    pub fn verify(&self, signer: ValidatorIndex, message: &[u8], signature: &crate::Signature) -> bool {
        #[cfg(test)]
        crate::testing::VERIFICATIONS.set(crate::testing::VERIFICATIONS.get() + 1);
        if let Some(secrets) = &self.ideal {
            return secrets.verify(signer, message, signature);
        }
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        self.verifying.get(signer.position()).is_some_and(|key| key.verify_strict(message, &signature).is_ok())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::key_pair;

    fn validator(seed: u8, weight: u64) -> Validator {
        Validator { key: key_pair(seed).1, weight: Weight(weight) }
    }

    fn error(validators: Vec<Validator>) -> ValidatorSetError {
        ValidatorSet::new(Epoch(0), validators).unwrap_err()
    }

    #[test]
    fn a_set_is_refused_with_the_reason() {
        assert_eq!(error(vec![]), ValidatorSetError::Empty);
        assert_eq!(error(vec![validator(1, 0), validator(2, 0)]), ValidatorSetError::ZeroTotal);
        let key = validator(1, 1).key;
        let duplicate = ValidatorSetError::DuplicateKey { first: 0, second: 2, key };
        assert_eq!(error(vec![validator(1, 1), validator(2, 1), validator(1, 1)]), duplicate);
        let weak = PublicKey([0; 32]);
        assert_eq!(error(vec![Validator { key: weak, weight: Weight(1) }]), ValidatorSetError::InvalidKey(0, weak));
        let many = vec![validator(1, 1); MAX_VALIDATORS + 1];
        assert_eq!(error(many), ValidatorSetError::TooMany(MAX_VALIDATORS + 1));
    }

    #[test]
    fn the_total_may_reach_its_cap_and_no_further() {
        let full = vec![validator(1, MAX_TOTAL_WEIGHT - 1), validator(2, 1)];
        assert_eq!(ValidatorSet::new(Epoch(0), full).unwrap().total(), Weight(MAX_TOTAL_WEIGHT));
        let over = vec![validator(1, MAX_TOTAL_WEIGHT), validator(2, 1)];
        assert_eq!(error(over), ValidatorSetError::TotalOverCap(1 << 63));
    }

    #[test]
    fn the_hash_covers_epoch_keys_weights_and_order() {
        let of = |epoch, list: Vec<Validator>| ValidatorSet::new(Epoch(epoch), list).unwrap().hash();
        let base = of(0, vec![validator(1, 1), validator(2, 2)]);
        assert_eq!(base, of(0, vec![validator(1, 1), validator(2, 2)]));
        assert_ne!(base, of(1, vec![validator(1, 1), validator(2, 2)]));
        assert_ne!(base, of(0, vec![validator(2, 2), validator(1, 1)]));
        assert_ne!(base, of(0, vec![validator(1, 2), validator(2, 2)]));
        assert_ne!(base, of(0, vec![validator(1, 1), validator(3, 2)]));
    }
}

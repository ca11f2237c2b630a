//! Ideal signatures: what ed25519 promises, without its cost. A signature is a keyed SHA-256 of the message; the set
//! knows the secrets and verifies by computing it again. Nobody can make one without [`Signers`].
//!
//! Half of a run's time would go into curves otherwise, which this simulator does not test: the real predicate has its
//! own tests, and [`super::Scenario::real_signatures`] plays runs with it.

use std::sync::Arc;

use ed25519_dalek::SigningKey;
use sha2::{Digest, Sha256};

use super::rng::Rng;
use crate::{Epoch, PublicKey, Signature, Validator, ValidatorIndex, ValidatorSet, Weight};

/// The secrets of a set, each as a hasher that has taken in one whole block of it.
#[derive(Clone)]
pub(crate) struct Secrets(Vec<Sha256>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

impl Secrets {
    fn sign(&self, who: ValidatorIndex, message: &[u8]) -> Option<Signature> {
        let digest: [u8; 32] = self.0.get(who.position())?.clone().chain_update(message).finalize().into();
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&digest);
        signature[32..].copy_from_slice(&digest.map(|byte| !byte));
        Some(Signature(signature))
    }

    /// Whether this is the one signature of this member for this message.
    pub(crate) fn verify(&self, who: ValidatorIndex, message: &[u8], signature: &Signature) -> bool {
        self.sign(who, message).as_ref() == Some(signature)
    }
}

/// Who can sign for the validators of a set, with ideal or with real signatures.
#[derive(Clone, Debug)]
pub struct Signers {
    keys: Vec<SigningKey>,
    ideal: Option<Arc<Secrets>>,
}

impl Signers {
    /// The signature of a member; of nobody else's.
    ///
    /// # Panics
    /// When there is no such member: whoever plays a network knows its size.
    #[must_use]
    pub fn sign(&self, who: ValidatorIndex, message: &[u8]) -> Signature {
        let real = || ed25519_dalek::Signer::sign(&self.keys[who.position()], message).to_bytes();
        self.ideal.as_ref().and_then(|secrets| secrets.sign(who, message)).unwrap_or_else(|| Signature(real()))
    }
}

/// A set of epoch 0 with keys from a seed, whose signatures are ideal, and who can make them.
///
/// # Panics
/// When the weights are none, more than 256, or sum to 0 or to more than 2^63 - 1.
#[must_use]
pub fn ideal_validators(weights: &[u64], seed: u64) -> (ValidatorSet, Signers) {
    let (set, mut signers) = real_validators(weights, seed);
    let secret = |key: &SigningKey| Sha256::new_with_prefix([key.to_bytes(), [0x36; 32]].concat());
    let secrets = Arc::new(Secrets(signers.keys.iter().map(secret).collect()));
    signers.ideal = Some(secrets.clone());
    (set.with_ideal_signatures(secrets), signers)
}

/// As [`ideal_validators`], with ed25519.
///
/// # Panics
/// As there.
#[must_use]
pub fn real_validators(weights: &[u64], seed: u64) -> (ValidatorSet, Signers) {
    let keys = keys(weights.len(), seed);
    let validator = |(key, weight): (&SigningKey, &u64)| Validator {
        key: PublicKey(key.verifying_key().to_bytes()),
        weight: Weight(*weight),
    };
    let validators = keys.iter().zip(weights).map(validator).collect();
    let set = ValidatorSet::new(Epoch(0), validators)
        .expect("between 1 and 256 validators with keys from a seed, and a total above 0, are a set");
    (set, Signers { keys, ideal: None })
}

fn keys(count: usize, seed: u64) -> Vec<SigningKey> {
    let mut rng = Rng::new(seed ^ 0x6b65_7973);
    let mut key = || {
        let mut bytes = [0; 32];
        bytes.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&rng.next().to_be_bytes()));
        SigningKey::from_bytes(&bytes)
    };
    (0..count).map(|_| key()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_signature_of_the_signer_for_the_message_is_right() {
        for (set, signers) in [ideal_validators(&[1, 2], 7), real_validators(&[1, 2], 7)] {
            let (one, other) = (ValidatorIndex(0), ValidatorIndex(1));
            let signature = signers.sign(one, b"a");
            assert!(set.verify(one, b"a", &signature));
            assert!(!set.verify(one, b"b", &signature));
            assert!(!set.verify(other, b"a", &signature));
            assert!(!set.verify(ValidatorIndex(2), b"a", &signature));
            for at in 0..64 {
                let mut changed = signature;
                changed.0[at] ^= 1;
                assert!(!set.verify(one, b"a", &changed), "byte {at}");
            }
        }
    }

    #[test]
    fn a_seed_gives_the_same_set_in_both_kinds() {
        assert_eq!(ideal_validators(&[1, 2], 7).0.hash(), real_validators(&[1, 2], 7).0.hash());
        assert_ne!(ideal_validators(&[1, 2], 7).0.hash(), ideal_validators(&[1, 2], 8).0.hash());
    }
}

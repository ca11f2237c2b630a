//! ed25519 secrets, for votes and for the network.
//!
//! A secret is wiped from memory when it is dropped and never shown: its `Debug` form is its
//! public key. `key_file.rs` puts it on disk.

use std::fmt;

use assent_consensus::{PublicKey, Signature};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

/// An ed25519 secret key.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

/// The operating system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random bytes for a new key: {0}")]
pub struct EntropyError(#[from] getrandom::Error);

impl SecretKey {
    /// A new key from the operating system's entropy.
    pub fn generate() -> Result<Self, EntropyError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice())?;
        Ok(Self::from_seed(&seed))
    }

    /// The key of a seed: the 32 bytes that RFC 8032 calls the private key.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The seed itself, for a library that wants the secret. Keep it out of logs and files.
    pub fn expose_seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public key.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "SecretKey(of {})", self.public())
    }
}

/// Whether the bytes are a point of the curve, and none of the few for which anybody can forge
/// signatures.
pub(crate) fn is_valid(key: &PublicKey) -> bool {
    VerifyingKey::from_bytes(&key.0).is_ok_and(|key| !key.is_weak())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use alloy_primitives::hex;

    use super::*;

    #[test]
    fn the_first_vector_of_rfc_8032() {
        let seed = hex!("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let key = SecretKey::from_seed(&seed);
        let public = hex!("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        assert_eq!(key.public(), PublicKey(public));
        let signature = hex!(
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        );
        assert_eq!(key.sign(b"").0, signature);
        assert_eq!(*key.expose_seed(), seed);
    }

    #[test]
    fn generated_keys_differ_and_sign() {
        let (one, other) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
        assert_ne!(one.public(), other.public());
        assert!(is_valid(&one.public()));
        let verifier = VerifyingKey::from_bytes(&one.public().0).unwrap();
        let signature = ed25519_dalek::Signature::from_bytes(&one.sign(b"vote").0);
        assert!(verifier.verify_strict(b"vote", &signature).is_ok());
        assert!(verifier.verify_strict(b"note", &signature).is_err());
    }

    #[test]
    fn debug_shows_the_public_key_and_no_secret() {
        let key = SecretKey::from_seed(&[7; 32]);
        let text = format!("{key:?} {key:#?}");
        assert!(text.contains(&key.public().to_string()));
        let seed = key.expose_seed();
        assert!(!text.contains(&hex::encode(seed.as_slice())));
        assert!(!text.contains("7, 7"));
    }

    #[test]
    fn weak_and_impossible_points_are_not_valid() {
        let mut identity = [0; 32];
        identity[0] = 1;
        assert!(!is_valid(&PublicKey(identity)));
        assert!(!is_valid(&PublicKey([0; 32])));
        // y = 2 is on no point of the curve.
        let mut two = [0; 32];
        two[0] = 2;
        assert!(!is_valid(&PublicKey(two)));
        assert!(is_valid(&SecretKey::from_seed(&[1; 32]).public()));
    }
}

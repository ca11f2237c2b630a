//! Node keys as libp2p knows them. A peer id holds the whole ed25519 key, so both ways are exact.

use super::config::NetworkError;
use assent_consensus::PublicKey;
use assent_genesis::SecretKey;
use libp2p::{
    PeerId,
    identity::{self, Keypair, ed25519},
};

/// The multihash code that says: what follows is the key itself, not its hash.
const IDENTITY_MULTIHASH: u64 = 0;

/// The pair that Noise authenticates this node with.
pub(crate) fn keypair(key: &SecretKey) -> Result<Keypair, NetworkError> {
    let mut seed = key.expose_seed();
    Keypair::ed25519_from_bytes(seed.as_mut_slice()).map_err(|error| NetworkError::Key { reason: error.to_string() })
}

/// The peer id of a key, unless the bytes are no ed25519 key.
pub fn peer_id(key: &PublicKey) -> Option<PeerId> {
    let key = ed25519::PublicKey::try_from_bytes(&key.0).ok()?;
    Some(identity::PublicKey::from(key).to_peer_id())
}

/// The key in a peer id, unless it holds a key of another kind.
pub fn public_key(peer: &PeerId) -> Option<PublicKey> {
    let hash = peer.as_ref();
    if hash.code() != IDENTITY_MULTIHASH {
        return None;
    }
    let key = identity::PublicKey::try_decode_protobuf(hash.digest()).ok()?;
    Some(PublicKey(key.try_into_ed25519().ok()?.to_bytes()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn key_and_peer_id_are_two_forms_of_the_same() {
        let secret = SecretKey::generate().unwrap();
        let pair = keypair(&secret).unwrap();
        let id = pair.public().to_peer_id();
        assert_eq!(public_key(&id), Some(secret.public()));
        assert_eq!(peer_id(&secret.public()), Some(id));
    }

    #[test]
    fn what_is_no_ed25519_key_has_no_other_form() {
        // y = 2 is not on the curve.
        let mut bytes = [0; 32];
        bytes[0] = 2;
        assert_eq!(peer_id(&PublicKey(bytes)), None);
        let hashed = libp2p::multihash::Multihash::wrap(0x12, &[7; 32]).unwrap();
        assert_eq!(public_key(&PeerId::from_multihash(hashed).unwrap()), None);
    }
}

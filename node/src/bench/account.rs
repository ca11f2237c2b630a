//! The accounts that send: secp256k1 keys derived from a seed, and the signing of transfers.
//!
//! It signs with libsecp256k1 because a run signs hundreds of thousands of transactions beforehand.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Signature, TxKind, U256, keccak256};
use anyhow::{Context, Result};
use secp256k1::{Message, PublicKey, SECP256K1, SecretKey};

/// Gas of a plain transfer.
pub(super) const TRANSFER_GAS: u64 = 21_000;

/// An account that can sign.
pub(super) struct Account {
    key: SecretKey,
    /// Its address.
    pub(super) address: Address,
}

/// What all transactions of a run share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) chain_id: u64,
    pub(super) legacy: bool,
    /// Highest price of one gas, in wei (the price itself for legacy transactions).
    pub(super) max_fee: u128,
    pub(super) priority_fee: u128,
}

impl Terms {
    /// What one transfer costs at most, beside its value.
    pub(super) fn transfer_cost(&self) -> U256 {
        U256::from(self.max_fee) * U256::from(TRANSFER_GAS)
    }
}

/// A signed transaction, as it is sent and as it is recognised.
#[derive(Debug, Clone)]
pub(super) struct Signed {
    pub(super) raw: Box<[u8]>,
    pub(super) hash: B256,
}

impl Account {
    /// The account of a private key.
    pub(super) fn new(key: &B256) -> Result<Self> {
        let key = SecretKey::from_slice(key.as_slice())
            .context("expected a private key of secp256k1: 32 bytes, neither zero nor too large")?;
        let public = PublicKey::from_secret_key(SECP256K1, &key).serialize_uncompressed();
        // The first byte only says that the point is not compressed.
        let address = Address::from_raw_public_key(&public[1..]);
        Ok(Self { key, address })
    }

    /// The account with number `index` of the run with `seed`: always the same one.
    pub(super) fn derive(seed: u64, index: u32) -> Result<Self> {
        let text = format!("assent bench, seed {seed}, sender {index}");
        Self::new(&keccak256(text))
    }

    /// Signs the transfer of `value` wei to `to`.
    pub(super) fn transfer(&self, terms: &Terms, nonce: u64, to: Address, value: U256) -> Signed {
        let to = TxKind::Call(to);
        let envelope: TxEnvelope = if terms.legacy {
            let transaction = TxLegacy {
                chain_id: Some(terms.chain_id),
                nonce,
                gas_price: terms.max_fee,
                gas_limit: TRANSFER_GAS,
                to,
                value,
                ..TxLegacy::default()
            };
            let signature = self.sign(transaction.signature_hash());
            transaction.into_signed(signature).into()
        } else {
            let transaction = TxEip1559 {
                chain_id: terms.chain_id,
                nonce,
                gas_limit: TRANSFER_GAS,
                max_fee_per_gas: terms.max_fee,
                max_priority_fee_per_gas: terms.priority_fee,
                to,
                value,
                ..TxEip1559::default()
            };
            let signature = self.sign(transaction.signature_hash());
            transaction.into_signed(signature).into()
        };
        Signed { raw: envelope.encoded_2718().into(), hash: *envelope.tx_hash() }
    }

    fn sign(&self, hash: B256) -> Signature {
        let message = Message::from_digest(hash.0);
        let (recovery, bytes) = SECP256K1.sign_ecdsa_recoverable(&message, &self.key).serialize_compact();
        // Ids 2 and 3 belong to points whose x overflowed, which no known key produces.
        Signature::from_bytes_and_parity(&bytes, i32::from(recovery) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use alloy_consensus::transaction::SignerRecoverable;
    use alloy_eips::eip2718::Decodable2718;
    use alloy_primitives::{address, b256};

    use super::*;

    #[test]
    fn addresses_are_ethereums() {
        let key = b256!("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
        let account = Account::new(&key).unwrap();
        assert_eq!(account.address, address!("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"));
        assert!(Account::new(&B256::ZERO).is_err());
    }

    #[test]
    fn senders_depend_on_seed_and_index_alone() {
        let address = |seed, index| Account::derive(seed, index).unwrap().address;
        assert_eq!(address(7, 1), address(7, 1));
        assert_ne!(address(7, 1), address(7, 2));
        assert_ne!(address(7, 1), address(8, 1));
    }

    #[test]
    fn signed_transfers_decode_to_their_sender() {
        let account = Account::derive(1, 2).unwrap();
        for legacy in [false, true] {
            let terms = Terms { chain_id: 31337, legacy, max_fee: 7, priority_fee: 3 };
            let signed = account.transfer(&terms, 9, Address::repeat_byte(1), U256::from(5));
            let decoded = TxEnvelope::decode_2718_exact(&signed.raw).unwrap();
            assert_eq!(*decoded.tx_hash(), signed.hash);
            assert_eq!(decoded.recover_signer().unwrap(), account.address);
            assert_eq!(decoded.is_legacy(), legacy);
        }
    }
}

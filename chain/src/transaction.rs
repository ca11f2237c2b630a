//! Signed transactions: decoding, their one encoding, and the form that carries the sender.
//!
//! A transaction is Ethereum's: legacy, EIP-2930, EIP-1559 or EIP-7702, in its EIP-2718 bytes.
//! Blob transactions are refused. The bytes that arrived are kept (`raw`), because a transaction
//! has exactly one accepted encoding: gossip, blocks, the pool's journal and the hash all use
//! them, and nothing is ever encoded a second time.
//!
//! [`SignedTransaction`] is decoded but its sender is unknown; [`Recovered`] has its sender.
//! Recovery itself lives in [`crate::recovery`]. What a transaction may do (nonce, balance, chain
//! id, gas) is judged in the mempool and in execution, not here.

use std::fmt;

use alloy_consensus::transaction::RlpEcdsaDecodableTx;
use alloy_consensus::{
    EthereumTxEnvelope, Signed, Transaction as _, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy,
    crypto::SECP256K1N_HALF,
};
use alloy_eips::eip2718::{Encodable2718, Typed2718};
use alloy_primitives::{Address, B256, Bytes, Signature, U256, keccak256};
use alloy_rlp::{Buf, BufMut, Header};

/// An Ethereum transaction with its signature.
///
/// The type has a variant for blob transactions (alloy's conversions for RPC want it), but no
/// function of this crate makes or accepts one.
pub type Transaction = EthereumTxEnvelope<TxEip4844>;

/// Most bytes that an encoded transaction may have: 128 KiB.
///
/// Geth's pool has the same limit, so contracts that deploy elsewhere deploy here; the largest
/// init code (EIP-3860: 48 KiB) fits twice. It bounds what one transaction can take of the pool,
/// of a gossip frame and of a block.
pub const MAX_TRANSACTION_BYTES: usize = 128 * 1024;

/// Inputs from this size on share memory with the encoded bytes instead of being a copy of them.
const SHARED_INPUT_BYTES: usize = 256;

/// Why bytes are not a transaction that this chain knows, or have no sender.
///
/// All of these are final: the same bytes are refused by every node at any time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    /// A blob transaction, or a type number that does not exist.
    #[error("transaction type not supported")]
    TypeNotSupported {
        /// The EIP-2718 type byte.
        ty: u8,
    },
    /// Longer than [`MAX_TRANSACTION_BYTES`].
    #[error("oversized data: transaction size {size}, limit {limit}")]
    Oversized {
        /// Bytes that came.
        size: usize,
        /// Bytes that are accepted.
        limit: usize,
    },
    /// The bytes do not follow RLP or lack fields.
    #[error("malformed transaction: {0}")]
    Rlp(alloy_rlp::Error),
    /// The bytes neither begin with a type number nor with an RLP list.
    #[error("malformed transaction: expected a type byte below 0x80 or an RLP list (from 0xc0 on), got 0x{first:02x}")]
    NoEnvelope {
        /// The first byte.
        first: u8,
    },
    /// Readable, but not the one encoding that the transaction has (or followed by more bytes).
    #[error("malformed transaction: its canonical encoding has {expected} bytes, got {got} that differ")]
    NotCanonical {
        /// Length of the canonical encoding.
        expected: usize,
        /// Length of what came.
        got: usize,
    },
    /// The signature's `s` is in the upper half (EIP-2): a malleable copy.
    #[error("invalid sender: signature s is above half the curve order (EIP-2)")]
    HighS,
    /// No public key fits the signature.
    #[error("invalid sender: no key recovers from the signature")]
    InvalidSignature,
}

impl From<alloy_rlp::Error> for TransactionError {
    fn from(error: alloy_rlp::Error) -> Self {
        Self::Rlp(error)
    }
}

/// Decodes a transaction from its EIP-2718 bytes.
///
/// Accepts only the canonical encoding of a supported type with a low `s`, of at most
/// [`MAX_TRANSACTION_BYTES`], and nothing behind it. The hash of the result is already computed.
pub fn decode_transaction(bytes: &[u8]) -> Result<Transaction, TransactionError> {
    if bytes.len() > MAX_TRANSACTION_BYTES {
        return Err(TransactionError::Oversized { size: bytes.len(), limit: MAX_TRANSACTION_BYTES });
    }
    let first = *bytes.first().ok_or(alloy_rlp::Error::InputTooShort)?;
    let tx: Transaction = match first {
        0xc0.. => decode_signed::<TxLegacy>(bytes, 0)?.into(),
        1 => decode_signed::<TxEip2930>(bytes, 1)?.into(),
        2 => decode_signed::<TxEip1559>(bytes, 1)?.into(),
        4 => decode_signed::<TxEip7702>(bytes, 1)?.into(),
        0x80.. => return Err(TransactionError::NoEnvelope { first }),
        ty => return Err(TransactionError::TypeNotSupported { ty }),
    };
    if tx.signature().s() > SECP256K1N_HALF {
        return Err(TransactionError::HighS);
    }
    Ok(tx)
}

/// Decodes the signed RLP list after `prefix` type bytes and requires that encoding the result
/// again gives these very bytes, whatever the decoder may have been lenient about.
fn decode_signed<T: RlpEcdsaDecodableTx>(bytes: &[u8], prefix: usize) -> Result<Signed<T>, TransactionError> {
    let mut rest = bytes.get(prefix..).unwrap_or_default();
    let (tx, signature) = T::rlp_decode_with_signature(&mut rest)?;
    let mut canonical = Vec::with_capacity(bytes.len());
    tx.eip2718_encode(&signature, &mut canonical);
    if canonical != bytes {
        return Err(TransactionError::NotCanonical { expected: canonical.len(), got: bytes.len() });
    }
    Ok(Signed::new_unchecked(tx, signature, keccak256(bytes)))
}

/// A decoded transaction together with its encoded bytes. Its sender is not known yet.
#[derive(Clone)]
pub struct SignedTransaction {
    tx: Transaction,
    raw: Bytes,
}

impl SignedTransaction {
    /// Decodes EIP-2718 bytes as [`decode_transaction`] does, and keeps them.
    pub fn decode(raw: Bytes) -> Result<Self, TransactionError> {
        let mut tx = decode_transaction(&raw)?;
        if tx.input().len() >= SHARED_INPUT_BYTES
            && let Some(input) = find_input(&raw, tx.ty())
        {
            *tx.input_mut() = input;
        }
        Ok(Self { tx, raw })
    }

    /// Encodes a transaction that was made here. The limits of [`decode_transaction`] hold.
    pub fn encode(tx: &Transaction) -> Result<Self, TransactionError> {
        Self::decode(tx.encoded_2718().into())
    }

    /// Reads one transaction from a block body: an RLP list (legacy) or an RLP string that holds
    /// the typed bytes. Moves `buf` behind it.
    pub fn decode_network(buf: &mut &[u8]) -> Result<Self, TransactionError> {
        let start = *buf;
        let header = Header::decode(buf)?;
        let header_length = start.len() - buf.len();
        // `Header::decode` has checked that the payload is there.
        let (skip, end) = if header.list {
            (0, header_length + header.payload_length)
        } else {
            (header_length, header_length + header.payload_length)
        };
        if end - skip > MAX_TRANSACTION_BYTES {
            return Err(TransactionError::Oversized { size: end - skip, limit: MAX_TRANSACTION_BYTES });
        }
        let bytes = start.get(skip..end).ok_or(alloy_rlp::Error::InputTooShort)?;
        if let (false, Some(first @ 0x80..)) = (header.list, bytes.first()) {
            // A legacy transaction is never wrapped in a string.
            return Err(TransactionError::NoEnvelope { first: *first });
        }
        let signed = Self::decode(Bytes::copy_from_slice(bytes))?;
        buf.advance(header.payload_length);
        Ok(signed)
    }

    /// The transaction.
    pub fn tx(&self) -> &Transaction {
        &self.tx
    }

    /// The transaction's hash: keccak256 of its encoded bytes.
    pub fn hash(&self) -> &B256 {
        self.tx.hash()
    }

    /// The EIP-2718 bytes. A clone shares them.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// Length of the EIP-2718 bytes.
    pub fn size(&self) -> usize {
        self.raw.len()
    }

    /// The signature.
    pub fn signature(&self) -> &Signature {
        self.tx.signature()
    }

    /// Gives up the bytes and keeps the transaction.
    pub fn into_tx(self) -> Transaction {
        self.tx
    }
}

impl Typed2718 for SignedTransaction {
    fn ty(&self) -> u8 {
        self.tx.ty()
    }
}

/// Copies the kept bytes; nothing is encoded again. `network_len` and `network_encode` are the
/// form in a block body.
impl Encodable2718 for SignedTransaction {
    fn encode_2718_len(&self) -> usize {
        self.raw.len()
    }

    fn encode_2718(&self, out: &mut dyn BufMut) {
        out.put_slice(&self.raw);
    }

    fn trie_hash(&self) -> B256 {
        *self.hash()
    }
}

impl PartialEq for SignedTransaction {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}

impl Eq for SignedTransaction {}

impl fmt::Debug for SignedTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SignedTransaction").field(&self.tx).finish()
    }
}

/// A transaction whose sender is known. Recovered once per node and then shared by `Arc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    signed: SignedTransaction,
    sender: Address,
}

impl Recovered {
    /// Joins a transaction with a sender that is known to be its own: recovered from its
    /// signature, or read from this node's own storage where it was written after recovery.
    pub fn from_trusted(signed: SignedTransaction, sender: Address) -> Self {
        Self { signed, sender }
    }

    /// The transaction and its bytes.
    pub fn signed(&self) -> &SignedTransaction {
        &self.signed
    }

    /// The transaction.
    pub fn tx(&self) -> &Transaction {
        self.signed.tx()
    }

    /// The account that signed it.
    pub fn sender(&self) -> Address {
        self.sender
    }

    /// The transaction's hash.
    pub fn hash(&self) -> &B256 {
        self.signed.hash()
    }

    /// The EIP-2718 bytes. A clone shares them.
    pub fn raw(&self) -> &Bytes {
        self.signed.raw()
    }

    /// Length of the EIP-2718 bytes.
    pub fn size(&self) -> usize {
        self.signed.size()
    }

    /// The sender's nonce.
    pub fn nonce(&self) -> u64 {
        self.tx().nonce()
    }

    /// What the sender must own for the transaction to run: `gas limit * fee cap + value`.
    /// `None` when it does not fit in 256 bits (nobody owns so much).
    pub fn cost(&self) -> Option<U256> {
        let tx = self.tx();
        U256::from(tx.gas_limit()).checked_mul(U256::from(tx.max_fee_per_gas()))?.checked_add(tx.value())
    }
}

/// The input field inside encoded bytes that [`decode_transaction`] accepted.
fn find_input(raw: &Bytes, ty: u8) -> Option<Bytes> {
    // Fields before the input: (chain id,) nonce, price or two caps, gas limit, to, value.
    let (prefix, fields) = match ty {
        0 => (0, 5),
        1 => (1, 6),
        2 | 4 => (1, 7),
        _ => return None,
    };
    let mut rest = raw.get(prefix..)?;
    Header::decode(&mut rest).ok()?;
    for _ in 0..fields {
        let field = Header::decode(&mut rest).ok()?;
        rest = rest.get(field.payload_length..)?;
    }
    let input = Header::decode_bytes(&mut rest, false).ok()?;
    Some(raw.slice_ref(input))
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]

    use alloy_consensus::SignableTransaction;
    use alloy_eips::eip2930::{AccessList, AccessListItem};
    use alloy_eips::eip7702::{Authorization, SignedAuthorization};
    use alloy_primitives::{TxKind, hex};
    use alloy_rlp::Encodable;

    use super::*;
    use crate::recovery::recover;

    /// Example of EIP-155, nonce 9, key 0x46 repeated.
    pub(crate) const EIP155: [u8; 110] = hex!(
        "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080"
        "25a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276"
        "a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"
    );

    fn signature() -> Signature {
        Signature::new(U256::from(7), U256::from(8), true)
    }

    fn access_list() -> AccessList {
        AccessList(vec![AccessListItem {
            address: Address::repeat_byte(1),
            storage_keys: vec![B256::repeat_byte(2), B256::ZERO],
        }])
    }

    pub(crate) fn one_of_each(input: Bytes) -> Vec<Transaction> {
        let to = Address::repeat_byte(0x35);
        let authorization = Authorization { chain_id: U256::from(1), address: to, nonce: 3 };
        let authorization = SignedAuthorization::new_unchecked(authorization, 1, U256::from(5), U256::from(6));
        vec![
            TxLegacy {
                chain_id: Some(31337),
                nonce: 1,
                gas_price: 2,
                gas_limit: 21_000,
                to: TxKind::Create,
                value: U256::from(3),
                input: input.clone(),
            }
            .into_signed(signature())
            .into(),
            TxEip2930 {
                chain_id: 31337,
                nonce: 1,
                to: TxKind::Call(to),
                access_list: access_list(),
                input: input.clone(),
                ..Default::default()
            }
            .into_signed(signature())
            .into(),
            TxEip1559 {
                chain_id: 31337,
                to: TxKind::Call(to),
                access_list: access_list(),
                input: input.clone(),
                ..Default::default()
            }
            .into_signed(signature())
            .into(),
            TxEip7702 { chain_id: 31337, to, authorization_list: vec![authorization], input, ..Default::default() }
                .into_signed(signature())
                .into(),
        ]
    }

    #[test]
    fn decodes_the_example_of_eip155() {
        let signed = SignedTransaction::decode(Bytes::from_static(&EIP155)).unwrap();
        assert_eq!(signed.tx().chain_id(), Some(1));
        assert_eq!(signed.tx().nonce(), 9);
        assert_eq!(*signed.hash(), keccak256(EIP155));
        let recovered = recover(signed).unwrap();
        assert_eq!(recovered.sender(), Address::from(hex!("9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f")));
        assert_eq!(recovered.cost().unwrap().to_string(), "1000420000000000000");
    }

    #[test]
    fn every_type_keeps_its_bytes() {
        for input in [vec![], vec![9; 40], vec![7; SHARED_INPUT_BYTES], vec![5; 100_000]] {
            for tx in one_of_each(input.clone().into()) {
                let raw = tx.encoded_2718();
                let signed = SignedTransaction::decode(raw.clone().into()).unwrap();
                assert_eq!(signed.tx(), &tx);
                assert_eq!(signed.tx().input().as_ref(), input.as_slice());
                assert_eq!(signed.raw().as_ref(), raw.as_slice());
                assert_eq!(*signed.hash(), keccak256(&raw));
                assert_eq!(SignedTransaction::encode(&tx).unwrap(), signed);

                let mut body = Vec::new();
                signed.network_encode(&mut body);
                let mut expected = Vec::new();
                tx.encode(&mut expected);
                assert_eq!(body, expected, "block form is alloy's");
                assert_eq!(body.len(), signed.network_len());
                body.extend([1, 2]);
                let mut rest = body.as_slice();
                assert_eq!(SignedTransaction::decode_network(&mut rest).unwrap(), signed);
                assert_eq!(rest, [1, 2]);
            }
        }
    }

    #[test]
    fn a_large_input_shares_the_bytes() {
        for tx in one_of_each(vec![1; SHARED_INPUT_BYTES].into()) {
            let signed = SignedTransaction::encode(&tx).unwrap();
            let raw = signed.raw().as_ptr_range();
            let input = signed.tx().input().as_ptr_range();
            assert!(raw.start <= input.start && input.end <= raw.end);
        }
    }

    #[test]
    fn refuses_unknown_types_with_geths_text() {
        for ty in [0u8, 3, 5, 0x50, 0x7f] {
            let mut bytes = EIP155.to_vec();
            bytes.insert(0, ty);
            let error = decode_transaction(&bytes).unwrap_err();
            assert_eq!(error, TransactionError::TypeNotSupported { ty });
            assert_eq!(error.to_string(), "transaction type not supported");
        }
        let blob: Transaction = TxEip4844::default().into_signed(signature()).into();
        assert_eq!(SignedTransaction::encode(&blob).unwrap_err(), TransactionError::TypeNotSupported { ty: 3 });
    }

    #[test]
    fn refuses_every_other_form() {
        let typed = one_of_each(vec![1, 2, 3].into())[2].encoded_2718();
        for bytes in [EIP155.to_vec(), typed] {
            for end in 0..bytes.len() {
                assert!(decode_transaction(&bytes[..end]).is_err(), "cut at {end}");
            }
            let mut longer = bytes.clone();
            longer.push(0);
            assert!(matches!(decode_transaction(&longer), Err(TransactionError::NotCanonical { .. })));
        }
        for first in [0x80, 0xb7, 0xbf] {
            assert_eq!(decode_transaction(&[first, 1]).unwrap_err(), TransactionError::NoEnvelope { first });
        }
        // A nonce with a leading zero: 0x82 0x00 0x09 in place of 0x09.
        let mut zero = EIP155.to_vec();
        zero.splice(2..3, [0x82, 0, 9]);
        zero[1] += 2;
        assert!(matches!(decode_transaction(&zero), Err(TransactionError::Rlp(_))));
    }

    #[test]
    fn refuses_a_wrapped_legacy_transaction_in_a_block() {
        let mut body = Vec::new();
        EIP155.as_slice().encode(&mut body);
        assert_eq!(
            SignedTransaction::decode_network(&mut body.as_slice()).unwrap_err(),
            TransactionError::NoEnvelope { first: 0xf8 }
        );
        let mut byte = [2u8].as_slice();
        assert!(SignedTransaction::decode_network(&mut byte).is_err());
    }

    #[test]
    fn size_limit_and_one_more() {
        let with_input = |length: usize| {
            let tx = TxLegacy { input: vec![1; length].into(), ..Default::default() };
            Transaction::from(tx.into_signed(signature())).encoded_2718()
        };
        let overhead = with_input(MAX_TRANSACTION_BYTES - 200).len() + 200 - MAX_TRANSACTION_BYTES;
        let exact = with_input(MAX_TRANSACTION_BYTES - overhead);
        assert_eq!(exact.len(), MAX_TRANSACTION_BYTES);
        decode_transaction(&exact).unwrap();
        let more = with_input(MAX_TRANSACTION_BYTES - overhead + 1);
        assert_eq!(
            decode_transaction(&more).unwrap_err().to_string(),
            "oversized data: transaction size 131073, limit 131072"
        );
    }

    #[test]
    fn high_s_is_refused() {
        for (s, expected) in
            [(SECP256K1N_HALF, Ok(())), (SECP256K1N_HALF + U256::from(1), Err(TransactionError::HighS))]
        {
            let tx: Transaction = TxEip1559 { chain_id: 1, ..Default::default() }
                .into_signed(Signature::new(U256::from(1), s, false))
                .into();
            assert_eq!(decode_transaction(&tx.encoded_2718()).map(|_| ()), expected);
        }
    }

    #[test]
    fn cost_that_does_not_fit_is_none() {
        let tx = TxEip1559 { gas_limit: u64::MAX, max_fee_per_gas: u128::MAX, value: U256::MAX, ..Default::default() };
        let signed = SignedTransaction::encode(&tx.into_signed(signature()).into()).unwrap();
        assert_eq!(Recovered::from_trusted(signed, Address::ZERO).cost(), None);
    }
}

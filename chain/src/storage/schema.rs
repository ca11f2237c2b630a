//! What is stored where. Integers are big endian in keys, so that they sort; formats change only
//! together with [`FORMAT`].
//!
//! | column family | key | value |
//! |---|---|---|
//! | `meta` | `format` | [`FORMAT`], 4 bytes |
//! | | `genesis` | hash of block 0 |
//! | | `head` | number (8), hash, state root of the last final block |
//! | | `oldest` | number (8) of the oldest block whose state can be read; no entry: 0 |
//! | | `addresses` | number (8) of the last block in `address_index`; no entry: that of the head |
//! | `headers` | number | hash, RLP header, RLP seal |
//! | `bodies` | number | count (4), for each transaction sender (20) and end (4), then their EIP-2718 bytes |
//! | `receipts` | number | count (4), for each receipt end (8) and logs before it in the block (4), then the RLP receipts |
//! | `certificates` | number | the certificate that made the block final, as consensus encodes it |
//! | `numbers` | block hash | number |
//! | `transactions` | transaction hash | number (8), index (4) |
//! | `accounts` | address | RLP `[nonce, balance, code hash]`, the hash empty for accounts without code |
//! | `storage` | address, slot | the value without leading zeros; no entry for zero |
//! | `code` | code hash | the code; never removed |
//! | `account_trie` | path | the RLP node of the trie of accounts |
//! | `storage_trie` | hashed address, path | the RLP node of that account's storage trie |
//! | `account_history`, `storage_history`, `account_trie_history`, `storage_trie_history` | a key of the column of that name, number | what stood there before the block; empty: nothing |
//! | `log_index` | topic's position (1; 0: the address), topic or address, number | nothing: the block has such a log |
//! | `address_index` | address, number, index (4) | the transaction touched the account; of its sender the nonce (8), of others nothing |
//! | `creations` | address, number, index (4) | nothing: the transaction created a contract there |
//!
//! A path is its number of nibbles (1 byte) and the nibbles packed, the last half byte zero.
//! Lengths and counts inside values are little endian.

use alloy_primitives::{Address, B256, U256};
use alloy_rlp::{Decodable, Encodable, Header};
use alloy_trie::{KECCAK_EMPTY, Nibbles};

use crate::state::FlatAccount;
use crate::trie::Owner;

/// The version of everything below.
pub(crate) const FORMAT: u32 = 2;

pub(crate) const META: &str = "meta";
pub(crate) const HEADERS: &str = "headers";
pub(crate) const BODIES: &str = "bodies";
pub(crate) const RECEIPTS: &str = "receipts";
pub(crate) const CERTIFICATES: &str = "certificates";
pub(crate) const NUMBERS: &str = "numbers";
pub(crate) const TRANSACTIONS: &str = "transactions";
pub(crate) const ACCOUNTS: &str = "accounts";
pub(crate) const STORAGE: &str = "storage";
pub(crate) const CODE: &str = "code";
pub(crate) const ACCOUNT_TRIE: &str = "account_trie";
pub(crate) const STORAGE_TRIE: &str = "storage_trie";
pub(crate) const ACCOUNT_HISTORY: &str = "account_history";
pub(crate) const STORAGE_HISTORY: &str = "storage_history";
pub(crate) const ACCOUNT_TRIE_HISTORY: &str = "account_trie_history";
pub(crate) const STORAGE_TRIE_HISTORY: &str = "storage_trie_history";
pub(crate) const LOG_INDEX: &str = "log_index";
pub(crate) const ADDRESS_INDEX: &str = "address_index";
pub(crate) const CREATIONS: &str = "creations";

/// How many of [`COLUMNS`] the first format had.
pub(crate) const COLUMNS_OF_FORMAT_1: usize = 12;

/// All column families (RocksDB adds its own, `default`, which stays empty).
pub(crate) const COLUMNS: [&str; 19] = [
    META,
    HEADERS,
    BODIES,
    RECEIPTS,
    CERTIFICATES,
    NUMBERS,
    TRANSACTIONS,
    ACCOUNTS,
    STORAGE,
    CODE,
    ACCOUNT_TRIE,
    STORAGE_TRIE,
    ACCOUNT_HISTORY,
    STORAGE_HISTORY,
    ACCOUNT_TRIE_HISTORY,
    STORAGE_TRIE_HISTORY,
    LOG_INDEX,
    ADDRESS_INDEX,
    CREATIONS,
];

/// The column that holds what stood in `column` before each block that changed it.
pub(crate) fn history_of(column: &'static str) -> &'static str {
    match column {
        ACCOUNTS => ACCOUNT_HISTORY,
        STORAGE => STORAGE_HISTORY,
        ACCOUNT_TRIE => ACCOUNT_TRIE_HISTORY,
        STORAGE_TRIE => STORAGE_TRIE_HISTORY,
        other => unreachable!("`{other}` has no history"),
    }
}

/// A key with the number of a block behind it.
pub(crate) fn at_block(key: &[u8], number: u64) -> Vec<u8> {
    [key, &number.to_be_bytes()].concat()
}

pub(crate) const META_FORMAT: &[u8] = b"format";
pub(crate) const META_GENESIS: &[u8] = b"genesis";
pub(crate) const META_HEAD: &[u8] = b"head";
pub(crate) const META_OLDEST: &[u8] = b"oldest";
pub(crate) const META_ADDRESSES: &[u8] = b"addresses";

/// The last final block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoredHead {
    pub(crate) number: u64,
    pub(crate) hash: B256,
    pub(crate) state_root: B256,
}

impl StoredHead {
    pub(crate) fn encode(&self) -> [u8; 72] {
        let mut bytes = [0; 72];
        bytes[..8].copy_from_slice(&self.number.to_be_bytes());
        bytes[8..40].copy_from_slice(self.hash.as_slice());
        bytes[40..].copy_from_slice(self.state_root.as_slice());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (number, rest) = bytes.split_first_chunk::<8>()?;
        let (hash, state_root) = rest.split_first_chunk::<32>()?;
        let state_root: [u8; 32] = state_root.try_into().ok()?;
        Some(Self { number: u64::from_be_bytes(*number), hash: B256::from(*hash), state_root: B256::from(state_root) })
    }
}

pub(crate) fn account_value(account: &FlatAccount) -> Vec<u8> {
    let code_hash: &[u8] = if account.has_code() { account.code_hash.as_slice() } else { &[] };
    let payload_length = account.nonce.length() + account.balance.length() + code_hash.length();
    let mut out = Vec::with_capacity(payload_length + 2);
    Header { list: true, payload_length }.encode(&mut out);
    account.nonce.encode(&mut out);
    account.balance.encode(&mut out);
    code_hash.encode(&mut out);
    out
}

pub(crate) fn decode_account(mut bytes: &[u8]) -> alloy_rlp::Result<FlatAccount> {
    let mut fields = Header::decode_bytes(&mut bytes, true)?;
    let nonce = u64::decode(&mut fields)?;
    let balance = U256::decode(&mut fields)?;
    let code_hash = Header::decode_bytes(&mut fields, false)?;
    let code_hash = match code_hash.len() {
        0 => KECCAK_EMPTY,
        32 => B256::from_slice(code_hash),
        _ => return Err(alloy_rlp::Error::UnexpectedLength),
    };
    if !fields.is_empty() || !bytes.is_empty() {
        return Err(alloy_rlp::Error::UnexpectedLength);
    }
    Ok(FlatAccount { nonce, balance, code_hash })
}

pub(crate) fn slot_key(address: &Address, slot: &U256) -> [u8; 52] {
    let mut key = [0; 52];
    key[..20].copy_from_slice(address.as_slice());
    key[20..].copy_from_slice(&slot.to_be_bytes::<32>());
    key
}

pub(crate) fn slot_value(value: &U256) -> Vec<u8> {
    value.to_be_bytes_trimmed_vec()
}

pub(crate) fn decode_slot(bytes: &[u8]) -> Option<U256> {
    U256::try_from_be_slice(bytes)
}

/// The column family and the key of a trie node.
pub(crate) fn node_key(owner: Owner, path: &Nibbles) -> (&'static str, Vec<u8>) {
    let mut key = Vec::with_capacity(32 + 1 + path.byte_len());
    if let Some(owner) = owner {
        key.extend_from_slice(owner.as_slice());
    }
    // At most 64.
    key.push(path.len() as u8);
    key.extend_from_slice(&path.pack());
    (if owner.is_some() { STORAGE_TRIE } else { ACCOUNT_TRIE }, key)
}

/// The range of keys that begin with `prefix`: from it to the result, which is not part of it.
/// `None` if the prefix is all ones and the range has no end.
pub(crate) fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use alloy_primitives::hex;

    use super::*;

    #[test]
    fn frozen_bytes() {
        let head = StoredHead { number: 258, hash: B256::repeat_byte(1), state_root: B256::repeat_byte(2) };
        let expected = format!("0000000000000102{}{}", "01".repeat(32), "02".repeat(32));
        assert_eq!(hex::encode(head.encode()), expected);
        assert_eq!(StoredHead::decode(&head.encode()), Some(head));

        let mut account = FlatAccount { nonce: 1, balance: U256::from(1000), code_hash: KECCAK_EMPTY };
        assert_eq!(hex::encode(account_value(&account)), "c5018203e880");
        assert_eq!(decode_account(&account_value(&account)), Ok(account));
        account.code_hash = B256::repeat_byte(7);
        assert_eq!(hex::encode(account_value(&account)), format!("e5018203e8a0{}", "07".repeat(32)));
        assert_eq!(decode_account(&account_value(&account)), Ok(account));

        assert_eq!(slot_value(&U256::from(0x100)), [1, 0]);
        assert_eq!(decode_slot(&[1, 0]), Some(U256::from(0x100)));
        assert_eq!(decode_slot(&[1; 33]), None);

        let path = Nibbles::from_nibbles([1, 2, 3]);
        assert_eq!(node_key(None, &path), (ACCOUNT_TRIE, vec![3, 0x12, 0x30]));
        assert_eq!(node_key(None, &Nibbles::new()), (ACCOUNT_TRIE, vec![0]));
        let owner = B256::repeat_byte(9);
        let (column, key) = node_key(Some(owner), &path);
        assert_eq!((column, &key[..32], &key[32..]), (STORAGE_TRIE, owner.as_slice(), [3, 0x12, 0x30].as_slice()));
    }

    #[test]
    fn damaged_values_are_errors() {
        for bytes in [&[][..], &[0xc0], &hex!("c5018203e8"), &hex!("c5018203e88000"), &hex!("c6018203e88101")] {
            assert!(decode_account(bytes).is_err(), "{bytes:?}");
        }
        assert_eq!(StoredHead::decode(&[0; 71]), None);
        assert_eq!(StoredHead::decode(&[0; 73]), None);
    }

    #[test]
    fn ends_of_prefixes() {
        assert_eq!(prefix_end(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(prefix_end(&[1, 0xff]), Some(vec![2]));
        assert_eq!(prefix_end(&[0xff, 0xff]), None);
    }
}

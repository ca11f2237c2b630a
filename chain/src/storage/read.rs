//! Reading what is stored.

use std::sync::Arc;

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, U256, hex};
use alloy_rlp::Decodable;
use alloy_trie::Nibbles;
use revm::bytecode::Bytecode;

use super::schema::{self, StoredHead};
use super::{StorageError, Store};
use crate::execution::Receipt;
use crate::seal::Seal;
use crate::state::FlatAccount;
use crate::transaction::{Recovered, SignedTransaction};
use crate::trie::{NodeSource, Owner};

/// The header of a final block, with its hash and its seal.
#[derive(Clone, Debug)]
pub(crate) struct StoredHeader {
    pub(crate) hash: B256,
    pub(crate) header: Header,
    pub(crate) seal: Seal,
}

impl StoredHeader {
    /// Reads an entry of `headers`.
    pub(super) fn decode(bytes: &[u8]) -> alloy_rlp::Result<Self> {
        let (hash, mut rest) = bytes.split_first_chunk::<32>().ok_or(alloy_rlp::Error::InputTooShort)?;
        let header = Header::decode(&mut rest)?;
        let seal = Seal::decode_exact(rest)?;
        Ok(Self { hash: B256::from(*hash), header, seal })
    }
}

/// Where a transaction stands in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionPosition {
    /// The number of its block.
    pub number: u64,
    /// Its position in it.
    pub index: u32,
}

/// The transactions of a final block, decoded one at a time.
pub(crate) struct StoredBody(Sections<24>);

/// The receipts of a final block, decoded one at a time.
pub(crate) struct StoredReceipts(Sections<12>);

/// A count, an entry of `N` bytes for each item, which says among others where the item ends, then
/// the items.
struct Sections<const N: usize> {
    column: &'static str,
    number: u64,
    count: usize,
    bytes: Vec<u8>,
}

impl<const N: usize> Sections<N> {
    fn new(column: &'static str, number: u64, bytes: Vec<u8>) -> Result<Self, StorageError> {
        let count = bytes.first_chunk().map(|count| u32::from_le_bytes(*count) as usize);
        let sections = Self { column, number, count: count.unwrap_or(0), bytes };
        if count.is_none() || sections.start().is_none_or(|start| start > sections.bytes.len()) {
            return Err(sections.malformed("its table is cut off"));
        }
        Ok(sections)
    }

    fn start(&self) -> Option<usize> {
        self.count.checked_mul(N)?.checked_add(4)
    }

    fn entry(&self, index: usize) -> Option<&[u8; N]> {
        let start = (index < self.count).then(|| 4 + index * N)?;
        self.bytes.get(start..)?.first_chunk()
    }

    /// An item, from the end of the one before it; `end` reads the end from an entry.
    fn item(&self, index: usize, end: impl Fn(&[u8; N]) -> u64) -> Option<&[u8]> {
        let first = self.start()?;
        let from = match index.checked_sub(1) {
            Some(before) => usize::try_from(end(self.entry(before)?)).ok()?,
            None => 0,
        };
        let to = usize::try_from(end(self.entry(index)?)).ok()?;
        self.bytes.get(first.checked_add(from)?..first.checked_add(to)?)
    }

    fn malformed(&self, reason: impl ToString) -> StorageError {
        malformed(self.column, &self.number.to_be_bytes(), reason)
    }
}

impl StoredBody {
    /// Reads the table of an entry of `bodies`.
    pub(super) fn new(number: u64, bytes: Vec<u8>) -> Result<Self, StorageError> {
        Sections::new(schema::BODIES, number, bytes).map(Self)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.count
    }

    /// The transaction at `index`, which must be below the length.
    pub(crate) fn transaction(&self, index: usize) -> Result<Recovered, StorageError> {
        let end = |entry: &[u8; 24]| u64::from(u32::from_le_bytes([entry[20], entry[21], entry[22], entry[23]]));
        let entry = self.0.entry(index).ok_or_else(|| self.0.malformed("a transaction is missing"))?;
        let raw = self.0.item(index, end).ok_or_else(|| self.0.malformed("a transaction is cut off"))?;
        let signed = SignedTransaction::decode(Bytes::copy_from_slice(raw)).map_err(|error| self.0.malformed(error))?;
        Ok(Recovered::from_trusted(signed, Address::from_slice(&entry[..20])))
    }

    pub(crate) fn transactions(&self) -> Result<Vec<Arc<Recovered>>, StorageError> {
        (0..self.len()).map(|index| self.transaction(index).map(Arc::new)).collect()
    }
}

impl StoredReceipts {
    /// Reads the table of an entry of `receipts`.
    pub(super) fn new(number: u64, bytes: Vec<u8>) -> Result<Self, StorageError> {
        Sections::new(schema::RECEIPTS, number, bytes).map(Self)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.count
    }

    /// The receipt at `index`, which must be below the length, and the number of logs before it.
    pub(crate) fn receipt(&self, index: usize) -> Result<(Receipt, u32), StorageError> {
        let end = |entry: &[u8; 12]| entry.first_chunk().map_or(0, |end| u64::from_le_bytes(*end));
        let entry = self.0.entry(index).ok_or_else(|| self.0.malformed("a receipt is missing"))?;
        let logs_before = entry.last_chunk().map_or(0, |logs| u32::from_le_bytes(*logs));
        let mut raw = self.0.item(index, end).ok_or_else(|| self.0.malformed("a receipt is cut off"))?;
        let receipt = Receipt::decode(&mut raw).map_err(|error| self.0.malformed(error))?;
        Ok((receipt, logs_before))
    }

    pub(crate) fn receipts(&self) -> Result<Vec<Receipt>, StorageError> {
        (0..self.len()).map(|index| Ok(self.receipt(index)?.0)).collect()
    }
}

pub(super) fn malformed(column: &'static str, key: &[u8], reason: impl ToString) -> StorageError {
    StorageError::Malformed { column, key: hex::encode_prefixed(key), reason: reason.to_string() }
}

impl Store {
    pub(crate) fn head(&self) -> Result<Option<StoredHead>, StorageError> {
        let Some(bytes) = self.get(schema::META, schema::META_HEAD)? else { return Ok(None) };
        let head = StoredHead::decode(&bytes);
        head.map(Some).ok_or_else(|| malformed(schema::META, schema::META_HEAD, "expected 72 bytes"))
    }

    pub(crate) fn header(&self, number: u64) -> Result<Option<StoredHeader>, StorageError> {
        let key = number.to_be_bytes();
        let Some(bytes) = self.get(schema::HEADERS, &key)? else { return Ok(None) };
        StoredHeader::decode(&bytes).map(Some).map_err(|error| malformed(schema::HEADERS, &key, error))
    }

    pub(crate) fn hash_by_number(&self, number: u64) -> Result<Option<B256>, StorageError> {
        let key = number.to_be_bytes();
        let Some(bytes) = self.get(schema::HEADERS, &key)? else { return Ok(None) };
        let hash = bytes.first_chunk::<32>().map(|hash| B256::from(*hash));
        hash.map(Some).ok_or_else(|| malformed(schema::HEADERS, &key, "expected at least 32 bytes"))
    }

    pub(crate) fn number_by_hash(&self, hash: &B256) -> Result<Option<u64>, StorageError> {
        let Some(bytes) = self.get(schema::NUMBERS, hash.as_slice())? else { return Ok(None) };
        let number = <[u8; 8]>::try_from(bytes.as_ref()).map(u64::from_be_bytes);
        number.map(Some).map_err(|_| malformed(schema::NUMBERS, hash.as_slice(), "expected 8 bytes"))
    }

    pub(crate) fn body(&self, number: u64) -> Result<Option<StoredBody>, StorageError> {
        let Some(bytes) = self.get(schema::BODIES, &number.to_be_bytes())? else { return Ok(None) };
        StoredBody::new(number, bytes.to_vec()).map(Some)
    }

    pub(crate) fn receipts(&self, number: u64) -> Result<Option<StoredReceipts>, StorageError> {
        let Some(bytes) = self.get(schema::RECEIPTS, &number.to_be_bytes())? else { return Ok(None) };
        StoredReceipts::new(number, bytes.to_vec()).map(Some)
    }

    pub(crate) fn certificate(&self, number: u64) -> Result<Option<Bytes>, StorageError> {
        let bytes = self.get(schema::CERTIFICATES, &number.to_be_bytes())?;
        Ok(bytes.map(|bytes| Bytes::copy_from_slice(&bytes)))
    }

    pub(crate) fn transaction_position(&self, hash: &B256) -> Result<Option<TransactionPosition>, StorageError> {
        let Some(bytes) = self.get(schema::TRANSACTIONS, hash.as_slice())? else { return Ok(None) };
        let parse = || {
            let (number, index) = bytes.split_first_chunk::<8>()?;
            let index = index.try_into().ok()?;
            Some(TransactionPosition { number: u64::from_be_bytes(*number), index: u32::from_be_bytes(index) })
        };
        parse().map(Some).ok_or_else(|| malformed(schema::TRANSACTIONS, hash.as_slice(), "expected 12 bytes"))
    }

    pub(crate) fn account(&self, address: &Address) -> Result<Option<FlatAccount>, StorageError> {
        let Some(bytes) = self.get(schema::ACCOUNTS, address.as_slice())? else { return Ok(None) };
        let account = schema::decode_account(&bytes);
        account.map(Some).map_err(|error| malformed(schema::ACCOUNTS, address.as_slice(), error))
    }

    /// A storage slot; zero if there is no entry.
    pub(crate) fn slot(&self, address: &Address, slot: &U256) -> Result<U256, StorageError> {
        let key = schema::slot_key(address, slot);
        let Some(bytes) = self.get(schema::STORAGE, &key)? else { return Ok(U256::ZERO) };
        schema::decode_slot(&bytes).ok_or_else(|| malformed(schema::STORAGE, &key, "more than 32 bytes"))
    }

    /// Whether an account has storage.
    pub(crate) fn has_slots(&self, address: &Address) -> Result<bool, StorageError> {
        let mode = rocksdb::IteratorMode::From(address.as_slice(), rocksdb::Direction::Forward);
        let first = self.db.iterator_cf(self.column(schema::STORAGE), mode).next().transpose()?;
        Ok(first.is_some_and(|(key, _)| key.starts_with(address.as_slice())))
    }

    pub(crate) fn code(&self, hash: &B256) -> Result<Option<Bytecode>, StorageError> {
        if let Some(code) = self.codes.get(hash) {
            return Ok(Some(code));
        }
        let Some(bytes) = self.get(schema::CODE, hash.as_slice())? else { return Ok(None) };
        let bytes = Bytes::copy_from_slice(&bytes);
        // Only a whole delegation (EIP-7702) is one; anything else that begins like it is code.
        let code = Bytecode::new_raw_checked(bytes.clone()).unwrap_or_else(|_| Bytecode::new_legacy(bytes));
        self.codes.insert(*hash, code.clone());
        Ok(Some(code))
    }
}

impl NodeSource for Store {
    fn node(&self, owner: Owner, path: &Nibbles) -> Result<Option<Bytes>, StorageError> {
        let (column, key) = schema::node_key(owner, path);
        Ok(self.get(column, &key)?.map(|bytes| Bytes::copy_from_slice(&bytes)))
    }
}

#[cfg(test)]
impl Store {
    pub(crate) fn count_state_entries(&self) -> Result<usize, StorageError> {
        let columns = [schema::ACCOUNTS, schema::STORAGE, schema::ACCOUNT_TRIE, schema::STORAGE_TRIE];
        let mut count = 0;
        for column in columns {
            for entry in self.db.iterator_cf(self.column(column), rocksdb::IteratorMode::Start) {
                entry?;
                count += 1;
            }
        }
        Ok(count)
    }
}

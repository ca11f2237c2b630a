//! Whether the index of accounts is whole: it may be left out, and built later.
//!
//! A whole index has an entry for every account that any transaction up to the head touched, and `meta` says nothing of
//! it. One that is left out ends at a block that `meta` names; nothing is added to it until it has been built up to the
//! head, so what it has is never mistaken for all there is. The creations of contracts are few and always kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alloy_primitives::Address;
use rocksdb::WriteBatch;

use super::super::{StorageError, Store, read::malformed, schema};
use super::at_transaction;
use crate::block::RecoveredBlock;
use crate::execution::Touched;
use crate::transaction::Recovered;

/// How far the index of accounts goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressIndex {
    /// To the head.
    Whole,
    /// To this block; of later ones it has nothing.
    UpTo(u64),
}

/// No block has so high a number.
const WHOLE: u64 = u64::MAX;

/// The same as it is kept beside the database.
#[derive(Debug)]
pub(in crate::storage) struct Indexed(AtomicU64);

impl Default for Indexed {
    fn default() -> Self {
        Self(AtomicU64::new(WHOLE))
    }
}

impl Indexed {
    fn get(&self) -> AddressIndex {
        match self.0.load(Ordering::Acquire) {
            WHOLE => AddressIndex::Whole,
            number => AddressIndex::UpTo(number),
        }
    }

    fn set(&self, index: AddressIndex) {
        let number = match index {
            AddressIndex::Whole => WHOLE,
            AddressIndex::UpTo(number) => number,
        };
        self.0.store(number, Ordering::Release);
    }
}

impl Store {
    /// How far the index of accounts goes.
    pub(crate) fn address_index(&self) -> AddressIndex {
        self.indexed.get()
    }

    /// An error unless the index of accounts is whole.
    pub(crate) fn check_address_index(&self) -> Result<(), StorageError> {
        match self.address_index() {
            AddressIndex::Whole => Ok(()),
            AddressIndex::UpTo(number) => Err(StorageError::AddressIndex { number }),
        }
    }

    /// After opening: what was stored of it.
    pub(in crate::storage) fn restore_address_index(&self) -> Result<(), StorageError> {
        let Some(bytes) = self.get(schema::META, schema::META_ADDRESSES)? else { return Ok(()) };
        let number = <[u8; 8]>::try_from(bytes.as_ref()).map(u64::from_be_bytes);
        let number = number.map_err(|_| malformed(schema::META, schema::META_ADDRESSES, "expected 8 bytes"))?;
        self.indexed.set(AddressIndex::UpTo(number));
        Ok(())
    }

    /// From now on the index stays as it is, under this head. What is written here comes before the next block in
    /// RocksDB's log, so no loss of power leaves the block without it.
    pub(crate) fn leave_out_addresses(&self, head: u64) -> Result<(), StorageError> {
        if self.address_index() == AddressIndex::Whole {
            self.db.put_cf(self.column(schema::META), schema::META_ADDRESSES, head.to_be_bytes())?;
            self.indexed.set(AddressIndex::UpTo(head));
        }
        Ok(())
    }

    /// The entries of a block: an account that a transaction touched, with the nonce where it is the sender.
    pub(super) fn put_touched(
        &self,
        batch: &mut WriteBatch,
        number: u64,
        transactions: &[Arc<Recovered>],
        touched: &[Touched],
    ) {
        let mut entries = Vec::new();
        for (index, of) in (0u32..).zip(touched) {
            let tx = transactions.get(index as usize);
            let sent = |address: &Address| tx.filter(|tx| tx.sender() == *address).map(|tx| tx.nonce());
            entries.extend(of.accounts.iter().map(|address| (at_transaction(address, number, index), sent(address))));
        }
        entries.sort_unstable();
        for (key, nonce) in entries {
            match nonce {
                Some(nonce) => batch.put_cf(self.column(schema::ADDRESS_INDEX), key, nonce.to_be_bytes()),
                None => batch.put_cf(self.column(schema::ADDRESS_INDEX), key, b""),
            }
        }
    }

    /// Adds the block behind the end of an index that is not whole, in one batch with its new end. It is whole with the
    /// block `head`.
    pub(crate) fn extend_addresses(
        &self,
        block: &RecoveredBlock,
        touched: &[Touched],
        head: u64,
    ) -> Result<(), StorageError> {
        let number = block.number();
        let mut batch = WriteBatch::default();
        self.put_touched(&mut batch, number, block.transactions(), touched);
        let index = if number >= head { AddressIndex::Whole } else { AddressIndex::UpTo(number) };
        match index {
            AddressIndex::Whole => batch.delete_cf(self.column(schema::META), schema::META_ADDRESSES),
            AddressIndex::UpTo(end) => {
                batch.put_cf(self.column(schema::META), schema::META_ADDRESSES, end.to_be_bytes());
            }
        }
        self.db.write(batch)?;
        if index == AddressIndex::Whole {
            self.db.flush_wal(true)?;
        }
        self.indexed.set(index);
        Ok(())
    }

    /// An index that ends at the head is whole.
    pub(crate) fn complete_addresses(&self) -> Result<(), StorageError> {
        self.db.delete_cf(self.column(schema::META), schema::META_ADDRESSES)?;
        self.db.flush_wal(true)?;
        self.indexed.set(AddressIndex::Whole);
        Ok(())
    }
}

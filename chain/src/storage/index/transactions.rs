//! Transactions by the accounts that they touched, and the creations of contracts.

use alloy_primitives::Address;
use rocksdb::{Direction, IteratorMode};

use super::super::{StorageError, Store, TransactionPosition, read::malformed, schema};
use super::at_transaction;

impl Store {
    /// Transactions that touched an account, from the first of block `number` on, oldest first.
    pub(crate) fn transactions_from(
        &self,
        address: &Address,
        number: u64,
    ) -> impl Iterator<Item = Result<TransactionPosition, StorageError>> {
        self.entries(schema::ADDRESS_INDEX, *address, at_transaction(address, number, 0), Direction::Forward)
    }

    /// The same up to the last of block `number`, newest first.
    pub(crate) fn transactions_up_to(
        &self,
        address: &Address,
        number: u64,
    ) -> impl Iterator<Item = Result<TransactionPosition, StorageError>> {
        self.entries(schema::ADDRESS_INDEX, *address, at_transaction(address, number, u32::MAX), Direction::Reverse)
    }

    /// The last transaction up to block `number` that created a contract at an address.
    pub(crate) fn creation_up_to(
        &self,
        address: &Address,
        number: u64,
    ) -> Result<Option<TransactionPosition>, StorageError> {
        let from = at_transaction(address, number, u32::MAX);
        self.entries(schema::CREATIONS, *address, from, Direction::Reverse).next().transpose()
    }

    fn entries(
        &self,
        column: &'static str,
        address: Address,
        from: [u8; 32],
        direction: Direction,
    ) -> impl Iterator<Item = Result<TransactionPosition, StorageError>> {
        let entries = self.db.iterator_cf(self.column(column), IteratorMode::From(&from, direction));
        let entries = entries.map(|entry| entry.map(|(key, _)| key).map_err(StorageError::from));
        let of_address =
            move |key: &Result<Box<[u8]>, _>| key.as_ref().map_or(true, |key| key.starts_with(address.as_slice()));
        entries.take_while(of_address).map(move |key| position(column, &key?))
    }
}

fn position(column: &'static str, key: &[u8]) -> Result<TransactionPosition, StorageError> {
    let parse = || {
        let (number, index) = key.get(20..)?.split_first_chunk::<8>()?;
        let index = index.try_into().ok()?;
        Some(TransactionPosition { number: u64::from_be_bytes(*number), index: u32::from_be_bytes(index) })
    };
    parse().ok_or_else(|| malformed(column, key, "expected a key of 32 bytes"))
}

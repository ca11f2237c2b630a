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

    /// The transaction in which an account used a nonce, up to the last of block `head`. Looks at a few of the blocks in
    /// which the account sent something, and at what touched it before each of these.
    pub(crate) fn sent_with_nonce(
        &self,
        sender: &Address,
        nonce: u64,
        head: u64,
    ) -> Result<Option<TransactionPosition>, StorageError> {
        // It is in none of the blocks before `first`, nor from `end` on.
        let (mut first, mut end) = (0, head.saturating_add(1));
        while first < end {
            let middle = first + (end - first) / 2;
            let sent = self.sent_from(sender, middle, end)?;
            // Nonces only go up.
            match (sent.first(), sent.last()) {
                (Some((position, least)), Some((_, most))) if *least <= nonce => {
                    if nonce <= *most {
                        return Ok(sent.iter().find(|(_, of)| *of == nonce).map(|(position, _)| *position));
                    }
                    first = position.number.saturating_add(1);
                }
                _ => end = middle,
            }
        }
        Ok(None)
    }

    /// What an account sent in the first block from `number` on, before block `end`, in which it sent something: the
    /// transactions with their nonces.
    fn sent_from(
        &self,
        sender: &Address,
        number: u64,
        end: u64,
    ) -> Result<Vec<(TransactionPosition, u64)>, StorageError> {
        let from = at_transaction(sender, number, 0);
        let mut sent: Vec<(TransactionPosition, u64)> = Vec::new();
        let column = self.column(schema::ADDRESS_INDEX);
        for entry in self.db.iterator_cf(column, IteratorMode::From(&from, Direction::Forward)) {
            let (key, nonce) = entry?;
            if !key.starts_with(sender.as_slice()) {
                break;
            }
            let position = position(schema::ADDRESS_INDEX, &key)?;
            let over = sent.first().map_or(position.number >= end, |(first, _)| first.number != position.number);
            if over {
                break;
            }
            if !nonce.is_empty() {
                let nonce = <[u8; 8]>::try_from(nonce.as_ref()).map(u64::from_be_bytes);
                let nonce = nonce.map_err(|_| malformed(schema::ADDRESS_INDEX, &key, "expected a nonce of 8 bytes"))?;
                sent.push((position, nonce));
            }
        }
        Ok(sent)
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

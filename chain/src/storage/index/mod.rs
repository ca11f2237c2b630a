//! What is where: blocks by the addresses and topics of their logs, transactions by the accounts that they touched,
//! contracts by the transactions that created them.
//!
//! An entry is its key; blocks and transactions stand at its end, so that those of one address or topic lie beside each
//! other in their order. Only that of a transaction's sender has a value, the nonce: so the transaction with a nonce is
//! found by halving. All of a block's entries are in its batch.

mod addresses;
mod logs;
mod transactions;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use alloy_primitives::{Address, Log};
use rocksdb::WriteBatch;

use super::{BlockWrite, Store, schema};

pub use addresses::AddressIndex;
pub(super) use addresses::Indexed;
pub use logs::{LogTerms, Searched};

/// The beginning of the keys of an address in the index of logs.
fn address_term(address: &Address) -> Vec<u8> {
    [&[0], address.as_slice()].concat()
}

/// The beginning of the keys of a topic, whose position counts from 0.
fn topic_term(position: u8, topic: &[u8]) -> Vec<u8> {
    [&[position + 1], topic].concat()
}

fn terms(log: &Log) -> impl Iterator<Item = Vec<u8>> {
    // A log has four topics at most.
    let topics = (0u8..).zip(log.topics()).map(|(position, topic)| topic_term(position, topic.as_slice()));
    std::iter::once(address_term(&log.address)).chain(topics)
}

/// The key of a transaction in the indices of accounts.
fn at_transaction(address: &Address, number: u64, index: u32) -> [u8; 32] {
    let mut key = [0; 32];
    key[..20].copy_from_slice(address.as_slice());
    key[20..28].copy_from_slice(&number.to_be_bytes());
    key[28..].copy_from_slice(&index.to_be_bytes());
    key
}

impl Store {
    /// The entries of a block.
    pub(super) fn put_index(&self, batch: &mut WriteBatch, write: &BlockWrite<'_>) {
        let number = write.block.number();
        let terms: BTreeSet<_> = write.receipts.iter().flat_map(|receipt| &receipt.logs).flat_map(terms).collect();
        for term in terms {
            batch.put_cf(self.column(schema::LOG_INDEX), schema::at_block(&term, number), b"");
        }
        if self.address_index() == AddressIndex::Whole {
            self.put_touched(batch, number, write.block.transactions(), write.touched);
        }
        let mut created = Vec::new();
        for (index, of) in (0u32..).zip(write.touched) {
            created.extend(of.created.iter().map(|address| at_transaction(address, number, index)));
        }
        created.sort_unstable();
        for key in created {
            batch.put_cf(self.column(schema::CREATIONS), key, b"");
        }
    }
}

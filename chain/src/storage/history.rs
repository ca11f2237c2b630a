//! What was before: the state after any block that is kept.
//!
//! Flat state and tries hold what is after the last final block. Beside each entry that a block changes or removes, its
//! batch notes what stood there *before* the block, under the same key with the block's number behind it (nothing for
//! nothing). So the state after block `n` is the first such note of a block above `n`, and where there is none, what
//! stands there now.
//!
//! *Reading beside writing.* The flat entry is read first, then the notes: what a batch between the two changed is in the
//! notes of that batch.
//!
//! *Retention.* Notes of blocks up to the oldest state that can be read are of no use; a filter drops them when RocksDB
//! rewrites its files. The oldest state only ever moves on. Readers ask for it after they have read, and the filter
//! knows of it only once it is durable, so neither a reader nor a start after a loss of power takes a missing note for
//! one that never was.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::Nibbles;
use rocksdb::{Direction, IteratorMode, WriteBatch};

use super::read::malformed;
use super::schema;
use super::{StorageError, Store};
use crate::state::FlatAccount;
use crate::trie::{AccountProof, NodeSource, Owner, StateTrie, TrieError};

/// Of how many blocks below the head the state can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum History {
    /// Of all.
    #[default]
    Archive,
    /// Of this many; at least [`History::LEAST`].
    Blocks(u64),
}

impl History {
    /// The fewest blocks: clients ask for states that they were told of a moment ago.
    pub const LEAST: u64 = 128;

    /// The oldest block whose state is kept under this head.
    fn oldest(self, head: u64) -> u64 {
        match self {
            Self::Archive => 0,
            Self::Blocks(blocks) => head.saturating_sub(blocks.max(Self::LEAST)),
        }
    }
}

/// How far back states can be read.
#[derive(Debug, Default)]
pub(super) struct Retention {
    history: History,
    /// The oldest block whose state can be read.
    oldest: AtomicU64,
    /// Notes of blocks up to this one may be dropped.
    droppable: Arc<AtomicU64>,
}

impl Retention {
    pub(super) fn new(history: History, droppable: Arc<AtomicU64>) -> Self {
        Self { history, oldest: AtomicU64::new(0), droppable }
    }

    /// A start finds this oldest state, whatever happens: nothing below it is needed any more.
    pub(super) fn is_durable(&self, oldest: u64) {
        self.droppable.fetch_max(oldest, Ordering::AcqRel);
    }
}

/// Whether an entry of a history may go: it was before a block up to `droppable`.
pub(super) fn is_useless(key: &[u8], droppable: &AtomicU64) -> bool {
    let number = key.last_chunk().map(|number| u64::from_be_bytes(*number));
    number.is_some_and(|number| number <= droppable.load(Ordering::Acquire))
}

/// A key with its value.
type Entry = (Box<[u8]>, Box<[u8]>);

impl Store {
    /// Of how many blocks the state is kept.
    pub(crate) fn history(&self) -> History {
        self.retention.history
    }

    /// The oldest block whose state can be read.
    pub(crate) fn oldest_state(&self) -> u64 {
        self.retention.oldest.load(Ordering::Acquire)
    }

    /// The oldest state as it is stored.
    pub(super) fn stored_oldest(&self) -> Result<u64, StorageError> {
        let Some(bytes) = self.get(schema::META, schema::META_OLDEST)? else { return Ok(0) };
        let number = <[u8; 8]>::try_from(bytes.as_ref()).map(u64::from_be_bytes);
        number.map_err(|_| malformed(schema::META, schema::META_OLDEST, "expected 8 bytes"))
    }

    /// After opening: the oldest state that is left.
    pub(super) fn restore_oldest(&self) -> Result<(), StorageError> {
        self.retention.oldest.store(self.stored_oldest()?, Ordering::Release);
        Ok(())
    }

    /// Moves the oldest state on with the head, as part of the head's batch.
    pub(super) fn put_oldest(&self, batch: &mut WriteBatch, head: u64) {
        let oldest = self.retention.history.oldest(head);
        if oldest > self.oldest_state() {
            // Readers are told before anything goes, and the batch of the head is written next.
            self.retention.oldest.store(oldest, Ordering::Release);
            batch.put_cf(self.column(schema::META), schema::META_OLDEST, oldest.to_be_bytes());
        }
    }

    /// Notes what stood in `column` under `key` before block `number`.
    pub(super) fn note(&self, batch: &mut WriteBatch, column: &'static str, key: &[u8], number: u64, before: &[u8]) {
        // Nobody asks for what was before the genesis.
        if number > 0 {
            batch.put_cf(self.column(schema::history_of(column)), schema::at_block(key, number), before);
        }
    }

    /// All entries of `column` below a prefix, with their whole keys.
    pub(super) fn below(
        &self,
        column: &'static str,
        prefix: &[u8],
    ) -> impl Iterator<Item = Result<Entry, StorageError>> {
        let entries = self.db.iterator_cf(self.column(column), IteratorMode::From(prefix, Direction::Forward));
        let prefix = prefix.to_vec();
        entries
            .map(|entry| entry.map_err(StorageError::from))
            .take_while(move |entry| entry.as_ref().map_or(true, |(key, _)| key.starts_with(&prefix)))
    }

    /// What the first block above `number` that changed an entry found there; `None`: none changed it. `Some` of nothing:
    /// there was none.
    fn noted(&self, column: &'static str, key: &[u8], number: u64) -> Result<Option<Box<[u8]>>, StorageError> {
        let from = schema::at_block(key, number.saturating_add(1));
        let column = self.column(schema::history_of(column));
        let first = self.db.iterator_cf(column, IteratorMode::From(&from, Direction::Forward)).next();
        let first = first.transpose()?;
        Ok(first.filter(|(found, _)| found.len() == from.len() && found.starts_with(key)).map(|(_, before)| before))
    }

    /// An account before the first block above `number` that changed it; `None`: none did.
    pub(crate) fn earlier_account(
        &self,
        address: &Address,
        number: u64,
    ) -> Result<Option<Option<FlatAccount>>, StorageError> {
        let Some(bytes) = self.noted(schema::ACCOUNTS, address.as_slice(), number)? else { return Ok(None) };
        if bytes.is_empty() {
            return Ok(Some(None));
        }
        let account = schema::decode_account(&bytes);
        let error = |error| malformed(schema::ACCOUNT_HISTORY, &schema::at_block(address.as_slice(), number), error);
        account.map(|account| Some(Some(account))).map_err(error)
    }

    /// The same of a storage slot.
    pub(crate) fn earlier_slot(
        &self,
        address: &Address,
        slot: &U256,
        number: u64,
    ) -> Result<Option<U256>, StorageError> {
        let key = schema::slot_key(address, slot);
        let Some(bytes) = self.noted(schema::STORAGE, &key, number)? else { return Ok(None) };
        let error = || malformed(schema::STORAGE_HISTORY, &schema::at_block(&key, number), "more than 32 bytes");
        schema::decode_slot(&bytes).map(Some).ok_or_else(error)
    }
}

impl Store {
    /// Proves an account and some of its slots against the state root of block `number`.
    pub(crate) fn proof_at(
        &self,
        number: u64,
        state_root: B256,
        address: &Address,
        slots: &[B256],
    ) -> Result<AccountProof, TrieError> {
        let slots: Vec<_> = slots.iter().map(keccak256).collect();
        StateTrie::stored(state_root).proof(&self.nodes_at(number), number, keccak256(address), &slots)
    }

    /// The nodes of the tries after block `number`.
    pub(crate) fn nodes_at(&self, number: u64) -> impl NodeSource {
        NodesAt { store: self, number }
    }
}

/// The nodes of the tries after a block.
struct NodesAt<'a> {
    store: &'a Store,
    number: u64,
}

impl NodeSource for NodesAt<'_> {
    fn node(&self, owner: Owner, path: &Nibbles) -> Result<Option<Bytes>, StorageError> {
        let now = self.store.node(owner, path)?;
        let (column, key) = schema::node_key(owner, path);
        Ok(match self.store.noted(column, &key, self.number)? {
            None => now,
            Some(before) if before.is_empty() => None,
            Some(before) => Some(before.into_vec().into()),
        })
    }
}

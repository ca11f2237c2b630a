//! Final blocks and the final state in RocksDB.
//!
//! Every final block is one atomic write batch ([`commit`]): header, body, receipts, certificate,
//! state, trie nodes and look-ups stand together or not at all. RocksDB's log receives each batch
//! but is not synced for each: consensus has its own log, from which it gives blocks again that a
//! loss of power took from here. [`Store::sync`] makes everything so far durable.
//!
//! What is stored where, byte by byte, is in [`schema`]. [`check`] decides at start-up whether a
//! database is sound and of this chain; nothing here ever repairs one. [`inspect`] reads a database
//! that no node uses, and checks all of it.
//!
//! Only the final state is stored, one version of each thing. Views of it that stay the same while
//! blocks become final are the business of [`crate::state`].

mod cache;
mod check;
mod commit;
mod durable;
mod history;
mod index;
mod inspect;
mod inspect_state;
mod measures;
mod open;
mod read;
mod schema;

#[cfg(test)]
mod fuzz;

use std::path::PathBuf;
use std::time::Instant;

use parking_lot::Mutex;
use rocksdb::{ColumnFamily, DB};

use cache::CodeCache;

pub use check::OpenError;
pub(crate) use check::Opened;
pub(crate) use commit::BlockWrite;
pub use history::History;
pub use index::{AddressIndex, LogTerms, Searched};
pub use inspect::{BlockDamage, CheckedBlock, ColumnSize, StoredChain};
pub use inspect_state::{CheckedState, StateDamage};
pub use measures::METRICS;
pub use read::TransactionPosition;

/// The stored data could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// RocksDB reports an error.
    #[error("database: {0}")]
    Database(#[from] rocksdb::Error),
    /// A value does not have the form that it was written in.
    #[error("database: the entry {key} of `{column}` is malformed: {reason}; remove the data directory and sync again")]
    Malformed {
        /// The column family.
        column: &'static str,
        /// The key in hexadecimal.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// The index of accounts was left out.
    #[error(
        "this node has no whole index of accounts: it ends at block {number}. Stop the node, set [index] addresses = true \
         and run assent db index"
    )]
    AddressIndex {
        /// The last block that it has.
        number: u64,
    },
    /// The mark of what is durable could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

impl StorageError {
    /// What the head needs was there when the database was checked, and now is not.
    pub(crate) fn malformed_head(number: u64) -> Self {
        read::malformed(schema::HEADERS, &number.to_be_bytes(), "the header of the head is missing")
    }
}

/// The database of one chain. All calls block.
pub(crate) struct Store {
    db: DB,
    directory: PathBuf,
    codes: CodeCache,
    /// The head at the last sync of this run.
    synced: Mutex<Option<u64>>,
    retention: history::Retention,
    /// How far the index of accounts goes.
    indexed: index::Indexed,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl Store {
    fn column(&self, name: &'static str) -> &ColumnFamily {
        self.db.cf_handle(name).expect("the database was opened with every column family of the schema")
    }

    fn get(&self, column: &'static str, key: &[u8]) -> Result<Option<rocksdb::DBPinnableSlice<'_>>, StorageError> {
        Ok(self.db.get_pinned_cf(self.column(column), key)?)
    }

    /// Makes everything that was written so far durable, and says so in a mark that the next start
    /// compares with what it finds. Does nothing if `head` has not changed since the last time.
    pub(crate) fn sync(&self, head: u64) -> Result<(), StorageError> {
        let mut synced = self.synced.lock();
        if *synced == Some(head) {
            return Ok(());
        }
        let began = Instant::now();
        // Before the sync, which makes it durable.
        let oldest = self.stored_oldest()?;
        self.db.flush_wal(true)?;
        durable::write(&self.directory, head)?;
        self.retention.is_durable(oldest);
        *synced = Some(head);
        measures::synced(began.elapsed());
        Ok(())
    }
}

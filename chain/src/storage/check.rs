//! Is this database sound, and of this chain? Asked once, at start-up.
//!
//! A database that is not is refused with what is wrong and what to do about it. Nothing is
//! repaired: a node that lost its data gets it again from the others, and what damaged the data
//! deserves to be noticed.

use std::fs;
use std::path::{Path, PathBuf};

use alloy_primitives::B256;
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};

use super::schema::{self, StoredHead};
use super::{History, StorageError, Store, durable, open};
use crate::execution::ForkError;
use crate::trie::{NodeSource, StateTrie};

/// How many blocks below the head are looked at.
const CHECKED_BLOCKS: u64 = 16;

/// The database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory holds something else.
    #[error(
        "{} is not a database of this program: {reason}; choose another data directory, or remove this one and sync again",
        directory.display()
    )]
    Foreign {
        /// Where.
        directory: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A database of another version.
    #[error(
        "{}: expected database format {expected}, got {got}; use the version of the program that wrote it, or remove \
         the data directory and sync again",
        directory.display()
    )]
    Format {
        /// Where.
        directory: PathBuf,
        /// What this version writes.
        expected: u32,
        /// What is there.
        got: u32,
    },
    /// A database of another chain.
    #[error(
        "{}: the database belongs to another chain: expected genesis {expected}, got {got}; use the genesis.json that \
         it was made with, or another data directory",
        directory.display()
    )]
    OtherChain {
        /// Where.
        directory: PathBuf,
        /// The hash of the genesis that was given.
        expected: B256,
        /// The hash of the genesis in the database.
        got: B256,
    },
    /// Something is missing or does not fit together.
    #[error(
        "{}: the database is damaged: {reason}; remove the data directory and sync again (keep the validator's signer files)",
        directory.display()
    )]
    Damaged {
        /// Where.
        directory: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Another process has the database open.
    #[error("{}: another process uses the database: {reason}; end it, or choose another data directory", directory.display())]
    Locked {
        /// Where.
        directory: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The genesis and its own header disagree.
    #[error("genesis: expected state root {expected} (header), got {got} (allocations)")]
    GenesisStateRoot {
        /// In the header.
        expected: B256,
        /// Computed.
        got: B256,
    },
    /// The genesis asks for forks that cannot be served.
    #[error("genesis: {0}")]
    Forks(#[from] ForkError),
    /// Reading failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The trie of the genesis could not be made.
    #[error(transparent)]
    Trie(#[from] crate::trie::TrieError),
}

impl OpenError {
    pub(super) fn from_rocksdb(directory: &Path, error: rocksdb::Error) -> Self {
        let (directory, reason) = (directory.to_owned(), error.to_string());
        match error.kind() {
            // By the name of the file: any path may have a "lock" in it, such as that of a "blockchain".
            rocksdb::ErrorKind::IOError if reason.contains("/LOCK") => Self::Locked { directory, reason },
            rocksdb::ErrorKind::Corruption => Self::Damaged { directory, reason },
            // One of its files is gone.
            rocksdb::ErrorKind::IOError if reason.contains("No such file") => Self::Damaged { directory, reason },
            _ => Self::Storage(StorageError::Database(error)),
        }
    }
}

/// What [`Store::open`] found.
pub(crate) enum Opened {
    /// Nothing: the database is new and wants its genesis.
    New(Store),
    /// A sound database with this head.
    Existing(Store, StoredHead),
}

/// Whether `directory`, which may not exist, holds a database; an error if it holds something else.
pub(super) fn holds_database(directory: &Path) -> Result<bool, OpenError> {
    if open::database_exists(directory)? {
        return Ok(true);
    }
    let file = |source| StorageError::File { path: directory.to_owned(), source };
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        entries => entries.map_err(file)?,
    };
    for entry in entries {
        let name = entry.map_err(file)?.file_name();
        if !name.to_str().is_some_and(open::precedes_creation) {
            let reason = format!("it has no file CURRENT, but others, such as {name:?}");
            return Err(OpenError::Foreign { directory: directory.to_owned(), reason });
        }
    }
    Ok(false)
}

impl Store {
    /// Opens the database in `directory`, which is created if it does not exist, and checks that
    /// it is one of the chain with this genesis hash.
    pub(crate) fn open(directory: &Path, genesis: B256, history: History) -> Result<Opened, OpenError> {
        let file = |source| StorageError::File { path: directory.to_owned(), source };
        fs::create_dir_all(directory).map_err(file)?;
        if !holds_database(directory)? {
            return Ok(Opened::New(Self::open_database(directory, true, history)?));
        }
        let store = Self::open_database(directory, false, history)?;
        match store.identify(genesis)? {
            Some(head) => {
                store.check_recent(&head)?;
                Ok(Opened::Existing(store, head))
            }
            None => Ok(Opened::New(store)),
        }
    }

    /// The head of a database of this format and chain; `None` if its creation was interrupted
    /// before the genesis block, which is the first thing that is ever written.
    pub(super) fn identify(&self, genesis: B256) -> Result<Option<StoredHead>, OpenError> {
        let Some(format) = self.get(schema::META, schema::META_FORMAT)? else {
            self.check_is_empty()?;
            return Ok(None);
        };
        match <[u8; 4]>::try_from(format.as_ref()).map(u32::from_be_bytes) {
            Ok(schema::FORMAT) => {}
            Ok(got) => {
                let (directory, expected) = (self.directory.clone(), schema::FORMAT);
                return Err(OpenError::Format { directory, expected, got });
            }
            Err(_) => return Err(self.damaged("the format version is not four bytes long".into())),
        }
        let got = self.get(schema::META, schema::META_GENESIS)?;
        let got = got.and_then(|bytes| B256::try_from(bytes.as_ref()).ok());
        match got {
            Some(got) if got == genesis => {}
            Some(got) => {
                return Err(OpenError::OtherChain { directory: self.directory.clone(), expected: genesis, got });
            }
            None => return Err(self.damaged("the genesis hash is missing".into())),
        }
        Ok(Some(self.head()?.ok_or_else(|| self.damaged("the head is missing".into()))?))
    }

    /// The quick look at a database with this head.
    pub(super) fn check_recent(&self, head: &StoredHead) -> Result<(), OpenError> {
        self.check_durable(head)?;
        self.check_head(head)?;
        self.check_links(head)
    }

    fn check_is_empty(&self) -> Result<(), OpenError> {
        for name in schema::COLUMNS {
            let mut entries = self.db.iterator_cf(self.column(name), rocksdb::IteratorMode::Start);
            if entries.next().transpose().map_err(StorageError::from)?.is_some() {
                return Err(self.damaged(format!("the format version is missing, but `{name}` has entries")));
            }
        }
        if durable::read(&self.directory)? != Ok(None) {
            return Err(self.damaged("it is empty, although blocks were made durable: its log is lost".into()));
        }
        Ok(())
    }

    /// The head must not be older than what was once made durable.
    fn check_durable(&self, head: &StoredHead) -> Result<(), OpenError> {
        match durable::read(&self.directory)? {
            Ok(None) => Ok(()),
            Ok(Some(mark)) if mark <= head.number => Ok(()),
            Ok(Some(mark)) => Err(self.damaged(format!(
                "expected at least block {mark}, which was made durable, got head {}: its log has lost blocks",
                head.number
            ))),
            Err(text) => Err(self.damaged(format!("the file `durable` holds {text:?}"))),
        }
    }

    /// Everything of the head is there and fits.
    fn check_head(&self, head: &StoredHead) -> Result<(), OpenError> {
        let number = head.number;
        let missing = |part: &str| self.damaged(format!("the {part} of the head, block {number}, is missing"));
        let header = self.header(number)?.ok_or_else(|| missing("header"))?;
        self.same("hash", number, head.hash, header.hash)?;
        self.same("hash of the header", number, head.hash, header.header.hash_slow())?;
        self.same("state root", number, head.state_root, header.header.state_root)?;
        self.body(number)?.ok_or_else(|| missing("body"))?;
        self.receipts(number)?.ok_or_else(|| missing("receipts"))?;
        let root = self.node(None, &Nibbles::new())?;
        let root = root.map_or(EMPTY_ROOT_HASH, alloy_primitives::keccak256);
        self.same("state root of the trie", number, head.state_root, root)?;
        // The first level below the root, too.
        let trie = StateTrie::stored(head.state_root);
        trie.proof(self, number, B256::ZERO, &[]).map_err(|error| self.damaged(error.to_string()))?;
        Ok(())
    }

    /// The last blocks are there, each names the one before it, and the look-up by hash fits.
    fn check_links(&self, head: &StoredHead) -> Result<(), OpenError> {
        let mut expected = head.hash;
        for number in (head.number.saturating_sub(CHECKED_BLOCKS)..=head.number).rev() {
            let header = self.header(number)?;
            let header = header.ok_or_else(|| self.damaged(format!("the header of block {number} is missing")))?;
            self.same("hash", number, expected, header.hash)?;
            self.same("hash of the header", number, expected, header.header.hash_slow())?;
            if self.number_by_hash(&header.hash)? != Some(number) {
                return Err(self.damaged(format!("the look-up of the hash of block {number} is missing or wrong")));
            }
            expected = header.header.parent_hash;
        }
        Ok(())
    }

    fn same(&self, what: &str, number: u64, expected: B256, got: B256) -> Result<(), OpenError> {
        if expected == got {
            return Ok(());
        }
        Err(self.damaged(format!("{what} of block {number}: expected {expected}, got {got}")))
    }

    fn damaged(&self, reason: String) -> OpenError {
        OpenError::Damaged { directory: self.directory.clone(), reason }
    }
}

//! A database that no node uses, read and checked, never written: for operators and their tools.
//!
//! [`Store::open`](super::Store::open) takes a quick look at each start; here every block can be looked at
//! ([`StoredChain::check_block`]) and the whole state ([`StoredChain::check_state`]). What a
//! certificate proves is the caller's business: it gets the bytes.

use std::fmt::{self, Display};
use std::fs::File;
use std::path::Path;

use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes, hex};
use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::process::{Flock, FlockType, fcntl_getlk};

use super::check::holds_database;
use super::read::StoredBody;
use super::schema::{self, StoredHead};
use super::{AddressIndex, OpenError, StorageError, Store, TransactionPosition, durable};
use crate::block::transactions_root;
use crate::execution::root_and_bloom;
use crate::recovery::recover_batch;

/// The file that RocksDB locks while it has a database open.
const LOCK: &str = "LOCK";

/// A stored chain. While it lives, no node can open the database.
pub struct StoredChain {
    pub(super) store: Store,
    pub(super) head: StoredHead,
    genesis: B256,
    _lock: Option<File>,
}

impl fmt::Debug for StoredChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredChain").field("store", &self.store).field("head", &self.head).finish_non_exhaustive()
    }
}

/// A part of a block is missing or wrong.
#[derive(Debug, thiserror::Error)]
pub enum BlockDamage {
    /// Something is not there.
    #[error("block {number}: {part}: missing")]
    Missing {
        /// Which block.
        number: u64,
        /// What.
        part: &'static str,
    },
    /// Something is not what the rest says that it is.
    #[error("block {number}: {what}: expected {expected}, got {got}")]
    Differs {
        /// Which block.
        number: u64,
        /// What.
        what: &'static str,
        /// What it must be.
        expected: String,
        /// What it is.
        got: String,
    },
    /// A signature is not the stored sender's.
    #[error("block {number}: transaction {index}: {reason}")]
    Transaction {
        /// Which block.
        number: u64,
        /// Which of its transactions.
        index: usize,
        /// What is wrong.
        reason: String,
    },
    /// An entry cannot be read.
    #[error("block {number}: {source}")]
    Storage {
        /// Which block.
        number: u64,
        /// Why.
        source: StorageError,
    },
}

/// A sound block, as far as the chain can tell.
#[derive(Clone, Debug)]
pub struct CheckedBlock {
    /// Its hash.
    pub hash: B256,
    /// How many transactions it has.
    pub transactions: usize,
    /// The epoch in its seal.
    pub epoch: u64,
    /// The view in its seal.
    pub view: u64,
    /// The hash of the validator set in its seal.
    pub validator_set: B256,
    /// The certificate that is stored with it, which nobody has verified yet.
    pub certificate: Option<Bytes>,
}

/// How large a column family is.
#[derive(Clone, Debug)]
pub struct ColumnSize {
    /// Its name.
    pub name: &'static str,
    /// About how many entries it has; what was written over or removed lately counts as well.
    pub entries: u64,
    /// How many of them are in no table file yet.
    pub unflushed: u64,
    /// Bytes of its table files.
    pub table_bytes: u64,
    /// How many table files it has.
    pub tables: u64,
}

impl StoredChain {
    /// Opens the database of the chain with this genesis hash. `None`: there is none yet.
    ///
    /// # Errors
    /// When a node has it open, or it is of another chain or format, or cannot be read at all.
    pub fn open(directory: &Path, genesis: B256) -> Result<Option<Self>, OpenError> {
        if !holds_database(directory)? {
            return Ok(None);
        }
        let lock = lock(directory)?;
        let store = Store::open_read_only(directory)?;
        let head = store.identify(genesis)?;
        Ok(head.map(|head| Self { store, head, genesis, _lock: lock }))
    }

    /// The version of the stored form.
    pub const fn format(&self) -> u32 {
        schema::FORMAT
    }

    /// Number and hash of the last block.
    pub const fn head(&self) -> (u64, B256) {
        (self.head.number, self.head.hash)
    }

    /// When the last block was proposed, in milliseconds of Unix time.
    pub fn head_time_ms(&self) -> Result<u64, StorageError> {
        let head = self.store.header(self.head.number)?;
        let head = head.ok_or_else(|| StorageError::malformed_head(self.head.number))?;
        Ok(crate::chain::Head::new(head.hash, &head.header, &head.seal).time_ms)
    }

    /// The last block that is known to have been made durable; a loss of power may have taken
    /// later ones, which consensus gives again. `None`: none, or the mark cannot be read.
    pub fn durable(&self) -> Result<Option<u64>, StorageError> {
        Ok(durable::read(&self.store.directory)?.ok().flatten())
    }

    /// How far the index of accounts goes.
    pub fn address_index(&self) -> AddressIndex {
        self.store.address_index()
    }

    /// The certificate that is stored with a block.
    pub fn certificate(&self, number: u64) -> Result<Option<Bytes>, StorageError> {
        self.store.certificate(number)
    }

    /// The quick look that a node takes at its start: head, mark of what is durable, links of the last blocks.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub fn check_recent(&self) -> Result<(), OpenError> {
        self.store.check_recent(&self.head)
    }

    /// Checks everything that is stored of a block: that its hash is its header's, that it names the
    /// block before it, seal, transactions with their senders and look-ups, receipts.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check_block(&self, number: u64) -> Result<CheckedBlock, BlockDamage> {
        let check = BlockCheck { store: &self.store, number };
        let stored = check.found("header", self.store.header(number))?;
        let (hash, header, seal) = (stored.hash, stored.header, stored.seal);
        check.same("number in the header", number, header.number)?;
        check.same("hash of the header", hash, header.hash_slow())?;
        check.same("number by its hash", number, check.found("look-up by hash", self.store.number_by_hash(&hash))?)?;
        match number.checked_sub(1) {
            None => check.same("genesis hash", self.genesis, hash)?,
            Some(before) => {
                let parent = check.found("header of the block before it", self.store.hash_by_number(before))?;
                check.same("parent hash", parent, header.parent_hash)?;
                let seal_hash = Bytes::copy_from_slice(seal.hash().as_slice());
                check.same("extraData (hash of the seal)", &seal_hash, &header.extra_data)?;
                check.same("mixHash (parent's certificate)", seal.parent_certificate, header.mix_hash)?;
                check.same("timestamp", seal.time_ms / 1000, header.timestamp)?;
            }
        }
        if number == self.head.number {
            check.same("hash", self.head.hash, hash)?;
        }
        let transactions = check.body(&header)?;
        check.receipts(&header, transactions)?;
        Ok(CheckedBlock {
            hash,
            transactions,
            epoch: seal.epoch,
            view: seal.view,
            validator_set: seal.validator_set,
            certificate: check.read(self.store.certificate(number))?,
        })
    }

    /// The size of each column family.
    pub fn columns(&self) -> Result<Vec<ColumnSize>, StorageError> {
        let size = |name: &'static str| {
            let column = self.store.column(name);
            let entries = self.store.db.property_int_value_cf(column, "rocksdb.estimate-num-keys")?;
            let in_memory = |name: &str| self.store.db.property_int_value_cf(column, name);
            let unflushed = in_memory("rocksdb.num-entries-active-mem-table")?.unwrap_or(0)
                + in_memory("rocksdb.num-entries-imm-mem-tables")?.unwrap_or(0);
            let tables = self.store.db.get_column_family_metadata_cf(column);
            Ok(ColumnSize {
                name,
                entries: entries.unwrap_or(0),
                unflushed,
                table_bytes: tables.size,
                tables: tables.file_count as u64,
            })
        };
        schema::COLUMNS.into_iter().map(size).collect()
    }
}

/// Keeps others from opening the database, for as long as the file lives. A copy without the lock's file has no
/// other users.
fn lock(directory: &Path) -> Result<Option<File>, OpenError> {
    let path = directory.join(LOCK);
    let file = match File::open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|source| StorageError::File { path: path.clone(), source })?,
    };
    // Shared among readers; RocksDB's own lock is exclusive.
    let Err(error) = fcntl_lock(&file, FlockOperation::NonBlockingLockShared) else { return Ok(Some(file)) };
    let holder = fcntl_getlk(&file, &Flock::from(FlockType::ReadLock)).ok().flatten().and_then(|lock| lock.pid);
    let reason = match holder {
        Some(pid) => format!("it is process {}", pid.as_raw_nonzero()),
        None => format!("{}: {error}", path.display()),
    };
    Err(OpenError::Locked { directory: directory.to_owned(), reason })
}

/// The check of one block.
struct BlockCheck<'a> {
    store: &'a Store,
    number: u64,
}

impl BlockCheck<'_> {
    fn read<T>(&self, result: Result<T, StorageError>) -> Result<T, BlockDamage> {
        result.map_err(|source| BlockDamage::Storage { number: self.number, source })
    }

    fn found<T>(&self, part: &'static str, result: Result<Option<T>, StorageError>) -> Result<T, BlockDamage> {
        self.read(result)?.ok_or(BlockDamage::Missing { number: self.number, part })
    }

    fn same<T: PartialEq + Display>(&self, what: &'static str, expected: T, got: T) -> Result<(), BlockDamage> {
        if expected == got {
            return Ok(());
        }
        let (expected, got) = (expected.to_string(), got.to_string());
        Err(BlockDamage::Differs { number: self.number, what, expected, got })
    }

    /// Checks the transactions and returns how many there are.
    fn body(&self, header: &Header) -> Result<usize, BlockDamage> {
        let body: StoredBody = self.found("body", self.store.body(self.number))?;
        let transactions = self.read(body.transactions())?;
        let root = transactions_root(transactions.iter().map(|tx| tx.signed()));
        self.same("transactionsRoot", header.transactions_root, root)?;
        let recovered = recover_batch(transactions.iter().map(|tx| tx.signed().clone()).collect());
        for (index, (stored, recovered)) in transactions.iter().zip(recovered).enumerate() {
            let wrong = |reason: String| BlockDamage::Transaction { number: self.number, index, reason };
            let signer = recovered.map_err(|error| wrong(error.to_string()))?.sender();
            if signer != stored.sender() {
                return Err(wrong(format!("expected sender {signer}, got {}", stored.sender())));
            }
            let at = self.found("look-up of a transaction", self.store.transaction_position(stored.hash()))?;
            let expected = TransactionPosition { number: self.number, index: index as u32 };
            if at != expected {
                return Err(wrong(format!("look-up by hash: expected {expected:?}, got {at:?}")));
            }
        }
        Ok(transactions.len())
    }

    fn receipts(&self, header: &Header, transactions: usize) -> Result<(), BlockDamage> {
        let receipts = self.found("receipts", self.store.receipts(self.number))?;
        let receipts = self.read(receipts.receipts())?;
        self.same("number of receipts", transactions, receipts.len())?;
        let (root, bloom) = root_and_bloom(&receipts);
        self.same("receiptsRoot", header.receipts_root, root)?;
        self.same("logsBloom", hex::encode(header.logs_bloom), hex::encode(bloom))?;
        let gas = receipts.last().map_or(0, |receipt| receipt.cumulative_gas_used);
        self.same("gasUsed", header.gas_used, gas)
    }
}

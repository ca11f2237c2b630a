//! Opening the database with options that keep it small and honest.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, CompactionDecision, DB, DBCompressionType, DBRecoveryMode,
    LogLevel, Options,
};

use super::cache::CodeCache;
use super::history::{History, Retention, is_useless};
use super::index::Indexed;
use super::schema::{self, COLUMNS};
use super::{OpenError, StorageError, Store};

const MIB: usize = 1024 * 1024;

/// Blocks of all files in memory, with their indices and filters.
const BLOCK_CACHE_BYTES: usize = 48 * MIB;
/// What was written and is not in files yet, over all column families.
const WRITE_BUFFERS_BYTES: usize = 48 * MIB;
/// The same for one column family.
const WRITE_BUFFER_BYTES: usize = 16 * MIB;
/// RocksDB writes out the oldest buffers when its log grows beyond this, so that a start after a
/// crash reads at most so much.
const LOG_BYTES: u64 = 96 * MIB as u64;
const OPEN_FILES: i32 = 256;
const BACKGROUND_JOBS: i32 = 2;

impl Store {
    /// Opens or creates the database in `directory`.
    pub(super) fn open_database(directory: &Path, create: bool, history: History) -> Result<Self, OpenError> {
        let mut options = database_options();
        options.create_if_missing(create);
        options.create_missing_column_families(create);
        if !create {
            check_columns(&options, directory)?;
        }
        let droppable = Arc::default();
        let db = DB::open_cf_descriptors(&options, directory, column_descriptors(&droppable));
        Self::opened(directory, db, Retention::new(history, droppable))
    }

    /// Opens the database in `directory` without writing anything. Nobody else may have it open.
    pub(super) fn open_read_only(directory: &Path) -> Result<Self, OpenError> {
        let options = database_options();
        check_columns(&options, directory)?;
        let droppable = Arc::default();
        let db = DB::open_cf_descriptors_read_only(&options, directory, column_descriptors(&droppable), false);
        Self::opened(directory, db, Retention::new(History::Archive, droppable))
    }

    fn opened(directory: &Path, db: Result<DB, rocksdb::Error>, retention: Retention) -> Result<Self, OpenError> {
        let db = db.map_err(|error| OpenError::from_rocksdb(directory, error))?;
        let (directory, codes, synced) = (directory.to_owned(), CodeCache::default(), Mutex::new(None));
        let indexed = Indexed::default();
        let store = Self { db, directory, codes, synced, retention, indexed };
        store.restore_oldest()?;
        store.restore_address_index()?;
        Ok(store)
    }
}

fn column_descriptors(droppable: &Arc<AtomicU64>) -> impl Iterator<Item = ColumnFamilyDescriptor> {
    let cache = Cache::new_lru_cache(BLOCK_CACHE_BYTES);
    COLUMNS.iter().map(move |name| {
        let mut options = column_options(name, &cache);
        if is_history(name) {
            let droppable = droppable.clone();
            options.set_compaction_filter(&format!("assent.{name}"), move |_: u32, key: &[u8], _: &[u8]| {
                if is_useless(key, &droppable) { CompactionDecision::Remove } else { CompactionDecision::Keep }
            });
        }
        ColumnFamilyDescriptor::new(*name, options)
    })
}

/// Whether `directory` holds a RocksDB database, whatever is in it.
pub(super) fn database_exists(directory: &Path) -> Result<bool, StorageError> {
    let current = directory.join("CURRENT");
    current.try_exists().map_err(|source| StorageError::File { path: current, source })
}

/// Whether RocksDB writes a file of this name before the one that makes a database, CURRENT: a
/// creation that was interrupted leaves nothing else. What holds data has other names.
pub(super) fn precedes_creation(name: &str) -> bool {
    let [digits, manifest] = [name.strip_suffix(".dbtmp"), name.strip_prefix("MANIFEST-")];
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    matches!(name, "LOCK" | "LOG" | "IDENTITY")
        || name.strip_prefix("LOG.old.").is_some_and(number)
        || digits.or(manifest).is_some_and(number)
}

/// A database with other column families was not written by this version.
fn check_columns(options: &Options, directory: &Path) -> Result<(), OpenError> {
    let mut found = DB::list_cf(options, directory).map_err(|error| OpenError::from_rocksdb(directory, error))?;
    found.retain(|name| name != "default");
    found.sort_unstable();
    let mut expected: Vec<_> = COLUMNS.iter().map(ToString::to_string).collect();
    expected.sort_unstable();
    if found == expected {
        return Ok(());
    }
    let mut first: Vec<_> = COLUMNS[..schema::COLUMNS_OF_FORMAT_1].iter().map(ToString::to_string).collect();
    first.sort_unstable();
    if found == first {
        return Err(OpenError::Format { directory: directory.to_owned(), expected: schema::FORMAT, got: 1 });
    }
    Err(OpenError::Foreign {
        directory: directory.to_owned(),
        reason: format!("expected the column families {}, got {}", expected.join(", "), found.join(", ")),
    })
}

fn database_options() -> Options {
    let mut options = Options::default();
    options.set_paranoid_checks(true);
    // A log that ends in the middle of a record (loss of power) ends with the record before it;
    // that it does not end too early is the business of the mark in `durable`.
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_max_total_wal_size(LOG_BYTES);
    options.set_db_write_buffer_size(WRITE_BUFFERS_BYTES);
    options.set_max_open_files(OPEN_FILES);
    options.set_max_background_jobs(BACKGROUND_JOBS);
    // Spread the writing out in place of one long sync at the end of each file.
    options.set_bytes_per_sync(MIB as u64);
    options.set_log_level(LogLevel::Warn);
    options.set_keep_log_file_num(4);
    options.set_max_log_file_size(4 * MIB);
    options.set_stats_dump_period_sec(0);
    options
}

fn is_history(name: &str) -> bool {
    let names =
        [schema::ACCOUNT_HISTORY, schema::STORAGE_HISTORY, schema::ACCOUNT_TRIE_HISTORY, schema::STORAGE_TRIE_HISTORY];
    names.contains(&name)
}

fn is_index(name: &str) -> bool {
    matches!(name, schema::LOG_INDEX | schema::ADDRESS_INDEX | schema::CREATIONS)
}

fn column_options(name: &str, cache: &Cache) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    blocks.set_format_version(5);
    let by_number = matches!(name, schema::HEADERS | schema::BODIES | schema::RECEIPTS | schema::CERTIFICATES);
    // What is only ever searched from some key on has no use for it.
    if !by_number && !is_history(name) && !is_index(name) {
        blocks.set_bloom_filter(10.0, false);
    }
    let mut options = Options::default();
    options.set_block_based_table_factory(&blocks);
    options.set_write_buffer_size(WRITE_BUFFER_BYTES);
    options.set_max_write_buffer_number(3);
    options.set_level_compaction_dynamic_level_bytes(true);
    let compressible = by_number || name == schema::CODE || is_index(name);
    options.set_compression_type(if compressible { DBCompressionType::Lz4 } else { DBCompressionType::None });
    options
}

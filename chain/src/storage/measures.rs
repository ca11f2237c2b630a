//! The metrics of the database: what they are, and where they are measured.

use std::time::Duration;

use metrics::{gauge, histogram};
use rustix::fs::statvfs;

use super::Store;
use super::schema::{self, COLUMNS};
use crate::metric::{Label, Metric, SECONDS_SHORT};

/// All metrics of this area.
pub const METRICS: &[Metric] = &[
    COMMIT,
    SYNC,
    COLUMN_BYTES,
    COLUMN_ENTRIES,
    MEMTABLES,
    BLOCK_CACHE,
    LEVEL0,
    PENDING_COMPACTION,
    COMPACTIONS,
    FLUSHES,
    WRITE_STOPPED,
    DELAYED_WRITES,
    BACKGROUND_ERRORS,
    DISK_FREE,
    DISK,
];

const COLUMN: &[Label] = &[Label::of("column", &COLUMNS)];

const COMMIT: Metric = Metric::histogram(
    "assent_storage_commit_seconds",
    SECONDS_SHORT,
    "Time to write a final block into the database, in one batch",
);
const SYNC: Metric = Metric::histogram(
    "assent_storage_sync_seconds",
    SECONDS_SHORT,
    "Time to make all final blocks so far durable (a new segment of the consensus log begins, or the node stops)",
);
const COLUMN_BYTES: Metric =
    Metric::gauge("assent_storage_column_bytes", "Size of the files of a column family").by(COLUMN);
const COLUMN_ENTRIES: Metric =
    Metric::gauge("assent_storage_column_entries", "Entries of a column family, as RocksDB estimates them").by(COLUMN);
const MEMTABLES: Metric =
    Metric::gauge("assent_storage_memtable_bytes", "What was written and is in memory, not in files yet");
const BLOCK_CACHE: Metric =
    Metric::gauge("assent_storage_block_cache_bytes", "Blocks of files that are kept in memory");
const LEVEL0: Metric = Metric::gauge(
    "assent_storage_level0_files",
    "Files that were written out and not compacted yet, in the column family that has most of them; RocksDB slows \
     writes down at 20 and stops them at 36",
);
const PENDING_COMPACTION: Metric =
    Metric::gauge("assent_storage_pending_compaction_bytes", "What compactions have yet to rewrite, estimated");
const COMPACTIONS: Metric = Metric::gauge("assent_storage_running_compactions", "Compactions that run");
const FLUSHES: Metric = Metric::gauge("assent_storage_running_flushes", "Write buffers that are being written out");
const WRITE_STOPPED: Metric = Metric::gauge(
    "assent_storage_write_stopped",
    "1 while RocksDB takes no writes because compactions are behind, else 0",
);
const DELAYED_WRITES: Metric = Metric::gauge(
    "assent_storage_delayed_write_bytes_per_second",
    "The pace to which RocksDB holds writes because compactions are behind; 0: it does not",
);
const BACKGROUND_ERRORS: Metric =
    Metric::gauge("assent_storage_background_errors", "Flushes and compactions that failed since the start");
const DISK_FREE: Metric =
    Metric::gauge("assent_storage_disk_free_bytes", "Room that is left on the disk with the database");
const DISK: Metric = Metric::gauge("assent_storage_disk_bytes", "Size of the disk with the database");

impl Store {
    /// Sets the gauges of the database. RocksDB has the numbers at hand; nothing is read from files.
    pub(crate) fn measure(&self) {
        let (mut memtables, mut pending, mut level0) = (0_u64, 0_u64, 0_u64);
        for name in COLUMNS {
            gauge!(COLUMN_BYTES.name, "column" => name).set(self.number_of(name, "rocksdb.live-sst-files-size") as f64);
            gauge!(COLUMN_ENTRIES.name, "column" => name).set(self.number_of(name, "rocksdb.estimate-num-keys") as f64);
            memtables += self.number_of(name, "rocksdb.cur-size-all-mem-tables");
            pending += self.number_of(name, "rocksdb.estimate-pending-compaction-bytes");
            level0 = level0.max(self.number_of(name, "rocksdb.num-files-at-level0"));
        }
        gauge!(MEMTABLES.name).set(memtables as f64);
        gauge!(PENDING_COMPACTION.name).set(pending as f64);
        gauge!(LEVEL0.name).set(level0 as f64);
        // One cache for all; any column family tells.
        gauge!(BLOCK_CACHE.name).set(self.number_of(schema::META, "rocksdb.block-cache-usage") as f64);
        // These are of the whole database, whichever column family is asked.
        for (metric, property) in [
            (COMPACTIONS, "rocksdb.num-running-compactions"),
            (FLUSHES, "rocksdb.num-running-flushes"),
            (WRITE_STOPPED, "rocksdb.is-write-stopped"),
            (DELAYED_WRITES, "rocksdb.actual-delayed-write-rate"),
            (BACKGROUND_ERRORS, "rocksdb.background-errors"),
        ] {
            gauge!(metric.name).set(self.number_of(schema::META, property) as f64);
        }
        if let Ok(disk) = statvfs(&self.directory) {
            gauge!(DISK_FREE.name).set(disk.f_bavail as f64 * disk.f_frsize as f64);
            gauge!(DISK.name).set(disk.f_blocks as f64 * disk.f_frsize as f64);
        }
    }

    /// A number that RocksDB keeps of a column family; 0 if this version of it does not.
    fn number_of(&self, column: &'static str, property: &str) -> u64 {
        self.db.property_int_value_cf(self.column(column), property).ok().flatten().unwrap_or(0)
    }
}

/// A final block was written.
pub(super) fn committed(took: Duration) {
    histogram!(COMMIT.name).record(took);
}

/// Everything is durable.
pub(super) fn synced(took: Duration) {
    histogram!(SYNC.name).record(took);
}

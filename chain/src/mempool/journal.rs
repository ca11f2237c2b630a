//! The pool's journal: what brings its transactions back after a restart, or after `kill -9`.
//!
//! It is a cache, not a promise: written behind, without syncs, by a thread of its own. When the
//! thread cannot keep up, records are left out (and counted); when the disk fails, the pool goes
//! on without a journal and tries again later. A crash of the machine may lose it; the senders
//! still hold their transactions, and other nodes do.
//!
//! # Format, version 1
//!
//! The file begins with the 8 bytes `ASTPOOL` and 1. Then records, one per admitted transaction:
//! length of the transaction (4 bytes, little-endian), the first 8 bytes of its hash, its
//! EIP-2718 bytes. A reader stops at the first record that is cut or whose hash differs.
//! Nothing is ever removed; instead the file is written anew from the pool when it has become
//! much larger than that, and at every start.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use alloy_primitives::{Bytes, keccak256};

use crate::transaction::{MAX_TRANSACTION_BYTES, Recovered};

/// Magic and version.
const HEADER: [u8; 8] = *b"ASTPOOL\x01";

/// Length and hash prefix of a record.
const RECORD_HEADER: usize = 4 + 8;

/// Transactions that may wait for the thread. Beyond it they are left out: admission never waits
/// for the disk. A second's worth at a rate above what a chain can take.
const QUEUE: usize = 16_384;

/// Records that are written at once at most.
const WRITE_BATCH: usize = 1_024;

/// The file is not written anew below this size.
const ROTATE_BYTES: u64 = 512 * 1024;

/// The file is written anew when it is this many times the size of the pool's transactions.
const ROTATE_FACTOR: u64 = 4;

/// What the thread asks of the pool: the transactions to keep, and their encoded bytes.
pub(super) trait Contents: Send + 'static {
    /// Encoded bytes of all transactions; `None` when the pool is gone.
    fn encoded_bytes(&self) -> Option<u64>;
    /// All transactions, in the order of arrival; `None` when the pool is gone.
    fn transactions(&self) -> Option<Vec<Arc<Recovered>>>;
}

enum Message {
    Append(Arc<Recovered>),
    Flush(SyncSender<()>),
}

/// The writing side. Dropping it writes what waits and ends the thread.
#[derive(Debug)]
pub(super) struct Journal {
    queue: Option<SyncSender<Message>>,
    thread: Option<JoinHandle<()>>,
}

impl Journal {
    /// Starts the thread. It writes the pool's present content to the file first.
    pub(super) fn start(path: &Path, contents: impl Contents) -> io::Result<Self> {
        let mut writer = Writer { path: path.to_owned(), file: None, written: 0, failing: false };
        writer.rotate(&contents)?;
        let (queue, messages) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("pool-journal".to_owned())
            .spawn(move || run(&messages, &mut writer, &contents))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Hands over a transaction; never waits.
    pub(super) fn append(&self, tx: &Arc<Recovered>) {
        let Some(queue) = &self.queue else { return };
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            queue.try_send(Message::Append(Arc::clone(tx)))
        {
            super::metrics::journal_skipped();
        }
    }

    /// Waits until everything handed over so far is written (to the system, not to the disk).
    pub(super) fn flush(&self) {
        let Some(queue) = &self.queue else { return };
        let (done, wait) = sync_channel(1);
        if queue.send(Message::Flush(done)).is_ok() {
            // An error means that the thread has ended; there is nothing to wait for.
            let _ = wait.recv();
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(target: "assent::mempool", "the journal's thread has panicked");
        }
    }
}

fn run(messages: &Receiver<Message>, writer: &mut Writer, contents: &impl Contents) {
    let mut batch = Vec::new();
    while let Ok(first) = messages.recv() {
        batch.clear();
        let mut waiting = Vec::new();
        for message in std::iter::once(first).chain(messages.try_iter()).take(WRITE_BATCH) {
            match message {
                Message::Append(tx) => encode_record(&tx, &mut batch),
                Message::Flush(done) => waiting.push(done),
            }
        }
        if !batch.is_empty() {
            writer.write(&batch, contents);
        }
        for done in waiting {
            // Whoever asked may have given up.
            let _ = done.send(());
        }
    }
}

fn encode_record(tx: &Recovered, out: &mut Vec<u8>) {
    // A transaction has at most MAX_TRANSACTION_BYTES, so the length fits.
    let length = u32::try_from(tx.size()).unwrap_or(u32::MAX);
    out.extend(length.to_le_bytes());
    out.extend(&tx.hash()[..8]);
    out.extend(tx.raw());
}

struct Writer {
    path: PathBuf,
    /// `None` after a failure, until the file could be written anew.
    file: Option<File>,
    written: u64,
    /// Whether the last attempt failed: said once, not with every batch.
    failing: bool,
}

impl Writer {
    fn write(&mut self, batch: &[u8], contents: &impl Contents) {
        let result = match &mut self.file {
            Some(file) => file.write_all(batch),
            // The pool holds what the batch holds.
            None => self.rotate(contents),
        };
        match result {
            Ok(()) => self.failing = false,
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(
                        target: "assent::mempool", %error, path = %self.path.display(),
                        "cannot write the pool's journal; pending transactions would not survive \
                         a restart"
                    );
                }
                self.file = None;
                return;
            }
        }
        self.written += batch.len() as u64;
        let live = contents.encoded_bytes().unwrap_or(u64::MAX / ROTATE_FACTOR);
        if self.written > ROTATE_BYTES.max(live * ROTATE_FACTOR)
            && let Err(error) = self.rotate(contents)
        {
            tracing::warn!(target: "assent::mempool", %error, "cannot shorten the pool's journal");
            // The old file goes on; try again when as much has come to it.
            self.written = 0;
        }
    }

    /// Writes the pool's content to a new file and puts it in the place of the old one.
    fn rotate(&mut self, contents: &impl Contents) -> io::Result<()> {
        let Some(transactions) = contents.transactions() else {
            return Ok(());
        };
        let fresh = self.path.with_extension("new");
        let mut file = File::create(&fresh)?;
        let mut buffer = HEADER.to_vec();
        let mut written = 0;
        for tx in transactions {
            encode_record(&tx, &mut buffer);
            if buffer.len() >= MAX_TRANSACTION_BYTES {
                file.write_all(&buffer)?;
                written += buffer.len() as u64;
                buffer.clear();
            }
        }
        file.write_all(&buffer)?;
        written += buffer.len() as u64;
        fs::rename(&fresh, &self.path)?;
        self.file = Some(file);
        self.written = written;
        Ok(())
    }
}

/// Reads a journal, in batches. Ends at the first record that is cut or damaged.
pub(super) struct JournalReader {
    path: PathBuf,
    file: Option<BufReader<File>>,
}

impl JournalReader {
    /// Opens a journal. One that does not exist is empty; one that cannot be read, or is no
    /// journal of this version, is as well, and the log says so.
    pub(super) fn open(path: &Path) -> Self {
        let mut reader = Self { path: path.to_owned(), file: None };
        match File::open(path) {
            Ok(file) => {
                let mut file = BufReader::with_capacity(MAX_TRANSACTION_BYTES, file);
                let mut header = [0; HEADER.len()];
                match file.read_exact(&mut header) {
                    Ok(()) if header == HEADER => reader.file = Some(file),
                    _ => reader.warn("not a journal of this version; it is ignored and replaced"),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => reader.warn(&error.to_string()),
        }
        reader
    }

    /// The next transactions, at most `count`; none at the end.
    pub(super) fn next_batch(&mut self, count: usize) -> Vec<Bytes> {
        let mut batch = Vec::new();
        while batch.len() < count {
            let Some(file) = &mut self.file else { break };
            match read_record(file) {
                Ok(Some(raw)) => batch.push(raw),
                Ok(None) => self.file = None,
                Err(error) => {
                    // After a kill the last record may be cut; that loses one transaction.
                    self.warn(&error.to_string());
                    self.file = None;
                }
            }
        }
        batch
    }

    fn warn(&self, reason: &str) {
        tracing::warn!(
            target: "assent::mempool", path = %self.path.display(), reason,
            "the pool's journal ends early; the transactions read so far are kept"
        );
    }
}

fn read_record(file: &mut impl BufRead) -> io::Result<Option<Bytes>> {
    if file.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let mut header = [0; RECORD_HEADER];
    file.read_exact(&mut header)?;
    let [a, b, c, d, hash @ ..] = header;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    let damaged = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    if length > MAX_TRANSACTION_BYTES {
        return Err(damaged("damaged record: a length beyond the limit"));
    }
    let mut raw = vec![0; length];
    file.read_exact(&mut raw)?;
    if keccak256(&raw)[..8] != hash {
        return Err(damaged("damaged record: the hash differs"));
    }
    Ok(Some(raw.into()))
}

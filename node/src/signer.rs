//! The signer: signs ballots of strictly rising (view, step) and remembers the last ones in a file of its own,
//! so that no fault of log, program or operator makes it contradict itself (SPEC rule S).
//!
//! The file `signer.mark` has two slots of 1,024 bytes that are written in turn, so that a torn write leaves the other:
//!
//! ```text
//! "ASSENT-MARK/1\n" (14)  sequence u64  genesis hash (32)  floor view u64, step u8  mark view u64, step u8
//! votes u8, at most 4, each: epoch u64, view u64, phase u8, block (32), signature (64)   SHA-256 of all before (32)
//! ```
//! `mark` is the last ballot signed. `floor` is the mark whose log records were durable when the slot was written: a log
//! that ends below it has lost votes. The last ballots are kept with their signatures, because the log is synced at
//! the same time as this file and a crash may leave it one step behind.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use assent_consensus::{Ballot, Epoch, Hash, Phase, Signature, View};
use assent_genesis::SecretKey;
use sha2::{Digest, Sha256};

const MAGIC: &[u8; 14] = b"ASSENT-MARK/1\n";
const SLOT_BYTES: usize = 1024;
const MAX_KEPT: usize = 4;
const FILE: &str = "signer.mark";
const LOCK: &str = "signer.lock";

/// A (view, step) in the order of signing.
pub type Mark = (View, u8);

/// Why the signer does not start, or does not sign.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process signs with this home.
    #[error(
        "{0} is locked: another process signs with this home. Two validators with one key would accuse themselves; stop the other one first"
    )]
    Locked(PathBuf),
    /// Both slots are unreadable.
    #[error(
        "{0} is damaged in both slots: what this validator signed is not known. Restore the file; or remove it, and the node will abstain until that is safe"
    )]
    Damaged(PathBuf),
    /// The mark of another network.
    #[error("{path} belongs to the chain with genesis {got}, {expected} expected. Check --home and genesis.json")]
    OtherChain {
        /// The file.
        path: PathBuf,
        /// Our genesis hash.
        expected: Hash,
        /// The file's.
        got: Hash,
    },
    /// There is a mark already.
    #[error("{0} exists already: it says what this validator signed and must not be replaced")]
    Exists(PathBuf),
    /// A ballot at or below the mark.
    #[error("refused to sign {ballot:?}: the last ballot was of view {} step {}", .mark.0, .mark.1)]
    Regression {
        /// What was to be signed.
        ballot: Box<Ballot>,
        /// The mark.
        mark: Mark,
    },
}

/// What the mark file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignerMark {
    sequence: u64,
    /// The log was durable up to here.
    pub floor: Mark,
    /// The last ballot signed.
    pub mark: Mark,
    /// The last ballots with their signatures, oldest first.
    pub kept: Vec<(Ballot, Signature)>,
}

impl SignerMark {
    /// Writes the first mark of a validator that has never signed: `init` and `testnet` do this once, beside
    /// the key. A node that has its key but no mark takes itself for one that lost its disk.
    ///
    /// # Errors
    /// When there is one already, or the file cannot be written.
    pub fn create(data: &Path, genesis: Hash) -> Result<(), SignerError> {
        let path = data.join(FILE);
        let io = |source| SignerError::Io { path: path.clone(), source };
        fs::create_dir_all(data).map_err(io)?;
        let file = match OpenOptions::new().write(true).create_new(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(SignerError::Exists(path)),
            other => other.map_err(io)?,
        };
        let first = Self { sequence: 1, floor: (View(0), 0), mark: (View(0), 0), kept: Vec::new() };
        first.write(&file, &genesis).map_err(io)?;
        file.sync_all().map_err(io)?;
        File::open(data).and_then(|folder| folder.sync_all()).map_err(io)
    }

    /// Reads the mark in a data folder, for whoever only wants to look. `None`: there is none.
    ///
    /// # Errors
    /// When the file is damaged or of another chain.
    pub fn load(data: &Path, genesis: Hash) -> Result<Option<Self>, SignerError> {
        let path = data.join(FILE);
        match read_mark(&path, genesis) {
            Err(SignerError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            mark => mark.map(Some),
        }
    }

    fn slot(&self) -> u64 {
        self.sequence % 2 * SLOT_BYTES as u64
    }

    fn write(&self, file: &File, genesis: &Hash) -> io::Result<()> {
        let mut bytes = [&MAGIC[..], &self.sequence.to_be_bytes(), &genesis.0].concat();
        for (view, step) in [self.floor, self.mark] {
            bytes.extend(view.0.to_be_bytes());
            bytes.push(step);
        }
        bytes.push(u8::try_from(self.kept.len()).map_err(io::Error::other)?);
        for (ballot, signature) in &self.kept {
            bytes.extend(ballot.epoch.0.to_be_bytes());
            bytes.extend(ballot.view.0.to_be_bytes());
            bytes.push(ballot.phase as u8);
            bytes.extend(ballot.block.0);
            bytes.extend(signature.0);
        }
        let digest: [u8; 32] = Sha256::digest(&bytes).into();
        bytes.extend(digest);
        bytes.resize(SLOT_BYTES, 0);
        file.write_all_at(&bytes, self.slot())
    }

    /// Reads one slot: the mark and the genesis hash it belongs to.
    fn read(bytes: &[u8]) -> Option<(Self, Hash)> {
        let mut rest = bytes.strip_prefix(MAGIC)?;
        let mut take = |count: usize| -> Option<&[u8]> {
            let (head, tail) = rest.split_at_checked(count)?;
            rest = tail;
            Some(head)
        };
        let number = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_be_bytes);
        let sequence = number(take(8)?)?;
        let genesis = Hash(take(32)?.try_into().ok()?);
        let mut mark = || Some((View(number(take(8)?)?), *take(1)?.first()?));
        let (floor, last) = (mark()?, mark()?);
        let count = usize::from(*take(1)?.first()?);
        let mut kept = Vec::new();
        for _ in 0..count.min(MAX_KEPT) {
            let (epoch, view) = (Epoch(number(take(8)?)?), View(number(take(8)?)?));
            let phase = match take(1)?.first()? {
                0 => Phase::Propose,
                1 => Phase::Prepare,
                2 => Phase::Commit,
                _ => Phase::ViewChange,
            };
            let block = Hash(take(32)?.try_into().ok()?);
            kept.push((Ballot { epoch, view, phase, block }, Signature(take(64)?.try_into().ok()?)));
        }
        let covered = bytes.len() - rest.len();
        let valid = Sha256::digest(&bytes[..covered])[..] == rest[..32.min(rest.len())];
        valid.then_some((Self { sequence, floor, mark: last, kept }, genesis))
    }
}

/// The only holder of the validator key.
#[derive(Debug)]
pub struct Signer {
    key: SecretKey,
    genesis: Hash,
    folder: PathBuf,
    /// None until the first write of a validator that had no mark: a node that only listens and is stopped again
    /// still knows that it does not know.
    file: Option<File>,
    state: SignerMark,
    found: Option<SignerMark>,
    _lock: File,
}

impl Signer {
    /// Opens the mark in a data folder. There may be none: then [`Self::found`] is `None`, and the first
    /// [`Self::write`] begins one.
    ///
    /// # Errors
    /// When another process holds it, or the file is damaged or of another chain.
    pub fn open(data: &Path, key: SecretKey, genesis: Hash) -> Result<Self, SignerError> {
        let (path, lock_path) = (data.join(FILE), data.join(LOCK));
        let io = |source| SignerError::Io { path: path.clone(), source };
        fs::create_dir_all(data).map_err(io)?;
        let options = || OpenOptions::new().read(true).write(true).create(true).truncate(false).clone();
        let lock = options().open(&lock_path).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(SignerError::Locked(lock_path)),
            Err(TryLockError::Error(source)) => return Err(SignerError::Io { path: lock_path, source }),
        }
        let found = if path.exists() { Some(read_mark(&path, genesis)?) } else { None };
        let nothing = SignerMark { sequence: 0, floor: (View(0), 0), mark: (View(0), 0), kept: Vec::new() };
        let state = found.clone().unwrap_or(nothing);
        let file = found.is_some().then(|| options().open(&path)).transpose().map_err(io)?;
        Ok(Self { key, genesis, folder: data.to_owned(), file, state, found, _lock: lock })
    }

    /// The mark that stood in the file when it was opened; none if there was no file.
    #[must_use]
    pub const fn found(&self) -> Option<&SignerMark> {
        self.found.as_ref()
    }

    /// The mark now.
    #[must_use]
    pub const fn mark(&self) -> Mark {
        self.state.mark
    }

    /// Raises the mark, without signing: the log knows of later votes.
    pub fn raise(&mut self, mark: Mark) {
        self.state.mark = self.state.mark.max(mark);
    }

    /// Signs a ballot above the mark. It may leave the node only when [`Self::write`] and a sync of the
    /// [`Self::handle`] are done.
    ///
    /// # Errors
    /// When the ballot is not above the mark.
    pub fn sign(&mut self, ballot: &Ballot) -> Result<Signature, SignerError> {
        // The very first ballot may be of step 0: nothing was signed at (0, 0).
        if ballot.mark() <= self.state.mark {
            return Err(SignerError::Regression { ballot: Box::new(*ballot), mark: self.state.mark });
        }
        let signature = self.key.sign(&ballot.sign_bytes(&self.genesis));
        self.state.mark = ballot.mark();
        self.state.kept.push((*ballot, signature));
        let surplus = self.state.kept.len().saturating_sub(MAX_KEPT);
        self.state.kept.drain(..surplus);
        Ok(signature)
    }

    /// Tells that the log is durable up to the mark; written with the next [`Self::write`].
    pub const fn log_is_durable(&mut self) {
        self.state.floor = self.state.mark;
    }

    /// Writes the mark to its file; durable after a sync of [`Self::handle`].
    ///
    /// # Errors
    /// When the file cannot be written; the process must end then.
    pub fn write(&mut self) -> io::Result<()> {
        self.state.sequence += 1;
        let file = self.file()?;
        self.state.write(&file, &self.genesis)
    }

    fn file(&mut self) -> io::Result<File> {
        match &self.file {
            Some(file) => file.try_clone(),
            None => {
                let path = self.folder.join(FILE);
                let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
                File::open(&self.folder)?.sync_all()?;
                self.file.insert(file).try_clone()
            }
        }
    }

    /// The file to sync.
    ///
    /// # Errors
    /// When no further handle can be had.
    pub fn handle(&mut self) -> io::Result<File> {
        self.file()
    }
}

fn read_mark(path: &Path, genesis: Hash) -> Result<SignerMark, SignerError> {
    let bytes = fs::read(path).map_err(|source| SignerError::Io { path: path.to_owned(), source })?;
    let slots = bytes.chunks(SLOT_BYTES).take(2).filter_map(SignerMark::read);
    match slots.max_by_key(|(mark, _)| mark.sequence) {
        None => Err(SignerError::Damaged(path.to_owned())),
        Some((_, got)) if got != genesis => {
            Err(SignerError::OtherChain { path: path.to_owned(), expected: genesis, got })
        }
        Some((mark, _)) => Ok(mark),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const GENESIS: Hash = Hash([7; 32]);

    fn ballot(view: u64, phase: Phase) -> Ballot {
        Ballot { epoch: Epoch(0), view: View(view), phase, block: Hash([1; 32]) }
    }

    fn open(dir: &Path) -> Signer {
        Signer::open(dir, SecretKey::generate().unwrap(), GENESIS).unwrap()
    }

    fn durable(signer: &mut Signer) {
        signer.write().unwrap();
        signer.handle().unwrap().sync_data().unwrap();
    }

    #[test]
    fn rule_s_only_upwards() {
        use Phase::{Commit, Prepare, Propose, ViewChange};
        let dir = tempfile::tempdir().unwrap();
        let mut signer = open(dir.path());
        // (view, phase, signed)
        let table = [
            (1, Propose, true),
            (1, Propose, false),
            (1, Prepare, true),
            (1, Prepare, false),
            (1, Commit, true),
            (1, ViewChange, false),
            (2, ViewChange, true),
            (2, Commit, false),
            (2, Prepare, false),
            (4, Prepare, true),
            (3, Commit, false),
        ];
        for (view, phase, signed) in table {
            assert_eq!(signer.sign(&ballot(view, phase)).is_ok(), signed, "view {view} {phase:?}");
        }
    }

    #[test]
    fn rule_s_across_restarts_and_reliability_8_a_second_process_does_not_start() {
        let dir = tempfile::tempdir().unwrap();
        let mut signer = open(dir.path());
        assert!(signer.found().is_none());
        let signature = signer.sign(&ballot(5, Phase::Commit)).unwrap();
        durable(&mut signer);
        let second = Signer::open(dir.path(), SecretKey::generate().unwrap(), GENESIS).unwrap_err();
        assert!(matches!(second, SignerError::Locked(_)), "{second}");
        drop(signer);
        let mut signer = open(dir.path());
        assert_eq!(signer.found().unwrap().kept, [(ballot(5, Phase::Commit), signature)]);
        assert!(signer.sign(&ballot(5, Phase::ViewChange)).is_err());
        assert!(signer.sign(&ballot(6, Phase::Propose)).is_ok());
    }

    #[test]
    fn a_torn_slot_leaves_the_other_and_two_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut signer = open(dir.path());
        signer.sign(&ballot(5, Phase::Prepare)).unwrap();
        durable(&mut signer);
        signer.sign(&ballot(6, Phase::Prepare)).unwrap();
        durable(&mut signer);
        let newest = signer.state.slot() as usize;
        drop(signer);
        let path = dir.path().join(FILE);
        let mut bytes = fs::read(&path).unwrap();
        bytes[newest + 60] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(open(dir.path()).mark(), (View(5), 1));
        bytes[SLOT_BYTES - newest + 60] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let error = Signer::open(dir.path(), SecretKey::generate().unwrap(), GENESIS).unwrap_err();
        assert!(matches!(error, SignerError::Damaged(_)), "{error}");
    }

    #[test]
    fn a_first_mark_is_made_once_and_belongs_to_its_chain() {
        let dir = tempfile::tempdir().unwrap();
        SignerMark::create(dir.path(), GENESIS).unwrap();
        assert!(matches!(SignerMark::create(dir.path(), GENESIS), Err(SignerError::Exists(_))));
        assert_eq!(open(dir.path()).found().unwrap().mark, (View(0), 0));
        assert_eq!(SignerMark::load(dir.path(), GENESIS).unwrap().unwrap().mark, (View(0), 0));
        assert!(SignerMark::load(&dir.path().join("none"), GENESIS).unwrap().is_none());
        let error = Signer::open(dir.path(), SecretKey::generate().unwrap(), Hash([8; 32])).unwrap_err();
        assert!(matches!(error, SignerError::OtherChain { .. }), "{error}");
    }
}

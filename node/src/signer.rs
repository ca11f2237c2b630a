//! The signer: signs ballots of strictly rising (view, step) and remembers the last ones in a file of its own,
//! so that no fault of log, program or operator makes it contradict itself (SPEC rule S).
//!
//! The bytes of the file `signer.mark` are those of [`assent_consensus::mark`].

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use assent_consensus::mark::MarkError;
pub use assent_consensus::mark::SignerMark;
use assent_consensus::{Ballot, Hash, Signature, View};
use assent_genesis::SecretKey;

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

/// Writes the first mark of a validator that has never signed: `init` and `testnet` do this once, beside
/// the key. A node that has its key but no mark takes itself for one that lost its disk.
///
/// # Errors
/// When there is one already, or the file cannot be written.
pub fn create_mark(data: &Path, genesis: Hash) -> Result<(), SignerError> {
    let path = data.join(FILE);
    let io = |source| SignerError::Io { path: path.clone(), source };
    fs::create_dir_all(data).map_err(io)?;
    let file = match OpenOptions::new().write(true).create_new(true).open(&path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(SignerError::Exists(path)),
        other => other.map_err(io)?,
    };
    write_slot(&mut SignerMark::new(), &file, &genesis).map_err(io)?;
    file.sync_all().map_err(io)?;
    File::open(data).and_then(|folder| folder.sync_all()).map_err(io)
}

/// Reads the mark in a data folder, for whoever only wants to look. `None`: there is none.
///
/// # Errors
/// When the file is damaged or of another chain.
pub fn load_mark(data: &Path, genesis: Hash) -> Result<Option<SignerMark>, SignerError> {
    let path = data.join(FILE);
    match read_mark(&path, genesis) {
        Err(SignerError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        mark => mark.map(Some),
    }
}

fn write_slot(mark: &mut SignerMark, file: &File, genesis: &Hash) -> io::Result<()> {
    let (offset, bytes) = mark.next_slot(genesis);
    file.write_all_at(&bytes, offset as u64)
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
        let state = found.clone().unwrap_or_default();
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

    /// Whether the file says less than the log did: a vote of the log is about to be said again, and the file must know it.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.found.as_ref().is_some_and(|found| found.mark < self.state.mark)
    }

    /// Signs a ballot above the mark. It may leave the node only when [`Self::write`] and a sync of the
    /// [`Self::handle`] are done.
    ///
    /// # Errors
    /// When the ballot is not above the mark.
    pub fn sign(&mut self, ballot: &Ballot) -> Result<Signature, SignerError> {
        // The very first ballot may be of step 0: nothing was signed at (0, 0).
        if !self.state.allows(ballot) {
            return Err(SignerError::Regression { ballot: Box::new(*ballot), mark: self.state.mark });
        }
        let signature = self.key.sign(&ballot.sign_bytes(&self.genesis));
        self.state.signed(*ballot, signature);
        Ok(signature)
    }

    /// Signatures exist that the mark does not know: it says so from the next [`Self::write`] on, until a ballot is signed
    /// again (SPEC rule M3). Tells whether that has to be written: without a file there is no mark that could be taken for
    /// a sound one.
    #[must_use]
    pub const fn forget(&mut self) -> bool {
        self.state.lost = true;
        self.file.is_some()
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
        let file = self.file()?;
        write_slot(&mut self.state, &file, &self.genesis)
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
    SignerMark::read(&bytes, &genesis).map_err(|error| match error {
        MarkError::Damaged => SignerError::Damaged(path.to_owned()),
        MarkError::OtherChain(got) => SignerError::OtherChain { path: path.to_owned(), expected: genesis, got },
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use assent_consensus::mark::SLOT_BYTES;
    use assent_consensus::{Epoch, Phase};

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
    fn rule_d3_a_file_that_knows_less_than_the_log_has_to_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let mut signer = open(dir.path());
        signer.raise((View(4), 2));
        assert!(!signer.is_raised(), "there is no file to be written: the node does not know what it signed");
        signer.sign(&ballot(5, Phase::Prepare)).unwrap();
        durable(&mut signer);
        drop(signer);
        let mut signer = open(dir.path());
        signer.raise((View(5), 1));
        assert!(!signer.is_raised());
        signer.raise((View(5), 2));
        assert!(signer.is_raised());
    }

    #[test]
    fn rule_m3_a_mark_that_is_lost_stays_so_over_restarts_until_a_ballot_is_signed() {
        let dir = tempfile::tempdir().unwrap();
        let mut signer = open(dir.path());
        assert!(!signer.forget(), "there is no file yet, and no mark in it");
        signer.sign(&ballot(5, Phase::Prepare)).unwrap();
        durable(&mut signer);
        assert!(signer.forget());
        durable(&mut signer);
        for _ in 0..2 {
            drop(signer);
            signer = open(dir.path());
            let found = signer.found().unwrap();
            assert_eq!((found.lost, found.mark), (true, (View(5), 1)));
        }
        signer.sign(&ballot(9, Phase::Prepare)).unwrap();
        durable(&mut signer);
        drop(signer);
        assert!(!open(dir.path()).found().unwrap().lost);
    }

    #[test]
    fn a_torn_slot_leaves_the_other_and_two_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut signer = open(dir.path());
        signer.sign(&ballot(5, Phase::Prepare)).unwrap();
        durable(&mut signer);
        signer.sign(&ballot(6, Phase::Prepare)).unwrap();
        durable(&mut signer);
        let newest = signer.state.slot();
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
        create_mark(dir.path(), GENESIS).unwrap();
        assert!(matches!(create_mark(dir.path(), GENESIS), Err(SignerError::Exists(_))));
        assert_eq!(open(dir.path()).found().unwrap().mark, (View(0), 0));
        assert_eq!(load_mark(dir.path(), GENESIS).unwrap().unwrap().mark, (View(0), 0));
        assert!(load_mark(&dir.path().join("none"), GENESIS).unwrap().is_none());
        let error = Signer::open(dir.path(), SecretKey::generate().unwrap(), Hash([8; 32])).unwrap_err();
        assert!(matches!(error, SignerError::OtherChain { .. }), "{error}");
    }
}

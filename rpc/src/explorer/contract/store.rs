//! What was uploaded about contracts: ABIs, and sources of those whose code was compared.
//!
//! A file of JSON for each contract, in a folder of its own, replaced as a whole. Anybody who reaches the explorer can
//! upload, so everything has a limit, and what has been proven is never replaced by what is merely said.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::explorer::decode::abi::Abi;

/// Bytes of one contract's file.
const MAX_FILE: usize = 4 * 1024 * 1024;
/// Contracts that are kept.
const MAX_CONTRACTS: usize = 10_000;
/// Bytes of all files together.
const MAX_TOTAL: u64 = 512 * 1024 * 1024;
/// Contracts that are in memory.
const MAX_CACHED: usize = 128;

/// How much of what is said about a contract is known to be true; what comes later is worth more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Proof {
    /// Nothing: somebody uploaded an ABI.
    Said,
    /// The code that was uploaded is the deployed one but for the hash of its metadata.
    Code,
    /// It is the deployed one, byte by byte.
    Full,
}

/// The form of a file.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    proof: Proof,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    compiler: Option<String>,
    #[serde(default)]
    sources_proven: bool,
    abi: Value,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    sources: BTreeMap<String, String>,
}

/// What is kept of a contract.
#[derive(Clone, Debug)]
pub(crate) struct Contract {
    pub(crate) proof: Proof,
    /// Its name in its sources.
    pub(crate) name: Option<String>,
    /// The version of its compiler.
    pub(crate) compiler: Option<String>,
    pub(crate) abi: Abi,
    /// The ABI as it is stored.
    pub(crate) json: Value,
    pub(crate) sources: BTreeMap<String, String>,
    /// Whether the hashes of the sources stand in the deployed code.
    pub(crate) sources_proven: bool,
}

/// Something could not be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// There is no folder.
    #[error("this explorer keeps nothing that is uploaded: its node was started without a folder for that")]
    NoFolder,
    /// Something that was proven is there.
    #[error(
        "what is known of this contract has been compared with its code: expected a comparison that is as good or better"
    )]
    ProvenAlready,
    /// It is too large.
    #[error("expected at most {MAX_FILE} bytes of ABI and sources together, got {0}")]
    TooLarge(usize),
    /// There is too much.
    #[error(
        "this explorer keeps at most {MAX_CONTRACTS} contracts and {MAX_TOTAL} bytes, and has as much: ask its operator"
    )]
    Full,
    /// The system refuses.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

#[derive(Debug, Default)]
struct Inner {
    /// The contracts that have a file, with its size.
    sizes: BTreeMap<Address, u64>,
    cached: BTreeMap<Address, Arc<Contract>>,
    /// Files that cannot be read; asked for once.
    broken: BTreeSet<Address>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Store {
    folder: Option<PathBuf>,
    inner: Mutex<Inner>,
    /// Held while a file is written.
    writing: Mutex<()>,
}

impl Store {
    /// Opens the folder, which is made if it does not exist. Without one nothing is kept.
    pub(crate) fn open(folder: Option<&Path>) -> Result<Self, StoreError> {
        let Some(folder) = folder else { return Ok(Self::default()) };
        let sizes = list(folder).map_err(|source| StoreError::File { path: folder.to_owned(), source })?;
        let inner = Mutex::new(Inner { sizes, ..Inner::default() });
        Ok(Self { folder: Some(folder.to_owned()), inner, writing: Mutex::default() })
    }

    /// Whether uploads are kept.
    pub(crate) fn keeps(&self) -> bool {
        self.folder.is_some()
    }

    /// What is known of a contract.
    pub(crate) fn get(&self, address: &Address) -> Option<Arc<Contract>> {
        let folder = self.folder.as_ref()?;
        {
            let inner = self.inner();
            if !inner.sizes.contains_key(address) || inner.broken.contains(address) {
                return None;
            }
            if let Some(contract) = inner.cached.get(address) {
                return Some(contract.clone());
            }
        }
        let path = file(folder, address);
        match read(&path) {
            Ok(contract) => {
                let contract = Arc::new(contract);
                self.inner().remember(*address, contract.clone());
                Some(contract)
            }
            Err(reason) => {
                tracing::warn!(target: "assent::explorer", path = %path.display(), reason,
                    "what was uploaded about a contract cannot be read");
                self.inner().broken.insert(*address);
                None
            }
        }
    }

    /// Keeps what is known of a contract, in place of what was.
    pub(crate) fn put(&self, address: &Address, contract: Contract) -> Result<(), StoreError> {
        let folder = self.folder.as_ref().ok_or(StoreError::NoFolder)?;
        let stored = Stored {
            proof: contract.proof,
            name: contract.name.clone(),
            compiler: contract.compiler.clone(),
            sources_proven: contract.sources_proven,
            abi: contract.json.clone(),
            sources: contract.sources.clone(),
        };
        let path = file(folder, address);
        let failed = |source: io::Error| StoreError::File { path: path.clone(), source };
        let bytes = serde_json::to_vec(&stored).map_err(|error| failed(error.into()))?;
        if bytes.len() > MAX_FILE {
            return Err(StoreError::TooLarge(bytes.len()));
        }
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.get(address).is_some_and(|known| known.proof > contract.proof) {
            return Err(StoreError::ProvenAlready);
        }
        {
            let inner = self.inner();
            let others = inner.sizes.iter().filter(|(of, _)| *of != address);
            let (count, total) = others.fold((0_usize, 0_u64), |(count, total), (_, size)| (count + 1, total + size));
            if count >= MAX_CONTRACTS || total + bytes.len() as u64 > MAX_TOTAL {
                return Err(StoreError::Full);
            }
        }
        write(folder, &path, &bytes).map_err(failed)?;
        let mut inner = self.inner();
        inner.sizes.insert(*address, bytes.len() as u64);
        inner.broken.remove(address);
        inner.remember(*address, Arc::new(contract));
        Ok(())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn remember(&mut self, address: Address, contract: Arc<Contract>) {
        if self.cached.len() >= MAX_CACHED && !self.cached.contains_key(&address) {
            self.cached.pop_first();
        }
        self.cached.insert(address, contract);
    }
}

fn file(folder: &Path, address: &Address) -> PathBuf {
    folder.join(format!("{address:#x}.json"))
}

/// The contracts that have a file.
fn list(folder: &Path) -> io::Result<BTreeMap<Address, u64>> {
    fs::create_dir_all(folder)?;
    let mut sizes = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let address = name.to_str().and_then(|name| name.strip_suffix(".json")?.parse::<Address>().ok());
        if let Some(address) = address {
            sizes.insert(address, entry.metadata()?.len());
        }
    }
    Ok(sizes)
}

fn read(path: &Path) -> Result<Contract, String> {
    let size = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > MAX_FILE as u64 {
        return Err(format!("expected at most {MAX_FILE} bytes, got {size}"));
    }
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    let stored: Stored = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    let (abi, json) = Abi::of_value(&stored.abi)?;
    let Stored { proof, name, compiler, sources_proven, sources, .. } = stored;
    Ok(Contract { proof, name, compiler, abi, json, sources, sources_proven })
}

/// Writes a new file, which takes the old one's place when it is on disk.
fn write(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn contract(proof: Proof, function: &str) -> Contract {
        let abi = json!([{"type": "function", "name": function, "inputs": []}]);
        let (abi, json) = Abi::of_value(&abi).unwrap();
        let sources = [("a.sol".to_string(), "contract A {}".to_string())].into();
        Contract { proof, name: Some("A".into()), compiler: None, abi, json, sources, sources_proven: false }
    }

    fn function(store: &Store, address: &Address) -> Option<String> {
        let contract = store.get(address)?;
        contract.abi.methods.values().next().map(|method| method.item.name.clone())
    }

    #[test]
    fn what_was_put_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("contracts");
        let store = Store::open(Some(&folder)).unwrap();
        let address = Address::repeat_byte(1);
        assert!(store.get(&address).is_none());
        store.put(&address, contract(Proof::Said, "f")).unwrap();
        assert_eq!(function(&store, &address).as_deref(), Some("f"));
        let again = Store::open(Some(&folder)).unwrap();
        assert_eq!(function(&again, &address).as_deref(), Some("f"));
        let found = again.get(&address).unwrap();
        assert_eq!((found.proof, found.name.as_deref(), found.sources.len()), (Proof::Said, Some("A"), 1));
        let names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 1, "nothing is left behind: {names:?}");
    }

    #[test]
    fn what_is_proven_is_not_replaced_by_what_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Some(folder.path())).unwrap();
        let address = Address::repeat_byte(1);
        store.put(&address, contract(Proof::Said, "a")).unwrap();
        store.put(&address, contract(Proof::Said, "b")).unwrap();
        store.put(&address, contract(Proof::Code, "c")).unwrap();
        store.put(&address, contract(Proof::Full, "d")).unwrap();
        for proof in [Proof::Said, Proof::Code] {
            assert!(matches!(store.put(&address, contract(proof, "e")), Err(StoreError::ProvenAlready)));
        }
        assert_eq!(function(&store, &address).as_deref(), Some("d"));
    }

    #[test]
    fn what_is_too_large_or_has_no_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Some(folder.path())).unwrap();
        let mut large = contract(Proof::Said, "f");
        large.sources.insert("b.sol".into(), "x".repeat(MAX_FILE));
        assert!(matches!(store.put(&Address::ZERO, large), Err(StoreError::TooLarge(_))));
        assert!(store.get(&Address::ZERO).is_none());
        let none = Store::open(None).unwrap();
        assert!(!none.keeps());
        let error = none.put(&Address::ZERO, contract(Proof::Said, "f")).unwrap_err();
        assert!(error.to_string().contains("without a folder"), "{error}");
    }

    #[test]
    fn a_damaged_file_is_as_good_as_none_and_can_be_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let address = Address::repeat_byte(7);
        fs::write(file(folder.path(), &address), "{").unwrap();
        fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        let store = Store::open(Some(folder.path())).unwrap();
        assert!(store.get(&address).is_none());
        assert!(store.get(&address).is_none());
        store.put(&address, contract(Proof::Said, "f")).unwrap();
        assert_eq!(function(&store, &address).as_deref(), Some("f"));
    }

    #[test]
    fn memory_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Some(folder.path())).unwrap();
        for number in 0..=MAX_CACHED as u8 {
            store.put(&Address::repeat_byte(number), contract(Proof::Said, "f")).unwrap();
        }
        assert_eq!(store.inner().cached.len(), MAX_CACHED);
        assert_eq!(function(&store, &Address::repeat_byte(0)).as_deref(), Some("f"));
    }
}

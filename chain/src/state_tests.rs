//! The public Ethereum state tests, through this very state, trie and storage.
//!
//! Each test gives accounts, a block, a transaction and, per fork, the state root and the hash of
//! the logs that must come of it. The accounts are written to a database as a block, the
//! transaction runs upon a view of it, its changes go through the trie and into the database, and
//! then everything is taken back. Beside the root that the trie has kept incrementally, the root
//! of what then lies flat in the database is built from scratch, and nothing may be left in the
//! end.
//!
//! The vectors are not part of the project: `ASSENT_VECTORS` names their folder. `ASSENT_STATE_TESTS` names any other
//! folder with tests in this format, such as a part of Ethereum's own (`make vectors` says what ran).

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alloy_consensus::Header;
use alloy_primitives::map::{AddressMap, U256Map};
use alloy_primitives::{Address, B256, Bytes, Log, U256, keccak256};
use alloy_trie::root::{state_root_unhashed, storage_root_unhashed};
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};
use revm::bytecode::Bytecode;
use revm::context::CfgEnv;
use revm::context::result::ExecutionResult;
use revm::primitives::hardfork::SpecId;
use revm_statetest_types::{SpecName, Test, TestSuite, TestUnit};

use crate::block::RecoveredBlock;
use crate::chain::{Head, Tree};
use crate::execution::{Executor, TransactionFault};
use crate::seal::Seal;
use crate::state::{AccountDiff, BlockState, FlatAccount, SlotDiff, StateDiff, StateView};
use crate::storage::{BlockWrite, History, Opened, Store};
use crate::trie::StateTrie;

#[test]
fn public_state_tests() {
    let named = std::env::var_os("ASSENT_STATE_TESTS").map(PathBuf::from);
    let folder = named.clone().unwrap_or_else(|| vectors().join("state-tests"));
    let files = json_files(&folder);
    if files.is_empty() {
        let path = folder.display();
        assert!(named.is_none(), "{path}: expected a folder with state tests (.json), as ASSENT_STATE_TESTS says");
        eprintln!("SKIPPED: no public state tests in {}; set ASSENT_VECTORS to their folder", folder.display());
        return;
    }
    let Runner { forks, exceptions, failures, unknown_forks, .. } = &run_all(&files);
    let total: usize = forks.values().sum();
    eprintln!("state tests: {} files, {total} cases, {exceptions} of them exceptions, by fork {forks:?}", files.len());
    if *unknown_forks > 0 {
        eprintln!("state tests: {unknown_forks} cases of forks that are not known were left out");
    }
    assert!(
        failures.is_empty(),
        "{} of {total} failed, the first: {:#?}",
        failures.len(),
        &failures[..failures.len().min(20)]
    );
    assert!(total > 0);
}

/// Runs the files on all cores, each core with a database of its own.
fn run_all(files: &[PathBuf]) -> Runner {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let part = |core| {
            let mut runner = Runner::new();
            files.iter().skip(core).step_by(cores).for_each(|file| runner.run_file(file));
            runner
        };
        let threads: Vec<_> = (0..cores).map(|core| scope.spawn(move || part(core))).collect();
        let mut runners = threads.into_iter().map(|thread| thread.join().unwrap());
        let first = runners.next().unwrap();
        runners.fold(first, Runner::join)
    })
}

fn vectors() -> PathBuf {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors");
    std::env::var_os("ASSENT_VECTORS").map_or_else(|| default.into(), PathBuf::from)
}

fn json_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            files.extend(json_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The rules of a fork; `None` for those that the format has no rules for.
fn spec_of(name: &SpecName) -> Option<SpecId> {
    match name {
        SpecName::Unknown => None,
        // Replaced by Petersburg before it was ever used.
        SpecName::Constantinople | SpecName::ByzantiumToConstantinopleAt5 => None,
        name => Some(name.to_spec_id()),
    }
}

struct Runner {
    store: Arc<Store>,
    _directory: tempfile::TempDir,
    forks: BTreeMap<String, usize>,
    exceptions: usize,
    unknown_forks: usize,
    failures: Vec<String>,
}

impl Runner {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let Opened::New(store) = Store::open(directory.path(), B256::ZERO, History::Archive).unwrap() else {
            panic!("an empty directory makes a new database");
        };
        Self {
            store: Arc::new(store),
            _directory: directory,
            forks: BTreeMap::new(),
            exceptions: 0,
            unknown_forks: 0,
            failures: Vec::new(),
        }
    }

    fn join(mut self, other: Self) -> Self {
        for (fork, count) in other.forks {
            *self.forks.entry(fork).or_default() += count;
        }
        self.exceptions += other.exceptions;
        self.unknown_forks += other.unknown_forks;
        self.failures.extend(other.failures);
        self
    }

    fn run_file(&mut self, file: &Path) {
        let text = std::fs::read(file).unwrap();
        let suite: TestSuite = match serde_json::from_slice(&text) {
            Ok(suite) => suite,
            Err(error) => return self.count_undecodable(file, &text, &error),
        };
        for (name, unit) in &suite.0 {
            for (fork, tests) in &unit.post {
                let Some(spec) = spec_of(fork) else {
                    self.unknown_forks += tests.len();
                    continue;
                };
                for test in tests {
                    *self.forks.entry(format!("{fork:?}")).or_default() += 1;
                    self.exceptions += usize::from(test.expect_exception.is_some());
                    if let Err(failure) = self.run(unit, test, spec) {
                        let indexes = &test.indexes;
                        self.failures.push(format!("{}: {name} {fork:?} {indexes:?}: {failure}", file.display()));
                    }
                }
            }
        }
        assert_eq!(self.store.count_state_entries().unwrap(), 0, "{}: entries are left behind", file.display());
    }

    /// A test whose transaction has values that do not fit into their types fails where it is
    /// decoded. That must be what it expects.
    fn count_undecodable(&mut self, file: &Path, text: &[u8], error: &serde_json::Error) {
        let suite: BTreeMap<String, serde_json::Value> = serde_json::from_slice(text).unwrap_or_default();
        let mut found = 0;
        for (fork, tests) in suite.values().filter_map(|unit| unit["post"].as_object()).flatten() {
            for test in tests.as_array().into_iter().flatten() {
                found += 1;
                *self.forks.entry(fork.clone()).or_default() += 1;
                self.exceptions += 1;
                if !test["expectException"].is_string() {
                    self.failures.push(format!("{}: {fork}: {error}", file.display()));
                }
            }
        }
        if found == 0 {
            self.failures.push(format!("{}: expected state tests: {error}", file.display()));
        }
    }

    fn run(&self, unit: &TestUnit, test: &Test, spec: SpecId) -> Result<(), String> {
        let prestate = prestate(unit);
        let before = self.commit(1, &StateTrie::default(), &prestate);
        let (result, mut diff) = self.execute(unit, test, spec, &before);
        let verdict = match (&test.expect_exception, &result) {
            (None, Ok(result)) => same("logs hash", test.logs, logs_hash(result.logs())),
            (None, Err(error)) => Err(format!("the transaction was refused: {error}")),
            (Some(_), Err(_)) => Ok(()),
            (Some(expected), Ok(_)) => Err(format!("expected {expected}, got no error")),
        };
        if result.is_err() {
            diff = StateDiff::default();
        }
        // Nodes are fetched from the database, as in a node that was started just now.
        let after = self.commit(2, &StateTrie::stored(before.root_hash()), &diff);
        let flat = self.flat(&prestate, &diff);
        let verdict = verdict.and(same("state root", test.hash, after.root_hash())).and(same(
            "root of the flat state",
            after.root_hash(),
            root_of(&flat),
        ));
        self.clear(after, &flat);
        verdict
    }

    fn execute(
        &self,
        unit: &TestUnit,
        test: &Test,
        spec: SpecId,
        before: &StateTrie,
    ) -> (Result<ExecutionResult, String>, StateDiff) {
        let head = Head { number: 1, hash: B256::ZERO, time_ms: 0, timestamp: 0, state_root: before.root_hash() };
        let tree = Arc::new(Tree::new(head, before.clone()));
        let view = StateView::new(Vec::new(), 1, self.store.clone(), tree);
        let chain_id = unit.env.current_chain_id.map_or(1, |id| id.to());
        let mut cfg = CfgEnv::new_with_spec(spec).with_chain_id(chain_id);
        let block = unit.block_env(&mut cfg);
        let mut executor = Executor::with_environment(BlockState::new(view), cfg, block, 0);
        let result = match test.tx_env(unit) {
            Ok(tx) => executor.transact(tx).map_err(|fault| match fault {
                TransactionFault::Invalid(invalid) => invalid.to_string(),
                fault => panic!("not the transaction's fault: {fault}"),
            }),
            Err(error) => Err(error.to_string()),
        };
        (result, executor.finish().diff)
    }

    /// Writes changes as a block.
    fn commit(&self, number: u64, trie: &StateTrie, diff: &StateDiff) -> StateTrie {
        let mut diff = diff.clone();
        let update = trie.update(&*self.store, number, &diff.trie_changes()).unwrap();
        diff.retain_wiped(&update.wiped);
        let header = Header { number, state_root: update.trie.root_hash(), ..Header::default() };
        let block = RecoveredBlock::from_parts(header.hash_slow(), header, Vec::new(), Seal::default());
        let (receipts, records, touched) = (&[], &update.records, &[]);
        let write = BlockWrite { block: &block, receipts, diff: &diff, records, touched, certificate: None };
        self.store.commit(&write).unwrap();
        update.trie
    }

    /// Removes everything through the trie: first the slots one by one, then the accounts.
    fn clear(&self, trie: StateTrie, flat: &Flat) {
        let diff = |account: &FlatAccount, new: Option<FlatAccount>, slots: U256Map<SlotDiff>| AccountDiff {
            old: Some(*account),
            new,
            wiped: false,
            slots,
        };
        let slots = |slots: &BTreeMap<U256, U256>| {
            slots.iter().map(|(slot, old)| (*slot, SlotDiff { old: *old, new: U256::ZERO })).collect()
        };
        let emptied: AddressMap<_> = flat
            .iter()
            .filter(|(_, (_, storage))| !storage.is_empty())
            .map(|(address, (account, storage))| (*address, diff(account, Some(*account), slots(storage))))
            .collect();
        let trie = self.commit(3, &trie, &StateDiff { accounts: emptied, ..StateDiff::default() });
        let removed: AddressMap<_> =
            flat.iter().map(|(address, (account, _))| (*address, diff(account, None, U256Map::default()))).collect();
        let trie = self.commit(4, &trie, &StateDiff { accounts: removed, ..StateDiff::default() });
        assert_eq!(trie.root_hash(), EMPTY_ROOT_HASH);
    }

    /// What the database holds of the accounts and slots that were there before or that changed.
    fn flat(&self, before: &StateDiff, diff: &StateDiff) -> Flat {
        let mut flat = Flat::new();
        for (address, change) in before.accounts.iter().chain(&diff.accounts) {
            let Some(account) = self.store.account(address).unwrap() else { continue };
            let (_, slots) = flat.entry(*address).or_insert((account, BTreeMap::new()));
            for slot in change.slots.keys() {
                let value = self.store.slot(address, slot).unwrap();
                slots.extend((!value.is_zero()).then_some((*slot, value)));
            }
        }
        flat
    }
}

type Flat = BTreeMap<Address, (FlatAccount, BTreeMap<U256, U256>)>;

fn root_of(flat: &Flat) -> B256 {
    state_root_unhashed(flat.iter().map(|(address, (account, slots))| {
        let storage = storage_root_unhashed(slots.iter().map(|(slot, value)| (B256::from(*slot), *value)));
        (*address, TrieAccount::new(account.nonce, account.balance, storage, account.code_hash))
    }))
}

fn prestate(unit: &TestUnit) -> StateDiff {
    let mut diff = StateDiff::default();
    for (address, info) in &unit.pre {
        let mut new = FlatAccount { nonce: info.nonce, balance: info.balance, ..Default::default() };
        if !info.code.is_empty() {
            new.code_hash = keccak256(&info.code);
            diff.code.insert(new.code_hash, bytecode(&info.code));
        }
        let slots = info.storage.iter().filter(|(_, value)| !value.is_zero());
        let slots = slots.map(|(slot, value)| (*slot, SlotDiff { old: U256::ZERO, new: *value })).collect();
        diff.accounts.insert(*address, AccountDiff { old: None, new: Some(new), wiped: false, slots });
    }
    diff
}

fn bytecode(code: &Bytes) -> Bytecode {
    Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code.clone()))
}

fn logs_hash(logs: &[Log]) -> B256 {
    keccak256(alloy_rlp::encode(logs.to_vec()))
}

fn same(what: &str, expected: B256, got: B256) -> Result<(), String> {
    if expected == got { Ok(()) } else { Err(format!("{what}: expected {expected}, got {got}")) }
}

//! The chain: its blocks, its state and its mempool behind one handle.
//!
//! [`Chain`] is what consensus, block sync and RPC speak to. A block's life here: it is built
//! (`chain/build.rs`) or validated (`chain/validate.rs`), waits in the tree (`chain/tree.rs`), and
//! becomes final (`chain/finalize.rs`). Reading is in `chain/read.rs`; what passes between chain and
//! mempool in `chain/pool.rs`.
//!
//! All calls block the calling thread, for disk and for long computations; callers on an
//! asynchronous executor use its threads for blocking work. Which block is proposed, voted for or
//! final is not decided here.

mod build;
mod executed;
mod finalize;
mod index;
mod measures;
mod pool;
mod read;
mod simulate;
mod spec;
mod tree;
mod validate;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alloy_consensus::Header;
use alloy_primitives::B256;
use assent_genesis::Genesis;
use parking_lot::Mutex;
use revm::primitives::hardfork::SpecId;
use tokio::sync::broadcast;

use crate::block::RecoveredBlock;
use crate::mempool::{Mempool, MempoolLimits};
use crate::seal::Seal;
use crate::state::{StateDiff, StateView};
use crate::storage::{AddressIndex, BlockWrite, History, OpenError, Opened, StorageError, Store};
use crate::trie::{Pruning, Record, StateTrie, TrieError, TrieUpdate};

pub use build::{BuildError, BuildRequest};
pub use executed::{ExecutedBlock, Timings};
pub use finalize::{FinalizeError, ImportError};
pub use index::IndexError;
pub use measures::METRICS;
pub use read::{FinalHeader, FinalReceipt, FinalTransaction};
pub use simulate::{MAX_SIMULATED_BLOCKS, SimulatedBlock};
pub use spec::ChainSpec;
use tree::Parent;
pub(crate) use tree::{NotInMemory, Tree};
pub use validate::{BlockError, Mismatch};

/// Final blocks that a slow subscriber may be behind before it misses some.
const FINAL_BLOCKS_QUEUE: usize = 256;

/// What a node may set for itself.
#[derive(Clone, Debug, Default)]
pub struct ChainOptions {
    /// How much the mempool may hold.
    pub mempool: MempoolLimits,
    /// The file from which the mempool's content comes back after a restart; `None`: it does not.
    pub mempool_journal: Option<PathBuf>,
    /// Of how many blocks the state can be read.
    pub history: History,
    /// Whether the index of accounts stays as it is, without the transactions of new blocks.
    pub without_address_index: bool,
}

/// The last final block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// When it was proposed, in milliseconds of Unix time.
    pub time_ms: u64,
    /// Its timestamp, in seconds.
    pub timestamp: u64,
    /// The root of the state after it.
    pub state_root: B256,
}

impl Head {
    fn of(block: &RecoveredBlock) -> Self {
        Self::new(block.hash(), block.header(), block.seal())
    }

    /// The genesis block's time is its timestamp; it has no seal.
    pub(crate) fn new(hash: B256, header: &Header, seal: &Seal) -> Self {
        let Header { number, timestamp, state_root, .. } = *header;
        let time_ms = if number == 0 { timestamp.saturating_mul(1000) } else { seal.time_ms };
        Self { number, hash, time_ms, timestamp, state_root }
    }
}

/// A handle to the chain. Clones are the same chain.
#[derive(Clone)]
pub struct Chain {
    inner: Arc<Inner>,
}

struct Inner {
    spec: ChainSpec,
    store: Arc<Store>,
    tree: Arc<Tree>,
    pool: Mempool,
    pruning: Pruning,
    /// Held while blocks become final; the rules that the pool has.
    finalizing: Mutex<SpecId>,
    finals: broadcast::Sender<Arc<ExecutedBlock>>,
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chain").field("head", &self.head()).finish_non_exhaustive()
    }
}

impl Chain {
    /// Opens the chain of `genesis` in `directory`. A directory that does not exist or is empty
    /// becomes a new database with the genesis block. One that holds a database is checked: it
    /// must be of this chain and this format, and sound as far as a quick look tells. Nothing is
    /// ever repaired.
    pub fn open(directory: &Path, genesis: &Genesis, options: &ChainOptions) -> Result<Self, OpenError> {
        let spec = ChainSpec::new(genesis)?;
        let (store, head, trie) = open_store(directory, &spec, genesis, options.history)?;
        settle_address_index(&store, head.number, options)?;
        let store = Arc::new(store);
        let tree = Arc::new(Tree::new(head, trie));
        let accounts = pool::HeadAccounts { store: store.clone(), tree: tree.clone() };
        let rules = spec.forks.at(head.timestamp);
        let journal = options.mempool_journal.as_deref();
        let pool =
            Mempool::open(options.mempool, pool::pool_rules(&spec, rules), Arc::new(accounts), journal).map_err(
                |source| StorageError::File { path: options.mempool_journal.clone().unwrap_or_default(), source },
            )?;
        tracing::info!(target: "assent::chain", number = head.number, hash = %head.hash, "opened the chain");
        let (finals, _) = broadcast::channel(FINAL_BLOCKS_QUEUE);
        let finalizing = Mutex::new(rules);
        let inner = Inner { spec, store, tree, pool, pruning: Pruning::default(), finalizing, finals };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The last final block.
    pub fn head(&self) -> Head {
        self.inner.tree.head()
    }

    /// What the genesis fixes.
    pub fn spec(&self) -> &ChainSpec {
        &self.inner.spec
    }

    /// The mempool.
    pub fn pool(&self) -> &Mempool {
        &self.inner.pool
    }

    /// Whether the block is in memory and not final.
    pub fn has(&self, hash: B256) -> bool {
        self.inner.tree.unfinal(&hash).is_some()
    }

    /// A block that is not final.
    pub fn get_unfinal(&self, hash: B256) -> Option<Arc<ExecutedBlock>> {
        self.inner.tree.unfinal(&hash).map(|unfinal| unfinal.block)
    }

    /// The state after a block that is not final, or after the head.
    pub fn state_of(&self, hash: B256) -> Option<StateView> {
        self.inner.tree.view(&self.inner.store, &hash)
    }

    /// Final blocks as they become so. A subscriber that falls behind by too many misses some and
    /// is told so.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<ExecutedBlock>> {
        self.inner.finals.subscribe()
    }

    /// Makes all final blocks so far durable. Until then a loss of power may take the last ones,
    /// and consensus must be able to give them again.
    pub fn sync(&self) -> Result<(), StorageError> {
        // The head first: what becomes final meanwhile may or may not be part of it.
        let head = self.head().number;
        self.inner.store.sync(head)
    }

    /// Sets the gauges of the database. Cheap; for now and then, not for each block.
    pub fn measure_storage(&self) {
        self.inner.store.measure();
    }

    fn view_upon(&self, parent: &Parent) -> StateView {
        let inner = &self.inner;
        StateView::new(parent.overlays.clone(), parent.final_number, inner.store.clone(), inner.tree.clone())
    }

    /// The trie after a block with these changes, and what storage needs for it. Takes the mark
    /// from accounts that had no storage to wipe.
    fn update_trie(&self, parent: &Parent, diff: &mut StateDiff) -> Result<(StateTrie, Vec<Record>), TrieError> {
        let Inner { pruning, store, .. } = &*self.inner;
        let base = pruning.apply(&parent.trie, parent.final_number);
        let update = base.update(&**store, parent.number + 1, &diff.trie_changes())?;
        let TrieUpdate { trie, records, wiped } = update;
        diff.retain_wiped(&wiped);
        pruning.made(records.len());
        Ok((trie, records))
    }
}

fn open_store(
    directory: &Path,
    spec: &ChainSpec,
    genesis: &Genesis,
    history: History,
) -> Result<(Store, Head, StateTrie), OpenError> {
    match Store::open(directory, spec.genesis_hash, history)? {
        Opened::New(store) => {
            let trie = write_genesis(&store, spec, genesis)?;
            Ok((store, Head::new(spec.genesis_hash, &spec.genesis_header, &Seal::default()), trie))
        }
        Opened::Existing(store, head) => {
            let stored = store.header(head.number)?.ok_or_else(|| StorageError::malformed_head(head.number))?;
            let trie = StateTrie::stored(head.state_root);
            Ok((store, Head::new(stored.hash, &stored.header, &stored.seal), trie))
        }
    }
}

/// Has the index of accounts go on with the next block, or not. One that ends before the head cannot go on.
fn settle_address_index(store: &Store, head: u64, options: &ChainOptions) -> Result<(), StorageError> {
    if options.without_address_index {
        store.leave_out_addresses(head)?;
    } else if let AddressIndex::UpTo(end) = store.address_index() {
        tracing::warn!(target: "assent::chain", end, head,
            "the index of accounts was left out and is not whole: stop the node and run assent db index to build it");
    }
    Ok(())
}

/// Writes block 0 with the state that the genesis allocates.
fn write_genesis(store: &Store, spec: &ChainSpec, genesis: &Genesis) -> Result<StateTrie, OpenError> {
    let diff = spec::genesis_diff(&genesis.ethereum.alloc);
    let TrieUpdate { trie, records, .. } = StateTrie::default().update(store, 0, &diff.trie_changes())?;
    let (expected, got) = (spec.genesis_header.state_root, trie.root_hash());
    if expected != got {
        return Err(OpenError::GenesisStateRoot { expected, got });
    }
    let header = spec.genesis_header.clone();
    let block = RecoveredBlock::from_parts(spec.genesis_hash, header, Vec::new(), Seal::default());
    let (receipts, touched) = (&[], &[]);
    let write = BlockWrite { block: &block, receipts, diff: &diff, records: &records, touched, certificate: None };
    store.commit_genesis(&write)?;
    // Without the nodes in memory: there may be many accounts, most of which nobody will touch.
    Ok(StateTrie::stored(got))
}

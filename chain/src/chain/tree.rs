//! The blocks in memory: those that are not final, and the last final ones.
//!
//! Blocks that are not final form a tree upon the final head. Each holds its state as the
//! difference to its parent's, and its own complete trie (which shares what it did not change).
//! The last final blocks stay for a while, so that recent blocks, receipts and states are read
//! without the storage, and so that a view of an older state stays whole ([`Tree::before`]).
//!
//! The tree is bounded ([`MAX_UNFINAL`], [`Tree::KEPT`]); it reads and writes no storage.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alloy_primitives::B256;
use alloy_primitives::map::B256Map;
use parking_lot::RwLock;

use super::{ExecutedBlock, Head};
use crate::state::{Overlays, StateView};
use crate::storage::Store;
use crate::trie::{Record, StateTrie};

/// Most blocks that are not final. Consensus has a few at a time; with a minority of the weight
/// silent and every second view failing it may have tens.
pub(crate) const MAX_UNFINAL: usize = 512;

/// Final blocks that are kept however large they are: a client asks for the state of a block that
/// it was just told about, and a view that is in use stays whole meanwhile.
const ALWAYS_KEPT: usize = 8;

/// Most memory that the final blocks take that are kept beyond those.
const RECENT_BYTES: usize = 24 * 1024 * 1024;

/// A block that is not final, with what storage needs when it becomes so.
#[derive(Clone)]
pub(crate) struct Unfinal {
    pub(crate) block: Arc<ExecutedBlock>,
    pub(crate) trie: StateTrie,
    pub(crate) records: Arc<Vec<Record>>,
}

/// What a new block builds upon.
pub(crate) struct Parent {
    pub(crate) number: u64,
    pub(crate) hash: B256,
    pub(crate) timestamp: u64,
    pub(crate) time_ms: u64,
    pub(crate) trie: StateTrie,
    pub(crate) overlays: Overlays,
    /// The number of the final head at this moment.
    pub(crate) final_number: u64,
}

/// A block finds no place in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InsertError {
    #[error("the parent is no longer part of the tree")]
    Detached,
    #[error("{MAX_UNFINAL} blocks are waiting to become final")]
    Full,
}

/// Not all of the blocks that were asked for are in memory any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotInMemory;

/// See the module.
pub(crate) struct Tree {
    state: RwLock<TreeState>,
    /// The number of the last block that began to become final; ahead of the head while its batch
    /// is being written.
    begun: AtomicU64,
}

struct TreeState {
    head: Head,
    trie: StateTrie,
    unfinal: B256Map<Unfinal>,
    /// Final blocks, oldest first, without gaps; the last one may be still being written.
    recent: VecDeque<Arc<ExecutedBlock>>,
    recent_bytes: usize,
}

impl Tree {
    /// Most final blocks that are kept in memory (fewer when they are large).
    pub(crate) const KEPT: usize = 128;

    pub(crate) fn new(head: Head, trie: StateTrie) -> Self {
        let recent = VecDeque::with_capacity(Self::KEPT);
        let state = TreeState { head, trie, unfinal: B256Map::default(), recent, recent_bytes: 0 };
        Self { state: RwLock::new(state), begun: AtomicU64::new(head.number) }
    }

    pub(crate) fn head(&self) -> Head {
        self.state.read().head
    }

    pub(crate) fn unfinal(&self, hash: &B256) -> Option<Unfinal> {
        self.state.read().unfinal.get(hash).cloned()
    }

    pub(crate) fn unfinal_count(&self) -> usize {
        self.state.read().unfinal.len()
    }

    /// What a block with this parent builds upon; `None`: the parent is not here.
    pub(crate) fn parent(&self, hash: &B256) -> Option<Parent> {
        let state = self.state.read();
        let overlays = state.overlays(hash)?;
        let final_number = state.head.number;
        Some(match state.unfinal.get(hash) {
            Some(Unfinal { block, trie, .. }) => Parent {
                number: block.number(),
                hash: *hash,
                timestamp: block.block().header().timestamp,
                time_ms: block.time_ms(),
                trie: trie.clone(),
                overlays,
                final_number,
            },
            None => Parent {
                number: state.head.number,
                hash: *hash,
                timestamp: state.head.timestamp,
                time_ms: state.head.time_ms,
                trie: state.trie.clone(),
                overlays,
                final_number,
            },
        })
    }

    /// Puts a block in. A second time changes nothing.
    pub(crate) fn insert(&self, unfinal: Unfinal) -> Result<(), InsertError> {
        let mut state = self.state.write();
        let hash = unfinal.block.hash();
        if state.unfinal.contains_key(&hash) {
            return Ok(());
        }
        let parents = state.overlays(&unfinal.block.parent_hash()).ok_or(InsertError::Detached)?;
        if state.unfinal.len() >= MAX_UNFINAL {
            state.drop_leaf(&parents).ok_or(InsertError::Full)?;
        }
        state.unfinal.insert(hash, unfinal);
        Ok(())
    }

    /// The blocks from the head's child to `hash`, oldest first; `None`: it is not here.
    pub(crate) fn path_to(&self, hash: &B256) -> Option<Vec<Unfinal>> {
        let state = self.state.read();
        let blocks = state.overlays(hash)?;
        blocks.iter().rev().map(|block| state.unfinal.get(&block.hash()).cloned()).collect()
    }

    /// Before a block's batch is written: from now on, views of older states look behind it.
    pub(crate) fn begin_final(&self, block: &Arc<ExecutedBlock>) {
        let size = block.size();
        let mut state = self.state.write();
        state.recent_bytes += size;
        state.recent.push_back(block.clone());
        // While the lock is held: who sees the number finds the block.
        self.begun.store(block.number(), Ordering::Release);
    }

    /// The batch could not be written.
    pub(crate) fn abandon_final(&self) {
        let mut state = self.state.write();
        if let Some(block) = state.recent.pop_back() {
            state.recent_bytes -= block.size();
        }
        self.begun.store(state.head.number, Ordering::Release);
    }

    /// After a block's batch is written: it is the head, and blocks that do not descend from it
    /// are gone.
    pub(crate) fn complete_final(&self, block: &Unfinal) {
        let mut state = self.state.write();
        state.head = Head::of(block.block.block());
        let trie = std::mem::replace(&mut state.trie, block.trie.clone());
        let mut gone: Vec<_> = state.unfinal.remove(&block.block.hash()).into_iter().collect();
        let detached: Vec<_> = state.unfinal.keys().filter(|hash| state.overlays(hash).is_none()).copied().collect();
        gone.extend(detached.iter().filter_map(|hash| state.unfinal.remove(hash)));
        let mut old = Vec::new();
        while state.recent.len() > Self::KEPT || (state.recent.len() > ALWAYS_KEPT && state.recent_bytes > RECENT_BYTES)
        {
            let Some(oldest) = state.recent.pop_front() else { break };
            state.recent_bytes -= oldest.size();
            old.push(oldest);
        }
        // Freeing them takes longer than all of the above; nobody should wait for it.
        drop(state);
        drop((trie, gone, old));
    }

    /// A final block that is in memory.
    pub(crate) fn recent(&self, number: u64) -> Option<Arc<ExecutedBlock>> {
        let state = self.state.read();
        if number > state.head.number {
            return None;
        }
        let first = state.recent.front()?.number();
        let index = usize::try_from(number.checked_sub(first)?).ok()?;
        state.recent.get(index).cloned()
    }

    /// The state after the block `hash`, which is the head or not final.
    pub(crate) fn view(self: &Arc<Self>, store: &Arc<Store>, hash: &B256) -> Option<StateView> {
        let state = self.state.read();
        let overlays = state.overlays(hash)?;
        Some(StateView::new(overlays, state.head.number, store.clone(), self.clone()))
    }

    /// The state after the head.
    pub(crate) fn view_of_head(self: &Arc<Self>, store: &Arc<Store>) -> StateView {
        let number = self.state.read().head.number;
        StateView::new(Vec::new(), number, store.clone(), self.clone())
    }

    /// The state after the final block `number`, which is the head or below it.
    pub(crate) fn view_of_final(self: &Arc<Self>, store: &Arc<Store>, number: u64) -> StateView {
        StateView::new(Vec::new(), number, store.clone(), self.clone())
    }

    /// Calls `look` with the final blocks above `base`, oldest first, until it returns something.
    /// To be called after reading the storage: what that has shown is then looked behind.
    ///
    /// Fails if not all of these blocks are in memory; what they changed is then in the storage's history.
    pub(crate) fn before<T>(
        &self,
        base: u64,
        mut look: impl FnMut(&ExecutedBlock) -> Option<T>,
    ) -> Result<Option<T>, NotInMemory> {
        if self.begun.load(Ordering::Acquire) <= base {
            return Ok(None);
        }
        let state = self.state.read();
        if !state.reaches_back_to(base) {
            return Err(NotInMemory);
        }
        let mut above = state.recent.iter().filter(|block| block.number() > base);
        Ok(above.find_map(|block| look(block)))
    }
}

impl TreeState {
    /// The blocks from `hash` down to the head's child, newest first; none for the head itself.
    /// `None`: it does not descend from the head.
    fn overlays(&self, hash: &B256) -> Option<Overlays> {
        let mut overlays = Vec::new();
        let mut next = *hash;
        while next != self.head.hash {
            let block = &self.unfinal.get(&next)?.block;
            overlays.push(block.clone());
            next = block.parent_hash();
        }
        Some(overlays)
    }

    /// Whether all final blocks above `number` are in memory.
    fn reaches_back_to(&self, number: u64) -> bool {
        self.recent.front().is_some_and(|block| block.number() <= number.saturating_add(1))
    }

    /// Drops the lowest block without children that is not among `keep`, of several the one of the
    /// earliest view: it lost against a sibling long ago.
    fn drop_leaf(&mut self, keep: &Overlays) -> Option<()> {
        let parents: alloy_primitives::map::B256Set =
            self.unfinal.values().map(|unfinal| unfinal.block.parent_hash()).collect();
        let free = |hash: &B256| !parents.contains(hash) && keep.iter().all(|block| block.hash() != *hash);
        let age = |block: &ExecutedBlock| (block.number(), block.block().seal().view, block.hash());
        let leaves = self.unfinal.values().map(|unfinal| age(&unfinal.block));
        let (_, _, hash) = leaves.filter(|(_, _, hash)| free(hash)).min()?;
        self.unfinal.remove(&hash);
        Some(())
    }
}

//! The index of accounts, where it was left out: how far it goes, and building the rest from the blocks.
//!
//! Which accounts a transaction touched is not stored but seen when it runs. So each block runs again upon the state
//! before it, and the node must still have that state.

use super::Chain;
use crate::state::StateError;
use crate::storage::{AddressIndex, StorageError};
use crate::trace::TraceError;

/// The index of accounts could not be built.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The states that it takes are gone.
    #[error(
        "the index of accounts ends at block {end}, and building the rest takes the state after each block from there on; \
         this node has states from block {oldest} on ([history] retention). A node that is to have the index syncs again \
         with [index] addresses = true"
    )]
    Pruned {
        /// The last block that the index has.
        end: u64,
        /// The oldest state.
        oldest: u64,
    },
    /// A block could not be run again.
    #[error("block {number}: {source}")]
    Block {
        /// Which.
        number: u64,
        /// Why.
        source: TraceError,
    },
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Chain {
    /// How far the index of accounts goes.
    pub fn address_index(&self) -> AddressIndex {
        self.inner.store.address_index()
    }

    /// Builds what the index of accounts lacks, block by block, and says how many blocks that were. `go_on` is told
    /// the number of each block that is done and the head's; when it says no, the rest is left to the next time.
    ///
    /// # Errors
    /// When a block cannot be run again, or the storage fails. What was built stays.
    pub fn build_address_index(&self, mut go_on: impl FnMut(u64, u64) -> bool) -> Result<u64, IndexError> {
        let mut built = 0;
        loop {
            let AddressIndex::UpTo(end) = self.address_index() else { return Ok(built) };
            let number = end.saturating_add(1);
            if number > self.head().number {
                // No block becomes final meanwhile.
                let _finalizing = self.inner.finalizing.lock();
                if number > self.head().number {
                    self.inner.store.complete_addresses()?;
                    return Ok(built);
                }
            }
            let (block, touched) = self.touched(number).map_err(|source| not_built(end, number, source))?;
            let head = {
                let _finalizing = self.inner.finalizing.lock();
                let head = self.head().number;
                self.inner.store.extend_addresses(&block, &touched, head)?;
                head
            };
            built += 1;
            if !go_on(number, head) {
                return Ok(built);
            }
        }
    }
}

fn not_built(end: u64, number: u64, source: TraceError) -> IndexError {
    match source {
        TraceError::State(StateError::Pruned { oldest, .. }) => IndexError::Pruned { end, oldest },
        source => IndexError::Block { number, source },
    }
}

//! Accounts, storage and code: what execution reads and what a block changes.
//!
//! The final state is flat in the storage. A block that is not final yet holds the accounts that
//! it changed ([`StateDiff`]), each with the value before and after; a [`StateView`] lays those of
//! a chain of blocks over the final state. Final blocks keep their diffs for a while too: a view
//! that was taken before them looks at the values *before* where it would see later ones, so a
//! read is never torn by a block that becomes final meanwhile, and states of recent blocks can be
//! read. [`BlockState`] is what revm works upon while it executes a block.

mod block;
mod diff;
mod view;

use alloy_primitives::{B256, U256};
use alloy_trie::KECCAK_EMPTY;
use revm::database_interface::DBErrorMarker;
use revm::state::AccountInfo;

use crate::storage::StorageError;

pub(crate) use block::BlockState;
pub use diff::{AccountDiff, SlotDiff, StateDiff};
pub(crate) use view::Overlays;
pub use view::StateView;

/// An account as the flat state holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlatAccount {
    /// Transactions sent, or contracts created.
    pub nonce: u64,
    /// In wei.
    pub balance: U256,
    /// keccak256 of the code; that of nothing for accounts without.
    pub code_hash: B256,
}

impl Default for FlatAccount {
    fn default() -> Self {
        Self { nonce: 0, balance: U256::ZERO, code_hash: KECCAK_EMPTY }
    }
}

impl FlatAccount {
    /// Whether the account has code.
    pub fn has_code(&self) -> bool {
        self.code_hash != KECCAK_EMPTY
    }

    /// The same for revm, which asks for the code when it needs it.
    pub(crate) fn to_info(self) -> AccountInfo {
        let code = (!self.has_code()).then(Default::default);
        AccountInfo { balance: self.balance, nonce: self.nonce, code_hash: self.code_hash, account_id: None, code }
    }
}

impl From<&AccountInfo> for FlatAccount {
    fn from(info: &AccountInfo) -> Self {
        // revm writes zero for "no code" in places.
        let code_hash = if info.code_hash.is_zero() { KECCAK_EMPTY } else { info.code_hash };
        Self { nonce: info.nonce, balance: info.balance, code_hash }
    }
}

/// A state cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// There is no such block (or it is not final).
    #[error("header not found")]
    Unknown,
    /// The block is final, but its state is no longer kept.
    #[error(
        "state of block {number} is pruned: this node can read it from block {oldest} on, head is {head}; use a more \
         recent block"
    )]
    Pruned {
        /// The block that was asked for.
        number: u64,
        /// The oldest block of which this is kept.
        oldest: u64,
        /// The final head.
        head: u64,
    },
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The state refers to code that is not stored.
    #[error("code {0} is missing in the database; remove the data directory and sync again")]
    MissingCode(B256),
    /// The trie could not be read.
    #[error(transparent)]
    Trie(#[from] crate::trie::TrieError),
}

impl DBErrorMarker for StateError {}

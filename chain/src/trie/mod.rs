//! The Merkle Patricia tries: one of all accounts, and one of the storage of each account.
//!
//! A trie is kept as a tree of immutable nodes ([`node`]). A block's changes are applied in one
//! walk ([`update`]) that touches each node at most once and hashes each new node exactly once;
//! the result shares everything else with the trie before it. So every block that is not final
//! yet has its own complete trie at the cost of what it changed, and needs no overlay.
//!
//! Storage holds one version of each node, that of the final state, under its owner and path
//! ([`Record`] is what a block writes there). Nodes that are not in memory are fetched by path
//! and checked against the hash that their parent names. For a block that descends from the final
//! one this always succeeds: what a block between them changed is in memory. For others it may
//! fail with [`TrieError::OtherNode`], which never yields a wrong result.
//!
//! The nodes in memory are bounded: [`StateTrie::update`] forgets those that no recent block
//! touched ([`prune`]).
//!
//! This module knows neither blocks nor RocksDB.

pub(crate) mod node;
mod proof;
mod prune;
mod state;
mod update;
mod walk;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;

use std::fmt;

use alloy_primitives::{B256, Bytes};
use alloy_trie::Nibbles;

pub use proof::AccountProof;
pub(crate) use prune::Pruning;
pub(crate) use state::{AccountChange, StateTrie, TrieUpdate};

/// Whose trie a node belongs to: `None` is the trie of all accounts, `Some` the storage of the
/// account with this hashed address.
pub(crate) type Owner = Option<B256>;

/// Where nodes are stored.
pub(crate) trait NodeSource: Sync {
    /// The encoded node of `owner`'s trie at `path`.
    fn node(&self, owner: Owner, path: &Nibbles) -> Result<Option<Bytes>, crate::storage::StorageError>;
}

/// One change to the stored nodes.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// Whose trie.
    pub(crate) owner: Owner,
    /// Where in it.
    pub(crate) path: Nibbles,
    /// The node's encoding; `None` removes it.
    pub(crate) node: Option<Box<[u8]>>,
    /// What stood there before the block; `None`: nothing, or it went away with all of its owner's storage.
    pub(crate) before: Option<Box<[u8]>>,
}

/// Where a node stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePlace {
    /// Whose trie: the hashed address for storage, `None` for the trie of accounts.
    pub owner: Option<B256>,
    /// The nibbles from its root.
    pub path: Nibbles,
}

impl fmt::Display for NodePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.owner {
            None => write!(f, "trie of accounts at {:?}", self.path),
            Some(owner) => write!(f, "storage trie of hashed address {owner} at {:?}", self.path),
        }
    }
}

/// A node could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum TrieError {
    /// There is no node where its parent says that there is one.
    #[error("{place}: node {expected} is missing")]
    Missing {
        /// Where.
        place: Box<NodePlace>,
        /// The hash that the parent names.
        expected: B256,
    },
    /// There is another node than the parent says.
    #[error("{place}: expected node {expected}, got {got}")]
    OtherNode {
        /// Where.
        place: Box<NodePlace>,
        /// The hash that the parent names.
        expected: B256,
        /// The hash of what is there.
        got: B256,
    },
    /// The bytes are not a node.
    #[error("{place}: the node is malformed: {error}")]
    Malformed {
        /// Where.
        place: Box<NodePlace>,
        /// What is wrong with it.
        error: alloy_rlp::Error,
    },
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] crate::storage::StorageError),
}

impl TrieError {
    fn place(owner: Owner, path: &Nibbles) -> Box<NodePlace> {
        Box::new(NodePlace { owner, path: *path })
    }
}

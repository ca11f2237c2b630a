//! Walking whole stored tries, to check them.
//!
//! Every node is fetched and compared with the hash that its parent names; none is kept, so the
//! memory that this takes does not grow with the state.

use alloy_primitives::B256;
use alloy_trie::Nibbles;

use super::node::{Leaf, Link, Node};
use super::state::{AccountLeaf, SlotLeaf};
use super::{NodeSource, Owner, StateTrie, TrieError};

/// Nibbles of a key.
const KEY_NIBBLES: usize = 64;

/// How much a walk has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Walked {
    /// Leaves of the trie of accounts.
    pub(crate) accounts: u64,
    /// Leaves of all storage tries.
    pub(crate) slots: u64,
    /// Nodes that are stored apart.
    pub(crate) nodes: u64,
}

impl StateTrie {
    /// Walks the trie of accounts and every storage trie that hangs in it.
    pub(crate) fn walk(&self, source: &dyn NodeSource) -> Result<Walked, TrieError> {
        let mut walked = Walked::default();
        let Some(root) = self.root.clone() else { return Ok(walked) };
        let Walked { accounts, slots, nodes } = &mut walked;
        let mut storage_nodes = 0;
        let mut accounts_walk = Walk { source, owner: None, nodes };
        accounts_walk.visit(root, Nibbles::new(), &mut |key: B256, leaf: &AccountLeaf| {
            *accounts += 1;
            let Some(storage) = leaf.storage.clone() else { return Ok(()) };
            let mut walk = Walk { source, owner: Some(key), nodes: &mut storage_nodes };
            walk.visit(storage, Nibbles::new(), &mut |_, _: &SlotLeaf| {
                *slots += 1;
                Ok(())
            })
        })?;
        walked.nodes += storage_nodes;
        Ok(walked)
    }
}

/// What is done with a leaf and its key.
type OnLeaf<'f, L> = dyn FnMut(B256, &L) -> Result<(), TrieError> + 'f;

struct Walk<'a> {
    source: &'a dyn NodeSource,
    owner: Owner,
    nodes: &'a mut u64,
}

impl Walk<'_> {
    /// Visits what hangs at a link, which is a copy: what it fetches goes with it.
    fn visit<L: Leaf>(&mut self, link: Link<L>, path: Nibbles, leaf: &mut OnLeaf<'_, L>) -> Result<(), TrieError> {
        if link.is_stored_apart() {
            *self.nodes += 1;
        }
        match &link.node(self.source, self.owner, &path, 0)?.node {
            Node::Leaf { suffix, value } => {
                let key = self.longer(&path, suffix)?;
                if key.len() != KEY_NIBBLES {
                    return Err(self.malformed(&path));
                }
                leaf(B256::from_slice(&key.pack()), value)
            }
            Node::Extension { path: more, child } => {
                let below = self.longer(&path, more)?;
                self.visit(child.clone(), below, leaf)
            }
            Node::Branch { mask, children } => {
                let nibbles = (0..16u8).filter(|nibble| mask.is_bit_set(*nibble));
                for (nibble, child) in nibbles.zip(children) {
                    let below = self.longer(&path, &Nibbles::from_nibbles([nibble]))?;
                    self.visit(child.clone(), below, leaf)?;
                }
                Ok(())
            }
        }
    }

    /// The path with more nibbles; a damaged node may have too many.
    fn longer(&self, path: &Nibbles, more: &Nibbles) -> Result<Nibbles, TrieError> {
        if path.len() + more.len() > KEY_NIBBLES {
            return Err(self.malformed(path));
        }
        Ok(path.join(more))
    }

    fn malformed(&self, path: &Nibbles) -> TrieError {
        TrieError::Malformed {
            place: TrieError::place(self.owner, path),
            error: alloy_rlp::Error::Custom("its key has the wrong length"),
        }
    }
}

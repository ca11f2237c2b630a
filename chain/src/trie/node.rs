//! Nodes of a trie in memory, and the links between them.
//!
//! Nodes are immutable and shared: a block's trie shares with its parent's whatever the block did
//! not touch. A [`Link`] knows the reference that stands in the parent's encoding (the hash, or
//! the node itself when that is shorter than 32 bytes) and fetches the node behind it at most
//! once. What it fetches must have the hash that it expects, so a damaged database is noticed.

use std::sync::{Arc, OnceLock};

use alloy_primitives::{B256, keccak256};
use alloy_rlp::{BufMut, Decodable, EMPTY_STRING_CODE, Encodable, Header};
use alloy_trie::nodes::{ExtensionNodeRef, LeafNodeRef, RlpNode, TrieNode};
use alloy_trie::{Nibbles, TrieMask};

use super::{NodeSource, Owner, TrieError};

/// What hangs at the leaves of a trie.
pub(crate) trait Leaf: Clone {
    /// Appends the value as it stands in the leaf's encoding.
    fn encode(&self, out: &mut Vec<u8>);
    /// Reads such a value.
    fn decode(bytes: &[u8]) -> alloy_rlp::Result<Self>;
}

/// A node of a trie.
#[derive(Clone, Debug)]
pub(crate) enum Node<L> {
    /// The rest of a key, and its value.
    Leaf {
        /// The nibbles of the key that the path to here has not used up.
        suffix: Nibbles,
        /// The value.
        value: L,
    },
    /// A stretch of nibbles that all keys below share; its child is always a branch.
    Extension {
        /// The nibbles; never empty.
        path: Nibbles,
        /// What they lead to.
        child: Link<L>,
    },
    /// A fork; at least two children.
    Branch {
        /// Which of the sixteen nibbles have a child.
        mask: TrieMask,
        /// The children that there are, in the order of their nibbles.
        children: Vec<Link<L>>,
    },
}

/// A node with the number of the block that made it (or first fetched it).
#[derive(Debug)]
pub(crate) struct Stamped<L> {
    pub(crate) stamp: u64,
    pub(crate) node: Node<L>,
}

/// A reference to a node, with the node itself once somebody needed it.
#[derive(Clone, Debug)]
pub(crate) struct Link<L> {
    reference: RlpNode,
    node: OnceLock<Arc<Stamped<L>>>,
}

impl<L> Link<L> {
    /// A link to a node that is stored but not in memory.
    pub(crate) fn stored(reference: RlpNode) -> Self {
        Self { reference, node: OnceLock::new() }
    }

    /// A link to the root of a stored trie.
    pub(crate) fn stored_root(root: B256) -> Self {
        Self::stored(RlpNode::word_rlp(&root))
    }

    /// A link to a node in memory.
    pub(crate) fn loaded(reference: RlpNode, node: Arc<Stamped<L>>) -> Self {
        Self { reference, node: OnceLock::from(node) }
    }

    /// The reference as it stands in the parent's encoding.
    pub(crate) fn reference(&self) -> &RlpNode {
        &self.reference
    }

    /// Whether the node has an entry of its own in the storage: it is referred to by hash.
    pub(crate) fn is_stored_apart(&self) -> bool {
        self.reference.is_hash()
    }

    /// The hash, for a link to a root (those are always by hash).
    pub(crate) fn root_hash(&self) -> B256 {
        self.reference.as_hash().unwrap_or_else(|| keccak256(self.reference.as_slice()))
    }

    /// The node, if it is in memory.
    pub(crate) fn in_memory(&self) -> Option<&Arc<Stamped<L>>> {
        self.node.get()
    }
}

impl<L: Leaf> Link<L> {
    /// The node, fetched from `source` if it is not in memory yet.
    pub(crate) fn node(
        &self,
        source: &dyn NodeSource,
        owner: Owner,
        path: &Nibbles,
        stamp: u64,
    ) -> Result<&Arc<Stamped<L>>, TrieError> {
        if let Some(node) = self.node.get() {
            return Ok(node);
        }
        let node = match self.reference.as_hash() {
            None => Node::decode(self.reference.as_slice(), owner, path)?,
            Some(expected) => {
                let bytes = source.node(owner, path)?;
                let bytes =
                    bytes.ok_or_else(|| TrieError::Missing { place: TrieError::place(owner, path), expected })?;
                let got = keccak256(&bytes);
                if got != expected {
                    return Err(TrieError::OtherNode { place: TrieError::place(owner, path), expected, got });
                }
                Node::decode(&bytes, owner, path)?
            }
        };
        // Another thread may have been faster; its node is the same.
        Ok(self.node.get_or_init(|| Arc::new(Stamped { stamp, node })))
    }
}

impl<L: Leaf> Node<L> {
    /// Appends the node's RLP encoding.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Leaf { suffix, value } => {
                let mut bytes = Vec::with_capacity(128);
                value.encode(&mut bytes);
                LeafNodeRef::new(suffix, &bytes).encode(out);
            }
            Self::Extension { path, child } => {
                ExtensionNodeRef::new(path, child.reference()).encode(out);
            }
            Self::Branch { mask, children } => {
                let present: usize = children.iter().map(|child| child.reference().len()).sum();
                // One byte for each absent child and for the value that never is.
                let payload_length = present + 17 - children.len();
                Header { list: true, payload_length }.encode(out);
                let mut rest = children.iter();
                for nibble in 0..16 {
                    match mask.is_bit_set(nibble).then(|| rest.next()).flatten() {
                        Some(child) => out.put_slice(child.reference()),
                        None => out.put_u8(EMPTY_STRING_CODE),
                    }
                }
                out.put_u8(EMPTY_STRING_CODE);
            }
        }
    }

    /// Reads a node; its children stay where they are stored.
    fn decode(bytes: &[u8], owner: Owner, path: &Nibbles) -> Result<Self, TrieError> {
        let malformed = |error| TrieError::Malformed { place: TrieError::place(owner, path), error };
        let mut rest = bytes;
        let node = TrieNode::decode(&mut rest).map_err(malformed)?;
        if !rest.is_empty() {
            return Err(malformed(alloy_rlp::Error::UnexpectedLength));
        }
        match node {
            TrieNode::EmptyRoot => Err(malformed(alloy_rlp::Error::UnexpectedString)),
            TrieNode::Leaf(leaf) => {
                let value = L::decode(&leaf.value).map_err(malformed)?;
                Ok(Self::Leaf { suffix: leaf.key, value })
            }
            TrieNode::Extension(extension) => {
                Ok(Self::Extension { path: extension.key, child: Link::stored(extension.child) })
            }
            TrieNode::Branch(branch) => Ok(Self::Branch {
                mask: branch.state_mask,
                children: branch.stack.into_iter().map(Link::stored).collect(),
            }),
        }
    }
}

/// The position of a nibble's child among the children of a branch with this mask.
pub(crate) fn child_index(mask: TrieMask, nibble: u8) -> usize {
    let below = TrieMask::new(mask.get() & ((1u16 << nibble) - 1));
    usize::from(below.count_bits())
}

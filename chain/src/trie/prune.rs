//! Forgetting nodes that no recent block touched.
//!
//! Nodes in memory save reading and decoding, but their number must not grow with the state. A
//! node that is as young as a block that is not final is never forgotten: storage does not have
//! it yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::StateTrie;
use super::node::{Link, Node, Stamped};
use super::state::{AccountLeaf, SlotLeaf};

/// After this many new nodes, those older than the last time are forgotten. Tries then hold at
/// most about twice as many nodes, at 200 to 300 bytes each.
const NEW_NODES: u64 = 64 * 1024;

/// Decides when to forget, and what.
#[derive(Debug, Default)]
pub(crate) struct Pruning {
    new_nodes: AtomicU64,
    /// The number of the block at which nodes were forgotten last.
    last: AtomicU64,
}

impl Pruning {
    /// Counts nodes that a block has made.
    pub(crate) fn made(&self, nodes: usize) {
        self.new_nodes.fetch_add(nodes as u64, Ordering::Relaxed);
    }

    /// What a new block should build upon in place of `trie`, which is that of its parent.
    pub(crate) fn apply(&self, trie: &StateTrie, final_number: u64) -> StateTrie {
        if self.new_nodes.load(Ordering::Relaxed) < NEW_NODES {
            return trie.clone();
        }
        self.new_nodes.store(0, Ordering::Relaxed);
        let last = self.last.swap(final_number, Ordering::Relaxed);
        trie.without_nodes_before(last.min(final_number))
    }
}

impl StateTrie {
    /// The same trie without the nodes in memory that are older than block `number`, which must
    /// be final.
    pub(crate) fn without_nodes_before(&self, number: u64) -> Self {
        Self { root: self.root.as_ref().map(|root| prune(root, number)) }
    }

    /// The number of nodes in memory.
    #[cfg(test)]
    pub(crate) fn nodes_in_memory(&self) -> usize {
        self.root.as_ref().map_or(0, count)
    }
}

/// A leaf that may hold more nodes.
trait Nested: Clone {
    fn prune(&self, number: u64) -> Self;
    #[cfg(test)]
    fn count(&self) -> usize;
}

impl Nested for AccountLeaf {
    fn prune(&self, number: u64) -> Self {
        let storage = self.storage.as_ref().map(|root| prune(root, number));
        Self { account: self.account, storage }
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        self.storage.as_ref().map_or(0, count)
    }
}

impl Nested for SlotLeaf {
    fn prune(&self, _number: u64) -> Self {
        *self
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        0
    }
}

/// A node is at least as young as those below it that some block made, so whatever hangs below an
/// old node is old, or was only read.
fn prune<L: Nested>(link: &Link<L>, number: u64) -> Link<L> {
    let node = match link.in_memory() {
        // A node inside its parent's encoding has no record of its own to be fetched from, but is
        // decoded again when needed.
        Some(stamped) if stamped.stamp >= number => stamped,
        _ => return Link::stored(link.reference().clone()),
    };
    let pruned = match &node.node {
        Node::Leaf { suffix, value } => Node::Leaf { suffix: *suffix, value: value.prune(number) },
        Node::Extension { path, child } => Node::Extension { path: *path, child: prune(child, number) },
        Node::Branch { mask, children } => {
            Node::Branch { mask: *mask, children: children.iter().map(|child| prune(child, number)).collect() }
        }
    };
    Link::loaded(link.reference().clone(), Arc::new(Stamped { stamp: node.stamp, node: pruned }))
}

#[cfg(test)]
fn count<L: Nested>(link: &Link<L>) -> usize {
    let Some(stamped) = link.in_memory() else { return 0 };
    1 + match &stamped.node {
        Node::Leaf { value, .. } => value.count(),
        Node::Extension { child, .. } => count(child),
        Node::Branch { children, .. } => children.iter().map(count).sum(),
    }
}

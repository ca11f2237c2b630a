//! Applying a block's changes to a trie in one walk.
//!
//! The changes come sorted by key. The walk descends only where there are changes, replaces
//! leaves, and on the way back turns every rebuilt node into a [`Link`]: encoded and hashed once,
//! and recorded for the storage. The shape of the result depends on the keys and values alone:
//! a branch with one child left collapses into it, an extension that some keys leave is split.

use std::sync::Arc;

use alloy_primitives::map::{AddressSet, HashMap};
use alloy_primitives::{B256, keccak256};
use alloy_trie::nodes::RlpNode;
use alloy_trie::{Nibbles, TrieMask};

use super::node::{Leaf, Link, Node, Stamped};
use super::{NodeSource, Owner, Record, TrieError};

/// What a walk needs and what it produces; one for all tries of a block.
pub(crate) struct Writer<'a> {
    /// Where nodes that are not in memory are stored.
    pub(crate) source: &'a dyn NodeSource,
    /// The number of the block, kept with each node that is made or fetched.
    pub(crate) stamp: u64,
    /// The changes to the stored nodes so far. No path occurs twice.
    pub(crate) records: Vec<Record>,
    /// Accounts whose stored slots and storage nodes all go away before `records` are written.
    pub(crate) wiped: AddressSet,
    /// The nodes that the walk went through, as they were stored.
    before: HashMap<(Owner, Nibbles), Box<[u8]>>,
    buffer: Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(source: &'a dyn NodeSource, stamp: u64) -> Self {
        let (wiped, before) = (AddressSet::default(), HashMap::default());
        Self { source, stamp, records: Vec::new(), wiped, before, buffer: Vec::with_capacity(1024) }
    }

    /// What to write, each with what it replaces.
    pub(crate) fn finish(mut self) -> (Vec<Record>, AddressSet) {
        for record in &mut self.records {
            record.before = self.before.remove(&(record.owner, record.path));
        }
        (self.records, self.wiped)
    }

    fn put(&mut self, owner: Owner, path: Nibbles) {
        let node = Some(self.buffer.as_slice().into());
        self.records.push(Record { owner, path, node, before: None });
    }

    fn remove(&mut self, owner: Owner, path: Nibbles) {
        self.records.push(Record { owner, path, node: None, before: None });
    }
}

/// A leaf that a block's changes can be applied to.
pub(crate) trait Update: Leaf {
    /// What happens to one key.
    type Change;

    /// What becomes of the value `old` at `key`; `None`: there is none, or none any more.
    fn apply(
        old: Option<&Self>,
        key: &B256,
        change: &Self::Change,
        writer: &mut Writer<'_>,
    ) -> Result<Option<Self>, TrieError>;
}

/// Applies `changes`, which must be sorted by key without duplicates, to the trie below `root`
/// (`None`: the empty trie) and returns the new root.
pub(crate) fn update<L: Update>(
    writer: &mut Writer<'_>,
    owner: Owner,
    root: Option<&Link<L>>,
    changes: &[(B256, L::Change)],
) -> Result<Option<Link<L>>, TrieError> {
    if changes.is_empty() {
        return Ok(root.cloned());
    }
    let items: Vec<_> = changes.iter().map(|(key, change)| (Nibbles::unpack_array(&key.0), key, change)).collect();
    let mut walk = Walk { owner, writer };
    let top = Nibbles::new();
    let old = root.map(|link| walk.fetch(link, &top)).transpose()?;
    match walk.node(old.map(|stamped| &stamped.node), top, &items)? {
        Some(node) => Ok(Some(walk.seal_root(node))),
        None => {
            if root.is_some() {
                walk.writer.remove(owner, top);
            }
            Ok(None)
        }
    }
}

type Item<'c, L> = (Nibbles, &'c B256, &'c <L as Update>::Change);

/// A child of a branch that is being rebuilt.
enum Child<L> {
    /// As before: stored, or part of the old tree.
    Link(Link<L>),
    /// New, not encoded yet.
    Node(Node<L>),
}

struct Walk<'w, 'a> {
    owner: Owner,
    writer: &'w mut Writer<'a>,
}

impl Walk<'_, '_> {
    fn fetch<'l, L: Leaf>(&mut self, link: &'l Link<L>, path: &Nibbles) -> Result<&'l Arc<Stamped<L>>, TrieError> {
        let stamped = link.node(self.writer.source, self.owner, path, self.writer.stamp)?;
        if link.is_stored_apart() || path.is_empty() {
            self.writer.buffer.clear();
            stamped.node.encode(&mut self.writer.buffer);
            self.writer.before.insert((self.owner, *path), self.writer.buffer.as_slice().into());
        }
        Ok(stamped)
    }

    /// What becomes of the node `old` at `prefix` under `items`, all of whose keys begin so.
    fn node<L: Update>(
        &mut self,
        old: Option<&Node<L>>,
        prefix: Nibbles,
        items: &[Item<'_, L>],
    ) -> Result<Option<Node<L>>, TrieError> {
        match old {
            None => self.leaves(None, prefix, items),
            Some(Node::Leaf { suffix, value }) => self.leaves(Some((prefix.join(suffix), value)), prefix, items),
            Some(Node::Extension { path, child }) => self.extension(path, child, prefix, items),
            Some(Node::Branch { mask, children }) => {
                let mut slots = std::array::from_fn(|_| None);
                for (nibble, child) in mask.iter().zip(children) {
                    slots[usize::from(nibble)] = Some(Child::Link(child.clone()));
                }
                self.branch(slots, prefix, items)
            }
        }
    }

    /// Items where there was nothing or one leaf.
    fn leaves<L: Update>(
        &mut self,
        old: Option<(Nibbles, &L)>,
        prefix: Nibbles,
        items: &[Item<'_, L>],
    ) -> Result<Option<Node<L>>, TrieError> {
        let mut leaves = Vec::with_capacity(items.len() + 1);
        let mut old = old;
        for (path, key, change) in items {
            let before = match old.take() {
                Some((old_path, value)) if old_path < *path => {
                    leaves.push((old_path, Some(value.clone())));
                    None
                }
                Some((old_path, value)) if old_path == *path => Some(value),
                later => {
                    old = later;
                    None
                }
            };
            if let Some(value) = L::apply(before, key, change, self.writer)? {
                leaves.push((*path, Some(value)));
            }
        }
        if let Some((old_path, value)) = old {
            leaves.push((old_path, Some(value.clone())));
        }
        Ok(self.build(&mut leaves, prefix.len()))
    }

    /// A tree of nothing but `leaves`, sorted, which share their first `depth` nibbles.
    fn build<L: Update>(&mut self, leaves: &mut [(Nibbles, Option<L>)], depth: usize) -> Option<Node<L>> {
        match leaves {
            [] => None,
            [(path, value)] => Some(Node::Leaf { suffix: path.slice(depth..), value: value.take()? }),
            [(first, _), .., (last, _)] => {
                let first = *first;
                let fork = first.common_prefix_length(last);
                let mut mask = TrieMask::default();
                let mut children = Vec::new();
                for group in leaves.chunk_by_mut(|a, b| a.0.get(fork) == b.0.get(fork)) {
                    let path = group.first()?.0.slice(..fork + 1);
                    mask.set_bit(path.last()?);
                    let child = self.build(group, fork + 1)?;
                    children.push(self.seal(child, path));
                }
                let branch = Node::Branch { mask, children };
                Some(self.lead_to(branch, first.slice(depth..fork), first.slice(..fork)))
            }
        }
    }

    /// Items below an extension. Where keys leave it, it is taken for branches with one child.
    fn extension<L: Update>(
        &mut self,
        path: &Nibbles,
        child: &Link<L>,
        prefix: Nibbles,
        items: &[Item<'_, L>],
    ) -> Result<Option<Node<L>>, TrieError> {
        let shared = |item: Option<&Item<'_, L>>| {
            item.map_or(0, |(key, ..)| key.slice(prefix.len()..).common_prefix_length(path))
        };
        // Sorted: what the first and the last share with the path, all do.
        let shared = shared(items.first()).min(shared(items.last()));
        if shared == path.len() {
            let at = prefix.join(path);
            let old = self.fetch(child, &at)?.clone();
            let new = self.node(Some(&old.node), at, items)?;
            let new = new.map(|node| self.lead_to(node, *path, at));
            let kept = matches!(&new, Some(Node::Extension { path: now, child })
                if now == path && child.is_stored_apart());
            if child.is_stored_apart() && !kept {
                self.writer.remove(self.owner, at);
            }
            return Ok(new);
        }
        let rest = path.slice(shared + 1..);
        let only = match rest.is_empty() {
            true => Child::Link(child.clone()),
            false => Child::Node(Node::Extension { path: rest, child: child.clone() }),
        };
        let mut slots = std::array::from_fn(|_| None);
        slots[usize::from(path.get_unchecked(shared))] = Some(only);
        let stretch = path.slice(..shared);
        let at = prefix.join(&stretch);
        let node = self.branch(slots, at, items)?;
        Ok(node.map(|node| self.lead_to(node, stretch, at)))
    }

    /// Items below a branch at `prefix` with these children.
    fn branch<L: Update>(
        &mut self,
        mut slots: [Option<Child<L>>; 16],
        prefix: Nibbles,
        items: &[Item<'_, L>],
    ) -> Result<Option<Node<L>>, TrieError> {
        let depth = prefix.len();
        let stored = std::array::from_fn(|i| matches!(&slots[i], Some(Child::Link(link)) if link.is_stored_apart()));
        for group in items.chunk_by(|a, b| a.0.get(depth) == b.0.get(depth)) {
            let Some(nibble) = group.first().and_then(|item| item.0.get(depth)) else { continue };
            let at = below(&prefix, nibble);
            let slot = &mut slots[usize::from(nibble)];
            let new = match &*slot {
                None => self.node(None, at, group)?,
                Some(Child::Node(old)) => self.node(Some(old), at, group)?,
                Some(Child::Link(link)) => {
                    let old = self.fetch(link, &at)?.clone();
                    self.node(Some(&old.node), at, group)?
                }
            };
            *slot = new.map(Child::Node);
        }
        self.close(slots, stored, prefix)
    }

    /// Makes one node of the children of a branch at `prefix`. `stored` says which of them had a
    /// record at their path before.
    fn close<L: Update>(
        &mut self,
        slots: [Option<Child<L>>; 16],
        stored: [bool; 16],
        prefix: Nibbles,
    ) -> Result<Option<Node<L>>, TrieError> {
        let only = slots.iter().flatten().count() == 1;
        let mut mask = TrieMask::default();
        let mut children = Vec::new();
        let mut collapsed = None;
        for ((nibble, slot), was_stored) in (0u8..).zip(slots).zip(stored) {
            let at = below(&prefix, nibble);
            let mut is_stored = false;
            match slot {
                None => {}
                Some(child) if only => {
                    let (node, kept) = self.collapse(child, nibble, at)?;
                    is_stored = kept;
                    collapsed = Some(node);
                }
                Some(Child::Link(link)) => {
                    is_stored = link.is_stored_apart();
                    mask.set_bit(nibble);
                    children.push(link);
                }
                Some(Child::Node(node)) => {
                    let link = self.seal(node, at);
                    is_stored = link.is_stored_apart();
                    mask.set_bit(nibble);
                    children.push(link);
                }
            }
            if was_stored && !is_stored {
                self.writer.remove(self.owner, at);
            }
        }
        Ok(match collapsed {
            Some(node) => Some(node),
            None if children.is_empty() => None,
            None => Some(Node::Branch { mask, children }),
        })
    }

    /// The node that stands for a branch whose only child is `child`, and whether something is
    /// still stored at the child's path `at`.
    fn collapse<L: Update>(&mut self, child: Child<L>, nibble: u8, at: Nibbles) -> Result<(Node<L>, bool), TrieError> {
        let path = Nibbles::from_nibbles([nibble]);
        let node = match child {
            Child::Link(link) => {
                let node = &self.fetch(&link, &at)?.node;
                if let Node::Branch { .. } = node {
                    let kept = link.is_stored_apart();
                    return Ok((Node::Extension { path, child: link }, kept));
                }
                node.clone()
            }
            Child::Node(node) => node,
        };
        let kept = matches!(node, Node::Branch { .. });
        let node = self.lead_to(node, path, at);
        let kept = kept && matches!(&node, Node::Extension { child, .. } if child.is_stored_apart());
        Ok((node, kept))
    }

    /// The node that leads over `path` to `node`, which stands at `at`: leaves and extensions take
    /// the nibbles in, a branch gets an extension before it.
    fn lead_to<L: Update>(&mut self, node: Node<L>, path: Nibbles, at: Nibbles) -> Node<L> {
        if path.is_empty() {
            return node;
        }
        match node {
            Node::Leaf { suffix, value } => Node::Leaf { suffix: path.join(&suffix), value },
            Node::Extension { path: more, child } => Node::Extension { path: path.join(&more), child },
            branch => Node::Extension { path, child: self.seal(branch, at) },
        }
    }

    /// Encodes and hashes a finished node and records it for the storage.
    fn seal<L: Update>(&mut self, node: Node<L>, path: Nibbles) -> Link<L> {
        self.writer.buffer.clear();
        node.encode(&mut self.writer.buffer);
        let reference = RlpNode::from_rlp(&self.writer.buffer);
        if reference.is_hash() {
            self.writer.put(self.owner, path);
        }
        Link::loaded(reference, Arc::new(Stamped { stamp: self.writer.stamp, node }))
    }

    /// The same for the root, which is hashed and stored however short it is.
    fn seal_root<L: Update>(&mut self, node: Node<L>) -> Link<L> {
        self.writer.buffer.clear();
        node.encode(&mut self.writer.buffer);
        let reference = RlpNode::word_rlp(&keccak256(&self.writer.buffer));
        self.writer.put(self.owner, Nibbles::new());
        Link::loaded(reference, Arc::new(Stamped { stamp: self.writer.stamp, node }))
    }
}

fn below(prefix: &Nibbles, nibble: u8) -> Nibbles {
    let mut path = *prefix;
    path.push(nibble);
    path
}

//! Fuzz target of the nodes of tries: whatever is stored in the place of a node is refused with its place, or read with
//! all that it holds.

use alloy_primitives::{B256, Bytes, U256, keccak256};
use alloy_trie::nodes::RlpNode;
use alloy_trie::{KECCAK_EMPTY, Nibbles, TrieMask};
use assent_consensus::mutation::mutate;

use super::node::{Leaf, Link, Node};
use super::state::{AccountLeaf, SlotLeaf};
use super::{NodeSource, Owner};
use crate::state::FlatAccount;
use crate::storage::StorageError;

use crate::fuzz::campaign::{Check, Target, long, quick};

const NODES: Target = Target { name: "nodes of tries", quick: 30_000, script: 32, check: nodes };

#[test]
fn a_damaged_node_of_a_trie_is_refused_or_read_whole() {
    quick(&NODES);
}

#[test]
#[ignore = "long: make soak"]
fn soak_of_all_targets() {
    long(&[&NODES]);
}

/// Storage that holds one node.
struct One(Bytes);

impl NodeSource for One {
    fn node(&self, _: Owner, _: &Nibbles) -> Result<Option<Bytes>, StorageError> {
        Ok(Some(self.0.clone()))
    }
}

fn encoded<L: Leaf>(node: &Node<L>) -> Vec<u8> {
    let mut bytes = Vec::new();
    node.encode(&mut bytes);
    bytes
}

fn corpus() -> Vec<Vec<u8>> {
    let account = FlatAccount { nonce: 7, balance: U256::from(1_000_000), code_hash: KECCAK_EMPTY };
    let storage = Some(Link::stored_root(B256::repeat_byte(4)));
    let suffix = Nibbles::from_nibbles([1, 2, 3]);
    let slot = encoded(&Node::Leaf { suffix, value: SlotLeaf(U256::from(5)) });
    let children = vec![Link::stored_root(B256::repeat_byte(3)), Link::stored(RlpNode::from_rlp(&slot))];
    let (path, child) = (Nibbles::from_nibbles([4, 5]), Link::stored_root(B256::repeat_byte(6)));
    vec![
        encoded(&Node::<SlotLeaf>::Branch { mask: TrieMask::new(0b101), children }),
        encoded(&Node::<SlotLeaf>::Extension { path, child }),
        encoded(&Node::Leaf { suffix, value: AccountLeaf { account, storage } }),
        encoded(&Node::Leaf { suffix, value: AccountLeaf { account, storage: None } }),
        slot,
    ]
}

/// Reads a node, and those that stand inside of it.
fn read<L: Leaf>(link: &Link<L>, source: &One) {
    match link.node(source, None, &Nibbles::default(), 0) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(stamped) => {
            let inside: Vec<&Link<L>> = match &stamped.node {
                Node::Leaf { .. } => Vec::new(),
                Node::Extension { child, .. } => vec![child],
                Node::Branch { mask, children } => {
                    assert_eq!(usize::from(mask.count_bits()), children.len());
                    children.iter().collect()
                }
            };
            for link in inside.into_iter().filter(|link| !link.is_stored_apart()) {
                read(link, source);
            }
        }
    }
}

fn nodes() -> Check {
    let corpus = corpus();
    Box::new(move |script| {
        let source = One(Bytes::from(mutate(&corpus, script)));
        let root = keccak256(&source.0);
        read(&Link::<AccountLeaf>::stored_root(root), &source);
        read(&Link::<SlotLeaf>::stored_root(root), &source);
    })
}

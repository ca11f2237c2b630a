//! Merkle proofs of accounts and storage slots (EIP-1186).

use alloy_primitives::{B256, Bytes, U256};
use alloy_trie::Nibbles;

use super::node::{Leaf, Link, Node, child_index};
use super::{NodeSource, Owner, StateTrie, TrieError};
use crate::state::FlatAccount;

/// An account with the nodes that prove it, or that prove its absence, against the state root.
#[derive(Clone, Debug)]
pub struct AccountProof {
    /// The account; `None`: the state does not have it.
    pub account: Option<FlatAccount>,
    /// The root of its storage trie.
    pub storage_root: B256,
    /// The nodes from the state root down.
    pub proof: Vec<Bytes>,
    /// For each slot that was asked for: its value and the nodes from the storage root down.
    pub slots: Vec<(U256, Vec<Bytes>)>,
}

impl StateTrie {
    /// Proves the account with hashed address `key` and its hashed slots `slots`.
    pub(crate) fn proof(
        &self,
        source: &dyn NodeSource,
        number: u64,
        key: B256,
        slots: &[B256],
    ) -> Result<AccountProof, TrieError> {
        let walk = Walk { source, owner: None, stamp: number };
        let (leaf, proof) = walk.prove(self.root.as_ref(), key)?;
        let storage = leaf.as_ref().and_then(|leaf| leaf.storage.as_ref());
        let walk = Walk { source, owner: Some(key), stamp: number };
        let slots = slots
            .iter()
            .map(|slot| {
                let (value, proof) = walk.prove(storage, *slot)?;
                Ok((value.map_or(U256::ZERO, |leaf| leaf.0), proof))
            })
            .collect::<Result<_, TrieError>>()?;
        let storage_root = storage.map_or(alloy_trie::EMPTY_ROOT_HASH, Link::root_hash);
        Ok(AccountProof { account: leaf.map(|leaf| leaf.account), storage_root, proof, slots })
    }
}

struct Walk<'a> {
    source: &'a dyn NodeSource,
    owner: Owner,
    stamp: u64,
}

impl Walk<'_> {
    /// The value at `key` and the encodings of the nodes on the way, without those that are part
    /// of their parent's encoding.
    fn prove<L: Leaf>(&self, root: Option<&Link<L>>, key: B256) -> Result<(Option<L>, Vec<Bytes>), TrieError> {
        let key = Nibbles::unpack_array(&key.0);
        let mut proof = Vec::new();
        let Some(mut link) = root else { return Ok((None, proof)) };
        let mut depth = 0;
        loop {
            let at = key.slice(..depth);
            let stamped = link.node(self.source, self.owner, &at, self.stamp)?;
            if link.is_stored_apart() {
                let mut bytes = Vec::new();
                stamped.node.encode(&mut bytes);
                proof.push(bytes.into());
            }
            let rest = key.slice(depth..);
            match &stamped.node {
                Node::Leaf { suffix, value } => return Ok(((*suffix == rest).then(|| value.clone()), proof)),
                Node::Extension { path, .. } if !rest.starts_with(path) => return Ok((None, proof)),
                Node::Extension { path, child } => {
                    depth += path.len();
                    link = child;
                }
                Node::Branch { mask, children } => {
                    let child = rest
                        .first()
                        .filter(|nibble| mask.is_bit_set(*nibble))
                        .and_then(|nibble| children.get(child_index(*mask, nibble)));
                    let Some(child) = child else { return Ok((None, proof)) };
                    depth += 1;
                    link = child;
                }
            }
        }
    }
}

//! The trie against alloy's root functions, which build from scratch.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Mutex;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::proof::verify_proof;
use alloy_trie::root::{state_root, storage_root};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles, TrieAccount};
use proptest::prelude::*;

use super::*;
use crate::state::FlatAccount;
use crate::storage::StorageError;

/// Storage in memory, with the semantics of a batch: wipes, then records.
#[derive(Default)]
struct Nodes(Mutex<BTreeMap<NodeKey, Box<[u8]>>>);

type NodeKey = (Owner, Vec<u8>);

impl NodeSource for Nodes {
    fn node(&self, owner: Owner, path: &Nibbles) -> Result<Option<Bytes>, StorageError> {
        let nodes = self.0.lock().unwrap();
        Ok(nodes.get(&(owner, path.to_vec())).map(|node| Bytes::copy_from_slice(node)))
    }
}

impl Nodes {
    fn commit(&self, update: &TrieUpdate) {
        let mut nodes = self.0.lock().unwrap();
        for address in &update.wiped {
            let wiped = Some(keccak256(address));
            nodes.retain(|(owner, _), _| *owner != wiped);
        }
        let mut seen = std::collections::BTreeSet::new();
        for Record { owner, path, node, .. } in &update.records {
            assert!(seen.insert((*owner, path.to_vec())), "a path is recorded twice: {path:?}");
            let key = (*owner, path.to_vec());
            match node {
                Some(node) => drop(nodes.insert(key, node.clone())),
                None => assert!(nodes.remove(&key).is_some(), "removes a node that is not there: {path:?}"),
            }
        }
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// Accounts and their storage, the plain way.
#[derive(Clone, Default)]
struct Model(BTreeMap<B256, (FlatAccount, BTreeMap<B256, U256>)>);

impl Model {
    fn root(&self) -> B256 {
        state_root(self.0.iter().map(|(key, (account, slots))| {
            let storage = storage_root(slots.iter().map(|(key, value)| (*key, *value)));
            (*key, TrieAccount::new(account.nonce, account.balance, storage, account.code_hash))
        }))
    }

    fn apply(&mut self, changes: &[(B256, AccountChange)]) {
        for (key, change) in changes {
            let Some(account) = change.account else {
                self.0.remove(key);
                continue;
            };
            let entry = self.0.entry(*key).or_default();
            entry.0 = account;
            if change.wipe {
                entry.1.clear();
            }
            for (slot, value) in &change.slots {
                if value.is_zero() {
                    entry.1.remove(slot);
                } else {
                    entry.1.insert(*slot, *value);
                }
            }
        }
    }

    /// The nodes that storage must hold: those of a trie that is built at once.
    fn node_count(&self) -> usize {
        let nodes = Nodes::default();
        let changes: Vec<_> = self
            .0
            .iter()
            .map(|(key, (account, slots))| {
                let slots = slots.iter().map(|(key, value)| (*key, *value)).collect();
                let change = AccountChange { address: Address::ZERO, account: Some(*account), wipe: false, slots };
                (*key, change)
            })
            .collect();
        nodes.commit(&StateTrie::default().update(&nodes, 0, &changes).unwrap());
        nodes.len()
    }
}

#[derive(Clone, Debug)]
struct Step {
    account: u8,
    kind: u8,
    balance: u64,
    slots: Vec<(u8, u8)>,
}

fn blocks() -> impl Strategy<Value = Vec<Vec<Step>>> {
    let slots = prop::collection::vec((any::<u8>(), 0..3u8), 0..12);
    let step = (any::<u8>(), any::<u8>(), any::<u64>(), slots).prop_map(|(account, kind, balance, slots)| Step {
        account,
        kind,
        balance,
        slots,
    });
    prop::collection::vec(prop::collection::vec(step, 0..40), 1..10)
}

fn address(n: u8) -> Address {
    Address::with_last_byte(n)
}

/// Real keys are hashes and share few nibbles. To reach deep forks and nodes within nodes with few
/// keys, slots differ in their last nibbles only.
fn slot_key(n: u8) -> B256 {
    let mut key = B256::repeat_byte(0x77);
    key[0] = n & 0x80;
    key[31] = n & 0x7f;
    key
}

fn changes(steps: &[Step]) -> Vec<(B256, AccountChange)> {
    let mut changes = BTreeMap::new();
    for step in steps {
        let account = FlatAccount { nonce: 1, balance: U256::from(step.balance), ..Default::default() };
        let account = (step.kind >= 50).then_some(account);
        let slots: BTreeMap<_, _> = step.slots.iter().map(|(n, v)| (slot_key(*n), U256::from(*v))).collect();
        let wipe = (50..80).contains(&step.kind);
        let slots = slots.into_iter().collect();
        let change = AccountChange { address: address(step.account), account, wipe, slots };
        changes.insert(keccak256(address(step.account)), change);
    }
    changes.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// After each block the root is that of a trie that was built from scratch; storage holds
    /// exactly its nodes, whether the nodes in memory are kept, forgotten or pruned.
    #[test]
    fn roots_match_over_blocks(blocks in blocks(), forget in any::<u8>()) {
        let (nodes, mut model, mut trie) = (Nodes::default(), Model::default(), StateTrie::default());
        for (number, steps) in (1u64..).zip(&blocks) {
            let changes = changes(steps);
            let update = trie.update(&nodes, number, &changes).unwrap();
            model.apply(&changes);
            prop_assert_eq!(update.trie.root_hash(), model.root());
            nodes.commit(&update);
            prop_assert_eq!(nodes.len(), model.node_count());
            trie = match (forget >> (number % 4 * 2)) & 3 {
                0 => StateTrie::stored(update.trie.root_hash()),
                1 => update.trie.without_nodes_before(number),
                2 => update.trie.without_nodes_before(number.saturating_sub(1)),
                _ => update.trie,
            };
        }
        let all: Vec<_> = model.0.keys().map(|key| {
            let gone = AccountChange { address: Address::ZERO, account: None, wipe: false, slots: vec![] };
            (*key, gone)
        }).collect();
        let update = trie.update(&nodes, 100, &all).unwrap();
        prop_assert_eq!(update.trie.root_hash(), EMPTY_ROOT_HASH);
    }

    /// Blocks that are not final build upon each other without their nodes being stored, two on
    /// one parent do not disturb each other, and becoming final late changes nothing.
    #[test]
    fn unfinal_blocks_share_nodes(blocks in blocks(), other in blocks()) {
        let (nodes, mut model) = (Nodes::default(), Model::default());
        let mut trie = StateTrie::default();
        let mut waiting = Vec::new();
        for (number, steps) in (1u64..).zip(&blocks) {
            let sibling = changes(&other[0]);
            let mut sibling_model = model.clone();
            sibling_model.apply(&sibling);
            let sibling = trie.update(&nodes, number, &sibling).unwrap();
            prop_assert_eq!(sibling.trie.root_hash(), sibling_model.root());

            let changes = changes(steps);
            let update = trie.update(&nodes, number, &changes).unwrap();
            model.apply(&changes);
            prop_assert_eq!(update.trie.root_hash(), model.root());
            trie = update.trie.clone();
            waiting.push(update);
            if waiting.len() > 2 {
                nodes.commit(&waiting.remove(0));
            }
        }
        waiting.iter().for_each(|update| nodes.commit(update));
        prop_assert_eq!(nodes.len(), model.node_count());
    }

    /// Proofs of what is there and of what is not, checked by alloy.
    #[test]
    fn proofs_hold(blocks in blocks(), asked in any::<u8>()) {
        let (nodes, mut model) = (Nodes::default(), Model::default());
        let mut trie = StateTrie::default();
        for (number, steps) in (1u64..).zip(&blocks) {
            let changes = changes(steps);
            let update = trie.update(&nodes, number, &changes).unwrap();
            model.apply(&changes);
            nodes.commit(&update);
            trie = StateTrie::stored(update.trie.root_hash());
        }
        let key = keccak256(address(asked));
        let slot = slot_key(asked);
        let proof = trie.proof(&nodes, 9, key, &[slot]).unwrap();
        let expected = model.0.get(&key);
        prop_assert_eq!(proof.account, expected.map(|(account, _)| *account));
        let leaf = proof.account.map(|account| {
            alloy_rlp::encode(TrieAccount::new(account.nonce, account.balance, proof.storage_root, account.code_hash))
        });
        verify_proof(model.root(), Nibbles::unpack(key), leaf, &proof.proof).unwrap();
        let value = expected.and_then(|(_, slots)| slots.get(&slot)).copied().unwrap_or_default();
        prop_assert_eq!(proof.slots[0].0, value);
        let leaf = (!value.is_zero()).then(|| alloy_rlp::encode(value));
        if proof.storage_root != EMPTY_ROOT_HASH {
            verify_proof(proof.storage_root, Nibbles::unpack(slot), leaf, &proof.slots[0].1).unwrap();
        }
    }
}

fn funded(n: u8, balance: u64) -> (B256, AccountChange) {
    let account = FlatAccount { balance: U256::from(balance), ..Default::default() };
    let change = AccountChange { address: address(n), account: Some(account), wipe: false, slots: vec![] };
    (keccak256(address(n)), change)
}

fn many(count: u8) -> Vec<(B256, AccountChange)> {
    let mut changes: Vec<_> = (0..count).map(|n| funded(n, u64::from(n))).collect();
    changes.sort_unstable_by_key(|(key, _)| *key);
    changes
}

#[test]
fn a_damaged_node_is_noticed() {
    let nodes = Nodes::default();
    let update = StateTrie::default().update(&nodes, 1, &many(100)).unwrap();
    nodes.commit(&update);
    let stored = StateTrie::stored(update.trie.root_hash());
    let change = [funded(7, 9)];
    stored.update(&nodes, 2, &change).unwrap();

    let leaf_path = nodes
        .0
        .lock()
        .unwrap()
        .keys()
        .filter(|(_, path)| keccak_starts_with(7, path))
        .max_by_key(|key| key.1.len())
        .unwrap()
        .clone();
    let sound = nodes.0.lock().unwrap().get(&leaf_path).unwrap().clone();
    let mut damaged = sound.clone();
    damaged[10] ^= 1;
    nodes.0.lock().unwrap().insert(leaf_path.clone(), damaged);
    let stored = StateTrie::stored(update.trie.root_hash());
    assert!(matches!(stored.update(&nodes, 2, &change), Err(TrieError::OtherNode { .. })));
    nodes.0.lock().unwrap().remove(&leaf_path);
    assert!(matches!(stored.update(&nodes, 2, &change), Err(TrieError::Missing { .. })));
    // Trouble elsewhere does not matter.
    stored.update(&nodes, 2, &[funded(8, 9)]).unwrap();
}

fn keccak_starts_with(n: u8, path: &[u8]) -> bool {
    Nibbles::unpack(keccak256(address(n))).to_vec().starts_with(path)
}

#[test]
fn pruning_bounds_what_is_in_memory() {
    let nodes = Nodes::default();
    let mut trie = StateTrie::default().update(&nodes, 0, &many(255)).unwrap();
    nodes.commit(&trie);
    let all = trie.trie.nodes_in_memory();
    assert!(all > 255);
    for number in 1..100u8 {
        trie = trie.trie.update(&nodes, u64::from(number), &[funded(number, 1)]).unwrap();
        nodes.commit(&trie);
    }
    assert!(trie.trie.nodes_in_memory() >= all);
    let pruned = trie.trie.without_nodes_before(95);
    assert!(pruned.nodes_in_memory() < 30, "five paths: {}", pruned.nodes_in_memory());
    let next = [funded(3, 5)];
    let expected = trie.trie.update(&nodes, 100, &next).unwrap();
    assert_eq!(pruned.update(&nodes, 100, &next).unwrap().trie.root_hash(), expected.trie.root_hash());
}

//! The state after every block: what was seen when the block was the last one is what is read and proven later, from
//! memory or from disk, while other blocks become final, and after a restart. What is pruned is refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, Bytes, U256, hex, keccak256};
use alloy_trie::proof::verify_proof;
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles, TrieAccount};
use assent_chain::state::FlatAccount;
use assent_chain::{Chain, History, StateError};
use assent_genesis::Genesis;

use crate::support::*;

const SLOTS: u64 = 4;

/// What is seen of the state after one block.
type Seen = BTreeMap<Address, (Option<FlatAccount>, Vec<U256>)>;

/// Before Cancun contracts lose their storage when they destroy themselves.
fn shanghai() -> Genesis {
    let mut genesis = genesis();
    genesis.ethereum.config.cancun_time = None;
    genesis.ethereum.config.prague_time = None;
    genesis.ethereum.config.osaka_time = None;
    genesis
}

/// With a word of input it stores 5 in the slot that the word names; without it destroys itself.
const MORTAL: [u8; 15] = hex!("36600857600035ff5b600560003555");

/// Creates, with CREATE2 and salt 0, from the init code that it is sent.
const FACTORY: [u8; 15] = hex!("366000600037600036600060 00f5 00");

struct Life {
    node: Node,
    factory: Address,
    child: Address,
    init: Bytes,
    store: Address,
    seen: Vec<Seen>,
}

impl Life {
    fn new(node: Node) -> Self {
        let (factory, store) = (address(0).create(0), address(0).create(1));
        let init = deploying(&MORTAL);
        let child = factory.create2_from_code(B256::ZERO, &init);
        let mut life = Self { node, factory, child, init, store, seen: Vec::new() };
        life.see();
        life.block(&[create(0, 0, deploying(&FACTORY)), create(0, 1, deploying(&STORE))]);
        life
    }

    fn watched(&self) -> Vec<Address> {
        vec![address(0), address(1), address(2), Address::repeat_byte(0x77), self.factory, self.child, self.store]
    }

    fn look(&self, view: &assent_chain::state::StateView) -> Result<Seen, StateError> {
        let slots =
            |of: &Address| (0..SLOTS).map(|slot| view.storage(of, &U256::from(slot))).collect::<Result<Vec<_>, _>>();
        self.watched().iter().map(|of| Ok((*of, (view.account(of)?, slots(of)?)))).collect()
    }

    fn see(&mut self) {
        let seen = self.look(&self.node.chain.latest_state()).unwrap();
        self.seen.push(seen);
    }

    fn block(&mut self, transactions: &[Bytes]) {
        self.node.next(transactions);
        self.see();
    }

    /// Rounds of creating, storing, overwriting, clearing and destroying.
    fn live(&mut self, rounds: u64) {
        let nonce = |life: &Self, of| life.node.chain.latest_state().nonce(&address(of)).unwrap();
        for round in 0..rounds {
            let (first, other) = (nonce(self, 1), nonce(self, 2));
            self.block(&[call(1, first, self.factory, self.init.clone())]);
            self.block(&[
                call(1, first + 1, self.child, words(&[round % SLOTS])),
                call(1, first + 2, self.store, words(&[round % SLOTS, round % 3])),
            ]);
            self.block(&[]);
            self.block(&[
                call(1, first + 3, self.child, words(&[(round + 1) % SLOTS])),
                transfer(2, other, Address::repeat_byte(0x77), round),
            ]);
            self.block(&[call(1, first + 4, self.child, Bytes::new())]);
        }
    }

    /// Every state from `oldest` on is the one that was seen, and its header's root proves it.
    fn check(&self, chain: &Chain, oldest: u64) {
        for (number, seen) in (0..).zip(&self.seen) {
            let id = BlockId::number(number);
            match chain.state_at(id) {
                Ok(view) => {
                    assert!(number >= oldest);
                    assert_eq!(self.look(&view).unwrap(), *seen, "after block {number}");
                    self.check_proofs(chain, id, seen);
                }
                Err(StateError::Pruned { oldest: told, .. }) => {
                    assert!(number < oldest, "block {number} is kept");
                    assert_eq!(told, oldest);
                    let proof = chain.proof_at(id, &self.store, &[]);
                    assert!(matches!(proof, Err(StateError::Pruned { .. })), "{proof:?}");
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn check_proofs(&self, chain: &Chain, id: BlockId, seen: &Seen) {
        let slots: Vec<_> = (0..SLOTS).map(|slot| B256::from(U256::from(slot))).collect();
        for (of, (account, values)) in seen {
            let (header, proof) = chain.proof_at(id, of, &slots).unwrap();
            assert_eq!(proof.account, *account);
            let leaf = account
                .map(|a| alloy_rlp::encode(TrieAccount::new(a.nonce, a.balance, proof.storage_root, a.code_hash)));
            let root = header.header.state_root;
            verify_proof(root, Nibbles::unpack(keccak256(of)), leaf, &proof.proof).unwrap();
            for ((slot, value), (proven, nodes)) in slots.iter().zip(values).zip(&proof.slots) {
                assert_eq!(proven, value);
                let leaf = (!value.is_zero()).then(|| alloy_rlp::encode(value));
                if proof.storage_root == EMPTY_ROOT_HASH {
                    assert!(leaf.is_none() && nodes.is_empty());
                } else {
                    verify_proof(proof.storage_root, Nibbles::unpack(keccak256(slot)), leaf, nodes).unwrap();
                }
            }
        }
    }
}

#[test]
fn an_archive_has_every_state_as_it_was() {
    let genesis = shanghai();
    let mut life = Life::new(Node::new(&genesis));
    life.live(40);
    life.check(&life.node.chain, 0);
    // From disk alone, and on from there.
    let Life { node, factory, child, init, store, seen } = life;
    let node = Node::open(node.close(), &genesis, History::Archive);
    let mut life = Life { node, factory, child, init, store, seen };
    life.check(&life.node.chain, 0);
    life.live(1);
    life.check(&life.node.chain, 0);
}

#[test]
fn what_is_pruned_is_refused_and_stays_so() {
    let genesis = shanghai();
    let mut life = Life::new(Node::open(Arc::new(tempfile::tempdir().unwrap()), &genesis, History::Blocks(128)));
    life.live(30);
    let head = life.node.chain.head().number;
    assert_eq!(life.node.chain.oldest_state(), head - 128);
    life.check(&life.node.chain, head - 128);
    life.node.chain.sync().unwrap();
    // An archive from now on, of what is left.
    let Life { node, factory, child, init, store, seen } = life;
    let node = Node::open(node.close(), &genesis, History::Archive);
    let mut life = Life { node, factory, child, init, store, seen };
    life.live(2);
    life.check(&life.node.chain, head - 128);
    // And back, with the next block.
    let Life { node, factory, child, init, store, seen } = life;
    let node = Node::open(node.close(), &genesis, History::Blocks(128));
    let mut life = Life { node, factory, child, init, store, seen };
    life.block(&[]);
    life.check(&life.node.chain, life.node.chain.head().number - 128);
}

/// Old views are read while blocks become final that change and destroy what they show.
#[test]
fn old_states_do_not_change_while_blocks_become_final() {
    let genesis = shanghai();
    let mut life = Life::new(Node::new(&genesis));
    life.live(2);
    let chain = life.node.chain.clone();
    let watcher = Life {
        node: Node { chain: chain.clone(), directory: life.node.directory.clone() },
        seen: life.seen.clone(),
        init: life.init.clone(),
        ..life
    };
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || life.live(40));
        watcher.check(&chain, 0);
        while !writer.is_finished() {
            watcher.check(&chain, 0);
        }
        writer.join().unwrap();
    });
}

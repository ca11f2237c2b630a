//! Random lives of a chain: two nodes, blocks upon any waiting block, finality after any delay. In
//! the end both have the same chain, and what lies flat in their databases is what the tries
//! prove, also after a restart.

use std::collections::BTreeSet;
use std::sync::Arc;

use alloy_consensus::TxEip1559;
use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use alloy_trie::proof::verify_proof;
use alloy_trie::{Nibbles, TrieAccount};
use assent_chain::{Chain, ChainOptions, ExecutedBlock};
use proptest::prelude::*;

use crate::support::*;

const SENDERS: usize = 6;
const CONTRACTS: usize = 2;
const SLOTS: u64 = 12;

#[derive(Clone, Debug)]
enum Action {
    Transfer { from: usize, to: u8, value: u64 },
    Store { from: usize, contract: usize, slot: u64, value: u64 },
    Fail { from: usize, contract: usize },
    Create { from: usize },
}

#[derive(Clone, Debug)]
struct Step {
    /// Upon which of the waiting blocks to build; the head, if there is none.
    upon: prop::sample::Index,
    actions: Vec<Action>,
    /// Which waiting block becomes final afterwards, if any.
    finalize: Option<prop::sample::Index>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let from = 0..SENDERS;
    let action = prop_oneof![
        (from.clone(), any::<u8>(), 0..1000u64).prop_map(|(from, to, value)| Action::Transfer { from, to, value }),
        (from.clone(), 0..CONTRACTS, 0..SLOTS, 0..3u64).prop_map(|(from, contract, slot, value)| Action::Store {
            from,
            contract,
            slot,
            value
        }),
        (from.clone(), 0..CONTRACTS).prop_map(|(from, contract)| Action::Fail { from, contract }),
        from.prop_map(|from| Action::Create { from }),
    ];
    let actions = prop::collection::vec(action, 0..12);
    let step = (any::<prop::sample::Index>(), actions, prop::option::of(any::<prop::sample::Index>()))
        .prop_map(|(upon, actions, finalize)| Step { upon, actions, finalize });
    prop::collection::vec(step, 1..25)
}

fn contract(index: usize) -> Address {
    address(9).create(index as u64)
}

/// Made anew for each block: the nonces are those at the block that it is built upon.
fn transaction(action: &Action, nonce: u64) -> Bytes {
    let fee = |tx: TxEip1559| TxEip1559 { max_fee_per_gas: 10, max_priority_fee_per_gas: 10, ..tx };
    match *action {
        Action::Transfer { from, to, value } => {
            let to = TxKind::Call(Address::repeat_byte(to.max(0x20)));
            sign(from, fee(TxEip1559 { to, value: U256::from(value), ..eip1559(nonce) }))
        }
        Action::Store { from, contract: index, slot, value } => {
            call(from, nonce, contract(index), words(&[slot, value]))
        }
        Action::Fail { from, contract: index } => call(from, nonce, contract(index), vec![1, 2, 3]),
        Action::Create { from } => create(from, nonce, deploying(&STORE)),
    }
}

fn sender(action: &Action) -> usize {
    match *action {
        Action::Transfer { from, .. }
        | Action::Store { from, .. }
        | Action::Fail { from, .. }
        | Action::Create { from } => from,
    }
}

/// Everybody that a run may have touched.
fn touched(blocks: &[Arc<ExecutedBlock>]) -> BTreeSet<Address> {
    let mut all: BTreeSet<_> = (0..10).map(address).chain((0..CONTRACTS).map(contract)).collect();
    all.insert(FEES);
    for block in blocks {
        all.extend(block.diff().accounts.keys());
    }
    all
}

/// After every block, what is read is what its state root stands for: all of it at the head, before it a fifth of the
/// accounts, others after each block.
fn check(chain: &Chain, touched: &BTreeSet<Address>) {
    let head = chain.head().number;
    let supply = check_state(chain, head, touched.iter());
    assert_eq!(supply, U256::from(RICH) * U256::from(10), "nothing is made or lost");
    for number in 0..head {
        let first = usize::try_from(number % 5).unwrap();
        check_state(chain, number, touched.iter().skip(first).step_by(5));
    }
}

/// Checks these accounts after a block, and adds up what they have.
fn check_state<'a>(chain: &Chain, number: u64, touched: impl Iterator<Item = &'a Address>) -> U256 {
    let id = BlockId::number(number);
    let view = chain.state_at(id).unwrap();
    let root = chain.header_by_number(number).unwrap().unwrap().header.state_root;
    let slots: Vec<_> = (0..SLOTS).map(|slot| B256::from(U256::from(slot))).collect();
    let mut supply = U256::ZERO;
    for address in touched {
        let (_, proof) = chain.proof_at(id, address, &slots).unwrap();
        let flat = view.account(address).unwrap();
        assert_eq!(flat, proof.account, "after block {number}");
        supply += flat.map_or(U256::ZERO, |account| account.balance);
        let leaf = flat.map(|account| {
            alloy_rlp::encode(TrieAccount::new(account.nonce, account.balance, proof.storage_root, account.code_hash))
        });
        verify_proof(root, Nibbles::unpack(keccak256(address)), leaf, &proof.proof).unwrap();
        for (slot, (value, _)) in (0..SLOTS).zip(&proof.slots) {
            assert_eq!(view.storage(address, &U256::from(slot)).unwrap(), *value, "after block {number}");
        }
    }
    supply
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn two_nodes_agree(steps in steps()) {
        let genesis = genesis();
        let (a, b) = (Node::new(&genesis), Node::new(&genesis));
        let deployments: Vec<_> = (0..CONTRACTS as u64).map(|nonce| create(9, nonce, deploying(&STORE))).collect();
        let first = a.next(&deployments);
        b.validate(&first).unwrap();
        b.finalize(&first);
        let mut waiting: Vec<Arc<ExecutedBlock>> = Vec::new();
        let mut all = vec![first];
        for step in &steps {
            let parent = if waiting.is_empty() { a.chain.head().hash } else { step.upon.get(&waiting).hash() };
            // Another node makes the block: its pool has nothing but these transactions.
            let maker = Node::new(&genesis);
            for block in all.iter().filter(|block| block.number() <= a.chain.head().number) {
                if a.chain.hash_by_number(block.number()).unwrap() == Some(block.hash()) {
                    maker.validate(block).unwrap();
                    maker.finalize(block);
                }
            }
            let mut path = Vec::new();
            let mut next = parent;
            while let Some(block) = a.chain.get_unfinal(next) {
                next = block.parent_hash();
                path.push(block);
            }
            for block in path.iter().rev() {
                // What waits in blocks counts as pending, or what follows it is not executable.
                block.block().transactions().iter().for_each(|tx| maker.add(tx.raw()));
                maker.validate(block).unwrap();
            }
            let view = maker.chain.state_of(parent).unwrap();
            let mut nonces: Vec<_> = (0..SENDERS).map(|from| view.nonce(&address(from)).unwrap()).collect();
            for action in &step.actions {
                let from = sender(action);
                maker.add(&transaction(action, nonces[from]));
                nonces[from] += 1;
            }
            let mut block = maker.build_upon(parent);
            if a.chain.has(block.hash()) {
                // The same block once more; nothing to do with it.
                block = a.chain.get_unfinal(block.hash()).unwrap();
            }
            prop_assert_eq!(block.block().transactions().len(), step.actions.len());
            for node in [&a, &b] {
                let validated = node.validate(&block).unwrap();
                prop_assert_eq!(validated.block().header(), block.block().header());
            }
            all.push(block.clone());
            waiting.push(block);
            if let Some(chosen) = step.finalize {
                let chosen = chosen.get(&waiting).hash();
                for node in [&a, &b] {
                    node.chain.finalize(chosen, &[]).unwrap();
                }
                waiting.retain(|block| a.chain.has(block.hash()));
                prop_assert_eq!(a.chain.head(), b.chain.head());
            }
        }
        let touched = touched(&all);
        check(&a.chain, &touched);
        let head = b.chain.head();
        let directory = b.close();
        let again = Chain::open(&directory.path().join("chain"), &genesis, &ChainOptions::default()).unwrap();
        prop_assert_eq!(again.head(), head);
        check(&again, &touched);
    }
}

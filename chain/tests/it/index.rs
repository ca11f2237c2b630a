//! The index of accounts: left out, built later, and never taken for more than it is.

use std::sync::Arc;

use alloy_primitives::Address;
use assent_chain::storage::{AddressIndex, StorageError};
use assent_chain::{Chain, ChainOptions, History, IndexError};
use assent_genesis::Genesis;
use tempfile::TempDir;

use crate::support::{Node, STORE, address, call, create, deploying, genesis, transfer, words};

fn open(directory: Arc<TempDir>, genesis: &Genesis, without: bool) -> Node {
    let options = ChainOptions { without_address_index: without, ..ChainOptions::default() };
    let chain = Chain::open(&directory.path().join("chain"), genesis, &options).unwrap();
    Node { chain, directory }
}

fn new_without(genesis: &Genesis) -> Node {
    open(Arc::new(tempfile::tempdir().unwrap()), genesis, true)
}

/// Blocks with transfers, a creation and calls.
fn some_blocks(node: &Node) -> Address {
    let contract = address(0).create(0);
    node.next(&[create(0, 0, deploying(&STORE)), transfer(1, 0, address(2), 5)]);
    node.next(&[call(1, 1, contract, words(&[1, 7]))]);
    node.next(&[]);
    node.next(&[transfer(2, 0, address(1), 1), call(3, 0, contract, words(&[2, 9]))]);
    contract
}

fn places(chain: &Chain, of: Address) -> Vec<(u64, u32)> {
    let found: Result<Vec<_>, _> = chain.transactions_up_to(&of, u64::MAX).collect();
    found.unwrap().into_iter().map(|at| (at.number, at.index)).collect()
}

fn blocks(chain: &Chain, of: Address) -> Vec<u64> {
    places(chain, of).into_iter().map(|(number, _)| number).collect()
}

fn refusal(chain: &Chain, of: Address) -> StorageError {
    let found: Result<Vec<_>, _> = chain.transactions_from(&of, 0).collect();
    found.unwrap_err()
}

#[test]
fn an_index_that_is_built_later_is_the_one_that_was_written_with_the_blocks() {
    let genesis = genesis();
    let (with, without) = (Node::new(&genesis), new_without(&genesis));
    let contract = some_blocks(&with);
    some_blocks(&without);
    assert_eq!(
        (with.chain.address_index(), without.chain.address_index()),
        (AddressIndex::Whole, AddressIndex::UpTo(0))
    );
    assert_eq!(without.chain.build_address_index(|_, _| true).unwrap(), 4);
    assert_eq!(without.chain.address_index(), AddressIndex::Whole);
    // Which of a block's transactions comes first is the pool's business.
    for of in [contract, address(0), address(1), address(2), address(3), address(4)] {
        assert_eq!(blocks(&without.chain, of), blocks(&with.chain, of), "{of}");
    }
    assert_eq!(places(&with.chain, contract).len(), 3);
    // It goes on by itself now.
    without.next(&[transfer(4, 0, contract, 0)]);
    assert_eq!(places(&without.chain, address(4)), [(5, 0)]);
}

#[test]
fn an_index_that_is_not_whole_gives_an_error_and_no_list() {
    let genesis = genesis();
    let node = new_without(&genesis);
    let contract = some_blocks(&node);
    let error = refusal(&node.chain, contract);
    assert!(matches!(error, StorageError::AddressIndex { number: 0 }), "{error}");
    assert!(error.to_string().contains("assent db index"), "{error}");
    let creation = node.chain.creation_up_to(&contract, u64::MAX).unwrap().unwrap();
    assert_eq!(creation.number, 1, "creations are always there");
}

#[test]
fn switching_it_on_again_does_not_make_it_whole() {
    let genesis = genesis();
    let node = Node::new(&genesis);
    node.next(&[transfer(0, 0, address(9), 1)]);
    let node = open(node.close(), &genesis, true);
    node.next(&[transfer(0, 1, address(9), 1)]);
    let node = open(node.close(), &genesis, false);
    node.next(&[transfer(0, 2, address(9), 1)]);
    assert_eq!(node.chain.address_index(), AddressIndex::UpTo(1));
    refusal(&node.chain, address(9));
    assert_eq!(node.chain.build_address_index(|_, _| true).unwrap(), 2);
    assert_eq!(blocks(&node.chain, address(9)), [3, 2, 1]);
    let node = open(node.close(), &genesis, false);
    assert_eq!(node.chain.address_index(), AddressIndex::Whole);
}

#[test]
fn building_goes_on_where_it_was_ended() {
    let genesis = genesis();
    let node = new_without(&genesis);
    some_blocks(&node);
    let mut told = Vec::new();
    let built = node.chain.build_address_index(|number, head| {
        told.push((number, head));
        number < 2
    });
    assert_eq!((built.unwrap(), told), (2, vec![(1, 4), (2, 4)]));
    let node = open(node.close(), &genesis, false);
    assert_eq!(node.chain.address_index(), AddressIndex::UpTo(2));
    assert_eq!(node.chain.build_address_index(|_, _| true).unwrap(), 2);
    assert_eq!(blocks(&node.chain, address(1)), [4, 2, 1]);
}

#[test]
fn what_takes_states_that_are_gone_is_refused_with_what_is_there() {
    let genesis = genesis();
    let directory = Arc::new(tempfile::tempdir().unwrap());
    let options = ChainOptions {
        history: History::Blocks(History::LEAST),
        without_address_index: true,
        ..ChainOptions::default()
    };
    let chain = Chain::open(&directory.path().join("chain"), &genesis, &options).unwrap();
    let node = Node { chain, directory };
    for _ in 0..History::LEAST + 2 {
        node.next(&[]);
    }
    let error = node.chain.build_address_index(|_, _| true).unwrap_err();
    assert!(matches!(error, IndexError::Pruned { end: 0, oldest: 2 }), "{error}");
    assert_eq!(node.chain.address_index(), AddressIndex::UpTo(0));
}

#[test]
fn an_index_that_ends_at_the_head_is_whole_at_once() {
    let genesis = genesis();
    let node = Node::new(&genesis);
    node.next(&[transfer(0, 0, address(9), 1)]);
    let node = open(node.close(), &genesis, true);
    assert_eq!(node.chain.address_index(), AddressIndex::UpTo(1));
    assert_eq!(node.chain.build_address_index(|_, _| true).unwrap(), 0);
    assert_eq!(node.chain.address_index(), AddressIndex::Whole);
}

//! What a block takes of a pool in which much does not fit.

use alloy_consensus::TxEip1559;
use alloy_primitives::{Bytes, TxKind};
use assent_chain::mempool::{Origin, PoolError, PoolRules};
use assent_chain::transaction::TransactionError;
use revm::primitives::hardfork::SpecId;

use crate::support::*;

const GAS_LIMIT: u64 = 10_000_000;

/// A transaction for nothing that asks for all gas of a block, or more.
fn hungry(from: usize, gas_limit: u64) -> Bytes {
    sign(from, TxEip1559 { to: TxKind::Call(address(9)), gas_limit, ..eip1559(0) })
}

fn with_input(from: usize, bytes: usize) -> Bytes {
    let input = vec![0; bytes].into();
    sign(from, TxEip1559 { to: TxKind::Call(address(9)), gas_limit: 5_000_000, input, ..eip1559(0) })
}

/// Three hundred senders that own nothing and ask for whole blocks do not keep the others out.
#[test]
fn those_that_do_not_fit_keep_nobody_out() {
    let node = Node::new(&genesis_with(|plan| plan.gas_limit = GAS_LIMIT));
    (100..400).for_each(|from| node.add(&hungry(from, GAS_LIMIT)));
    for nonce in 0..6 {
        (0..10).for_each(|from| node.add(&transfer(from, nonce, address(50), 1)));
    }
    let block = node.build_upon(node.chain.head().hash);
    let large = block.block().transactions().iter().filter(|tx| (100..400).any(|n| tx.sender() == address(n)));
    assert_eq!(large.count(), 1, "the first, which came before the others");
    assert_eq!(block.block().transactions().len(), 61);
    node.finalize(&block);
    assert_eq!(node.chain.pool().len(), 299);
    // These are served all the same, one by one.
    assert_eq!(node.build_upon(node.chain.head().hash).block().transactions().len(), 1);
}

/// The same with bytes in place of gas.
#[test]
fn those_that_are_too_long_keep_nobody_out() {
    let node = Node::new(&genesis_with(|plan| plan.consensus.max_block_bytes = 256 * 1024));
    (0..10).for_each(|from| node.add(&with_input(from, 100_000)));
    (20..120).for_each(|from| node.add(&hungry(from, 21_000)));
    let block = node.build_upon(node.chain.head().hash);
    assert_eq!(block.block().transactions().len(), 2 + 100);
}

/// In a genesis as small as none that passes the checks.
#[test]
fn the_pool_refuses_what_fits_into_no_block() {
    let mut genesis = genesis();
    genesis.assent.consensus.max_block_bytes = 64 * 1024;
    let node = Node::new(&genesis);
    let error = node.chain.pool().add_raw(with_input(0, 65_300), Origin::Local).unwrap_err();
    let PoolError::Transaction(TransactionError::Oversized { limit, .. }) = error else { panic!("{error}") };
    assert!((47_000..65_536).contains(&limit), "{limit}");
    assert!(!node.chain.has_work(node.chain.head().hash));
    // The longest that is taken is in the next block, with as much evidence as there can be.
    let overhead = with_input(0, 40_000).len() - 40_000;
    node.add(&with_input(0, limit - overhead));
    let head = node.chain.head();
    let mut request = node.request(head.hash, 1, head.time_ms);
    request.seal.evidence = vec![vec![7; 4096].into(); 4];
    let block = node.chain.build(request).unwrap();
    assert_eq!(block.block().transactions().len(), 1);
    node.decode(&block);
}

/// A pool whose rules are looser than the chain's does not make endless empty blocks.
#[test]
fn the_builder_drops_what_fits_into_no_block() {
    let mut genesis = genesis_with(|plan| plan.gas_limit = GAS_LIMIT);
    genesis.assent.consensus.max_block_bytes = 64 * 1024;
    let node = Node::new(&genesis);
    node.chain.pool().set_rules(PoolRules::new(CHAIN_ID, SpecId::PRAGUE, 0, 0, 2 * GAS_LIMIT));
    node.add(&with_input(0, 65_300));
    node.add(&hungry(1, GAS_LIMIT + 1));
    node.add(&hungry(2, GAS_LIMIT));
    let head = node.chain.head().hash;
    assert!(node.chain.has_work(head));
    let block = node.build_upon(head);
    assert_eq!(block.block().transactions().len(), 1);
    assert!(!node.chain.has_work(block.hash()), "nothing waits in vain");
    assert_eq!(node.chain.pool().len(), 1);
}

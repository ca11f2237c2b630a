//! Fork times and fees.

use alloy_consensus::TxEip1559;
use alloy_primitives::{Address, TxKind, U256};
use assent_chain::{Chain, ChainOptions, OpenError};

use crate::support::*;

#[test]
fn forks_begin_at_their_times() {
    let mut genesis = genesis();
    genesis.ethereum.config.cancun_time = Some(START + 10);
    genesis.ethereum.config.prague_time = Some(START + 20);
    genesis.ethereum.config.osaka_time = None;
    let (a, b) = (Node::new(&genesis), Node::new(&genesis));
    for (seconds, cancun, prague) in [(9, false, false), (10, true, false), (19, true, false), (20, true, true)] {
        let head = a.chain.head();
        let request = a.request(head.hash, head.number + 1, (START + seconds) * 1000);
        let block = a.chain.build(request).unwrap();
        let header = block.block().header();
        assert!(header.withdrawals_root.is_some());
        assert_eq!(header.blob_gas_used.is_some(), cancun, "{seconds}");
        assert_eq!(header.parent_beacon_block_root.is_some(), cancun);
        assert_eq!(header.requests_hash.is_some(), prague);
        b.validate(&block).unwrap();
        a.finalize(&block);
        b.finalize(&block);
    }
}

#[test]
fn unsupported_forks_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut genesis = genesis();
    genesis.ethereum.config.amsterdam_time = Some(START);
    let error = Chain::open(&directory.path().join("chain"), &genesis, &ChainOptions::default()).unwrap_err();
    assert!(matches!(error, OpenError::Forks(_)), "{error}");
    assert!(error.to_string().contains("amsterdamTime"), "{error}");
    assert!(!directory.path().join("chain").exists(), "nothing was created");
}

#[test]
fn fees_go_to_the_recipient_and_the_base_fee_to_nobody() {
    let (base, tip) = (10u64, 7u64);
    let genesis = genesis_with(|plan| plan.fees.base_fee = base);
    let (a, b) = (Node::new(&genesis), Node::new(&genesis));
    let to = Address::repeat_byte(0x77);
    let tx = TxEip1559 {
        to: TxKind::Call(to),
        value: U256::from(5),
        max_fee_per_gas: 1000,
        max_priority_fee_per_gas: u128::from(tip),
        ..eip1559(0)
    };
    let block = a.next(&[sign(0, tx)]);
    b.validate(&block).unwrap();
    b.finalize(&block);
    assert_eq!(block.block().header().base_fee_per_gas, Some(base));
    assert_eq!(b.balance(FEES), U256::from(tip * 21_000));
    assert_eq!(b.balance(address(0)), U256::from(RICH - 5 - (base + tip) * 21_000));
    let receipt = b.chain.receipt(block.block().transactions()[0].hash()).unwrap().unwrap();
    assert_eq!(receipt.effective_gas_price, u128::from(base + tip));
    // The base fee does not move, however full blocks are.
    assert_eq!(a.next(&[]).block().header().base_fee_per_gas, Some(base));
}

#[test]
fn the_minimum_price_is_a_rule_of_blocks() {
    let cheap = genesis_with(|_| ());
    let node = Node::new(&cheap);
    let free = transfer(0, 0, address(1), 1);
    node.next(std::slice::from_ref(&free));

    let dear = Node::new(&genesis_with(|plan| plan.fees.min_gas_price = 3));
    assert!(dear.chain.pool().add_raw(free, assent_chain::mempool::Origin::Local).is_err());
    let tx = TxEip1559 { to: TxKind::Call(address(1)), max_fee_per_gas: 3, max_priority_fee_per_gas: 3, ..eip1559(0) };
    dear.next(&[sign(0, tx)]);
    assert_eq!(dear.balance(FEES), U256::from(63_000));
}

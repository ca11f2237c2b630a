//! A block's life: from the pool to the database, on the node that builds it and on others.

use alloy_consensus::{TxEip1559, TxEip2930, TxEip7702, TxLegacy};
use alloy_eips::BlockId;
use alloy_eips::eip7702::Authorization;
use alloy_primitives::{Address, B256, TxKind, U256};
use alloy_signer::SignerSync;
use assent_chain::{Chain, ChainOptions, FinalizeError, StateError};
use tokio::sync::broadcast::error::TryRecvError;

use crate::support::*;

#[test]
fn from_the_pool_to_both_databases() {
    let genesis = genesis();
    let (a, b) = (Node::new(&genesis), Node::new(&genesis));
    assert_eq!(a.chain.head(), b.chain.head());
    assert_eq!(a.chain.head().hash, genesis.hash());
    assert_eq!(a.chain.head().time_ms, START * 1000);
    let mut finals = a.chain.subscribe();
    let start = a.chain.head().hash;
    assert!(!a.chain.has_work(start));

    let to = Address::repeat_byte(0x77);
    let raw = [transfer(0, 0, to, 5), transfer(0, 1, to, 6), transfer(1, 0, to, 7)];
    raw.iter().for_each(|raw| a.add(raw));
    assert!(a.chain.has_work(start));
    let built = a.build_upon(start);
    assert!(!a.chain.has_work(built.hash()), "all of it is in the block");
    assert!(a.chain.has_work(start), "it is not final yet");
    assert_eq!(a.balance(to), U256::ZERO);
    let upon = a.chain.state_of(built.hash()).unwrap();
    assert_eq!(upon.balance(&to).unwrap(), U256::from(18));
    assert_eq!(a.chain.get_unfinal(built.hash()).unwrap().hash(), built.hash());

    // B knows one of the transactions already.
    b.add(&raw[2]);
    let validated = b.validate(&built).unwrap();
    assert_eq!(validated.encoded(), built.encoded());
    assert!(b.chain.has(built.hash()));
    for node in [&a, &b] {
        assert!(finals.try_recv().is_err_and(|error| error == TryRecvError::Empty));
        node.finalize(&built);
        assert!(!node.chain.has(built.hash()));
        assert_eq!(node.balance(to), U256::from(18));
        assert_eq!(node.chain.pool().len(), 0);
        if std::ptr::eq(node, &a) {
            assert_eq!(finals.try_recv().unwrap().hash(), built.hash());
        }
    }
    assert_eq!(a.chain.head(), b.chain.head());
    // Again, and for a block that nobody knows.
    assert!(a.chain.finalize(built.hash(), &[]).unwrap().is_empty());
    assert!(matches!(a.chain.finalize(B256::repeat_byte(1), &[]), Err(FinalizeError::Unknown(_))));

    check_reads(&a.chain, &built, to);
    let head = b.chain.head();
    let directory = b.close();
    let again = Chain::open(&directory.path().join("chain"), &genesis, &ChainOptions::default()).unwrap();
    assert_eq!(again.head(), head);
    check_reads(&again, &built, to);
}

/// The same answers from memory and from the database.
fn check_reads(chain: &Chain, built: &assent_chain::ExecutedBlock, to: Address) {
    let block = chain.block_by_number(1).unwrap().unwrap();
    assert_eq!(block.hash(), built.hash());
    assert_eq!(block.encoded(), built.encoded());
    assert_eq!(block.header(), built.block().header());
    assert_eq!(chain.block_by_hash(&built.hash()).unwrap().unwrap().hash(), built.hash());
    assert_eq!(chain.header_by_number(1).unwrap().unwrap().seal, *built.block().seal());
    assert_eq!(chain.receipts(1).unwrap().unwrap(), *built.receipts());
    assert_eq!(chain.certificate(1).unwrap().unwrap(), certificate(built.hash()));
    assert_eq!(chain.certificate(0).unwrap(), None);
    assert_eq!(chain.block_by_number(2).unwrap().map(|block| block.hash()), None);
    assert_eq!(chain.block_by_number(0).unwrap().unwrap().hash(), chain.spec().genesis_hash);
    assert_eq!(chain.hash_by_number(1).unwrap(), Some(built.hash()));
    for (index, tx) in (0u32..).zip(block.transactions()) {
        let found = chain.transaction(tx.hash()).unwrap().unwrap();
        assert_eq!((found.block_number, found.index, found.block_hash), (1, index, built.hash()));
        assert_eq!(found.transaction.sender(), tx.sender());
        assert_eq!(found.transaction.raw(), tx.raw());
        let receipt = chain.receipt(tx.hash()).unwrap().unwrap();
        assert!(receipt.receipt.success);
        assert_eq!(receipt.receipt.gas_used, 21_000);
        assert_eq!(receipt.receipt.cumulative_gas_used, 21_000 * u64::from(index + 1));
        assert_eq!(receipt.contract_address, None);
    }
    assert!(chain.transaction(&B256::ZERO).unwrap().is_none());
    assert!(chain.receipt(&B256::ZERO).unwrap().is_none());
    assert_eq!(chain.state_at(BlockId::latest()).unwrap().balance(&to).unwrap(), U256::from(18));
    assert!(matches!(chain.state_at(BlockId::number(2)), Err(StateError::Unknown)));
    assert!(matches!(chain.state_at(BlockId::hash(B256::ZERO)), Err(StateError::Unknown)));
}

#[test]
fn every_kind_of_transaction_runs_once() {
    let genesis = genesis();
    let (a, b) = (Node::new(&genesis), Node::new(&genesis));
    let to = TxKind::Call(Address::repeat_byte(0x77));
    let authorization = Authorization { chain_id: U256::from(CHAIN_ID), address: Address::repeat_byte(0x99), nonce: 0 };
    let signature = signer(5).sign_hash_sync(&authorization.signature_hash()).unwrap();
    let raw = [
        sign(0, TxLegacy { chain_id: Some(CHAIN_ID), gas_limit: 21_000, to, ..TxLegacy::default() }),
        sign(1, TxEip2930 { chain_id: CHAIN_ID, gas_limit: 21_000, to, ..TxEip2930::default() }),
        sign(2, TxEip1559 { to, ..eip1559(0) }),
        sign(
            3,
            TxEip7702 {
                chain_id: CHAIN_ID,
                gas_limit: 100_000,
                to: Address::repeat_byte(0x77),
                authorization_list: vec![authorization.into_signed(signature)],
                ..TxEip7702::default()
            },
        ),
    ];
    let block = a.next(&raw);
    assert_eq!(block.receipts().iter().map(|receipt| receipt.tx_type).collect::<Vec<_>>(), [0, 1, 2, 4]);
    assert!(block.receipts().iter().all(|receipt| receipt.success));
    b.validate(&block).unwrap();
    b.finalize(&block);
    let delegated = b.chain.latest_state().account(&address(5)).unwrap().unwrap();
    assert_eq!(delegated.nonce, 1);
    assert_eq!(b.chain.latest_state().code(&address(5)).unwrap().len(), 23);
    // A delegated account may still send, at its new nonce.
    b.next(&[transfer(5, 1, address(6), 1)]);
}

#[test]
fn a_block_may_have_no_transactions() {
    let node = Node::new(&genesis());
    node.add(&transfer(0, 0, address(1), 1));
    let head = node.chain.head();
    let mut request = node.request(head.hash, 1, head.time_ms);
    request.empty = true;
    let block = node.chain.build(request).unwrap();
    assert!(block.block().transactions().is_empty());
    assert_eq!(block.block().header().state_root, head.state_root);
    node.finalize(&block);
    assert_eq!(node.chain.pool().len(), 1);
    assert!(node.chain.has_work(block.hash()));
}

#[test]
fn import_takes_a_block_with_its_certificate() {
    let genesis = genesis();
    let (a, b) = (Node::new(&genesis), Node::new(&genesis));
    let blocks: Vec<_> = (0..5).map(|nonce| a.next(&[transfer(0, nonce, address(1), 1)])).collect();
    for block in &blocks {
        // The time is a quorum's, whatever this node's clock says.
        let imported = b.chain.import(b.decode(block), certificate(block.hash())).unwrap();
        assert_eq!(imported.hash(), block.hash());
    }
    assert_eq!(a.chain.head(), b.chain.head());
    assert_eq!(b.chain.certificate(5).unwrap().unwrap(), certificate(blocks[4].hash()));
    // One that is there already is refused as stale, and nothing is wrong with it.
    let error = b.chain.import(b.decode(&blocks[4]), Vec::new()).unwrap_err();
    assert!(error.to_string().contains("not above the final head"), "{error}");
}

#[test]
fn what_the_block_leaves_out_stays_in_the_pool() {
    let node = Node::new(&genesis_with(|plan| plan.consensus.max_block_transactions = 2));
    for nonce in 0..5 {
        node.add(&transfer(0, nonce, address(1), 1));
    }
    for expected in [2, 2, 1] {
        let block = node.build_upon(node.chain.head().hash);
        assert_eq!(block.block().transactions().len(), expected);
        node.finalize(&block);
    }
    assert_eq!(node.chain.pool().len(), 0);
}

#[test]
fn gas_and_bytes_bound_a_block() {
    let gas_limit = 5_000_000;
    let node = Node::new(&genesis_with(|plan| plan.gas_limit = gas_limit));
    // Two that do not fit together, and small ones of others, which still fit.
    let large = |from| sign(from, TxEip1559 { to: TxKind::Call(address(9)), gas_limit: 3_000_000, ..eip1559(0) });
    node.add(&large(0));
    // It uses 21,000; what counts before it runs is its limit.
    let hungry = sign(1, TxEip1559 { to: TxKind::Call(address(9)), gas_limit, ..eip1559(0) });
    node.add(&hungry);
    node.add(&transfer(2, 0, address(9), 1));
    let block = node.build_upon(node.chain.head().hash);
    let senders: Vec<_> = block.block().transactions().iter().map(|tx| tx.sender()).collect();
    assert_eq!(senders, [address(0), address(2)]);
    node.finalize(&block);
    assert_eq!(node.build_upon(node.chain.head().hash).block().transactions().len(), 1);

    let max_block_bytes = 256 * 1024;
    let node = Node::new(&genesis_with(|plan| plan.consensus.max_block_bytes = max_block_bytes));
    for nonce in 0..10 {
        let input = vec![0; 40_000].into();
        node.add(&sign(0, TxEip1559 { to: TxKind::Call(address(9)), input, gas_limit: 500_000, ..eip1559(nonce) }));
    }
    let block = node.build_upon(node.chain.head().hash);
    assert_eq!(block.block().transactions().len(), 6);
    assert!(block.encoded().len() <= max_block_bytes as usize);
    node.decode(&block);
}

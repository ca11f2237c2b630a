//! States of several blocks at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alloy_consensus::TxEip1559;
use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex, keccak256};
use alloy_trie::proof::verify_proof;
use alloy_trie::{Nibbles, TrieAccount};
use assent_chain::state::StateView;
use assent_chain::{History, StateError};

use crate::support::*;

fn total(view: &StateView) -> Result<U256, StateError> {
    (0..10).map(|index| view.balance(&address(index))).sum()
}

/// While one thread makes blocks final, others add up balances in views of their own: every sum is
/// that of the genesis, however long a view lives.
#[test]
fn a_view_is_never_torn() {
    let node = Arc::new(Node::new(&genesis()));
    let expected = U256::from(RICH) * U256::from(10);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        let view = node.chain.latest_state();
                        for _ in 0..3 {
                            assert_eq!(total(&view).unwrap(), expected);
                        }
                    }
                })
            })
            .collect();
        for block in 0..200u64 {
            // Everybody sends to the next one, so a torn read would show.
            let batch: Vec<_> =
                (0..10).map(|from| transfer(from, block, address((from + 1) % 10), 1000 + block)).collect();
            node.next(&batch);
        }
        done.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
}

#[test]
fn recent_states_are_kept_and_old_ones_pruned() {
    let node = Node::open(Arc::new(tempfile::tempdir().unwrap()), &genesis(), History::Blocks(128));
    let to = Address::repeat_byte(0x77);
    let old = node.chain.latest_state();
    for nonce in 0..200 {
        node.next(&[transfer(0, nonce, to, 1)]);
    }
    for number in [200, 199, 150, 80] {
        let view = node.chain.state_at(BlockId::number(number)).unwrap();
        assert_eq!(view.balance(&to).unwrap(), U256::from(number), "after block {number}");
        assert_eq!(view.nonce(&address(0)).unwrap(), number);
        assert_eq!(view.block_hash(number).unwrap(), node.chain.hash_by_number(number).unwrap().unwrap());
        assert_eq!(view.block_hash(number + 1).unwrap(), B256::ZERO);
    }
    for number in [0, 10, 60] {
        let error = node.chain.state_at(BlockId::number(number)).unwrap_err();
        assert!(matches!(error, StateError::Pruned { head: 200, .. }), "{error}");
        assert!(error.to_string().contains("pruned: this node can read it from block 72 on"), "{error}");
    }
    // A view from long ago says so too, and never gives a later value.
    assert!(matches!(old.balance(&to), Err(StateError::Pruned { .. })));
    // A state is also found by its block's hash.
    let hash = node.chain.hash_by_number(190).unwrap().unwrap();
    assert_eq!(node.chain.state_at(BlockId::hash(hash)).unwrap().balance(&to).unwrap(), U256::from(190));
}

#[test]
fn contracts_live_in_blocks_that_are_not_final() {
    let genesis = genesis();
    let (a, b) = (Node::new(&genesis), Node::new(&genesis));
    let contract = address(0).create(0);
    let start = a.chain.head().hash;
    let one = a.build_with(start, &[create(0, 0, deploying(&STORE))]);
    let two = a.build_with(one.hash(), &[call(1, 0, contract, words(&[7, 70])), call(2, 0, contract, words(&[8, 80]))]);
    let three =
        a.build_with(two.hash(), &[call(1, 1, contract, words(&[7, 0])), call(2, 1, contract, words(&[9, 90]))]);
    for block in [&one, &two, &three] {
        assert!(block.receipts().iter().all(|receipt| receipt.success));
        b.validate(block).unwrap();
    }
    let slots = |view: &StateView| -> Vec<u64> {
        [7, 8, 9].iter().map(|slot| view.storage(&contract, &U256::from(*slot)).unwrap().to()).collect()
    };
    let expected = [(&one, [0, 0, 0]), (&two, [70, 80, 0]), (&three, [0, 80, 90])];
    for (block, expected) in expected {
        assert_eq!(slots(&b.chain.state_of(block.hash()).unwrap()), expected);
        assert_eq!(b.chain.state_of(block.hash()).unwrap().code(&contract).unwrap().as_ref(), STORE);
    }
    assert_eq!(slots(&b.chain.latest_state()), [0, 0, 0]);
    // Becoming final one after the other changes nothing for who looks at any of them.
    let views: Vec<_> = expected.iter().map(|(block, _)| b.chain.state_of(block.hash()).unwrap()).collect();
    for (block, _) in expected {
        b.finalize(block);
        for (view, (_, expected)) in views.iter().zip(expected) {
            assert_eq!(slots(view), expected);
        }
    }
    for (number, (_, expected)) in (1..).zip(expected) {
        assert_eq!(slots(&b.chain.state_at(BlockId::number(number)).unwrap()), expected);
    }
    let bloom = two.block().header().logs_bloom;
    assert!(bloom.contains_input(alloy_primitives::BloomInput::Raw(contract.as_slice())));
    assert_eq!(two.receipts()[1].logs[0].data.data.as_ref(), words(&[80]).as_ref());
    b.finalize(&three);
    let receipt = b.chain.receipt(two.block().transactions()[1].hash()).unwrap().unwrap();
    assert_eq!(receipt.first_log_index, 1);
    let deployed = b.chain.receipt(one.block().transactions()[0].hash()).unwrap().unwrap();
    assert_eq!(deployed.contract_address, Some(contract));
}

#[test]
fn proofs_are_ethereums() {
    let node = Node::new(&genesis());
    let contract = address(0).create(0);
    node.next(&[create(0, 0, deploying(&STORE))]);
    let calls: Vec<_> = (0..20).map(|n| call(1, n, contract, words(&[n + 1, n + 100]))).collect();
    node.next(&calls);
    let slots = [B256::from(U256::from(3)), B256::from(U256::from(77))];
    let (header, proof) = node.chain.proof_at(BlockId::latest(), &contract, &slots).unwrap();
    assert_eq!(header.hash, node.chain.head().hash);
    let account = proof.account.unwrap();
    let leaf = TrieAccount::new(account.nonce, account.balance, proof.storage_root, account.code_hash);
    let key = Nibbles::unpack(keccak256(contract));
    verify_proof(header.header.state_root, key, Some(alloy_rlp::encode(leaf)), &proof.proof).unwrap();
    assert_eq!(proof.slots[0].0, U256::from(102));
    for (slot, (value, nodes)) in slots.iter().zip(&proof.slots) {
        let leaf = (!value.is_zero()).then(|| alloy_rlp::encode(value));
        verify_proof(proof.storage_root, Nibbles::unpack(keccak256(slot)), leaf, nodes).unwrap();
    }
    let (_, absent) = node.chain.proof_at(BlockId::latest(), &Address::repeat_byte(0x55), &[]).unwrap();
    assert_eq!(absent.account, None);
    verify_proof(header.header.state_root, Nibbles::unpack(keccak256(Address::repeat_byte(0x55))), None, &absent.proof)
        .unwrap();
}

/// Before Cancun a contract loses its storage when it destroys itself; its address may be used
/// again in the same block or later, while none of it is final.
#[test]
fn destroyed_contracts_and_their_storage() {
    let genesis = genesis_with(|_| ());
    let genesis = {
        let mut genesis = genesis;
        genesis.ethereum.config.cancun_time = None;
        genesis.ethereum.config.prague_time = None;
        genesis.ethereum.config.osaka_time = None;
        genesis
    };
    let (a, b) = (Node::new(&genesis), Node::new(&genesis));
    // SSTORE(1, 5) on a call with input; SELFDESTRUCT(0) on one without.
    let code = hex!("36600857600035ff5b6005600155 00");
    // A factory: CREATE2 of the init code that it is sent, with salt 0.
    let factory_code = hex!("366000600037600036600060 00f5 00");
    let factory = address(0).create(0);
    let init = deploying(&code);
    let child = factory.create2_from_code(B256::ZERO, &init);
    let start = a.chain.head().hash;
    let mut blocks = vec![a.build_with(start, &[create(0, 0, deploying(&factory_code))])];
    let steps: [&dyn Fn(u64) -> alloy_primitives::Bytes; 6] = [
        &|nonce| call(1, nonce, factory, init.clone()),
        &|nonce| call(1, nonce, child, vec![1]),
        &|nonce| call(1, nonce, child, vec![]),
        &|nonce| call(1, nonce, factory, init.clone()),
        &|nonce| call(1, nonce, child, vec![1]),
        &|nonce| call(1, nonce, child, vec![]),
    ];
    for (nonce, step) in (0..).zip(steps) {
        let parent = blocks.last().unwrap().hash();
        blocks.push(a.build_with(parent, &[step(nonce)]));
    }
    let slot =
        |node: &Node, hash| node.chain.state_of(hash).unwrap().storage(&child, &U256::from(1)).unwrap().to::<u64>();
    let expected = [0, 0, 5, 0, 0, 5, 0];
    for (block, expected) in blocks.iter().zip(expected) {
        b.validate(block).unwrap();
        assert_eq!(slot(&b, block.hash()), expected, "block {}", block.number());
    }
    let views: Vec<_> = blocks.iter().map(|block| b.chain.state_of(block.hash()).unwrap()).collect();
    for block in &blocks {
        b.finalize(block);
        for (view, expected) in views.iter().zip(expected) {
            assert_eq!(view.storage(&child, &U256::from(1)).unwrap(), U256::from(expected));
        }
    }
    // What was in the storage of before is still known.
    for (block, expected) in blocks.iter().zip(expected) {
        let id = BlockId::number(block.number());
        let then = b.chain.state_at(id).unwrap();
        assert_eq!(then.storage(&child, &U256::from(1)).unwrap(), U256::from(expected), "block {}", block.number());
        let (_, proof) = b.chain.proof_at(id, &child, &[B256::with_last_byte(1)]).unwrap();
        assert_eq!(proof.slots[0].0, U256::from(expected));
    }
    let again = assent_chain::Chain::open(&b.path(), &genesis, &Default::default());
    assert!(matches!(again, Err(assent_chain::OpenError::Locked { .. })), "{again:?}");
}

/// However large the blocks are, the states after them can be read, whether they are in memory or not.
#[test]
fn states_of_large_blocks_are_kept() {
    let node = Node::new(&genesis_with(|plan| {
        plan.gas_limit = 200_000_000;
        plan.consensus.max_block_bytes = 8 * 1024 * 1024;
    }));
    for nonce in 0..10 {
        for from in 0..5 {
            let input = Bytes::from(vec![0; 120_000]);
            for of_sender in 0..8 {
                let tx =
                    TxEip1559 { to: TxKind::Call(address(9)), input: input.clone(), ..eip1559(nonce * 8 + of_sender) };
                node.add(&sign(from, TxEip1559 { gas_limit: 1_500_000, ..tx }));
            }
        }
        let block = node.build_upon(node.chain.head().hash);
        assert_eq!(block.block().transactions().len(), 40);
        node.finalize(&block);
    }
    for number in 0..=10 {
        let view = node.chain.state_at(BlockId::number(number)).unwrap();
        assert_eq!(view.nonce(&address(0)).unwrap(), number * 8, "after block {number}");
    }
}

//! The one encoding of a block.

use std::sync::Arc;

use alloy_primitives::{Bytes, hex, keccak256};
use assent_chain::Block;
use assent_chain::block::{BlockLimits, DecodeError};
use proptest::prelude::*;

use crate::support::*;

const LIMITS: BlockLimits = BlockLimits { bytes: 1 << 20, transactions: 3 };

fn decode(bytes: &Bytes) -> Result<Block, DecodeError> {
    Block::decode(bytes, LIMITS, |_| None)
}

/// A block of the chain that `genesis()` describes with everything fixed.
fn example() -> Bytes {
    let node = Node::new(&genesis());
    let head = node.chain.head();
    node.add(&transfer(0, 0, address(1), 5));
    let legacy = alloy_consensus::TxLegacy {
        chain_id: Some(CHAIN_ID),
        gas_limit: 21_000,
        to: alloy_primitives::TxKind::Call(address(2)),
        ..Default::default()
    };
    node.add(&sign(1, legacy));
    let mut request = node.request(head.hash, 1, head.time_ms + 7);
    request.seal.evidence = vec![Bytes::from_static(b"evidence")];
    // The parent's hash covers keys that are drawn anew for each network: leave it out.
    request.seal.parent_certificate = keccak256(b"certificate");
    let block = node.chain.build(request).unwrap();
    assert_eq!(block.block().transactions().len(), 2);
    block.encoded().clone()
}

#[test]
fn decodes_to_the_same_bytes() {
    let bytes = example();
    let block = decode(&bytes).unwrap();
    assert_eq!(block.encoded(), &bytes);
    assert_eq!(block.hash(), block.header.hash_slow());
    assert_eq!(block.transactions.len(), 2);
    assert_eq!(block.header.extra_data.as_ref(), block.seal.hash().as_slice());
    assert_eq!(block.seal.evidence, [Bytes::from_static(b"evidence")]);
}

#[test]
fn limits_and_one_more() {
    let bytes = example();
    let limits = |bytes, transactions| BlockLimits { bytes, transactions };
    let decode = |limits| Block::decode(&bytes, limits, |_| None).map(|_| ());
    assert_eq!(decode(limits(bytes.len(), 2)), Ok(()));
    let (got, limit) = (bytes.len(), bytes.len() - 1);
    assert_eq!(decode(limits(limit, 2)), Err(DecodeError::TooLarge { got, limit }));
    assert_eq!(decode(limits(bytes.len(), 1)), Err(DecodeError::TooManyTransactions { limit: 1 }));
}

#[test]
fn refuses_trailing_and_missing_bytes() {
    let bytes = example();
    for end in 0..bytes.len() {
        assert!(decode(&bytes.slice(..end)).is_err(), "cut at {end}");
    }
    let mut longer = bytes.to_vec();
    longer.push(0);
    assert!(decode(&longer.into()).is_err());
    for garbage in [&[][..], &[0xc0], &[0x80], &[0xff; 40], &hex!("c3c0c0c0"), &[0; 100]] {
        assert!(decode(&Bytes::copy_from_slice(garbage)).is_err(), "{garbage:?}");
    }
}

#[test]
fn known_transactions_are_shared() {
    let genesis = genesis();
    let (a, b) = (Node::new(&genesis), Node::new(&genesis));
    let raw = [transfer(0, 0, address(1), 5), transfer(1, 0, address(1), 5)];
    b.add(&raw[1]);
    let built = a.build_with(a.chain.head().hash, &raw);
    let validated = b.validate(&built).unwrap();
    let pooled = b.chain.pool().get(validated.block().transactions()[1].hash()).unwrap();
    assert!(Arc::ptr_eq(&pooled, &validated.block().transactions()[1]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a peer changes in a block, it is refused or it is another block with exactly these
    /// bytes; and judging it never panics.
    #[test]
    fn changed_bytes_are_refused_or_another_block(at in any::<prop::sample::Index>(), xor in 1u8..) {
        thread_local! {
            static FIXTURE: (Node, Bytes) = (Node::new(&genesis()), example());
        }
        FIXTURE.with(|(node, bytes)| {
            let mut changed = bytes.to_vec();
            let at = at.index(changed.len());
            changed[at] ^= xor;
            let changed = Bytes::from(changed);
            if let Ok(block) = node.chain.decode_block(&changed) {
                let again = Block::decode(block.encoded(), LIMITS, |_| None).unwrap();
                assert_eq!(again.encoded(), &changed);
                let expect = assent_chain::SealExpectation::of(&block.seal);
                let judged = node.chain.validate(block, &expect, u64::MAX, SKEW);
                assert!(judged.is_err());
            }
        });
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = decode(&bytes.into());
    }
}

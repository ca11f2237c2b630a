//! What makes a block of another node invalid, and what only makes it too early.

use std::time::Duration;

use alloy_consensus::{Header, TxEip1559};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, TxKind, U256};
use alloy_rlp::{Encodable, Header as RlpHeader};
use assent_chain::{BlockError, ExecutedBlock, Seal, SealExpectation};

use crate::support::*;

/// A block's parts, to be changed and put together again.
struct Parts {
    header: Header,
    transactions: Vec<Bytes>,
    seal: Seal,
}

impl Parts {
    fn of(block: &ExecutedBlock) -> Self {
        let block = block.block();
        let transactions = block.transactions().iter().map(|tx| tx.signed().network_encoded()).collect();
        Self { header: block.header().clone(), transactions, seal: block.seal().clone() }
    }

    fn encode(&self) -> Bytes {
        let body = self.transactions.concat();
        let mut fields = Vec::new();
        self.header.encode(&mut fields);
        RlpHeader { list: true, payload_length: body.len() }.encode(&mut fields);
        fields.extend_from_slice(&body);
        self.seal.encode(&mut fields);
        let mut out = Vec::new();
        RlpHeader { list: true, payload_length: fields.len() }.encode(&mut out);
        out.extend_from_slice(&fields);
        out.into()
    }
}

trait NetworkEncoded {
    fn network_encoded(&self) -> Bytes;
}

impl<T: Encodable2718> NetworkEncoded for T {
    fn network_encoded(&self) -> Bytes {
        let mut out = Vec::new();
        self.network_encode(&mut out);
        out.into()
    }
}

fn judge(node: &Node, parts: &Parts, expect: &SealExpectation) -> Result<(), BlockError> {
    let block = node.chain.decode_block(&parts.encode())?;
    let now = parts.seal.time_ms;
    node.chain.validate(block, expect, now, SKEW).map(|_| ())
}

#[test]
fn each_field_of_the_header_is_compared() {
    let genesis = genesis();
    let (a, b) = (Node::new(&genesis), Node::new(&genesis));
    let built = a.build_with(a.chain.head().hash, &[transfer(0, 0, address(1), 5)]);
    let expect = SealExpectation::of(built.block().seal());
    type Change = fn(&mut Header);
    let changes: Vec<(&str, Change)> = vec![
        ("number", |header| header.number += 1),
        ("timestamp", |header| header.timestamp += 1),
        ("mixHash", |header| header.mix_hash = B256::ZERO),
        ("gasLimit", |header| header.gas_limit -= 1),
        ("baseFeePerGas", |header| header.base_fee_per_gas = Some(1)),
        ("difficulty", |header| header.difficulty = U256::from(1)),
        ("nonce", |header| header.nonce = B64::repeat_byte(1)),
        ("sha3Uncles", |header| header.ommers_hash = B256::ZERO),
        ("withdrawalsRoot", |header| header.withdrawals_root = Some(B256::ZERO)),
        ("blobGasUsed", |header| header.blob_gas_used = Some(1)),
        ("excessBlobGas", |header| header.excess_blob_gas = Some(1)),
        ("parentBeaconBlockRoot", |header| header.parent_beacon_block_root = Some(B256::repeat_byte(1))),
        ("requestsHash", |header| header.requests_hash = Some(B256::ZERO)),
        ("blockAccessListHash", |header| header.block_access_list_hash = Some(B256::ZERO)),
        ("gasUsed", |header| header.gas_used += 1),
        ("receiptsRoot", |header| header.receipts_root = B256::ZERO),
        ("logsBloom", |header| header.logs_bloom = Bloom::repeat_byte(1)),
        ("stateRoot", |header| header.state_root = B256::ZERO),
    ];
    for (field, change) in changes {
        let mut parts = Parts::of(&built);
        change(&mut parts.header);
        let error = judge(&b, &parts, &expect).unwrap_err();
        assert!(error.is_invalid() && !error.is_retryable(), "{field}: {error}");
        assert!(error.to_string().contains(field), "{field}: {error}");
        assert!(error.to_string().contains("expected"), "{error}");
    }
    // What the header commits to, but is not in it, is compared where the block is decoded.
    let commitments: [(&str, Change); 3] = [
        ("seal", |header| header.extra_data = Bytes::from(vec![1; 32])),
        ("seal", |header| header.extra_data = Bytes::new()),
        ("list of transactions", |header| header.transactions_root = B256::ZERO),
    ];
    for (part, change) in commitments {
        let mut parts = Parts::of(&built);
        change(&mut parts.header);
        let error = judge(&b, &parts, &expect).unwrap_err();
        assert!(error.to_string().contains(&format!("the {part} is not the one of the header")), "{error}");
    }
    // The beneficiary is the proposer's choice; it changes the state, though not without fees.
    let mut parts = Parts::of(&built);
    parts.header.beneficiary = Address::repeat_byte(1);
    judge(&b, &parts, &expect).unwrap();
    judge(&b, &Parts::of(&built), &expect).unwrap();
    // And a second time, without being run again.
    judge(&b, &Parts::of(&built), &expect).unwrap();
}

#[test]
fn each_field_of_the_seal_is_compared() {
    let genesis = genesis();
    let (a, b) = (Node::new(&genesis), Node::new(&genesis));
    let built = a.build_upon(a.chain.head().hash);
    let right = SealExpectation::of(built.block().seal());
    let wrong = [
        ("epoch", SealExpectation { epoch: 1, ..right.clone() }),
        ("view", SealExpectation { view: 9, ..right.clone() }),
        ("proposer", SealExpectation { proposer: 3, ..right.clone() }),
        ("parentCertificate", SealExpectation { parent_certificate: B256::ZERO, ..right.clone() }),
        ("validatorSet", SealExpectation { validator_set: B256::repeat_byte(1), ..right.clone() }),
    ];
    for (field, expect) in wrong {
        let error = judge(&b, &Parts::of(&built), &expect).unwrap_err();
        assert!(matches!(&error, BlockError::Seal(mismatch) if mismatch.field == field), "{error}");
        assert!(error.is_invalid());
    }
    // A seal that the header does not cover.
    let mut parts = Parts::of(&built);
    parts.seal.evidence.push(Bytes::from_static(&[1]));
    let error = judge(&b, &parts, &right).unwrap_err();
    assert!(error.to_string().contains("the seal is not the one of the header"), "{error}");
}

#[test]
fn times_go_forward_and_not_ahead() {
    let genesis = genesis();
    let (a, b) = (Node::new(&genesis), Node::new(&genesis));
    let first = a.next(&[]);
    b.validate(&first).unwrap();
    b.finalize(&first);
    let head = a.chain.head();
    // The builder raises a time that is too low; the same time as the parent's is fine.
    let early = a.chain.build(a.request(head.hash, 2, head.time_ms - 50)).unwrap();
    assert_eq!(early.time_ms(), head.time_ms);
    b.validate(&early).unwrap();

    let mut parts = Parts::of(&early);
    parts.seal.time_ms -= 1;
    parts.header.extra_data = Bytes::copy_from_slice(parts.seal.hash().as_slice());
    parts.header.timestamp = parts.seal.time_ms / 1000;
    let expect = SealExpectation::of(&parts.seal);
    let error = judge(&b, &parts, &expect).unwrap_err();
    assert!(matches!(error, BlockError::BeforeParent { .. }) && error.is_invalid(), "{error}");

    let late = a.chain.build(a.request(head.hash, 3, head.time_ms + 10_000)).unwrap();
    let expect = SealExpectation::of(late.block().seal());
    for (now, fine) in [(late.time_ms() - 2001, false), (late.time_ms() - 2000, true), (0, false), (u64::MAX, true)] {
        let result = b.chain.validate(b.decode(&late), &expect, now, SKEW);
        assert_eq!(result.is_ok(), fine, "{now}");
        if let Err(error) = result {
            assert!(!error.is_invalid() && error.is_retryable(), "{error}");
            assert!(error.to_string().contains("from the future"));
        }
    }
}

/// The clocks of a quorum were ahead and are set right: the chain does not wait until time has caught up.
#[test]
fn the_parents_time_may_be_repeated_whatever_the_clock_says() {
    let genesis = genesis();
    let (a, b) = (Node::new(&genesis), Node::new(&genesis));
    let ahead = a.chain.head().time_ms + 600_000;
    let first = a.chain.build(a.request(a.chain.head().hash, 1, ahead)).unwrap();
    let expect = SealExpectation::of(first.block().seal());
    b.chain.validate(b.decode(&first), &expect, ahead, SKEW).unwrap();
    let second = a.chain.build(a.request(first.hash(), 2, 0)).unwrap();
    assert_eq!(second.time_ms(), ahead);
    let expect = SealExpectation::of(second.block().seal());
    b.chain.validate(b.decode(&second), &expect, 0, SKEW).unwrap();
}

#[test]
fn unknown_parents_may_come_and_old_blocks_are_stale() {
    let genesis = genesis();
    let (a, b) = (Node::new(&genesis), Node::new(&genesis));
    let first = a.build_upon(a.chain.head().hash);
    let second = a.build_upon(first.hash());
    let error = b.validate(&second).unwrap_err();
    assert!(matches!(error, BlockError::UnknownParent { .. }) && error.is_retryable() && !error.is_invalid());
    b.validate(&first).unwrap();
    b.validate(&second).unwrap();
    b.finalize(&second);
    assert_eq!(b.chain.head().number, 2);
    for block in [&first, &second] {
        let error = b.validate(block).unwrap_err();
        assert!(matches!(error, BlockError::Stale { .. }) && !error.is_retryable() && !error.is_invalid());
    }
}

#[test]
fn transactions_must_be_valid_where_they_stand() {
    let genesis = genesis();
    let (a, b) = (Node::new(&genesis), Node::new(&genesis));
    let good = transfer(0, 0, address(1), 5);
    let built = a.build_with(a.chain.head().hash, std::slice::from_ref(&good));
    let expect = SealExpectation::of(built.block().seal());
    let network =
        |raw: &Bytes| assent_chain::transaction::SignedTransaction::decode(raw.clone()).unwrap().network_encoded();
    let to = TxKind::Call(address(1));
    let with_legacy =
        |chain_id| sign(3, alloy_consensus::TxLegacy { chain_id, gas_limit: 21_000, to, ..Default::default() });
    let cases = [
        ("nonce", transfer(0, 0, address(2), 5)),
        ("nonce", transfer(1, 1, address(2), 5)),
        ("lack of funds", transfer(1, 0, address(2), u64::MAX)),
        ("lack of funds", transfer(40, 0, address(2), 1)),
        ("chain id", sign(1, TxEip1559 { chain_id: 1, to, ..eip1559(0) })),
        ("chain id", with_legacy(None)),
        ("call gas cost", sign(1, TxEip1559 { gas_limit: 20_999, to, ..eip1559(0) })),
        ("exceeds the", sign(1, TxEip1559 { gas_limit: genesis.ethereum.gas_limit - 20_999, to, ..eip1559(0) })),
        ("priority fee", sign(1, TxEip1559 { max_priority_fee_per_gas: 1, to, ..eip1559(0) })),
    ];
    for (reason, bad) in cases {
        let mut parts = Parts::of(&built);
        parts.transactions.push(network(&bad));
        parts.header.transactions_root = root(&[&good, &bad]);
        let error = judge(&b, &parts, &expect).unwrap_err();
        assert!(matches!(&error, BlockError::Transaction { index: 1, .. }), "{reason}: {error}");
        assert!(error.is_invalid() && error.to_string().to_lowercase().contains(reason), "{reason}: {error}");
    }
    // Nothing of the refused blocks is left behind.
    b.validate(&built).unwrap();
}

fn root(raw: &[&Bytes]) -> B256 {
    alloy_trie::root::ordered_trie_root_encoded(raw)
}

#[test]
fn a_transaction_without_a_sender_makes_a_block_invalid() {
    let genesis = genesis();
    let (a, b) = (Node::new(&genesis), Node::new(&genesis));
    let built = a.build_upon(a.chain.head().hash);
    let nobody = alloy_consensus::SignableTransaction::into_signed(
        TxEip1559 { to: TxKind::Call(address(1)), ..eip1559(0) },
        alloy_primitives::Signature::new(U256::ZERO, U256::from(1), false),
    );
    let raw: Bytes = alloy_consensus::TxEnvelope::from(nobody).encoded_2718().into();
    let mut parts = Parts::of(&built);
    let mut network = Vec::new();
    raw.encode(&mut network);
    parts.transactions.push(network.into());
    parts.header.transactions_root = root(&[&raw]);
    let expect = SealExpectation::of(&parts.seal);
    let error = judge(&b, &parts, &expect).unwrap_err();
    assert!(matches!(&error, BlockError::Sender { index: 0, .. }) && error.is_invalid(), "{error}");
}

#[test]
fn siblings_wait_side_by_side_and_one_becomes_final() {
    let genesis = genesis();
    let (a, b) = (Node::new(&genesis), Node::new(&genesis));
    let start = a.chain.head().hash;
    let left = a.build_with(start, &[transfer(0, 0, address(1), 5)]);
    b.validate(&left).unwrap();
    let left_child = a.build_with(left.hash(), &[transfer(0, 1, address(1), 5)]);
    b.validate(&left_child).unwrap();
    let right = {
        let mut request = a.request(start, 2, left.time_ms());
        request.time_budget = Duration::from_secs(60);
        a.chain.build(request).unwrap()
    };
    assert_eq!(right.block().transactions().len(), 2, "both are executable upon the start");
    let right_child = a.build_upon(right.hash());
    b.validate(&right).unwrap();
    b.validate(&right_child).unwrap();
    for node in [&a, &b] {
        let done = node.chain.finalize(right_child.hash(), &[(right_child.hash(), vec![7])]).unwrap();
        assert_eq!(done.iter().map(|block| block.hash()).collect::<Vec<_>>(), [right.hash(), right_child.hash()]);
        for gone in [&left, &left_child] {
            assert!(!node.chain.has(gone.hash()));
            assert!(node.chain.finalize(gone.hash(), &[]).is_err());
        }
        assert_eq!(node.chain.certificate(1).unwrap(), None, "it became final through its child");
        assert_eq!(node.chain.certificate(2).unwrap(), Some(Bytes::from_static(&[7])));
    }
    assert_eq!(a.chain.head(), b.chain.head());
    // What would build upon the lost ones finds no parent.
    assert!(matches!(b.validate(&left_child), Err(BlockError::UnknownParent { .. } | BlockError::Stale { .. })));
}

#[test]
fn waiting_blocks_are_bounded() {
    let genesis = genesis();
    let node = Node::new(&genesis);
    let start = node.chain.head();
    let kept = node.build_with(start.hash, &[transfer(0, 0, address(1), 1)]);
    let child = node.build_upon(kept.hash());
    // Far more siblings than there is room for: the oldest leaves give way, the chain below a new
    // block never does.
    let mut hashes = Vec::new();
    for view in 0..600 {
        let mut request = node.request(start.hash, 10 + view, start.time_ms + 1000);
        request.empty = true;
        hashes.push(node.chain.build(request).unwrap().hash());
    }
    let here = hashes.iter().filter(|hash| node.chain.has(**hash)).count();
    assert!(here < 512, "{here}");
    assert!(node.chain.has(*hashes.last().unwrap()));
    assert!(!node.chain.has(hashes[0]), "leaves give way");
    assert!(node.chain.has(kept.hash()), "it has a child");
    assert!(node.chain.has(child.hash()), "it is higher than its rivals");
}

#[test]
fn a_long_chain_waits_and_becomes_final_at_once() {
    let genesis = genesis();
    let (a, b) = (Node::new(&genesis), Node::new(&genesis));
    let mut parent = a.chain.head().hash;
    for nonce in 0..100 {
        let block = a.build_with(parent, &[transfer(0, nonce, Address::repeat_byte(nonce as u8 + 1), 1)]);
        b.validate(&block).unwrap();
        parent = block.hash();
    }
    assert_eq!(b.chain.finalize(parent, &[]).unwrap().len(), 100);
    assert_eq!(a.chain.finalize(parent, &[]).unwrap().len(), 100);
    assert_eq!(a.chain.head(), b.chain.head());
    assert_eq!(b.balance(Address::repeat_byte(7)), U256::from(1));
}

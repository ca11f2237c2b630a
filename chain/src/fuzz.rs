//! Fuzz targets of what peers and clients send: transactions, blocks and seals. Whatever is read has one encoding, and
//! that is what came.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, keccak256};
use assent_consensus::mutation::mutate;

use crate::block::tests::example;
use crate::block::{Block, BlockLimits, RecoveredBlock, transactions_root};
use crate::recovery::recover;
use crate::seal::Seal;
use crate::transaction::tests::{EIP155, one_of_each};
use crate::transaction::{Recovered, SignedTransaction};

#[path = "../../tests/fuzz/campaign.rs"]
pub(crate) mod campaign;

use campaign::{Check, Target, long, quick};

const LIMITS: BlockLimits = BlockLimits { bytes: 1 << 20, transactions: 16 };

const TRANSACTIONS: Target = Target { name: "transactions", quick: 20_000, script: 48, check: transactions };
const BLOCKS: Target = Target { name: "blocks", quick: 20_000, script: 48, check: blocks };
const ETHEREUM: Target = Target { name: "ethereum", quick: 10_000, script: 48, check: ethereum_blocks };
const SEALS: Target = Target { name: "seals", quick: 20_000, script: 32, check: seals };

#[test]
fn a_transaction_is_refused_or_has_the_bytes_that_came() {
    quick(&TRANSACTIONS);
}

#[test]
fn a_block_is_refused_or_has_the_bytes_that_came() {
    quick(&BLOCKS);
}

#[test]
fn a_block_in_ethereums_form_is_refused_or_has_the_bytes_that_came() {
    quick(&ETHEREUM);
}

#[test]
fn a_seal_is_refused_or_has_the_bytes_that_came() {
    quick(&SEALS);
}

#[test]
#[ignore = "long: make soak"]
fn soak_of_all_targets() {
    long(&[&TRANSACTIONS, &BLOCKS, &ETHEREUM, &SEALS]);
}

fn network_form(signed: &SignedTransaction) -> Vec<u8> {
    let mut bytes = Vec::new();
    signed.network_encode(&mut bytes);
    bytes
}

fn transactions() -> Check {
    let mut corpus = vec![EIP155.to_vec()];
    for input in [vec![], vec![9u8; 40], vec![7; 300]] {
        let raw: Vec<Vec<u8>> = one_of_each(input.into()).iter().map(Encodable2718::encoded_2718).collect();
        corpus.extend(raw);
    }
    let network: Vec<Vec<u8>> = corpus
        .iter()
        .map(|raw| network_form(&SignedTransaction::decode(Bytes::copy_from_slice(raw)).unwrap()))
        .collect();
    corpus.extend(network);
    Box::new(move |script| {
        let bytes = mutate(&corpus, script);
        match SignedTransaction::decode(Bytes::copy_from_slice(&bytes)) {
            Ok(signed) => {
                assert_eq!(signed.tx().encoded_2718(), bytes);
                assert_eq!(*signed.hash(), keccak256(&bytes));
                let body = network_form(&signed);
                assert_eq!(SignedTransaction::decode_network(&mut body.as_slice()).unwrap(), signed);
                if let Err(error) = recover(signed) {
                    assert!(!error.to_string().is_empty());
                }
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        let mut rest = bytes.as_slice();
        if let Ok(signed) = SignedTransaction::decode_network(&mut rest) {
            assert_eq!(network_form(&signed).as_slice(), &bytes[..bytes.len() - rest.len()]);
        }
    })
}

fn blocks() -> Check {
    let block = example();
    let known: Vec<Arc<Recovered>> = block.transactions().to_vec();
    let empty = RecoveredBlock::from_parts(block.hash(), block.header().clone(), Vec::new(), block.seal().clone());
    let corpus = vec![block.encoded().to_vec(), empty.encoded().to_vec()];
    Box::new(move |script| {
        let bytes = Bytes::from(mutate(&corpus, script));
        let decoded = Block::decode(&bytes, LIMITS, |_| None);
        // Transactions that the node has already make no difference.
        let have = |hash: &B256| known.iter().find(|tx| tx.hash() == hash).cloned();
        assert_eq!(Block::decode(&bytes, LIMITS, have).is_ok(), decoded.is_ok());
        match decoded {
            Ok(block) => {
                let recovered = |signed: &SignedTransaction| Recovered::from_trusted(signed.clone(), Address::ZERO);
                let transactions = block.transactions.iter().map(|tx| Arc::new(recovered(tx.signed()))).collect();
                let (header, seal) = (block.header.clone(), block.seal.clone());
                assert_eq!(block.hash(), header.hash_slow());
                let again = RecoveredBlock::from_parts(block.hash(), header, transactions, seal);
                assert_eq!(again.encoded(), &bytes);
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    })
}

/// Blocks as clients send them to be traced, of both forks that differ in their form.
fn ethereum_blocks() -> Check {
    let block = example();
    // The other one of the example has a signature that is made up.
    let signed = &block.transactions()[..1];
    let form = |transactions: &[Arc<Recovered>], withdrawals: bool| {
        let mut header = block.header().clone();
        header.transactions_root = transactions_root(transactions.iter().map(|tx| tx.signed()));
        if !withdrawals {
            header.withdrawals_root = None;
            header.blob_gas_used = None;
            header.excess_blob_gas = None;
            header.parent_beacon_block_root = None;
            header.requests_hash = None;
        }
        RecoveredBlock::from_parts(header.hash_slow(), header, transactions.to_vec(), Seal::default()).ethereum_rlp()
    };
    let corpus = vec![form(signed, true), form(&[], true), form(signed, false)];
    for bytes in &corpus {
        RecoveredBlock::decode_ethereum(&Bytes::copy_from_slice(bytes), LIMITS).unwrap();
    }
    Box::new(move |script| {
        let bytes = Bytes::from(mutate(&corpus, script));
        match RecoveredBlock::decode_ethereum(&bytes, LIMITS) {
            Ok(block) => {
                assert_eq!(block.hash(), block.header().hash_slow());
                assert_eq!(block.ethereum_rlp(), bytes.to_vec());
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    })
}

/// Seals by themselves, and in a block whose header commits to them: that block is read if the seal is within its
/// limits.
fn seals() -> Check {
    let block = example();
    let full = Seal { evidence: vec![Bytes::from(vec![5; 200]); 4], ..block.seal().clone() };
    let corpus = vec![block.seal().encoded(), Seal::default().encoded(), full.encoded()];
    Box::new(move |script| {
        let bytes = mutate(&corpus, script);
        let seal = match Seal::decode_exact(&bytes) {
            Ok(seal) => seal,
            Err(error) => return assert!(!error.to_string().is_empty()),
        };
        assert_eq!(seal.encoded(), bytes);
        let mut header = block.header().clone();
        header.extra_data = Bytes::copy_from_slice(seal.hash().as_slice());
        let limits = seal.check_limits();
        let sealed = RecoveredBlock::from_parts(header.hash_slow(), header, block.transactions().to_vec(), seal);
        assert_eq!(Block::decode(sealed.encoded(), LIMITS, |_| None).is_ok(), limits.is_ok());
    })
}

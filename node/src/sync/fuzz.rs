//! Fuzz target of block sync: an answer proves the blocks of the chain, or nothing.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use alloy_primitives::{B256, Bytes};
use assent_chain::{BuildRequest, Chain, ChainOptions, Seal};
use assent_consensus::mutation::mutate;
use assent_consensus::{Ballot, Epoch, Hash, Phase, ValidatorIndex, ValidatorSet, View};
use assent_genesis::{Genesis, NetworkPlan, SecretKey};

use super::message::{Answer, Item, Request, SyncMessage};
use super::verify::verify;

use crate::campaign::{Check, Target, long, quick};

/// Final blocks of the chain.
const BLOCKS: u64 = 3;

const ANSWERS: Target = Target { name: "sync messages", quick: 8_000, script: 40, check: answers };

#[test]
fn a_sync_message_is_refused_or_as_it_was_sent_and_proves_nothing_but_the_chain() {
    quick(&ANSWERS);
}

#[test]
#[ignore = "long: make soak"]
fn soak_of_all_targets() {
    long(&[&ANSWERS]);
}

/// The bytes of a commit certificate of the validators 0 and 1 of four, which are a quorum.
fn certificate(keys: &[SecretKey], genesis: &Hash, view: u64, block: B256) -> Bytes {
    let ballot = Ballot { epoch: Epoch(0), view: View(view), phase: Phase::Commit, block: Hash(block.0) };
    let mut bytes = vec![Phase::Commit as u8];
    bytes.extend(0u64.to_be_bytes());
    bytes.extend(view.to_be_bytes());
    bytes.extend(block.0);
    bytes.extend(4u16.to_be_bytes());
    bytes.push(0b0011);
    for key in &keys[..2] {
        bytes.extend(key.sign(&ballot.sign_bytes(genesis)).0);
    }
    bytes.into()
}

/// Makes the next block final, and gives it as it is sent.
fn next(chain: &Chain, genesis: &Genesis, keys: &[SecretKey], set: &ValidatorSet) -> Item {
    let head = chain.head();
    let view = head.number + 1;
    let seal = Seal { view, time_ms: head.time_ms + 500, validator_set: B256::new(set.hash().0), ..Seal::default() };
    let fee_recipient = genesis.fee_recipient(ValidatorIndex(0)).unwrap();
    let time_budget = Duration::from_secs(60);
    let block = chain.build(BuildRequest { parent: head.hash, seal, fee_recipient, empty: true, time_budget }).unwrap();
    let certificate = certificate(keys, &Hash(genesis.hash().0), view, block.hash());
    chain.finalize(block.hash(), &[(block.hash(), certificate.to_vec())]).unwrap();
    Item { block: block.encoded().clone(), certificate }
}

fn corpus(items: &[Item]) -> Vec<Vec<u8>> {
    let messages = [
        SyncMessage::Answer(Answer { id: 7, items: items.to_vec() }),
        SyncMessage::Answer(Answer { id: 8, items: items[..1].to_vec() }),
        SyncMessage::Answer(Answer { id: 9, items: Vec::new() }),
        SyncMessage::Request(Request { id: 1, from: 300 }),
        SyncMessage::Head(u64::MAX),
    ];
    let parts = items.iter().flat_map(|item| [item.block.to_vec(), item.certificate.to_vec()]);
    messages.iter().map(|message| message.encode().to_vec()).chain(parts).collect()
}

fn answers() -> Check {
    let mut plan = NetworkPlan::new(31337, vec![40, 30, 20, 10]);
    plan.timestamp = 1_700_000_000;
    let keys: Vec<SecretKey> = (1..=4u8).map(|number| SecretKey::from_seed(&[number; 32])).collect();
    let node = |number: u8| SecretKey::from_seed(&[number; 32]).public();
    let listed: Vec<_> = keys.iter().zip(101..).map(|(key, number)| (Some(key.public()), node(number))).collect();
    let genesis = plan.build_with(&listed).unwrap();
    let set = genesis.validator_set(Epoch(0), genesis.ethereum.timestamp).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let chain = Chain::open(&directory.path().join("chain"), &genesis, &ChainOptions::default()).unwrap();
    let items: Vec<Item> = (0..BLOCKS).map(|_| next(&chain, &genesis, &keys, &set)).collect();
    let (corpus, hash, real) = (corpus(&items), genesis.hash(), items.clone());
    // How many blocks an answer proves, which are the chain's.
    let believed = move |answer: &[Item]| {
        // The directory lives as long as the chain.
        let _directory = &directory;
        match verify(&chain, (0, hash), answer, &set, &Hash(hash.0)) {
            Ok(proven) => {
                assert!(proven.len() <= items.len());
                assert!(proven.iter().zip(&items).all(|(proven, item)| *proven.block.encoded() == item.block));
                proven.len()
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                0
            }
        }
    };
    assert_eq!(believed(&real), real.len());
    Box::new(move |script| {
        let bytes = mutate(&corpus, script);
        match SyncMessage::decode(&bytes) {
            Ok(message) => {
                assert_eq!(message.encode().as_ref(), bytes.as_slice());
                assert_eq!(SyncMessage::is_answer(&bytes), matches!(message, SyncMessage::Answer(_)));
                if let SyncMessage::Answer(answer) = message {
                    believed(&answer.items);
                }
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        // The same bytes as a block or as a certificate within an answer that is sound otherwise.
        let at = script.first().map_or(0, |byte| usize::from(*byte) % real.len());
        let mut answer = real.clone();
        match script.len() % 2 {
            0 => answer[at].block = bytes.into(),
            _ => answer[at].certificate = bytes.into(),
        }
        believed(&answer);
    })
}

//! Fuzz targets of what stands in the database and beside it: a damaged entry is refused with a reason, and nothing is
//! believed that the entry is too short for.
#![allow(clippy::unwrap_used)]

use std::fs;

use alloy_primitives::{Address, B256, Bytes, Log, U256};
use alloy_rlp::Encodable;
use alloy_trie::KECCAK_EMPTY;
use assent_consensus::mutation::mutate;

use super::commit::{body_value, receipts_value};
use super::durable;
use super::read::{StoredBody, StoredHeader, StoredReceipts};
use super::schema::{StoredHead, account_value, decode_account, decode_slot, slot_value};
use crate::block::tests::example;
use crate::execution::Receipt;
use crate::state::FlatAccount;

use crate::fuzz::campaign::{Check, Target, long, quick};

const ENTRIES: Target = Target { name: "entries of the database", quick: 30_000, script: 48, check: entries };
const DURABLE: Target = Target { name: "mark of what is durable", quick: 2_000, script: 24, check: durable_mark };

#[test]
fn a_damaged_entry_of_the_database_is_refused_or_read_within_its_bytes() {
    quick(&ENTRIES);
}

#[test]
fn a_damaged_mark_of_what_is_durable_names_no_number() {
    quick(&DURABLE);
}

#[test]
#[ignore = "long: make soak"]
fn soak_of_all_targets() {
    long(&[&ENTRIES, &DURABLE]);
}

fn receipts() -> Vec<Receipt> {
    let log = Log::new_unchecked(Address::repeat_byte(3), vec![B256::repeat_byte(4)], Bytes::from(vec![5; 40]));
    let receipt = |logs: Vec<Log>| Receipt {
        tx_type: 2,
        success: logs.len() != 1,
        gas_used: 21_000,
        cumulative_gas_used: 42_000,
        logs,
    };
    vec![receipt(vec![]), receipt(vec![log.clone()]), receipt(vec![log.clone(), log])]
}

fn corpus() -> Vec<Vec<u8>> {
    let block = example();
    let head = StoredHead { number: 258, hash: B256::repeat_byte(1), state_root: B256::repeat_byte(2) };
    let account = |code_hash| FlatAccount { nonce: 7, balance: U256::from(1_000_000), code_hash };
    let mut header = block.hash().to_vec();
    block.header().encode(&mut header);
    block.seal().encode(&mut header);
    vec![
        header,
        body_value(&block),
        receipts_value(&receipts()),
        head.encode().to_vec(),
        account_value(&account(KECCAK_EMPTY)),
        account_value(&account(B256::repeat_byte(9))),
        slot_value(&U256::MAX),
    ]
}

fn entries() -> Check {
    let corpus = corpus();
    Box::new(move |script| {
        let bytes = mutate(&corpus, script);
        if let Some(head) = StoredHead::decode(&bytes) {
            assert_eq!(head.encode().as_slice(), bytes.as_slice());
        }
        match decode_account(&bytes) {
            Ok(account) => assert_eq!(decode_account(&account_value(&account)), Ok(account)),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        if let Some(slot) = decode_slot(&bytes) {
            assert_eq!(decode_slot(&slot_value(&slot)), Some(slot));
        }
        if let Err(error) = StoredHeader::decode(&bytes) {
            assert!(!error.to_string().is_empty());
        }
        tables(&bytes);
    })
}

/// The entries that begin with a table: its count is not believed beyond the bytes that are there.
fn tables(bytes: &[u8]) {
    match StoredBody::new(7, bytes.to_vec()) {
        Ok(body) => {
            assert!(body.len() * 24 < bytes.len());
            match body.transactions() {
                Ok(transactions) => assert_eq!(transactions.len(), body.len()),
                Err(error) => assert!(error.to_string().contains("bodies")),
            }
            assert!(body.transaction(body.len()).is_err());
        }
        Err(error) => assert!(error.to_string().contains("bodies")),
    }
    match StoredReceipts::new(7, bytes.to_vec()) {
        Ok(stored) => {
            assert!(stored.len() * 12 < bytes.len());
            match stored.receipts() {
                Ok(receipts) => {
                    let envelopes: Vec<_> = receipts.iter().map(Receipt::envelope).collect();
                    assert_eq!(envelopes.len(), stored.len());
                }
                Err(error) => assert!(error.to_string().contains("receipts")),
            }
            assert!(stored.receipt(stored.len()).is_err());
        }
        Err(error) => assert!(error.to_string().contains("receipts")),
    }
}

fn durable_mark() -> Check {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("durable");
    let mut corpus = Vec::new();
    for number in [0, 17, u64::MAX] {
        durable::write(directory.path(), number).unwrap();
        corpus.push(fs::read(&path).unwrap());
    }
    Box::new(move |script| {
        let bytes = mutate(&corpus, script);
        fs::write(&path, &bytes).unwrap();
        match durable::read(directory.path()).unwrap() {
            Ok(number) => {
                durable::write(directory.path(), number.unwrap()).unwrap();
                assert_eq!(fs::read(&path).unwrap(), bytes, "only a whole mark is one");
            }
            Err(text) => assert_eq!(text, String::from_utf8_lossy(&bytes)),
        }
    })
}

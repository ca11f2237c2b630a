//! Databases that are looked at and not used.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use alloy_primitives::{B256, U256, keccak256};
use assent_chain::{OpenError, storage::StoredChain};
use assent_genesis::Genesis;
use rocksdb::DB;
use tempfile::TempDir;

use crate::damage::edit;
use crate::support::*;

const BLOCKS: u64 = 20;

/// A closed chain with a contract in block 1 that stores something in every block after it.
fn closed(genesis: &Genesis) -> Arc<TempDir> {
    let node = Node::new(genesis);
    node.next(&[create(0, 0, deploying(&STORE))]);
    let contract = address(0).create(0);
    for number in 2..=BLOCKS {
        let slot = words(&[number, number * 7]);
        node.next(&[call(0, number - 1, contract, slot), transfer(1, number - 2, address(2), 1)]);
    }
    node.chain.sync().unwrap();
    node.close()
}

fn open(path: &Path, genesis: &Genesis) -> StoredChain {
    StoredChain::open(path, genesis.hash()).unwrap().unwrap()
}

/// The first thing that is wrong, in the order in which an operator's tool looks.
fn first_fault(chain: &StoredChain) -> String {
    let blocks = (0..=BLOCKS).find_map(|number| chain.check_block(number).err().map(|error| error.to_string()));
    let state = || chain.check_state().err().map(|error| error.to_string());
    blocks.or_else(state).unwrap_or_else(|| "sound".to_string())
}

fn files(path: &Path) -> BTreeMap<std::ffi::OsString, Vec<u8>> {
    let entries = fs::read_dir(path).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap())).collect()
}

#[test]
fn a_sound_chain_is_sound_and_nothing_is_written() {
    let genesis = genesis();
    let directory = closed(&genesis);
    let path = directory.path().join("chain");
    let before = files(&path);
    {
        let chain = open(&path, &genesis);
        chain.check_recent().unwrap();
        assert_eq!(first_fault(&chain), "sound");
        let (number, hash) = chain.head();
        assert_eq!((number, chain.durable().unwrap()), (BLOCKS, Some(BLOCKS)));
        let head = chain.check_block(BLOCKS).unwrap();
        assert_eq!((head.hash, head.transactions, head.view), (hash, 2, BLOCKS));
        assert_eq!(head.certificate.unwrap().as_ref(), certificate(hash));
        assert_eq!(chain.check_block(0).unwrap().hash, genesis.hash());
        let state = chain.check_state().unwrap();
        assert_eq!(state.slots, BLOCKS - 1);
        // Ten rich ones, the contract, who gets the fees (nothing, so far).
        assert_eq!(state.accounts, 11);
        assert!(state.nodes > 2, "{state:?}");
        let sizes = chain.columns().unwrap();
        let headers = sizes.iter().find(|column| column.name == "headers").unwrap();
        assert_eq!(headers.entries, BLOCKS + 1);
        assert!(chain.check_block(BLOCKS + 1).unwrap_err().to_string().contains("header: missing"));
    }
    assert!(files(&path) == before, "looking changes no file");
}

#[test]
fn several_may_look_at_what_is_a_database_of_this_chain() {
    let genesis = genesis();
    let directory = closed(&genesis);
    let path = directory.path().join("chain");
    let chain = open(&path, &genesis);
    let second = open(&path, &genesis);
    assert_eq!(chain.head(), second.head());
    let other = genesis_with(|plan| plan.chain_id = 5);
    let error = StoredChain::open(&path, other.hash()).unwrap_err();
    assert!(matches!(error, OpenError::OtherChain { .. }), "{error}");
    assert!(StoredChain::open(&directory.path().join("none"), genesis.hash()).unwrap().is_none());
    assert!(!directory.path().join("none").exists());
    fs::create_dir(directory.path().join("photos")).unwrap();
    fs::write(directory.path().join("photos/cat.jpg"), "cat").unwrap();
    let error = StoredChain::open(&directory.path().join("photos"), genesis.hash()).unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
}

#[test]
fn each_kind_of_damage_is_found() {
    let genesis = genesis();
    type Change = Box<dyn Fn(&DB)>;
    let key = |number: u64| number.to_be_bytes().to_vec();
    let remove = |column: &'static str, key: Vec<u8>| -> Change {
        Box::new(move |db| db.delete_cf(db.cf_handle(column).unwrap(), &key).unwrap())
    };
    // Copies the value of one key to another.
    let copy = |column: &'static str, from: Vec<u8>, to: Vec<u8>| -> Change {
        Box::new(move |db| {
            let column = db.cf_handle(column).unwrap();
            let value = db.get_cf(column, &from).unwrap().unwrap();
            db.put_cf(column, &to, value).unwrap();
        })
    };
    // Changes a byte of the value, counted from its end.
    let flip = |column: &'static str, key: Vec<u8>, from_end: usize| -> Change {
        Box::new(move |db| {
            let column = db.cf_handle(column).unwrap();
            let mut value = db.get_cf(column, &key).unwrap().unwrap();
            let at = value.len() - from_end;
            value[at] ^= 1;
            db.put_cf(column, &key, value).unwrap();
        })
    };
    // Does something with the first key and value of a column.
    let first = |column: &'static str, change: fn(&DB, &rocksdb::ColumnFamily, &[u8], &[u8])| -> Change {
        Box::new(move |db| {
            let column = db.cf_handle(column).unwrap();
            let (key, value) = db.iterator_cf(column, rocksdb::IteratorMode::Start).next().unwrap().unwrap();
            change(db, column, &key, &value);
        })
    };
    let contract = address(0).create(0);
    let slot = [contract.as_slice(), &U256::from(3).to_be_bytes::<32>()].concat();
    let storage_root = [keccak256(contract).as_slice(), &[0]].concat();
    let cases: Vec<(&str, Change)> = vec![
        ("block 3: header: missing", remove("headers", key(3))),
        ("block 3: number in the header: expected 3, got 4", copy("headers", key(4), key(3))),
        ("block 3: body: missing", remove("bodies", key(3))),
        ("block 3: transactionsRoot", copy("bodies", key(4), key(3))),
        ("block 3: transactionsRoot", flip("bodies", key(3), 90)),
        // The first sender, behind the count.
        (
            "block 3: transaction 0: expected sender",
            Box::new(move |db| {
                let bodies = db.cf_handle("bodies").unwrap();
                let mut value = db.get_cf(bodies, 3u64.to_be_bytes()).unwrap().unwrap();
                value[4] ^= 1;
                db.put_cf(bodies, 3u64.to_be_bytes(), value).unwrap();
            }),
        ),
        ("block 3: receipts: missing", remove("receipts", key(3))),
        ("block 3: receiptsRoot", copy("receipts", key(4), key(3))),
        ("look-up of a transaction: missing", first("transactions", |db, cf, key, _| db.delete_cf(cf, key).unwrap())),
        ("look-up by hash: expected", first("transactions", |db, cf, key, _| db.put_cf(cf, key, [0; 12]).unwrap())),
        ("look-up by hash: missing", first("numbers", |db, cf, key, _| db.delete_cf(cf, key).unwrap())),
        ("number by its hash: expected", first("numbers", |db, cf, key, _| db.put_cf(cf, key, [7; 8]).unwrap())),
        ("storage slot", remove("storage", slot.clone())),
        ("slot 0x3: expected 0x15, as the trie proves, got 0x14", flip("storage", slot, 1)),
        (
            "expected 11 accounts, as the trie has them, got 10",
            first("accounts", |db, cf, key, _| db.delete_cf(cf, key).unwrap()),
        ),
        ("as the trie proves, got", {
            let next = B256::repeat_byte(5);
            Box::new(move |db| {
                let accounts = db.cf_handle("accounts").unwrap();
                let (_, value) = db.iterator_cf(accounts, rocksdb::IteratorMode::Start).next().unwrap().unwrap();
                db.put_cf(accounts, &next[..20], value).unwrap();
            })
        }),
        ("has a key of 1 bytes", first("accounts", |db, cf, _, value| db.put_cf(cf, [1], value).unwrap())),
        ("is missing", remove("code", keccak256(STORE).to_vec())),
        ("is damaged: it has another hash", flip("code", keccak256(STORE).to_vec(), 1)),
        ("is missing", remove("storage_trie", storage_root.clone())),
        ("storage trie of hashed address", flip("storage_trie", storage_root, 1)),
        ("trie of accounts", flip("account_trie", vec![0], 1)),
    ];
    for (expected, change) in cases {
        let directory = closed(&genesis);
        let path = directory.path().join("chain");
        edit(&path, change);
        let fault = first_fault(&open(&path, &genesis));
        assert!(fault.contains(expected), "expected {expected:?}, got {fault}");
    }
}

#[test]
fn a_header_that_does_not_follow_is_found() {
    let genesis = genesis();
    let directory = closed(&genesis);
    let path = directory.path().join("chain");
    // Another chain's block 5: sound in itself, upon another block 4.
    let other = Node::new(&genesis);
    for nonce in 0..5 {
        other.next(&[transfer(3, nonce, address(4), 1)]);
    }
    let block = other.chain.block_by_number(5).unwrap().unwrap();
    let mut value = block.hash().to_vec();
    value.extend(alloy_rlp::encode(block.header()));
    value.extend(block.seal().encoded());
    edit(&path, |db| {
        db.put_cf(db.cf_handle("headers").unwrap(), 5u64.to_be_bytes(), &value).unwrap();
        db.put_cf(db.cf_handle("numbers").unwrap(), block.hash(), 5u64.to_be_bytes()).unwrap();
    });
    let fault = first_fault(&open(&path, &genesis));
    assert!(fault.contains("block 5: parent hash: expected"), "{fault}");
    // The seal is bound to the header as well.
    let mut value = block.hash().to_vec();
    value.extend(alloy_rlp::encode(block.header()));
    value.extend(assent_chain::Seal { view: 99, ..block.seal().clone() }.encoded());
    let directory = other.close();
    let path = directory.path().join("chain");
    edit(&path, |db| db.put_cf(db.cf_handle("headers").unwrap(), 5u64.to_be_bytes(), &value).unwrap());
    let chain = open(&path, &genesis);
    let fault = chain.check_block(5).unwrap_err().to_string();
    assert!(fault.contains("extraData (hash of the seal)"), "{fault}");
}

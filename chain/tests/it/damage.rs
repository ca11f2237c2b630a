//! Databases that must not be used.

use std::fs;
use std::path::Path;

use assent_chain::{Chain, ChainOptions, OpenError};
use assent_genesis::Genesis;
use rocksdb::{ColumnFamilyDescriptor, DB, Options};

use crate::support::*;

fn open(path: &Path, genesis: &Genesis) -> Result<Chain, OpenError> {
    Chain::open(path, genesis, &ChainOptions::default())
}

/// A closed chain of 20 blocks.
fn closed(genesis: &Genesis) -> std::sync::Arc<tempfile::TempDir> {
    let node = Node::new(genesis);
    for nonce in 0..20 {
        node.next(&[transfer(0, nonce, address(1), 1)]);
    }
    node.chain.sync().unwrap();
    node.close()
}

/// Changes the database behind the chain's back.
pub fn edit(path: &Path, change: impl FnOnce(&DB)) {
    let options = Options::default();
    let names = DB::list_cf(&options, path).unwrap();
    let columns = names.iter().map(|name| ColumnFamilyDescriptor::new(name, Options::default()));
    change(&DB::open_cf_descriptors(&options, path, columns).unwrap());
}

#[test]
fn each_kind_of_damage_is_named() {
    let genesis = genesis();
    let head = 20u64.to_be_bytes();
    let recent = 12u64.to_be_bytes();
    type Change = Box<dyn Fn(&DB)>;
    let remove = |column: &'static str, key: Vec<u8>| -> Change {
        Box::new(move |db| db.delete_cf(db.cf_handle(column).unwrap(), &key).unwrap())
    };
    let put = |column: &'static str, key: Vec<u8>, value: Vec<u8>| -> Change {
        Box::new(move |db| db.put_cf(db.cf_handle(column).unwrap(), &key, &value).unwrap())
    };
    let cases: Vec<(&str, Change)> = vec![
        ("format version is missing", remove("meta", b"format".to_vec())),
        ("expected database format 2, got 3", put("meta", b"format".to_vec(), vec![0, 0, 0, 3])),
        ("not four bytes", put("meta", b"format".to_vec(), vec![1])),
        ("genesis hash is missing", remove("meta", b"genesis".to_vec())),
        ("belongs to another chain", put("meta", b"genesis".to_vec(), vec![1; 32])),
        ("head is missing", remove("meta", b"head".to_vec())),
        ("expected 72 bytes", put("meta", b"head".to_vec(), vec![1; 71])),
        ("header of the head", remove("headers", head.to_vec())),
        ("body of the head", remove("bodies", head.to_vec())),
        ("receipts of the head", remove("receipts", head.to_vec())),
        ("`bodies` is malformed", put("bodies", head.to_vec(), vec![9, 0, 0, 0])),
        ("root of the trie", remove("account_trie", vec![0])),
        ("header of block 12", remove("headers", recent.to_vec())),
        ("`headers` is malformed", put("headers", recent.to_vec(), vec![1; 40])),
    ];
    for (expected, change) in cases {
        let directory = closed(&genesis);
        let path = directory.path().join("chain");
        open(&path, &genesis).unwrap();
        edit(&path, change);
        let error = open(&path, &genesis).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(expected), "expected {expected:?}, got {error}");
        assert!(error.contains("remove") || error.contains("use the"), "says what to do: {error}");
        // Nothing was repaired.
        assert!(open(&path, &genesis).is_err());
    }
}

#[test]
fn lost_blocks_and_missing_lookups_are_noticed() {
    let genesis = genesis();
    // The head goes back to block 15, as if RocksDB had dropped the end of its log.
    let directory = closed(&genesis);
    let path = directory.path().join("chain");
    let saved = {
        let chain = open(&path, &genesis).unwrap();
        let block = chain.block_by_number(15).unwrap().unwrap();
        let mut head = 15u64.to_be_bytes().to_vec();
        head.extend_from_slice(block.hash().as_slice());
        head.extend_from_slice(block.header().state_root.as_slice());
        head
    };
    edit(&path, |db| db.put_cf(db.cf_handle("meta").unwrap(), "head", &saved).unwrap());
    let error = open(&path, &genesis).unwrap_err().to_string();
    assert!(error.contains("expected at least block 20, which was made durable, got head 15"), "{error}");

    let directory = closed(&genesis);
    let path = directory.path().join("chain");
    fs::write(path.join("durable"), "nonsense").unwrap();
    assert!(open(&path, &genesis).unwrap_err().to_string().contains("`durable` holds"));

    let directory = closed(&genesis);
    let path = directory.path().join("chain");
    let hash = open(&path, &genesis).unwrap().hash_by_number(18).unwrap().unwrap();
    edit(&path, |db| db.delete_cf(db.cf_handle("numbers").unwrap(), hash).unwrap());
    assert!(open(&path, &genesis).unwrap_err().to_string().contains("hash of block 18"));
}

#[test]
fn foreign_directories_and_chains_are_refused() {
    let genesis = genesis();
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("letter.txt"), "dear").unwrap();
    let error = open(directory.path(), &genesis).unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }) && error.to_string().contains("letter.txt"), "{error}");

    let directory = tempfile::tempdir().unwrap();
    let mut options = Options::default();
    options.create_if_missing(true);
    DB::open(&options, directory.path()).unwrap().put("a", "b").unwrap();
    let error = open(directory.path(), &genesis).unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");

    // The column families of the first format, which kept no history.
    let directory = tempfile::tempdir().unwrap();
    let mut names = "meta headers bodies receipts certificates numbers transactions accounts storage code".to_owned();
    names.push_str(" account_trie storage_trie");
    options.create_missing_column_families(true);
    DB::open_cf(&options, directory.path(), names.split(' ')).unwrap();
    let error = open(directory.path(), &genesis).unwrap_err().to_string();
    assert!(error.contains("expected database format 2, got 1") && error.contains("sync again"), "{error}");

    let directory = closed(&genesis);
    let other = genesis_with(|plan| plan.chain_id = 7);
    let error = open(&directory.path().join("chain"), &other).unwrap_err();
    assert!(matches!(error, OpenError::OtherChain { .. }), "{error}");
}

/// In a directory with "lock" in its name, which is no lock.
#[test]
fn a_missing_file_is_told_as_damage() {
    let genesis = genesis();
    let directory = closed(&genesis);
    let moved = directory.path().join("blockchain");
    fs::rename(directory.path().join("chain"), &moved).unwrap();
    let files = fs::read_dir(&moved).unwrap().map(|entry| entry.unwrap().path());
    let manifests = files.filter(|file| file.file_name().unwrap().to_string_lossy().starts_with("MANIFEST-"));
    manifests.for_each(|file| fs::remove_file(file).unwrap());
    let error = open(&moved, &genesis).unwrap_err();
    assert!(matches!(&error, OpenError::Damaged { .. }) && error.to_string().contains("MANIFEST-"), "{error}");
}

/// Bytes that are flipped or cut anywhere in any file: either the chain opens with a head that it
/// had, or it is refused; it never panics, and never opens with less than what was made durable.
#[test]
fn flipped_and_cut_files_are_refused_or_harmless() {
    let genesis = genesis();
    let directory = closed(&genesis);
    let path = directory.path().join("chain");
    let mut files: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| !file.ends_with("LOCK") && !file.to_string_lossy().contains("LOG") && file.is_file());
    files.sort();
    let (mut refused, mut opened) = (0, 0);
    for file in &files {
        let sound = fs::read(file).unwrap();
        if sound.is_empty() {
            continue;
        }
        for part in 0..6 {
            let at = sound.len() * part / 6;
            let mut flipped = sound.clone();
            flipped[at] ^= 0x55;
            let cut = sound[..at].to_vec();
            for damaged in [flipped, cut] {
                let copy = tempfile::tempdir().unwrap();
                for other in &files {
                    fs::copy(other, copy.path().join(other.file_name().unwrap())).unwrap();
                }
                fs::write(copy.path().join(file.file_name().unwrap()), damaged).unwrap();
                match open(copy.path(), &genesis) {
                    Ok(chain) => {
                        assert_eq!(chain.head().number, 20, "{}", file.display());
                        opened += 1;
                    }
                    Err(_) => refused += 1,
                }
            }
        }
    }
    assert!(refused > opened, "{refused} refused, {opened} opened");
}

/// The end of RocksDB's log that was not made durable may be torn: the chain opens with the last
/// whole block and goes on from there.
#[test]
fn a_torn_end_of_the_log_is_fine() {
    let genesis = genesis();
    let node = Node::new(&genesis);
    let blocks: Vec<_> = (0..5).map(|nonce| node.next(&[transfer(0, nonce, address(1), 1)])).collect();
    node.chain.sync().unwrap();
    let more: Vec<_> = (5..10).map(|nonce| node.next(&[transfer(0, nonce, address(1), 1)])).collect();
    // A copy while the chain is open: nothing has been written out in order.
    let copy = tempfile::tempdir().unwrap();
    let mut log = None;
    for entry in fs::read_dir(node.path()).unwrap().map(|entry| entry.unwrap().path()) {
        let name = entry.file_name().unwrap();
        fs::copy(&entry, copy.path().join(name)).unwrap();
        if entry.extension().is_some_and(|extension| extension == "log") {
            log = Some(copy.path().join(name));
        }
    }
    let log = log.unwrap();
    let whole = fs::read(&log).unwrap();
    let mut heads = std::collections::BTreeSet::new();
    for cut in [1, 100, 1000, 3000] {
        fs::write(&log, &whole[..whole.len() - cut]).unwrap();
        let again = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(copy.path()).unwrap().map(|entry| entry.unwrap().path()) {
            fs::copy(&entry, again.path().join(entry.file_name().unwrap())).unwrap();
        }
        let chain = open(again.path(), &genesis).unwrap();
        let head = chain.head();
        assert!((5..10).contains(&head.number), "{}", head.number);
        heads.insert(head.number);
        // What was lost is given again.
        for block in blocks.iter().chain(&more).skip(head.number as usize) {
            let decoded = chain.decode_block(block.encoded()).unwrap();
            chain.import(decoded, certificate(block.hash())).unwrap();
        }
        assert_eq!(chain.head(), node.chain.head());
    }
    assert!(heads.len() > 1, "{heads:?}");
}

/// The very first start may be interrupted at any point.
#[test]
fn an_interrupted_creation_is_begun_anew() {
    let genesis = genesis();
    let with = |names: &[&str]| {
        let directory = tempfile::tempdir().unwrap();
        names.iter().for_each(|name| fs::write(directory.path().join(name), "half a rec").unwrap());
        let opened = open(directory.path(), &genesis).map(|chain| chain.head().number);
        if opened.is_ok() {
            assert_eq!(open(directory.path(), &genesis).unwrap().head().hash, genesis.hash(), "and again");
        }
        opened
    };
    let before = ["LOCK", "LOG", "LOG.old.1763682725000000", "IDENTITY", "MANIFEST-000001", "000001.dbtmp"];
    for count in 0..=before.len() {
        assert_eq!(with(&before[..count]).unwrap(), 0, "{:?}", &before[..count]);
    }
    for other in ["000004.log", "000009.sst", "durable", "MANIFEST-", "x.dbtmp", "LOG.old.txt"] {
        let error = with(&["LOCK", "MANIFEST-000001", other]).unwrap_err();
        assert!(matches!(&error, OpenError::Foreign { .. }) && error.to_string().contains(other), "{error}");
    }
}

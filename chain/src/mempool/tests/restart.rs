//! What comes back after a restart, whatever the kill left of the file.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Address, B256, Bytes, TxKind};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;

use crate::mempool::testing::{Accounts, CHAIN_ID, PLENTY, check_invariants, contents, rules};
use crate::mempool::{Account, Mempool, MempoolLimits, Origin};
use crate::transaction::SignedTransaction;

fn key() -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(7)).unwrap()
}

fn signed(nonce: u64, input: usize) -> Bytes {
    let tx = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 10_000_000,
        to: TxKind::Call(Address::ZERO),
        input: vec![0; input].into(),
        ..Default::default()
    };
    let signature = key().sign_hash_sync(&tx.signature_hash()).unwrap();
    SignedTransaction::encode(&tx.into_signed(signature).into()).unwrap().raw().clone()
}

fn open(path: &Path) -> (Mempool, Arc<Accounts>) {
    let accounts = Arc::new(Accounts::default());
    let pool = Mempool::open(MempoolLimits::default(), rules(), accounts.clone(), Some(path)).unwrap();
    check_invariants(&pool.lock().pool);
    (pool, accounts)
}

fn fill(path: &Path, nonces: impl IntoIterator<Item = u64>) {
    let (pool, _) = open(path);
    for nonce in nonces {
        pool.add_raw(signed(nonce, 0), Origin::Local).unwrap();
    }
}

#[test]
fn everything_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pool.journal");
    let before = {
        let (pool, _) = open(&path);
        for nonce in [0, 1, 2, 5, 9] {
            pool.add_raw(signed(nonce, 0), Origin::Local).unwrap();
        }
        contents(&pool)
    };
    assert_eq!((before.0.len(), before.1.len()), (3, 2));
    for _ in 0..2 {
        let (pool, _) = open(&path);
        assert_eq!(contents(&pool), before);
    }
}

/// A kill leaves the file as the last write left it; nothing waits in the process.
#[test]
fn a_kill_loses_nothing_that_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pool.journal");
    let (pool, _) = open(&path);
    for nonce in 0..20 {
        pool.add_raw(signed(nonce, 0), Origin::Peer).unwrap();
    }
    pool.flush_journal();
    let killed = dir.path().join("killed.journal");
    fs::copy(&path, &killed).unwrap();
    assert_eq!(contents(&open(&killed).0), contents(&pool));
}

#[test]
fn frozen_format() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pool.journal");
    fill(&path, [0]);
    let raw = signed(0, 0);
    let mut expected = b"ASTPOOL\x01".to_vec();
    expected.extend((raw.len() as u32).to_le_bytes());
    expected.extend(&alloy_primitives::keccak256(&raw)[..8]);
    expected.extend(&raw);
    assert_eq!(fs::read(&path).unwrap(), expected);
}

#[test]
fn a_torn_tail_costs_one_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pool.journal");
    fill(&path, 0..3);
    let whole = fs::read(&path).unwrap();
    let record = 12 + signed(0, 0).len();
    for cut in [1, 2, record / 2, record - 13, record - 1] {
        fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        let (pool, _) = open(&path);
        assert_eq!(pool.len(), 2, "cut by {cut}");
        pool.add_raw(signed(2, 0), Origin::Local).unwrap();
        drop(pool);
        assert_eq!(open(&path).0.len(), 3, "written on behind the repair");
    }
}

#[test]
fn damage_keeps_what_comes_before() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pool.journal");
    fill(&path, 0..3);
    let whole = fs::read(&path).unwrap();
    let record = (whole.len() - 8) / 3;
    // A length beyond the limit, a changed hash, a changed byte in the second record.
    for (at, flip) in [(3, 0x80), (4, 1), (50, 1)] {
        let mut damaged = whole.clone();
        damaged[8 + record + at] ^= flip;
        fs::write(&path, &damaged).unwrap();
        assert_eq!(open(&path).0.len(), 1);
    }
    for foreign in [&b""[..], b"ASTPOOL\x02", b"nothing of ours at all"] {
        fs::write(&path, foreign).unwrap();
        assert!(open(&path).0.is_empty());
        fill(&path, [0]);
        assert_eq!(open(&path).0.len(), 1);
    }
}

#[test]
fn what_was_included_meanwhile_stays_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pool.journal");
    fill(&path, 0..3);
    let accounts = Arc::new(Accounts::default());
    let account = Account { nonce: 2, balance: alloy_primitives::U256::from(PLENTY), is_contract: false };
    accounts.known.lock().insert(key().address(), account);
    let limits = MempoolLimits::default();
    let pool = Mempool::open(limits, rules(), accounts, Some(&path)).unwrap();
    assert_eq!(pool.len(), 1);
    drop(pool);
    let whole = fs::read(&path).unwrap();
    assert_eq!(whole.len(), 8 + 12 + signed(2, 0).len(), "written anew at the start");
}

#[test]
fn written_anew_when_it_has_grown() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pool.journal");
    let (pool, accounts) = open(&path);
    let mut largest = 0;
    for nonce in 0..90 {
        let raw = signed(nonce, 120_000);
        let outcome = pool.add_raw(raw, Origin::Local).unwrap();
        pool.flush_journal();
        largest = largest.max(fs::metadata(&path).unwrap().len());
        if nonce < 88 {
            let account = Account { nonce: nonce + 1, ..accounts.get(key().address()) };
            pool.on_final(&[outcome.hash], &[(key().address(), account)]);
        }
    }
    assert!(largest > 400_000 && largest < 1_300_000, "{largest}");
    let left = fs::metadata(&path).unwrap().len();
    assert!(left < 1_300_000, "{left}");
    let account = Account { nonce: 88, ..accounts.get(key().address()) };
    accounts.known.lock().insert(key().address(), account);
    drop(pool);
    let reopened = Mempool::open(MempoolLimits::default(), rules(), accounts, Some(&path)).unwrap();
    assert_eq!(reopened.len(), 2);
}

#[test]
fn no_place_for_the_file_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let accounts = Arc::new(Accounts::default());
    let path = dir.path().join("missing/pool.journal");
    assert!(Mempool::open(MempoolLimits::default(), rules(), accounts, Some(&path)).is_err());
}

/// A disk that fails (here: a folder that is gone) stops neither the pool nor the thread.
#[test]
fn a_failing_disk_is_survived() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    fs::create_dir(&home).unwrap();
    let path = home.join("pool.journal");
    let (pool, accounts) = open(&path);
    fs::remove_dir_all(&home).unwrap();
    for nonce in 0..150 {
        if nonce == 75 {
            // Grown beyond the size at which it is written anew, which has failed.
            assert!(!path.exists());
            fs::create_dir(&home).unwrap();
        }
        pool.add_raw(signed(nonce, 120_000), Origin::Local).unwrap();
        pool.flush_journal();
        let account = Account { nonce: nonce + 1, ..accounts.get(key().address()) };
        accounts.known.lock().insert(key().address(), account);
        pool.on_final(&[], &[(key().address(), account)]);
    }
    pool.add_raw(signed(150, 0), Origin::Local).unwrap();
    drop(pool);
    let limits = MempoolLimits::default();
    let reopened = Mempool::open(limits, rules(), accounts, Some(&path)).unwrap();
    assert_eq!(reopened.len(), 1, "the file is back with the disk");
}

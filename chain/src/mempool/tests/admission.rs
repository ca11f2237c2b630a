//! Who gets in, who is refused and with which words, who replaces whom.

use std::sync::atomic::Ordering;

use alloy_consensus::{SignableTransaction, TxEip7702, TxLegacy};
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_primitives::{Address, Signature, TxKind, U256};
use revm::primitives::hardfork::SpecId;

use crate::mempool::testing::{
    BLOCK_GAS, CHAIN_ID, Draft, PLENTY, address, check_invariants, contents, pool, pool_with, rules,
};
use crate::mempool::{Account, MempoolLimits, Origin, PoolError, PoolEvent, PoolRules};
use crate::transaction::{Recovered, SignedTransaction, Transaction};

fn with_sender(tx: impl Into<Transaction>) -> Recovered {
    Recovered::from_trusted(SignedTransaction::encode(&tx.into()).unwrap(), address(1))
}

fn signature() -> Signature {
    Signature::new(U256::from(1), U256::from(1), false)
}

fn authorized(authorizations: usize) -> Recovered {
    let authorization = Authorization { chain_id: U256::ZERO, address: Address::ZERO, nonce: 0 };
    let authorization = SignedAuthorization::new_unchecked(authorization, 0, U256::from(1), U256::from(1));
    let tx = TxEip7702 {
        chain_id: CHAIN_ID,
        gas_limit: 100_000,
        authorization_list: vec![authorization; authorizations],
        ..Default::default()
    };
    with_sender(tx.into_signed(signature()))
}

/// Each refusal with its exact text. `rules()` is Prague, base fee 0.
#[test]
fn refusals_in_geths_words() {
    let plain = rules();
    let legacy = TxLegacy { gas_limit: 21_000, to: TxKind::Call(Address::ZERO), ..Default::default() };
    let base_fee = PoolRules::new(CHAIN_ID, SpecId::PRAGUE, 7, 0, BLOCK_GAS);
    let minimum = PoolRules::new(CHAIN_ID, SpecId::PRAGUE, 0, 5, BLOCK_GAS);
    let cancun = PoolRules::new(CHAIN_ID, SpecId::CANCUN, 0, 0, BLOCK_GAS);
    let osaka = PoolRules::new(CHAIN_ID, SpecId::OSAKA, 0, 0, BLOCK_GAS);
    let draft = || Draft::new(1, 5);
    let table: Vec<(&PoolRules, Recovered, &str)> = vec![
        (
            &plain,
            with_sender(legacy.into_signed(signature())),
            "only replay-protected (EIP-155) transactions allowed over RPC",
        ),
        (&plain, draft().chain_id(1).recovered(), "invalid sender: invalid chain id for signer: have 1 want 31337"),
        (&plain, Draft::new(1, 4).recovered(), "nonce too low"),
        (&plain, Draft::new(1, 5 + 8_192 + 1_024).recovered(), "nonce too high"),
        (&plain, Draft::new(1, u64::MAX).recovered(), "nonce has max value"),
        (&plain, draft().value(1_001).recovered(), "insufficient funds for gas * price + value"),
        (&plain, draft().price(1).recovered(), "insufficient funds for gas * price + value"),
        (&plain, draft().price(u128::MAX).recovered(), "insufficient funds for gas * price + value"),
        (&plain, draft().gas(20_999).recovered(), "intrinsic gas too low"),
        (&plain, draft().gas(21_015).input(vec![1]).recovered(), "intrinsic gas too low"),
        (&plain, draft().gas(21_039).input(vec![1]).recovered(), "insufficient gas for floor data gas cost"),
        (&plain, draft().gas(BLOCK_GAS + 1).recovered(), "exceeds block gas limit"),
        (&osaka, draft().gas(16_777_217).recovered(), "transaction gas limit too high (cap: 16777216, tx: 16777217)"),
        (
            &plain,
            draft().create().gas(10_000_000).input(vec![0; 49_153]).recovered(),
            "max initcode size exceeded: code size 49153, limit 49152",
        ),
        (&plain, draft().fees(1, 2).recovered(), "max priority fee per gas higher than max fee per gas"),
        (&base_fee, draft().price(6).recovered(), "max fee per gas less than block base fee"),
        (&minimum, draft().fees(9, 4).recovered(), "transaction underpriced"),
        (&cancun, authorized(1), "transaction type not supported"),
        (&plain, authorized(0), "set code tx must have at least one authorization tuple"),
    ];
    for (rules, tx, text) in table {
        let (pool, accounts) = pool_with(MempoolLimits::default(), rules.clone());
        accounts.set(1, 5, 1_000);
        let error = pool.add(tx, Origin::Local).unwrap_err();
        assert_eq!(error.to_string(), text);
        assert!(pool.is_empty());
    }
}

/// The other side of each limit above.
#[test]
fn just_enough_is_admitted() {
    let plain = rules();
    let osaka = PoolRules::new(CHAIN_ID, SpecId::OSAKA, 0, 0, BLOCK_GAS);
    let base_fee = PoolRules::new(CHAIN_ID, SpecId::PRAGUE, 7, 0, BLOCK_GAS);
    let minimum = PoolRules::new(CHAIN_ID, SpecId::PRAGUE, 0, 5, BLOCK_GAS);
    let draft = || Draft::new(1, 5);
    let table = [
        (&plain, 1_000, draft().value(1_000).recovered()),
        (&plain, 1_000, Draft::new(1, 5 + 8_192 + 1_024 - 1).recovered()),
        (&plain, 0, draft().gas(21_040).input(vec![1]).recovered()),
        (&plain, 0, draft().gas(BLOCK_GAS).recovered()),
        (&osaka, 0, draft().gas(16_777_216).recovered()),
        (&plain, 0, draft().create().gas(10_000_000).input(vec![0; 49_152]).recovered()),
        (&base_fee, 7 * 21_000, draft().fees(7, 0).recovered()),
        (&minimum, PLENTY, draft().fees(9, 5).recovered()),
    ];
    for (rules, balance, tx) in table {
        let (pool, accounts) = pool_with(MempoolLimits::default(), rules.clone());
        accounts.set(1, 5, balance);
        pool.add(tx, Origin::Local).unwrap();
        check_invariants(&pool.lock().pool);
    }
    let (pool, _) = pool();
    pool.add(authorized(1), Origin::Local).unwrap();
}

#[test]
fn contracts_send_nothing() {
    let (pool, accounts) = pool();
    accounts.known.lock().insert(address(1), Account { is_contract: true, ..Account::default() });
    let error = pool.add(Draft::new(1, 0).recovered(), Origin::Peer).unwrap_err();
    assert_eq!(error, PoolError::SenderNotEoa { sender: address(1) });
    assert_eq!(error.to_string(), "sender not an eoa");
}

#[test]
fn bytes_are_judged_too() {
    let (pool, _) = pool();
    let error = pool.add_raw(vec![3, 0xc0].into(), Origin::Local).unwrap_err();
    assert_eq!(error.to_string(), "transaction type not supported");
    assert!(error.is_malformed());
    let error = pool.add_raw(vec![].into(), Origin::Local).unwrap_err();
    assert_eq!(error.to_string(), "malformed transaction: input too short");
    let error = pool.add_raw(vec![1; 131_073].into(), Origin::Local).unwrap_err();
    assert_eq!(error.to_string(), "oversized data: transaction size 131073, limit 131072");
}

#[test]
fn known_ones_are_refused_without_recovery() {
    let (pool, _) = pool();
    let tx = Draft::new(1, 0).recovered();
    let raw = tx.raw().clone();
    let hash = *tx.hash();
    pool.add(tx.clone(), Origin::Local).unwrap();
    assert_eq!(pool.add(tx, Origin::Local).unwrap_err().to_string(), "already known");
    // Its signature has no sender: if it were recovered, the answer would be another.
    let known = Err(PoolError::AlreadyKnown { hash });
    assert_eq!(pool.add_raw(raw.clone(), Origin::Peer), known);
    assert_eq!(pool.add_batch(vec![raw], Origin::Peer), [known]);
}

#[test]
fn gaps_are_queued_and_filled() {
    let (pool, accounts) = pool();
    let mut events = pool.subscribe();
    let add = |nonce| pool.add(Draft::new(1, nonce).recovered(), Origin::Peer).unwrap().executable;
    assert!(!add(2));
    assert!(!add(1));
    assert_eq!(pool.pending_nonce(address(1)), Some(0));
    assert!(!add(4));
    assert!(add(0));
    assert_eq!(pool.pending_nonce(address(1)), Some(3));
    assert_eq!(pool.pending_nonce(address(2)), None);
    assert_eq!((pool.status().executable, pool.status().queued), (3, 1));
    assert_eq!(accounts.reads.load(Ordering::Relaxed), 1, "an account is read once");
    check_invariants(&pool.lock().pool);
    let mut seen = Vec::new();
    while let Ok(event) = events.try_recv() {
        seen.push(match event {
            PoolEvent::Admitted { tx, executable, .. } => (tx.nonce(), executable),
            PoolEvent::Promoted { tx } => (tx.nonce() + 100, true),
        });
    }
    assert_eq!(seen, [(2, false), (1, false), (4, false), (0, true), (101, true), (102, true)]);
}

#[test]
fn a_balance_pays_for_all_together() {
    let (pool, accounts) = pool();
    accounts.set(1, 0, 10);
    let add = |nonce, value| {
        pool.add(Draft::new(1, nonce).value(value).recovered(), Origin::Local).map(|outcome| outcome.executable)
    };
    assert_eq!(add(0, 6), Ok(true));
    let error = add(1, 5).unwrap_err();
    assert_eq!(error.to_string(), "insufficient funds for gas * price + value");
    assert_eq!(error, PoolError::InsufficientFunds { balance: U256::from(10), needed: U256::from(11) });
    // Behind a gap only its own cost counts; it stays queued while the others eat the balance.
    assert_eq!(add(2, 5), Ok(false));
    assert_eq!(add(1, 4), Ok(true));
    assert_eq!(pool.pending_nonce(address(1)), Some(2));
    check_invariants(&pool.lock().pool);
    // A cheaper replacement sets it free. (Free of fees, so the rule of price zero holds.)
    assert_eq!(add(0, 1), Ok(true));
    assert_eq!(pool.pending_nonce(address(1)), Some(3));
    // A dearer one must be covered together with all the others.
    assert!(matches!(add(0, 2), Err(PoolError::InsufficientFunds { .. })));
    check_invariants(&pool.lock().pool);
}

#[test]
fn replacement_keeps_the_rest() {
    let (pool, _) = pool();
    for nonce in 0..3 {
        pool.add(Draft::new(1, nonce).price(100).recovered(), Origin::Local).unwrap();
    }
    let old = *Draft::new(1, 1).price(100).recovered().hash();
    let error = pool.add(Draft::new(1, 1).price(109).recovered(), Origin::Local).unwrap_err();
    assert_eq!(error.to_string(), "replacement transaction underpriced");
    let new = Draft::new(1, 1).price(110).recovered();
    let outcome = pool.add(new.clone(), Origin::Local).unwrap();
    assert_eq!((outcome.replaced, outcome.executable), (Some(old), true));
    assert!(!pool.contains(&old));
    assert_eq!(pool.sender_of(new.hash()), Some(address(1)));
    assert_eq!(pool.get(new.hash()).unwrap().as_ref(), &new);
    assert_eq!(pool.pending_nonce(address(1)), Some(3));
    check_invariants(&pool.lock().pool);
}

#[test]
fn free_ones_are_corrected_and_cancelled() {
    let (pool, _) = pool();
    let variant = |value| Draft::new(1, 0).value(value).recovered();
    pool.add(variant(0), Origin::Local).unwrap();
    for value in 1..=8 {
        let outcome = pool.add(variant(value), Origin::Local).unwrap();
        assert_eq!(outcome.replaced, Some(*variant(value - 1).hash()));
    }
    let error = pool.add(variant(9), Origin::Local).unwrap_err();
    assert_eq!(error.to_string(), "replacement transaction underpriced");
    let cancel = Draft::new(1, 0).to(address(1)).recovered();
    pool.add(cancel.clone(), Origin::Local).unwrap();
    assert!(pool.add(variant(10), Origin::Local).is_err());
    assert_eq!(contents(&pool).0.into_values().collect::<Vec<_>>(), [*cancel.hash()]);
    check_invariants(&pool.lock().pool);
}

/// Two nodes that got the same transactions in different order agree after a cancellation, and
/// do not push the others back and forth before it.
#[test]
fn cancellation_wins_in_any_order() {
    let [a, b] = [1, 2].map(|value| Draft::new(1, 0).value(value).recovered());
    let cancel = Draft::new(1, 0).to(address(1)).recovered();
    for order in [[&a, &b, &cancel], [&b, &cancel, &a], [&cancel, &a, &b]] {
        let (pool, _) = pool();
        for tx in order {
            // Those behind the cancellation are refused.
            let _ = pool.add(tx.clone(), Origin::Peer);
        }
        assert!(pool.contains(cancel.hash()) && pool.len() == 1);
    }
    let (pool, _) = pool();
    pool.add(a.clone(), Origin::Peer).unwrap();
    pool.add(b, Origin::Peer).unwrap();
    assert!(pool.add(a, Origin::Peer).is_err(), "a replaced one stays out");
}

//! The index against a look at everything, and how much of it a search looks at.

#![allow(clippy::unwrap_used)]

use std::ops::RangeInclusive;

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, Log};
use proptest::prelude::*;
use tempfile::TempDir;

use super::{LogTerms, Searched};
use crate::block::RecoveredBlock;
use crate::execution::{Receipt, Touched};
use crate::seal::Seal;
use crate::state::StateDiff;
use crate::storage::{BlockWrite, History, Opened, StorageError, Store};

fn store() -> (TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let Opened::New(store) = Store::open(directory.path(), B256::ZERO, History::Archive).unwrap() else {
        panic!("a new directory holds a database");
    };
    (directory, store)
}

/// Writes an empty block with these logs and accounts, as if a transaction each had made them.
fn write(store: &Store, number: u64, logs: Vec<Log>, touched: &[Touched]) {
    let header = Header { number, ..Header::default() };
    let block = RecoveredBlock::from_parts(header.hash_slow(), header, Vec::new(), Seal::default());
    let receipts: Vec<_> = (!logs.is_empty())
        .then(|| Receipt { tx_type: 2, success: true, gas_used: 1, cumulative_gas_used: 1, logs })
        .into_iter()
        .collect();
    let diff = StateDiff::default();
    let write =
        BlockWrite { block: &block, receipts: &receipts, diff: &diff, records: &[], touched, certificate: None };
    store.commit(&write).unwrap();
}

/// The blocks that a search finds.
fn found(store: &Store, terms: &LogTerms, range: RangeInclusive<u64>) -> Vec<u64> {
    let block = |searched: Result<Searched, StorageError>| match searched.unwrap() {
        Searched::Block(number) => Some(number),
        Searched::Below(_) => None,
    };
    store.blocks_with_logs(terms, range).filter_map(block).collect()
}

fn address(number: u8) -> Address {
    Address::repeat_byte(number)
}

fn topic(number: u8) -> B256 {
    B256::repeat_byte(number)
}

fn log(of: u8, topics: &[u8]) -> Log {
    Log::new_unchecked(address(of), topics.iter().map(|number| topic(*number)).collect(), Bytes::new())
}

fn has(logs: &[Log], terms: &LogTerms) -> bool {
    let with_address = terms.addresses.is_empty() || logs.iter().any(|log| terms.addresses.contains(&log.address));
    let with_topics = terms.topics.iter().enumerate().all(|(position, any)| {
        any.is_empty() || logs.iter().any(|log| log.topics().get(position).is_some_and(|topic| any.contains(topic)))
    });
    with_address && with_topics
}

fn terms() -> impl Strategy<Value = LogTerms> {
    let some = || prop::collection::vec(0u8..6, 0..3);
    (some(), prop::collection::vec(some(), 0..=4)).prop_map(|(addresses, topics)| LogTerms {
        addresses: addresses.into_iter().map(address).collect(),
        topics: topics.into_iter().map(|any| any.into_iter().map(topic).collect()).collect(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_index_finds_what_a_look_at_everything_finds(
        blocks in prop::collection::vec(prop::collection::vec((0u8..6, prop::collection::vec(0u8..6, 0..=4)), 0..3), 1..60),
        questions in prop::collection::vec((terms(), 0u64..70, 0u64..70), 20),
    ) {
        let (_directory, store) = store();
        let blocks: Vec<Vec<Log>> =
            blocks.iter().map(|logs| logs.iter().map(|(of, topics)| log(*of, topics)).collect()).collect();
        for (number, logs) in (1..).zip(&blocks) {
            write(&store, number, logs.clone(), &[]);
        }
        for (terms, from, to) in questions {
            let found = found(&store, &terms, from..=to);
            let expected: Vec<u64> = match terms.is_selective() {
                false => (from..=to).collect(),
                true => (1..).zip(&blocks).filter(|(_, logs)| has(logs, &terms)).map(|(number, _)| number)
                    .filter(|number| (from..=to).contains(number)).collect(),
            };
            prop_assert_eq!(found, expected, "{:?} in {}..={}", terms, from, to);
        }
    }
}

#[test]
fn transactions_of_an_account_come_in_order_from_either_end() {
    let (_directory, store) = store();
    let touched = |accounts: &[u8], created: &[u8]| Touched {
        accounts: accounts.iter().map(|number| address(*number)).collect(),
        created: created.iter().map(|number| address(*number)).collect(),
    };
    write(&store, 1, Vec::new(), &[touched(&[1, 2], &[2]), touched(&[1], &[])]);
    write(&store, 2, Vec::new(), &[touched(&[3], &[])]);
    write(&store, 300, Vec::new(), &[touched(&[1], &[]), touched(&[2], &[]), touched(&[1, 2], &[2])]);
    let places = |found: Vec<super::super::TransactionPosition>| -> Vec<(u64, u32)> {
        found.into_iter().map(|position| (position.number, position.index)).collect()
    };
    let from = |of, number| places(store.transactions_from(&address(of), number).map(Result::unwrap).collect());
    let up_to = |of, number| places(store.transactions_up_to(&address(of), number).map(Result::unwrap).collect());
    assert_eq!(from(1, 0), [(1, 0), (1, 1), (300, 0), (300, 2)]);
    assert_eq!(from(1, 2), [(300, 0), (300, 2)]);
    assert_eq!(up_to(1, u64::MAX), [(300, 2), (300, 0), (1, 1), (1, 0)]);
    assert_eq!(up_to(1, 299), [(1, 1), (1, 0)]);
    assert_eq!((from(4, 0), up_to(4, u64::MAX)), (vec![], vec![]));
    let creation = |number| store.creation_up_to(&address(2), number).unwrap().map(|at| (at.number, at.index));
    assert_eq!((creation(0), creation(299), creation(u64::MAX)), (None, Some((1, 0)), Some((300, 2))));
}

/// 20,000 blocks, of which every other one has a log of a busy contract, every fourth one of another, and every
/// five-thousandth one that is looked for.
fn busy() -> (TempDir, Store) {
    let (directory, store) = store();
    for number in 1..=20_000u64 {
        let logs = match number {
            number if number.is_multiple_of(5_000) => vec![log(1, &[1, 2])],
            number if number.is_multiple_of(2) => vec![log(1, &[1, 3])],
            number if number % 4 == 1 => vec![log(2, &[4])],
            _ => Vec::new(),
        };
        write(&store, number, logs, &[]);
    }
    (directory, store)
}

#[test]
fn a_search_looks_as_often_as_its_rarest_term_has_blocks() {
    let (_directory, store) = busy();
    let rare = [5_000, 10_000, 15_000, 20_000];
    for (addresses, topics) in [
        (vec![], vec![vec![], vec![topic(2)]]),
        (vec![address(1)], vec![vec![], vec![topic(2)]]),
        (vec![address(1), address(2)], vec![vec![topic(1), topic(4)], vec![topic(2)]]),
    ] {
        let terms = LogTerms { addresses, topics };
        let searched: Vec<_> = store.blocks_with_logs(&terms, 0..=20_000).map(Result::unwrap).collect();
        // Without a word in between: each took a fraction of what is read before there is one.
        let expected: Vec<_> = rare.iter().copied().map(Searched::Block).collect();
        assert_eq!(searched, expected, "{terms:?}");
    }
    let terms = LogTerms { addresses: vec![address(1), address(2)], topics: Vec::new() };
    let expected: Vec<u64> = (1..=20_000).filter(|number: &u64| number.is_multiple_of(2) || number % 4 == 1).collect();
    assert_eq!(found(&store, &terms, 0..=20_000), expected);
}

#[test]
fn a_long_search_without_a_block_says_how_far_it_is() {
    let (_directory, store) = busy();
    // Both are busy, never in one block.
    let terms = LogTerms { addresses: vec![address(1)], topics: vec![vec![topic(4)]] };
    let mut before = 0;
    for searched in store.blocks_with_logs(&terms, 0..=20_000) {
        let Searched::Below(number) = searched.unwrap() else { panic!("no block has both") };
        assert!(number > before && number <= 20_000);
        before = number;
    }
    assert!(before > 15_000, "it tells until it ends, last {before}");
}

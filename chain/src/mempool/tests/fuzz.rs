//! Fuzz target of the pool's journal: what is read from a damaged one stands in it, whole.

use std::fs;

use alloy_primitives::keccak256;
use assent_consensus::mutation::mutate;

use crate::mempool::journal::JournalReader;

use crate::fuzz::campaign::{Check, Target, long, quick};

/// Bytes of a record beside its transaction.
const RECORD_HEADER: usize = 12;

const JOURNAL: Target = Target { name: "journal of the pool", quick: 3_000, script: 48, check: journal };

#[test]
fn a_damaged_journal_yields_nothing_that_does_not_stand_in_it() {
    quick(&JOURNAL);
}

#[test]
#[ignore = "long: make soak"]
fn soak_of_all_targets() {
    long(&[&JOURNAL]);
}

/// The bytes of a journal, as its format is documented.
fn written(transactions: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = b"ASTPOOL\x01".to_vec();
    for raw in transactions {
        bytes.extend(u32::try_from(raw.len()).unwrap().to_le_bytes());
        bytes.extend(&keccak256(raw)[..8]);
        bytes.extend(raw);
    }
    bytes
}

fn journal() -> Check {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let corpus =
        vec![written(&[vec![1; 110], vec![2; 70], vec![3; 300]]), written(&[]), written(&[vec![], vec![4; 66]])];
    Box::new(move |script| {
        let bytes = mutate(&corpus, script);
        // The directory lives as long as the target.
        fs::write(directory.path().join("journal"), &bytes).unwrap();
        let mut reader = JournalReader::open(&path);
        let mut used = 8;
        loop {
            let batch = reader.next_batch(2);
            if batch.is_empty() {
                break;
            }
            for raw in batch {
                let record = written(&[raw.to_vec()]).split_off(8);
                assert_eq!(record.len(), RECORD_HEADER + raw.len());
                assert_eq!(&bytes[used..used + record.len()], record.as_slice());
                used += record.len();
            }
        }
    })
}

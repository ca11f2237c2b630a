//! Fuzz target of the frames in which peers push transactions.

use alloy_primitives::Bytes;
use assent_consensus::mutation::mutate;

use super::{LEAST_BYTES, frames, read_frame};

use crate::campaign::{Check, Target, long, quick};

const PUSHED: Target = Target { name: "frames of transactions", quick: 20_000, script: 40, check: pushed };

#[test]
fn a_frame_of_transactions_is_refused_or_has_the_bytes_that_came() {
    quick(&PUSHED);
}

#[test]
#[ignore = "long: make soak"]
fn soak_of_all_targets() {
    long(&[&PUSHED]);
}

fn pushed() -> Check {
    let raws = |lengths: &[usize]| -> Vec<Bytes> { lengths.iter().map(|length| vec![9u8; *length].into()).collect() };
    let lists = [raws(&[66]), raws(&[110, 70, 300]), raws(&[LEAST_BYTES; 40])];
    let corpus: Vec<Vec<u8>> = lists.iter().flat_map(|list| frames(list)).map(|frame| frame.to_vec()).collect();
    Box::new(move |script| {
        let bytes = mutate(&corpus, script);
        match read_frame(&bytes) {
            Ok(raws) => {
                assert!(raws.iter().all(|raw| raw.len() >= LEAST_BYTES));
                assert_eq!(alloy_rlp::encode(raws), bytes);
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    })
}

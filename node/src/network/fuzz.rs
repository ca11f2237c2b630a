//! Fuzz targets of what a peer says before it is known, and of the frames around everything that it says later.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use alloy_primitives::B256;
use assent_consensus::mutation::mutate;
use assent_genesis::SecretKey;
use futures::io::Cursor;
use libp2p::PeerId;

use super::frame::{FrameError, HEADER, read_frame};
use super::hello::{Heartbeat, Hello, TEXT_MAX};
use super::identity::{peer_id, public_key};

use crate::campaign::{Check, Target, long, quick};

/// The largest frame in these tests.
const LIMIT: usize = 1024;

const HELLOS: Target = Target { name: "hellos and heartbeats", quick: 30_000, script: 32, check: hellos };
const FRAMES: Target = Target { name: "frames", quick: 20_000, script: 32, check: frames };

#[test]
fn what_a_peer_says_of_itself_is_refused_or_fit_to_be_shown() {
    quick(&HELLOS);
}

#[test]
fn frames_hold_what_came_and_no_more() {
    quick(&FRAMES);
}

#[test]
#[ignore = "long: make soak"]
fn soak_of_all_targets() {
    long(&[&HELLOS, &FRAMES]);
}

/// Whether a text may stand in a log: in one line, and not long.
fn shows(text: &str) -> bool {
    text.chars().count() <= TEXT_MAX && !text.chars().any(char::is_control)
}

fn hellos() -> Check {
    let ours = Hello::new(B256::repeat_byte(0xab), 31337, "alpha", 7);
    let strange = Hello { software: "é\u{0}".repeat(90), name: "\n".repeat(80), ..ours.clone() };
    let peer = peer_id(&SecretKey::from_seed(&[7; 32]).public()).unwrap();
    let corpus = vec![
        ours.encode().to_vec(),
        strange.encode().to_vec(),
        Heartbeat::Ping { number: 1, head: u64::MAX }.encode().to_vec(),
        Heartbeat::Pong { number: 2 }.encode().to_vec(),
        Heartbeat::Bye { reason: "shutting down".into() }.encode().to_vec(),
        peer.to_bytes(),
    ];
    Box::new(move |script| {
        let bytes = mutate(&corpus, script);
        match Hello::decode(&bytes) {
            Ok(theirs) => {
                assert!(shows(&theirs.name) && shows(&theirs.software), "{theirs:?}");
                assert!(ours.conflict(&theirs).is_none_or(|text| !text.is_empty()));
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        match Heartbeat::decode(&bytes) {
            Ok(Heartbeat::Bye { reason }) => assert!(shows(&reason), "{reason:?}"),
            Ok(beat) => assert_eq!(beat.encode().as_ref(), bytes.as_slice()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        if let Some(key) = PeerId::from_bytes(&bytes).ok().and_then(|peer| public_key(&peer)) {
            assert!(peer_id(&key).is_some());
        }
    })
}

/// Frames on the wire, written by hand.
fn wire(lengths: &[usize]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for length in lengths {
        bytes.extend(u32::try_from(*length).unwrap().to_be_bytes());
        bytes.resize(bytes.len() + length, 7);
    }
    bytes
}

fn frames() -> Check {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let corpus = vec![wire(&[3, 0, 40, 1]), wire(&[LIMIT]), wire(&[LIMIT + 1, 5]), wire(&[])];
    Box::new(move |script| runtime.block_on(read_all(&mutate(&corpus, script))))
}

/// Reads frames to the end or to the first that is refused.
async fn read_all(bytes: &[u8]) {
    let (mut stream, mut used) = (Cursor::new(bytes), 0);
    loop {
        match read_frame(&mut stream, LIMIT, Duration::from_secs(60)).await {
            Ok(Some(frame)) => {
                let expected = [&u32::try_from(frame.len()).unwrap().to_be_bytes()[..], &frame[..]].concat();
                assert!(frame.len() <= LIMIT);
                assert_eq!(&bytes[used..used + HEADER + frame.len()], expected.as_slice());
                used += expected.len();
            }
            Ok(None) => return assert_eq!(used, bytes.len()),
            Err(FrameError::TooLarge { length, limit }) => return assert!(length > limit && limit == LIMIT),
            Err(error) => return assert!(matches!(error, FrameError::Torn), "{error}"),
        }
    }
}

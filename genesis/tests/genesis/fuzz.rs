//! Fuzz targets of the files that an operator hands over: `genesis.json` and keys.

use std::fs;

use assent_consensus::Epoch;
use assent_consensus::mutation::mutate;
use assent_genesis::{Genesis, GenesisError, Level, SecretKey};
use serde_json::Value;

use crate::fixtures::{four, key, rich};

#[path = "../../../tests/fuzz/campaign.rs"]
mod campaign;
#[path = "../../../tests/fuzz/json.rs"]
mod json;

use campaign::{Check, Target, long, quick};

const GENESIS_TEXT: Target = Target { name: "text of genesis.json", quick: 3_000, script: 48, check: genesis_text };
const GENESIS: Target = Target { name: "values of genesis.json", quick: 4_000, script: 32, check: genesis_values };
const KEY_FILES: Target = Target { name: "key files", quick: 3_000, script: 32, check: key_files };

#[test]
fn damaged_text_of_a_genesis_is_refused_or_read_whole() {
    quick(&GENESIS_TEXT);
}

#[test]
fn a_genesis_with_wrong_values_is_refused_or_can_be_used() {
    quick(&GENESIS);
}

#[test]
fn a_damaged_key_file_is_refused_or_holds_the_key() {
    quick(&KEY_FILES);
}

#[test]
#[ignore = "long: make soak"]
fn soak_of_all_targets() {
    long(&[&GENESIS_TEXT, &GENESIS, &KEY_FILES]);
}

fn corpus() -> Vec<Value> {
    vec![serde_json::from_str(&four().to_json_pretty()).unwrap(), rich()]
}

/// Whatever is read can be judged; what is found sound is used as a node does, and is the same when it is written and
/// read again.
fn judge(text: &str) {
    let genesis = match Genesis::from_json(text) {
        Ok(genesis) => genesis,
        Err(error) => return refused(&error),
    };
    let findings = genesis.validate();
    assert!(findings.iter().all(|finding| !finding.message.is_empty()));
    if findings.iter().any(|finding| finding.level == Level::Error) {
        return;
    }
    let again = Genesis::from_json(&genesis.to_json_pretty()).unwrap();
    assert_eq!(again, genesis);
    assert_eq!(again.hash(), genesis.hash());
    let set = genesis.validator_set(Epoch(0), genesis.ethereum.timestamp).unwrap();
    assert_eq!(set.len(), genesis.assent.validators.len());
}

fn refused(error: &GenesisError) {
    assert!(!error.to_string().is_empty());
}

fn genesis_text() -> Check {
    let corpus: Vec<Vec<u8>> = corpus().iter().map(|value| value.to_string().into_bytes()).collect();
    Box::new(move |script| judge(&String::from_utf8_lossy(&mutate(&corpus, script))))
}

fn genesis_values() -> Check {
    let corpus = corpus();
    Box::new(move |script| {
        let Some((which, script)) = script.split_first() else { return };
        let mut value = corpus[usize::from(*which) % corpus.len()].clone();
        json::edit(&mut value, script);
        judge(&value.to_string());
    })
}

fn key_files() -> Check {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("validator.json");
    let known = key(7);
    known.save(&path).unwrap();
    let text = fs::read(&path).unwrap();
    let corpus = vec![text, b"{\"version\":2}".to_vec()];
    Box::new(move |script| {
        // The file keeps its mode, and the folder lives as long as the target.
        fs::write(folder.path().join("validator.json"), mutate(&corpus, script)).unwrap();
        match SecretKey::load(&path) {
            Ok(read) => assert_eq!(read.public(), known.public()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    })
}

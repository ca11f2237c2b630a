//! Files that cannot be read, and what the error says.

use std::{fs, path::Path};

use assent_genesis::{Genesis, GenesisError, Level};
use serde_json::{Value, json};

use crate::fixtures::{four, rich};

/// Sets a value at a path, whose last part may be new; null removes.
fn with(path: &str, value: Value) -> String {
    let mut file = rich();
    let (parent, last) = path.rsplit_once('/').unwrap();
    let parent = file.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Value::Null => drop(parent.remove(last)),
        value => drop(parent.insert(last.to_owned(), value)),
    }
    serde_json::to_string_pretty(&file).unwrap()
}

#[test]
fn what_is_wrong_with_a_field_is_told_with_its_path() {
    let null = Value::Null;
    // (path, value, what the error holds)
    let cases = [
        ("/config/osakaTmie", json!(5), "config.osakaTmie: unknown field"),
        ("/gasLimt", json!(5), "gasLimt: unknown field; known are config, nonce,"),
        ("/gasUsed", json!("0x1"), "gasUsed: block 0 uses no gas"),
        ("/config", null.clone(), "config: missing; give Ethereum's chain configuration"),
        ("/config/chainId", null.clone(), "config.chainId: missing;"),
        ("/gasLimit", null.clone(), "gasLimit: missing; give the gas of a block"),
        ("/assent", null.clone(), "assent: missing; give the section"),
        ("/gasLimit", json!("many"), "gasLimit: "),
        ("/alloc/xyz", json!({"balance": "0x1"}), "alloc"),
        ("/assent/fee", json!(1), "unknown field `fee`, expected one of `validators`, `nodes`"),
        ("/assent/validators", json!(7), "assent.validators: invalid type: integer `7`, expected a sequence at line"),
        ("/assent/validators/1/stkae", json!(7), "assent.validators[1].stkae: unknown field `stkae`, expected one of"),
        ("/assent/validators/1/stake", null.clone(), "assent.validators[1]: missing field `stake` at line"),
        ("/assent/validators/1/stake", json!(-1), "assent.validators[1].stake: invalid type: integer `-1`, expected a"),
        ("/assent/validators/1/stake", json!("1e9"), "expected a whole number from 0 to 18446744073709551615"),
        (
            "/assent/validators/1/key",
            json!("0x12"),
            "assent.validators[1].key: invalid value: string \"0x12\", expected",
        ),
        ("/assent/nodes/2/addresses", json!([1]), "assent.nodes[2].addresses[0]: invalid type: integer `1`"),
        (
            "/assent/consensus/viewTimeout",
            json!(1),
            "assent.consensus.viewTimeout: invalid type: integer `1`, expected",
        ),
        ("/assent/consensus/viewTimeout", json!("1"), "a duration with its unit such as \"50ms\""),
        ("/assent/consensus/maxBlockBytes", json!(1_u64 << 32), "assent.consensus.maxBlockBytes: "),
        ("/assent/consensus/viewTimout", json!("1s"), "assent.consensus.viewTimout: unknown field"),
        ("/assent/weight/kind", json!("stakes"), "unknown variant `stakes`, expected `stake` or `voteEscrow`"),
        ("/assent/weight/kind", json!("stake"), "assent.weight: `coefficient` and `longestLock` belong to"),
        ("/assent/weight/longestLock", null, "assent.weight: the kind `voteEscrow` needs `longestLock`"),
        ("/assent/weight/coefficient/denominator", json!(1.5), "assent.weight.coefficient.denominator: "),
    ];
    for (path, value, expected) in cases {
        let error = Genesis::from_json(&with(path, value)).unwrap_err().to_string();
        assert!(error.contains(expected), "{path}: {error}");
    }
    assert!(Genesis::from_json(&with("/gasUsed", json!("0x0"))).is_ok());
}

#[test]
fn broken_text_is_told_with_line_and_column() {
    for (text, expected) in [
        ("", "EOF while parsing a value at line 1 column 0"),
        ("{\n  \"config\": {,}\n}", "config: key must be a string at line 2 column 14"),
        ("{\"config\": {}}}", "trailing characters at line 1 column 15"),
        ("[]", "config: missing"),
    ] {
        let error = Genesis::from_json(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn nothing_may_be_said_twice() {
    let text = rich().to_string();
    let cases = [
        ("\"nonce\":\"0x0\"", "\"nonce\":\"0x0\",\"nonce\":\"0x0\"", "the field `nonce` appears twice"),
        ("\"stake\":100", "\"stake\":100,\"stake\":101", "the field `stake` appears twice"),
        (
            "\"alloc\":{",
            "\"alloc\":{\"0x00000000000000000000000000000000000000A1\":{\"balance\":\"0x2\"},",
            "alloc.0x00000000000000000000000000000000000000a1: appears more than once",
        ),
        // Which of the two spellings comes second depends on whether the JSON library keeps the order of keys.
        ("\"storage\":{", "\"storage\":{\"0x01\":\"0x05\",", "000000a2.storage.0x"),
    ];
    for (from, to, expected) in cases {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        let error = Genesis::from_json(&changed).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("more than once") != error.contains("twice"), "{error}");
    }
}

#[test]
fn files_are_loaded_with_their_warnings() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("genesis.json");
    fs::write(&path, four().to_json_pretty()).unwrap();
    assert_eq!(Genesis::load(&path).unwrap(), (four(), vec![]));

    let mut file = rich();
    file["assent"]["consensus"]["epochLength"] = 0.into();
    fs::write(&path, file.to_string()).unwrap();
    let (_, findings) = Genesis::load(&path).unwrap();
    assert!(!findings.is_empty());
    assert!(findings.iter().all(|finding| finding.level == Level::Warning), "{findings:?}");
}

#[test]
fn files_with_errors_are_refused_with_all_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("genesis.json");
    let mut genesis = four();
    genesis.ethereum.config.chain_id = 0;
    genesis.ethereum.gas_limit = 1;
    fs::write(&path, genesis.to_json_pretty()).unwrap();
    let error = Genesis::load(&path).unwrap_err();
    let expected = "the genesis is not valid:\n  config.chainId: must not be 0: transactions could be replayed on \
                    other chains\n  gasLimit: must be from 5000000 to 9223372036854775807, got 1";
    assert_eq!(error.to_string(), expected);
    assert!(matches!(error, GenesisError::Invalid { findings } if findings.len() == 2));
}

#[test]
fn what_is_no_genesis_file_is_told() {
    let missing = Genesis::load(Path::new("no/such/file.json")).unwrap_err().to_string();
    assert!(missing.starts_with("cannot read no/such/file.json: "), "{missing}");
    let endless = Genesis::load(Path::new("/dev/zero")).unwrap_err();
    assert!(matches!(endless, GenesisError::TooLarge { .. }), "{endless}");
}

#[test]
fn deep_nesting_is_refused() {
    let text = format!("{{\"config\":{}", "[".repeat(100_000));
    let error = Genesis::from_json(&text).unwrap_err().to_string();
    assert!(error.contains("recursion limit exceeded"), "{error}");
}

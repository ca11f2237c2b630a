#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;

const CODE: &[u8] = &[0x60, 0x80, 0x60, 0x40, 0x52, 0x34, 0x80, 0x15, 0x61, 0x00, 0x10, 0x57, 0x60, 0x00, 0x80, 0xfd];

/// Code with metadata behind it that has this hash.
fn with_hash(code: &[u8], hash: &[u8; IPFS_HASH]) -> Vec<u8> {
    let metadata = [&[0xa2][..], IPFS, hash, b"\x64solc\x43\x00\x08\x1c"].concat();
    let length = u16::try_from(metadata.len()).unwrap();
    [code, &metadata, &length.to_be_bytes()].concat()
}

fn some_hash(number: u8) -> [u8; IPFS_HASH] {
    let mut hash = [number; IPFS_HASH];
    hash[..2].copy_from_slice(&[0x12, 0x20]);
    hash
}

fn abi() -> Value {
    json!([{"type": "function", "name": "f", "inputs": [], "outputs": [], "stateMutability": "view"}])
}

fn output(code: &[u8], rest: Value) -> Value {
    let mut bytecode = json!({"object": hex::encode(code)});
    for (key, value) in rest.as_object().unwrap() {
        bytecode[key] = value.clone();
    }
    json!({"contracts": {
        "a.sol": {"A": {"abi": abi(), "evm": {"deployedBytecode": bytecode}}, "I": {"abi": [], "evm": {"deployedBytecode": {"object": ""}}}},
        "b.sol": {"B": {"abi": abi(), "evm": {"deployedBytecode": {"object": "00"}}}},
    }})
}

fn proof(deployed: &[u8], output: &Value) -> Result<Proof, String> {
    match verify(deployed, None, &output.to_string(), None)? {
        Verdict::Matches(contract) => Ok(contract.proof),
        Verdict::Differs { nearest, how } => Err(format!("{nearest}: {how}")),
    }
}

#[test]
fn the_same_code_is_a_full_match() {
    let deployed = with_hash(CODE, &some_hash(1));
    let output = output(&deployed, json!({}));
    let Verdict::Matches(contract) = verify(&deployed, None, &output.to_string(), None).unwrap() else {
        panic!("differs")
    };
    assert_eq!((contract.proof, contract.name.as_deref()), (Proof::Full, Some("a.sol:A")));
    assert!(contract.abi.methods.values().any(|method| method.item.name == "f"));
    assert!(!contract.sources_proven && !contract.abi_proven);
    let wrapped = json!({"input": {"sources": {"a.sol": {"content": "contract A {}"}}}, "output": output});
    let Verdict::Matches(contract) = verify(&deployed, None, &wrapped.to_string(), Some("A")).unwrap() else {
        panic!("differs")
    };
    assert_eq!(contract.sources["a.sol"], "contract A {}");
}

#[test]
fn another_hash_of_the_metadata_is_a_match_of_the_code() {
    let compiled = output(&with_hash(CODE, &some_hash(1)), json!({}));
    assert_eq!(proof(&with_hash(CODE, &some_hash(2)), &compiled), Ok(Proof::Code));
    assert_eq!(proof(CODE, &compiled), Ok(Proof::Code), "compiled without metadata");
    // A contract that has another within it, with metadata of its own.
    let within = |number| with_hash(&[&with_hash(CODE, &some_hash(number))[..], CODE].concat(), &some_hash(number));
    assert_eq!(proof(&within(2), &output(&within(1), json!({}))), Ok(Proof::Code));
}

#[test]
fn other_code_differs_and_it_is_said_where() {
    let mut other = CODE.to_vec();
    other[5] ^= 1;
    let text =
        proof(&with_hash(&other, &some_hash(1)), &output(&with_hash(CODE, &some_hash(1)), json!({}))).unwrap_err();
    assert!(text.contains("a.sol:A") && text.contains("from byte 5 on"), "{text}");
    let text = proof(&CODE[..9], &output(CODE, json!({}))).unwrap_err();
    assert!(text.contains("has 16 bytes, the deployed one 9"), "{text}");
}

#[test]
fn what_deployment_fills_in_is_left_out() {
    let place = CODE.len() + 1;
    let compiled = [CODE, &[PUSH32], &[0; 32], CODE].concat();
    let mut deployed = compiled.clone();
    deployed[place..place + 32].fill(0xee);
    let immutables = json!({"immutableReferences": {"17": [{"start": place, "length": 32}]}});
    assert_eq!(proof(&deployed, &output(&compiled, immutables)), Ok(Proof::Full));
    // A library's place holds a name in the compiler's output.
    let mut linked = [CODE, &[PUSH20], &[0; 20], CODE].concat();
    let libraries = json!({"linkReferences": {"l.sol": {"L": [{"start": place, "length": 20}]}}});
    let mut compiled = output(&linked, libraries);
    let name = format!("__${}$__", "ab".repeat(17));
    let object = hex::encode(&linked).replace(&"00".repeat(20), &name);
    compiled["contracts"]["a.sol"]["A"]["evm"]["deployedBytecode"]["object"] = json!(object);
    linked[place..place + 20].fill(0x77);
    assert_eq!(proof(&linked, &compiled), Ok(Proof::Full));
    // A library begins with its own address.
    let library = |own: u8| [&[0x73][..], &[own; 20], &[0x30, 0x14], CODE].concat();
    assert_eq!(proof(&library(0x55), &output(&library(0), json!({}))), Ok(Proof::Full));
}

#[test]
fn what_is_only_said_to_be_filled_in_is_compared() {
    let all = |code: &[u8]| json!([{"start": 0, "length": code.len()}]);
    let zeros = [0; 40];
    let deployed = [0xfe; 40];
    for places in [
        json!({"immutableReferences": {"1": all(&zeros)}}),
        json!({"linkReferences": {"l": {"L": all(&zeros)}}}),
        json!({"immutableReferences": {"1": [{"start": 4, "length": 32}]}}),
        json!({"linkReferences": {"l": {"L": [{"start": 4, "length": 20}]}}}),
    ] {
        assert!(proof(&deployed, &output(&zeros, places)).is_err());
    }
    // Behind the right instruction, but not left open by the compiler.
    let compiled = [&[PUSH32][..], &[1; 32]].concat();
    let other = [&[PUSH32][..], &[2; 32]].concat();
    let places = json!({"immutableReferences": {"1": [{"start": 1, "length": 32}]}});
    assert!(proof(&other, &output(&compiled, places)).is_err());
}

#[test]
fn json_of_very_many_entries_is_refused_before_it_is_read() {
    assert_eq!(entries(r#"{"a{,[": [1, "\",{", {}], "b": "\\"}"#), 6);
    let text = format!("[{}0]", "{\"\":0},".repeat(MAX_ENTRIES / 2));
    let error = verify(CODE, None, &text, None).unwrap_err();
    assert!(error.contains("at most 300000 entries"), "{error}");
}

#[test]
fn places_outside_the_code_do_no_harm() {
    for start in [json!(16), json!(u64::MAX), json!(-1), json!("x")] {
        let rest = json!({
            "immutableReferences": {"1": [{"start": start, "length": 9}]},
            "linkReferences": {"l": {"L": [{"start": start, "length": 20}]}},
        });
        assert_eq!(proof(CODE, &output(CODE, rest)), Ok(Proof::Full));
    }
    for code in [&[][..], &[0], &[0xff; 2], &[0xa2, 0x64, 0, 2]] {
        without_metadata(code);
        is_metadata_of("{}", code);
    }
}

#[test]
fn sources_are_proven_by_the_hashes_in_the_code() {
    let source = "contract A { function f() external view {} }";
    let metadata = json!({
        "compiler": {"version": "0.8.28"},
        "output": {"abi": abi()},
        "settings": {"compilationTarget": {"a.sol": "Proven"}},
        "sources": {"a.sol": {"keccak256": keccak256(source)}},
    })
    .to_string();
    let deployed = with_hash(CODE, &ipfs_hash(metadata.as_bytes()).unwrap());
    let mut compiled = output(&deployed, json!({}));
    compiled["contracts"]["a.sol"]["A"]["metadata"] = json!(metadata);
    let check = |source: &str| {
        let input = json!({"sources": {"a.sol": {"content": source}}}).to_string();
        match verify(&deployed, Some(&input), &compiled.to_string(), None).unwrap() {
            Verdict::Matches(contract) => contract,
            Verdict::Differs { how, .. } => panic!("{how}"),
        }
    };
    let contract = check(source);
    assert!(contract.sources_proven && contract.abi_proven);
    assert_eq!((contract.name.as_deref(), contract.code), (Some("a.sol:Proven"), keccak256(&deployed)));
    assert_eq!(contract.compiler.as_deref(), Some("0.8.28"));
    assert!(!check("contract A {}").sources_proven, "other sources");
}

#[test]
fn the_hash_of_a_file_is_that_of_ipfs() {
    // QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o
    let expected = hex!("122046d44814b9c5af141c3aaab7c05dc5e844ead5f91f12858b021eba45768b4c0e");
    assert_eq!(ipfs_hash(b"hello world\n"), Some(expected));
    assert_eq!(ipfs_hash(&[0; MAX_HASHED + 1]), None);
}

#[test]
fn what_is_no_output_is_refused_with_what_was_expected() {
    let refusal = |output: &str, wanted| verify(CODE, None, output, wanted).unwrap_err();
    assert!(refusal("{", None).contains("expected the compiler's output in JSON"));
    assert!(refusal("{}", None).contains("\"contracts\""));
    assert!(refusal(&json!({"contracts": {"a": {"A": {}}}}).to_string(), None).contains("deployedBytecode"));
    assert!(refusal(&output(CODE, json!({})).to_string(), Some("C")).contains("expected the contract C"));
    let text = refusal(&output(CODE, json!({"object": "0xzz"})).to_string(), None);
    assert!(text.contains("hex digits"), "{text}");
    assert!(verify(CODE, Some("["), "{}", None).unwrap_err().contains("input"));
}

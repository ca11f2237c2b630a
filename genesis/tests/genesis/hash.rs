//! What the genesis hash covers, and what block 0 looks like.

use alloy_consensus::constants::EMPTY_WITHDRAWALS;
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, U256, address, b256};
use assent_genesis::{Genesis, NetworkPlan};
use serde_json::Value;

use crate::fixtures::{fixed, four, rich};

fn parse(value: &Value) -> Genesis {
    Genesis::from_json(&value.to_string()).unwrap()
}

/// The path of every leaf of a value, empty lists and objects included.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| leaves(value, &format!("{path}/{key}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| leaves(item, &format!("{path}/{at}"), found));
        }
        _ => found.push(path.to_owned()),
    }
}

/// Another value of the same kind, so that the file still parses.
fn another(value: &Value) -> Value {
    match value {
        Value::Bool(flag) => Value::from(!flag),
        Value::Number(number) => Value::from(number.as_u64().unwrap() + 1),
        Value::String(text) => {
            let hexadecimal = text.starts_with("0x");
            let duration = text.starts_with(|first: char| first.is_ascii_digit()) && !hexadecimal;
            let changed = match text.as_str() {
                hex if hexadecimal => {
                    let last = if hex.ends_with('1') { '2' } else { '1' };
                    format!("{}{last}", &hex[..hex.len() - 1])
                }
                digits if duration => format!("1{digits}"),
                other => format!("{other}x"),
            };
            Value::from(changed)
        }
        other => panic!("no leaf: {other}"),
    }
}

#[test]
fn every_value_changes_the_hash() {
    let file = rich();
    let hash = parse(&file).hash();
    let mut paths = Vec::new();
    leaves(&file, "", &mut paths);
    // Of another shape: two kinds of weight rule, tested below.
    paths.retain(|path| path != "/assent/weight/kind");
    assert!(paths.len() > 100, "{}", paths.len());
    for path in paths {
        let mut changed = file.clone();
        let leaf = changed.pointer_mut(&path).unwrap();
        *leaf = another(leaf);
        assert_ne!(parse(&changed).hash(), hash, "{path}");
    }
}

#[test]
fn every_removed_entry_changes_the_hash_unless_it_is_the_default() {
    let file = rich();
    let hash = parse(&file).hash();
    for path in ["/alloc", "/config", "/assent/validators/0", "/assent/nodes/4", "/assent/nodes/0/addresses/1"] {
        let mut changed = file.clone();
        let (parent, last) = path.rsplit_once('/').unwrap();
        match changed.pointer_mut(parent).unwrap() {
            Value::Array(items) => drop(items.remove(last.parse().unwrap())),
            Value::Object(fields) if last == "config" => {
                fields["config"].as_object_mut().unwrap().remove("osakaTime");
            }
            Value::Object(fields) => drop(fields.remove(last)),
            other => panic!("{other}"),
        }
        assert_ne!(parse(&changed).hash(), hash, "{path}");
    }
}

#[test]
fn names_of_accounts_and_slots_and_the_weight_rule_change_the_hash() {
    let file = rich();
    let hash = parse(&file).hash();
    let text = file.to_string();
    let account = text.replace("00000000a1\"", "00000000a3\"");
    let slot = text.replace("0001\":\"0x", "0002\":\"0x");
    for changed in [account, slot] {
        assert_ne!(changed, text);
        assert_ne!(Genesis::from_json(&changed).unwrap().hash(), hash);
    }
    let mut by_stake = file;
    by_stake["assent"]["weight"] = serde_json::json!({"kind": "stake"});
    assert_ne!(parse(&by_stake).hash(), hash);
}

#[test]
fn spelling_does_not_change_the_hash() {
    let file = rich();
    let hash = parse(&file).hash();
    let pretty = serde_json::to_string_pretty(&file).unwrap();
    assert_eq!(Genesis::from_json(&pretty).unwrap().hash(), hash);

    let other_spelling = file
        .to_string()
        .replace("\"stake\":100", "\"stake\":\"100\"")
        .replace("0xde0b6b3a7640000", "0x0DE0B6B3A7640000")
        .replace("00000000a2", "00000000A2")
        .replace("\"10s\"", "\"10000ms\"");
    assert_ne!(other_spelling, file.to_string());
    assert_eq!(Genesis::from_json(&other_spelling).unwrap().hash(), hash);

    // Reversed: the last field first, at the top and below.
    fn reversed(value: &Value) -> String {
        match value {
            Value::Object(fields) => {
                let mut parts: Vec<_> =
                    fields.iter().map(|(key, value)| format!("\"{key}\": {}", reversed(value))).collect();
                parts.reverse();
                format!("{{ {} }}", parts.join(" ,\n"))
            }
            Value::Array(items) => {
                format!("[{}]", items.iter().map(reversed).collect::<Vec<_>>().join(", "))
            }
            other => other.to_string(),
        }
    }
    assert_eq!(Genesis::from_json(&reversed(&file)).unwrap().hash(), hash);
}

#[test]
fn defaults_may_be_left_out() {
    let mut file: Value = serde_json::from_str(&four().to_json_pretty()).unwrap();
    for path in ["weight", "consensus", "fees"] {
        file["assent"].as_object_mut().unwrap().remove(path).unwrap();
    }
    for field in ["nonce", "timestamp", "extraData", "difficulty", "mixHash", "coinbase", "alloc"] {
        file.as_object_mut().unwrap().remove(field).unwrap();
    }
    assert_eq!(parse(&file), four());
    assert_eq!(parse(&file).hash(), four().hash());
}

#[test]
fn writing_and_reading_gives_the_same_genesis() {
    let mut funded = NetworkPlan::new(31337, vec![40, 30, 20, 10]);
    funded.fund_dev_accounts = true;
    for genesis in [four(), fixed(&funded), parse(&rich())] {
        let text = genesis.to_json_pretty();
        assert!(text.ends_with("}\n"));
        let again = Genesis::from_json(&text).unwrap();
        assert_eq!(again, genesis);
        assert_eq!(again.hash(), genesis.hash());
    }
}

/// Whoever changes these values forks every network that exists. They were computed without this
/// program, from the canonical JSON and the definitions of SHA-256, keccak256, RLP and the trie.
#[test]
fn the_hash_of_a_small_genesis_is_frozen() {
    let mut plan = NetworkPlan::new(7, vec![40, 30, 20, 10]);
    plan.timestamp = 1_700_000_000;
    let account = GenesisAccount::default().with_balance(U256::from(1_000));
    plan.alloc.insert(address!("00000000000000000000000000000000000000a1"), account);
    let genesis = fixed(&plan);
    let canonical = include_str!("small.canonical.json");
    assert_eq!(genesis.canonical_json(), canonical.trim_end());
    assert_eq!(genesis.spec_hash(), b256!("93d436744704ae48a6137986ba5d649ccaffdb92024e208dac810b11c3293366"));
    assert_eq!(genesis.state_root(), b256!("7e90f2cd761b58816b202c3a0d20e9722d7f269eb1b3196b82e5fdbc23e20f98"));
    assert_eq!(genesis.hash(), b256!("7811c6a7ba2fc6428d872e39703f231b2145964a2322c44179662b86c2c2325b"));
}

#[test]
fn block_0_has_the_fields_of_the_forks_that_are_active() {
    let mut genesis = four();
    genesis.ethereum.timestamp = 100;
    genesis.assent.fees.base_fee = 9;
    let config = &mut genesis.ethereum.config;
    (config.shanghai_time, config.cancun_time) = (Some(100), Some(101));
    (config.prague_time, config.osaka_time) = (Some(102), None);
    let at = |timestamp: u64| {
        let mut genesis = genesis.clone();
        genesis.ethereum.timestamp = timestamp;
        genesis.header()
    };
    let merge = at(99);
    assert_eq!((merge.withdrawals_root, merge.blob_gas_used, merge.requests_hash), (None, None, None));
    let shanghai = at(100);
    assert_eq!(shanghai.withdrawals_root, Some(EMPTY_WITHDRAWALS));
    assert_eq!((shanghai.blob_gas_used, shanghai.parent_beacon_block_root), (None, None));
    let cancun = at(101);
    assert_eq!((cancun.blob_gas_used, cancun.excess_blob_gas), (Some(0), Some(0)));
    assert_eq!((cancun.parent_beacon_block_root, cancun.requests_hash), (Some(B256::ZERO), None));
    let prague = at(102);
    assert_eq!(prague.requests_hash, Some(EMPTY_REQUESTS_HASH));
    assert_eq!((prague.block_access_list_hash, prague.slot_number), (None, None));
    for header in [merge, shanghai, cancun, prague] {
        assert_eq!(header.base_fee_per_gas, Some(9));
        assert_eq!((header.number, header.gas_used, header.gas_limit), (0, 0, 60_000_000));
        assert!(header.difficulty.is_zero() && header.nonce.is_zero() && header.parent_hash.is_zero());
        assert_eq!(header.extra_data.len(), 32);
    }
}

#[test]
fn the_state_root_is_ethereums() {
    // No account at all.
    let empty = b256!("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421");
    assert_eq!(four().state_root(), empty);
    // The zero value of a slot is no entry of the storage trie.
    let mut genesis = four();
    let account = GenesisAccount::default().with_nonce(Some(1));
    genesis.ethereum.alloc.insert(Address::ZERO, account.clone());
    let root = genesis.state_root();
    assert_ne!(root, empty);
    let zero_slot = account.with_storage(Some([(B256::ZERO, B256::ZERO)].into()));
    genesis.ethereum.alloc.insert(Address::ZERO, zero_slot);
    assert_eq!(genesis.state_root(), root);
}

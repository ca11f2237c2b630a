//! What calls, logs and reverts say: by the contract's own ABI where it is proven, by what is known of common standards,
//! and then by an ABI that somebody uploaded. So nobody can give the parts of a usual transfer other names.
//!
//! All of it is text of strangers, made fit to be shown by [`text`]; whoever puts it into markup escapes it.

pub(crate) mod abi;
pub(crate) mod kind;
mod known;
pub(crate) mod text;
pub(crate) mod value;

use std::sync::Arc;

use alloy_primitives::{Address, B256, Log, Selector, hex};

use crate::{
    eth::call::reason,
    explorer::{Explorer, contract::Contract},
};
use abi::{Abi, Happening, Method, Reason};
use kind::{Field, Kind};
use known::KNOWN;

/// Characters of a reason that is shown.
const MAX_REASON: usize = 512;
/// Characters of a name with its types, and of a type: an ABI that somebody uploaded may have very long ones.
const MAX_SIGNATURE: usize = 512;
const MAX_TYPE: usize = 256;

/// A call or a log, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// Name and types.
    pub(crate) signature: String,
    pub(crate) arguments: Vec<Argument>,
}

/// A value with its name, which may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Argument {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) value: String,
}

impl Call {
    /// What is called, without the types.
    pub(crate) fn name(&self) -> &str {
        self.signature.split('(').next().unwrap_or_default()
    }
}

/// What a call asks for; `None`: nobody knows.
pub(crate) fn call(explorer: &Explorer, to: Option<&Address>, input: &[u8]) -> Option<Call> {
    let contract = to.and_then(|to| explorer.contracts.get(to));
    let abis = abis(contract.as_ref());
    abis.into_iter().find_map(|abi| call_by(abi, input))
}

/// What a log says; `None`: nobody knows.
pub(crate) fn log(explorer: &Explorer, log: &Log) -> Option<Call> {
    let contract = explorer.contracts.get(&log.address);
    let abis = abis(contract.as_ref());
    abis.into_iter().find_map(|abi| log_by(abi, log.topics(), &log.data.data))
}

/// Why a call reverted; `None`: it gave no reason, or one that nobody can read.
pub(crate) fn revert(explorer: &Explorer, to: Option<&Address>, output: &[u8]) -> Option<String> {
    if let Some(reason) = reason(output) {
        return Some(text::shown(&reason, MAX_REASON));
    }
    let contract = to.and_then(|to| explorer.contracts.get(to));
    let abis = abis(contract.as_ref());
    abis.into_iter().find_map(|abi| revert_by(abi, output))
}

/// The ABIs to ask, in this order.
fn abis(contract: Option<&Arc<Contract>>) -> Vec<&Abi> {
    match contract {
        Some(contract) if contract.abi_proven => vec![&contract.abi, &*KNOWN],
        Some(contract) => vec![&*KNOWN, &contract.abi],
        None => vec![&*KNOWN],
    }
}

fn split(data: &[u8]) -> Option<(Selector, &[u8])> {
    let (selector, rest) = data.split_first_chunk::<4>()?;
    Some((Selector::from(*selector), rest))
}

fn values(fields: &[Field], data: &[u8]) -> Option<Vec<String>> {
    value::read(&fields.iter().collect::<Vec<_>>(), data)
}

fn arguments(fields: &[Field], values: Vec<String>) -> Vec<Argument> {
    fields.iter().zip(values).map(|(field, value)| argument(field, value)).collect()
}

fn argument(field: &Field, value: String) -> Argument {
    Argument { name: field.name.clone(), kind: text::shown(&field.text, MAX_TYPE), value }
}

fn call_by(abi: &Abi, input: &[u8]) -> Option<Call> {
    let (selector, data) = split(input)?;
    let method: &Method = abi.methods.get(&selector)?;
    let values = values(&method.inputs, data)?;
    let signature = text::shown(&method.signature, MAX_SIGNATURE);
    Some(Call { signature, arguments: arguments(&method.inputs, values) })
}

/// What a call returned, by the method that was called.
pub(crate) fn returned(method: &Method, output: &[u8]) -> Option<Vec<Argument>> {
    Some(arguments(&method.outputs, values(&method.outputs, output)?))
}

fn log_by(abi: &Abi, topics: &[B256], data: &[u8]) -> Option<Call> {
    let (first, indexed) = topics.split_first()?;
    let event: &Happening = abi.events.get(&(*first, topics.len()))?;
    let plain: Vec<&Field> = event.inputs.iter().filter(|(_, indexed)| !indexed).map(|(field, _)| field).collect();
    let mut plain = value::read(&plain, data)?.into_iter();
    let mut topics = indexed.iter();
    let mut arguments = Vec::with_capacity(event.inputs.len());
    for (field, indexed) in &event.inputs {
        let value = if *indexed { indexed_value(field, topics.next()?)? } else { plain.next()? };
        arguments.push(argument(field, value));
    }
    Some(Call { signature: text::shown(&event.signature, MAX_SIGNATURE), arguments })
}

/// A value in a topic. Of what does not fit into a word only the hash is there.
fn indexed_value(field: &Field, topic: &B256) -> Option<String> {
    match field.kind {
        Kind::Bytes | Kind::Text | Kind::List(_) | Kind::Fixed(..) | Kind::Tuple(_) => Some(format!("hash {topic}")),
        _ => value::read_word(&field.kind, &topic.0),
    }
}

fn revert_by(abi: &Abi, output: &[u8]) -> Option<String> {
    let (selector, data) = split(output)?;
    let reason: &Reason = abi.errors.get(&selector)?;
    let values = values(&reason.inputs, data)?;
    let texts = reason.inputs.iter().zip(values).map(|(field, value)| match field.name.as_str() {
        "" => value,
        name => format!("{name}: {value}"),
    });
    let texts: Vec<_> = texts.collect();
    // The values are fit to be shown already; this bounds them together.
    let text = format!("{}({})", reason.name, texts.join(", "));
    match text.char_indices().nth(MAX_REASON) {
        Some((end, _)) => Some(format!("{}…", &text[..end])),
        None => Some(text),
    }
}

/// A selector as it is written where nobody knows its name.
pub(crate) fn selector_text(input: &[u8]) -> Option<String> {
    input.get(..4).map(hex::encode_prefixed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use alloy_primitives::{U256, keccak256};
    use serde_json::json;

    use super::*;

    fn words(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| U256::from(*word).to_be_bytes::<32>()).collect()
    }

    fn selected(signature: &str, data: Vec<u8>) -> Vec<u8> {
        [&keccak256(signature)[..4], &data].concat()
    }

    #[test]
    fn calls_of_standards_are_read() {
        let call = call_by(&KNOWN, &selected("transfer(address,uint256)", words(&[5, 700]))).unwrap();
        assert_eq!((call.name(), call.signature.as_str()), ("transfer", "transfer(address,uint256)"));
        assert_eq!(call.arguments[1], Argument { name: "amount".into(), kind: "uint256".into(), value: "700".into() });
        assert_eq!(call_by(&KNOWN, &selected("transfer(address,uint256)", words(&[5]))), None, "cut off");
        assert_eq!(call_by(&KNOWN, &[1, 2, 3]), None);
        assert_eq!(call_by(&KNOWN, &[1, 2, 3, 4]), None);
        assert_eq!(selector_text(&[1, 2, 3, 4, 5]).as_deref(), Some("0x01020304"));
    }

    #[test]
    fn an_abi_that_is_not_proven_renames_no_part_of_what_is_known() {
        let part = |name: &str, indexed: bool| json!({"name": name, "type": if name == "n" { "uint256" } else { "address" }, "indexed": indexed});
        let list = json!([
            {"type": "event", "name": "Transfer", "inputs": [part("to", true), part("from", true), part("n", false)]},
            {"type": "function", "name": "own", "inputs": []},
        ]);
        let (abi, json) = Abi::of_value(&list).unwrap();
        let said = Contract {
            proof: crate::explorer::contract::Proof::Full,
            name: None,
            compiler: None,
            code: B256::ZERO,
            abi,
            abi_proven: false,
            json,
            sources: Default::default(),
            sources_proven: false,
        };
        let proven = Contract { abi_proven: true, ..said.clone() };
        let topics = [keccak256("Transfer(address,address,uint256)"), B256::with_last_byte(1), B256::with_last_byte(2)];
        for (contract, name) in [(said, "from"), (proven, "to")] {
            let contract = Arc::new(contract);
            let log = abis(Some(&contract)).into_iter().find_map(|abi| log_by(abi, &topics, &words(&[9])));
            assert_eq!(log.unwrap().arguments[0].name, name);
            let call = abis(Some(&contract)).into_iter().find_map(|abi| call_by(abi, &selected("own()", Vec::new())));
            assert_eq!(call.unwrap().name(), "own");
        }
    }

    #[test]
    fn long_signatures_are_cut() {
        let parts: Vec<_> = (0..60).map(|_| json!({"name": "", "type": "uint256"})).collect();
        let pair = json!({"name": "all", "type": "tuple", "components": parts});
        let abi = json!([{"type": "function", "name": "f", "inputs": [pair, pair]}]);
        let (abi, _) = Abi::of_value(&abi).unwrap();
        let method = abi.methods.values().next().unwrap();
        let input = [method.selector().as_slice(), &[0; 120 * 32]].concat();
        let call = call_by(&abi, &input).unwrap();
        assert_eq!(call.signature.chars().count(), MAX_SIGNATURE + 1);
        assert_eq!((call.name(), call.arguments[0].kind.chars().count()), ("f", MAX_TYPE + 1));
    }

    #[test]
    fn transfers_of_amounts_and_of_things_differ_by_their_topics() {
        let topic = keccak256("Transfer(address,address,uint256)");
        let address = |last: u8| Address::with_last_byte(last).into_word();
        let coins = log_by(&KNOWN, &[topic, address(1), address(2)], &words(&[9])).unwrap();
        assert_eq!((coins.arguments[2].name.as_str(), coins.arguments[2].value.as_str()), ("value", "9"));
        let thing = log_by(&KNOWN, &[topic, address(1), address(2), B256::with_last_byte(7)], &[]).unwrap();
        assert_eq!((thing.arguments[2].name.as_str(), thing.arguments[2].value.as_str()), ("id", "7"));
        assert_eq!(log_by(&KNOWN, &[topic], &[]), None);
        assert_eq!(log_by(&KNOWN, &[], &[]), None);
    }

    #[test]
    fn reasons_are_read_from_known_and_uploaded_errors() {
        let data = selected("ERC20InsufficientBalance(address,uint256,uint256)", words(&[1, 2, 3]));
        let text = revert_by(&KNOWN, &data).unwrap();
        assert!(text.starts_with("ERC20InsufficientBalance(sender: 0x") && text.ends_with("balance: 2, needed: 3)"));
        let abi = json!([{"type": "error", "name": "TooLate", "inputs": [{"name": "", "type": "string"}]}]);
        let (abi, _) = Abi::of_value(&abi).unwrap();
        let mut data = words(&[32, 3]);
        data.extend_from_slice("\u{202e}".as_bytes());
        assert_eq!(revert_by(&abi, &selected("TooLate(string)", data)).as_deref(), Some("TooLate(\\u{202e})"));
        assert_eq!(revert_by(&abi, &selected("TooLate(string)", Vec::new())), None);
        let mut long = words(&[32, 2_000]);
        long.resize(64 + 2_000, b'x');
        let text = revert_by(&abi, &selected("TooLate(string)", long)).unwrap();
        assert_eq!(text.chars().count(), MAX_REASON + 1);
    }
}

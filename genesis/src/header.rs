//! Block 0, canonical JSON and the genesis hash.
//!
//! The header is Ethereum's for the forks that are active at the genesis time. Its `extraData` is
//! the SHA-256 of the canonical JSON of the whole file, so that the genesis hash covers every
//! value of it, also those that no header field shows.
//!
//! Canonical JSON is the *parsed and serialised again* genesis: defaults filled in, objects sorted
//! by the bytes of their keys, no white space. So white space, the order of keys, the case of
//! hexadecimal digits and defaults that are left out do not change the hash; any value does.

use alloy_consensus::{Header, constants::EMPTY_WITHDRAWALS};
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_primitives::{B256, Bytes};
use alloy_trie::root::state_root_ref_unhashed;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::Genesis;

impl Genesis {
    /// The header of block 0. It computes the state root over all allocations: keep the result.
    pub fn header(&self) -> Header {
        let file = &self.ethereum;
        let active = |time: Option<u64>| time.is_some_and(|time| time <= file.timestamp);
        let cancun = active(file.config.cancun_time);
        Header {
            beneficiary: file.coinbase,
            state_root: self.state_root(),
            gas_limit: file.gas_limit,
            timestamp: file.timestamp,
            extra_data: Bytes::copy_from_slice(self.spec_hash().as_slice()),
            mix_hash: file.mix_hash,
            base_fee_per_gas: Some(self.assent.fees.base_fee),
            withdrawals_root: active(file.config.shanghai_time).then_some(EMPTY_WITHDRAWALS),
            blob_gas_used: cancun.then_some(0),
            excess_blob_gas: cancun.then_some(0),
            parent_beacon_block_root: cancun.then_some(B256::ZERO),
            requests_hash: active(file.config.prague_time).then_some(EMPTY_REQUESTS_HASH),
            // Number, difficulty, nonce and gas used are zero, the lists empty.
            ..Header::default()
        }
    }

    /// The hash of block 0, the "genesis hash": it stands for every value of the file. It computes
    /// the state root over all allocations: keep the result.
    pub fn hash(&self) -> B256 {
        self.header().hash_slow()
    }

    /// The root of the state trie that `alloc` describes.
    pub fn state_root(&self) -> B256 {
        state_root_ref_unhashed(&self.ethereum.alloc)
    }

    /// The SHA-256 of [`Genesis::canonical_json`].
    pub fn spec_hash(&self) -> B256 {
        B256::new(Sha256::digest(self.canonical_json()).into())
    }

    /// The whole file in the one form that is hashed.
    pub fn canonical_json(&self) -> String {
        let text = serde_json::to_string(self).expect("plain data with string keys always has a JSON form");
        let value = serde_json::from_str(&text).expect("what serde_json wrote, it reads");
        let mut canonical = String::with_capacity(text.len());
        write_canonical(&value, &mut canonical);
        canonical
    }
}

/// Writes a value with sorted keys and without white space. Sorts by itself: serde_json keeps or
/// sorts the order of keys depending on a feature that any dependency can turn on.
fn write_canonical(value: &Value, to: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields.sort_unstable_by_key(|(key, _)| *key);
            to.push('{');
            for (position, (key, value)) in fields.into_iter().enumerate() {
                if position > 0 {
                    to.push(',');
                }
                write_canonical(&Value::from(key.as_str()), to);
                to.push(':');
                write_canonical(value, to);
            }
            to.push('}');
        }
        Value::Array(items) => {
            to.push('[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    to.push(',');
                }
                write_canonical(item, to);
            }
            to.push(']');
        }
        plain => to.push_str(&plain.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn canonical_form_sorts_keys_at_every_depth() {
        let value = json!({"b": [{"d": 1, "c": null}, true], "a": "\"\n", "": {}, "aa": [], "B": -1});
        let mut text = String::new();
        write_canonical(&value, &mut text);
        let expected = r#"{"":{},"B":-1,"a":"\"\n","aa":[],"b":[{"c":null,"d":1},true]}"#;
        assert_eq!(text, expected);
    }
}

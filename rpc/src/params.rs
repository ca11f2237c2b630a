//! Reading the parameters of a call.
//!
//! Lenient where no mistake can hide: quantities may have leading zeros or be JSON numbers, hex
//! may be in upper case, trailing parameters may be left out or null. Strict otherwise, and every
//! refusal names the parameter, what was expected and what came.

use alloy_eips::{BlockId, BlockNumberOrTag, RpcBlockHash};
use alloy_primitives::{Address, B256, Bytes, U256, hex};
use jsonrpsee::types::Params;
use serde_json::{Map, Value};

use crate::errors::CallError;

/// Characters of a wrong value that are repeated in the answer.
const SHOWN: usize = 80;

/// The parameters of one call, in order.
#[derive(Debug, Default)]
pub(crate) struct Args {
    values: Vec<Value>,
}

impl Args {
    /// Takes an array with at most `max` values; nothing at all is an empty array.
    pub(crate) fn parse(params: &Params<'_>, max: usize) -> Result<Self, CallError> {
        let values = match params.as_str() {
            None => Vec::new(),
            Some(text) => match serde_json::from_str(text) {
                Ok(Value::Array(values)) => values,
                Ok(Value::Null) => Vec::new(),
                Ok(other) => return Err(invalid("params", "an array", &other)),
                Err(error) => return Err(CallError::InvalidParams(format!("params: {error}"))),
            },
        };
        if values.len() > max {
            let message = format!("too many arguments, want at most {max}, got {}", values.len());
            return Err(CallError::InvalidParams(message));
        }
        Ok(Self { values })
    }

    /// The parameter at `index`, if it is there and not null.
    pub(crate) fn get(&self, index: usize) -> Option<&Value> {
        self.values.get(index).filter(|value| !value.is_null())
    }

    /// Reads a parameter that must be there.
    pub(crate) fn required<T>(&self, index: usize, name: &str, read: Read<T>) -> Result<T, CallError> {
        match self.get(index) {
            Some(value) => read(&argument(index, name), value),
            None => Err(CallError::InvalidParams(format!("missing value for required argument {index} ({name})"))),
        }
    }

    /// Reads a parameter that may be left out or null.
    pub(crate) fn optional<T>(&self, index: usize, name: &str, read: Read<T>) -> Result<Option<T>, CallError> {
        self.get(index).map(|value| read(&argument(index, name), value)).transpose()
    }

    /// Reads a block parameter; left out it is the latest block.
    pub(crate) fn block(&self, index: usize) -> Result<BlockId, CallError> {
        Ok(self.optional(index, "block", block_id)?.unwrap_or(BlockId::latest()))
    }
}

/// Reads a value; the first parameter says which one it is, for the error.
pub(crate) type Read<T> = fn(&str, &Value) -> Result<T, CallError>;

fn argument(index: usize, name: &str) -> String {
    format!("invalid argument {index}: {name}")
}

/// The error for a value that is not what it should be.
pub(crate) fn invalid(what: &str, expected: &str, got: &Value) -> CallError {
    let mut text = got.to_string();
    if let Some((end, _)) = text.char_indices().nth(SHOWN) {
        text.truncate(end);
        text.push_str("...");
    }
    CallError::InvalidParams(format!("{what}: expected {expected}, got {text}"))
}

/// The digits of a string that is 0x and nothing but hex digits.
fn digits(value: &Value) -> Option<&str> {
    let text = value.as_str()?;
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then_some(digits)
}

/// Hex with 0x and an even number of digits.
pub(crate) fn bytes(what: &str, value: &Value) -> Result<Bytes, CallError> {
    match digits(value).map(hex::decode) {
        Some(Ok(bytes)) => Ok(bytes.into()),
        _ => Err(invalid(what, "hex data with 0x and an even number of digits", value)),
    }
}

fn fixed<const N: usize>(value: &Value) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(digits(value)?, &mut bytes).ok()?;
    Some(bytes)
}

/// An address; its letters may have any case.
pub(crate) fn address(what: &str, value: &Value) -> Result<Address, CallError> {
    fixed(value).map(Address::new).ok_or_else(|| invalid(what, "an address (20 bytes of hex with 0x)", value))
}

/// A hash.
pub(crate) fn hash(what: &str, value: &Value) -> Result<B256, CallError> {
    fixed(value).map(B256::new).ok_or_else(|| invalid(what, "a hash (32 bytes of hex with 0x)", value))
}

/// A quantity up to 256 bits.
pub(crate) fn u256(what: &str, value: &Value) -> Result<U256, CallError> {
    let number = match value {
        Value::Number(number) => number.as_u64().map(U256::from),
        _ => digits(value).filter(|digits| !digits.is_empty()).and_then(|digits| U256::from_str_radix(digits, 16).ok()),
    };
    number.ok_or_else(|| invalid(what, "a quantity (hex with 0x, at most 256 bits)", value))
}

/// A quantity up to 64 bits.
pub(crate) fn u64(what: &str, value: &Value) -> Result<u64, CallError> {
    u256(what, value)
        .ok()
        .and_then(|number| u64::try_from(number).ok())
        .ok_or_else(|| invalid(what, "a quantity (hex with 0x, at most 64 bits)", value))
}

/// A quantity up to 128 bits.
pub(crate) fn u128(what: &str, value: &Value) -> Result<u128, CallError> {
    u256(what, value)
        .ok()
        .and_then(|number| u128::try_from(number).ok())
        .ok_or_else(|| invalid(what, "a quantity (hex with 0x, at most 128 bits)", value))
}

/// A storage position: a quantity, or up to 32 bytes of hex.
pub(crate) fn slot(what: &str, value: &Value) -> Result<U256, CallError> {
    u256(what, value).map_err(|_| invalid(what, "a storage position (hex with 0x, at most 32 bytes)", value))
}

/// True or false.
pub(crate) fn boolean(what: &str, value: &Value) -> Result<bool, CallError> {
    value.as_bool().ok_or_else(|| invalid(what, "true or false", value))
}

/// An object.
pub(crate) fn object(what: &str, value: &Value) -> Result<Map<String, Value>, CallError> {
    value.as_object().cloned().ok_or_else(|| invalid(what, "an object", value))
}

const BLOCK_TAG: &str = "a block number (hex with 0x) or latest, safe, finalized, pending, earliest";

/// A block number or tag.
pub(crate) fn block_number(what: &str, value: &Value) -> Result<BlockNumberOrTag, CallError> {
    let tag = match value.as_str() {
        Some("latest" | "") => BlockNumberOrTag::Latest,
        Some("safe") => BlockNumberOrTag::Safe,
        Some("finalized") => BlockNumberOrTag::Finalized,
        Some("pending") => BlockNumberOrTag::Pending,
        Some("earliest") => BlockNumberOrTag::Earliest,
        _ => u64(what, value).map(BlockNumberOrTag::Number).map_err(|_| invalid(what, BLOCK_TAG, value))?,
    };
    Ok(tag)
}

/// A block number, a tag, a block hash, or an object of EIP-1898.
pub(crate) fn block_id(what: &str, value: &Value) -> Result<BlockId, CallError> {
    if let Value::Object(fields) = value {
        return eip1898(what, fields, value);
    }
    if value.as_str().is_some_and(|text| text.len() == 2 + 2 * B256::len_bytes()) {
        return Ok(hash(what, value)?.into());
    }
    block_number(what, value).map(BlockId::Number)
}

fn eip1898(what: &str, fields: &Map<String, Value>, value: &Value) -> Result<BlockId, CallError> {
    let field = |name: &str| fields.get(name).filter(|value| !value.is_null());
    let require_canonical =
        field("requireCanonical").map(|flag| boolean(&format!("{what}.requireCanonical"), flag)).transpose()?;
    match (field("blockNumber"), field("blockHash")) {
        (Some(number), None) => block_number(&format!("{what}.blockNumber"), number).map(BlockId::Number),
        (None, Some(block)) => {
            let block_hash = hash(&format!("{what}.blockHash"), block)?;
            Ok(BlockId::Hash(RpcBlockHash { block_hash, require_canonical }))
        }
        _ => Err(invalid(what, "an object with either blockNumber or blockHash", value)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn message<T: std::fmt::Debug>(result: Result<T, CallError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn params_may_be_left_out() {
        for text in [None, Some("[]"), Some("null"), Some(" [ ] ")] {
            let args = Args::parse(&Params::new(text), 1).unwrap();
            assert_eq!(args.block(0).unwrap(), BlockId::latest());
            assert_eq!(
                message(args.required(0, "address", address)),
                "missing value for required argument 0 (address)"
            );
        }
        let too_many = Args::parse(&Params::new(Some("[1,2]")), 1);
        assert_eq!(message(too_many), "too many arguments, want at most 1, got 2");
        let named = Args::parse(&Params::new(Some(r#"{"a":1}"#)), 1);
        assert_eq!(message(named), r#"params: expected an array, got {"a":1}"#);
    }

    #[test]
    fn refusals_name_the_parameter_and_both_sides() {
        let args = Args::parse(&Params::new(Some(r#"["0x12"]"#)), 1).unwrap();
        assert_eq!(
            message(args.required(0, "address", address)),
            r#"invalid argument 0: address: expected an address (20 bytes of hex with 0x), got "0x12""#
        );
        let long = json!("0x".to_string() + &"ab".repeat(1_000));
        assert!(message(hash("hash", &long)).len() < 200);
    }

    #[test]
    fn quantities_are_lenient() {
        for (value, number) in
            [(json!("0x0"), 0), (json!("0x01"), 1), (json!("0X1f"), 31), (json!("0x1F"), 31), (json!(7), 7)]
        {
            assert_eq!(u64("n", &value).unwrap(), number, "{value}");
        }
        for value in
            [json!("0x"), json!(""), json!("1"), json!("0x1g"), json!("0x_1"), json!(-1), json!(1.5), json!([])]
        {
            assert!(u256("n", &value).is_err(), "{value}");
        }
        assert!(u64("n", &json!("0x10000000000000000")).is_err());
        assert_eq!(u128("n", &json!("0x10000000000000000")).unwrap(), 1 << 64);
        assert_eq!(u256("n", &json!("0x".to_string() + &"f".repeat(64))).unwrap(), U256::MAX);
        assert!(u256("n", &json!("0x1".to_string() + &"f".repeat(64))).is_err());
    }

    #[test]
    fn data_has_an_even_number_of_digits() {
        assert_eq!(bytes("data", &json!("0x")).unwrap(), Bytes::new());
        assert_eq!(bytes("data", &json!("0xABcd")).unwrap(), Bytes::from(vec![0xab, 0xcd]));
        for value in [json!("0xabc"), json!("0x0xab"), json!("abcd"), json!(""), json!(5)] {
            assert!(bytes("data", &value).is_err(), "{value}");
        }
    }

    #[test]
    fn blocks_are_numbers_tags_hashes_or_objects() {
        let block = |value: Value| block_id("block", &value);
        assert_eq!(block(json!("latest")).unwrap(), BlockId::latest());
        assert_eq!(block(json!("pending")).unwrap(), BlockId::pending());
        assert_eq!(block(json!("0x10")).unwrap(), BlockId::number(16));
        assert_eq!(block(json!(16)).unwrap(), BlockId::number(16));
        let hash = B256::repeat_byte(7);
        assert_eq!(block(json!(hash)).unwrap(), BlockId::hash(hash));
        assert_eq!(block(json!({"blockNumber": "0x1"})).unwrap(), BlockId::number(1));
        assert_eq!(block(json!({"blockHash": hash})).unwrap(), BlockId::hash(hash));
        assert_eq!(block(json!({"blockHash": hash, "requireCanonical": true})).unwrap(), BlockId::hash_canonical(hash));
        for value in [json!({}), json!({"blockHash": hash, "blockNumber": "0x1"}), json!("newest"), json!(true)] {
            assert!(block(value.clone()).is_err(), "{value}");
        }
    }
}

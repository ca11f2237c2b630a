//! An ABI: functions, events and errors by what they are known by on the chain.
//!
//! One that was uploaded is a stranger's. It is read as plain JSON first, and only what is known, bounded and made of
//! Solidity's identifiers goes on to the reader of ABIs.

use std::collections::BTreeMap;

use alloy_json_abi::{Error, Event, EventParam, Function, JsonAbi, Param, StateMutability};
use alloy_primitives::{B256, Selector};
use serde_json::{Map, Value, json};

use super::kind::Field;
use super::text::shown;

/// Bytes of an ABI that is uploaded.
pub(crate) const MAX_ABI_BYTES: usize = 1024 * 1024;
/// Functions, events and errors of one ABI.
const MAX_ITEMS: usize = 2_000;
/// Parameters of one of them, or parts of one tuple.
const MAX_PARAMS: usize = 64;
/// Characters of a name and of a type.
const MAX_NAME: usize = 128;
/// How deep tuples may lie within each other; see also [`super::kind`].
const MAX_DEPTH: usize = 8;

/// A function, with its types read.
#[derive(Clone, Debug)]
pub(crate) struct Method {
    pub(crate) item: Function,
    pub(crate) signature: String,
    pub(crate) inputs: Vec<Field>,
    pub(crate) outputs: Vec<Field>,
}

impl Method {
    /// Whether it promises to change nothing.
    pub(crate) fn is_read(&self) -> bool {
        matches!(self.item.state_mutability, StateMutability::Pure | StateMutability::View)
    }

    /// Whether it takes the chain's money.
    pub(crate) fn is_payable(&self) -> bool {
        self.item.state_mutability == StateMutability::Payable
    }

    pub(crate) fn selector(&self) -> Selector {
        self.item.selector()
    }
}

/// An event; each parameter with whether it is indexed.
#[derive(Clone, Debug)]
pub(crate) struct Happening {
    pub(crate) signature: String,
    pub(crate) inputs: Vec<(Field, bool)>,
}

/// An error of a contract's own.
#[derive(Clone, Debug)]
pub(crate) struct Reason {
    pub(crate) name: String,
    pub(crate) inputs: Vec<Field>,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Abi {
    pub(crate) methods: BTreeMap<Selector, Method>,
    /// By the first topic and the number of topics.
    pub(crate) events: BTreeMap<(B256, usize), Happening>,
    pub(crate) errors: BTreeMap<Selector, Reason>,
}

impl Abi {
    /// Reads JSON: the list of an ABI, or an object that has one as `abi` (what compilers and tools write).
    pub(crate) fn read(text: &str) -> Result<(Self, Value), String> {
        if text.len() > MAX_ABI_BYTES {
            return Err(format!("expected an ABI of at most {MAX_ABI_BYTES} bytes, got {}", text.len()));
        }
        let value: Value = serde_json::from_str(text)
            .map_err(|error| format!("expected an ABI in JSON, a list of functions and events: {error}"))?;
        Self::of_value(&value)
    }

    /// The same of JSON that has been read. The second value is what was taken of it.
    pub(crate) fn of_value(value: &Value) -> Result<(Self, Value), String> {
        let list = value.get("abi").unwrap_or(value).as_array();
        let list = list.ok_or("expected an ABI in JSON: a list, or an object with a list \"abi\"")?;
        if list.len() > MAX_ITEMS {
            return Err(format!("expected at most {MAX_ITEMS} entries in the ABI, got {}", list.len()));
        }
        let mut kept = Vec::with_capacity(list.len());
        for (index, item) in list.iter().enumerate() {
            kept.extend(clean_item(item).map_err(|error| format!("entry {index} of the ABI: {error}"))?);
        }
        let kept = Value::Array(kept);
        let text = kept.to_string();
        if text.len() > MAX_ABI_BYTES {
            return Err(format!("expected an ABI of at most {MAX_ABI_BYTES} bytes, got {}", text.len()));
        }
        let json: JsonAbi = serde_json::from_str(&text).map_err(|error| format!("this is no ABI: {error}"))?;
        let abi = Self::of_items(json.functions(), json.events(), json.errors())?;
        if abi.methods.is_empty() && abi.events.is_empty() && abi.errors.is_empty() {
            return Err("expected an ABI with functions, events or errors, got one without any".into());
        }
        Ok((abi, kept))
    }

    /// The same of what has been read.
    pub(crate) fn of_items<'a>(
        functions: impl Iterator<Item = &'a Function>,
        events: impl Iterator<Item = &'a Event>,
        errors: impl Iterator<Item = &'a Error>,
    ) -> Result<Self, String> {
        let mut abi = Self::default();
        for item in functions {
            let method = Method {
                item: item.clone(),
                signature: item.signature(),
                inputs: fields(&item.inputs)?,
                outputs: fields(&item.outputs)?,
            };
            abi.methods.insert(item.selector(), method);
        }
        for item in events.filter(|event| !event.anonymous) {
            let inputs = item.inputs.iter().map(|param| Ok((event_field(param)?, param.indexed)));
            let inputs = inputs.collect::<Result<Vec<_>, String>>()?;
            let event = Happening { signature: item.signature(), inputs };
            abi.events.insert((item.selector(), item.num_topics()), event);
        }
        for item in errors {
            let reason = Reason { name: item.name.clone(), inputs: fields(&item.inputs)? };
            abi.errors.insert(item.selector(), reason);
        }
        Ok(abi)
    }
}

fn fields(params: &[Param]) -> Result<Vec<Field>, String> {
    params.iter().map(Field::of).collect()
}

fn event_field(param: &EventParam) -> Result<Field, String> {
    Field::new(&param.name, &param.ty, &param.components)
}

/// What is kept of an entry; nothing of constructors and of what receives money.
fn clean_item(item: &Value) -> Result<Option<Value>, String> {
    let item = item.as_object().ok_or("expected an object")?;
    let kind = match item.get("type").map_or(Some("function"), Value::as_str) {
        Some(kind @ ("function" | "event" | "error")) => kind,
        Some("constructor" | "fallback" | "receive") => return Ok(None),
        _ => return Err("expected the type function, event, error, constructor, fallback or receive".into()),
    };
    let name = identifier(item.get("name"))?;
    if name.is_empty() {
        return Err("expected a name".into());
    }
    let inputs = clean_params(item.get("inputs"), kind == "event", 0)?;
    Ok(Some(match kind {
        "event" => {
            let anonymous = item.get("anonymous").and_then(Value::as_bool).unwrap_or(false);
            json!({"type": kind, "name": name, "inputs": inputs, "anonymous": anonymous})
        }
        "error" => json!({"type": kind, "name": name, "inputs": inputs}),
        _ => {
            let outputs = clean_params(item.get("outputs"), false, 0)?;
            let mutability = mutability(item)?;
            json!({"type": kind, "name": name, "inputs": inputs, "outputs": outputs, "stateMutability": mutability})
        }
    }))
}

/// What a function may do; compilers of long ago had two other fields for it.
fn mutability(item: &Map<String, Value>) -> Result<&str, String> {
    let is = |name: &str| item.get(name).and_then(Value::as_bool).unwrap_or(false);
    match item.get("stateMutability").map(Value::as_str) {
        None if is("constant") => Ok("view"),
        None if is("payable") => Ok("payable"),
        None => Ok("nonpayable"),
        Some(Some(name @ ("pure" | "view" | "nonpayable" | "payable"))) => Ok(name),
        Some(_) => Err("expected the stateMutability pure, view, nonpayable or payable".into()),
    }
}

/// A name as Solidity allows it; none is an empty one.
fn identifier(name: Option<&Value>) -> Result<&str, String> {
    let Some(name) = name.filter(|name| !name.is_null()) else { return Ok("") };
    let name = name.as_str().ok_or("expected the name as a string")?;
    let plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '$');
    if name.len() > MAX_NAME || !name.chars().all(plain) || name.starts_with(|first: char| first.is_ascii_digit()) {
        let got = shown(name, 64);
        return Err(format!(
            "expected a name of at most {MAX_NAME} letters, digits, _ and $ that does not begin with a digit, got \"{got}\""
        ));
    }
    Ok(name)
}

fn clean_params(params: Option<&Value>, of_event: bool, depth: usize) -> Result<Vec<Value>, String> {
    let Some(params) = params.filter(|params| !params.is_null()) else { return Ok(Vec::new()) };
    let params = params.as_array().ok_or("expected parameters as a list")?;
    if params.len() > MAX_PARAMS || depth > MAX_DEPTH {
        return Err(format!(
            "expected at most {MAX_PARAMS} parameters, and tuples at most {MAX_DEPTH} deep within each other"
        ));
    }
    params.iter().map(|param| clean_param(param, of_event, depth)).collect()
}

fn clean_param(param: &Value, of_event: bool, depth: usize) -> Result<Value, String> {
    let ty = param.get("type").and_then(Value::as_str).unwrap_or_default();
    let plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '[' | ']');
    if ty.is_empty() || ty.len() > MAX_NAME || !ty.chars().all(plain) {
        let got = shown(ty, 64);
        return Err(format!("expected a type of Solidity's ABI such as uint256 or address[], got \"{got}\""));
    }
    let mut out = json!({"name": identifier(param.get("name"))?, "type": ty});
    let components = clean_params(param.get("components"), false, depth + 1)?;
    if components.is_empty() == (ty.split('[').next() == Some("tuple")) {
        return Err("expected components with the type tuple, and with no other".into());
    }
    if !components.is_empty() {
        out["components"] = Value::Array(components);
    }
    if of_event {
        out["indexed"] = Value::Bool(param.get("indexed").and_then(Value::as_bool).unwrap_or(false));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn refusal(value: Value) -> String {
        Abi::of_value(&value).unwrap_err()
    }

    #[test]
    fn an_abi_is_found_by_selectors_and_topics() {
        let text = json!([
            {"type": "constructor", "inputs": [{"name": "x", "type": "uint256"}]},
            {"type": "receive", "stateMutability": "payable"},
            {"type": "function", "name": "transfer", "stateMutability": "nonpayable",
             "inputs": [{"name": "to", "type": "address", "internalType": "address"}, {"name": "amount", "type": "uint256"}],
             "outputs": [{"name": "", "type": "bool"}]},
            {"name": "old", "constant": true, "inputs": [], "outputs": []},
            {"type": "event", "name": "Transfer", "inputs": [
                {"name": "from", "type": "address", "indexed": true}, {"name": "to", "type": "address", "indexed": true},
                {"name": "value", "type": "uint256", "indexed": false}]},
            {"type": "error", "name": "Sorry", "inputs": [{"name": "who", "type": "tuple",
                "components": [{"name": "a", "type": "address"}]}]},
        ]);
        for wrapped in [text.clone(), json!({"abi": text})] {
            let (abi, kept) = Abi::read(&wrapped.to_string()).unwrap();
            let method = &abi.methods[&Selector::from([0xa9, 0x05, 0x9c, 0xbb])];
            assert_eq!((method.signature.as_str(), method.is_read()), ("transfer(address,uint256)", false));
            assert!(abi.methods.values().any(|method| method.item.name == "old" && method.is_read()));
            assert_eq!(abi.events.keys().map(|(_, topics)| *topics).collect::<Vec<_>>(), [3]);
            assert_eq!(abi.errors.values().next().unwrap().inputs[0].text, "(address)");
            assert_eq!(kept.as_array().unwrap().len(), 4);
            assert!(!kept.to_string().contains("internalType"));
            Abi::of_value(&kept).unwrap();
        }
    }

    #[test]
    fn what_is_no_abi_is_refused_with_what_was_expected() {
        assert!(Abi::read("{").unwrap_err().contains("expected an ABI in JSON"));
        assert!(refusal(json!({"functions": []})).contains("a list"));
        assert!(refusal(json!([])).contains("without any"));
        assert!(refusal(json!([1])).contains("entry 0 of the ABI: expected an object"));
        assert!(refusal(json!([{"type": "thing"}])).contains("expected the type function"));
        let with = |param: Value| json!([{"type": "function", "name": "f", "inputs": [param]}]);
        assert!(refusal(with(json!({"type": "uint256[99999]"}))).contains("expected a type"));
        assert!(refusal(with(json!({"type": "((((("}))).contains("expected a type"));
        assert!(refusal(with(json!({"type": "tuple"}))).contains("components"));
    }

    #[test]
    fn hostile_names_and_shapes_are_refused() {
        for name in ["<script>", "a b", "\u{202e}", "1a", "", &"a".repeat(MAX_NAME + 1)] {
            let error = refusal(json!([{"type": "function", "name": name, "inputs": []}]));
            assert!(error.contains("expected a name"), "{error}");
            assert!(!error.contains('\u{202e}'), "{error}");
        }
        let many: Vec<Value> = (0..=MAX_PARAMS).map(|_| json!({"type": "bool"})).collect();
        assert!(refusal(json!([{"type": "function", "name": "f", "inputs": many}])).contains("at most 64 parameters"));
        let mut param = json!({"type": "bool"});
        for _ in 0..=MAX_DEPTH {
            param = json!({"type": "tuple", "components": [param]});
        }
        assert!(refusal(json!([{"type": "function", "name": "f", "inputs": [param]}])).contains("deep"));
        let items: Vec<Value> = (0..=MAX_ITEMS).map(|_| json!({})).collect();
        assert!(refusal(Value::Array(items)).contains("at most 2000 entries"));
        assert!(Abi::read(&"[".repeat(MAX_ABI_BYTES + 1)).unwrap_err().contains("bytes"));
        assert!(Abi::read(&"[".repeat(10_000)).unwrap_err().contains("expected an ABI"));
    }
}

//! Reading `genesis.json`: size, syntax, types, unknown, missing and repeated fields.
//!
//! Nothing in the file is skipped silently: a misspelt name would otherwise turn into a default on
//! which the nodes agree and which nobody meant. Errors name the field by its path and, where the
//! parser knows it, line and column. Whether the values make sense is `validate.rs`'s question.

use std::{
    collections::BTreeSet,
    fmt, fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use alloy_primitives::Address;
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned},
};
use serde_json::{Map, Value};

use crate::{AssentSpec, Finding, Genesis, Level};

/// The largest `genesis.json` that is read: room for some 300,000 allocations, and an end to what
/// a wrong path (a device, a database) can cost.
pub const MAX_GENESIS_BYTES: u64 = 64 * 1024 * 1024;

/// The fields at the top of a file. Ethereum's come from `alloy_genesis::Genesis`, but for
/// `gasUsed`, which Geth writes and which says nothing.
const TOP_FIELDS: [&str; 17] = [
    "config",
    "nonce",
    "timestamp",
    "extraData",
    "gasLimit",
    "difficulty",
    "mixHash",
    "coinbase",
    "alloc",
    "baseFeePerGas",
    "excessBlobGas",
    "blobGasUsed",
    "slotNumber",
    "number",
    "gasUsed",
    "parentHash",
    "assent",
];

/// Why a genesis file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is too large.
    #[error("{} is larger than {MAX_GENESIS_BYTES} bytes: is it a genesis file?", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A value is not what its field takes, or the text is no JSON. The message ends with line and
    /// column.
    #[error("{}{message}", prefix(field))]
    Parse {
        /// The path of the field, empty when the text as a whole is meant.
        field: String,
        /// What was expected and what came.
        message: String,
    },
    /// A field that means nothing here.
    #[error("{field}: unknown field{}", suggestion(expected))]
    UnknownField {
        /// The path of the field.
        field: String,
        /// The names that could have been meant.
        expected: Vec<&'static str>,
    },
    /// A field that has no sensible default.
    #[error("{field}: missing; {hint}")]
    MissingField {
        /// The path of the field.
        field: &'static str,
        /// What to write there.
        hint: &'static str,
    },
    /// The same entry twice, in different spellings.
    #[error("{field}: appears more than once; keep one of them")]
    Repeated {
        /// The path of the entry.
        field: String,
    },
    /// The file is well-formed, and what it says is not acceptable.
    #[error("the genesis is not valid:{}", lines(findings))]
    Invalid {
        /// All findings, errors and warnings.
        findings: Vec<Finding>,
    },
}

fn prefix(field: &str) -> String {
    if field.is_empty() { String::new() } else { format!("{field}: ") }
}

fn suggestion(expected: &[&str]) -> String {
    if expected.is_empty() { String::new() } else { format!("; known are {}", expected.join(", ")) }
}

fn lines(findings: &[Finding]) -> String {
    let errors = findings.iter().filter(|finding| finding.level == Level::Error);
    errors.map(|finding| format!("\n  {}: {}", finding.field, finding.message)).collect()
}

impl Genesis {
    /// Reads and validates a file. The findings that come with a genesis are warnings; errors are
    /// all reported at once as [`GenesisError::Invalid`].
    pub fn load(path: &Path) -> Result<(Self, Vec<Finding>), GenesisError> {
        let genesis = Self::from_json(&read(path)?)?;
        let findings = genesis.validate();
        if findings.iter().any(|finding| finding.level == Level::Error) {
            return Err(GenesisError::Invalid { findings });
        }
        Ok((genesis, findings))
    }

    /// Reads the text of a file, without judging the values: see [`Genesis::validate`].
    pub fn from_json(text: &str) -> Result<Self, GenesisError> {
        let Json(raw) = parse(text)?;
        check_fields(&raw)?;
        let ethereum: alloy_genesis::Genesis = parse(text)?;
        let AssentSection { assent } = parse(text)?;
        if let Some(field) = ethereum.config.extra_fields.keys().next() {
            return Err(unknown(format!("config.{field}"), Vec::new()));
        }
        check_allocations(&raw, &ethereum)?;
        Ok(Self { ethereum, assent })
    }
}

fn read(path: &Path) -> Result<String, GenesisError> {
    let failed = |source| GenesisError::Read { path: path.to_owned(), source };
    let mut text = String::new();
    let file = fs::File::open(path).map_err(failed)?;
    let length = file.take(MAX_GENESIS_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if length as u64 > MAX_GENESIS_BYTES {
        return Err(GenesisError::TooLarge { path: path.to_owned() });
    }
    Ok(text)
}

/// The part of the file that alloy's type skips.
#[derive(Deserialize)]
struct AssentSection {
    assent: AssentSpec,
}

/// Parses a text as one type. The file is parsed once for each type that it holds, because serde
/// forgets where an error was when it flattens one into another.
fn parse<T: DeserializeOwned>(text: &str) -> Result<T, GenesisError> {
    let mut from = serde_json::Deserializer::from_str(text);
    let located = |path: String, error: serde_json::Error| GenesisError::Parse {
        field: match path.trim_end_matches(".?") {
            "." | "?" => String::new(),
            known => known.to_owned(),
        },
        message: error.to_string(),
    };
    let value = serde_path_to_error::deserialize(&mut from)
        .map_err(|error| located(error.path().to_string(), error.into_inner()))?;
    from.end().map_err(|error| located(String::new(), error))?;
    Ok(value)
}

fn unknown(field: String, expected: Vec<&'static str>) -> GenesisError {
    GenesisError::UnknownField { field, expected }
}

/// Fields whose absence or misspelling alloy's type would pass over.
fn check_fields(raw: &Value) -> Result<(), GenesisError> {
    let empty = Map::new();
    let top = raw.as_object().unwrap_or(&empty);
    if let Some(field) = top.keys().find(|field| !TOP_FIELDS.contains(&field.as_str())) {
        return Err(unknown(field.clone(), TOP_FIELDS.to_vec()));
    }
    if top.get("gasUsed").is_some_and(|used| !matches!(used.as_str(), Some("0x0" | "0"))) {
        return Err(GenesisError::Parse {
            field: "gasUsed".to_owned(),
            message: "block 0 uses no gas: remove the field or write \"0x0\"".to_owned(),
        });
    }
    let missing = |field, hint| Err(GenesisError::MissingField { field, hint });
    let Some(config) = top.get("config") else {
        return missing("config", "give Ethereum's chain configuration with chainId and fork times");
    };
    if config.as_object().is_some_and(|config| !config.contains_key("chainId")) {
        return missing("config.chainId", "give the number that transactions are signed for");
    }
    if !top.contains_key("gasLimit") {
        return missing("gasLimit", "give the gas of a block, for example \"0x3938700\"");
    }
    if !top.contains_key("assent") {
        return missing("assent", "give the section with validators, nodes and parameters");
    }
    Ok(())
}

/// Two spellings of one address or storage slot: the last one would win silently.
fn check_allocations(raw: &Value, parsed: &alloy_genesis::Genesis) -> Result<(), GenesisError> {
    let Some(alloc) = raw.get("alloc").and_then(Value::as_object) else {
        return Ok(());
    };
    if alloc.len() != parsed.alloc.len() {
        return Err(repeated("alloc", alloc));
    }
    for (address, account) in alloc {
        let slots = account.get("storage").and_then(Value::as_object);
        let Some(slots) = slots else { continue };
        let known = address.parse().ok().and_then(|address: Address| parsed.alloc.get(&address));
        let stored = known.and_then(|account| account.storage.as_ref());
        if stored.is_some_and(|stored| stored.len() != slots.len()) {
            return Err(repeated(&format!("alloc.{address}.storage"), slots));
        }
    }
    Ok(())
}

/// Names the entry that came twice, however it was written.
fn repeated(parent: &str, entries: &Map<String, Value>) -> GenesisError {
    let mut seen = BTreeSet::new();
    let spelling = |key: &str| {
        let digits = key.to_ascii_lowercase();
        digits.trim_start_matches("0x").trim_start_matches('0').to_owned()
    };
    let twice = entries.keys().find(|key| !seen.insert(spelling(key)));
    let field = twice.map_or_else(|| parent.to_owned(), |key| format!("{parent}.{key}"));
    GenesisError::Repeated { field }
}

/// Any JSON value in which no object has a key twice.
struct Json(Value);

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(JsonVisitor).map(Json)
    }
}

struct JsonVisitor;

impl<'de> de::Visitor<'de> for JsonVisitor {
    type Value = Value;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Json(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(array.into())
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let Json(value) = entries.next_value()?;
            if object.contains_key(&key) {
                return Err(de::Error::custom(format!("the field `{key}` appears twice")));
            }
            object.insert(key, value);
        }
        Ok(object.into())
    }
}

//! Values of `config.toml` that need more than serde's own reading: lists that may also be written
//! as one string with commas (handy in the environment), addresses, log filters.

use std::{fmt, net::IpAddr, str::FromStr};

use assent_chain::History;
use assent_consensus::PublicKey;
use libp2p::{Multiaddr, multiaddr::Protocol};
use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess, Visitor},
};
use tracing_subscriber::EnvFilter;

/// An address of a peer: whose it is, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraPeer {
    /// The peer's node key, which must be on the node list.
    pub key: PublicKey,
    /// Where it may be reached.
    pub address: Multiaddr,
}

impl fmt::Display for ExtraPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.key, self.address)
    }
}

impl FromStr for ExtraPeer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected =
            || format!("expected KEY@ADDRESS such as 0x3b6a…(64 hex digits)@/ip4/10.0.0.7/tcp/30303, got \"{text}\"");
        let (key, address) = text.split_once('@').ok_or_else(expected)?;
        let digits = key.strip_prefix("0x").unwrap_or(key);
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| expected())?;
        Ok(Self { key: PublicKey(bytes), address: parse_multiaddr(address)? })
    }
}

/// `/ip4/ADDRESS/tcp/PORT` or `/ip6/ADDRESS/tcp/PORT`.
pub fn tcp_multiaddr(address: IpAddr, port: u16) -> Multiaddr {
    let mut multiaddr = Multiaddr::from(address);
    multiaddr.push(Protocol::Tcp(port));
    multiaddr
}

/// Reads a multiaddr.
pub fn parse_multiaddr(text: &str) -> Result<Multiaddr, String> {
    text.parse()
        .map_err(|error| format!("expected a multiaddr such as /ip4/0.0.0.0/tcp/30303, got \"{text}\" ({error})"))
}

pub(super) fn strings<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    deserializer.deserialize_any(ListVisitor)
}

pub(super) fn multiaddrs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Multiaddr>, D::Error> {
    let texts = strings(deserializer)?;
    let parsed: Result<_, _> = texts.iter().map(|text| parse_multiaddr(text)).collect();
    parsed.map_err(de::Error::custom)
}

pub(super) fn extra_peers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ExtraPeer>, D::Error> {
    let texts = strings(deserializer)?;
    let parsed: Result<_, _> = texts.iter().map(|text| text.parse()).collect();
    parsed.map_err(de::Error::custom)
}

pub(super) fn retention<'de, D: Deserializer<'de>>(deserializer: D) -> Result<History, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        Blocks(u64),
        Name(String),
    }
    let refused = |got: &dyn std::fmt::Display| {
        let least = History::LEAST;
        de::Error::custom(format!("expected \"archive\" or a number of blocks, at least {least}, got {got}"))
    };
    match Given::deserialize(deserializer).map_err(|error| refused(&error))? {
        Given::Name(name) if name == "archive" => Ok(History::Archive),
        Given::Blocks(blocks) if blocks >= History::LEAST => Ok(History::Blocks(blocks)),
        Given::Blocks(blocks) => Err(refused(&blocks)),
        Given::Name(name) => Err(refused(&format_args!("{name:?}"))),
    }
}

pub(super) fn log_filter<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let refused = |reason: &dyn std::fmt::Display| {
        de::Error::custom(format!(
            "expected levels such as \"info\" or \"info,assent::network=debug\", got \"{text}\" ({reason})"
        ))
    };
    // The parser counts from the first letter and cuts from the first space: it takes wrong names, and panics where
    // that is within a letter.
    if !text.is_ascii() {
        return Err(refused(&"only ASCII letters are possible"));
    }
    let trimmed = text.split(',').map(str::trim).collect::<Vec<_>>().join(",");
    match EnvFilter::builder().parse(&trimmed) {
        Ok(_) => Ok(trimmed),
        Err(error) => Err(refused(&error)),
    }
}

struct ListVisitor;

impl<'de> Visitor<'de> for ListVisitor {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of strings, or one string with commas")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<String>, E> {
        let parts = text.split(',').map(str::trim);
        Ok(parts.filter(|part| !part.is_empty()).map(String::from).collect())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<String>, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = list.next_element()? {
            texts.push(text);
        }
        Ok(texts)
    }
}

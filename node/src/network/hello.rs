//! The first exchange on a connection, and the heartbeat that follows on the same stream.
//!
//! The dialler opens one stream of `/assent/hello/1`. Both sides at once send a hello; each compares
//! the other's with its own. When they belong to different networks both say so and close. Else the
//! stream stays for the heartbeat: pings with the sender's head, pongs, and a last word.
//!
//! Frames (see `frame`), at most [`FRAME_MAX`] bytes. The first is the RLP list of the hello
//! `[protocol version, chain id, genesis hash, software, name, head]`, with room for more items at the
//! end in later versions. The others start with a byte for their kind: 1 ping (number u64, head u64),
//! 2 pong (number u64), 3 bye (UTF-8 text); integers big endian.

use alloy_primitives::{B256, bytes::Bytes};
use alloy_rlp::{Decodable, Encodable, Header, RlpEncodable};
use libp2p::StreamProtocol;

/// The protocol of the stream.
pub(crate) const PROTOCOL: StreamProtocol = StreamProtocol::new("/assent/hello/1");
/// The version of everything that nodes say to each other; nodes of different versions do not talk.
pub const PROTOCOL_VERSION: u32 = 1;
/// The largest frame on this stream.
pub(crate) const FRAME_MAX: usize = 1024;
/// The longest name or software version, in bytes.
pub(crate) const TEXT_MAX: usize = 128;

/// What a node says about itself when it connects.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable)]
pub struct Hello {
    /// [`PROTOCOL_VERSION`] of its software.
    pub protocol_version: u32,
    /// The chain id of its genesis.
    pub chain_id: u64,
    /// The hash of its genesis block.
    pub genesis_hash: B256,
    /// Its software and version, for people.
    pub software: String,
    /// The name it gives itself, for people. Who it is, its key says.
    pub name: String,
    /// The number of its last final block.
    pub head: u64,
}

/// What is wrong with the bytes of a hello or a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed {0}; the peer runs other software or is hostile")]
pub(crate) struct Malformed(&'static str);

impl Hello {
    /// The hello of this software.
    pub fn new(genesis_hash: B256, chain_id: u64, name: &str, head: u64) -> Self {
        let software = concat!("assent/", env!("CARGO_PKG_VERSION"));
        Self {
            protocol_version: PROTOCOL_VERSION,
            chain_id,
            genesis_hash,
            software: software.to_owned(),
            name: printable(name.as_bytes()),
            head,
        }
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = Vec::new();
        Encodable::encode(self, &mut bytes);
        bytes.into()
    }

    pub(crate) fn decode(mut bytes: &[u8]) -> Result<Self, Malformed> {
        let malformed = |_| Malformed("hello");
        let mut items = Header::decode_bytes(&mut bytes, true).map_err(malformed)?;
        if !bytes.is_empty() {
            return Err(Malformed("hello"));
        }
        let items = &mut items;
        Ok(Self {
            protocol_version: u32::decode(items).map_err(malformed)?,
            chain_id: u64::decode(items).map_err(malformed)?,
            genesis_hash: B256::decode(items).map_err(malformed)?,
            software: printable(Header::decode_bytes(items, false).map_err(malformed)?),
            name: printable(Header::decode_bytes(items, false).map_err(malformed)?),
            head: u64::decode(items).map_err(malformed)?,
        })
    }

    /// Why this node and the one that said `theirs` must not talk, if so. The text names both values
    /// and what to do.
    pub(crate) fn conflict(&self, theirs: &Self) -> Option<String> {
        if self.protocol_version != theirs.protocol_version {
            return Some(format!(
                "protocol version differs: ours {} ({}), theirs {} ({}); install the same release of assent on both nodes",
                self.protocol_version, self.software, theirs.protocol_version, theirs.software
            ));
        }
        if self.chain_id != theirs.chain_id {
            return Some(format!(
                "chain id differs: ours {}, theirs {}; the two nodes belong to different networks: give both the same genesis.json, or take the node off the node list",
                self.chain_id, theirs.chain_id
            ));
        }
        (self.genesis_hash != theirs.genesis_hash).then(|| {
            format!(
                "genesis differs: ours {}, theirs {}; compare the two genesis.json files and copy the right one to the wrong node",
                self.genesis_hash, theirs.genesis_hash
            )
        })
    }
}

/// Text of a peer as it may stand in logs: printable, and not long.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(TEXT_MAX)]);
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// What is said on the stream after the hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heartbeat {
    Ping { number: u64, head: u64 },
    Pong { number: u64 },
    Bye { reason: String },
}

impl Heartbeat {
    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = Vec::new();
        match self {
            Self::Ping { number, head } => {
                bytes.push(1);
                bytes.extend_from_slice(&number.to_be_bytes());
                bytes.extend_from_slice(&head.to_be_bytes());
            }
            Self::Pong { number } => {
                bytes.push(2);
                bytes.extend_from_slice(&number.to_be_bytes());
            }
            Self::Bye { reason } => {
                bytes.push(3);
                bytes.extend_from_slice(printable(reason.as_bytes()).as_bytes());
            }
        }
        bytes.into()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let malformed = Malformed("heartbeat");
        let (kind, rest) = bytes.split_first().ok_or(malformed.clone())?;
        let (integers, odd) = rest.as_chunks::<8>();
        let integer = |at: usize| integers.get(at).copied().map_or(0, u64::from_be_bytes);
        match (kind, integers.len(), odd.len()) {
            (1, 2, 0) => Ok(Self::Ping { number: integer(0), head: integer(1) }),
            (2, 1, 0) => Ok(Self::Pong { number: integer(0) }),
            (3, _, _) => Ok(Self::Bye { reason: printable(rest) }),
            _ => Err(malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn hello() -> Hello {
        Hello {
            protocol_version: 1,
            chain_id: 31337,
            genesis_hash: B256::repeat_byte(0xab),
            software: "assent/0.1.0".into(),
            name: "alpha".into(),
            head: 7,
        }
    }

    #[test]
    fn the_bytes_of_a_hello_are_frozen() {
        let expected = concat!(
            "f8",
            "39",
            "01",
            "827a69",
            "a0",
            "abababababababababababababababababababababababababababababababab",
            "8c",
            "617373656e742f302e312e30",
            "85",
            "616c706861",
            "07",
        );
        assert_eq!(hex::encode(hello().encode()), expected);
        assert_eq!(Hello::decode(&hello().encode()), Ok(hello()));
    }

    #[test]
    fn a_later_version_may_add_items() {
        let mut bytes = hello().encode().to_vec();
        bytes.push(5);
        bytes[1] += 1;
        assert_eq!(Hello::decode(&bytes), Ok(hello()));
    }

    #[test]
    fn reliability_6_no_prefix_and_no_changed_byte_of_a_hello_panics() {
        let bytes = hello().encode();
        for end in 0..bytes.len() {
            assert!(Hello::decode(&bytes[..end]).is_err());
        }
        for at in 0..bytes.len() {
            for value in 0..=u8::MAX {
                let mut changed = bytes.to_vec();
                changed[at] = value;
                let _ = Hello::decode(&changed);
            }
        }
    }

    #[test]
    fn a_peers_text_is_cut_and_cannot_forge_log_lines() {
        let long = Hello { name: format!("x\n{}", "y".repeat(500)), ..hello() };
        let name = Hello::decode(&long.encode()).unwrap().name;
        assert!(name.starts_with("x\u{fffd}y") && name.chars().count() == TEXT_MAX);
    }

    #[test]
    fn reliability_16_conflicts_name_both_values() {
        assert_eq!(
            hello().conflict(&Hello { name: "beta".into(), head: 9, software: "other".into(), ..hello() }),
            None
        );
        for (theirs, words) in [
            (Hello { protocol_version: 2, ..hello() }, ["ours 1", "theirs 2", "release"]),
            (Hello { chain_id: 5, ..hello() }, ["ours 31337", "theirs 5", "genesis.json"]),
            (Hello { genesis_hash: B256::ZERO, ..hello() }, ["ours 0xabab", "theirs 0x0000", "genesis.json"]),
        ] {
            let text = hello().conflict(&theirs).unwrap();
            assert!(words.iter().all(|word| text.contains(word)), "{text}");
        }
    }

    #[test]
    fn heartbeats_come_back_and_malformed_ones_are_refused() {
        for beat in [
            Heartbeat::Ping { number: 1, head: u64::MAX },
            Heartbeat::Pong { number: 2 },
            Heartbeat::Bye { reason: "shutting down".into() },
        ] {
            assert_eq!(Heartbeat::decode(&beat.encode()), Ok(beat));
        }
        for bytes in [&[][..], &[0], &[1], &[1; 16], &[1; 18], &[2; 8], &[2; 10], &[9; 9]] {
            assert!(Heartbeat::decode(bytes).is_err(), "{bytes:?}");
        }
    }
}

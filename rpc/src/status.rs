//! What a node knows of itself and its network: the JSON of `assent_status`.
//!
//! The node fills a [`NodeStatus`] and publishes it on a watch channel; this crate only serves it.
//! The types can be read back as well, for the command line and tests.
//!
//! Numbers are plain JSON numbers (unlike the `eth_` methods, whose numbers are hex strings).
//! Weights are whole numbers up to 2^63-1. A reader whose numbers are doubles (JavaScript's
//! `JSON.parse`) sees weights above 2^53 rounded; use a parser with big integers where that
//! matters. Times that have passed are in milliseconds and count back from the moment at which the
//! status was taken, so that no reader needs this node's clock.

use alloy_primitives::B256;
use assent_consensus::least_quorum;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The state of a node as it sees itself, and of its peers as it hears them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// The chain's id, as in every transaction's signature.
    pub chain_id: u64,
    /// Hash of block 0, which covers the whole genesis file.
    pub genesis_hash: B256,
    /// The node's name in the genesis file or its configuration.
    pub node_name: String,
    /// Name, version and platform of the program.
    pub client_version: String,
    /// Milliseconds since the node started.
    pub uptime_ms: u64,
    /// The node's weight in the current validator set; null when it is no validator.
    pub validator: Option<u64>,
    /// The last final block.
    pub head: HeadStatus,
    /// The epoch in which the node is.
    pub epoch: u64,
    /// The view in which the node is; for a follower the view of its head.
    pub view: u64,
    /// False, or how far the node is behind.
    pub syncing: SyncStatus,
    /// The weight that this node has heard lately.
    pub quorum: QuorumStatus,
    /// Every node on the node list but this one, connected or not.
    pub peers: Vec<PeerStatus>,
    /// Validators that have not been heard lately. Empty while all is well.
    pub silent: Vec<SilentValidator>,
    /// How many transactions wait.
    pub mempool: MempoolStatus,
    /// Why this validator does not vote at the moment; null while it votes, and on a follower.
    pub abstaining: Option<Abstention>,
    /// Views that did not come to a block here, newest first, at most 64; empty on a follower, and after a start.
    pub failed_views: Vec<FailedView>,
}

/// A block's number, hash and time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeadStatus {
    /// Number of the block.
    pub number: u64,
    /// Hash of the block.
    pub hash: B256,
    /// The block's time in milliseconds since 1970.
    pub timestamp_ms: u64,
}

/// Whether the node is behind the chain; `false` or an object in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncStatus {
    /// At the head, as far as the node knows.
    #[default]
    Synced,
    /// Fetching blocks.
    Syncing(SyncProgress),
}

/// How far a node that is behind has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncProgress {
    /// The block at which fetching began.
    pub starting_block: u64,
    /// The block that the node has reached.
    pub current_block: u64,
    /// The highest block that any peer has told of.
    pub highest_block: u64,
}

/// Weight of the validators and how much of it was heard in the last seconds, this node's own
/// included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuorumStatus {
    /// Weight of the whole validator set.
    pub total: u64,
    /// Weight that was heard lately.
    pub heard: u64,
    /// The least weight that makes a quorum: more than two thirds of the total.
    pub needed: u64,
    /// What `heard` lacks of `needed`; 0 while blocks can be made.
    pub missing: u64,
}

impl QuorumStatus {
    /// The status of a set with weight `total` of which `heard` answers.
    pub fn new(total: u64, heard: u64) -> Self {
        let needed = u64::try_from(least_quorum(u128::from(total))).unwrap_or(u64::MAX);
        Self { total, heard, needed, missing: needed.saturating_sub(heard) }
    }
}

/// A node on the node list, as this node sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerStatus {
    /// The peer's name on the node list.
    pub name: String,
    /// The peer's node key (ed25519).
    pub key: B256,
    /// Its weight as a validator; null when it is none.
    pub weight: Option<u64>,
    /// Whether a connection stands.
    pub connected: bool,
    /// Milliseconds since its last message; null when it was never heard.
    pub last_heard_ms: Option<u64>,
    /// Number of the last final block that it told of; null when unknown.
    pub head: Option<u64>,
    /// Time of a message to it and back in milliseconds; null when unknown.
    pub latency_ms: Option<u64>,
    /// Why the last attempt at a connection was refused, by either side; null when it was not.
    pub refused_reason: Option<String>,
    /// The program that it runs, as it said when it connected last; null when it never did.
    pub version: Option<String>,
}

/// A validator that has not been heard lately.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SilentValidator {
    /// The validator's name in the genesis file.
    pub name: String,
    /// Its validator key (ed25519).
    pub key: B256,
    /// The weight that is missing with it.
    pub weight: u64,
    /// Milliseconds since it was last heard; null when this node has not heard it since it started.
    pub since_ms: Option<u64>,
}

/// A view that did not come to a block, as this validator saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedView {
    /// The view.
    pub view: u64,
    /// The name of its leader.
    pub leader: String,
    /// Why, in a few words, such as "silent leader". The metric `assent_consensus_failed_views_total` has the same.
    pub reason: String,
    /// Milliseconds since it was given up.
    pub ago_ms: u64,
}

/// How many transactions wait in the mempool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MempoolStatus {
    /// Transactions that could be in the next block.
    pub pending: u64,
    /// Transactions that wait for one with a lower nonce.
    pub queued: u64,
}

/// Why a validator does not vote, for a person to read: what is the matter and what ends it.
pub type Abstention = String;

impl Serialize for SyncStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Synced => serializer.serialize_bool(false),
            Self::Syncing(progress) => progress.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for SyncStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Json {
            Flag(bool),
            Progress(SyncProgress),
        }
        match Json::deserialize(deserializer)? {
            Json::Flag(false) => Ok(Self::Synced),
            Json::Flag(true) => Err(serde::de::Error::custom("syncing: expected false or an object, got true")),
            Json::Progress(progress) => Ok(Self::Syncing(progress)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn example() -> NodeStatus {
        NodeStatus {
            chain_id: 31337,
            genesis_hash: B256::repeat_byte(1),
            node_name: "node0".into(),
            client_version: "assent/0.1.0".into(),
            uptime_ms: 86_000,
            validator: Some(40),
            head: HeadStatus { number: 7, hash: B256::repeat_byte(2), timestamp_ms: 1_700_000_000_123 },
            epoch: 0,
            view: 9,
            syncing: SyncStatus::Synced,
            quorum: QuorumStatus::new(100, 60),
            peers: vec![PeerStatus {
                name: "node1".into(),
                key: B256::repeat_byte(3),
                weight: Some(30),
                connected: true,
                last_heard_ms: Some(12),
                head: Some(7),
                version: Some("assent/0.1.0".into()),
                ..PeerStatus::default()
            }],
            silent: vec![],
            mempool: MempoolStatus { pending: 1, queued: 2 },
            abstaining: None,
            failed_views: vec![FailedView {
                view: 8,
                leader: "node1".into(),
                reason: "silent leader".into(),
                ago_ms: 40,
            }],
        }
    }

    #[test]
    fn the_json_of_a_status_is_frozen() {
        let status = example();
        let json = serde_json::to_value(&status).unwrap();
        assert_eq!(
            json,
            json!({
                "chainId": 31337,
                "genesisHash": B256::repeat_byte(1),
                "nodeName": "node0",
                "clientVersion": "assent/0.1.0",
                "uptimeMs": 86_000,
                "validator": 40,
                "head": {"number": 7, "hash": B256::repeat_byte(2), "timestampMs": 1_700_000_000_123_u64},
                "epoch": 0,
                "view": 9,
                "syncing": false,
                "quorum": {"total": 100, "heard": 60, "needed": 67, "missing": 7},
                "peers": [{
                    "name": "node1", "key": B256::repeat_byte(3), "weight": 30, "connected": true,
                    "lastHeardMs": 12, "head": 7, "latencyMs": null, "refusedReason": null,
                    "version": "assent/0.1.0",
                }],
                "silent": [],
                "mempool": {"pending": 1, "queued": 2},
                "abstaining": null,
                "failedViews": [{"view": 8, "leader": "node1", "reason": "silent leader", "agoMs": 40}],
            })
        );
        assert_eq!(serde_json::from_value::<NodeStatus>(json).unwrap(), status);
    }

    #[test]
    fn syncing_is_false_or_an_object() {
        let progress = SyncProgress { starting_block: 1, current_block: 2, highest_block: 3 };
        let json = serde_json::to_value(SyncStatus::Syncing(progress)).unwrap();
        assert_eq!(json, json!({"startingBlock": 1, "currentBlock": 2, "highestBlock": 3}));
        let back: SyncStatus = serde_json::from_value(json).unwrap();
        assert_eq!(back, SyncStatus::Syncing(progress));
        assert!(serde_json::from_value::<SyncStatus>(json!(true)).is_err());
    }

    #[test]
    fn needed_is_the_least_quorum() {
        for total in [1, 2, 3, 4, 6, 99, 100, i64::MAX as u64, u64::MAX] {
            let needed = QuorumStatus::new(total, 0).needed;
            assert!(3 * u128::from(needed) > 2 * u128::from(total), "{total}");
            assert!(3 * u128::from(needed - 1) <= 2 * u128::from(total), "{total}");
            assert!(needed <= total, "{total}");
        }
        assert_eq!(QuorumStatus::new(100, 70).missing, 0);
    }
}

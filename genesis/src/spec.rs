//! The data of `genesis.json`.
//!
//! Plain structures and their JSON form. Reading a file goes through [`Genesis::load`] or
//! [`Genesis::from_json`], which report better than serde alone; what the values must satisfy is
//! in `validate.rs`.
//!
//! The genesis hash covers the serialised form. A field that is added later must therefore be
//! left out of the JSON while it holds its default, or every existing network gets another hash;
//! a frozen vector in `tests/hash.rs` watches over that.

use std::time::Duration;

use alloy_genesis::ChainConfig;
use alloy_primitives::Address;
use assent_consensus::{PublicKey, ValidatorIndex};
use serde::{Deserialize, Serialize};

use crate::format;

/// A whole `genesis.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Genesis {
    /// Ethereum's part: `config`, `alloc`, `gasLimit`, `timestamp` and the other header fields.
    #[serde(flatten)]
    pub ethereum: alloy_genesis::Genesis,
    /// What this chain adds.
    pub assent: AssentSpec,
}

impl Genesis {
    /// The chain id that transactions are signed for.
    pub fn chain_id(&self) -> u64 {
        self.ethereum.config.chain_id
    }

    /// Ethereum's chain configuration with the fork times.
    pub fn config(&self) -> &ChainConfig {
        &self.ethereum.config
    }

    /// Where the fees of the blocks of a validator of the genesis set go, if there is such a
    /// validator.
    pub fn fee_recipient(&self, index: ValidatorIndex) -> Option<Address> {
        self.validator(index).map(|validator| validator.fee_recipient)
    }

    /// What the file says about a validator of the genesis set, which keeps the file's order.
    pub fn validator(&self, index: ValidatorIndex) -> Option<&ValidatorSpec> {
        self.assent.validators.get(usize::from(index.0))
    }

    /// The whole file as people read it. Parsing it gives an equal genesis, with an equal hash.
    pub fn to_json_pretty(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("plain data with string keys always has a JSON form");
        text.push('\n');
        text
    }
}

/// The section `assent` of `genesis.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AssentSpec {
    /// The validators of the first epoch, in the order of their indices.
    pub validators: Vec<ValidatorSpec>,
    /// The nodes that may connect: those of the validators, and any others.
    pub nodes: Vec<NodeSpec>,
    /// How stakes become weights.
    #[serde(default)]
    pub weight: WeightRule,
    /// Intervals and limits of consensus.
    #[serde(default)]
    pub consensus: ConsensusParams,
    /// What gas costs at least.
    #[serde(default)]
    pub fees: FeeParams,
}

/// A validator of the first epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValidatorSpec {
    /// What people call it; unique.
    pub name: String,
    /// The ed25519 key that its votes are signed with.
    #[serde(with = "format::public_key")]
    pub key: PublicKey,
    /// The ed25519 key of its node on the network; one of `nodes`.
    #[serde(with = "format::public_key")]
    pub node_key: PublicKey,
    /// What it has staked, a whole number (in JSON a number or a decimal string).
    #[serde(with = "format::amount")]
    pub stake: u64,
    /// Who is paid the fees of its blocks. The zero address, the default, burns them.
    #[serde(default)]
    pub fee_recipient: Address,
    /// When its stake's lock ends, in Unix seconds; for the weight rule `voteEscrow`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked_until: Option<u64>,
    /// The organisation that runs it, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<String>,
    /// Where it runs, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// A node that may connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeSpec {
    /// What people call it; unique.
    pub name: String,
    /// Its ed25519 key on the network.
    #[serde(with = "format::public_key")]
    pub key: PublicKey,
    /// Where it listens, as libp2p multiaddresses such as `/ip4/10.0.0.1/tcp/30303`; none for a
    /// node that only dials out.
    #[serde(default)]
    pub addresses: Vec<String>,
}

/// Intervals and limits of consensus. Durations are written with their unit: `"50ms"`, `"10s"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ConsensusParams {
    /// The least time between a block and the one before it.
    #[serde(with = "format::duration")]
    pub min_block_interval: Duration,
    /// How often an idle chain makes an empty block; zero: never.
    #[serde(with = "format::duration")]
    pub empty_block_interval: Duration,
    /// How long a view may last while there is work before its leader is given up.
    #[serde(with = "format::duration")]
    pub view_timeout: Duration,
    /// What the timeout grows to at most while views fail.
    #[serde(with = "format::duration")]
    pub view_timeout_max: Duration,
    /// How often a validator repeats its votes while a view lasts.
    #[serde(with = "format::duration")]
    pub retransmit_interval: Duration,
    /// How far a block's time may be ahead of a validator's clock.
    #[serde(with = "format::duration")]
    pub max_clock_skew: Duration,
    /// The size of a block at most, in bytes.
    pub max_block_bytes: u32,
    /// The transactions of a block at most.
    pub max_block_transactions: u32,
    /// Blocks per epoch. Zero, one epoch without end, is all that this version can do: the validators and their
    /// weights are those at the genesis timestamp.
    pub epoch_length: u64,
}

impl Default for ConsensusParams {
    fn default() -> Self {
        Self {
            min_block_interval: Duration::from_millis(50),
            empty_block_interval: Duration::from_secs(10),
            view_timeout: Duration::from_secs(1),
            view_timeout_max: Duration::from_secs(10),
            retransmit_interval: Duration::from_millis(400),
            max_clock_skew: Duration::from_secs(2),
            max_block_bytes: 2 * 1024 * 1024,
            max_block_transactions: 10_000,
            epoch_length: 0,
        }
    }
}

/// What gas costs at least, in wei. Both zero by default: a permissioned chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FeeParams {
    /// The base fee of every block.
    #[serde(with = "format::amount")]
    pub base_fee: u64,
    /// The price below which a node does not take a transaction.
    #[serde(with = "format::amount")]
    pub min_gas_price: u64,
}

/// How a validator's stake becomes its weight.
///
/// In JSON `{"kind": "stake"}` or `{"kind": "voteEscrow", "coefficient": {"numerator": 1,
/// "denominator": 1}, "longestLock": "90d"}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WeightRuleFields", into = "WeightRuleFields")]
pub enum WeightRule {
    /// The weight is the stake.
    #[default]
    Stake,
    /// The weight falls as the lock of the stake runs out.
    VoteEscrow(VoteEscrow),
}

/// The parameters of the weight rule `voteEscrow`:
/// `weight = floor(stake * coefficient * (1 - elapsed / longest lock))`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoteEscrow {
    /// What stakes are multiplied with.
    pub coefficient: Fraction,
    /// The longest lock: a stake that is locked for that long weighs in full. Whole seconds.
    pub longest_lock: Duration,
}

/// An exact fraction. Its parts have 32 bits, so that stake, coefficient and lock multiply in
/// 128 bits without overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fraction {
    /// Above the line.
    pub numerator: u32,
    /// Below the line; not zero.
    pub denominator: u32,
}

impl Fraction {
    /// One.
    pub const ONE: Self = Self { numerator: 1, denominator: 1 };
}

/// The JSON form of [`WeightRule`]. A flat structure, because serde forgets the position of an
/// error inside a tagged enum.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WeightRuleFields {
    kind: WeightKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    coefficient: Option<Fraction>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "format::duration::opt")]
    longest_lock: Option<Duration>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum WeightKind {
    Stake,
    VoteEscrow,
}

impl TryFrom<WeightRuleFields> for WeightRule {
    type Error = &'static str;

    fn try_from(fields: WeightRuleFields) -> Result<Self, Self::Error> {
        match fields.kind {
            WeightKind::Stake if fields.coefficient.is_some() || fields.longest_lock.is_some() => {
                Err("`coefficient` and `longestLock` belong to the kind `voteEscrow`; remove them \
                     or change `kind`")
            }
            WeightKind::Stake => Ok(Self::Stake),
            WeightKind::VoteEscrow => Ok(Self::VoteEscrow(VoteEscrow {
                coefficient: fields.coefficient.unwrap_or(Fraction::ONE),
                longest_lock: fields
                    .longest_lock
                    .ok_or("the kind `voteEscrow` needs `longestLock`, a duration such as \"90d\"")?,
            })),
        }
    }
}

impl From<WeightRule> for WeightRuleFields {
    fn from(rule: WeightRule) -> Self {
        match rule {
            WeightRule::Stake => Self { kind: WeightKind::Stake, coefficient: None, longest_lock: None },
            WeightRule::VoteEscrow(escrow) => Self {
                kind: WeightKind::VoteEscrow,
                coefficient: Some(escrow.coefficient),
                longest_lock: Some(escrow.longest_lock),
            },
        }
    }
}

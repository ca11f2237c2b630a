//! The chain specification: what every node of a network must agree on before its first block.
//!
//! A network is one `genesis.json`: Ethereum's own shape (chain id, fork times, allocations, gas
//! limit) plus a section `assent` with validators, nodes, weight rule, consensus and fee
//! parameters. This crate reads it, refuses it with the name of the field when something is
//! wrong, and turns it into block 0, whose hash ("genesis hash") covers every value of the file.
//! It also holds the keys that the file names: ed25519 secrets and the files they live in.
//!
//! It does not run anything: no network, no database, no clock. Times come from the caller.
//!
//! | file | what it is for |
//! |---|---|
//! | `spec.rs` | the data of `genesis.json` and its JSON form |
//! | `format.rs` | how durations, amounts and keys are written in JSON |
//! | `load.rs` | reading a file: syntax, types, unknown and repeated fields |
//! | `validate.rs` | the findings; `validate/ethereum.rs` and `validate/assent.rs` hold the rules |
//! | `analysis/` | what a set of validators withstands, for people |
//! | `weight.rs` | from stakes to a validator set |
//! | `header.rs` | block 0, canonical JSON and the genesis hash |
//! | `keys.rs`, `key_file.rs` | ed25519 secrets and their files |
//! | `development.rs` | the well-known accounts of development chains |
//! | `plan.rs` | a new network: genesis and keys for n nodes |

pub mod analysis;
mod development;
mod format;
mod header;
mod key_file;
mod keys;
mod load;
mod plan;
mod spec;
mod validate;
mod weight;

pub use development::{DEV_BALANCE_ETHER, DEV_CHAIN_ID, DEV_MNEMONIC, DevAccount, dev_accounts};
pub use key_file::{KeyFileError, read_private_file};
pub use keys::{EntropyError, SecretKey};
pub use load::{GenesisError, MAX_GENESIS_BYTES};
pub use plan::{DEFAULT_GAS_LIMIT, DEFAULT_P2P_PORT, NetworkPlan, NodeKeys, PlanError, default_chain_config};
pub use spec::{
    AssentSpec, ConsensusParams, FeeParams, Fraction, Genesis, NodeSpec, ValidatorSpec, VoteEscrow, WeightRule,
};
pub use validate::{
    Finding, Level, MAX_ADDRESSES_PER_NODE, MAX_BLOCK_BYTES, MAX_BLOCK_TRANSACTIONS, MAX_CHAIN_ID, MAX_GAS_LIMIT,
    MAX_INTERVAL, MAX_NAME_LENGTH, MAX_NODES, MIN_BLOCK_BYTES, MIN_GAS_LIMIT,
};
pub use weight::WeightError;

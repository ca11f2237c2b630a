//! The home of a node: which file lies where in its folder.
//!
//! This module knows paths only. Who writes the files: `cli::init` and `cli::testnet` (genesis,
//! configuration, keys), the signer and the chain (data).

use std::path::{Path, PathBuf};

/// The folder of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home(PathBuf);

impl Home {
    /// The home in the folder `path`, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// `genesis.json`: what all nodes of the network agree on.
    pub fn genesis(&self) -> PathBuf {
        self.0.join("genesis.json")
    }

    /// `config.toml`: what is this node's own affair.
    pub fn config(&self) -> PathBuf {
        self.0.join("config.toml")
    }

    /// `keys/`, readable by its owner only.
    pub fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    /// `keys/validator.json`: signs votes and proposals. Absent on a follower.
    pub fn validator_key(&self) -> PathBuf {
        self.keys().join("validator.json")
    }

    /// `keys/node.json`: the node's identity on the network.
    pub fn node_key(&self) -> PathBuf {
        self.keys().join("node.json")
    }

    /// `data/`: chain, write-ahead log, the signer's mark.
    pub fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    /// `data/chain`: the database with final blocks and the state.
    pub fn chain(&self) -> PathBuf {
        self.data().join("chain")
    }

    /// `explorer/`: what people uploaded about contracts. Not part of `data/`, which may be removed to sync anew.
    pub fn explorer(&self) -> PathBuf {
        self.0.join("explorer")
    }

    /// `data/wal`: the consensus log of a validator.
    pub fn wal(&self) -> PathBuf {
        self.data().join("wal")
    }
}

impl std::fmt::Display for Home {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.display().fmt(f)
    }
}

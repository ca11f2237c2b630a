//! Validators and the node keys under which they are reached.

use std::collections::BTreeMap;

use assent_consensus::{PublicKey, ValidatorIndex};
use assent_genesis::Genesis;

/// Who is who: validators by node key and back.
#[derive(Clone, Debug)]
pub struct Directory {
    nodes: Vec<PublicKey>,
    names: Vec<String>,
    indices: BTreeMap<PublicKey, ValidatorIndex>,
}

impl Directory {
    /// The directory that genesis lays down.
    #[must_use]
    pub fn new(genesis: &Genesis) -> Self {
        let validators = &genesis.assent.validators;
        let nodes: Vec<PublicKey> = validators.iter().map(|validator| validator.node_key).collect();
        let indices = nodes.iter().copied().zip((0..).map(ValidatorIndex)).collect();
        let names = validators.iter().map(|validator| validator.name.clone()).collect();
        Self { nodes, names, indices }
    }

    /// The node key of a validator.
    #[must_use]
    pub fn node(&self, index: ValidatorIndex) -> Option<&PublicKey> {
        self.nodes.get(index.position())
    }

    /// The name of a validator, for people.
    #[must_use]
    pub fn name(&self, index: ValidatorIndex) -> &str {
        self.names.get(index.position()).map_or("?", String::as_str)
    }

    /// The validator behind a node key, if it is one's.
    #[must_use]
    pub fn validator(&self, node: &PublicKey) -> Option<ValidatorIndex> {
        self.indices.get(node).copied()
    }
}

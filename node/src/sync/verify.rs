//! Checking an answer before any of it is executed.

use alloy_primitives::B256;
use assent_chain::Chain;
use assent_chain::block::Block;
use assent_consensus::{Certificate, Hash, Phase, ValidatorSet};

use super::message::Item;

/// A block whose finality is proven.
#[derive(Debug)]
pub(super) struct Proven {
    /// The block.
    pub(super) block: Block,
    /// The certificate that is kept beside it.
    pub(super) certificate: Certificate,
}

/// Why an answer proves nothing. Its sender is at fault.
#[derive(Debug, thiserror::Error)]
pub(super) enum AnswerError {
    /// A block that cannot be read.
    #[error("block {0}: {1}")]
    Block(u64, String),
    /// A certificate that cannot be read, or does not hold.
    #[error("certificate of block {0}: {1}")]
    Certificate(u64, String),
    /// The blocks are not a chain upon our head.
    #[error("block {got} does not follow: block {expected} on {parent} expected")]
    Gap {
        /// The height that should have come.
        expected: u64,
        /// The parent it should have had.
        parent: B256,
        /// The height that came.
        got: u64,
    },
    /// The last block has no commit certificate.
    #[error("the last block has no commit certificate")]
    Unproven,
}

/// Checks that the blocks follow the head, that each certificate holds and is of its block, and that the last one is a
/// commit certificate: then all of them are final (SPEC rule F1).
///
/// # Errors
/// See [`AnswerError`].
pub(super) fn verify(
    chain: &Chain,
    head: (u64, B256),
    items: &[Item],
    set: &ValidatorSet,
    genesis: &Hash,
) -> Result<Vec<Proven>, AnswerError> {
    let (mut height, mut parent) = head;
    let mut proven: Vec<Proven> = Vec::with_capacity(items.len());
    for item in items {
        height += 1;
        let block = chain.decode_block(&item.block).map_err(|error| AnswerError::Block(height, error.to_string()))?;
        if block.header.number != height || block.header.parent_hash != parent {
            return Err(AnswerError::Gap { expected: height, parent, got: block.header.number });
        }
        let refused = |error: &dyn std::fmt::Display| AnswerError::Certificate(height, error.to_string());
        let certificate = Certificate::decode(&item.certificate, set.len()).map_err(|error| refused(&error))?;
        if certificate.block.0 != block.hash().0 || certificate.view.0 != block.seal.view {
            return Err(refused(&"of another block"));
        }
        certificate.verify(set, genesis).map_err(|error| refused(&error))?;
        parent = block.hash();
        proven.push(Proven { block, certificate });
    }
    match proven.last() {
        Some(last) if last.certificate.phase != Phase::Commit => Err(AnswerError::Unproven),
        _ => Ok(proven),
    }
}

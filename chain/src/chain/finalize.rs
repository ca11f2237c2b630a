//! Blocks become final: one atomic batch each, oldest first.

use std::sync::Arc;
use std::time::Instant;

use alloy_primitives::B256;
use revm::primitives::hardfork::SpecId;

use super::tree::Unfinal;
use super::{BlockError, Chain, ExecutedBlock, measures};
use crate::block::Block;
use crate::seal::SealExpectation;
use crate::storage::{BlockWrite, StorageError};

/// A block could not become final.
#[derive(Debug, thiserror::Error)]
pub enum FinalizeError {
    /// The block is not here: it was never validated, or a sibling has become final.
    #[error("block {0} is unknown: it was not validated here, or another block has become final in its place")]
    Unknown(B256),
    /// The storage failed. The node must stop: what is on disk is behind what the network agreed
    /// upon, and only a new start can tell how far.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A block of another node's chain could not be taken over.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It is not valid.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// It could not become final.
    #[error(transparent)]
    Finalize(#[from] FinalizeError),
}

impl Chain {
    /// Makes the block `hash` and those before it that are not final yet final, oldest first, and
    /// returns them. Each is written in one atomic batch together with its certificate, if
    /// `certificates` has one for it. Blocks that do not descend from it are dropped, the pool
    /// learns what changed, and subscribers get the blocks.
    ///
    /// A block that is final already is fine and gives an empty list.
    pub fn finalize(
        &self,
        hash: B256,
        certificates: &[(B256, Vec<u8>)],
    ) -> Result<Vec<Arc<ExecutedBlock>>, FinalizeError> {
        // One at a time; reading and validating go on meanwhile.
        let mut rules = self.inner.finalizing.lock();
        let Some(path) = self.inner.tree.path_to(&hash) else {
            return match self.inner.store.number_by_hash(&hash)? {
                Some(_) => Ok(Vec::new()),
                None => Err(FinalizeError::Unknown(hash)),
            };
        };
        let mut blocks = Vec::with_capacity(path.len());
        for unfinal in path {
            let hash = unfinal.block.hash();
            let certificate = certificates.iter().find(|(of, _)| *of == hash).map(|(_, bytes)| bytes.as_slice());
            self.make_final(&unfinal, certificate, &mut rules)?;
            blocks.push(unfinal.block);
        }
        Ok(blocks)
    }

    /// Takes over a block of which the caller has verified the certificate: validates it upon the
    /// head and makes it final.
    pub fn import(&self, block: Block, certificate: Vec<u8>) -> Result<Arc<ExecutedBlock>, ImportError> {
        let (hash, time_ms) = (block.hash(), block.seal.time_ms);
        // A quorum has compared the seal and the time.
        let expect = SealExpectation::of(&block.seal);
        let executed = self.validate(block, &expect, time_ms, std::time::Duration::ZERO)?;
        self.finalize(hash, &[(hash, certificate)])?;
        Ok(executed)
    }

    fn make_final(
        &self,
        unfinal: &Unfinal,
        certificate: Option<&[u8]>,
        rules: &mut SpecId,
    ) -> Result<(), FinalizeError> {
        let Unfinal { block, records, .. } = unfinal;
        let inner = &self.inner;
        inner.tree.begin_final(block);
        let write = BlockWrite {
            block: block.block(),
            receipts: block.receipts(),
            diff: block.diff(),
            records,
            touched: block.touched(),
            certificate,
        };
        let start = Instant::now();
        if let Err(error) = inner.store.commit(&write) {
            inner.tree.abandon_final();
            return Err(error.into());
        }
        inner.tree.complete_final(unfinal);
        self.update_pool(block, rules);
        measures::finalized(block, start.elapsed(), inner.tree.unfinal_count());
        // Nobody may be listening.
        let _ = inner.finals.send(block.clone());
        Ok(())
    }
}

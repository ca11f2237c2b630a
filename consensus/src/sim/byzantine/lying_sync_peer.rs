//! Answers those that sync with other blocks than the final ones, with certificates of other blocks, with less than is
//! proven, or with nothing. Rule: F2.

use std::sync::Arc;

use super::{Behaviour, Puppet};
use crate::sim::application::{FinalBlock, Tamper, tamper};
use crate::{Hash, Phase};

/// Lies to those that sync.
#[derive(Debug, Default)]
pub(super) struct LyingSyncPeer;

/// Exchanges the certificates of two neighbours.
fn swap_certificates(blocks: &mut [Arc<FinalBlock>], at: usize) {
    if let [first, second, ..] = &mut blocks[at..] {
        let (first, second) = (Arc::make_mut(first), Arc::make_mut(second));
        std::mem::swap(&mut first.certificate, &mut second.certificate);
    }
}

/// Other bytes than the final ones; the block says of itself what it said before.
fn other_bytes(block: &mut FinalBlock) {
    if let Some((_, payload)) = tamper(&block.payload, Tamper::Executed(1)) {
        block.payload = payload;
    }
}

/// Another block, with the certificate's signatures under its hash.
fn other_block(block: &mut FinalBlock, how: Tamper) -> Option<Hash> {
    let (info, payload) = tamper(&block.payload, how)?;
    (block.info, block.payload, block.certificate.block) = (info, payload, info.hash);
    Some(info.hash)
}

/// From here on the blocks are those of a fork: each has the one before it as its parent.
fn fork(blocks: &mut [Arc<FinalBlock>], at: usize) {
    let mut how = Tamper::Salt(u64::MAX);
    for block in &mut blocks[at..] {
        match other_block(Arc::make_mut(block), how) {
            Some(hash) => how = Tamper::Parent(hash),
            None => return,
        }
    }
}

/// Leaves away what proves the others: the last one has no commit certificate then.
fn unproven(blocks: &mut Vec<Arc<FinalBlock>>) {
    while blocks.last().is_some_and(|block| block.certificate.phase == Phase::Commit) {
        blocks.pop();
    }
}

impl Behaviour for LyingSyncPeer {
    fn serves(&mut self, puppet: &mut Puppet<'_>, mut blocks: Vec<Arc<FinalBlock>>) -> Vec<Arc<FinalBlock>> {
        if blocks.is_empty() {
            return blocks;
        }
        puppet.did();
        let at = puppet.rng.index(blocks.len());
        match puppet.rng.below(9) {
            0 => other_bytes(Arc::make_mut(&mut blocks[at])),
            1 => {
                other_block(Arc::make_mut(&mut blocks[at]), Tamper::Executed(1));
            }
            2 => swap_certificates(&mut blocks, at),
            3 => fork(&mut blocks, at),
            4 => unproven(&mut blocks),
            5 => drop(blocks.remove(at)),
            6 => blocks.reverse(),
            7 => Arc::make_mut(&mut blocks[at]).certificate.phase = Phase::Prepare,
            _ => blocks.clear(),
        }
        blocks
    }
}

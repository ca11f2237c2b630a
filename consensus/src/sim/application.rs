//! The application of the simulator: blocks whose payload is their fields, transactions that are only counted.
//!
//! Whether a block is valid depends on it and its parent alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::codec::{Reader, Writer};
use crate::core::Build;
use crate::{BlockInfo, Certificate, Epoch, Hash, Height, ValidatorIndex, ValidatorSet, View, sha256};

/// Most transactions in a block.
const MAX_TRANSACTIONS: u64 = 100;

/// A block as the application reads it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Body {
    pub(super) info: BlockInfo,
    pub(super) time_ms: u64,
    proposer: ValidatorIndex,
    /// Transactions executed with this block and before.
    pub(super) executed: u64,
    transactions: u64,
    /// Tells the blocks of two twins apart.
    salt: u64,
}

/// A final block.
#[derive(Clone, Debug)]
pub(super) struct FinalBlock {
    pub(super) body: Body,
    pub(super) certificate: Certificate,
}

fn encode(body: &Body) -> Arc<[u8]> {
    let (info, mut writer) = (&body.info, Writer::default());
    writer.raw(&info.parent.0).u64(info.height.0).u64(info.epoch.0).u64(info.view.0).raw(&info.parent_certificate.0);
    writer.u16(body.proposer.0).u64(body.time_ms).u64(body.executed).u64(body.transactions).u64(body.salt);
    writer.0.into()
}

fn decode(bytes: &[u8]) -> Option<Body> {
    let mut reader = Reader::new(bytes);
    let info = BlockInfo {
        hash: sha256(bytes),
        parent: reader.hash("parent").ok()?,
        height: Height(reader.u64("height").ok()?),
        epoch: reader.epoch().ok()?,
        view: reader.view().ok()?,
        parent_certificate: reader.hash("certificate").ok()?,
    };
    let proposer = reader.validator().ok()?;
    let mut number = || reader.u64("number").ok();
    let body =
        Body { info, proposer, time_ms: number()?, executed: number()?, transactions: number()?, salt: number()? };
    reader.finish().ok()?;
    Some(body)
}

/// Reads a block for the protocol. The whole of it is its header.
pub(super) fn read_block(bytes: &[u8]) -> Option<(BlockInfo, Arc<[u8]>)> {
    Some((decode(bytes)?.info, bytes.into()))
}

/// The block of view 0.
pub(super) fn genesis() -> Body {
    let (hash, none) = (sha256(b"assent simulation"), Hash::ZERO);
    let info =
        BlockInfo { hash, parent: none, height: Height(0), epoch: Epoch(0), view: View(0), parent_certificate: none };
    Body { info, time_ms: 0, proposer: ValidatorIndex(0), executed: 0, transactions: 0, salt: 0 }
}

/// What one node has executed, and which transactions it knows.
#[derive(Clone, Debug)]
pub(super) struct Application {
    head: Body,
    unfinal: BTreeMap<Hash, Body>,
    /// Transactions that this node has heard of.
    pub(super) known: u64,
}

impl Application {
    pub(super) fn new(head: Body) -> Self {
        Self { head, unfinal: BTreeMap::new(), known: 0 }
    }

    pub(super) fn get(&self, hash: &Hash) -> Option<&Body> {
        if *hash == self.head.info.hash { Some(&self.head) } else { self.unfinal.get(hash) }
    }

    pub(super) fn has_work(&self, parent: &Hash) -> bool {
        self.known > self.get(parent).unwrap_or(&self.head).executed
    }

    /// When a block was made.
    pub(super) fn time_of(&self, hash: &Hash) -> u64 {
        self.get(hash).unwrap_or(&self.head).time_ms
    }

    pub(super) fn build(
        &mut self,
        build: &Build,
        proposer: ValidatorIndex,
        now_ms: u64,
        salt: u64,
    ) -> Option<(BlockInfo, Arc<[u8]>)> {
        let parent = *self.get(&build.parent)?;
        let waiting = self.known.saturating_sub(parent.executed).min(MAX_TRANSACTIONS);
        let transactions = if build.empty { 0 } else { waiting };
        let info = BlockInfo {
            hash: Hash::ZERO,
            parent: build.parent,
            height: parent.info.height.next(),
            epoch: build.epoch,
            view: build.view,
            parent_certificate: build.parent_certificate,
        };
        let (time_ms, executed) = (now_ms.max(parent.time_ms), parent.executed + transactions);
        let payload = encode(&Body { info, time_ms, proposer, executed, transactions, salt });
        let body = decode(&payload)?;
        self.unfinal.insert(body.info.hash, body);
        Some((body.info, payload))
    }

    /// The verdict on a block; none while its parent is unknown, which the protocol excludes.
    pub(super) fn validate(&mut self, payload: &[u8], set: &ValidatorSet) -> Option<bool> {
        let Some(body) = decode(payload) else { return Some(false) };
        if self.get(&body.info.hash).is_some() {
            return Some(true);
        }
        let parent = *self.get(&body.info.parent)?;
        let valid = body.executed == parent.executed.saturating_add(body.transactions)
            && body.transactions <= MAX_TRANSACTIONS
            && body.time_ms >= parent.time_ms
            && body.info.height == parent.info.height.next()
            && body.proposer == set.leader(body.info.view);
        if valid {
            self.unfinal.insert(body.info.hash, body);
        }
        Some(valid)
    }

    /// A block that extends the head is final now.
    pub(super) fn finalize(&mut self, body: Body) {
        self.head = body;
        self.unfinal.retain(|_, other| other.info.height > body.info.height);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_block_is_read_as_it_was_built_and_every_byte_counts() {
        let mut application = Application::new(genesis());
        application.known = 7;
        let build = Build {
            view: View(1),
            epoch: Epoch(0),
            parent: genesis().info.hash,
            parent_certificate: Hash::ZERO,
            needed: false,
            empty: false,
        };
        let (info, payload) = application.build(&build, ValidatorIndex(0), 5, 1).unwrap();
        assert_eq!(read_block(&payload).unwrap().0, info);
        assert_eq!(application.get(&info.hash).unwrap().executed, 7);
        for at in 0..payload.len() {
            let mut other = payload.to_vec();
            other[at] ^= 1;
            assert_ne!(read_block(&other).unwrap().0.hash, info.hash);
        }
        assert!(read_block(&payload[1..]).is_none());
    }
}

//! What the simulated nodes agree about: an application behind an interface, so that the same runs can be played with
//! a small one and with the real execution.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use crate::codec::{Reader, Writer};
use crate::core::Build;
use crate::{BlockInfo, Certificate, Epoch, Hash, Height, ValidatorIndex, ValidatorSet, View, sha256};

/// A final block.
#[derive(Clone, Debug)]
pub struct FinalBlock {
    /// What it says of itself.
    pub info: BlockInfo,
    /// When it was made, in milliseconds of its proposer's clock.
    pub time_ms: u64,
    /// Its bytes.
    pub payload: Arc<[u8]>,
    /// The certificate that is kept beside it.
    pub certificate: Certificate,
}

/// A block that was built.
#[derive(Clone, Debug)]
pub struct Built {
    /// What it says of itself.
    pub info: BlockInfo,
    /// Its bytes.
    pub payload: Arc<[u8]>,
    /// Its header's bytes.
    pub header: Arc<[u8]>,
}

/// The application of one node.
pub trait Application: Debug {
    /// The block of view 0 and its time.
    fn genesis(&self) -> (BlockInfo, u64);
    /// Reads a block without judging it: what it says of itself, and its header.
    fn read(&self, payload: &[u8]) -> Option<(BlockInfo, Arc<[u8]>)>;
    /// The hash of the block with this header.
    fn header_hash(&self, header: &[u8]) -> Hash;
    /// Forgets everything but these final blocks, which begin above genesis.
    fn reopen(&mut self, blocks: &[Arc<FinalBlock>]);
    /// The first so many transactions of the run are known here.
    fn learn(&mut self, transactions: u64);
    /// Whether there are transactions to be executed upon this block.
    fn has_work(&self, parent: &Hash) -> bool;
    /// When a block was made; of one that is not known, when the last final one was.
    fn time_of(&self, block: &Hash) -> u64;
    /// Builds a block; the salt tells the blocks of two instances with one key apart.
    fn build(&mut self, build: &Build, proposer: ValidatorIndex, now_ms: u64, salt: u64) -> Option<Built>;
    /// The time of a block that is to be judged.
    fn time_in(&self, payload: &[u8]) -> Option<u64>;
    /// The verdict on a block; none while its parent is unknown, which the protocol excludes.
    fn validate(&mut self, payload: &[u8], set: &ValidatorSet) -> Option<bool>;
    /// The bytes and the time of a block that is valid and not yet final.
    fn valid_block(&self, hash: &Hash) -> Option<(Arc<[u8]>, u64)>;
    /// A block that extends the last final one is final now. It was validated here, or came by sync.
    ///
    /// # Errors
    /// When it does not extend the last final one, or execution refuses it.
    fn finalize(&mut self, block: &FinalBlock) -> Result<(), String>;
    /// What must hold of the state, whatever happened: supply, each transaction once.
    ///
    /// # Errors
    /// When it does not.
    fn audit(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Most transactions in a block of the ledger.
const MAX_TRANSACTIONS: u64 = 100;

/// A block of the ledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Body {
    info: BlockInfo,
    time_ms: u64,
    proposer: ValidatorIndex,
    /// Transactions executed with this block and before.
    executed: u64,
    transactions: u64,
    salt: u64,
    /// SHA-256 over the root before and the transactions.
    root: Hash,
}

fn encode(body: &Body) -> Arc<[u8]> {
    let (info, mut writer) = (&body.info, Writer::default());
    writer.raw(&info.parent.0).u64(info.height.0).u64(info.epoch.0).u64(info.view.0).raw(&info.parent_certificate.0);
    writer.u16(body.proposer.0).u64(body.time_ms).u64(body.executed).u64(body.transactions).u64(body.salt);
    writer.raw(&body.root.0);
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
    let (time_ms, executed, transactions, salt) = (number()?, number()?, number()?, number()?);
    let root = reader.hash("root").ok()?;
    reader.finish().ok()?;
    Some(Body { info, time_ms, proposer, executed, transactions, salt, root })
}

/// Reads a block of the ledger for the protocol. The whole of it is its header.
pub(super) fn read_block(bytes: &[u8]) -> Option<(BlockInfo, Arc<[u8]>)> {
    Some((decode(bytes)?.info, bytes.into()))
}

/// The ledger's block of view 0.
fn genesis() -> Body {
    let (hash, none) = (sha256(b"assent simulation"), Hash::ZERO);
    let info =
        BlockInfo { hash, parent: none, height: Height(0), epoch: Epoch(0), view: View(0), parent_certificate: none };
    let proposer = ValidatorIndex(0);
    Body { info, time_ms: 0, proposer, executed: 0, transactions: 0, salt: 0, root: none }
}

/// The state after a block: a chain of hashes over what was executed.
fn execute(parent: &Body, transactions: u64) -> Hash {
    let mut writer = Writer::default();
    writer.raw(&parent.root.0).u64(parent.executed).u64(transactions);
    sha256(&writer.0)
}

/// One thing to change in a block of the ledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tamper {
    /// Another valid block.
    Salt(u64),
    /// A wrong number of executed transactions.
    Executed(i64),
    /// A wrong state.
    Root(Hash),
    Time(i64),
    Height(i64),
    View(i64),
    Parent(Hash),
    Proposer(ValidatorIndex),
    /// Another certificate of the parent.
    Certificate(Hash),
    /// Bytes that are no block.
    Truncated,
}

/// Changes one thing in a block. A truncated one keeps what it said of itself.
pub(super) fn tamper(payload: &[u8], how: Tamper) -> Option<(BlockInfo, Arc<[u8]>)> {
    let mut body = decode(payload)?;
    match how {
        Tamper::Salt(salt) => body.salt = salt,
        Tamper::Executed(by) => body.executed = body.executed.wrapping_add_signed(by),
        Tamper::Root(root) => body.root = root,
        Tamper::Time(by) => body.time_ms = body.time_ms.saturating_add_signed(by),
        Tamper::Height(by) => body.info.height = Height(body.info.height.0.wrapping_add_signed(by)),
        Tamper::View(by) => body.info.view = View(body.info.view.0.wrapping_add_signed(by)),
        Tamper::Parent(parent) => body.info.parent = parent,
        Tamper::Proposer(proposer) => body.proposer = proposer,
        Tamper::Certificate(hash) => body.info.parent_certificate = hash,
        Tamper::Truncated => {
            let bytes = payload.get(..payload.len().saturating_sub(1))?;
            return Some((BlockInfo { hash: sha256(bytes), ..body.info }, bytes.into()));
        }
    }
    let payload = encode(&body);
    Some((BlockInfo { hash: sha256(&payload), ..body.info }, payload))
}

/// A small application: a ledger whose transactions are only counted. Whether a block is valid depends on it and its
/// parent alone.
#[derive(Clone, Debug)]
pub struct Ledger {
    head: Body,
    unfinal: BTreeMap<Hash, Body>,
    known: u64,
}

impl Ledger {
    /// At genesis.
    #[must_use]
    pub fn new() -> Self {
        Self { head: genesis(), unfinal: BTreeMap::new(), known: 0 }
    }

    fn get(&self, hash: &Hash) -> Option<&Body> {
        if *hash == self.head.info.hash { Some(&self.head) } else { self.unfinal.get(hash) }
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new()
    }
}

impl Application for Ledger {
    fn genesis(&self) -> (BlockInfo, u64) {
        (genesis().info, 0)
    }

    fn read(&self, payload: &[u8]) -> Option<(BlockInfo, Arc<[u8]>)> {
        read_block(payload)
    }

    fn header_hash(&self, header: &[u8]) -> Hash {
        sha256(header)
    }

    fn reopen(&mut self, blocks: &[Arc<FinalBlock>]) {
        self.head = blocks.last().and_then(|block| decode(&block.payload)).unwrap_or_else(genesis);
        self.unfinal.clear();
    }

    fn learn(&mut self, transactions: u64) {
        self.known = self.known.max(transactions);
    }

    fn has_work(&self, parent: &Hash) -> bool {
        self.known > self.get(parent).unwrap_or(&self.head).executed
    }

    fn time_of(&self, block: &Hash) -> u64 {
        self.get(block).unwrap_or(&self.head).time_ms
    }

    fn build(&mut self, build: &Build, proposer: ValidatorIndex, now_ms: u64, salt: u64) -> Option<Built> {
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
        let root = execute(&parent, transactions);
        let payload = encode(&Body { info, time_ms, proposer, executed, transactions, salt, root });
        let body = decode(&payload)?;
        self.unfinal.insert(body.info.hash, body);
        Some(Built { info: body.info, header: payload.clone(), payload })
    }

    fn time_in(&self, payload: &[u8]) -> Option<u64> {
        decode(payload).map(|body| body.time_ms)
    }

    fn validate(&mut self, payload: &[u8], set: &ValidatorSet) -> Option<bool> {
        let Some(body) = decode(payload) else { return Some(false) };
        if self.get(&body.info.hash).is_some() {
            return Some(true);
        }
        let parent = *self.get(&body.info.parent)?;
        let valid = body.executed == parent.executed.saturating_add(body.transactions)
            && body.transactions <= MAX_TRANSACTIONS
            && body.root == execute(&parent, body.transactions)
            && body.time_ms >= parent.time_ms
            && body.info.height == parent.info.height.next()
            && body.proposer == set.leader(body.info.view);
        if valid {
            self.unfinal.insert(body.info.hash, body);
        }
        Some(valid)
    }

    fn valid_block(&self, hash: &Hash) -> Option<(Arc<[u8]>, u64)> {
        self.unfinal.get(hash).map(|body| (encode(body), body.time_ms))
    }

    fn finalize(&mut self, block: &FinalBlock) -> Result<(), String> {
        let body = decode(&block.payload).ok_or("a final block cannot be read")?;
        if body.info.parent != self.head.info.hash || body.root != execute(&self.head, body.transactions) {
            return Err(format!("final block {} does not follow {}", body.info.hash, self.head.info.hash));
        }
        self.head = body;
        self.unfinal.retain(|_, other| other.info.height > body.info.height);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_block_is_read_as_it_was_built_and_every_byte_counts() {
        let mut ledger = Ledger::new();
        ledger.learn(7);
        let build = Build {
            view: View(1),
            epoch: Epoch(0),
            parent: genesis().info.hash,
            parent_certificate: Hash::ZERO,
            needed: false,
            empty: false,
        };
        let built = ledger.build(&build, ValidatorIndex(0), 5, 1).unwrap();
        assert_eq!(read_block(&built.payload).unwrap().0, built.info);
        assert_eq!(ledger.get(&built.info.hash).unwrap().executed, 7);
        for at in 0..built.payload.len() {
            let mut other = built.payload.to_vec();
            other[at] ^= 1;
            assert_ne!(read_block(&other).unwrap().0.hash, built.info.hash);
        }
        assert!(read_block(&built.payload[1..]).is_none());
        for how in [Tamper::Executed(1), Tamper::Root(Hash([1; 32])), Tamper::Height(1), Tamper::Truncated] {
            let (info, payload) = tamper(&built.payload, how).unwrap();
            assert_ne!(info.hash, built.info.hash);
            let set = crate::sim::ideal_validators(&[1], 1).0;
            assert_eq!(Ledger { known: 7, ..Ledger::new() }.validate(&payload, &set), Some(false), "{how:?}");
        }
    }
}

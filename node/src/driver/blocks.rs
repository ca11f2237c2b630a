//! Blocks between the state machine and the chain: looking for work, building at the right time, validating.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy_primitives::{B256, Bytes};
use assent_chain::Chain;
use assent_chain::block::Block;
use assent_chain::chain::{BlockError, BuildRequest};
use assent_chain::seal::{Seal, SealExpectation};
use assent_consensus::core::{Build, Input};
use assent_consensus::{BlockInfo, Epoch, Hash, Height, Proposal, View};
use tokio::time::Instant;

use super::timers::Alarm;
use super::{Driver, Event};

/// Decoded proposals that wait to be validated: a few views' worth.
const CACHED: usize = 8;

/// Share of the view timeout that building a block may take.
const BUILD_SHARE: u32 = 4;

/// Decoded blocks, so that the bytes of a proposal are read once.
#[derive(Debug, Default)]
pub(super) struct BlockCache(RefCell<VecDeque<Block>>);

impl BlockCache {
    /// Reads a proposal's block for the state machine and keeps it for the chain.
    pub(super) fn read(&self, chain: &Chain, payload: &[u8]) -> Option<(BlockInfo, Arc<[u8]>)> {
        let block = chain.decode_block(&Bytes::copy_from_slice(payload)).ok()?;
        let (info, header) = (block_info(&block), alloy_rlp::encode(&block.header).into());
        let mut blocks = self.0.borrow_mut();
        blocks.push_back(block);
        if blocks.len() > CACHED {
            blocks.pop_front();
        }
        Some((info, header))
    }

    fn take(&self, hash: &Hash) -> Option<Block> {
        let mut blocks = self.0.borrow_mut();
        let at = blocks.iter().position(|block| block.hash().0 == hash.0)?;
        blocks.remove(at)
    }
}

/// What consensus needs to know of a block.
#[must_use]
pub fn block_info(block: &Block) -> BlockInfo {
    info(block.hash(), &block.header, &block.seal)
}

/// As [`block_info`], from the parts.
#[must_use]
pub fn info(hash: B256, header: &alloy_consensus::Header, seal: &Seal) -> BlockInfo {
    BlockInfo {
        hash: Hash(hash.0),
        parent: Hash(header.parent_hash.0),
        height: Height(header.number),
        epoch: Epoch(seal.epoch),
        view: View(seal.view),
        parent_certificate: Hash(seal.parent_certificate.0),
    }
}

/// A block that we built.
#[derive(Debug)]
pub struct BuiltBlock {
    info: BlockInfo,
    payload: Arc<[u8]>,
    header: Arc<[u8]>,
}

/// The view's work, and the block that is to be built.
#[derive(Debug, Default)]
pub(super) struct Construction {
    view: View,
    parent: B256,
    /// Whether the state machine knows that there is work.
    told: bool,
    wanted: Option<Build>,
}

/// Milliseconds of the wall clock.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Driver {
    pub(super) fn enter_view(&mut self, view: View, parent: B256, inputs: &mut VecDeque<Input>) {
        self.construction = Construction { view, parent, told: false, wanted: None };
        self.timers.cancel(Alarm::Pace);
        self.look_for_work(inputs);
    }

    /// When the block `hash` was made; now if it is not here any more.
    fn time_of(&self, hash: B256) -> u64 {
        let head = self.around.chain.head();
        if head.hash == hash {
            return head.time_ms;
        }
        self.around.chain.get_unfinal(hash).map_or(head.time_ms, |block| block.time_ms())
    }

    /// Whether an empty block upon `parent` is due; if it is to be later, an alarm is set.
    fn empty_block_is_due(&mut self, parent: B256) -> bool {
        let interval = self.params.empty_block_interval;
        if interval.is_zero() {
            return false;
        }
        let due = self.time_of(parent).saturating_add(u64::try_from(interval.as_millis()).unwrap_or(u64::MAX));
        // A clock that was set back does not stop the chain for longer than the interval.
        let wait = due.saturating_sub(now_ms()).min(u64::try_from(interval.as_millis()).unwrap_or(u64::MAX));
        if wait > 0 {
            self.timers.set(Alarm::Empty, Instant::now() + Duration::from_millis(wait));
        }
        wait == 0
    }

    /// Tells the state machine, once a view, that there is work (SPEC rule W); builds when it waits for transactions.
    pub(super) fn look_for_work(&mut self, inputs: &mut VecDeque<Input>) {
        let parent = self.construction.parent;
        if !self.construction.told && (self.around.chain.has_work(parent) || self.empty_block_is_due(parent)) {
            self.construction.told = true;
            inputs.push_back(Input::Work(self.construction.view));
        }
        self.try_construct();
    }

    pub(super) fn plan_construction(&mut self, build: Build) {
        self.construction.wanted = Some(build);
        self.try_construct();
    }

    /// Builds the wanted block when the interval after its parent is over and there is something to build.
    pub(super) fn try_construct(&mut self) {
        let Some(build) = self.construction.wanted.clone() else { return };
        let parent = B256::from(build.parent.0);
        let interval = u64::try_from(self.params.min_block_interval.as_millis()).unwrap_or(u64::MAX);
        let wait = self.time_of(parent).saturating_add(interval).saturating_sub(now_ms());
        if wait > 0 && wait <= interval {
            self.timers.set(Alarm::Pace, Instant::now() + Duration::from_millis(wait));
            return;
        }
        if build.needed || self.around.chain.has_work(parent) || self.empty_block_is_due(parent) {
            self.construction.wanted = None;
            self.construct(build);
        }
    }

    fn construct(&mut self, build: Build) {
        let (set, me) = (&self.set, self.me);
        let parent = B256::from(build.parent.0);
        let seal = Seal {
            epoch: build.epoch.0,
            view: build.view.0,
            proposer: me.0,
            time_ms: now_ms().max(self.time_of(parent)),
            parent_certificate: B256::from(build.parent_certificate.0),
            validator_set: B256::from(set.hash().0),
            evidence: self.evidence.next(),
        };
        let request = BuildRequest {
            parent,
            seal,
            fee_recipient: self.around.genesis.fee_recipient(me).unwrap_or_default(),
            empty: build.empty,
            time_budget: self.params.view_timeout / BUILD_SHARE,
        };
        let (chain, results) = (self.around.chain.clone(), self.results.clone());
        tokio::task::spawn_blocking(move || {
            let built = match chain.build(request) {
                Ok(executed) => {
                    let block = executed.block();
                    let header = alloy_rlp::encode(block.header()).into();
                    let info = info(block.hash(), block.header(), block.seal());
                    Some(BuiltBlock { info, payload: executed.encoded().as_ref().into(), header })
                }
                Err(error) => {
                    tracing::warn!(target: "assent::consensus", view = build.view.0, %error, "no block could be built");
                    None
                }
            };
            // The driver is gone only when the node stops.
            let _ = results.blocking_send(Event::Built(build.view, built));
        });
    }

    pub(super) fn on_built(view: View, built: Option<BuiltBlock>) -> Input {
        match built {
            Some(BuiltBlock { info, payload, header }) => Input::Built { view, block: info, payload, header },
            None => Input::NotBuilt(view),
        }
    }

    /// Judges a proposal on a blocking thread. The time of a certified block is not compared with this node's clock: a
    /// quorum has compared it with theirs, and this one's may have been set right since it was ahead.
    pub(super) fn validate(&mut self, proposal: Proposal, certified: bool) {
        let (view, hash) = (proposal.block.view, proposal.block.hash);
        let proposer = self.set.leader(view);
        let expect = SealExpectation {
            epoch: proposal.block.epoch.0,
            view: view.0,
            proposer: proposer.0,
            parent_certificate: B256::from(proposal.block.parent_certificate.0),
            validator_set: B256::from(self.set.hash().0),
        };
        let fee_recipient = self.around.genesis.fee_recipient(proposer).unwrap_or_default();
        let (chain, results, skew) = (self.around.chain.clone(), self.results.clone(), self.params.max_clock_skew);
        let (set, genesis) = (self.set.clone(), self.around.genesis_hash);
        let decoded = self.cache.take(&hash);
        let handle = tokio::runtime::Handle::current();
        tokio::task::spawn_blocking(move || {
            let judge = || -> Result<bool, BlockError> {
                let block = match decoded {
                    Some(block) => block,
                    None => chain.decode_block(&Bytes::copy_from_slice(&proposal.payload))?,
                };
                let fair = block.header.beneficiary == fee_recipient && evidence_holds(&block, &set, &genesis);
                if fair {
                    let time_ms = match certified {
                        true => block.seal.time_ms,
                        false => wait_until_due(&handle, &block, skew),
                    };
                    chain.validate(block, &expect, time_ms, skew)?;
                }
                Ok(fair)
            };
            let valid = match judge() {
                Ok(valid) => valid,
                Err(error) => {
                    tracing::warn!(target: "assent::consensus", view = view.0, %error, "proposal refused");
                    if !error.is_invalid() {
                        // Not the leader's fault: no verdict, and the view's timer decides.
                        return;
                    }
                    false
                }
            };
            let _ = results.blocking_send(Event::Validated(view, hash, valid));
        });
    }
}

/// A block slightly ahead of our clock is judged when its time has come within the allowed skew; what time it then is.
fn wait_until_due(handle: &tokio::runtime::Handle, block: &Block, skew: Duration) -> u64 {
    let allowed = now_ms().saturating_add(u64::try_from(skew.as_millis()).unwrap_or(u64::MAX));
    let ahead = block.seal.time_ms.saturating_sub(allowed);
    // Further ahead than this the view will be over; the chain refuses the block then.
    if ahead > 0 && ahead < u64::try_from(skew.as_millis()).unwrap_or(0) {
        handle.block_on(tokio::time::sleep(Duration::from_millis(ahead)));
    }
    now_ms()
}

/// A block may carry only evidence that holds (SPEC rule E).
fn evidence_holds(block: &Block, set: &assent_consensus::ValidatorSet, genesis: &Hash) -> bool {
    block
        .seal
        .evidence
        .iter()
        .all(|bytes| assent_consensus::Evidence::decode(bytes).is_ok_and(|evidence| evidence.verify(set, genesis)))
}

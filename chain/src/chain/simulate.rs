//! Blocks that could follow a final one, with calls in place of signed transactions (`eth_simulateV1`).
//!
//! They are made like real blocks: headers with all roots, receipts, and a state root from a trie that shares the
//! stored one. But they are in nobody's tree, have an empty seal, and are gone when they are told.

use std::sync::Arc;

use alloy_consensus::Header;
use alloy_eips::BlockId;
use alloy_primitives::{B256, U256};
use revm::primitives::hardfork::SpecId;

use super::{Chain, ExecutedBlock};
use crate::block::{RecoveredBlock, transactions_root};
use crate::execution::{
    BlockCalls, CallError, CallOptions, SimulateError, Simulated, SimulatedCall, Simulation, Terms, root_and_bloom,
    simulate_calls,
};
use crate::seal::Seal;
use crate::state::{BlockState, StateError, StateView};
use crate::trie::{StateTrie, TrieUpdate};

/// Blocks of one simulation, those that fill gaps between numbers included (Geth's limit).
pub const MAX_SIMULATED_BLOCKS: u64 = 256;

/// Seconds from one block to the next where the request says nothing: the least by which they can differ.
const TIME_STEP: u64 = 1;

/// A block of a simulation.
#[derive(Clone, Debug)]
pub struct SimulatedBlock {
    /// The block.
    pub block: Arc<ExecutedBlock>,
    /// What came of its calls, in their order.
    pub calls: Vec<SimulatedCall>,
}

/// A block with its number and time.
struct Planned<'a> {
    number: u64,
    timestamp: u64,
    calls: &'a BlockCalls,
}

impl Chain {
    /// Simulates blocks upon the final block that `base` names.
    pub fn simulate(
        &self,
        base: BlockId,
        simulation: &Simulation,
        options: CallOptions,
    ) -> Result<Vec<SimulatedBlock>, SimulateError> {
        let view = self.state_at(base)?;
        let base = self.header_by_number(view.number()).map_err(StateError::from)?.ok_or(StateError::Unknown)?;
        let terms = Terms {
            validation: simulation.validation,
            trace_transfers: simulation.trace_transfers,
            min_gas_price: self.inner.spec.min_gas_price,
            deadline: options.deadline,
        };
        let gap = BlockCalls::default();
        let plan = sequence(&base.header, &simulation.blocks, &gap)?;
        let mut run = Run {
            chain: self,
            terms,
            base: base.header.number,
            trie: StateTrie::stored(base.header.state_root),
            parent: base.header,
            parent_hash: base.hash,
            view,
            budget: options.gas_cap,
        };
        plan.iter().map(|planned| run.block(planned)).collect()
    }
}

/// Gives each block its number and time, by Geth's rules: both ascend, and gaps between numbers are filled with empty
/// blocks.
fn sequence<'a>(
    base: &Header,
    blocks: &'a [BlockCalls],
    gap: &'a BlockCalls,
) -> Result<Vec<Planned<'a>>, SimulateError> {
    let (mut previous, mut time) = (base.number, base.timestamp);
    let mut plan = Vec::with_capacity(blocks.len());
    for calls in blocks {
        let next = previous.saturating_add(1);
        let got = calls.overrides.block.number.unwrap_or(U256::from(next));
        if got <= U256::from(previous) {
            return Err(SimulateError::NumberOrder { got, previous });
        }
        if got - U256::from(base.number) > U256::from(MAX_SIMULATED_BLOCKS) {
            return Err(SimulateError::TooManyBlocks);
        }
        let number = got.saturating_to::<u64>();
        for number in next..number {
            time = time.saturating_add(TIME_STEP);
            plan.push(Planned { number, timestamp: time, calls: gap });
        }
        let timestamp = calls.overrides.block.time.unwrap_or(time.saturating_add(TIME_STEP));
        if timestamp <= time {
            return Err(SimulateError::TimeOrder { got: timestamp, previous: time });
        }
        plan.push(Planned { number, timestamp, calls });
        (previous, time) = (number, timestamp);
    }
    Ok(plan)
}

/// A simulation on its way.
struct Run<'a> {
    chain: &'a Chain,
    terms: Terms,
    /// The number of the final block under it.
    base: u64,
    /// The last block so far.
    parent: Header,
    parent_hash: B256,
    /// The state after it.
    view: StateView,
    trie: StateTrie,
    /// Gas that calls may still use.
    budget: u64,
}

impl Run<'_> {
    fn block(&mut self, planned: &Planned<'_>) -> Result<SimulatedBlock, SimulateError> {
        self.terms.check_time()?;
        let header = self.header(planned)?;
        let context = self.chain.inner.spec.context(&header);
        let state = BlockState::new(self.view.clone());
        let simulated = simulate_calls(state, &context, planned.calls, self.terms, &mut self.budget)?;
        let Simulated { calls, transactions, receipts, gas_used, state } = simulated;
        let mut diff = state.into_diff();
        let nodes = self.chain.inner.store.nodes_at(self.base);
        let update = self.trie.update(&nodes, planned.number, &diff.trie_changes());
        // What went away meanwhile makes no root.
        self.chain.check_kept(self.base)?;
        let TrieUpdate { trie, wiped, .. } = update.map_err(StateError::from)?;
        diff.retain_wiped(&wiped);
        let (receipts_root, logs_bloom) = root_and_bloom(&receipts);
        let transactions_root = transactions_root(transactions.iter().map(|tx| tx.signed()));
        let state_root = trie.root_hash();
        let header = Header { state_root, transactions_root, receipts_root, logs_bloom, gas_used, ..header };
        let hash = header.hash_slow();
        let block = RecoveredBlock::from_parts(hash, header.clone(), transactions, Seal::default());
        let block = Arc::new(ExecutedBlock::simulated(block, receipts, diff));
        self.view = self.view.upon(block.clone());
        (self.trie, self.parent, self.parent_hash) = (trie, header, hash);
        Ok(SimulatedBlock { block, calls })
    }

    /// A header as far as it does not depend on the calls. What the request leaves open is the parent's, but for the base
    /// fee: nobody pays unless the fees are to be checked.
    fn header(&self, planned: &Planned<'_>) -> Result<Header, SimulateError> {
        let assumed = &planned.calls.overrides.block;
        let spec = &self.chain.inner.spec;
        let base_fee = match assumed.base_fee {
            Some(fee) => u64::try_from(fee).map_err(|_| {
                CallError::Invalid(format!("block override baseFeePerGas: expected at most 64 bits, got {fee}"))
            })?,
            None if self.terms.validation => spec.base_fee,
            None => 0,
        };
        let cancun = spec.forks.at(planned.timestamp).is_enabled_in(SpecId::CANCUN);
        Ok(Header {
            parent_hash: self.parent_hash,
            beneficiary: assumed.coinbase.unwrap_or(self.parent.beneficiary),
            number: planned.number,
            gas_limit: assumed.gas_limit.unwrap_or(self.parent.gas_limit),
            mix_hash: assumed.random.unwrap_or_default(),
            base_fee_per_gas: Some(base_fee),
            parent_beacon_block_root: cancun.then(|| assumed.beacon_root.unwrap_or_default()),
            ..spec.header_at(planned.timestamp)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn plan(blocks: &[(Option<u64>, Option<u64>)]) -> Result<Vec<(u64, u64)>, String> {
        let base = Header { number: 10, timestamp: 100, ..Header::default() };
        let calls = |(number, time): &(Option<u64>, Option<u64>)| {
            let mut calls = BlockCalls::default();
            calls.overrides.block.number = number.map(U256::from);
            calls.overrides.block.time = *time;
            calls
        };
        let (blocks, gap): (Vec<_>, _) = (blocks.iter().map(calls).collect(), BlockCalls::default());
        let plan = sequence(&base, &blocks, &gap).map_err(|error| error.to_string())?;
        Ok(plan.iter().map(|planned| (planned.number, planned.timestamp)).collect())
    }

    #[test]
    fn numbers_and_times_ascend_and_gaps_are_filled() {
        assert_eq!(plan(&[(None, None), (None, None)]).unwrap(), [(11, 101), (12, 102)]);
        assert_eq!(plan(&[(Some(13), None)]).unwrap(), [(11, 101), (12, 102), (13, 103)]);
        assert_eq!(plan(&[(None, Some(500)), (Some(13), None)]).unwrap(), [(11, 500), (12, 501), (13, 502)]);
        assert_eq!(plan(&[(Some(266), None)]).unwrap().len(), 256);
    }

    #[test]
    fn what_does_not_ascend_or_goes_too_far_is_refused() {
        for (blocks, text) in [
            (vec![(Some(10), None)], "block numbers must be in order: 10 <= 10"),
            (vec![(Some(12), None), (Some(12), None)], "block numbers must be in order: 12 <= 12"),
            (vec![(None, Some(100))], "block timestamps must be in order: 100 <= 100"),
            (vec![(Some(12), Some(101))], "block timestamps must be in order: 101 <= 101"),
            (vec![(Some(267), None)], "too many blocks"),
            (vec![(Some(u64::MAX), None)], "too many blocks"),
        ] {
            assert_eq!(plan(&blocks).unwrap_err(), text);
        }
    }
}

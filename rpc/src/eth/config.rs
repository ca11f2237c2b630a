//! What the node offers and under which rules: `eth_config` (EIP-7910) and `eth_capabilities`.

use std::collections::BTreeMap;

use alloy_eips::{
    eip2124::ForkHash,
    eip7840::BlobParams,
    eip7910::{EthConfig, EthForkConfig},
};
use alloy_primitives::{B256, Bytes, U64};
use assent_chain::{History, chain::ChainSpec, execution};
use serde::Serialize;

use crate::{errors::CallError, methods::Api, params::Args};

/// `eth_config`
pub(crate) fn config(api: &Api, _: &Args) -> Result<EthConfig, CallError> {
    let chain = &api.backend.chain;
    let (spec, now) = (chain.spec(), chain.head().timestamp);
    let times = spec.forks.times();
    let current = times.iter().rev().find(|time| **time <= now).copied().unwrap_or_default();
    let next = times.iter().find(|time| **time > now).copied();
    // The last one is told only where there is a next one (Geth's rule).
    let last = next.and(times.last().copied());
    let at = |time: u64| rules_at(spec, time);
    Ok(EthConfig { current: at(current), next: next.map(at), last: last.map(at) })
}

/// The rules that begin at a time.
fn rules_at(spec: &ChainSpec, time: u64) -> EthForkConfig {
    let genesis = spec.genesis_header.timestamp;
    let mut hash = ForkHash::from(spec.genesis_hash);
    for fork in spec.forks.times().into_iter().filter(|fork| *fork > genesis && *fork <= time) {
        hash += fork;
    }
    let prague = spec.forks.prague.is_some_and(|prague| prague <= time);
    let blobs = if prague { BlobParams::prague() } else { BlobParams::cancun() };
    EthForkConfig {
        activation_time: if time <= genesis { 0 } else { time },
        // This chain takes no blobs.
        blob_schedule: BlobParams { target_blob_count: 0, max_blob_count: 0, max_blobs_per_tx: 0, ..blobs },
        chain_id: spec.chain_id,
        fork_id: Bytes::copy_from_slice(&hash.0),
        precompiles: execution::precompiles(spec.forks.at(time.max(genesis))),
        // Blocks call no contract by themselves.
        system_contracts: BTreeMap::new(),
    }
}

/// What can be asked of which blocks.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Capabilities {
    head: CapabilityHead,
    state: Capability,
    tx: Capability,
    logs: Capability,
    receipts: Capability,
    blocks: Capability,
    stateproofs: Capability,
}

#[derive(Clone, Debug, Serialize)]
struct CapabilityHead {
    number: U64,
    hash: B256,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Capability {
    disabled: bool,
    oldest_block: U64,
    #[serde(skip_serializing_if = "Option::is_none")]
    delete_strategy: Option<DeleteStrategy>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DeleteStrategy {
    #[serde(rename = "type")]
    kind: &'static str,
    retention_blocks: U64,
}

/// `eth_capabilities`
pub(crate) fn capabilities(api: &Api, _: &Args) -> Result<Capabilities, CallError> {
    let chain = &api.backend.chain;
    let all = Capability { disabled: false, oldest_block: U64::ZERO, delete_strategy: None };
    let state = Capability {
        oldest_block: U64::from(chain.oldest_state()),
        delete_strategy: match chain.history() {
            History::Archive => None,
            History::Blocks(blocks) => {
                let retention_blocks = U64::from(blocks.max(History::LEAST));
                Some(DeleteStrategy { kind: "window", retention_blocks })
            }
        },
        ..all.clone()
    };
    let head = chain.head();
    Ok(Capabilities {
        head: CapabilityHead { number: U64::from(head.number), hash: head.hash },
        stateproofs: state.clone(),
        state,
        tx: all.clone(),
        logs: all.clone(),
        receipts: all.clone(),
        blocks: all,
    })
}

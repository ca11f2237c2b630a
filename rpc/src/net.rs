//! The namespace `net`.

use alloy_primitives::U64;

use crate::{
    errors::CallError,
    methods::{Api, Registrar},
    params::Args,
};

pub(crate) fn register(methods: &mut Registrar) {
    methods.quick("net_version", 0, version);
    methods.quick("net_listening", 0, listening);
    methods.quick("net_peerCount", 0, peer_count);
}

/// The chain id in decimal, as every client has it.
fn version(api: &Api, _: &Args) -> Result<String, CallError> {
    Ok(api.backend.genesis.chain_id().to_string())
}

fn listening(_: &Api, _: &Args) -> Result<bool, CallError> {
    Ok(true)
}

fn peer_count(api: &Api, _: &Args) -> Result<U64, CallError> {
    let status = api.backend.status.borrow().clone();
    Ok(U64::from(status.peers.iter().filter(|peer| peer.connected).count()))
}

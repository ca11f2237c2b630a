//! The namespace `web3`.

use alloy_primitives::{B256, keccak256};

use crate::{
    errors::CallError,
    methods::{Api, Registrar},
    params::{self, Args},
};

pub(crate) fn register(methods: &mut Registrar) {
    methods.quick("web3_clientVersion", 0, client_version);
    methods.quick("web3_sha3", 1, sha3);
}

fn client_version(api: &Api, _: &Args) -> Result<String, CallError> {
    Ok(api.backend.client_version.clone())
}

fn sha3(_: &Api, args: &Args) -> Result<B256, CallError> {
    Ok(keccak256(args.required(0, "data", params::bytes)?))
}

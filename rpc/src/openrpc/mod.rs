//! The namespace `rpc`: what is offered, as a list of namespaces and as an OpenRPC document.
//!
//! The data stands beside this file: `schemas.json` has the types, and one file per namespace has its methods in the
//! short notation that `notation` reads. `docs/rpc.md` is written from the same data (`make docs`). Tests hold the data to
//! the methods that are registered, every example to its schema, and that page to the data.

mod document;
#[cfg(test)]
mod markdown;
mod notation;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::{
    errors::CallError,
    methods::{Api, Registrar},
    params::Args,
};

/// What `rpc_modules` says of each namespace, as Geth does.
const MODULE_VERSION: &str = "1.0";

/// The types.
const SCHEMAS: &str = include_str!("schemas.json");

/// The namespaces and their methods, in the order in which people want to read them.
const FILES: [(&str, &str); 10] = [
    ("eth", include_str!("eth.json")),
    ("net", include_str!("net.json")),
    ("web3", include_str!("web3.json")),
    ("assent", include_str!("assent.json")),
    ("rpc", include_str!("rpc.json")),
    ("txpool", include_str!("txpool.json")),
    ("debug", include_str!("debug.json")),
    ("trace", include_str!("trace.json")),
    ("ots", include_str!("ots.json")),
    ("erigon", include_str!("erigon.json")),
];

pub(crate) fn register(methods: &mut Registrar) {
    methods.quick("rpc_modules", 0, modules);
    methods.blocking("rpc_discover", 0, discover);
    // The name that OpenRPC gives it.
    methods.blocking("rpc.discover", 0, discover);
}

/// A namespace as it stands in its file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Namespace {
    /// What it is for.
    #[cfg_attr(not(test), allow(dead_code, reason = "for docs/rpc.md"))]
    about: String,
    methods: Vec<Method>,
}

/// A method as it stands in its file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Method {
    name: String,
    /// What it does, in a sentence or a few.
    summary: String,
    /// Each as `name: Type`, or `name?: Type` when it may be left out.
    #[serde(default)]
    params: Vec<String>,
    /// The type of the result.
    result: String,
    example: Example,
}

/// A call and its answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    #[serde(default)]
    params: Vec<Value>,
    /// Null where it is an error.
    #[serde(default)]
    result: Value,
    error: Option<Refusal>,
}

/// What a method answers that refuses every call.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refusal {
    code: i32,
    message: String,
}

/// Reads a namespace's file. A test reads all of them, so this does not fail in a program that was tested.
fn read(file: &str) -> Result<Namespace, CallError> {
    serde_json::from_str(file).map_err(CallError::internal)
}

/// The types.
fn schemas() -> Result<Value, CallError> {
    serde_json::from_str(SCHEMAS).map_err(CallError::internal)
}

/// `rpc_modules`
fn modules(api: &Api, _: &Args) -> Result<BTreeMap<String, String>, CallError> {
    Ok(api.config.namespaces.iter().map(|name| (name.clone(), MODULE_VERSION.to_owned())).collect())
}

/// `rpc_discover`
fn discover(api: &Api, _: &Args) -> Result<Value, CallError> {
    document::document(&api.config.namespaces)
}

//! The OpenRPC document (<https://spec.open-rpc.org>): the methods of the namespaces that are offered.

use serde_json::{Value, json};

use super::{FILES, Method, notation, read, schemas};
use crate::errors::CallError;

/// The version of OpenRPC that the document follows.
const OPENRPC: &str = "1.3.2";

/// The document of the namespaces with these names.
pub(super) fn document(offered: &[String]) -> Result<Value, CallError> {
    let mut methods = Vec::new();
    for (namespace, file) in FILES {
        if offered.iter().any(|name| name == namespace) {
            methods.extend(read(file)?.methods.iter().map(|entry| method(namespace, entry)));
        }
    }
    Ok(json!({
        "openrpc": OPENRPC,
        "info": {
            "title": "Assent JSON-RPC",
            "description": "The methods that this node offers, over HTTP and WebSocket on one port.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": env!("CARGO_PKG_LICENSE")},
        },
        "methods": methods,
        "components": {"schemas": schemas()?},
    }))
}

fn method(namespace: &str, method: &Method) -> Value {
    let params: Vec<_> = method.params.iter().map(|text| notation::param(text)).collect();
    let described: Vec<Value> = params
        .iter()
        .map(|param| json!({"name": param.name, "required": param.required, "schema": notation::schema(param.ty)}))
        .collect();
    let given: Vec<Value> = params
        .iter()
        .zip(&method.example.params)
        .map(|(param, value)| json!({"name": param.name, "value": value}))
        .collect();
    let mut document = json!({
        "name": method.name,
        "summary": method.summary,
        "tags": [{"name": namespace}],
        "paramStructure": "by-position",
        "params": described,
        "result": {"name": "result", "schema": notation::schema(&method.result)},
    });
    match &method.example.error {
        Some(error) => document["errors"] = json!([{"code": error.code, "message": error.message}]),
        None => {
            document["examples"] = json!([{
                "name": method.name,
                "params": given,
                "result": {"name": "result", "value": method.example.result},
            }]);
        }
    }
    document
}

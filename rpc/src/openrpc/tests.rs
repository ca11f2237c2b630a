//! The data against what is registered, against itself, and `docs/rpc.md` against the data.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use alloy_primitives::{B256, U256};
use assent_chain::{Chain, ChainOptions};
use assent_genesis::NetworkPlan;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::{FILES, Method, SCHEMAS, document::document, markdown, notation, read};
use crate::{Backend, NodeStatus, ProofBundle, RpcConfig, Trust, methods};

/// The methods that a node with these namespaces has.
fn registered(namespaces: &[&str]) -> BTreeSet<String> {
    let directory = tempfile::tempdir().unwrap();
    let genesis = Arc::new(NetworkPlan::new(31337, vec![1]).build().unwrap().0);
    let chain = Chain::open(&directory.path().join("chain"), &genesis, &ChainOptions::default()).unwrap();
    let (submit, _) = mpsc::channel(1);
    let (_, status) = watch::channel(Arc::new(NodeStatus::default()));
    let backend = Backend { chain: Arc::new(chain), genesis, status, submit, client_version: String::new() };
    let config = RpcConfig { namespaces: owned(namespaces), ..RpcConfig::default() };
    let methods = methods::offered(&config, backend).unwrap();
    methods.method_names().map(String::from).collect()
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().copied().map(String::from).collect()
}

/// The methods that the document of these namespaces has.
fn documented(namespaces: &[&str]) -> BTreeSet<String> {
    let document = document(&owned(namespaces)).unwrap();
    let methods = document["methods"].as_array().unwrap();
    let names: BTreeSet<String> = methods.iter().map(|entry| entry["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names.len(), methods.len(), "each method once");
    names
}

fn all_methods() -> Vec<Method> {
    FILES.iter().flat_map(|(_, file)| read(file).unwrap().methods).collect()
}

#[test]
fn every_method_is_documented_and_nothing_else() {
    let all = RpcConfig::ALL_NAMESPACES;
    let (registered, documented) = (registered(&all), documented(&all));
    let missing: Vec<_> = registered.difference(&documented).collect();
    assert!(missing.is_empty(), "without an entry in rpc/src/openrpc: {missing:?}");
    let invented: Vec<_> = documented.difference(&registered).collect();
    assert!(invented.is_empty(), "in rpc/src/openrpc and not registered: {invented:?}");
}

#[test]
fn the_document_has_the_namespaces_that_are_offered() {
    for (name, _) in FILES {
        assert_eq!(documented(&[name]), registered(&[name]), "{name}");
    }
    let files: BTreeSet<_> = FILES.iter().map(|(name, _)| *name).collect();
    assert_eq!(files, RpcConfig::ALL_NAMESPACES.into_iter().collect());
}

#[test]
fn the_document_has_the_shape_of_openrpc() {
    let meta: Value = serde_json::from_str(include_str!("meta.json")).unwrap();
    let meta = jsonschema::draft7::new(&meta).unwrap();
    let document = document(&owned(&RpcConfig::ALL_NAMESPACES)).unwrap();
    let errors: Vec<_> =
        meta.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    assert!(!meta.is_valid(&json!({"openrpc": "1.3.2", "info": {"title": "x", "version": "1"}, "methods": []})));
}

/// It is of a real network, so it also freezes the bundle's form.
#[test]
fn the_example_of_a_proof_holds() {
    let methods = all_methods();
    let result = |name: &str| &methods.iter().find(|method| method.name == name).unwrap().example.result;
    let hash = |value: &Value| serde_json::from_value::<B256>(value.clone()).unwrap();
    let bundle: ProofBundle = serde_json::from_value(result("assent_getProofBundle").clone()).unwrap();
    let validators = hash(&result("assent_validators")["hash"]);
    let header = bundle.verify_trusting(&Trust { genesis: bundle.genesis, validators }).unwrap();
    assert_eq!(header.hash_slow(), hash(&result("assent_getCertificate")["block"]));
    assert_eq!(bundle.storage_proof[0].value, U256::from(42));
}

/// What of a value does not fit its type.
fn misfits(schemas: &Value, ty: &str, value: &Value) -> Vec<String> {
    let schema = json!({"components": {"schemas": schemas}, "allOf": [notation::schema(ty)]});
    let validator = jsonschema::draft7::new(&schema).unwrap_or_else(|error| panic!("{ty}: {error}"));
    validator.iter_errors(value).map(|error| error.to_string()).collect()
}

#[test]
fn every_example_fits_its_types() {
    let schemas: Value = serde_json::from_str(SCHEMAS).unwrap();
    for method in all_methods() {
        let (name, example) = (&method.name, &method.example);
        let params: Vec<_> = method.params.iter().map(|text| notation::param(text)).collect();
        let required = params.iter().filter(|param| param.required).count();
        assert!((required..=params.len()).contains(&example.params.len()), "{name}: {params:?}");
        assert!(params.iter().skip(required).all(|param| !param.required), "{name}: what may be left out comes last");
        for (param, value) in params.iter().zip(&example.params) {
            let errors = misfits(&schemas, param.ty, value);
            assert!(errors.is_empty(), "{name}: {}: {errors:#?}", param.name);
        }
        if example.error.is_some() {
            assert!(example.result.is_null(), "{name}: it is refused");
            continue;
        }
        let errors = misfits(&schemas, &method.result, &example.result);
        assert!(errors.is_empty(), "{name}: {errors:#?}");
    }
    assert!(!misfits(&schemas, "Quantity", &json!("0x01")).is_empty());
    assert!(!misfits(&schemas, "Block | null", &json!({})).is_empty());
}

#[test]
fn every_type_is_there_described_and_used() {
    let schemas: Value = serde_json::from_str(SCHEMAS).unwrap();
    let schemas = schemas.as_object().unwrap();
    let mut used = BTreeSet::new();
    for method in all_methods() {
        let types = method.params.iter().map(|text| notation::param(text).ty).chain([method.result.as_str()]);
        used.extend(types.flat_map(notation::names).map(String::from));
    }
    for (name, schema) in schemas {
        assert!(schema["description"].is_string(), "{name}");
        references(schema, &mut used);
    }
    let known: BTreeSet<String> = schemas.keys().cloned().collect();
    assert_eq!(used, known);
}

/// The names that a schema refers to.
fn references(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value.as_str().and_then(|text| text.strip_prefix("#/components/schemas/")) {
                    Some(name) if key == "$ref" => {
                        found.insert(name.to_owned());
                    }
                    _ => references(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

fn page_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rpc.md")
}

/// `make docs` sets the variable and so writes the page.
#[test]
fn the_page_is_what_the_data_gives() {
    let page = markdown::page();
    if env::var_os("ASSENT_WRITE_DOCS").is_some() {
        fs::write(page_path(), &page).unwrap();
    }
    let written = fs::read_to_string(page_path()).unwrap_or_default();
    let same = written.lines().zip(page.lines()).take_while(|(old, new)| old == new).count();
    assert!(
        written == page,
        "docs/rpc.md is not what rpc/src/openrpc gives from line {} on: run `make docs`\n  {:?}\n  {:?}",
        same + 1,
        written.lines().nth(same),
        page.lines().nth(same)
    );
}

//! The public schema of the Ethereum JSON-RPC, and answers held against it.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use assent_tests::rpc::Rpc;
use jsonschema::Validator;
use serde_json::{Value, json};

/// Names the folder of public vectors.
const VECTORS_VARIABLE: &str = "ASSENT_VECTORS";

/// Errors that are shown of one answer.
const SHOWN: usize = 5;

/// The public document, and what was held against it so far.
#[derive(Debug)]
pub(crate) struct Schemas {
    document: Value,
    validators: BTreeMap<String, Validator>,
    checked: BTreeSet<String>,
}

impl Schemas {
    /// The document of the vectors; `None`, said loudly, where there are none.
    pub(crate) fn load() -> Result<Option<Self>> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let named = env::var_os(VECTORS_VARIABLE).map(PathBuf::from);
        let path = named.unwrap_or_else(|| root.join("../shared/vectors")).join("ethereum-jsonrpc/openrpc.json");
        if !path.exists() {
            eprintln!("SKIPPED: no public schema at {}; set {VECTORS_VARIABLE} to its folder", path.display());
            return Ok(None);
        }
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let document = serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))?;
        Ok(Some(Self { document, validators: BTreeMap::new(), checked: BTreeSet::new() }))
    }

    /// All methods of the document.
    pub(crate) fn methods(&self) -> Result<Vec<String>> {
        let methods = self.document["methods"].as_array().context("the public document has no methods")?;
        let name = |method: &Value| method["name"].as_str().map(String::from).context("a method without a name");
        methods.iter().map(name).collect()
    }

    /// The methods of which an answer was held against the document.
    pub(crate) fn checked(&self) -> &BTreeSet<String> {
        &self.checked
    }

    /// The schema of what a method answers.
    fn of_method(&self, method: &str) -> Result<Value> {
        let methods = self.document["methods"].as_array().context("the public document has no methods")?;
        let found = methods.iter().find(|entry| entry["name"] == method);
        Ok(found.with_context(|| format!("the public document has no {method}"))?["result"]["schema"].clone())
    }

    /// Calls a method, whose answer must be there and have the shape that the document says.
    pub(crate) async fn check(&mut self, node: &Rpc, method: &str, params: Value) -> Result<Value> {
        let schema = self.of_method(method)?;
        let answer = self.answer(node, method, &params, method, schema).await?;
        ensure!(!answer.is_null(), "{method} {params} found nothing");
        self.checked.insert(method.into());
        Ok(answer)
    }

    /// Calls a method for something that does not exist. The document must know the answer null.
    pub(crate) async fn check_missing(&mut self, node: &Rpc, method: &str, params: Value) -> Result<()> {
        let schema = self.of_method(method)?;
        let answer = self.answer(node, method, &params, method, schema).await?;
        ensure!(answer.is_null(), "{method} {params}, which does not exist, was answered with {answer:#}");
        Ok(())
    }

    /// Calls a method and holds its answer against a schema that is made of the document's own: `name` stands for it.
    pub(crate) async fn check_as(
        &mut self,
        node: &Rpc,
        method: &str,
        params: Value,
        name: &str,
        schema: Value,
    ) -> Result<Value> {
        self.answer(node, method, &params, name, schema).await
    }

    async fn answer(&mut self, node: &Rpc, method: &str, params: &Value, name: &str, schema: Value) -> Result<Value> {
        let answer = node.call(method, params.clone()).await.with_context(|| format!("{method} {params}"))?;
        let validator = match self.validators.entry(name.to_owned()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let schemas = &self.document["components"]["schemas"];
                let whole = json!({"components": {"schemas": schemas}, "allOf": [schema]});
                new.insert(compiled(name, &whole)?)
            }
        };
        conforms(validator, &format!("{method} {params}"), &answer)?;
        Ok(answer)
    }
}

/// A schema that can be held against answers.
pub(crate) fn compiled(name: &str, schema: &Value) -> Result<Validator> {
    jsonschema::draft7::new(schema).map_err(|error| anyhow::anyhow!("the schema of {name} is none: {error}"))
}

/// An answer has the shape of the schema.
pub(crate) fn conforms(validator: &Validator, what: &str, answer: &Value) -> Result<()> {
    let error = |error: jsonschema::ValidationError<'_>| format!("{error} at {}", error.instance_path());
    let errors: Vec<String> = validator.iter_errors(answer).take(SHOWN).map(error).collect();
    ensure!(errors.is_empty(), "{what}: {errors:#?}\n{answer:#}");
    Ok(())
}

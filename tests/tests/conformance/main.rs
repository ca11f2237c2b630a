//! Ethereum's interface as Ethereum's tools expect it, on a network of real nodes: every method of the public schema
//! answers in its shape, Otterscan finds what its pages read, and whoever computes hashes, roots and blooms anew from
//! the answers gets the same.
//!
//! The public schema is not part of the project: `ASSENT_VECTORS` names the folder of the public vectors.

mod hashes;
mod methods;
mod orders;
mod otterscan;
mod scene;
mod schema;

use std::{collections::BTreeSet, time::Duration};

use alloy::primitives::B256;
use anyhow::{Context, Result, ensure};
use assent_tests::{accounts::Signed, wait};
use serde_json::{Value, json};

use methods::Use;
use scene::Scene;
use schema::Schemas;

/// A new block must be there this long after a transaction was sent.
const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn every_method_of_the_public_schema_answers_in_its_shape() -> Result<()> {
    let Some(mut schemas) = Schemas::load()? else { return Ok(()) };
    let mut scene = Scene::play().await?;
    let uses = methods::uses(&scene).await?;
    let named = schemas.methods()?;
    for method in &named {
        let of_method = uses.get(method.as_str());
        match of_method.with_context(|| format!("{method} is in the public schema: say how it is tried, or why not"))? {
            Use::Calls(all) => {
                ensure!(!all.is_empty(), "{method} is never called");
                for params in all {
                    schemas.check(&scene.node, method, params.clone()).await?;
                }
            }
            Use::Refused { code, params, why } => is_refused(&scene, method, params, *code, why).await?,
            Use::AsThingsHappen => (),
        }
    }
    for (method, params) in methods::nothing_there() {
        schemas.check_missing(&scene.node, method, params).await?;
    }
    filters_tell_of_what_is_new(&mut schemas, &mut scene).await?;
    stricter_than_the_schema(&mut schemas, &scene).await?;
    methods_of_their_own(&mut schemas, &mut scene).await?;
    let mut tried = schemas.checked().clone();
    tried.extend(uses.iter().filter(|(_, of)| matches!(of, Use::Refused { .. })).map(|(name, _)| name.to_string()));
    let forgotten: Vec<&String> = named.iter().filter(|method| !tried.contains(*method)).collect();
    ensure!(forgotten.is_empty(), "no answer was looked at: {forgotten:?}");
    let unknown: Vec<&&str> = uses.keys().filter(|method| !named.iter().any(|name| name == *method)).collect();
    ensure!(unknown.is_empty(), "not in the public schema: {unknown:?}");
    scene.finish().await
}

/// A method that does not apply is refused in so many words.
async fn is_refused(scene: &Scene, method: &str, params: &Value, code: i64, why: &str) -> Result<()> {
    let answer = scene.node.call(method, params.clone()).await;
    let error = answer.err().with_context(|| format!("{method} was answered, though {why}"))?;
    let refusal = error.refusal().with_context(|| format!("{method}: {error}"))?;
    ensure!(refusal.code == code, "{method} ({why}): expected the code {code}, got {refusal}");
    Ok(())
}

/// Filters of each kind, from their making over what they find to their end.
pub(crate) async fn filters_tell_of_what_is_new(schemas: &mut Schemas, scene: &mut Scene) -> Result<()> {
    let node = scene.node.clone();
    let criteria = json!([{"fromBlock": "0x0", "address": scene.counter}]);
    let logs = schemas.check(&node, "eth_newFilter", criteria).await?;
    let blocks = schemas.check(&node, "eth_newBlockFilter", json!([])).await?;
    let transactions = schemas.check(&node, "eth_newPendingTransactionFilter", json!([])).await?;
    let sent = scene.unsent()?;
    let hash = schemas.check(&node, "eth_sendRawTransaction", json!([sent.raw])).await?;
    ensure!(hash == json!(sent.hash), "{hash}");
    is_final(scene, &sent).await?;
    for filter in [&logs, &blocks, &transactions] {
        let found = schemas.check(&node, "eth_getFilterChanges", json!([filter])).await?;
        let found = found.as_array().context("no list")?;
        ensure!(!found.is_empty(), "the filter {filter} found nothing");
        let nothing = node.call("eth_getFilterChanges", json!([filter])).await?;
        ensure!(nothing.is_array(), "{nothing}");
    }
    let found = schemas.check(&node, "eth_getFilterLogs", json!([logs])).await?;
    ensure!(found.as_array().is_some_and(|logs| logs.len() > 1), "{found:#}");
    for (filter, there) in [(&logs, true), (&logs, false), (&blocks, true), (&transactions, true)] {
        let ended = schemas.check(&node, "eth_uninstallFilter", json!([filter])).await?;
        ensure!(ended == json!(there), "{filter}: {ended}");
    }
    Ok(())
}

async fn is_final(scene: &Scene, sent: &Signed) -> Result<()> {
    wait::until_true("the transaction is final", LIMIT, async || {
        Ok::<_, anyhow::Error>(scene.node.receipt(sent.hash).await?.is_some())
    })
    .await
}

/// Where the public schema takes any answer because of tracers with names, the part of it for traces without a tracer.
async fn stricter_than_the_schema(schemas: &mut Schemas, scene: &Scene) -> Result<()> {
    let (one, of_block) = ("OpcodeTransactionTrace", "OpcodeBlockTransactionTrace");
    let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let plain = [
        json!({}),
        json!({"enableMemory": true, "enableReturnData": true}),
        json!({"disableStack": true, "disableStorage": true}),
    ];
    for played in methods::traced(scene)? {
        for config in &plain {
            let params = json!([played.signed.hash, config]);
            let trace = schemas.check_as(&scene.node, "debug_traceTransaction", params, one, reference(one)).await?;
            ensure!(trace["failed"] == json!(!played.succeeds), "{}: {}", played.what, trace["failed"]);
            let receipt = scene.receipt(played).await?;
            let gas = orders::quantity(&receipt["gasUsed"])?;
            ensure!(trace["gas"] == gas, "{}: {} in the trace, {gas} in the receipt", played.what, trace["gas"]);
        }
    }
    let receipt = scene.receipt(scene.find("revert with a reason")?).await?;
    let all = json!({"type": "array", "items": reference(of_block)});
    for (method, block) in
        [("debug_traceBlockByNumber", &receipt["blockNumber"]), ("debug_traceBlockByHash", &receipt["blockHash"])]
    {
        let traces = schemas.check_as(&scene.node, method, json!([block, {}]), of_block, all.clone()).await?;
        let count = scene.node.call("eth_getBlockTransactionCountByHash", json!([receipt["blockHash"]])).await?;
        let traces = traces.as_array().context("no list of traces")?.len() as u64;
        ensure!(traces == orders::quantity(&count)?, "{method}: {traces} traces of {count} transactions");
    }
    let call = json!([scene.call_of_counter(0), "latest", {}]);
    let trace = schemas.check_as(&scene.node, "debug_traceCall", call, one, reference(one)).await?;
    ensure!(trace["failed"] == true, "{trace:#}");
    Ok(())
}

/// Methods that Geth has beside the public schema, in the shapes that the schema has for what they answer.
async fn methods_of_their_own(schemas: &mut Schemas, scene: &mut Scene) -> Result<()> {
    let sent = scene.unsent()?;
    let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let node = scene.node.clone();
    let played = scene.find("many logs")?;
    let receipt = scene.receipt(played).await?;
    let (block, index) = (&receipt["blockHash"], &receipt["transactionIndex"]);
    let number = &receipt["blockNumber"];
    for (method, params, name) in [
        ("eth_sendRawTransactionSync", json!([sent.raw]), "ReceiptInfo"),
        ("eth_getUncleCountByBlockNumber", json!([number]), "uint"),
        ("eth_getUncleCountByBlockHash", json!([block]), "uint"),
        ("eth_getRawTransactionByHash", json!([played.signed.hash]), "bytes"),
        ("eth_getRawTransactionByBlockHashAndIndex", json!([block, index]), "bytes"),
        ("eth_getRawTransactionByBlockNumberAndIndex", json!([number, index]), "bytes"),
        ("net_peerCount", json!([]), "uint"),
        ("web3_sha3", json!(["0x00"]), "hash32"),
    ] {
        schemas.check_as(&node, method, params, name, reference(name)).await?;
    }
    is_final(scene, &sent).await
}

#[tokio::test(flavor = "multi_thread")]
async fn hashes_roots_and_blooms_follow_from_the_answers_alone() -> Result<()> {
    let scene = Scene::play().await?;
    let blocks = scene.blocks().await?;
    let mut found = BTreeSet::new();
    for number in &blocks {
        let hashes = hashes::recomputed(&scene.node, *number).await.with_context(|| format!("block {number}"))?;
        ensure!(!hashes.is_empty(), "block {number} is empty");
        found.extend(hashes);
    }
    // The first block, and one without transactions.
    hashes::recomputed(&scene.node, 0).await.context("block 0")?;
    let empty = wait::until("a block without transactions", LIMIT, async || {
        let head = scene.node.block_number().await?;
        Ok::<_, anyhow::Error>((1..=head).rev().find(|number| !blocks.contains(number)))
    })
    .await?;
    let hashes = hashes::recomputed(&scene.node, empty).await.with_context(|| format!("block {empty}"))?;
    ensure!(hashes.is_empty(), "block {empty} has transactions that nobody sent: {hashes:?}");
    let sent: BTreeSet<B256> =
        scene.played.iter().map(|played| played.signed.hash).chain(scene.busy.1.iter().copied()).collect();
    ensure!(found == sent, "sent and not found: {:?}", sent.difference(&found).collect::<Vec<_>>());
    let kinds: BTreeSet<u8> = scene.played.iter().map(|played| played.kind).collect();
    ensure!(kinds == BTreeSet::from([0, 1, 2, 4]), "types {kinds:?}");
    scene.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn otterscan_finds_what_its_pages_read() -> Result<()> {
    let scene = Scene::play().await?;
    let pages = otterscan::Pages::new(&scene)?;
    pages.start().await?;
    pages.blocks().await?;
    pages.transactions().await?;
    pages.inside().await?;
    pages.accounts().await?;
    pages.history().await?;
    scene.finish().await
}

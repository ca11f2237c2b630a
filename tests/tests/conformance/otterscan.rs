//! What the explorer Otterscan asks for when it starts and on each of its pages.
//!
//! The shapes in `otterscan.json` say what its public TypeScript types and formatters take: block numbers, pages and
//! nonces are sent as JSON numbers; counts and kinds of operations come back as JSON numbers, everything else in
//! Ethereum's notation; where it allows null, null and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use alloy::{
    primitives::{Address, B256, Bytes},
    sol_types::{Revert, SolError},
};
use anyhow::{Context, Result, bail, ensure};
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::{
    orders::quantity,
    scene::{PAID, Played, SOMEBODY, Scene},
    schema::{compiled, conforms},
};

/// The shapes of the answers, by method.
const SHAPES: &str = include_str!("otterscan.json");

/// Transactions on a page of Otterscan's.
const PAGE: u64 = 25;

/// No walk over pages takes as many.
const MOST_PAGES: u64 = 100;

/// Where a proxy keeps the address of its code (EIP-1967). Otterscan looks there.
const PROXY_SLOT: &str = "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc";

/// Input of `name()`, with which Otterscan asks whether a contract is a token.
const NAME: &str = "0x06fdde03";

/// Otterscan's numbers for what contracts do inside.
const TRANSFER: u64 = 0;
const SELF_DESTRUCT: u64 = 1;
const CREATE: u64 = 2;

/// The pages, over what was played.
#[derive(Debug)]
pub(crate) struct Pages<'a> {
    scene: &'a Scene,
    shapes: BTreeMap<String, Validator>,
}

impl<'a> Pages<'a> {
    /// Reads the shapes.
    pub(crate) fn new(scene: &'a Scene) -> Result<Self> {
        let document: Value = serde_json::from_str(SHAPES).context("otterscan.json")?;
        let methods = document["methods"].as_object().context("otterscan.json has no methods")?;
        let mut shapes = BTreeMap::new();
        for (method, shape) in methods {
            let schema =
                json!({"definitions": document["definitions"], "methods": document["methods"], "allOf": [shape]});
            shapes.insert(method.clone(), compiled(method, &schema)?);
        }
        Ok(Self { scene, shapes })
    }

    /// Asks, and checks the shape of the answer.
    async fn ask(&self, method: &str, params: Value) -> Result<Value> {
        let what = format!("{method} {params}");
        let shape = self.shapes.get(method).with_context(|| format!("otterscan.json has no {method}"))?;
        let answer = self.scene.node.call(method, params).await.with_context(|| what.clone())?;
        conforms(shape, &what, &answer)?;
        Ok(answer)
    }

    /// How it finds out with whom it speaks.
    pub(crate) async fn start(&self) -> Result<()> {
        let head = quantity(&self.ask("eth_blockNumber", json!([])).await?)?;
        for place in [json!(head), json!(0), json!("latest")] {
            let header = self.ask("erigon_getHeaderByNumber", json!([place])).await?;
            ensure!(place == "latest" || json!(quantity(&header["number"])?) == place, "{place}: {header:#}");
        }
        self.ask("ots_getApiLevel", json!([])).await?;
        Ok(())
    }

    /// The page of a block, and the pages of its transactions.
    pub(crate) async fn blocks(&self) -> Result<()> {
        for number in self.scene.blocks().await?.into_iter().chain([0]) {
            let details = self.ask("ots_getBlockDetails", json!([number])).await?;
            let block = self.scene.node.block(number).await?;
            let by_hash = self.ask("ots_getBlockDetailsByHash", json!([block["hash"]])).await?;
            ensure!(details == by_hash, "block {number}: {details:#}\nby its hash: {by_hash:#}");
            let hashes = block["transactions"].as_array().context("no transactions")?;
            ensure!(details["block"]["transactionCount"] == hashes.len(), "block {number}: {details:#}");
            ensure!(details["totalFees"] == self.fees(number).await?, "block {number}: {details:#}");
            for size in [PAGE, 3] {
                ensure!(self.by_pages(number, size).await? == *hashes, "block {number} by pages of {size}");
            }
        }
        let missing = self.scene.node.call("ots_getBlockDetails", json!([u32::MAX])).await?;
        ensure!(missing.is_null(), "{missing}");
        Ok(())
    }

    /// What the transactions of a block paid.
    async fn fees(&self, number: u64) -> Result<Value> {
        let receipts = self.scene.node.call("eth_getBlockReceipts", json!([format!("{number:#x}")])).await?;
        let mut sum = 0;
        for receipt in receipts.as_array().context("no receipts")? {
            sum += quantity(&receipt["gasUsed"])? * quantity(&receipt["effectiveGasPrice"])?;
        }
        Ok(json!(format!("{sum:#x}")))
    }

    /// Hashes of a block's transactions, gathered from its pages, of which the first has the last ones.
    async fn by_pages(&self, number: u64, size: u64) -> Result<Vec<Value>> {
        let mut gathered: Vec<Value> = Vec::new();
        for page in 0..MOST_PAGES {
            let found = self.ask("ots_getBlockTransactions", json!([number, page, size])).await?;
            let transactions = found["fullblock"]["transactions"].as_array().context("no transactions")?;
            let receipts = found["receipts"].as_array().context("no receipts")?;
            ensure!(transactions.len() == receipts.len(), "{found:#}");
            let mut hashes: Vec<Value> = transactions.iter().map(|transaction| transaction["hash"].clone()).collect();
            ensure!(
                hashes.iter().zip(receipts).all(|(hash, receipt)| receipt["transactionHash"] == *hash),
                "page {page} of block {number}: {found:#}"
            );
            if hashes.is_empty() {
                return Ok(gathered);
            }
            hashes.append(&mut gathered);
            gathered = hashes;
        }
        bail!("block {number} has no last page of {size}")
    }

    /// The page of a transaction.
    pub(crate) async fn transactions(&self) -> Result<()> {
        for played in &self.scene.played {
            let hash = played.signed.hash;
            self.ask("eth_getTransactionByHash", json!([hash])).await?;
            self.ask("eth_getTransactionReceipt", json!([hash])).await?;
            self.ask("ots_getInternalOperations", json!([hash])).await?;
            self.ask("ots_getTransactionError", json!([hash])).await?;
            self.trace(played).await?;
            let changes = self.ask("trace_replayTransaction", json!([hash, ["stateDiff"]])).await?;
            let changed = changes["stateDiff"].as_object().context("no changes")?;
            ensure!(!changed.is_empty(), "{} changes nothing, not even a nonce", played.what);
        }
        let (reason, nothing) = (Bytes::from(Revert::from("zero").abi_encode()), Bytes::new());
        for (what, expected) in [
            ("revert with a reason", &reason),
            ("legacy revert with a reason", &reason),
            ("revert without data", &nothing),
            ("out of gas", &nothing),
            ("many logs", &nothing),
        ] {
            let error = self.ask("ots_getTransactionError", json!([self.scene.find(what)?.signed.hash])).await?;
            ensure!(error == json!(expected), "{what}: {error}, expected {expected}");
        }
        Ok(())
    }

    /// The calls of a transaction in the order in which they began: each is at most one deeper than the one before.
    async fn trace(&self, played: &Played) -> Result<()> {
        let trace = self.ask("ots_traceTransaction", json!([played.signed.hash])).await?;
        let entries = trace.as_array().context("no list")?;
        let mut deepest = None;
        for entry in entries {
            let depth = entry["depth"].as_u64().context("no depth")?;
            ensure!(depth <= deepest.map_or(0, |before: u64| before + 1), "{}: {trace:#}", played.what);
            deepest = Some(depth);
        }
        let kind = if played.creates { "CREATE" } else { "CALL" };
        ensure!(entries.first().is_some_and(|first| first["type"] == kind), "{}: {trace:#}", played.what);
        Ok(())
    }

    /// What contracts do inside of transactions.
    pub(crate) async fn inside(&self) -> Result<()> {
        let scene = self.scene;
        let (factory, payer) = (scene.factory, scene.payer);
        let (first, second) = (factory.create(1), factory.create(2));
        let alone = scene.owner().create(self.nonce_of("creation that ends itself").await?);
        let operation = |kind: u64, from: Address, to: Address, value: u64| {
            let value = format!("{value:#x}");
            json!({"type": kind, "from": from, "to": to, "value": value})
        };
        for (what, expected) in [
            ("creation by a contract", vec![operation(CREATE, factory, first, 2)]),
            (
                "creation by a contract that ends itself",
                vec![operation(CREATE, factory, second, 3), operation(SELF_DESTRUCT, second, factory, 3)],
            ),
            ("creation that ends itself", vec![operation(SELF_DESTRUCT, alone, scene.owner(), 5)]),
            ("payment by a contract", vec![operation(TRANSFER, payer, SOMEBODY, PAID)]),
            ("legacy transfer", Vec::new()),
            ("many logs", Vec::new()),
        ] {
            let hash = scene.find(what)?.signed.hash;
            let operations = self.ask("ots_getInternalOperations", json!([hash])).await?;
            ensure!(operations == json!(expected), "{what}: {operations:#}");
        }
        Ok(())
    }

    async fn nonce_of(&self, what: &str) -> Result<u64> {
        let hash = self.scene.find(what)?.signed.hash;
        quantity(&self.ask("eth_getTransactionByHash", json!([hash])).await?["nonce"])
    }

    /// The page of an account or a contract.
    pub(crate) async fn accounts(&self) -> Result<()> {
        let scene = self.scene;
        let child = scene.factory.create(1);
        let nobody = Address::repeat_byte(0xee);
        for (account, has_code, creation) in [
            (scene.owner(), false, None),
            (SOMEBODY, false, None),
            (nobody, false, None),
            (scene.counter, true, Some(("creation of the counter", scene.owner()))),
            (scene.payer, true, Some(("creation of the payer", scene.owner()))),
            (child, true, Some(("creation by a contract", scene.factory))),
        ] {
            let code = self.ask("ots_hasCode", json!([account, "latest"])).await?;
            ensure!(code == has_code, "{account} has code: {code}");
            let before = self.ask("ots_hasCode", json!([account, 0])).await?;
            ensure!(before == false, "{account} had code from the beginning");
            let creator = self.ask("ots_getContractCreator", json!([account])).await?;
            let expected = match creation {
                Some((what, creator)) => json!({"hash": scene.find(what)?.signed.hash, "creator": creator}),
                None => Value::Null,
            };
            ensure!(creator == expected, "{account}: {creator:#}, expected {expected:#}");
            self.ask("eth_getBalance", json!([account, "latest"])).await?;
            self.ask("eth_getTransactionCount", json!([account, "latest"])).await?;
            self.ask("eth_getCode", json!([account, "latest"])).await?;
            let slot = self.ask("eth_getStorageAt", json!([account, PROXY_SLOT, "latest"])).await?;
            ensure!(slot == json!(B256::ZERO), "{account}: {slot}");
        }
        // It takes a revert for a contract that is no token.
        let answer = scene.node.call("eth_call", json!([{"to": scene.counter, "data": NAME}, "latest"])).await;
        let error = answer.err().context("the counter has a name")?;
        ensure!(error.refusal().is_some_and(|refusal| refusal.code == 3), "{error}");
        Ok(())
    }

    /// The history of an account: by nonce, and by pages to both ends.
    pub(crate) async fn history(&self) -> Result<()> {
        let (account, sent) = &self.scene.busy;
        for (nonce, hash) in sent.iter().enumerate() {
            let found = self.ask("ots_getTransactionBySenderAndNonce", json!([account, nonce])).await?;
            ensure!(found == json!(hash), "nonce {nonce}: {found}, expected {hash}");
        }
        let next = self.ask("ots_getTransactionBySenderAndNonce", json!([account, sent.len()])).await?;
        ensure!(next.is_null(), "nonce {}: {next}", sent.len());

        let older = self.walk("ots_searchTransactionsBefore", "lastPage", account).await?;
        let newer = self.walk("ots_searchTransactionsAfter", "firstPage", account).await?;
        let all: BTreeSet<String> = sent.iter().map(|hash| hash.to_string()).collect();
        for (way, found) in [("older", &older), ("newer", &newer)] {
            ensure!(found.len() == sent.len(), "{way}: {} transactions of {}", found.len(), sent.len());
            ensure!(found.iter().cloned().collect::<BTreeSet<_>>() == all, "{way}: {found:?}");
        }
        // Each page has the newest transactions first, whichever way the pages are walked.
        ensure!(older.first() == sent.last().map(|hash| hash.to_string()).as_ref(), "{older:?}");
        let payments = self.ask("ots_searchTransactionsBefore", json!([SOMEBODY, 0, PAGE])).await?;
        let paid = payments["txs"].as_array().context("no transactions")?;
        ensure!(paid.len() as u64 >= PAGE, "{} transactions touched {SOMEBODY}", paid.len());
        let nothing = self.ask("ots_searchTransactionsBefore", json!([Address::repeat_byte(0xee), 0, PAGE])).await?;
        ensure!(nothing["txs"] == json!([]) && nothing["firstPage"] == true && nothing["lastPage"] == true);
        Ok(())
    }

    /// Walks the pages of an account's history to the end that this flag tells; the hashes in the order in which they
    /// came. There is more than one page, and none has a part of a block.
    async fn walk(&self, method: &str, end: &str, account: &Address) -> Result<Vec<String>> {
        let (mut found, mut from) = (Vec::new(), 0);
        for number in 0..MOST_PAGES {
            let page = self.ask(method, json!([account, from, PAGE])).await?;
            let transactions = page["txs"].as_array().context("no transactions")?;
            let receipts = page["receipts"].as_array().context("no receipts")?;
            ensure!(transactions.len() == receipts.len() && !transactions.is_empty(), "{method} from {from}: {page:#}");
            let mut last = u64::MAX;
            for (transaction, receipt) in transactions.iter().zip(receipts) {
                ensure!(receipt["transactionHash"] == transaction["hash"], "{method} from {from}: {page:#}");
                let block = quantity(&transaction["blockNumber"])?;
                ensure!(block <= last, "{method} from {from} is not newest first: {page:#}");
                last = block;
                found.push(transaction["hash"].as_str().context("no hash")?.to_owned());
            }
            if page[end] == true {
                ensure!(number > 0, "{method} gave all {} transactions at once", found.len());
                return Ok(found);
            }
            // To the older ones from the last of the page, to the newer ones from the first.
            let at = if end == "lastPage" { transactions.last() } else { transactions.first() };
            from = quantity(&at.context("an empty page")?["blockNumber"])?;
        }
        bail!("{method} never tells {end} of {account}")
    }
}

//! What is there for operators to watch a network with is true: the metrics of `docs/metrics.md` are those that a node
//! exports, the alerts do what their tests say, and every query of the dashboard has data in a real Prometheus.

use std::{collections::BTreeSet, time::Duration};

use alloy::{
    primitives::{Address, U256},
    transports::http::reqwest::Client,
};
use anyhow::{Context, Result, ensure};
use assent_tests::{
    accounts::Account,
    cluster::{Cluster, Plan},
    devnet::Devnet,
    load::Load,
    monitoring::{self, Prometheus},
    ports,
    rpc::Rpc,
    turn::Turn,
    wait,
};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);

/// What some of a node's metrics wait for: a transaction, a call that is answered, and one that fails.
async fn provoke(devnet: &Devnet, node: &Rpc) -> Result<()> {
    let payer = devnet.description.accounts.first().context("no account")?;
    let mut account = Account::with_signer(payer.private_key.parse().context("private key")?);
    let transfer = account.transfer(Address::repeat_byte(0x44), U256::from(5))?;
    transfer.submit(node).await?;
    wait::until_true("the transfer is final", LIMIT, async || {
        Ok::<_, anyhow::Error>(node.receipt(transfer.hash).await?.is_some())
    })
    .await?;
    ensure!(node.call("eth_getBalance", json!(["no address", "latest"])).await.is_err());
    ensure!(node.call("eth_thereIsNoSuchMethod", json!([])).await.is_err());
    Ok(())
}

async fn page(devnet: &Devnet, node: usize) -> Result<String> {
    let node = devnet.description.nodes.get(node).context("no such node")?;
    let http = Client::builder().no_proxy().timeout(LIMIT).build()?;
    Ok(http.get(&node.metrics).send().await?.error_for_status()?.text().await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_exports_what_is_documented_and_nothing_else() -> Result<()> {
    let _turn = Turn::take().await?;
    let folder = tempfile::tempdir()?;
    let (dir, log) = (folder.path().join("net"), folder.path().join("log"));
    let mut devnet = Devnet::start(&dir, ports::free_offset(2)?, &["--validators", "2"], &log).await?;
    let nodes = devnet.rpcs()?;
    provoke(&devnet, &nodes[0]).await?;
    let page = page(&devnet, 0).await?;
    let (documented, exported) = (monitoring::documented()?, monitoring::exported(&page)?);
    for (name, described) in &documented {
        let found = exported.get(name).with_context(|| format!("{name} is documented and not exported"))?;
        ensure!(found == described, "{name}: documented as {described:?}, exported as {found:?}");
    }
    let secret: Vec<_> = exported.keys().filter(|name| !documented.contains_key(*name)).collect();
    ensure!(secret.is_empty(), "exported and not in docs/metrics.md: {secret:?}");
    ensure!(!page.contains("eth_thereIsNoSuchMethod"), "a client made a series of its own");
    if monitoring::programs().is_some() {
        // Names and units as the convention has them.
        monitoring::promtool(&["check", "metrics"], &page).await?;
    }
    devnet.stop(LIMIT).await
}

#[test]
fn every_metric_that_dashboard_alerts_and_text_name_is_documented() -> Result<()> {
    let documented = monitoring::documented()?;
    for file in ["dashboard.json", "alerts.yml", "alerts.test.yml", "README.md"] {
        let named = monitoring::named(&monitoring::text(&format!("monitoring/{file}"))?, &documented);
        let unknown: Vec<_> = named.iter().filter(|name| !documented.contains_key(*name)).collect();
        ensure!(unknown.is_empty(), "monitoring/{file} names what docs/metrics.md does not have: {unknown:?}");
        ensure!(!named.is_empty() || file == "README.md", "monitoring/{file} names no metric");
    }
    Ok(())
}

#[tokio::test]
async fn the_alerts_do_what_their_tests_say() -> Result<()> {
    if monitoring::programs().is_none() {
        return Ok(());
    }
    monitoring::promtool(&["check", "rules", "alerts.yml"], "").await?;
    monitoring::promtool(&["check", "config", "prometheus.yml"], "").await?;
    monitoring::promtool(&["test", "rules", "alerts.test.yml"], "").await?;
    let (rules, tests) = (monitoring::text("monitoring/alerts.yml")?, monitoring::text("monitoring/alerts.test.yml")?);
    let readme = monitoring::text("monitoring/README.md")?;
    for name in alerts(&rules) {
        ensure!(tests.contains(&format!("alertname=\"{name}\"")), "no test sees {name} fire");
        ensure!(readme.contains(name), "monitoring/README.md does not have {name}");
    }
    Ok(())
}

fn alerts(rules: &str) -> Vec<&str> {
    rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect()
}

#[test]
fn the_dashboard_has_one_place_for_each_panel_and_says_what_it_shows() -> Result<()> {
    let dashboard: Value = serde_json::from_str(&monitoring::text("monitoring/dashboard.json")?)?;
    let panels = dashboard["panels"].as_array().context("no panels")?;
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels {
        let title = panel["title"].as_str().context("a panel without a title")?;
        ensure!(ids.insert(panel["id"].as_u64().context("no id")?), "{title}: its id is another panel's");
        let side = |name: &str| panel["gridPos"][name].as_u64().with_context(|| format!("{title}: no {name}"));
        for (x, y) in (side("x")?..side("x")? + side("w")?).flat_map(|x| {
            let (top, height) = (side("y").unwrap_or(0), side("h").unwrap_or(0));
            (top..top + height).map(move |y| (x, y))
        }) {
            ensure!(x < 24 && taken.insert((x, y)), "{title} lies upon another panel or beyond the border");
        }
        if panel["type"] != "row" {
            ensure!(panel["description"].as_str().is_some_and(|text| !text.is_empty()), "{title}: no description");
            ensure!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title}: no unit");
            ensure!(panel["datasource"]["uid"] == "${datasource}", "{title}: bound to one data source");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_query_of_the_dashboard_has_data_and_all_rules_can_be_evaluated() -> Result<()> {
    if monitoring::programs().is_none() {
        return Ok(());
    }
    let _turn = Turn::take().await?;
    let folder = tempfile::tempdir()?;
    let (dir, log) = (folder.path().join("net"), folder.path().join("log"));
    // One place more than there are nodes: Prometheus takes the port of the last one's metrics.
    let offset = ports::free_offset(5)?;
    let mut devnet = Devnet::start(&dir, offset, &[], &log).await?;
    let nodes = devnet.rpcs()?;
    provoke(&devnet, &nodes[0]).await?;
    let address = |url: &str| url.trim_start_matches("http://").trim_end_matches("/metrics").to_string();
    let targets: Vec<String> = devnet.description.nodes.iter().map(|node| address(&node.metrics)).collect();
    let prometheus = Prometheus::start(folder.path(), ports::METRICS + offset + 4, &targets)?;

    let all_read = async {
        wait::until_true("Prometheus has read all nodes twice", LIMIT, async || {
            let series = prometheus.query("sum_over_time(up[1m]) >= 2").await?;
            Ok::<_, anyhow::Error>(series.len() == targets.len())
        })
        .await
    };
    all_read.await.with_context(|| format!("Prometheus printed:\n{}", prometheus.printed()))?;
    for (title, query) in monitoring::queries()? {
        wait::until_true(format!("{title}: {query} has data"), LIMIT, async || {
            Ok::<_, anyhow::Error>(!prometheus.query(&query).await?.is_empty())
        })
        .await?;
    }
    rules_are_fine(&prometheus).await?;
    let firing = prometheus.query("ALERTS{alertstate=\"firing\"}").await?;
    ensure!(firing.is_empty(), "alerts of a network in good health: {firing:?}");
    drop(prometheus);
    devnet.stop(LIMIT).await
}

/// Every rule of the repository is there and was evaluated without an error.
async fn rules_are_fine(prometheus: &Prometheus) -> Result<()> {
    let expected = alerts(&monitoring::text("monitoring/alerts.yml")?).len();
    wait::until_true("all rules have been evaluated", LIMIT, async || {
        let rules = prometheus.rules().await?;
        ensure!(rules.len() == expected, "{} rules, expected {expected}", rules.len());
        Ok(rules.iter().all(|rule| rule["health"] != "unknown"))
    })
    .await?;
    for rule in prometheus.rules().await? {
        ensure!(rule["health"] == "ok", "{}: {}", rule["name"], rule["lastError"]);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_fails_is_told_with_its_leader_and_its_reason() -> Result<()> {
    let mut cluster = Cluster::launch(Plan::validators(&[40, 30, 20, 10])).await?;
    let load = Load::start(&cluster.rpcs(), Account::tests(4)?, 40);
    cluster.goes_on(0, 2, LIMIT).await?;
    cluster.kill(3)?;
    let dead = cluster.name(3).to_string();
    let failed = wait::until("a view of the dead leader has failed at node 0", LIMIT, async || {
        let status = cluster.rpc(0).status().await?;
        Ok::<_, anyhow::Error>(status.failed_views.into_iter().find(|failed| failed.leader == dead))
    })
    .await?;
    let reasons = ["no proposal", "silent leader", "leader gave up", "others gave up", "skipped by others", "timeout"];
    ensure!(reasons.contains(&failed.reason.as_str()), "{failed:?}");
    let counted = cluster.metric(0, "assent_consensus_failed_views_total").await?;
    ensure!(counted >= 1.0, "{failed:?} was not counted");
    // Nothing was heard of it in its last views: it is not waited for any more.
    wait::until_true("its leader is silent", LIMIT, async || {
        let status = cluster.rpc(0).status().await?;
        let newest = status.failed_views.iter().find(|failed| failed.leader == dead);
        Ok::<_, anyhow::Error>(newest.is_some_and(|failed| failed.reason == "silent leader"))
    })
    .await?;
    let status = cluster.rpc(0).status().await?;
    ensure!(status.failed_views.is_sorted_by_key(|failed| failed.ago_ms), "not the newest first: {status:?}");
    load.stop().await?;
    cluster.start_and_wait(3).await?;
    cluster.finish().await
}

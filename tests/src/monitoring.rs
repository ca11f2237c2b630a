//! Debian's Prometheus and promtool, and what the repository says of metrics: `docs/metrics.md` and `monitoring`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use alloy::transports::http::reqwest::{Client, Url};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

use crate::{brought::brought, process::Process};

/// Names the folder with `prometheus` and `promtool` (`scripts/monitoring` finds it; `make test` sets this).
pub const MONITORING_VARIABLE: &str = "ASSENT_MONITORING";

/// A program or a server may take this long to answer.
const LIMIT: Duration = Duration::from_secs(60);

/// The folder with the programs; `None`, said loudly, where there is none.
pub fn programs() -> Option<PathBuf> {
    brought(MONITORING_VARIABLE, "no Prometheus is run")
}

/// A file of the repository.
pub fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The text of a file of the repository.
pub fn text(path: &str) -> Result<String> {
    fs::read_to_string(file(path)).with_context(|| format!("cannot read {path}"))
}

/// Runs promtool in the folder `monitoring` with this input; what it printed, when it was content.
pub async fn promtool(arguments: &[&str], input: &str) -> Result<String> {
    let program = programs().context("no promtool")?.join("promtool");
    let mut child = Command::new(&program)
        .args(arguments)
        .current_dir(file("monitoring"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let mut stdin = child.stdin.take().context("promtool has no input")?;
    stdin.write_all(input.as_bytes()).await?;
    drop(stdin);
    let output = timeout(LIMIT, child.wait_with_output()).await.context("promtool did not end")??;
    let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    ensure!(output.status.success(), "promtool {arguments:?} ended with {}:\n{printed}", output.status);
    Ok(printed)
}

/// A running Prometheus with the rules of the repository.
#[derive(Debug)]
pub struct Prometheus {
    process: Process,
    url: String,
    http: Client,
}

impl Prometheus {
    /// Starts one that reads these targets every second. Its files go into `folder`.
    pub fn start(folder: &Path, port: u16, targets: &[String]) -> Result<Self> {
        let program = programs().context("no prometheus")?.join("prometheus");
        let config = folder.join("prometheus.yml");
        let targets: Vec<String> = targets.iter().map(|target| format!("{target:?}")).collect();
        let text = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [{:?}]\nscrape_configs:\n  - \
             job_name: assent\n    static_configs: [{{ targets: [{}] }}]\n",
            fs::canonicalize(file("monitoring/alerts.yml"))?,
            targets.join(", ")
        );
        fs::write(&config, text)?;
        let arguments = [
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", folder.join("prometheus").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--log.level=warn".to_string(),
        ];
        let process = Process::start("prometheus", &program, arguments, &folder.join("prometheus.log"))?;
        let http = Client::builder().timeout(LIMIT).no_proxy().build()?;
        Ok(Self { process, url: format!("http://127.0.0.1:{port}/api/v1"), http })
    }

    /// What it has printed: warnings and errors.
    pub fn printed(&self) -> String {
        self.process.printed()
    }

    /// The data that it answers to a request.
    async fn get(&self, url: Url) -> Result<Value> {
        let answer: Value = serde_json::from_str(&self.http.get(url).send().await?.text().await?)?;
        if answer["status"] != "success" {
            bail!("Prometheus says: {}", answer["error"]);
        }
        Ok(answer["data"].clone())
    }

    /// The series (or the number) that a query gives now.
    pub async fn query(&self, expression: &str) -> Result<Vec<Value>> {
        let url = Url::parse_with_params(&format!("{}/query", self.url), [("query", expression)])?;
        let data = self.get(url).await.with_context(|| format!("the query {expression}"))?;
        let result = data["result"].as_array().cloned().with_context(|| format!("{expression}: no result: {data}"))?;
        Ok(if data["resultType"] == "scalar" { vec![Value::Array(result)] } else { result })
    }

    /// The rules that it has, with their health.
    pub async fn rules(&self) -> Result<Vec<Value>> {
        let data = self.get(Url::parse(&format!("{}/rules", self.url))?).await?;
        let groups = data["groups"].as_array().context("no groups of rules")?;
        Ok(groups.iter().filter_map(|group| group["rules"].as_array()).flatten().cloned().collect())
    }
}

/// A metric as `docs/metrics.md` has it, or as a node exports it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// Counter, gauge or histogram.
    pub kind: String,
    /// The names of its labels.
    pub labels: BTreeSet<String>,
    /// What it says.
    pub help: String,
}

/// Every metric of `docs/metrics.md`.
pub fn documented() -> Result<BTreeMap<String, Described>> {
    let page = text("docs/metrics.md")?;
    let mut metrics = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        // Other tables have other numbers of columns.
        let [name, kind, labels, help] = cells[..] else { continue };
        let labels = labels.split(';').filter_map(|label| label.split('`').nth(1)).map(String::from).collect();
        let described = Described { kind: kind.to_string(), labels, help: help.to_string() };
        let twice = metrics.insert(name.trim_matches('`').to_string(), described);
        ensure!(twice.is_none(), "docs/metrics.md has {name} twice");
    }
    ensure!(!metrics.is_empty(), "docs/metrics.md has no metrics");
    Ok(metrics)
}

/// Every metric on a page in Prometheus' text format.
pub fn exported(page: &str) -> Result<BTreeMap<String, Described>> {
    let mut metrics: BTreeMap<String, Described> = BTreeMap::new();
    for line in page.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            metrics.entry(name.to_string()).or_default().help = help.to_string();
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            metrics.entry(name.to_string()).or_default().kind = kind.to_string();
        } else if let Some((series, _)) = line.rsplit_once(' ') {
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let family = family(name, |name| metrics.contains_key(name));
            let metric = metrics.get_mut(family).with_context(|| format!("no type for {line}"))?;
            // The label of the buckets is Prometheus' own.
            let names = labels.split("\",").filter_map(|label| label.split_once("=\"")).map(|(name, _)| name.trim());
            metric.labels.extend(names.filter(|name| *name != "le").map(String::from));
        }
    }
    Ok(metrics)
}

/// The metric to which a series of a histogram belongs.
fn family(series: &str, is_known: impl Fn(&str) -> bool) -> &str {
    let ends = ["_bucket", "_sum", "_count"];
    let base = ends.iter().filter_map(|end| series.strip_suffix(end)).find(|base| is_known(base));
    if is_known(series) { series } else { base.unwrap_or(series) }
}

/// The metrics of ours that a text names.
pub fn named(text: &str, documented: &BTreeMap<String, Described>) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let ours = words.filter(|word| word.starts_with("assent_") || word.starts_with("process_"));
    ours.map(|word| family(word, |name| documented.contains_key(name)).to_string()).collect()
}

/// The queries of the dashboard, with the panels' titles, for all jobs and nodes.
pub fn queries() -> Result<Vec<(String, String)>> {
    let dashboard: Value = serde_json::from_str(&text("monitoring/dashboard.json")?)?;
    let panels = dashboard["panels"].as_array().context("the dashboard has no panels")?;
    let mut queries = Vec::new();
    for panel in panels {
        let title = panel["title"].as_str().context("a panel has no title")?;
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().with_context(|| format!("{title}: a target has no query"))?;
            let query = query.replace("$__rate_interval", "1m").replace("$job", ".+").replace("$instance", ".+");
            ensure!(!query.contains('$'), "{title}: a variable that Grafana may not know: {query}");
            queries.push((title.to_string(), query));
        }
    }
    ensure!(!queries.is_empty(), "the dashboard has no queries");
    Ok(queries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_with_its_labels() {
        let page = "# HELP a_seconds Time of \"it\"\n# TYPE a_seconds histogram\n\
                    a_seconds_bucket{phase=\"x, y\",le=\"1\"} 3\na_seconds_sum{phase=\"x, y\"} 0.5\n\
                    a_seconds_count{phase=\"x, y\"} 3\n\n# TYPE b_count gauge\nb_count NaN\n";
        let metrics = exported(page).unwrap();
        assert_eq!(metrics.len(), 2);
        assert_eq!(metrics["a_seconds"].kind, "histogram");
        assert_eq!(metrics["a_seconds"].help, "Time of \"it\"");
        assert!(metrics["a_seconds"].labels.iter().eq(["phase"]));
        assert!(metrics["b_count"].labels.is_empty());
        assert!(exported("c 1\n").is_err());
    }

    #[test]
    fn names_are_found_in_any_text() {
        let known = BTreeMap::from([("assent_a_seconds".to_string(), Described::default())]);
        let text = "rate(assent_a_seconds_bucket{x=\"y\"}[5m]) > assent_unknown_total, see my_assent_x";
        assert!(named(text, &known).iter().eq(["assent_a_seconds", "assent_unknown_total"]));
    }
}

//! `docs/metrics.md`, written from the tables, and what holds for all of them.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    env,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use assent_chain::metric::{Kind, Label, Metric};

use super::AREAS;

const HEAD: &str = "\
# Metrics

<!-- Written by `make docs` from the tables beside the code that counts. -->

Each node serves them at `/metrics` on port 9545 (`metrics.listen` in `config.toml`) in Prometheus' text format. Times
are in seconds, sizes in bytes; rates are left to the monitoring system. Counters begin at 0 with the process. A series
is there from the start when all values of its label are known, so that a first time is seen as an increase; the others
come up with what they count. [monitoring](../monitoring) has a dashboard and alerts.
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    for area in AREAS {
        let _ = writeln!(page, "\n## {}\n\n{}\n", area.title, area.about);
        page.push_str("| metric | kind | labels | what it says |\n|---|---|---|---|\n");
        for Metric { name, kind, labels, help } in area.metrics {
            let kind = match kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram(_) => "histogram",
            };
            let labels: Vec<String> = labels.iter().map(label).collect();
            let _ = writeln!(page, "| `{name}` | {kind} | {} | {help} |", labels.join("; "));
        }
    }
    page.push_str("\n## Buckets\n\nThe upper ends of the histograms' buckets, beside infinity.\n\n");
    page.push_str("| metrics | buckets |\n|---|---|\n");
    let mut written: Vec<&[f64]> = Vec::new();
    for (_, buckets) in histograms() {
        if !written.contains(&buckets) {
            written.push(buckets);
            let same = histograms().filter(|(_, other)| *other == buckets);
            let names: Vec<String> = same.map(|(name, _)| format!("`{name}`")).collect();
            let ends: Vec<String> = buckets.iter().map(f64::to_string).collect();
            let _ = writeln!(page, "| {} | {} |", names.join(", "), ends.join(", "));
        }
    }
    page
}

fn label(label: &Label) -> String {
    match label.values {
        [] => format!("`{}`", label.name),
        values => format!("`{}`: {}", label.name, values.join(", ")),
    }
}

fn all() -> impl Iterator<Item = &'static Metric> {
    AREAS.iter().flat_map(|area| area.metrics)
}

fn histograms() -> impl Iterator<Item = (&'static str, &'static [f64])> {
    all().filter_map(|metric| match metric.kind {
        Kind::Histogram(buckets) => Some((metric.name, buckets)),
        Kind::Counter | Kind::Gauge => None,
    })
}

#[test]
fn names_say_what_is_counted_and_in_which_unit() {
    let mut names = BTreeSet::new();
    for Metric { name, kind, labels, help } in all() {
        assert!(names.insert(name), "{name} is there twice");
        assert!(name.starts_with("assent_") || name.starts_with("process_"), "{name}");
        let total = name.ends_with("_total");
        assert_eq!(total, matches!(kind, Kind::Counter), "{name}: counters end in _total, and nothing else does");
        let reserved = ["_count", "_sum", "_bucket", "_ms", "_millis", "_milliseconds", "_kb", "_mb"];
        assert!(!reserved.iter().any(|end| name.ends_with(end)), "{name}");
        assert!(!help.is_empty() && !help.ends_with('.') && !help.contains(['|', '\n', '\\']), "{name}: {help}");
        let open = labels.iter().filter(|label| label.values.is_empty()).count();
        assert!(labels.len() <= 1 || open == labels.len(), "{name}: begun with 0 for one label only");
    }
}

fn page_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md")
}

/// `make docs` sets the variable and so writes the page.
#[test]
fn the_page_is_what_the_tables_give() {
    let page = page();
    if env::var_os("ASSENT_WRITE_DOCS").is_some() {
        fs::write(page_path(), &page).unwrap();
    }
    let written = fs::read_to_string(page_path()).unwrap_or_default();
    let same = written.lines().zip(page.lines()).take_while(|(old, new)| old == new).count();
    assert!(
        written == page,
        "docs/metrics.md is not what the tables give from line {} on: run `make docs`\n  {:?}\n  {:?}",
        same + 1,
        written.lines().nth(same),
        page.lines().nth(same)
    );
}

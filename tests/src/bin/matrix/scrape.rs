//! Where a node's time goes, from its own metrics: every histogram in seconds, before and after a load.

use std::collections::BTreeMap;

/// Sums and counts of all histograms in seconds, over several nodes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals(BTreeMap<String, (f64, f64)>);

/// What one kind of work took during a load.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stage {
    /// The metric, with its labels.
    pub(crate) name: String,
    /// How often it was done, over all nodes.
    pub(crate) count: f64,
    /// Seconds each time, on average.
    pub(crate) mean_seconds: f64,
    /// Seconds in all, over all nodes.
    pub(crate) total_seconds: f64,
}

impl Totals {
    /// Adds a page in Prometheus' text format.
    pub(crate) fn add(&mut self, page: &str) {
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, value)) = line.rsplit_once(' ') else {
                continue;
            };
            let Ok(value) = value.parse::<f64>() else {
                continue;
            };
            let (family, labels) = name.split_once('{').unwrap_or((name, ""));
            let labels = labels.trim_end_matches('}');
            if let Some(base) = family.strip_suffix("_seconds_sum") {
                self.entry(base, labels).0 += value;
            } else if let Some(base) = family.strip_suffix("_seconds_count") {
                self.entry(base, labels).1 += value;
            }
        }
    }

    fn entry(&mut self, base: &str, labels: &str) -> &mut (f64, f64) {
        let name = if labels.is_empty() { base.to_string() } else { format!("{base} ({labels})") };
        self.0.entry(name).or_default()
    }
}

/// What was done between two readings, the largest part first.
pub(crate) fn stages(before: &Totals, after: &Totals) -> Vec<Stage> {
    let mut stages: Vec<Stage> = after
        .0
        .iter()
        .filter_map(|(name, (sum, count))| {
            let (sum_before, count_before) = before.0.get(name).copied().unwrap_or_default();
            let (total_seconds, count) = (sum - sum_before, count - count_before);
            (count > 0.0).then(|| Stage {
                name: name.clone(),
                count,
                mean_seconds: total_seconds / count,
                total_seconds,
            })
        })
        .collect();
    stages.sort_by(|a, b| b.total_seconds.total_cmp(&a.total_seconds));
    stages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_the_difference_of_two_readings() {
        let page = |sum: &str, count: u32| {
            format!(
                "# TYPE assent_sync_seconds summary\nassent_sync_seconds{{quantile=\"0.5\"}} 1\n\
                 assent_sync_seconds_sum {sum}\nassent_sync_seconds_count {count}\nassent_view 7\n"
            )
        };
        let (mut before, mut after) = (Totals::default(), Totals::default());
        before.add(&page("1.5", 10));
        after.add(&page("2.5", 20));
        let found = stages(&before, &after);
        let expected = Stage { name: "assent_sync".into(), count: 10.0, mean_seconds: 0.1, total_seconds: 1.0 };
        assert_eq!(found, [expected]);
    }
}

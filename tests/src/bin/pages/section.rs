//! The section about pages in what `make bench` writes.

use std::{
    fmt::{self, Display},
    time::Duration,
};

use assent_tests::prefill::Past;

use crate::ask::Times;

/// How the section begins.
const HEADING: &str = "## Pages of the explorer";
/// No page should take longer, in milliseconds, at the 99th percentile.
const TARGET_MS: f64 = 50.0;
const MIB: f64 = 1024.0 * 1024.0;

/// What was measured.
#[derive(Debug)]
pub(crate) struct Section {
    /// The chain.
    pub(crate) past: Past,
    /// For how long pages were asked for.
    pub(crate) time: Duration,
    /// Transfers per second meanwhile.
    pub(crate) rate: u32,
    /// Blocks that became final meanwhile.
    pub(crate) blocks: u64,
    /// The most memory that the node ever had.
    pub(crate) peak_bytes: u64,
    /// The pages.
    pub(crate) pages: Vec<Times>,
}

impl Section {
    /// Pages that miss the target.
    pub(crate) fn too_slow(&self) -> Vec<(&'static str, f64)> {
        let all = self.pages.iter().map(|page| (page.name, page.quantile(0.99)));
        all.filter(|(_, p99)| *p99 >= TARGET_MS).collect()
    }
}

impl Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Section { past, time, rate, blocks, peak_bytes, pages } = self;
        let missed = self.too_slow().len();
        let verdict = if missed == 0 { "All pages are".to_owned() } else { format!("{missed} pages are not") };
        writeln!(f, "{HEADING}\n")?;
        writeln!(
            f,
            "On a chain of {} transactions in {} blocks ({:.0} MiB on disk, written in {:.0} s), asked for in turn over one \
             connection for {:.0} s, while four validators made {blocks} blocks under {rate} transfers per second. \
             {verdict} below {TARGET_MS:.0} ms at the 99th percentile. The node that serves them had at most {:.0} MiB \
             of memory.\n",
            past.transactions,
            past.blocks,
            past.bytes as f64 / MIB,
            past.took.as_secs_f64(),
            time.as_secs_f64(),
            *peak_bytes as f64 / MIB,
        )?;
        writeln!(f, "| page | asked for | p50 | p99 | longest | bytes |")?;
        writeln!(f, "|---|---:|---:|---:|---:|---:|")?;
        for page in pages {
            let [p50, p99, most] = [0.5, 0.99, 1.0].map(|share| page.quantile(share));
            let (name, count, largest) = (page.name, page.times.len(), page.largest);
            writeln!(f, "| {name} | {count} | {p50:.1} ms | {p99:.1} ms | {most:.1} ms | {largest} |")?;
        }
        Ok(())
    }
}

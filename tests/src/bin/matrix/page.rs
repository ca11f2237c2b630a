//! The page that `make bench` writes.

use std::{
    fmt::{self, Display},
    time::Duration,
};

use crate::measure::{Idle, Run};

const MIB: f64 = 1024.0 * 1024.0;
/// Kinds of work shown per load.
const STAGES_SHOWN: usize = 12;

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Page {
    /// The machine in a line.
    pub(crate) machine: String,
    /// Median and 99th percentile of a lone sync of the disk.
    pub(crate) sync: (Duration, Duration),
    /// Stake of the validators.
    pub(crate) stake: &'static str,
    /// The idle network.
    pub(crate) idle: Idle,
    /// The network under load.
    pub(crate) runs: Vec<Run>,
}

impl Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = self.runs.first().map_or("", |run| run.report.node.as_str());
        let (median, high) = (millis(self.sync.0), millis(self.sync.1));
        writeln!(f, "# Benchmarks\n")?;
        writeln!(f, "Written by `make bench`: do not edit, run it again.\n")?;
        writeln!(f, "- Node: {version}")?;
        writeln!(f, "- Machine: {}; nodes and client share it", self.machine)?;
        writeln!(f, "- Disk: a lone sync takes {median:.1} ms (median), {high:.1} ms (99th percentile)")?;
        writeln!(f, "- Network: four validators with stake {}, over loopback, all syncs on", self.stake)?;
        writeln!(
            f,
            "- Load: `assent bench`, open loop, pre-signed transfers of 1,000 senders to all four nodes; latency from \
             the intended time of sending to the receipt at the node that was sent to\n"
        )?;
        self.loads(f)?;
        self.costs(f)?;
        self.idle(f)?;
        self.stages(f)
    }
}

impl Page {
    fn loads(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## Under load\n")?;
        writeln!(f, "| offered per second | for | final per second | p50 | p99 | longest | planned | final | lost |")?;
        writeln!(f, "|---:|---:|---:|---:|---:|---:|---:|---:|---:|")?;
        for run in &self.runs {
            let (report, counts) = (&run.report, &run.report.transactions.measured);
            writeln!(
                f,
                "| {} | {:.0} s | {:.1} | {:.1} ms | {:.1} ms | {:.1} ms | {} | {} | {} |",
                report.load.rate,
                report.load.duration_seconds,
                report.rate.achieved,
                report.latency_ms.p50,
                report.latency_ms.p99,
                report.latency_ms.max,
                counts.planned,
                counts.included,
                counts.lost,
            )?;
        }
        writeln!(f)
    }

    fn costs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## What it costs\n")?;
        writeln!(
            f,
            "Cores are means while the client ran. The client's delay is how late it sent: where it is large, the \
             client was measured.\n"
        )?;
        writeln!(
            f,
            "| offered per second | transactions per block | block every | cores per node | microseconds per transaction \
             and node | most memory of a node | client's cores | client's delay p99 |"
        )?;
        writeln!(f, "|---:|---:|---:|---:|---:|---:|---:|---:|")?;
        for run in &self.runs {
            let report = &run.report;
            let nodes = run.node_cpu.len().max(1) as f64;
            let cores = run.node_cpu.iter().sum::<f64>() / nodes / run.seconds.max(1e-9);
            writeln!(
                f,
                "| {} | {:.1} | {:.1} ms | {cores:.2} | {:.0} | {:.0} MiB | {:.2} | {:.1} ms |",
                report.load.rate,
                report.blocks.mean_transactions,
                report.blocks.mean_interval_ms,
                run.micros_per_transaction(),
                run.peak_bytes as f64 / MIB,
                report.cpu.client_cores,
                report.send_delay_ms.p99,
            )?;
        }
        writeln!(f)
    }

    fn idle(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most = self.idle.cores.iter().copied().fold(0.0, f64::max);
        let memory = self.idle.resident.iter().copied().max().unwrap_or(0) as f64 / MIB;
        writeln!(f, "## Idle\n")?;
        writeln!(
            f,
            "Over {:.0} s without transactions, right after its start, no node used more than {:.2}% of a core or {memory:.0} \
             MiB of memory.\n",
            self.idle.time.as_secs_f64(),
            most * 100.0,
        )
    }

    fn stages(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## Where the time goes\n")?;
        writeln!(f, "From the nodes' own metrics, all nodes together. Kinds of work overlap and contain each other.")?;
        for run in &self.runs {
            writeln!(f, "\nAt {} per second:\n", run.report.load.rate)?;
            writeln!(f, "| work | times | each | in all |")?;
            writeln!(f, "|---|---:|---:|---:|")?;
            for stage in run.stages.iter().take(STAGES_SHOWN) {
                writeln!(
                    f,
                    "| {} | {:.0} | {:.3} ms | {:.2} s |",
                    stage.name,
                    stage.count,
                    stage.mean_seconds * 1e3,
                    stage.total_seconds,
                )?;
            }
        }
        Ok(())
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

//! The section of the page that `make bench` writes.

use std::{fmt::Write, time::Duration};

use crate::{Measured, chain::METHODS, load::RATE};

/// How the section begins.
const HEADING: &str = "## Reads";

/// How it was measured.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) machine: String,
    pub(crate) connections: usize,
    pub(crate) rounds: usize,
    pub(crate) time: Duration,
    pub(crate) block_seconds: f64,
    /// Name and version of what it is compared with.
    pub(crate) other: Option<String>,
}

/// The section. The first of the chains is compared with the one named `anvil`.
pub(crate) fn section(setting: &Setting, chains: &[Measured]) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_section(&mut text, setting, chains);
    text
}

fn write_section(text: &mut String, setting: &Setting, chains: &[Measured]) -> std::fmt::Result {
    let Setting { machine, connections, rounds, time, block_seconds, other } = setting;
    writeln!(text, "{HEADING}\n")?;
    writeln!(
        text,
        "Requests per second and the 99th percentile of their time over HTTP keep-alive on one node, {connections} \
         connections that each wait for their answer, while the same node takes and makes final {RATE} transfers per \
         second of `assent bench`. Medians of {rounds} rounds of {} s, the chains in turn within a round; the chains \
         that are not measured are idle meanwhile.\n",
        time.as_secs()
    )?;
    writeln!(
        text,
        "- Machine: {machine}; nodes, load and client share it. The client gives way to the servers (nice 19), as if it \
         had a machine of its own"
    )?;
    match other {
        Some(version) => writeln!(
            text,
            "- Compared with: {version}, all in memory, a block every {:.0} ms as here; the ratio is that of the rates \
             of one validator (RocksDB, all syncs on) and of it",
            block_seconds * 1e3
        )?,
        None => writeln!(text, "- Compared with nothing: anvil, which comes from npm, was not there")?,
    }
    writeln!(
        text,
        "- `eth_call` asks for the balance of an ERC-20 token, `eth_getBlockByNumber` for one of the last hundred \
         blocks with the hashes of its transactions, `eth_getLogs` for an address and a topic over all blocks (five logs)\n"
    )?;
    write!(text, "| method |")?;
    for chain in chains {
        write!(text, " {} per second | p99 | client's µs |", chain.name)?;
    }
    writeln!(text, " ratio |")?;
    writeln!(text, "|---|{}---:|", "---:|---:|---:|".repeat(chains.len()))?;
    for (index, method) in METHODS.iter().enumerate() {
        write!(text, "| {method} |")?;
        for chain in chains {
            let outcome = chain.median(index);
            write!(text, " {:.0} | {:.1} ms | {:.0} |", outcome.per_second, outcome.p99_ms, outcome.client_micros)?;
        }
        match ratio(chains, index) {
            Some(ratio) => writeln!(text, " {ratio:.2} |")?,
            None => writeln!(text, " |")?,
        }
    }
    writeln!(text, "\nFinal per second meanwhile:")?;
    for chain in chains {
        let lost = if chain.complete { "" } else { ", and not all were included" };
        writeln!(text, "- {}: {:.1}{lost}", chain.name, chain.final_per_second())?;
    }
    Ok(())
}

/// How the first chain does beside anvil.
pub(crate) fn ratio(chains: &[Measured], method: usize) -> Option<f64> {
    let other = chains.iter().find(|chain| chain.is_other)?;
    Some(chains.first()?.median(method).per_second / other.median(method).per_second.max(1e-9))
}

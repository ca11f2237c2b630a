//! What a process uses, from `/proc`, and what machine this is.

use std::{
    fs,
    io::Write,
    path::Path,
    thread::available_parallelism,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Processor time, own and the system's on its behalf.
    pub cpu: Duration,
    /// Memory in RAM now.
    pub resident_bytes: u64,
    /// The most memory that it ever had in RAM.
    pub peak_bytes: u64,
}

/// Reads what the process `id` has used.
pub fn usage(id: u32) -> Result<Usage> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).with_context(|| format!("process {id}"))?;
    // The name, in parentheses, may hold anything; the numbers follow it.
    let numbers = stat.rsplit(')').next().unwrap_or_default();
    let field = |position: usize| -> Result<u64> {
        let text = numbers.split_whitespace().nth(position).context("a short /proc stat")?;
        Ok(text.parse()?)
    };
    // utime and stime are fields 14 and 15; the state after the name is field 3.
    let ticks = field(11)? + field(12)?;
    let cpu = Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64);
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    Ok(Usage {
        cpu,
        resident_bytes: kibibytes(&status, "VmRSS:").unwrap_or(0) * 1024,
        peak_bytes: kibibytes(&status, "VmHWM:").unwrap_or(0) * 1024,
    })
}

fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The machine in a line: processor, cores, memory.
pub fn machine() -> Result<String> {
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("unknown processor", |(_, model)| model.trim());
    let cores = available_parallelism()?;
    let memory = fs::read_to_string("/proc/meminfo")?;
    let total = kibibytes(&memory, "MemTotal:").unwrap_or(0) as f64 / f64::from(1 << 20);
    Ok(format!("{model}, {cores} cores, {total:.0} GiB of memory"))
}

/// How long a lone `fdatasync` of a small record takes in this folder: median and 99th percentile.
pub fn sync_cost(folder: &Path) -> Result<(Duration, Duration)> {
    const SYNCS: usize = 200;
    let path = folder.join("sync-probe");
    let mut file = fs::File::create(&path)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        file.write_all(&[7; 512])?;
        let start = Instant::now();
        file.sync_data()?;
        times.push(start.elapsed());
    }
    drop(file);
    fs::remove_file(&path)?;
    times.sort_unstable();
    Ok((times[SYNCS / 2], times[SYNCS * 99 / 100]))
}

/// Whether a folder is kept in memory only, where syncs cost nothing.
pub fn is_in_memory(folder: &Path) -> Result<bool> {
    const TMPFS: i64 = 0x0102_1994;
    const RAMFS: i64 = 0x8584_58f6;
    let kind = rustix::fs::statfs(folder)?.f_type as i64;
    Ok(kind == TMPFS || kind == RAMFS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let used = usage(std::process::id()).unwrap();
        assert!(used.resident_bytes > 0 && used.peak_bytes >= used.resident_bytes);
        assert!(machine().unwrap().contains("cores"));
    }
}

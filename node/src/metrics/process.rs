//! The metrics of the process: what they are. The crate `metrics-process` sets them at each scrape.

use assent_chain::metric::Metric;

/// All metrics of this area.
pub(super) const METRICS: &[Metric] = &[
    Metric::counter("process_cpu_seconds_total", "Time that the process has spent on processors, in whole seconds"),
    Metric::gauge("process_resident_memory_bytes", "Memory that the process has in use"),
    Metric::gauge("process_virtual_memory_bytes", "Memory that the process has reserved"),
    Metric::gauge("process_virtual_memory_max_bytes", "Memory that the process may reserve"),
    Metric::gauge("process_open_fds", "Files and sockets that are open"),
    Metric::gauge("process_max_fds", "Files and sockets that may be open"),
    Metric::gauge("process_threads", "Threads of the process"),
    Metric::gauge("process_start_time_seconds", "When the process started, in seconds since 1970"),
];

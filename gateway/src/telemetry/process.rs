//! What the operating system knows of this process, under the names that Prometheus clients share.
//!
//! A number that cannot be had is left out: /proc is not everywhere.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use super::exposition::{Exposition, Kind};

/// Writes the process' numbers.
pub(super) fn write(text: &mut Exposition, started: SystemTime) {
    text.family("bascule_build_info", Kind::Gauge, "Always 1; the label says which version runs.")
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    let start = started.duration_since(UNIX_EPOCH).unwrap_or_default();
    text.family("process_start_time_seconds", Kind::Gauge, "When the process started, in Unix time.")
        .sample(&[], start.as_secs_f64());
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    text.family("process_cpu_seconds_total", Kind::Counter, "CPU time that the process took.")
        .sample(&[], cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9);
    if let Some(bytes) = resident_memory() {
        text.family("process_resident_memory_bytes", Kind::Gauge, "Memory that the process holds.")
            .sample(&[], bytes);
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        text.family("process_open_fds", Kind::Gauge, "Open file descriptors.").sample(&[], open.count());
    }
}

/// Bytes of memory that the process holds, if the system tells.
pub fn resident_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_takes_memory() {
        assert!(resident_memory().is_some_and(|bytes| bytes > 1 << 20));
    }
}

//! What the kernel knows of a running process and its children: CPU time, memory, limits. Linux only.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A process and all its descendants.
fn tree(root: u32) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(pid) = open.pop() {
        let folder = PathBuf::from(format!("/proc/{pid}"));
        open.extend(children(pid));
        found.push(folder);
    }
    found
}

/// The processes that one has started and that have not ended.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let threads = threads(Path::new(&format!("/proc/{pid}")));
    let texts =
        threads.iter().map(|thread| std::fs::read_to_string(thread.join("children")).unwrap_or_default());
    texts
        .flat_map(|text| text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// Whether a process that is no child of ours is gone, or would be if its parent looked.
pub(crate) fn has_ended(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
    status.map_or(true, |status| status.lines().any(|line| line.starts_with("State:\tZ")))
}

fn threads(process: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(process.join("task"));
    entries.map(|entries| entries.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
}

/// The CPU time, user and system, that the tree has used, in nanoseconds. schedstat counts it exactly, where /proc/PID/stat
/// counts in ticks of 10 ms.
///
/// # Errors
/// When the kernel does not tell.
pub(crate) fn cpu_nanoseconds(root: u32) -> Result<u64> {
    let mut sum = 0;
    for thread in tree(root).iter().flat_map(|process| threads(process)) {
        let text = match std::fs::read_to_string(thread.join("schedstat")) {
            // It ended since it was listed.
            Err(_) if !thread.exists() => continue,
            read => read.context("the kernel gives no schedstat")?,
        };
        sum += text.split_whitespace().next().and_then(|word| word.parse::<u64>().ok()).unwrap_or_default();
    }
    Ok(sum)
}

/// Memory of the tree in KiB: `VmHWM` is the most that was resident, `VmRSS` what is resident now.
///
/// # Errors
/// When the process is gone.
pub(crate) fn memory_kib(root: u32, field: &str) -> Result<u64> {
    let processes = tree(root);
    let texts = processes.iter().filter_map(|process| std::fs::read_to_string(process.join("status")).ok());
    let sum = texts.map(|text| status_field(&text, field).unwrap_or_default()).sum();
    if sum == 0 {
        bail!("process {root} is gone");
    }
    Ok(sum)
}

fn status_field(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Raises the number of files that this process and what it starts may open to `wanted`, or as far as it may; answers how
/// far.
///
/// # Errors
/// When the kernel does not tell.
pub(crate) fn raise_open_files(wanted: u64) -> Result<u64> {
    let (soft, hard) = open_files()?;
    if soft < wanted {
        let pid = std::process::id().to_string();
        let raise = |soft: u64, hard: u64| {
            let limit = format!("--nofile={soft}:{hard}");
            Command::new("prlimit")
                .args(["--pid", &pid, &limit])
                .output()
                .is_ok_and(|output| output.status.success())
        };
        // Root may raise the hard limit too; everybody may raise the soft one to the hard one.
        if hard >= wanted || !raise(wanted, wanted) {
            raise(wanted.min(hard), hard);
        }
    }
    Ok(open_files()?.0)
}

/// The soft and the hard limit.
fn open_files() -> Result<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/self/limits")?;
    limits(&text).context("/proc/self/limits names no limit of open files")
}

fn limits(text: &str) -> Option<(u64, u64)> {
    let mut words = text.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_whitespace();
    let mut number = || words.next().map(|word| word.parse().unwrap_or(u64::MAX));
    Some((number()?, number()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_texts_are_read() {
        let status = "Name:\tx\nVmHWM:\t   1234 kB\nVmRSS:\t    99 kB\n";
        assert_eq!(status_field(status, "VmHWM"), Some(1234));
        assert_eq!(status_field(status, "VmRSS"), Some(99));
        assert_eq!(status_field(status, "Vm"), None);
        let text = "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 unlimited   files\n";
        assert_eq!(limits(text), Some((1024, u64::MAX)));
    }

    #[test]
    fn this_very_process_uses_time_and_memory() {
        let pid = std::process::id();
        assert!(cpu_nanoseconds(pid).expect("Linux") > 0);
        assert!(memory_kib(pid, "VmHWM").expect("Linux") >= 100);
    }
}

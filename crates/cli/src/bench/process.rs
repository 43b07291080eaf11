//! What the kernel says of this process: processor time and memory.

use std::fs;
use std::time::Duration;

/// Processor time that this process has used, all threads and the kernel's share.
pub(super) fn used() -> Duration {
    ticks(11)
}

/// The same of children that have ended.
pub(super) fn ended_children() -> Duration {
    ticks(13)
}

/// Two fields of the kernel's account, user's and kernel's time: 14 and 15 of this process, 16 and 17 of its children.
fn ticks(skip: usize) -> Duration {
    // The second field is the name in parentheses, which may have spaces. Times are in hundredths of a second.
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let rest = stat.rsplit(')').next().unwrap_or_default();
    let used = rest.split_ascii_whitespace().skip(skip).take(2);
    Duration::from_millis(10 * used.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>())
}

/// Processor time since then for each of so many, in microseconds.
pub(super) fn each_us(since: Duration, count: u64) -> f64 {
    used().saturating_sub(since).as_secs_f64() * 1e6 / count.max(1) as f64
}

/// Bytes resident now.
pub(super) fn resident() -> u64 {
    kib("/proc/self/status", "VmRSS:")
}

/// Most bytes that were ever resident.
pub(super) fn peak() -> u64 {
    kib("/proc/self/status", "VmHWM:")
}

/// Bytes of memory of this machine; 0 where it cannot be told.
pub(super) fn of_machine() -> u64 {
    kib("/proc/meminfo", "MemTotal:")
}

/// A line of a file of the kernel's, in bytes; 0 where there is none.
fn kib(file: &str, line: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let kib = text.lines().find_map(|text| text.strip_prefix(line)?.trim().strip_suffix("kB")?.trim().parse().ok());
    kib.map_or(0, |kib: u64| kib << 10)
}

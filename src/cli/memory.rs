//! How much memory this machine can still give.

use std::fs;

/// Bytes that can be had, where the system tells: the least of what is free, what the container may take, and what the
/// address limit of the process leaves.
pub fn available() -> Option<u64> {
    [free(), container(), address_space()].into_iter().flatten().min()
}

/// What this process holds now: the program, and the rows that were read.
pub fn held() -> u64 {
    let status = fs::read_to_string("/proc/self/status").ok();
    status.and_then(|status| kilobytes(&status, "VmRSS:")).unwrap_or(0)
}

/// `MemAvailable` of /proc/meminfo.
fn free() -> Option<u64> {
    kilobytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

/// What a control group leaves (version 2).
fn container() -> Option<u64> {
    let number = |name: &str| fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?.trim().parse::<u64>().ok();
    Some(number("memory.max")?.saturating_sub(number("memory.current")?))
}

/// What `ulimit -v` leaves.
fn address_space() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    let limit: u64 = line.split_whitespace().next()?.parse().ok()?;
    let used = kilobytes(&fs::read_to_string("/proc/self/status").ok()?, "VmSize:")?;
    Some(limit.saturating_sub(used))
}

/// The bytes of a line such as `MemAvailable:   15932 kB`.
fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc() {
        let text = "MemTotal:       24684120 kB\nMemAvailable:   16314368 kB\n";
        assert_eq!(kilobytes(text, "MemAvailable:"), Some(16_314_368 * 1024));
        assert_eq!(kilobytes(text, "SwapFree:"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_has_some() {
        assert!(available().is_some_and(|bytes| bytes > 1 << 20));
    }
}

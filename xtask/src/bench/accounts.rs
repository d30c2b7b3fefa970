//! What the kernel books on a process and all that it started: processor time and memory.
//!
//! <https://docs.kernel.org/filesystems/proc.html>

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

/// A process in the table of the kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Entry {
    pid: u32,
    parent: u32,
    ticks: u64,
}

/// Processor time, user and system, that a process and its descendants have used.
///
/// The kernel gives it in ticks of usually 10 ms, so what is measured has to last.
pub(crate) fn processor_time(root: u32) -> Result<Duration> {
    let ticks: u64 = tree(root)?.iter().map(|entry| entry.ticks).sum();
    let nanoseconds = 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1);
    Ok(Duration::from_nanos(ticks * nanoseconds))
}

/// Resident memory of a process and its descendants, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Now.
    pub(crate) now: u64,
    /// The most since the start, or since [`forget_peak`]; of several processes, the sum of peaks.
    pub(crate) peak: u64,
}

/// Resident memory of a process and its descendants.
pub(crate) fn memory(root: u32) -> Result<Memory> {
    let mut sum = Memory { now: 0, peak: 0 };
    for entry in tree(root)? {
        let path = format!("/proc/{}/status", entry.pid);
        let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let field = |name| kibibytes(&status, name).with_context(|| format!("no {name} in {path}"));
        sum.now += field("VmRSS:")? * 1024;
        sum.peak += field("VmHWM:")? * 1024;
    }
    Ok(sum)
}

/// The most memory that one process had resident until now, in bytes; nothing when it is gone.
pub(crate) fn peak(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    kibibytes(&status, "VmHWM:").map(|kibibytes| kibibytes * 1024)
}

/// Lets the peak begin anew from what is resident now.
pub(crate) fn forget_peak(root: u32) -> Result<()> {
    for entry in tree(root)? {
        let path = format!("/proc/{}/clear_refs", entry.pid);
        // 5 resets the peak and nothing else.
        fs::write(&path, "5").with_context(|| format!("cannot write {path}"))?;
    }
    Ok(())
}

/// A process and its descendants.
fn tree(root: u32) -> Result<Vec<Entry>> {
    let mut children: HashMap<u32, Vec<Entry>> = HashMap::new();
    let mut found = Vec::new();
    for item in fs::read_dir("/proc")? {
        let name = item?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // Processes of others come and go while this reads.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
            continue;
        };
        let Some(entry) = entry(pid, &stat) else {
            continue;
        };
        if pid == root {
            found.push(entry);
        }
        children.entry(entry.parent).or_default().push(entry);
    }
    ensure!(!found.is_empty(), "process {root} is not there any more");
    let mut next = 0;
    while let Some(entry) = found.get(next) {
        found.extend(children.remove(&entry.pid).unwrap_or_default());
        next += 1;
    }
    Ok(found)
}

/// Reads a line of `/proc/PID/stat`; the name in parentheses may hold spaces and parentheses.
fn entry(pid: u32, stat: &str) -> Option<Entry> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // Counted from the state, which is field 3 of the manual: parent 4, user time 14, system time 15.
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let parent = u32::try_from(number(1)?).ok()?;
    Some(Entry {
        pid,
        parent,
        ticks: number(11)? + number(12)?,
    })
}

fn kibibytes(status: &str, name: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    value.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process;
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_line_of_the_kernel_is_read() {
        let stat = "7 (a b) c) S 3 7 7 0 -1 4194560 1 2 3 4 50 60 70 80 20 0 1 0 99 1 1";
        assert_eq!(
            entry(7, stat),
            Some(Entry {
                pid: 7,
                parent: 3,
                ticks: 110
            })
        );
        assert_eq!(
            kibibytes("VmPeak:\t9 kB\nVmHWM:\t  123 kB\n", "VmHWM:"),
            Some(123)
        );
    }

    #[test]
    fn work_is_booked() {
        let before = processor_time(process::id()).unwrap();
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(100) {}
        assert!(processor_time(process::id()).unwrap() > before);
        let memory = memory(process::id()).unwrap();
        assert!(
            memory.peak >= memory.now && memory.now > 100_000,
            "{memory:?}"
        );
    }

    #[test]
    fn a_process_that_is_gone_is_an_error() {
        assert!(peak(process::id()).is_some_and(|peak| peak > 100_000));
        assert_eq!(peak(u32::MAX), None);
        assert!(memory(u32::MAX).is_err());
    }
}

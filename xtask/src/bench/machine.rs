//! On what the figures were measured.

use std::fs;
use std::thread;

use super::loopback::congestion_control;

/// The machine in one line: processor, cores, memory, kernel, and what else it did at that time.
pub(crate) fn line() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = value(&cpuinfo, "model name").unwrap_or("unknown processor");
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let memory = value(&read("/proc/meminfo"), "MemTotal")
        .and_then(|text| text.trim_end_matches("kB").trim().parse::<u64>().ok())
        .map_or_else(String::new, |kib| {
            format!(", {} GiB of memory", kib.div_ceil(1 << 20))
        });
    let kernel = rustix::system::uname();
    let load = read("/proc/loadavg")
        .split(' ')
        .next()
        .unwrap_or_default()
        .to_owned();
    format!(
        "{model}, {cores} cores{memory}, {} {} {}, TCP {}, load {load} at the start",
        kernel.sysname().to_string_lossy(),
        kernel.release().to_string_lossy(),
        kernel.machine().to_string_lossy(),
        congestion_control(),
    )
}

/// Today, as `2026-11-21`.
pub(crate) fn date() -> String {
    jiff::Timestamp::now().strftime("%F").to_string()
}

/// The value of the first line `name : value`.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then_some(value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found() {
        let text = "MemTotal:   24000 kB\nmodel name\t: A B\n";
        assert_eq!(value(text, "MemTotal"), Some("24000 kB"));
        assert_eq!(value(text, "model name"), Some("A B"));
        assert_eq!(value(text, "MemFree"), None);
    }
}

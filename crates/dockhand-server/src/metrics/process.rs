//! The process, under the names that all Prometheus clients have for it.
//! <https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>

use std::fmt;

use procfs::process::{LimitValue, Process, Stat};
use procfs::{ProcResult, boot_time_secs, page_size, ticks_per_second};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use super::constant;

/// Reads `/proc` when it is asked. What cannot be read is left out.
#[derive(Debug)]
pub(super) struct OwnProcess;

/// What `/proc` says.
struct Seen {
    stat: Stat,
    open: usize,
    limit: LimitValue,
    booted: u64,
}

fn look() -> ProcResult<Seen> {
    let process = Process::myself()?;
    Ok(Seen {
        stat: process.stat()?,
        open: process.fd_count()?,
        limit: process.limits()?.max_open_files.soft_limit,
        booted: boot_time_secs()?,
    })
}

impl Collector for OwnProcess {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let seen = match look() {
            Ok(seen) => seen,
            Err(error) => {
                tracing::debug!(%error, "/proc cannot be read");
                return Ok(());
            }
        };
        write(&mut encoder, &seen)
    }
}

/// Ticks of the clock as seconds.
fn seconds(ticks: u64) -> f64 {
    ticks as f64 / ticks_per_second().max(1) as f64
}

fn write(encoder: &mut DescriptorEncoder<'_>, seen: &Seen) -> fmt::Result {
    let stat = &seen.stat;
    let cpu = ConstCounter::new(seconds(stat.utime + stat.stime));
    let started = ConstGauge::new(seen.booted as f64 + seconds(stat.starttime));
    let (time, bytes) = (Some(&Unit::Seconds), Some(&Unit::Bytes));
    constant(encoder, "cpu", "User and system time spent", time, &cpu)?;
    constant(
        encoder,
        "start_time",
        "When the process started, since 1970",
        time,
        &started,
    )?;
    let resident = ConstGauge::new(stat.rss.saturating_mul(page_size()));
    constant(
        encoder,
        "resident_memory",
        "Memory in use",
        bytes,
        &resident,
    )?;
    let virtually = ConstGauge::new(stat.vsize);
    constant(
        encoder,
        "virtual_memory",
        "Address space",
        bytes,
        &virtually,
    )?;
    let threads = ConstGauge::new(stat.num_threads);
    constant(encoder, "threads", "Threads", None, &threads)?;
    let open = ConstGauge::new(seen.open as u64);
    constant(encoder, "open_fds", "Open file descriptors", None, &open)?;
    if let LimitValue::Value(most) = seen.limit {
        let most = ConstGauge::new(most);
        let help = "File descriptors that may be open";
        constant(encoder, "max_fds", help, None, &most)?;
    }
    Ok(())
}

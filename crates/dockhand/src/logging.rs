//! The log: lines on standard error, for people or for machines.

use std::io::IsTerminal;

use dockhand_server::config::{Log, LogFormat};
use tracing::level_filters::LevelFilter;

/// Starts logging. What the process logs before this is lost, so it comes first.
pub(crate) fn start(log: &Log) {
    let level: LevelFilter = log.level.as_str().parse().unwrap_or(LevelFilter::INFO);
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // A second start in one process keeps the first: only tests do that.
    let _ = match log.format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}

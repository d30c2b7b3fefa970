//! `cargo xtask interop`: conformance programs and real clients against a running registry.

use anyhow::Result;

use crate::dockhand::Dockhand;
use crate::report::Report;

/// Conformance programs and real clients
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs the suite.
pub(crate) fn run(_args: Args) -> Result<()> {
    let mut report = Report::new();
    let data = tempfile::tempdir()?;
    report.check("serve", || {
        let running = Dockhand::build()?.serve(data.path()).start()?;
        Ok(format!("{} is ready", running.url))
    });
    report.finish()
}

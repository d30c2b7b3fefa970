//! `dockhand check`: what a configuration comes to.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use dockhand_server::config::{self, Overrides};

use crate::report::{Failure, Kind};

/// Check a configuration and print what it comes to, secrets hidden
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Configuration file: Dockhand's own (.toml) or that of CNCF Distribution (.yml)
    file: Option<PathBuf>,
}

impl Check {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let loaded = config::load(
            self.file.as_deref(),
            std::env::vars_os(),
            &Overrides::default(),
        )
        .map_err(|error| Failure::new(Kind::Usage, &error))?;
        let mut errors = anstream::stderr().lock();
        for warning in &loaded.warnings {
            let _ = writeln!(errors, "warning: {warning}");
        }
        let printed = anstream::stdout()
            .lock()
            .write_all(loaded.config.to_toml().as_bytes());
        printed.map_err(|error| Failure::new(Kind::Failed, &error))
    }
}

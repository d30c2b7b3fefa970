//! `dockhand check`: what a configuration comes to.

use clap::Args;

use crate::report::Failure;

/// Check a configuration and print what it comes to, secrets hidden
#[derive(Debug, Args)]
pub(crate) struct Check {}

impl Check {
    pub(crate) fn run(self) -> Result<(), Failure> {
        Ok(())
    }
}

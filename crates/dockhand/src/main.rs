//! The `dockhand` command: one file per subcommand, and here what they share.
//!
//! Standard output carries what was asked for, standard error everything else. Exit codes: 0 done,
//! 1 failed, 2 wrong usage or configuration, 75 the storage failed and a restart may help.

mod commands;
mod logging;
mod report;

use std::process::ExitCode;

use clap::Parser;

/// The registry toolkit.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: commands::Command,
}

fn main() -> ExitCode {
    match Cli::parse().command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

//! The `dockhand` command: one file per subcommand, and here what they share.
//!
//! Standard output carries what was asked for, standard error everything else. The exit codes are those
//! of [`EXIT_CODES`].

mod administration;
mod commands;
mod flags;
mod help;
mod image;
mod logging;
mod ordered;
mod output;
mod platforms;
mod progress;
mod report;
mod rewriting;
mod session;
mod tags;
mod transfer;
mod usage;

use std::process::ExitCode;

use clap::Parser;

/// What `dockhand --help` ends with.
const EXIT_CODES: &str = "Exit codes:
  0 done    1 failed    2 wrong usage or configuration    3 not found    4 credentials
  5 rate limit    6 network or timeout    7 content does not match its digest or size
  8 differs    9 some of many failed    75 the storage of `serve` failed    130 interrupted";

/// Serve, copy, inspect and clean up container images and artifacts, in any registry
#[derive(Debug, Parser)]
#[command(
    name = "dockhand",
    version,
    about,
    max_term_width = 100,
    propagate_version = true
)]
struct Cli {
    #[command(flatten)]
    flags: flags::Flags,
    #[command(subcommand)]
    command: commands::Command,
}

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    let cli = match usage::read(&words) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let form = cli.flags.show.form();
    match cli.command.run(cli.flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(form),
    }
}

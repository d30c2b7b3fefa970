//! What developers run: `cargo xtask interop`, `cargo xtask bench`, `cargo xtask faults`.
//!
//! Each talks to 127.0.0.1 only, ends only what it started, bounds every wait, and ends with a table
//! and the line `N passed, N failed`. What they share lies beside this file: processes, the
//! registry under test and its best-known peer, tools and the report.

mod bench;
mod certificates;
mod distribution;
mod dockhand;
mod faults;
mod interop;
mod nginx;
mod process;
mod report;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What developers of dockhand run.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Speed and memory, beside CNCF Distribution and nginx
    Bench(bench::Args),
    /// Crash campaigns: kills, power cuts, full disks
    Faults(faults::Args),
    /// Conformance programs and real clients
    Interop(interop::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Bench(args) => bench::run(args),
        Command::Faults(args) => faults::run(args),
        Command::Interop(args) => interop::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

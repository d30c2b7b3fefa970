//! `cargo xtask bench`: dockhand beside CNCF Distribution and nginx, as ratios in one run on one
//! machine; and `cargo xtask bench client`, the client beside others.
//!
//! A target that is missed is printed as missed, and fails nothing: times depend on the machine. The
//! run fails when something cannot be measured, or when an answer is wrong.

mod accounts;
mod client;
mod content;
mod crowd;
mod endpoint;
mod figure;
mod load;
mod loopback;
mod machine;
mod page;
mod pin;
mod rows;
mod servers;
mod upload;
mod wire;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use self::content::Stock;
use self::figure::{Verdict, Who};
use self::page::Heading;
use self::rows::{Bench, ROWS, Row};
use self::servers::Programs;
use crate::dockhand::target_folder;
use crate::report::Report;

/// Speed and memory, beside CNCF Distribution and nginx
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    other: Option<Other>,
    /// Only these rows [default: all]
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = names())]
    only: Vec<String>,
    /// How often each thing is measured [default: 5, or 1 if quick]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    /// Smaller contents, shorter loads, one round: shows that it works
    #[arg(long)]
    quick: bool,
    /// Run servers on one core and clients on the others: figures are steadier and lower
    #[arg(long)]
    pin: bool,
    /// Measure this program instead of the one that cargo builds here
    #[arg(long, value_name = "FILE")]
    dockhand: Option<PathBuf>,
    /// Write the table as documentation
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

/// What is measured besides the registry.
#[derive(Debug, clap::Subcommand)]
enum Other {
    /// The client, beside crane, regctl, skopeo and oras
    Client(client::Args),
}

fn names() -> clap::builder::PossibleValuesParser {
    ROWS.iter().map(|row| row.name).collect::<Vec<_>>().into()
}

/// Measures, prints the table, and writes it.
pub(crate) fn run(args: Args) -> Result<()> {
    if let Some(Other::Client(args)) = args.other {
        return client::run(args);
    }
    let mut programs = Programs::require(args.dockhand)?;
    if loopback::run_again_unpaced()? {
        return Ok(());
    }
    let version = |who| Ok((who, programs.version(who)?));
    let rounds = args.rounds.unwrap_or(if args.quick { 1 } else { 5 });
    let heading = Heading {
        date: machine::date(),
        machine: machine::line(),
        versions: Who::ALL.into_iter().map(version).collect::<Result<_>>()?,
        rounds: rounds.into(),
        quick: args.quick,
        pinned: args.pin,
    };
    if args.pin {
        programs.pin()?;
    }
    // Beside what cargo builds: a disk as the data of a registry has it, where /tmp may be memory.
    let folder = target_folder().join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let bench = Bench {
        programs,
        stock: Stock::new(),
        rounds: rounds.into(),
        quick: args.quick,
        folder,
    };
    let mut report = Report::new();
    let mut figures = Vec::new();
    let wanted = |row: &&Row| args.only.is_empty() || args.only.iter().any(|name| name == row.name);
    for row in ROWS.iter().filter(wanted) {
        report.check(row.name, || {
            let measured = (row.measure)(&bench)?;
            ensure!(!measured.is_empty(), "nothing was measured");
            let words = summary(measured.iter().map(|at| (&*at.name, at.verdicts())));
            figures.extend(measured);
            Ok(words)
        });
    }
    println!("\n{}", page::terminal(&heading, &figures));
    if let Some(file) = args.markdown {
        keep_by_hand(&file, |before| page::markdown(&heading, &figures, before))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    report.finish()
}

/// Writes a page, which is made from the one before to keep what was written by hand there.
fn keep_by_hand(file: &Path, page: impl FnOnce(&str) -> String) -> Result<()> {
    let before = match fs::read_to_string(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        before => before?,
    };
    Ok(fs::write(file, page(&before))?)
}

/// How many targets were met, of figures by their names; prints those that were not.
fn summary<'a>(figures: impl Iterator<Item = (&'a str, Vec<Verdict>)>) -> String {
    let (mut met, mut all) = (0, 0);
    for (name, verdicts) in figures {
        for verdict in verdicts {
            all += 1;
            if verdict.met {
                met += 1;
            } else {
                println!("     {name}: {verdict}");
            }
        }
    }
    format!("{met} of {all} targets met")
}

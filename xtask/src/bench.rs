//! `cargo xtask bench`: dockhand beside CNCF Distribution and nginx, as ratios in one run on one
//! machine.
//!
//! A target that is missed is printed as missed, and fails nothing: times depend on the machine. The
//! run fails when something cannot be measured, or when an answer is wrong.

mod accounts;
mod content;
mod crowd;
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
use self::figure::{Figure, Who};
use self::page::Heading;
use self::rows::{Bench, ROWS, Row};
use self::servers::Programs;
use crate::dockhand::target_folder;
use crate::report::Report;

/// Speed and memory, beside CNCF Distribution and nginx
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
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

fn names() -> clap::builder::PossibleValuesParser {
    ROWS.iter().map(|row| row.name).collect::<Vec<_>>().into()
}

/// Measures, prints the table, and writes it.
pub(crate) fn run(args: Args) -> Result<()> {
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
            let words = summary(&measured);
            figures.extend(measured);
            Ok(words)
        });
    }
    println!("\n{}", page::terminal(&heading, &figures));
    if let Some(file) = args.markdown {
        write(&file, &heading, &figures)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    report.finish()
}

/// Writes the page, and keeps what was written by hand in the one before.
fn write(file: &Path, heading: &Heading, figures: &[Figure]) -> Result<()> {
    let before = match fs::read_to_string(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        before => before?,
    };
    fs::write(file, page::markdown(heading, figures, &before))?;
    Ok(())
}

/// How many targets were met; prints those that were not.
fn summary(figures: &[Figure]) -> String {
    let (mut met, mut all) = (0, 0);
    for figure in figures {
        for verdict in figure.verdicts() {
            all += 1;
            if verdict.met {
                met += 1;
            } else {
                println!("     {}: {verdict}", figure.name);
            }
        }
    }
    format!("{met} of {all} targets met")
}

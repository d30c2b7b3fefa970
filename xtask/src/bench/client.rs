//! `cargo xtask bench client`: `dockhand` beside crane, regctl, skopeo and oras, between two servers of
//! CNCF Distribution that are far away or slow.
//!
//! A target that is missed is printed as missed, and fails nothing: times depend on the machine. The
//! run fails when something cannot be measured, or when what arrives is not what was sent.

mod figure;
mod image;
mod page;
mod programs;
mod proxy;
mod rows;
mod site;

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use self::page::Heading;
use self::programs::Programs;
use self::rows::{Bench, ROWS, Row};
use super::content::Stock;
use super::{keep_by_hand, loopback, machine};
use crate::dockhand::target_folder;
use crate::report::Report;

/// What the largest case keeps: a layer in both servers, in a layout, and while it is made.
const ROOM: u64 = 6 << 30;

/// The client, beside crane, regctl, skopeo and oras
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these cases [default: all]
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = names())]
    only: Vec<String>,
    /// How often each thing is measured [default: 3, or 1 if quick]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    /// Smaller contents, one round: shows that it works
    #[arg(long)]
    quick: bool,
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
    let programs = Programs::require(args.dockhand)?;
    if loopback::run_again_unpaced()? {
        return Ok(());
    }
    let rounds = args.rounds.unwrap_or(if args.quick { 1 } else { 3 });
    let (place, words) = site::place(target_folder().join("bench"), ROOM)?;
    let heading = Heading {
        date: machine::date(),
        machine: machine::line(),
        versions: programs.versions()?,
        place: words.to_owned(),
        rounds: rounds.into(),
        quick: args.quick,
    };
    let bench = Bench {
        programs,
        stock: Stock::new(),
        rounds: rounds.into(),
        quick: args.quick,
        place,
    };
    let mut report = Report::new();
    let mut figures = Vec::new();
    let wanted = |row: &&Row| args.only.is_empty() || args.only.iter().any(|name| name == row.name);
    for row in ROWS.iter().filter(wanted) {
        report.check(row.name, || {
            let measured = (row.measure)(&bench)?;
            ensure!(!measured.is_empty(), "nothing was measured");
            let words = super::summary(measured.iter().map(|at| (&*at.name, at.verdicts())));
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

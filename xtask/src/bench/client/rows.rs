//! The cases. Each starts the servers that it needs on empty folders, and runs the clients in rounds
//! in which they take turns.

mod copies;
mod lists;
mod pulls;
mod repositories;
mod requests;

use std::path::PathBuf;

use anyhow::Result;

use super::super::content::Stock;
use super::figure::Figure;
use super::programs::Programs;
use super::proxy::Distance;
use super::site::Site;

/// A case: what it is called on the command line, and what measures it.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) measure: fn(&Bench) -> Result<Vec<Figure>>,
}

/// All cases, in the order of the table.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "copy",
        measure: copies::wide,
    },
    Row {
        name: "pull",
        measure: pulls::large,
    },
    Row {
        name: "requests",
        measure: requests::counted,
    },
    Row {
        name: "digests",
        measure: lists::digests,
    },
    Row {
        name: "tags",
        measure: repositories::tags,
    },
    Row {
        name: "registry",
        measure: repositories::registry,
    },
    Row {
        name: "memory",
        measure: copies::memory,
    },
];

/// What all cases share.
pub(super) struct Bench {
    pub(super) programs: Programs,
    pub(super) stock: Stock,
    pub(super) rounds: usize,
    pub(super) quick: bool,
    /// Where contents lie.
    pub(super) place: PathBuf,
}

impl Bench {
    /// The first of a full run, the second of a quick one.
    fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    fn site(&self, distance: Distance) -> Result<Site<'_>> {
        Site::start(&self.programs, &self.stock, &self.place, distance)
    }
}

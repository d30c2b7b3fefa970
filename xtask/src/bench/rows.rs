//! The rows of the benchmark. Each starts the servers that it needs on empty folders, fills them, and
//! measures in rounds in which the servers take turns.

mod fill;
mod lists;
mod memory;
mod pushes;
mod reads;
mod start;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use super::content::Stock;
use super::figure::{Figure, Who};
use super::servers::{Peer, Programs};

/// A row: what it is called on the command line, and what measures it.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) measure: fn(&Bench) -> Result<Vec<Figure>>,
}

/// What requests travel over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Plain,
    /// TLS 1.3, with the cipher suite that client and server agree on by themselves.
    Tls,
}

impl Transport {
    /// What the name of a figure says of it.
    fn suffix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Tls => " over TLS",
        }
    }
}

/// All rows, in the order of the table.
pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "blob-1g",
        measure: reads::blob_1g,
    },
    Row {
        name: "blob-1m",
        measure: reads::blob_1m,
    },
    Row {
        name: "blob-4k",
        measure: reads::blob_4k,
    },
    Row {
        name: "blob-1g-tls",
        measure: reads::blob_1g_tls,
    },
    Row {
        name: "blob-1m-tls",
        measure: reads::blob_1m_tls,
    },
    Row {
        name: "blob-4k-tls",
        measure: reads::blob_4k_tls,
    },
    Row {
        name: "manifest",
        measure: reads::manifest,
    },
    Row {
        name: "push-1g",
        measure: pushes::large,
    },
    Row {
        name: "push-1g-tls",
        measure: pushes::large_tls,
    },
    Row {
        name: "push-small",
        measure: pushes::small,
    },
    Row {
        name: "tags",
        measure: lists::tags,
    },
    Row {
        name: "catalog",
        measure: lists::catalog,
    },
    Row {
        name: "memory",
        measure: memory::resident,
    },
    Row {
        name: "start",
        measure: start::start,
    },
];

/// What all rows share.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) programs: Programs,
    pub(crate) stock: Stock,
    pub(crate) rounds: usize,
    pub(crate) quick: bool,
    /// Where the data of all servers lies: one file system for all.
    pub(crate) folder: PathBuf,
}

impl Bench {
    /// A folder for one row, which goes with it.
    fn place(&self) -> Result<TempDir> {
        tempfile::tempdir_in(&self.folder)
            .with_context(|| format!("cannot make a folder in {}", self.folder.display()))
    }

    /// Starts these servers over plain HTTP, each on its own folder in `place`.
    fn start(&self, all: &[Who], place: &Path) -> Result<Vec<Peer>> {
        self.start_over(Transport::Plain, all, place)
    }

    /// Starts these servers, each on its own folder in `place`.
    fn start_over(&self, transport: Transport, all: &[Who], place: &Path) -> Result<Vec<Peer>> {
        let certificates = (transport == Transport::Tls).then(|| place.join("certificates"));
        if let Some(certificates) = &certificates {
            fs::create_dir_all(certificates)?;
            crate::certificates::certificates(certificates)?;
        }
        let start = |who: &Who| {
            let folder = place.join(who.to_string().to_lowercase());
            self.programs.start(*who, &folder, certificates.as_deref())
        };
        all.iter().map(start).collect()
    }

    /// A full run takes the first, a quick one the second.
    fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// How long one load lasts.
    fn load_time(&self) -> Duration {
        // Processor time is booked in ticks of 10 ms: 1 % of the shorter of both at most.
        self.pick(Duration::from_millis(1500), Duration::from_millis(400))
    }
}

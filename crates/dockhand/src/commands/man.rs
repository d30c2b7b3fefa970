//! `dockhand man`: manual pages, of the command and of each of its subcommands.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::Args;
use clap_mangen::{Man, generate_to};

use crate::report::{Failure, Kind};

/// Print the manual page, or write those of all commands
#[derive(Args, Clone, Debug)]
pub(crate) struct ManPages {
    /// Folder for a page of each command; printed here when not given
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

impl ManPages {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let command = crate::usage::command();
        let Some(folder) = self.folder else {
            let mut page = Vec::new();
            Man::new(command).render(&mut page)?;
            return crate::output::raw(&page);
        };
        let written = fs::create_dir_all(&folder).and_then(|()| generate_to(command, &folder));
        written.map_err(|error: io::Error| {
            Failure::plain(Kind::Failed, format!("{}: {error}", folder.display()))
        })
    }
}

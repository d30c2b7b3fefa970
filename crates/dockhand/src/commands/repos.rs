//! `dockhand repos`: the repositories of a registry.

use clap::Args;
use dockhand_client::{Error, ErrorKind, Page};
use dockhand_oci::RepoName;
use futures_util::{StreamExt, TryStreamExt};
use serde::Serialize;

use crate::report::Failure;
use crate::session::{Session, Verb};

/// List the repositories of a registry
///
/// Not every registry tells: Docker Hub, GHCR and others have no such list.
#[derive(Args, Clone, Debug)]
#[command(visible_alias = "catalog")]
pub(crate) struct Repos {
    /// Registry: host, host:port or URL
    registry: Option<String>,
    /// Begin after this repository
    #[arg(long, value_name = "NAME")]
    last: Option<String>,
    /// Show no more than this many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Ask for so many at once [default: 1000, or what the registry allows]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    page_size: Option<u64>,
    /// Print whole names, with the registry
    #[arg(long)]
    full_ref: bool,
}

/// A repository, as it is shown.
#[derive(Serialize)]
struct Row {
    name: String,
}

impl Verb for Repos {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let client = session.client_or_default(self.registry.as_deref())?;
        let page = Page {
            size: self.page_size,
            last: self.last,
        };
        let names = client.catalog(page).take(self.limit.unwrap_or(usize::MAX));
        let names: Result<Vec<RepoName>, Error> = names.try_collect().await;
        let names = names.map_err(|error| {
            let absent = error.kind() == ErrorKind::NotFound;
            let repository = self.registry.filter(|text| absent && text.contains('/'));
            match repository {
                Some(text) => Failure::from(error).hint(format!(
                    "`dockhand ls {text}` lists the tags of a repository"
                )),
                None => error.into(),
            }
        })?;
        print(session, &client.host(), &names, self.full_ref)
    }
}

/// Prints names of repositories.
pub(super) fn print(
    session: &Session,
    host: &str,
    names: &[RepoName],
    full: bool,
) -> Result<(), Failure> {
    let head = if full {
        format!("{host}/")
    } else {
        String::new()
    };
    let rows: Vec<Row> = { names.iter() }
        .map(|name| Row {
            name: format!("{head}{name}"),
        })
        .collect();
    session.answer(&rows, |out, rows| {
        rows.iter()
            .try_for_each(|row| writeln!(out, "{}", row.name))
    })
}

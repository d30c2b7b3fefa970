//! `dockhand search`: repositories of a registry by a part of their name.

use clap::Args;
use dockhand_client::Page;
use dockhand_oci::RepoName;
use futures_util::TryStreamExt;
use globset::{GlobBuilder, GlobMatcher};
use regex::Regex;

use super::repos;
use crate::report::Failure;
use crate::session::{Session, Verb};

/// Search the repositories of a registry by name
///
/// Reads the registry's list of repositories and prints those whose name has PATTERN in it.
#[derive(Args, Clone, Debug)]
pub(crate) struct Search {
    /// A part of the name
    pattern: String,
    /// Registry: host, host:port or URL
    registry: Option<String>,
    /// PATTERN is a regular expression
    #[arg(long)]
    regex: bool,
    /// PATTERN is a glob for the whole name: `*` within a part, `**` over several
    #[arg(long, conflicts_with = "regex")]
    glob: bool,
    /// Show no more than this many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Print whole names, with the registry
    #[arg(long)]
    full_ref: bool,
}

impl Verb for Search {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let pattern = Pattern::read(&self)?;
        let client = session.client_or_default(self.registry.as_deref())?;
        let names = client.catalog(Page::default());
        let found = names.try_filter(|name| std::future::ready(pattern.fits(name)));
        let mut found: Vec<RepoName> = found.try_collect().await?;
        found.truncate(self.limit.unwrap_or(usize::MAX));
        repos::print(session, &client.host(), &found, self.full_ref)
    }
}

enum Pattern {
    Part(String),
    Regex(Regex),
    Glob(GlobMatcher),
}

impl Pattern {
    fn read(search: &Search) -> Result<Self, Failure> {
        let text = &search.pattern;
        let wrong = |error: &dyn std::error::Error| Failure::usage(format!("{text:?}: {error}"));
        if search.regex {
            return Ok(Self::Regex(
                Regex::new(text).map_err(|error| wrong(&error))?,
            ));
        }
        if search.glob {
            let glob = GlobBuilder::new(text).literal_separator(true).build();
            return Ok(Self::Glob(
                glob.map_err(|error| wrong(&error))?.compile_matcher(),
            ));
        }
        // Names of repositories have no upper case.
        Ok(Self::Part(text.to_lowercase()))
    }

    fn fits(&self, name: &RepoName) -> bool {
        match self {
            Self::Part(part) => name.as_str().contains(part.as_str()),
            Self::Regex(regex) => regex.is_match(name.as_str()),
            Self::Glob(glob) => glob.is_match(name.as_str()),
        }
    }
}

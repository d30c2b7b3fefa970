//! Entries that mean all repositories of a registry, or many.

use dockhand_client::{Client, Page};
use dockhand_oci::RepoName;
use futures_util::TryStreamExt;
use regex::Regex;

use super::file::Entry;
use crate::report::Failure;

/// An entry for each repository of the registry in whose name one of `wanted` is found; all when there
/// are none.
pub(super) async fn entries(
    client: &Client,
    entry: &Entry,
    wanted: &[Regex],
) -> Result<Vec<Entry>, Failure> {
    let names: Vec<RepoName> = client.catalog(Page::default()).try_collect().await?;
    let meant = |name: &RepoName| {
        wanted.is_empty() || wanted.iter().any(|regex| regex.is_match(name.as_str()))
    };
    let below = |place: &str, name: &RepoName| format!("{}/{name}", place.trim_end_matches('/'));
    let entries = names.iter().filter(|name| meant(name)).map(|name| Entry {
        source: below(&entry.source, name),
        target: below(&entry.target, name),
        repos: None,
        ..entry.clone()
    });
    Ok(entries.collect())
}

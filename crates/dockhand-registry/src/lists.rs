//! Lists, a page at a time: each costs what it shows.

use dockhand_oci::{Digest, RepoName, Tag};

use crate::error::Error;
use crate::metadata::{Keyset, Referrer, ReferrersQuery, Rows, TagEvent};
use crate::registry::Registry;

/// What part of a list is wanted.
#[derive(Clone, Debug, Default)]
pub struct Paging {
    /// At most this many; without it, as many as a page may have.
    pub n: Option<u64>,
    /// Only what comes after this, which need not exist (any more).
    pub last: Option<String>,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// The `last` of the next page, when there is one.
    pub next: Option<String>,
    /// How many a page has, to be asked again for the next.
    pub n: usize,
}

impl Registry {
    /// Clamps what was asked for to what a page may have.
    fn page_size(&self, n: Option<u64>) -> usize {
        let limit = self.settings.page_limit;
        n.map_or(limit, |n| usize::try_from(n).unwrap_or(limit).min(limit))
    }

    pub(crate) fn keyset(&self, paging: Paging) -> Keyset {
        Keyset {
            after: paging.last,
            limit: self.page_size(paging.n),
        }
    }

    /// The tags of a repository, in the order of their bytes.
    ///
    /// # Errors
    /// [`Error::RepositoryUnknown`] for one that never had a manifest.
    pub async fn tags(&self, repo: &RepoName, paging: Paging) -> Result<Listing<Tag>, Error> {
        let page = self.keyset(paging);
        let rows = self.metadata.tags(repo, &page).await?;
        let rows = rows.ok_or_else(|| Error::RepositoryUnknown(repo.clone()))?;
        Ok(listing(rows, page.limit, Tag::to_string))
    }

    /// The repositories that have a manifest, in the order of their bytes.
    ///
    /// # Errors
    /// Of the metadata.
    pub async fn repositories(&self, paging: Paging) -> Result<Listing<RepoName>, Error> {
        let page = self.keyset(paging);
        let rows = self.metadata.repositories(&page).await?;
        Ok(listing(rows, page.limit, RepoName::to_string))
    }

    /// What refers to a manifest, which itself need not exist.
    /// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers>
    ///
    /// # Errors
    /// Of the metadata.
    pub async fn referrers(
        &self,
        repo: &RepoName,
        subject: Digest,
        artifact_types: Vec<String>,
        paging: Paging,
    ) -> Result<Listing<Referrer>, Error> {
        let limit = self.page_size(paging.n);
        let after = paging.last.and_then(|last| last.parse().ok());
        let query = ReferrersQuery {
            subject,
            artifact_types,
            after,
            limit,
        };
        let rows = self.metadata.referrers(repo, &query).await?;
        Ok(listing(rows, limit, |referrer| referrer.digest.to_string()))
    }

    /// Where a tag has pointed, newest first; `last` is a version.
    ///
    /// # Errors
    /// [`Error::TagUnknown`] for a tag that was never set.
    pub async fn tag_history(
        &self,
        repo: &RepoName,
        tag: &Tag,
        paging: Paging,
    ) -> Result<Listing<TagEvent>, Error> {
        let limit = self.page_size(paging.n);
        let before = paging.last.and_then(|last| last.parse().ok());
        let rows = self.metadata.tag_history(repo, tag, before, limit).await?;
        if rows.items.is_empty() && before.is_none() && limit > 0 {
            return Err(Error::TagUnknown(tag.clone()));
        }
        Ok(listing(rows, limit, |event| event.version.to_string()))
    }
}

/// A page of nothing has no next page: a client that asks for none wants none.
pub(crate) fn listing<T>(rows: Rows<T>, n: usize, key: impl Fn(&T) -> String) -> Listing<T> {
    let next = rows.items.last().filter(|_| rows.more).map(key);
    Listing {
        items: rows.items,
        next,
        n,
    }
}

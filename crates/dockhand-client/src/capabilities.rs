//! What a registry can do beyond what all must: found out by asking, not by its name.

use dockhand_oci::RepoName;
use futures_util::StreamExt;
use http::HeaderMap;
use serde::Serialize;

use crate::client::is_absent;
use crate::{Client, Driver, ErrorKind, Extension, Page, Ping, Result};

/// What a GitLab says of its registry.
const GITLAB: &str = "gitlab-container-registry-version";
/// The name under which zot lists all that it adds.
const ZOT: &str = "_zot";

/// What a registry can do, as far as that can be asked without changing anything in it. Whether it mounts,
/// deletes and takes chunks is learned when that is first done.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Capabilities {
    /// What it said when it was asked whether it is there, with the kind of registry that all answers
    /// together show.
    #[serde(flatten)]
    pub ping: Ping,
    /// Whether it lists its repositories for this connection.
    pub catalog: bool,
    /// Whether it lists referrers itself; nothing without a repository to ask for. Where it does not, they
    /// are kept under a tag.
    pub referrers: Option<bool>,
    /// The extensions of the API that it says it has.
    pub extensions: Vec<Extension>,
}

impl Client {
    /// What the registry can do; what concerns repositories is asked of `repository`.
    ///
    /// # Errors
    /// As [`Client::ping`], and what keeps a question from being answered: that the registry does not know
    /// the question, or denies the answer, is an answer.
    pub async fn capabilities(&self, repository: Option<&RepoName>) -> Result<Capabilities> {
        let mut ping = self.ping().await?;
        let extensions = known(self.extensions().await)?.unwrap_or_default();
        if extensions.iter().any(|one| one.name == ZOT) {
            ping.driver = Driver::Zot;
        }
        let page = Page {
            size: Some(1),
            last: None,
        };
        let first = self.catalog(page).next().await.transpose();
        let catalog = known(first)?.is_some();
        let referrers = match repository {
            Some(name) => Some(self.repository(name.clone()).lists_referrers().await?),
            None => None,
        };
        Ok(Capabilities {
            ping,
            catalog,
            referrers,
            extensions,
        })
    }
}

/// What was found out; `None` when the registry does not do that, or not for everybody.
fn known<T>(asked: Result<T>) -> Result<Option<T>> {
    match asked {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => match error.kind() {
            ErrorKind::Unauthorized | ErrorKind::Denied => Ok(None),
            _ => Err(error),
        },
    }
}

/// The kind of registry that the head of an answer shows.
pub(crate) fn driver(host: &str, headers: &HeaderMap) -> Driver {
    match headers.contains_key(GITLAB) {
        true => Driver::Gitlab,
        false => Driver::of_host(host),
    }
}

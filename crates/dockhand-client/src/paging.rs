//! Long lists in pages, as registries really give them.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags>. The next page is
//! asked for at the URL of the first, with the query of the `Link`: so no `Link` can lead to another host
//! or out of the registry's sub-path. Where there is no `Link` although the page is full, `last` goes on.
//! A page without anything new ends the list, so that none can go in a circle.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use dockhand_oci::{Endpoint, Link};
use futures_util::stream::{self, Stream};
use http::Method;
use http::header::{ACCEPT, LINK};
use serde::Deserialize;
use url::Url;
use url::form_urlencoded;

use crate::auth::Scopes;
use crate::http::{Answer, Http, Request};
use crate::{Error, ErrorKind, Result};

/// How many entries are asked for at once: the most that the strictest registries allow.
const PAGE: u64 = 1000;
/// The longest page that is read, in bytes. Some registries give all that they have in one.
const PAGE_MAX: u64 = 16 * 1024 * 1024;
/// The most entries of one list; they are remembered to notice repetition.
const SEEN_MAX: usize = 1_000_000;
/// Names of repositories and tags are shorter than this, in bytes; others are not kept in memory.
const NAME_MAX: usize = 512;

/// Which part of a list is wanted.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// How many entries to ask for at once; the stream goes on over all pages all the same.
    pub size: Option<u64>,
    /// After which entry to begin.
    pub last: Option<String>,
}

/// A list that is asked for.
pub(crate) struct Question {
    path: String,
    doing: String,
    scopes: Scopes,
    page: Page,
}

impl Question {
    pub(crate) fn new(
        endpoint: &Endpoint,
        doing: impl Into<String>,
        scopes: Scopes,
        page: Page,
    ) -> Self {
        Self {
            path: endpoint.to_string(),
            doing: doing.into(),
            scopes,
            page,
        }
    }
}

/// A page of repositories or tags; `null` and nothing are an empty list.
#[derive(Deserialize)]
struct Names {
    repositories: Option<Vec<String>>,
    tags: Option<Vec<String>>,
}

struct Walk {
    http: Arc<Http>,
    question: Question,
    /// The query of the next page.
    next: Option<String>,
    seen: HashSet<String>,
    ready: VecDeque<String>,
    size: Option<u64>,
}

/// All entries of the list, where its first page has them; `None` where there are more pages.
pub(crate) async fn only_page(http: Arc<Http>, question: Question) -> Result<Option<Vec<String>>> {
    let mut walk = Walk::new(http, question);
    while let Some(query) = walk.next.take() {
        if !walk.ready.is_empty() {
            return Ok(None);
        }
        walk.fetch(&query).await?;
    }
    Ok(Some(walk.ready.into()))
}

/// All entries of the list, each once, in the order of the registry.
pub(crate) fn entries(http: Arc<Http>, question: Question) -> impl Stream<Item = Result<String>> {
    let walk = Walk::new(http, question);
    stream::unfold(Some(walk), |state| async move {
        let mut walk = state?;
        loop {
            if let Some(entry) = walk.ready.pop_front() {
                return Some((Ok(entry), Some(walk)));
            }
            let query = walk.next.take()?;
            if let Err(error) = walk.fetch(&query).await {
                return Some((Err(error), None));
            }
        }
    })
}

impl Walk {
    fn new(http: Arc<Http>, question: Question) -> Self {
        let size = Some(question.page.size.unwrap_or(PAGE));
        let mut walk = Self {
            next: None,
            seen: HashSet::new(),
            ready: VecDeque::new(),
            size,
            http,
            question,
        };
        walk.next = Some(walk.query(walk.question.page.last.as_deref()));
        walk
    }

    fn query(&self, last: Option<&str>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(size) = self.size {
            query.append_pair("n", &size.to_string());
        }
        if let Some(last) = last {
            query.append_pair("last", last);
        }
        query.finish()
    }

    async fn fetch(&mut self, query: &str) -> Result<()> {
        let mut url = self.http.connection.base.join(&self.question.path)?;
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        let request = Request::new(Method::GET, url, self.question.doing.as_str())
            .scopes(self.question.scopes.clone())
            .header(ACCEPT, "application/json")
            .whole(PAGE_MAX);
        let answer = match self.http.send(&request).await {
            Err(error) if error.kind() == ErrorKind::Refused && self.own_size() => {
                // It may not like the number; its own page size will do.
                self.size = None;
                self.next = Some(self.query(self.question.page.last.as_deref()));
                return Ok(());
            }
            other => other?,
        };
        let linked = next_query(&answer);
        let names = self.read(answer).await?;
        let full = self.size.is_some_and(|size| names.len() as u64 >= size);
        let last = names.last().cloned();
        let before = self.seen.len();
        for name in names {
            if name.len() <= NAME_MAX && self.seen.insert(name.clone()) {
                self.ready.push_back(name);
            }
        }
        if self.seen.len() > SEEN_MAX {
            // What is missing in a list may be taken for what is not there.
            let message = format!("the list has more than {SEEN_MAX} entries");
            let error = Error::new(ErrorKind::SizeMismatch, message);
            return Err(error
                .doing(self.question.doing.as_str())
                .at(self.http.host()));
        }
        let grew = self.seen.len() > before;
        self.next = match linked {
            Some(query) if grew => Some(query),
            None if grew && full => Some(self.query(last.as_deref())),
            _ => None,
        };
        Ok(())
    }

    /// Whether the size of the page was this program's idea, and nothing was read yet.
    fn own_size(&self) -> bool {
        self.question.page.size.is_none() && self.size.is_some() && self.seen.is_empty()
    }

    async fn read(&self, answer: Answer) -> Result<Vec<String>> {
        let body = answer.bytes(PAGE_MAX).await?;
        let names: Names = serde_json::from_slice(&body).map_err(|error| {
            // The error's own words may repeat what is there, however long it is.
            let (line, column) = (error.line(), error.column());
            let message = format!("the answer is no list (line {line}, column {column})");
            Error::new(ErrorKind::Protocol, message)
                .doing(self.question.doing.as_str())
                .at(self.http.host())
        })?;
        Ok(names.tags.or(names.repositories).unwrap_or_default())
    }
}

/// The query of the next page, without an `n` of nothing.
pub(crate) fn next_query(answer: &Answer) -> Option<String> {
    let links = answer.headers().get_all(LINK).iter();
    let target = { links }
        .filter_map(|link| link.to_str().ok())
        .find_map(Link::parse_next)?;
    let url: Url = answer.url().join(target).ok()?;
    let kept = url.query()?.split('&').filter(|pair| *pair != "n=0");
    Some(kept.collect::<Vec<_>>().join("&")).filter(|query| !query.is_empty())
}

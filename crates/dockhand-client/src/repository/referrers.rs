//! Referrers: what says something about a manifest. Listed by the registry, or in an index under the
//! tag `sha256-<hex>` where the registry does not know how.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers>

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use dockhand_oci::{
    Algorithm, Descriptor, Digest, Endpoint, ManifestKind, MediaType, Reference, Tag,
};
use http::Method;
use http::header::{CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH};
use serde::{Deserialize, Serialize};

use super::Repository;
use crate::http::{Answer, Body};
use crate::paging::next_query;
use crate::store::{MANIFEST_MAX, RawManifest};
use crate::{Error, ErrorKind, Result};

/// More pages of one list than this are a registry that goes in circles.
const PAGES_MAX: usize = 1000;
/// The most referrers of one manifest that are kept in memory.
const REFERRERS_MAX: usize = 100_000;
/// How often the fallback list is written anew when somebody else changes it at the same time.
const TRIES_MAX: usize = 8;

/// Which referrers are wanted.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only of this artifact type.
    pub artifact_type: Option<String>,
    /// Only with these annotations: with any value where none is named.
    pub annotations: Vec<(String, Option<String>)>,
}

impl Filter {
    /// Those of this artifact type.
    #[must_use]
    pub fn of_type(artifact_type: impl Into<String>) -> Self {
        Self {
            artifact_type: Some(artifact_type.into()),
            ..Self::default()
        }
    }

    /// Whether it is wanted.
    #[must_use]
    pub fn fits(&self, referrer: &Descriptor) -> bool {
        let wanted = self.artifact_type.as_ref();
        let has = |(key, wanted): &(String, Option<String>)| {
            let value = referrer.annotations.get(key);
            value.is_some_and(|value| wanted.as_ref().is_none_or(|wanted| wanted == value))
        };
        wanted.is_none_or(|wanted| referrer.artifact_type.as_ref() == Some(wanted))
            && self.annotations.iter().all(has)
    }
}

/// An index of referrers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u8,
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    manifests: Option<Vec<Descriptor>>,
    #[serde(flatten)]
    other: serde_json::Map<String, serde_json::Value>,
}

impl Index {
    fn empty() -> Self {
        Self {
            schema_version: 2,
            media_type: MediaType::OCI_INDEX.to_owned(),
            manifests: None,
            other: serde_json::Map::new(),
        }
    }

    fn read(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|error| {
            let message = format!("the list of referrers is no index: {error}");
            Error::new(ErrorKind::Protocol, message)
        })
    }
}

impl Repository {
    /// The manifests whose subject is `subject`.
    ///
    /// # Errors
    /// What keeps the registry from answering.
    pub async fn referrers_of(&self, subject: &Digest, filter: &Filter) -> Result<Vec<Descriptor>> {
        let lists_itself = *self.client.habits.referrers.read().await;
        let listed = match lists_itself {
            Some(false) => None,
            _ => self.list_referrers(subject, filter).await?,
        };
        *self.client.habits.referrers.write().await = Some(listed.is_some());
        let mut found = match listed {
            Some(listed) => listed,
            None => self
                .fallback_index(subject)
                .await?
                .map_or_else(Vec::new, |(index, _)| index.manifests.unwrap_or_default()),
        };
        // Not every registry filters, and none has to.
        found.retain(|referrer| filter.fits(referrer));
        Ok(found)
    }

    /// Whether the registry lists referrers itself, for a repository that it has: one that it does not know
    /// has no list with some registries.
    ///
    /// # Errors
    /// What keeps the registry from answering.
    pub async fn lists_referrers(&self) -> Result<bool> {
        if let Some(known) = *self.client.habits.referrers.read().await {
            return Ok(known);
        }
        // That there is nothing of this digest is no reason to have no list.
        let nothing = Algorithm::Sha256.digest(&[]);
        let listed = self.list_referrers(&nothing, &Filter::default()).await?;
        Ok(listed.is_some())
    }

    /// The registry's own list; `None` when it does not have one.
    async fn list_referrers(
        &self,
        subject: &Digest,
        filter: &Filter,
    ) -> Result<Option<Vec<Descriptor>>> {
        let doing = format!("list the referrers of {}@{subject}", self.name);
        let endpoint = Endpoint::Referrers(self.name.clone(), *subject);
        let mut request = self.request(Method::GET, &endpoint, doing)?;
        if let Some(wanted) = &filter.artifact_type {
            request
                .url
                .query_pairs_mut()
                .append_pair("artifactType", wanted);
        }
        request = request
            .accept(&[MediaType::OCI_INDEX])
            .whole(MANIFEST_MAX)
            .optional();
        let doing = request.doing.clone();
        let failed = |error: Error| error.doing(doing.as_str()).at(self.client.host());
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        for page in 0..PAGES_MAX {
            let answer = match self.client.http.send(&request).await {
                Ok(answer) => answer,
                Err(error) if page == 0 && has_no_list(&error) => return Ok(None),
                Err(error) => return Err(error),
            };
            if !is_index(&answer) && page == 0 {
                return Ok(None);
            }
            let next = next_query(&answer);
            let index = Index::read(&answer.bytes(MANIFEST_MAX).await?).map_err(failed)?;
            let before = found.len();
            let listed = index.manifests.unwrap_or_default().into_iter();
            found.extend(listed.filter(|one| seen.insert(one.digest)));
            if found.len() > REFERRERS_MAX {
                break;
            }
            let Some(query) = next.filter(|_| found.len() > before) else {
                return Ok(Some(found));
            };
            request.url.set_query(Some(&query));
        }
        // What is missing in a list may be taken for what is not there.
        let message = "the list of referrers does not end";
        Err(failed(Error::new(ErrorKind::SizeMismatch, message)))
    }

    /// The index under the fallback tag, with its entity tag.
    async fn fallback_index(&self, subject: &Digest) -> Result<Option<(Index, Option<String>)>> {
        let tag = fallback_tag(subject)?;
        match self.get_manifest(&Reference::Tag(tag)).await {
            Ok((manifest, entity_tag)) => Ok(Some((Index::read(&manifest.bytes)?, entity_tag))),
            Err(error) if crate::client::is_absent(&error) => Ok(None),
            // Some registries deny what is not there.
            Err(error) if error.kind() == ErrorKind::Denied => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lists a manifest at its subject, where the registry did not say that it does so itself.
    pub(super) async fn list_at_subject(&self, manifest: &RawManifest) -> Result<()> {
        let Some(referrer) = referrer(manifest)? else {
            return Ok(());
        };
        let Referrer {
            subject,
            descriptor,
        } = referrer;
        let lists_itself = *self.client.habits.referrers.read().await;
        let lists_itself = match lists_itself {
            Some(known) => known,
            None => self
                .list_referrers(&subject, &Filter::default())
                .await?
                .is_some(),
        };
        *self.client.habits.referrers.write().await = Some(lists_itself);
        if lists_itself {
            return Ok(());
        }
        self.change_fallback(&subject, |list| {
            let known = list.iter().any(|one| one.digest == descriptor.digest);
            if !known {
                list.push(descriptor.clone());
            }
            !known
        })
        .await
    }

    /// Takes a manifest that is deleted off the list of its subject.
    pub(super) async fn unlist_at_subject(&self, manifest: &RawManifest) -> Result<()> {
        let Some(Referrer {
            subject,
            descriptor,
        }) = referrer(manifest)?
        else {
            return Ok(());
        };
        if *self.client.habits.referrers.read().await == Some(true) {
            return Ok(());
        }
        self.change_fallback(&subject, |list| {
            let before = list.len();
            list.retain(|one| one.digest != descriptor.digest);
            list.len() < before
        })
        .await
    }

    /// Changes the fallback list, and again when somebody else's change would be lost: by a condition
    /// on the write where the registry checks it, and by looking afterwards where it does not.
    async fn change_fallback(
        &self,
        subject: &Digest,
        change: impl Fn(&mut Vec<Descriptor>) -> bool,
    ) -> Result<()> {
        let key = (self.name.clone(), *subject);
        let turn = Arc::clone(
            self.client
                .habits
                .fallback
                .lock()
                .await
                .entry(key)
                .or_default(),
        );
        let _turn = turn.lock().await;
        for _ in 0..TRIES_MAX {
            let (mut index, entity_tag) = match self.fallback_index(subject).await? {
                Some((index, entity_tag)) => (index, Some(entity_tag)),
                None => (Index::empty(), None),
            };
            let mut list = index.manifests.take().unwrap_or_default();
            if !change(&mut list) {
                return Ok(());
            }
            index.manifests = Some(list);
            match self.put_fallback(subject, &index, entity_tag).await {
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                other => other?,
            }
            // Round once more: when the change is there, it is not made again.
        }
        let message = "others change the list of referrers at the same time, again and again";
        let doing = format!("list a referrer of {}@{subject}", self.name);
        Err(Error::new(ErrorKind::Conflict, message)
            .doing(doing)
            .at(self.client.host()))
    }

    /// `entity_tag`: `None` when there was no list, `Some(None)` when it had no entity tag.
    async fn put_fallback(
        &self,
        subject: &Digest,
        index: &Index,
        entity_tag: Option<Option<String>>,
    ) -> Result<()> {
        let tag = fallback_tag(subject)?;
        let doing = format!("list a referrer of {}@{subject}", self.name);
        let endpoint = Endpoint::Manifest(self.name.clone(), Reference::Tag(tag));
        let bytes = serde_json::to_vec(index).map_err(|error| {
            Error::new(ErrorKind::Protocol, "the list cannot be written").with_source(error)
        })?;
        let mut request = self
            .request(Method::PUT, &endpoint, doing)?
            .body(MediaType::OCI_INDEX, Body::Bytes(Bytes::from(bytes)));
        request = match &entity_tag {
            None => request.header(IF_NONE_MATCH, "*"),
            Some(Some(entity_tag)) => request.header(IF_MATCH, entity_tag),
            Some(None) => request,
        };
        self.client.http.send(&request).await.map(drop)
    }
}

/// A manifest with a subject, as its subject's list shows it.
pub(crate) struct Referrer {
    pub(crate) subject: Digest,
    pub(crate) descriptor: Descriptor,
}

/// What the list of its subject says of a manifest; `None` when it has no subject.
pub(crate) fn referrer(manifest: &RawManifest) -> Result<Option<Referrer>> {
    let Ok(parsed) = manifest.parse() else {
        return Ok(None);
    };
    let Some(subject) = parsed.subject else {
        return Ok(None);
    };
    let mut descriptor = manifest.descriptor();
    descriptor.media_type = parsed.media_type.as_str().to_owned();
    descriptor.annotations = parsed.annotations;
    descriptor.artifact_type = parsed.artifact_type.or_else(|| {
        // An image manifest that names no type is of its config's.
        let is_image = parsed.kind == ManifestKind::Image;
        let config = parsed.links.first().filter(|_| is_image)?;
        Some(config.descriptor.media_type.clone())
    });
    Ok(Some(Referrer {
        subject: subject.digest,
        descriptor,
    }))
}

/// `sha256-<hex>`, cut to what a tag may have.
///
/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema>
pub(crate) fn fallback_tag(subject: &Digest) -> Result<Tag> {
    let hex = subject.hex();
    let kept = hex.get(..64).unwrap_or(&hex);
    Ok(format!("{}-{kept}", subject.algorithm().as_str()).parse()?)
}

/// Whether a failure says that the registry has no lists of referrers.
fn has_no_list(error: &Error) -> bool {
    let unknown = error.has_code("NAME_UNKNOWN");
    match error.kind() {
        ErrorKind::NotFound => !unknown,
        ErrorKind::Unsupported | ErrorKind::Refused | ErrorKind::Protocol => true,
        _ => false,
    }
}

/// Whether an answer is a list, and not a page for people.
fn is_index(answer: &Answer) -> bool {
    let kind = answer.header(CONTENT_TYPE).unwrap_or_default();
    kind.contains("json")
}

//! `dockhand rm`: takes away a tag, a manifest, or a whole repository.

use clap::Args;
use dockhand_client::{Error, Store};
use dockhand_oci::{Digest, MediaType, Reference, Tag};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;

use crate::output::{count, size};
use crate::report::{Failure, Kind};
use crate::session::{Named, Session, Verb, named};

/// How many tags are looked at at once.
const LOOKS: usize = 16;

/// Delete tags, manifests, or a whole repository
///
/// REPO:TAG takes that tag away and nothing else: other tags of the same image stay, and so does the image
/// under its digest. REPO@DIGEST takes the manifest away and with it every tag that names it; these are told
/// and --yes is needed. --repo takes all of a repository away. The registry frees the space when it collects
/// its garbage. A layout (oci:DIR) keeps what was deleted until --prune takes away what nothing in it needs.
#[derive(Args, Clone, Debug)]
#[command(visible_alias = "delete")]
pub(crate) struct Rm {
    /// REPO:TAG or REPO@DIGEST; with --repo REPO; with --prune also oci:DIR alone
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
    /// Delete every tag and manifest of the repositories
    #[arg(long)]
    repo: bool,
    /// Do it although more than one name goes
    #[arg(short, long)]
    yes: bool,
    /// Only say what would be deleted
    #[arg(long)]
    dry_run: bool,
    /// What is not there is deleted already
    #[arg(long)]
    ignore_missing: bool,
    /// Of a layout, also take away the image that lost its last name, what refers to it, and all content that nothing needs
    #[arg(long, conflicts_with = "repo")]
    prune: bool,
}

/// What was deleted, or would be.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Gone {
    repository: String,
    tags: Vec<Tag>,
    manifests: Vec<Digest>,
    /// Content of a layout that nothing needed.
    content: Vec<Digest>,
    bytes: u64,
    dry_run: bool,
}

impl Verb for Rm {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let mut gone = Vec::new();
        let mut failures = Vec::new();
        for image in &self.images {
            match self.one(session, image).await {
                Ok(Some(one)) => gone.push(one),
                Ok(None) => {}
                Err(failure) => failures.push(failure),
            }
        }
        session.answer(&gone, |out, gone| {
            for one in gone {
                let tags = one
                    .tags
                    .iter()
                    .map(|tag| format!("{}:{tag}", one.repository));
                let manifests = one
                    .manifests
                    .iter()
                    .map(|digest| format!("{}@{digest}", one.repository));
                let word = if one.dry_run {
                    "would delete"
                } else {
                    "deleted"
                };
                for name in tags.chain(manifests) {
                    writeln!(out, "{word} {name}")?;
                }
                if self.prune {
                    let (many, bytes) = (count(one.content.len() as u64, "blob"), size(one.bytes));
                    writeln!(out, "{word} {many}, {bytes}, of {}", one.repository)?;
                }
            }
            Ok(())
        })?;
        Failure::of_some(session, failures, self.images.len())
    }
}

impl Rm {
    /// The same for the manifests that tags name: tags are told by the digests that they have now.
    pub(super) async fn manifests(mut self, session: &Session) -> Result<Self, Failure> {
        for image in &mut self.images {
            let place = session.open_named(image).await?;
            if let (Some(tag), None) = (place.tag, place.digest)
                && let Some(found) = place.store.find(&Reference::Tag(tag.clone())).await?
            {
                let bare = image.strip_suffix(&format!(":{tag}"));
                *image = format!("{}@{}", bare.unwrap_or(image), found.digest);
            }
        }
        Ok(self)
    }

    async fn one(&self, session: &Session, text: &str) -> Result<Option<Gone>, Failure> {
        let usage =
            |message: &str, hint: &str| Err(Failure::usage(format!("{text} {message}")).hint(hint));
        let named = session.open_named(text).await?;
        if self.prune && named.repository.is_some() {
            return usage(
                "is in a registry, which collects its garbage itself",
                "leave --prune away; it is for layouts, oci:DIR",
            )
            .map(Some);
        }
        let before = match &named.tag {
            Some(tag) if self.prune => {
                let found = named.store.find(&Reference::Tag(tag.clone())).await?;
                found.map(|found| found.digest)
            }
            _ => None,
        };
        let gone = match (self.repo, &named.tag, named.digest) {
            (true, None, None) => self.repository(&named).await,
            (true, ..) => usage(
                "names an image and not a repository",
                "leave the tag or digest away, or leave --repo away",
            ),
            (false, Some(tag), None) => self.tag(&named, tag.clone()).await,
            (false, None, Some(digest)) => self.manifest(&named, digest).await,
            (false, Some(_), Some(_)) => usage(
                "names a tag and a digest; which is to go?",
                "REPO:TAG takes away the tag alone, REPO@DIGEST the manifest",
            ),
            (false, None, None) if self.prune => {
                Ok(self.gone(&*named.store, Vec::new(), Vec::new()))
            }
            (false, None, None) => usage(
                "names neither tag nor digest",
                "name one; --repo deletes the whole repository",
            ),
        };
        match gone {
            Err(failure) if self.ignore_missing && failure.kind() == Kind::NotFound => Ok(None),
            Err(failure) => Err(failure),
            Ok(mut gone) if self.prune => {
                let digests: Vec<Digest> =
                    before.into_iter().chain(gone.manifests.clone()).collect();
                let pruned = named.store.prune(&digests, self.dry_run).await?;
                (gone.content, gone.bytes) = (pruned.content, pruned.bytes);
                Ok(Some(gone))
            }
            Ok(gone) => Ok(Some(gone)),
        }
    }

    async fn tag(&self, place: &Named, tag: Tag) -> Result<Gone, Failure> {
        let store = &*place.store;
        match self.dry_run {
            true => store
                .resolve(&Reference::Tag(tag.clone()))
                .await
                .map(drop)?,
            false => store.untag(&tag).await?,
        }
        Ok(self.gone(store, vec![tag], Vec::new()))
    }

    async fn manifest(&self, place: &Named, digest: Digest) -> Result<Gone, Failure> {
        let store = &*place.store;
        let reference = Reference::Digest(digest);
        store.resolve(&reference).await?;
        let tags = tags_of(place, digest).await?;
        if !self.yes && !self.dry_run {
            let listed = indexes_with(store, digest).await?;
            return Err(refused(&named(store, &reference), &tags, &listed));
        }
        if !self.dry_run {
            store.delete_manifest(&digest).await?;
        }
        Ok(self.gone(store, tags, vec![digest]))
    }

    async fn repository(&self, place: &Named) -> Result<Gone, Failure> {
        let Some(repository) = &place.repository else {
            let message = format!("{} is no repository of a registry", place.store.name());
            return Err(Failure::usage(message).hint("delete its folder"));
        };
        let planned = repository.delete_all(true).await?;
        if !self.yes && !self.dry_run {
            let tags = count(planned.tags.len() as u64, "tag");
            let manifests = count(planned.manifests.len() as u64, "manifest");
            let name = repository.name();
            let message = format!("{name} was not deleted; it has {tags} and {manifests}");
            let hint = "say --yes to delete them, --dry-run to see them";
            return Err(Failure::usage(message).hint(hint));
        }
        let deleted = match self.dry_run {
            true => planned,
            false => repository.delete_all(false).await?,
        };
        Ok(self.gone(repository, deleted.tags, deleted.manifests))
    }

    fn gone(&self, store: &dyn Store, tags: Vec<Tag>, manifests: Vec<Digest>) -> Gone {
        Gone {
            repository: store.name(),
            tags,
            manifests,
            content: Vec::new(),
            bytes: 0,
            dry_run: self.dry_run,
        }
    }
}

/// Why a manifest is not deleted without `--yes`: what names it, and what consists of it.
fn refused(name: &str, tags: &[Tag], listed: &[Tag]) -> Failure {
    let names = |tags: &[Tag]| {
        let names: Vec<&str> = tags.iter().map(Tag::as_str).collect();
        names.join(", ")
    };
    let mut why = Vec::new();
    if !tags.is_empty() {
        let many = count(tags.len() as u64, "tag");
        why.push(format!("{many} would go with it: {}", names(tags)));
    }
    if !listed.is_empty() {
        why.push(format!(
            "it is a part of {}, which would break",
            names(listed)
        ));
    }
    if why.is_empty() {
        why.push("no tag names it".to_owned());
    }
    let hint = match tags.is_empty() {
        true => "say --yes to delete it all the same",
        false => "say --yes to delete it all the same, or name a tag to delete that alone",
    };
    Failure::usage(format!("{name} was not deleted; {}", why.join("; "))).hint(hint)
}

/// The tags of indexes that list a manifest.
async fn indexes_with(store: &dyn Store, digest: Digest) -> Result<Vec<Tag>, Failure> {
    let tags = store.tags().await?;
    let looks = stream::iter(tags).map(|tag| async move {
        let reference = Reference::Tag(tag.clone());
        let found = store.find(&reference).await?;
        let is_index = found.is_some_and(|found| {
            [MediaType::OCI_INDEX, MediaType::DOCKER_LIST].contains(&found.media_type.as_str())
        });
        if !is_index {
            return Ok(None);
        }
        let links = store.manifest(&reference).await?.parse()?.links;
        let lists = links.iter().any(|link| link.descriptor.digest == digest);
        Ok::<_, Error>(lists.then_some(tag))
    });
    let listed: Vec<Option<Tag>> = looks.buffered(LOOKS).try_collect().await?;
    Ok(listed.into_iter().flatten().collect())
}

/// The tags that name a manifest.
async fn tags_of(place: &Named, digest: Digest) -> Result<Vec<Tag>, Failure> {
    if let Some(repository) = &place.repository {
        return Ok(repository.tags_of(&digest).await?);
    }
    let mut found = Vec::new();
    for tag in place.store.tags().await? {
        let named = place.store.find(&Reference::Tag(tag.clone())).await?;
        if named.is_some_and(|named| named.digest == digest) {
            found.push(tag);
        }
    }
    Ok(found)
}

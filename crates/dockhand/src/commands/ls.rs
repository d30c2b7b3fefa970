//! `dockhand ls`: the tags of a repository, those that are wanted.

use std::collections::HashMap;

use clap::Args;
use dockhand_client::{Entry, ErrorKind, Page, Store};
use dockhand_oci::{Descriptor, Digest, ImageRef, Reference, Tag};
use futures_util::{StreamExt, TryStreamExt};
use serde::Serialize;

use crate::image;
use crate::output::{self, size, some, table};
use crate::report::Failure;
use crate::session::{Opened, Session, Side, Verb, named};
use crate::tags::{Choice, Chosen, Sort, tell_undated};

/// How many tags are asked about at once, unless --jobs says otherwise.
const LANES: usize = 32;

/// List the tags of a repository
///
/// The whole list is read, page by page, and each tag is shown once; of a layout or archive each name, in full
/// where it has more than a tag. Filters by age, and --newest without
/// --semver, read the config of every image that they judge.
#[derive(Args, Clone, Debug)]
#[command(visible_aliases = ["list-tags", "tags"])]
pub(crate) struct Ls {
    /// Repository, or place: oci:DIR, oci-archive:FILE
    repository: String,
    /// Order of the tags [default: as the registry gives them]
    #[arg(long, value_name = "ORDER")]
    sort: Option<Sort>,
    /// The other way round
    #[arg(long)]
    reverse: bool,
    /// Show the digest and size that each tag names
    #[arg(short, long)]
    digests: bool,
    /// Print whole references
    #[arg(long)]
    full_ref: bool,
    /// Begin after this tag
    #[arg(long, value_name = "TAG")]
    last: Option<String>,
    /// Show no more than this many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Ask for so many at once [default: 1000, or what the registry allows]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    page_size: Option<u64>,
    // Last, since their heading would go on for what comes after them.
    #[command(flatten)]
    choice: Choice,
    /// Only tags that name this digest
    #[arg(long, value_name = "DIGEST", help_heading = "Which tags")]
    digest: Option<Digest>,
}

/// A tag, as it is shown.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    tag: Tag,
    /// The whole name, in a layout or archive that has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
    /// `index`, `image` or `artifact`; or the media type.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<jiff::Timestamp>,
}

impl Verb for Ls {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let side = Side::of(&session.flags.access);
        let opened = session.open_all(&side, &self.repository).await?;
        let plain = self.choice.is_by_name() && self.sort.is_none() && self.digest.is_none();
        let plain = plain && opened.repository.is_some() && session.output.is_text();
        if plain && !self.digests && !self.reverse {
            return self.stream(&opened).await;
        }
        let rows = self.rows(session, &opened).await?;
        session.answer(&rows, |out, rows| match self.digests {
            false => rows
                .iter()
                .try_for_each(|row| writeln!(out, "{}", self.shown(row))),
            true => write!(out, "{}", self.table(rows)),
        })
    }
}

impl Ls {
    fn table(&self, rows: &[Row]) -> String {
        let timed = self.choice.needs_times(self.sort);
        let known = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let rows = rows.iter().map(|row| {
            let digest = known(row.digest.map(|digest| digest.to_string()));
            let mut cells = vec![self.shown(row), digest];
            cells.push(known(row.size.map(size)));
            cells.push(known(row.kind.clone()));
            if timed {
                cells.push(known(row.created.map(|time| time.to_string())));
            }
            cells
        });
        let head = ["TAG", "DIGEST", "MANIFEST", "KIND", "CREATED"];
        table(&head[..if timed { 5 } else { 4 }], rows)
    }

    fn shown(&self, row: &Row) -> String {
        match &row.name {
            _ if self.full_ref => row.reference.clone(),
            Some(name) => name.clone(),
            None => row.tag.to_string(),
        }
    }

    fn page(&self) -> Page {
        Page {
            size: self.page_size,
            last: self.last.clone(),
        }
    }

    /// Prints tags as they come: a repository may have very many.
    async fn stream(&self, opened: &Opened) -> Result<(), Failure> {
        let Some(repository) = &opened.repository else {
            return Ok(());
        };
        let tags = repository.tags_paged(self.page());
        let taken = tags.try_filter(|tag| std::future::ready(self.choice.takes_name(tag)));
        let mut pages = taken
            .take(self.limit.unwrap_or(usize::MAX))
            .ready_chunks(1000);
        while let Some(chunk) = pages.next().await {
            let tags = chunk
                .into_iter()
                .collect::<dockhand_client::Result<Vec<Tag>>>()?;
            self.print(opened, &tags)?;
        }
        Ok(())
    }

    fn print(&self, opened: &Opened, tags: &[Tag]) -> Result<(), Failure> {
        use std::io::Write;
        let mut out = output::writer();
        for tag in tags {
            match self.full_ref {
                true => writeln!(
                    out,
                    "{}",
                    named(&*opened.store, &Reference::Tag(tag.clone()))
                )?,
                false => writeln!(out, "{tag}")?,
            }
        }
        Ok(out.flush()?)
    }

    /// All tags of the place, with whole names where it has such.
    async fn all(&self, session: &Session, opened: &Opened) -> Result<Vec<Chosen>, Failure> {
        if let Some(repository) = &opened.repository {
            let tags: Vec<Tag> = repository.tags_paged(self.page()).try_collect().await?;
            return Ok(tags.into_iter().map(Chosen::from).collect());
        }
        Ok(match opened.store.entries().await? {
            Some(entries) => names(session, &opened.store.name(), entries),
            None => { opened.store.tags().await?.into_iter() }
                .map(Chosen::from)
                .collect(),
        })
    }

    async fn rows(&self, session: &Session, opened: &Opened) -> Result<Vec<Row>, Failure> {
        let lanes = session.lanes().unwrap_or(LANES);
        let mut tags = self.all(session, opened).await?;
        let mut found = HashMap::new();
        if self.digests || self.digest.is_some() {
            tags.retain(|one| self.choice.takes_name(&one.tag));
            found = digests(opened, &tags, self.digests, lanes).await?;
        }
        if let Some(wanted) = &self.digest {
            tags.retain(|one| {
                { found.get(&one.reference) }
                    .is_some_and(|found| found.descriptor.digest == *wanted)
            });
        }
        let judged = self
            .choice
            .judge(&opened.store, tags, self.sort, lanes)
            .await?;
        tell_undated(session, &judged.undated);
        let mut rows: Vec<Row> = { judged.chosen.into_iter() }
            .map(|one| {
                let found = found.get(&one.reference);
                let descriptor = found.map(|found| &found.descriptor);
                let reference = match &one.name {
                    Some(name) => format!("{}:{name}", opened.store.name()),
                    None => named(&*opened.store, &Reference::Tag(one.tag.clone())),
                };
                Row {
                    kind: found.and_then(|found| found.kind.clone()),
                    name: one.name,
                    reference,
                    digest: descriptor.map(|found| found.digest),
                    media_type: descriptor.map(|found| found.media_type.clone()),
                    size: descriptor.map(|found| found.size),
                    created: one.created,
                    tag: one.tag,
                }
            })
            .collect();
        if self.reverse {
            rows.reverse();
        }
        rows.truncate(self.limit.unwrap_or(usize::MAX));
        Ok(rows)
    }
}

/// The names of a layout or archive; those of images without one are told.
fn names(session: &Session, place: &str, entries: Vec<Entry>) -> Vec<Chosen> {
    let (nameless, named): (Vec<_>, Vec<_>) = entries.into_iter().partition(Entry::is_nameless);
    // What refers to an image belongs to it, and has no name as a rule.
    let images = nameless.iter().filter(|entry| entry.subject.is_none());
    let images: Vec<String> = images.map(|entry| format!("{place}@{entry}")).collect();
    if !images.is_empty() {
        session.note(&format!(
            "without a name, and not listed: {}",
            some(&images)
        ));
    }
    let names = named.into_iter().filter_map(|entry| {
        let name = entry.name.as_ref().map(ImageRef::familiar);
        Some(Chosen {
            tag: entry.tag?,
            reference: Reference::Digest(entry.digest),
            name,
            created: None,
        })
    });
    names.collect()
}

/// What a tag names.
struct Found {
    descriptor: Descriptor,
    kind: Option<String>,
}

/// What each tag names, and, when `kinds` are wanted, what that is. One that was deleted meanwhile is left
/// out.
async fn digests(
    opened: &Opened,
    tags: &[Chosen],
    kinds: bool,
    lanes: usize,
) -> Result<HashMap<Reference, Found>, Failure> {
    let kinds = kinds && !counts_pulls(opened);
    let asked = futures_util::stream::iter(tags).map(|one| async move {
        match look(&*opened.store, &one.reference, kinds).await {
            Ok(found) => Ok(Some((one.reference.clone(), found))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    });
    let found: Vec<_> = asked.buffer_unordered(lanes.max(1)).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// Whether reading manifests is counted, and limited, as asking for their digests is not.
/// <https://docs.docker.com/docker-hub/usage/pulls/>
fn counts_pulls(opened: &Opened) -> bool {
    let image = opened.image.as_ref();
    image.is_some_and(|image| image.registry == "docker.io")
}

/// One request: whether an image manifest is an artifact's stands only in it.
async fn look(
    store: &dyn Store,
    reference: &Reference,
    kinds: bool,
) -> dockhand_client::Result<Found> {
    if kinds && let Ok(manifest) = store.manifest(reference).await {
        let kind = match manifest.parse() {
            Ok(parsed) => image::kind(&parsed).to_owned(),
            Err(_) => manifest.media_type.clone(),
        };
        return Ok(Found {
            descriptor: manifest.descriptor(),
            kind: Some(kind),
        });
    }
    // What cannot be read may have a digest all the same.
    let descriptor = store.resolve(reference).await?;
    Ok(Found {
        kind: Some(output::kind(&descriptor.media_type)),
        descriptor,
    })
}

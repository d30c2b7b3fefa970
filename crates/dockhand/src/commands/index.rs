//! `dockhand index`: indexes made by hand.

use std::sync::Arc;

use clap::{Args, Subcommand};
use dockhand_client::copy::{Run, keep_platforms};
use dockhand_client::image::ATTESTED;
use dockhand_client::rewrite::{Entry, IndexDraft, entries, entry_of};
use dockhand_client::{RawManifest, Store};
use dockhand_oci::{Descriptor, Digest, Platform, Reference, Tag};
use serde::Serialize;

use crate::output::{count, size, table};
use crate::platforms::{Platforms, platform};
use crate::report::Failure;
use crate::rewriting::{pair, settings};
use crate::session::{Session, Side, Verb, named};
use crate::transfer::{self, How, Job, Report, What};

/// Make an index, or change what it lists
#[derive(Args, Clone, Debug)]
pub(crate) struct Index {
    #[command(subcommand)]
    what: Do,
}

#[derive(Clone, Debug, Subcommand)]
enum Do {
    /// Make an index of images, which come along from wherever they are
    Create {
        /// Index to write
        index: String,
        /// Images; of an index all that it lists
        images: Vec<String>,
        #[command(flatten)]
        platforms: Platforms,
        /// Set an annotation of the index
        #[arg(short, long, value_name = "NAME=VALUE", value_parser = pair)]
        annotation: Vec<(String, String)>,
        /// With Docker's media type instead of OCI's
        #[arg(long)]
        docker: bool,
        /// Of images for the same platform take the last one
        #[arg(long)]
        replace: bool,
    },
    /// List more images in an index; one for the same platform is replaced
    Add {
        /// Index
        index: String,
        /// Images; of an index all that it lists
        #[arg(required = true)]
        images: Vec<String>,
        #[command(flatten)]
        platforms: Platforms,
        /// Set an annotation of the index
        #[arg(short, long, value_name = "NAME=VALUE", value_parser = pair)]
        annotation: Vec<(String, String)>,
    },
    /// Take images out of an index, and what attests them
    Rm {
        /// Index
        index: String,
        /// Digests of images; or name their platforms with --platform
        digests: Vec<Digest>,
        /// Platforms of images
        #[arg(long, value_name = "PLATFORM,…", value_delimiter = ',', value_parser = platform)]
        platform: Vec<Platform>,
    },
    /// Print what an index lists
    Ls {
        /// Index
        index: String,
    },
}

#[derive(Serialize)]
struct Written {
    digest: Digest,
    index: String,
    manifests: Vec<Descriptor>,
}

impl Verb for Index {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        match self.what {
            Do::Create {
                index,
                images,
                platforms,
                annotation,
                docker,
                replace,
            } => {
                let side = Side::of(&session.flags.access);
                let to = session.create_on(&side, &index, None).await?;
                let mut draft = IndexDraft::empty(docker)?;
                let images = Images {
                    names: &images,
                    platforms: &platforms,
                    replace,
                };
                fill(session, &mut draft, &to.store, images).await?;
                draft.annotate(&settings(&annotation, &[]))?;
                write(session, &to.store, &to.tags, draft).await
            }
            Do::Add {
                index,
                images,
                platforms,
                annotation,
            } => {
                let (store, tags, root) = open(session, &index).await?;
                let mut draft = IndexDraft::of(&root)?;
                let images = Images {
                    names: &images,
                    platforms: &platforms,
                    replace: true,
                };
                fill(session, &mut draft, &store, images).await?;
                draft.annotate(&settings(&annotation, &[]))?;
                write(session, &store, &tags, draft).await
            }
            Do::Rm {
                index,
                digests,
                platform,
            } => {
                if digests.is_empty() && platform.is_empty() {
                    return Err(Failure::usage("nothing says which images are to go")
                        .hint("name digests, or platforms with --platform"));
                }
                let (store, tags, root) = open(session, &index).await?;
                let mut draft = IndexDraft::of(&root)?;
                for gone in draft.remove(&digests, &platform)? {
                    session.note(&format!("took out {}", name_of(&gone.descriptor)));
                }
                write(session, &store, &tags, draft).await
            }
            Do::Ls { index } => ls(session, &index).await,
        }
    }
}

/// An index that is to be changed: where it is, its tag, and what it is.
async fn open(
    session: &Session,
    index: &str,
) -> Result<(Arc<dyn Store>, Vec<Tag>, RawManifest), Failure> {
    let named = session.open_named(index).await?;
    let (reference, tags) = match (named.digest, named.tag) {
        (Some(digest), tag) => (Reference::Digest(digest), tag.into_iter().collect()),
        (None, tag) => {
            let tag = tag.unwrap_or_else(Tag::latest);
            (Reference::Tag(tag.clone()), vec![tag])
        }
    };
    let root = named.store.manifest(&reference).await?;
    Ok((named.store, tags, root))
}

/// What is to be listed in an index.
#[derive(Clone, Copy)]
struct Images<'a> {
    names: &'a [String],
    platforms: &'a Platforms,
    /// Whether a later image takes the place of an earlier one for its platform.
    replace: bool,
}

/// Lists images in an index, and brings them to where it will be.
async fn fill(
    session: &Session,
    draft: &mut IndexDraft,
    to: &Arc<dyn Store>,
    images: Images<'_>,
) -> Result<(), Failure> {
    // All is looked at before anything moves.
    let mut comes = Vec::new();
    for image in images.names {
        let opened = session.open(image).await?;
        let mut root = opened.store.manifest(&opened.reference).await?;
        let wanted = images.platforms.list();
        if !wanted.is_empty() {
            root = keep_platforms(&root, &wanted)?;
        }
        for entry in entry_of(&*opened.store, &root).await? {
            let mut name = format!("{} of {image}", name_of(&entry.descriptor));
            let digest = entry.descriptor.digest;
            let taken = draft.taken(&entry).map(|taken| taken.descriptor.digest);
            if let Some(taken) = taken.filter(|taken| *taken != digest) {
                if !images.replace {
                    return Err(two_for_one(&name, taken));
                }
                name.push_str(&format!(" instead of {taken}"));
            }
            draft.add(entry);
            comes.push((Arc::clone(&opened.store), digest, name));
        }
    }
    let run = Run::new();
    for (from, digest, name) in comes {
        // What was replaced in turn need not come.
        let mut listed = draft.entries().iter();
        if !listed.any(|entry| entry.descriptor.digest == digest) {
            continue;
        }
        let job = Job {
            from,
            what: Reference::Digest(digest),
            to: Arc::clone(to),
            tags: Vec::new(),
            digest: None,
            left_out: Vec::new(),
            is_part: true,
            absent: false,
        };
        let copied = transfer::run(session, &run, job, &What::default(), &How::default()).await?;
        session.note(&format!("listed {name}, {}", moved(&copied)));
    }
    Ok(())
}

fn two_for_one(name: &str, taken: Digest) -> Failure {
    let message = format!("two images for one platform: {taken}, and {name}");
    let hint = "choose with --platform, leave one out, or let the last one win with --replace";
    Failure::usage(message).hint(hint)
}

/// How an image came to where its index is.
fn moved(copied: &Report) -> String {
    match (copied.outcome, copied.mounted) {
        ("unchanged", _) => "there already".to_owned(),
        (_, 0) => format!("{} copied", size(copied.bytes_sent)),
        (_, mounted) => {
            let sent = size(copied.bytes_sent);
            format!("{sent} copied, {} mounted", count(mounted, "blob"))
        }
    }
}

/// What an entry of an index is called in messages: its platform, or else its type, and its digest.
fn name_of(one: &Descriptor) -> String {
    let platform = { one.platform.as_ref() }.filter(|own| own.os != "unknown");
    match (platform, one.annotations.get(ATTESTED)) {
        (Some(platform), _) => format!("{platform} {}", one.digest),
        (None, Some(_)) => format!("attestation {}", one.digest),
        (None, None) => {
            let kind = one.artifact_type.as_ref().unwrap_or(&one.media_type);
            format!("{kind} {}", one.digest)
        }
    }
}

async fn write(
    session: &Session,
    store: &Arc<dyn Store>,
    tags: &[Tag],
    draft: IndexDraft,
) -> Result<(), Failure> {
    let index = draft.finish()?;
    store.put_manifest(&index, tags).await?;
    store.finish().await?;
    let listed = entries(&index)?.into_iter().map(|entry| entry.descriptor);
    let written = Written {
        digest: index.digest,
        index: named(&**store, &Reference::Digest(index.digest)),
        manifests: listed.collect(),
    };
    session.answer(&written, |out, written| writeln!(out, "{}", written.index))
}

async fn ls(session: &Session, index: &str) -> Result<(), Failure> {
    let opened = session.open(index).await?;
    let root = opened.store.manifest(&opened.reference).await?;
    let listed = entries(&root)?;
    let descriptors: Vec<Descriptor> = listed
        .into_iter()
        .map(|entry: Entry| entry.descriptor)
        .collect();
    session.answer(&descriptors, |out, descriptors| {
        let rows = descriptors.iter().map(|one| {
            let platform = one.platform.as_ref().map(ToString::to_string);
            [
                platform.unwrap_or_else(|| "-".to_owned()),
                size(one.size),
                one.digest.to_string(),
                one.media_type.clone(),
            ]
        });
        write!(
            out,
            "{}",
            table(&["PLATFORM", "MANIFEST", "DIGEST", "TYPE"], rows)
        )
    })
}

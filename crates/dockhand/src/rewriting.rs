//! Where an edited image goes, and what is told about it.

use std::sync::Arc;

use clap::Args;
use dockhand_client::Store;
use dockhand_client::copy::Run;
use dockhand_client::rewrite::{Rewritten, Setting};
use dockhand_oci::{Digest, ImageRef, Tag};
use serde::Serialize;

use crate::output::{count, size};
use crate::report::Failure;
use crate::session::{Session, Side};
use crate::transfer::{self, How, Job, Report, What};

// No doc comment: clap would take it for the help of the command.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Where to")]
pub(crate) struct Target {
    /// Where to write the result: a place as of `cp`, or :TAG where the image is [default: where the image
    /// is, by digest alone]
    #[arg(
        short = 't',
        long = "to",
        visible_alias = "tag",
        value_name = "IMAGE|:TAG"
    )]
    to: Vec<String>,
    /// Let the tag of the image name the result
    #[arg(long, conflicts_with = "to")]
    replace: bool,
    /// Only say what would be written
    #[arg(long)]
    pub dry_run: bool,
}

/// A place to write to, and the tags there.
struct Place {
    store: Arc<dyn Store>,
    tags: Vec<Tag>,
    /// What is written must have this digest.
    digest: Option<Digest>,
}

/// What was made of an image.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    digest: Digest,
    images: Vec<Image>,
    /// Attestations that are no longer true, and not listed any more.
    dropped: Vec<Digest>,
    copies: Vec<Report>,
}

#[derive(Debug, Serialize)]
struct Image {
    platform: String,
    before: Digest,
    after: Digest,
}

impl Target {
    /// Whether a place is named that is not where the image is.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.to.iter().any(|to| !to.starts_with(':'))
    }

    /// Writes what was made of `source`, and answers with it.
    pub(crate) async fn write(
        &self,
        session: &Session,
        source: Option<&str>,
        like: Option<&ImageRef>,
        made: Rewritten,
    ) -> Result<(), Failure> {
        let how = How {
            dry_run: self.dry_run,
            ..How::default()
        };
        let run = Run::new();
        let mut copies = Vec::new();
        for place in self.places(session, source, like).await? {
            let job = Job {
                from: Arc::clone(&made.store),
                what: made.reference(),
                to: Arc::clone(&place.store),
                tags: place.tags,
                digest: place.digest,
                left_out: Vec::new(),
                is_part: true,
                absent: false,
            };
            let mut report = transfer::run(session, &run, job, &What::default(), &how).await?;
            if let Some(source) = source {
                source.clone_into(&mut report.source);
            }
            if !self.dry_run {
                place.store.finish().await?;
            }
            session.note(&sentence(&report, made.before == made.root.digest));
            copies.push(report);
        }
        if !made.dropped.is_empty() {
            let attestations = count(made.dropped.len() as u64, "attestation");
            session.note(&format!(
                "{attestations} left out: what they are about is another image now"
            ));
        }
        let answer = Answer {
            digest: made.root.digest,
            images: { made.images.iter() }
                .map(|image| Image {
                    platform: image.platform.to_string(),
                    before: image.before,
                    after: image.after,
                })
                .collect(),
            dropped: made.dropped.iter().map(|one| one.digest).collect(),
            copies,
        };
        session.answer(&answer, |out, answer| {
            let mut pinned = answer.copies.iter().filter_map(|copy| copy.pinned.as_ref());
            pinned.try_for_each(|name| writeln!(out, "{name}"))
        })
    }

    async fn places(
        &self,
        session: &Session,
        source: Option<&str>,
        like: Option<&ImageRef>,
    ) -> Result<Vec<Place>, Failure> {
        let mut places = Vec::new();
        if !self.is_elsewhere() || self.to.iter().any(|to| to.starts_with(':')) {
            let Some(source) = source else {
                return Err(Failure::usage("nothing says where to write the image")
                    .hint("name a place with --to"));
            };
            let place = self.beside(session, source).await?;
            places.push(place);
        }
        let side = Side::of(&session.flags.access);
        for to in self.to.iter().filter(|to| !to.starts_with(':')) {
            let created = session.create_on(&side, to, like).await?;
            places.push(Place {
                store: created.store,
                tags: created.tags,
                digest: created.digest,
            });
        }
        Ok(places)
    }

    /// Where the image is that was edited.
    async fn beside(&self, session: &Session, source: &str) -> Result<Place, Failure> {
        let named = session.open_named(source).await;
        let named = named.map_err(|failure| failure.hint("name another place with --to"))?;
        let mut tags = Vec::new();
        if self.replace {
            tags.push(match (named.tag, named.digest) {
                (Some(tag), _) => tag,
                (None, None) => Tag::latest(),
                (None, Some(_)) => {
                    let message = format!("{source} has no tag that could name the result");
                    return Err(Failure::usage(message).hint("say --to :TAG"));
                }
            });
        }
        for tag in self.to.iter().filter_map(|to| to.strip_prefix(':')) {
            tags.push(tag.parse().map_err(dockhand_client::Error::from)?);
        }
        Ok(Place {
            store: named.store,
            tags,
            digest: None,
        })
    }
}

/// What was written, for people.
fn sentence(report: &Report, same: bool) -> String {
    let digest = report.digest.map(|digest| format!("@{digest}"));
    let pinned = |name: &String| match (&digest, name.contains('@')) {
        (Some(digest), false) => format!("{name}{digest}"),
        _ => name.clone(),
    };
    let targets: Vec<String> = report.targets.iter().map(pinned).collect();
    let targets = targets.join(", ");
    let moved = format!(
        "{} and {}, {}",
        count(report.manifests, "manifest"),
        count(report.blobs_sent, "blob"),
        size(report.bytes_sent)
    );
    match (report.outcome, report.dry_run) {
        ("unchanged", _) if same => format!("nothing to change: it is {targets} already"),
        ("unchanged", _) => format!("nothing to write: {targets} is there already"),
        (_, true) => format!("would write {targets}: at most {moved}"),
        (_, false) => format!("wrote {targets}: {moved}"),
    }
}

/// What is set, then what is taken away.
pub(crate) fn settings(set: &[(String, String)], unset: &[String]) -> Vec<Setting> {
    let set = set
        .iter()
        .map(|(key, value)| (key.clone(), Some(value.clone())));
    let unset = unset.iter().map(|key| (key.clone(), None));
    set.chain(unset).collect()
}

/// `NAME=value`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=value".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs() {
        assert_eq!(pair("a=b=c").unwrap(), ("a".to_owned(), "b=c".to_owned()));
        assert_eq!(pair("a=").unwrap().1, "");
        assert!(pair("=b").is_err() && pair("a").is_err());
    }
}

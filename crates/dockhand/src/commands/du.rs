//! `dockhand du`: how much images take, and what of it they share.

use std::io::{self, Write};

use clap::Args;
use dockhand_client::sizes::{RepositorySize, Size, repository_size, size_of};
use dockhand_oci::Digest;
use serde::Serialize;

use crate::output::{size, table};
use crate::report::{Failure, Kind};
use crate::session::{Session, Verb};

/// What the last row of a table is called; no tag can be.
const TOTAL: &str = "(total)";

/// Show how much images take: compressed, each blob once
///
/// Of a repository without a tag all tags are shown: `unique` is what would become free with a tag. What
/// cannot be read of an image is told and not counted; then it exits with 9.
#[derive(Args, Clone, Debug)]
pub(crate) struct Du {
    /// Images or repositories
    #[arg(required = true)]
    images: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
enum Answer {
    #[serde(rename_all = "camelCase")]
    Image {
        name: String,
        digest: Digest,
        total: u64,
        images: Vec<Image>,
        /// What cannot be read.
        broken: Vec<String>,
    },
    #[serde(rename_all = "camelCase")]
    Repository {
        name: String,
        total: u64,
        /// What the tags would take without sharing.
        sum: u64,
        /// How many blobs and manifests there are.
        items: u64,
        tags: Vec<Tag>,
        broken: Vec<Broken>,
    },
}

#[derive(Serialize)]
struct Broken {
    tag: String,
    problem: String,
}

#[derive(Serialize)]
struct Image {
    digest: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    manifest: u64,
    config: u64,
    layers: Vec<u64>,
    total: u64,
}

#[derive(Serialize)]
struct Tag {
    tag: String,
    digest: Digest,
    total: u64,
    unique: u64,
    shared: u64,
}

impl Verb for Du {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let mut answers = Vec::new();
        for text in &self.images {
            answers.push(look(session, text).await?);
        }
        if let ([Answer::Repository { tags, .. }], true) = (&answers[..], session.output.is_csv()) {
            return session.answer(tags, |_, _| Ok(()));
        }
        session.answer(&answers, |out, answers| {
            for (at, answer) in answers.iter().enumerate() {
                // Tables need a name when there are several.
                if answers.len() > 1 && answer.is_table() {
                    let gap = if at > 0 { "\n" } else { "" };
                    writeln!(out, "{gap}{}:", answer.name())?;
                }
                answer.print(out)?;
            }
            Ok(())
        })?;
        let problems: Vec<String> = answers.iter().flat_map(Answer::problems).collect();
        let Some(last) = problems.last() else {
            return Ok(());
        };
        for problem in &problems[..problems.len() - 1] {
            Failure::plain(Kind::Partial, problem).tell(session);
        }
        Err(Failure::plain(Kind::Partial, last).hint("what is broken is not counted"))
    }
}

async fn look(session: &Session, text: &str) -> Result<Answer, Failure> {
    // Archives cannot be changed, and have no tags to choose from.
    if let Ok(named) = session.open_named(text).await
        && named.tag.is_none()
        && named.digest.is_none()
    {
        let found = repository_size(&*named.store, &[]).await?;
        return Ok(repository(named.store.name(), found));
    }
    let opened = session.open(text).await?;
    let found = size_of(&*opened.store, &opened.reference).await?;
    Ok(image(opened.name(), found))
}

fn image(name: String, found: Size) -> Answer {
    let images = found.images.into_iter().map(|one| Image {
        digest: one.digest,
        platform: one.platform.map(|platform| platform.to_string()),
        manifest: one.manifest,
        config: one.config,
        layers: one.layers,
        total: one.total,
    });
    Answer::Image {
        name,
        digest: found.digest,
        total: found.total,
        images: images.collect(),
        broken: found.broken,
    }
}

fn repository(name: String, found: RepositorySize) -> Answer {
    let tags = found.tags.into_iter().map(|one| Tag {
        tag: one.tag.to_string(),
        digest: one.digest,
        total: one.total,
        unique: one.unique,
        shared: one.shared,
    });
    Answer::Repository {
        name,
        total: found.total,
        sum: found.sum,
        items: found.items,
        tags: tags.collect(),
        broken: { found.broken.into_iter() }
            .map(|one| Broken {
                tag: one.tag.to_string(),
                problem: one.problem,
            })
            .collect(),
    }
}

impl Answer {
    fn name(&self) -> &str {
        match self {
            Self::Image { name, .. } | Self::Repository { name, .. } => name,
        }
    }

    fn is_table(&self) -> bool {
        match self {
            Self::Image { images, .. } => images.len() > 1,
            Self::Repository { .. } => true,
        }
    }

    /// What is broken, for people.
    fn problems(&self) -> Vec<String> {
        match self {
            Self::Image { name, broken, .. } => { broken.iter() }
                .map(|problem| format!("{name} is broken: {problem}"))
                .collect(),
            Self::Repository { name, broken, .. } => { broken.iter() }
                .map(|one| format!("{name}:{} is broken: {}", one.tag, one.problem))
                .collect(),
        }
    }

    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Image {
                name,
                total,
                images,
                ..
            } => {
                if images.len() < 2 {
                    return writeln!(out, "{}  {name}", size(*total));
                }
                let rows = images.iter().map(|one| {
                    let platform = one.platform.clone().unwrap_or_else(|| "-".to_owned());
                    let layers = one.layers.len().to_string();
                    [platform, size(one.total), layers, one.digest.to_string()]
                });
                let all = [TOTAL.to_owned(), size(*total), String::new(), String::new()];
                let head = ["PLATFORM", "SIZE", "LAYERS", "DIGEST"];
                write!(out, "{}", table(&head, rows.chain([all])))
            }
            Self::Repository { total, tags, .. } => {
                let rows = tags.iter().map(|one| {
                    let tag = one.tag.clone();
                    [tag, size(one.total), size(one.unique), size(one.shared)]
                });
                let all = [TOTAL.to_owned(), size(*total), String::new(), String::new()];
                let head = ["TAG", "SIZE", "UNIQUE", "SHARED"];
                write!(out, "{}", table(&head, rows.chain([all])))
            }
        }
    }
}

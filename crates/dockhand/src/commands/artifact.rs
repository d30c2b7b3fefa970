//! `dockhand artifact`: files in a registry.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use dockhand_client::Store;
use dockhand_client::artifact::{self, Artifact as Files, ArtifactFile, FILE_TYPE, PullOptions};
use dockhand_oci::{Descriptor, Digest, Tag};
use serde::Serialize;

use crate::image::by_digest;
use crate::report::{Failure, Kind};
use crate::session::{Session, Side, Verb};

/// What an artifact is of which nobody says it; oras calls it so.
const UNKNOWN_ARTIFACT: &str = "application/vnd.unknown.artifact.v1";

/// Push and pull files as artifacts
#[derive(Args, Clone, Debug)]
pub(crate) struct Artifact {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Push files as an artifact
    Push(Push),
    /// Pull the files of an artifact
    Pull(Pull),
}

// No doc comment: clap would take it for the help of the command.
#[derive(Args, Clone, Debug)]
pub(super) struct Contents {
    /// FILE[:MEDIA-TYPE]; its path as written is its name in the artifact, of a path from the root or out of
    /// this folder the last part. A folder is packed, and unpacked by pull
    #[arg(value_name = "FILE[:TYPE]")]
    files: Vec<String>,
    /// Annotation
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = pair)]
    annotation: Vec<(String, String)>,
    /// JSON file with annotations: {"$manifest": {"key": "value"}}, as oras reads it
    #[arg(long, value_name = "FILE")]
    annotation_file: Option<PathBuf>,
}

#[derive(Args, Clone, Debug)]
struct Push {
    /// Where to: REPO[:TAG[,TAG…]]
    image: String,
    #[command(flatten)]
    contents: Contents,
    /// What the artifact is [default: application/vnd.unknown.artifact.v1, as oras has it; with --config
    /// the media type of that]
    #[arg(long, value_name = "TYPE")]
    artifact_type: Option<String>,
    /// FILE[:MEDIA-TYPE] as its config
    #[arg(long, value_name = "FILE[:TYPE]")]
    config: Option<String>,
}

#[derive(Args, Clone, Debug)]
struct Pull {
    /// Artifact
    image: String,
    /// Folder to write the files to
    #[arg(short = 'o', long = "to", value_name = "DIR", default_value = ".")]
    to: PathBuf,
    /// Never replace a file that is there
    #[arg(short, long)]
    keep_old_files: bool,
    /// With the files of what the artifact refers to, and of what that refers to
    #[arg(long)]
    include_subject: bool,
}

/// What was pushed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Pushed {
    reference: String,
    digest: Digest,
    size: u64,
    media_type: String,
    artifact_type: Option<String>,
}

/// A file that was pulled.
#[derive(Serialize)]
struct Written {
    name: String,
}

impl Verb for Artifact {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        match self.command {
            Command::Push(push) => push.run(session).await,
            Command::Pull(pull) => pull.run(session).await,
        }
    }
}

impl Push {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let (text, more) = super::cp::split_tags(&self.image)?;
        let side = Side::of(&session.flags.access);
        let created = session.create_on(&side, text, None).await?;
        let tags = [created.tags, more].concat();
        let artifact_type = match (self.artifact_type, &self.config) {
            (None, None) => {
                session.note(&format!(
                    "the artifact type is {UNKNOWN_ARTIFACT}; --artifact-type says what it is"
                ));
                Some(UNKNOWN_ARTIFACT.to_owned())
            }
            (said, _) => said,
        };
        let config = self.config.as_deref().map(|text| {
            let octets = "application/vnd.unknown.config.v1+json";
            file(text, octets)
        });
        self.contents
            .push(session, &created.store, &tags, artifact_type, config, None)
            .await?;
        Ok(created.store.finish().await?)
    }
}

impl Contents {
    /// Pushes the files, and answers with what they are now.
    pub(super) async fn push(
        self,
        session: &Session,
        store: &Arc<dyn Store>,
        tags: &[Tag],
        artifact_type: Option<String>,
        config: Option<ArtifactFile>,
        subject: Option<Descriptor>,
    ) -> Result<(), Failure> {
        let mut annotations = match &self.annotation_file {
            Some(file) => annotations_of(file)?,
            None => BTreeMap::new(),
        };
        annotations.extend(self.annotation);
        let files = { self.files.iter() }
            .map(|text| file(text, FILE_TYPE))
            .collect();
        let artifact = Files {
            artifact_type: artifact_type.clone(),
            files,
            config,
            annotations,
            subject,
        };
        let pushed = artifact.push(store, tags, &*session.observer()).await?;
        let answer = Pushed {
            reference: by_digest(&**store, pushed.digest),
            digest: pushed.digest,
            size: pushed.bytes.len() as u64,
            media_type: pushed.media_type,
            artifact_type,
        };
        session.answer(&answer, |out, answer| writeln!(out, "{}", answer.reference))
    }
}

impl Pull {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let opened = session.open(&self.image).await?;
        let options = PullOptions {
            keep_old: self.keep_old_files,
            include_subject: self.include_subject,
        };
        let observer = session.observer();
        let pulled = artifact::pull(
            &opened.store,
            &opened.reference,
            &self.to,
            options,
            &*observer,
        )
        .await?;
        if pulled.is_empty() {
            session.note(&format!("{} has no files with a name", opened.name()));
        }
        let files: Vec<Written> = { pulled.iter() }
            .map(|path| Written {
                name: path.display().to_string(),
            })
            .collect();
        session.answer(&files, |out, files| {
            { files.iter() }.try_for_each(|file| writeln!(out, "{}", file.name))
        })
    }
}

/// `FILE[:TYPE]`: a media type has a slash and no dot in front of it, a path after a colon is rare.
fn file(text: &str, default: &str) -> ArtifactFile {
    let (path, media_type) = match text.rsplit_once(':') {
        Some((path, kind)) if kind.contains('/') && !path.is_empty() => (path, kind),
        _ => (text, default),
    };
    ArtifactFile {
        path: path.into(),
        media_type: media_type.to_owned(),
        title: None,
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE".to_owned()),
    }
}

/// The annotations of the manifest in a file of oras.
fn annotations_of(file: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let bytes = std::fs::read(file).map_err(|error| dockhand_client::Error::io(file, error))?;
    let all: Result<BTreeMap<String, BTreeMap<String, String>>, _> = serde_json::from_slice(&bytes);
    let all = all.map_err(|error| {
        Failure::plain(
            Kind::Usage,
            format!("{} has no annotations: {error}", file.display()),
        )
    })?;
    Ok(all.get("$manifest").cloned().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_types() {
        for (text, path, kind) in [
            ("a.txt", "a.txt", "d/d"),
            ("a.txt:text/plain", "a.txt", "text/plain"),
            ("odd:name", "odd:name", "d/d"),
            ("dir/a:b/c", "dir/a", "b/c"),
        ] {
            let read = file(text, "d/d");
            assert_eq!(
                (read.path.to_str(), read.media_type.as_str()),
                (Some(path), kind),
                "{text}"
            );
        }
    }
}

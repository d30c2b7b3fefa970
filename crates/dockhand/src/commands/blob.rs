//! `dockhand blob`: single blobs of a repository.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use dockhand_client::{BlobSource, ErrorKind, FileSource, Moved, Repository, Store, read_verified};
use dockhand_oci::{Algorithm, Descriptor, Digest, Hasher};
use futures_util::StreamExt;
use serde::Serialize;
use tokio::io::{AsyncWriteExt, copy, stdin, stdout};

use crate::report::{Failure, Kind};
use crate::session::{Session, Verb};

/// Get, put, look at, delete or mount a blob
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Blob {
    #[command(subcommand)]
    what: Option<What>,
    // As crane has it.
    #[command(flatten)]
    get: Option<Get>,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Write a blob to a file, or to standard output
    #[command(visible_alias = "fetch")]
    Get(Get),
    /// Put a file into a repository as a blob, and print its digest
    #[command(visible_alias = "push")]
    Put {
        /// Repository, with @digest to have the content checked
        repository: String,
        /// File, or `-` for standard input
        #[arg(default_value = "-")]
        file: PathBuf,
    },
    /// Print the size of a blob
    Head {
        /// Blob: repository@digest
        blob: String,
    },
    /// Delete a blob
    #[command(visible_alias = "delete")]
    Rm {
        /// Blob: repository@digest
        blob: String,
        /// What is not there is deleted already
        #[arg(long)]
        ignore_missing: bool,
        /// Only say what would be deleted
        #[arg(long)]
        dry_run: bool,
    },
    /// Take a blob over from another repository of the registry, without moving it
    Mount {
        /// Blob: repository@digest, the repository where it is to be
        blob: String,
        /// Repository where it is
        #[arg(long, value_name = "REPOSITORY")]
        from: Option<String>,
    },
}

#[derive(Args, Clone, Debug)]
struct Get {
    /// Blob: repository@digest
    blob: String,
    /// File; a download that broke off goes on there
    #[arg(short = 'o', long = "to", short_alias = 'O', value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Serialize)]
struct Found {
    digest: Digest,
    size: u64,
}

/// What was done with a blob; text needs no words for it.
#[derive(Serialize)]
struct Done {
    digest: Digest,
    repository: String,
    /// `written`, `mounted`, `deleted`, `missing`, or what would be.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(rename = "dryRun", skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
}

impl Done {
    fn new(repository: &Repository, digest: Digest, outcome: &'static str) -> Self {
        Self {
            digest,
            repository: repository.name(),
            outcome,
            path: None,
            size: None,
            dry_run: false,
        }
    }

    fn answer(&self, session: &Session) -> Result<(), Failure> {
        session.answer(self, |_, _| Ok(()))
    }
}

impl Verb for Blob {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let what = match (self.what, self.get) {
            (Some(what), _) => what,
            (None, Some(get)) => What::Get(get),
            (None, None) => return Err(Failure::usage("no blob is named")),
        };
        match what {
            What::Get(Get { blob, file }) => get(session, &blob, file).await,
            What::Put { repository, file } => put(session, &repository, file).await,
            What::Head { blob } => {
                let (repository, digest) = named(session, &blob)?;
                let size = repository.blob_descriptor(&digest).await?.size;
                session.answer(&Found { digest, size }, |out, found| {
                    writeln!(out, "{}", found.size)
                })
            }
            What::Rm {
                blob,
                ignore_missing,
                dry_run,
            } => {
                let (repository, digest) = named(session, &blob)?;
                let deleted = match dry_run {
                    true => repository.blob_descriptor(&digest).await.map(drop),
                    false => repository.delete_blob(&digest).await,
                };
                let outcome = match deleted {
                    Err(error) if ignore_missing && error.kind() == ErrorKind::NotFound => {
                        "missing"
                    }
                    other => other.map(|()| "deleted")?,
                };
                let mut done = Done::new(&repository, digest, outcome);
                done.dry_run = dry_run;
                done.answer(session)
            }
            What::Mount { blob, from } => mount(session, &blob, from.as_deref()).await,
        }
    }
}

/// The repository and digest of `repository@digest`.
fn named(session: &Session, blob: &str) -> Result<(Repository, Digest), Failure> {
    let (repository, image) = session.image(blob)?;
    match image.digest {
        Some(digest) if image.tag.is_none() => Ok((repository, digest)),
        _ => Err(Failure::usage(format!(
            "{blob} is no blob: write REPOSITORY@DIGEST"
        ))),
    }
}

async fn get(session: &Session, blob: &str, file: Option<PathBuf>) -> Result<(), Failure> {
    let (repository, digest) = named(session, blob)?;
    let found = repository.blob_descriptor(&digest).await?;
    let mut done = Done::new(&repository, digest, "written");
    let store: Arc<dyn Store> = Arc::new(repository);
    if let Some(file) = file {
        let observer = session.observer();
        dockhand_client::download(&store, &found, &file, &*observer).await?;
        (done.path, done.size) = (Some(file), Some(found.size));
        return done.answer(session);
    }
    let mut stream = read_verified(&*store, &found).await?;
    let mut out = stdout();
    while let Some(chunk) = stream.next().await {
        out.write_all(&chunk?).await?;
    }
    Ok(out.flush().await?)
}

async fn put(session: &Session, repository: &str, file: PathBuf) -> Result<(), Failure> {
    let (repository, image) = session.image(repository)?;
    // An upload may have to begin anew, which standard input cannot.
    let spooled = match file.to_str() {
        Some("-") => Some(spool().await?),
        _ => None,
    };
    let path = spooled
        .as_ref()
        .map_or(file.as_path(), |spooled| spooled.path());
    let source = Arc::new(FileSource::new(path));
    let algorithm = image
        .digest
        .map_or(Algorithm::Sha256, |digest| digest.algorithm());
    let mut hasher = Hasher::new(algorithm);
    let mut stream = source.open(0).await?;
    while let Some(chunk) = stream.next().await {
        hasher.update(&chunk?);
    }
    let size = hasher.length();
    let digest = hasher.finish();
    if image.digest.is_some_and(|wanted| wanted != digest) {
        let message = format!("the content is not what was named, but {digest}");
        return Err(Failure::plain(Kind::Mismatch, message));
    }
    let blob = Descriptor::new("application/octet-stream", digest, size);
    if repository.put_blob(&blob, source, None).await? == Moved::Existed {
        session.note("it was there already");
    }
    session.answer(&Found { digest, size }, |out, found| {
        writeln!(out, "{}", found.digest)
    })
}

/// Standard input in a file that is gone with the value.
async fn spool() -> Result<tempfile::NamedTempFile, Failure> {
    let failed = |error: std::io::Error| {
        Failure::plain(Kind::Failed, format!("cannot keep standard input: {error}"))
    };
    let spooled = tempfile::NamedTempFile::new().map_err(failed)?;
    let file = spooled.reopen().map_err(failed)?;
    let mut file = tokio::fs::File::from_std(file);
    copy(&mut stdin(), &mut file).await.map_err(failed)?;
    file.flush().await.map_err(failed)?;
    Ok(spooled)
}

async fn mount(session: &Session, blob: &str, from: Option<&str>) -> Result<(), Failure> {
    let (repository, digest) = named(session, blob)?;
    let from = from
        .map(|from| session.sibling(&repository, from))
        .transpose()?;
    if repository.mount(&digest, from.as_ref()).await? {
        return Done::new(&repository, digest, "mounted").answer(session);
    }
    let message = format!("the registry did not mount {digest}");
    Err(Failure::plain(Kind::NotFound, message)
        .hint("it does not have the blob there, or does not do mounts; `dockhand cp` copies"))
}

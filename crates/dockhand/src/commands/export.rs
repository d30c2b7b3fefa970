//! `dockhand export`: the file system of an image, as a tar file or in a folder.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::Args;
use dockhand_client::filesystem::{Absolute, Limits, Special, Unpack, export, unpack};
use dockhand_client::image::{Image, select};
use dockhand_oci::Platform;
use serde::Serialize;
use tokio::fs;
use tokio::io::AsyncWriteExt;

use super::cat::written;
use crate::output::{count, size};
use crate::platforms::platform;
use crate::report::Failure;
use crate::session::{Opened, Session, Verb};

/// Write the file system of an image as a tar file, or into a folder
///
/// Layers are merged: what upper ones replace or delete is not there.
#[derive(Args, Clone, Debug)]
pub(crate) struct Export {
    /// Image
    image: String,
    /// Tar file; `-` is standard output
    #[arg(default_value = "-", conflicts_with = "unpack")]
    file: PathBuf,
    // As other commands have it.
    /// The same as FILE
    #[arg(short = 'o', long = "to", value_name = "FILE", conflicts_with_all = ["file", "unpack"])]
    to: Option<PathBuf>,
    /// Folder to write the files into instead, new or empty; nothing in it leads out of it
    #[arg(long, value_name = "FOLDER")]
    unpack: Option<PathBuf>,
    /// Of an index, the image for this platform: os/arch[/variant] [default: the only one, or that for
    /// Linux on this machine]
    #[arg(long, value_name = "PLATFORM", value_parser = platform)]
    platform: Option<Platform>,
    /// Leave out devices and named pipes, which a folder is refused for otherwise
    #[arg(long, requires = "unpack")]
    skip_special: bool,
    /// Refuse links that begin with / or lead out, instead of making them lead to their place in the folder
    #[arg(long, requires = "unpack")]
    refuse_absolute_links: bool,
    /// Most files to write [default: 4 million, into a folder 1 million]
    #[arg(long, value_name = "N")]
    max_files: Option<u64>,
    /// Most bytes to write [default: 256 GiB, into a folder 64 GiB]
    #[arg(long, value_name = "N")]
    max_bytes: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    digest: dockhand_oci::Digest,
    path: PathBuf,
    files: u64,
    bytes: u64,
    /// Devices and named pipes that were left out.
    skipped: u64,
}

impl Verb for Export {
    async fn run(mut self, session: &Session) -> Result<(), Failure> {
        self.file = self.to.take().unwrap_or(self.file);
        let stream = self.unpack.is_none() && self.file == Path::new("-");
        if stream && std::io::stdout().is_terminal() {
            return Err(Failure::usage("a tar file is nothing for a terminal")
                .hint("name a file, or pipe it to another program"));
        }
        let opened = session.open(&self.image).await?;
        let image = select(&*opened.store, &opened.reference, self.platform.as_ref()).await?;
        self.tell_platform(session, &opened, &image).await?;
        if stream {
            session.progress().clear();
            let limits = self.limits(Limits::default());
            let mut out = tokio::io::stdout();
            let exported = export(&*opened.store, &image, &mut out, limits).await;
            let exported = exported.map_err(written)?;
            session.note(&format!("wrote {}", told(exported.entries, exported.bytes)));
            return Ok(());
        }
        let answer = match &self.unpack {
            Some(folder) => self.write_folder(&opened, &image, folder).await?,
            None => self.write_file(&opened, &image).await?,
        };
        session.answer(&answer, |out, answer| {
            let what = told(answer.files, answer.bytes);
            writeln!(out, "{}: {what}", answer.path.display())
        })
    }
}

fn told(files: u64, bytes: u64) -> String {
    format!("{}, {}", count(files, "file"), size(bytes))
}

impl Export {
    /// Says which image of an index was chosen, unless that was asked for.
    async fn tell_platform(
        &self,
        session: &Session,
        opened: &Opened,
        image: &Image,
    ) -> Result<(), Failure> {
        if self.platform.is_some() {
            return Ok(());
        }
        let named = opened.store.find(&opened.reference).await?;
        if named.is_some_and(|named| named.digest != image.manifest.digest) {
            session.note(&format!(
                "{} is an index: this is its image for {}, --platform chooses another",
                opened.name(),
                image.platform
            ));
        }
        Ok(())
    }

    fn limits(&self, default: Limits) -> Limits {
        Limits {
            entries: self.max_files.unwrap_or(default.entries),
            bytes: self.max_bytes.unwrap_or(default.bytes),
        }
    }

    async fn write_folder(
        &self,
        opened: &Opened,
        image: &Image,
        folder: &Path,
    ) -> Result<Answer, Failure> {
        let default = Unpack::default();
        let options = Unpack {
            limits: self.limits(default.limits),
            links: match self.refuse_absolute_links {
                true => Absolute::Refuse,
                false => Absolute::Within,
            },
            special: match self.skip_special {
                true => Special::Skip,
                false => Special::Refuse,
            },
        };
        let unpacked = unpack(&*opened.store, image, folder, options).await?;
        Ok(Answer {
            digest: image.manifest.digest,
            path: folder.to_owned(),
            files: unpacked.entries,
            bytes: unpacked.bytes,
            skipped: unpacked.skipped,
        })
    }

    /// Writes beside the file first: a tar file that breaks off looks like one that does not. A pipe or
    /// a device is written to as it is.
    async fn write_file(&self, opened: &Opened, image: &Image) -> Result<Answer, Failure> {
        let failed = |error| Failure::from(dockhand_client::Error::io(&self.file, error));
        let there = fs::metadata(&self.file).await;
        let is_special = there.is_ok_and(|there| !there.is_file() && !there.is_dir());
        let mut part = self.file.clone().into_os_string();
        if !is_special {
            part.push(".part");
        }
        let part = PathBuf::from(part);
        let mut open = fs::OpenOptions::new();
        open.write(true).create(!is_special).truncate(!is_special);
        let mut file = open.open(&part).await.map_err(failed)?;
        let limits = self.limits(Limits::default());
        let exported = match export(&*opened.store, image, &mut file, limits).await {
            Ok(exported) => exported,
            Err(error) => {
                if !is_special {
                    let _ = fs::remove_file(&part).await;
                }
                return Err(error.into());
            }
        };
        file.shutdown().await.map_err(failed)?;
        if !is_special {
            fs::rename(&part, &self.file).await.map_err(failed)?;
        }
        Ok(Answer {
            digest: image.manifest.digest,
            path: self.file.clone(),
            files: exported.entries,
            bytes: exported.bytes,
            skipped: 0,
        })
    }
}

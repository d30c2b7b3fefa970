//! `dockhand pull`: an image of a registry into files.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::cp::run_all;
use crate::report::Failure;
use crate::session::{Session, Side, Verb};
use crate::transfer::{How, Job, What};

/// Pull an image into a folder or file
///
/// The same as `cp` to a place on this machine.
#[derive(Args, Clone, Debug)]
pub(crate) struct Pull {
    /// Images; several only into one OCI layout. The last may be the PATH where --to does not say it
    #[arg(required = true)]
    images: Vec<String>,
    /// Folder or file to write; `-` is standard output
    #[arg(short = 'o', long = "to", value_name = "PATH")]
    to: Option<PathBuf>,
    /// Form to write [default: that of the name: oci-archive for *.tar, otherwise oci]
    #[arg(long, value_name = "FORM")]
    format: Option<Form>,
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Folder in the OCI image layout
    Oci,
    /// The same in a tar file
    OciArchive,
    /// Tar file for `docker load`
    #[value(alias = "docker-archive")]
    Docker,
    /// Folder with manifest and blobs, as skopeo writes it
    Dir,
}

impl Verb for Pull {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let (images, to) = self.parts()?;
        let form = self.form(&to);
        if images.len() > 1 && form != Form::Oci {
            return Err(
                Failure::usage("only an OCI layout takes several images at once")
                    .hint("say --format oci, or pull one by one"),
            );
        }
        let stream = to == Path::new("-");
        if stream && matches!(form, Form::Oci | Form::Dir) {
            let message = "a folder cannot be written to standard output";
            return Err(Failure::usage(message).hint("say --format oci-archive or docker"));
        }
        let target = place(form, &to)?;
        let side = Side::of(&session.flags.access);
        let mut jobs = Vec::new();
        for image in images {
            let from = session.open_on(&side, image).await?;
            let to = session
                .create_over(&side, &target, from.image.as_ref(), self.how.replace())
                .await?;
            jobs.push(Job::new(&from, to));
        }
        run_all(session, jobs, &self.what, &self.how).await
    }
}

impl Pull {
    /// The images, and where to write them: what crane calls TARBALL is the last word.
    fn parts(&self) -> Result<(&[String], PathBuf), Failure> {
        if let Some(to) = &self.to {
            return Ok((&self.images, to.clone()));
        }
        match self.images.split_last() {
            Some((last, images)) if !images.is_empty() && is_path(last) => {
                Ok((images, PathBuf::from(last)))
            }
            _ => Err(Failure::usage("nothing says where to write it").hint("give -o PATH")),
        }
    }

    fn form(&self, to: &Path) -> Form {
        let stream = to == Path::new("-");
        let tar = to.extension().is_some_and(|end| end == "tar");
        match self.format {
            Some(form) => form,
            None if stream || tar => Form::OciArchive,
            None => Form::Oci,
        }
    }
}

/// Whether a word can only be meant as a file or folder.
fn is_path(text: &str) -> bool {
    let begins = ["./", "../", "/", "~/"];
    text == "-"
        || text == "."
        || begins.iter().any(|begin| text.starts_with(begin))
        || (text.ends_with(".tar") && !text.contains([':', '@']))
}

/// The place by its name.
fn place(form: Form, path: &Path) -> Result<String, Failure> {
    let Some(text) = path.to_str() else {
        return Err(Failure::usage(format!("{} is no UTF-8", path.display())));
    };
    Ok(match form {
        Form::Oci => format!("oci:{text}"),
        Form::OciArchive => format!("oci-archive:{text}"),
        Form::Docker => format!("docker-archive:{text}"),
        Form::Dir => format!("dir:{text}"),
    })
}

//! `dockhand edit`: what an image says, changed on every platform of it.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use dockhand_client::rewrite::{Append, Changes, Edit as Change, RewriteOptions, rewrite};
use dockhand_oci::Platform;

use crate::flags::moment;
use crate::platforms::{Platforms, platform};
use crate::report::Failure;
use crate::rewriting::{Target, pair, settings};
use crate::session::{Session, Verb};

/// Change labels, environment, command and the like of an image, on every platform of it
///
/// What is not named stays as it is, byte for byte. Attestations about images that changed are left out,
/// because they are about another image then.
#[derive(Args, Clone, Debug)]
#[command(visible_aliases = ["mutate", "annotate"])]
pub(crate) struct Edit {
    /// Image
    image: String,
    #[command(flatten)]
    platforms: Platforms,
    /// Tar file to put on top as a layer
    #[arg(long, value_name = "FILE")]
    append: Vec<PathBuf>,
    #[command(flatten)]
    run: Run,
    #[command(flatten)]
    about: About,
    #[command(flatten)]
    target: Target,
}

// No doc comments on these structs: clap would take them for the help of the command.

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "How it runs")]
struct Run {
    /// Set a variable of the environment
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = pair)]
    env: Vec<(String, String)>,
    /// Take a variable of the environment away
    #[arg(long, value_name = "NAME")]
    no_env: Vec<String>,
    /// Set what runs: a word for each flag, or a JSON list; empty takes it away. Takes the command away
    /// too, unless that is set
    #[arg(long, value_name = "WORD|JSON", allow_hyphen_values = true)]
    entrypoint: Vec<String>,
    /// Set the command, or the arguments of the entrypoint: a word for each flag, or a JSON list; empty
    /// takes it away
    #[arg(long, value_name = "WORD|JSON", allow_hyphen_values = true)]
    cmd: Vec<String>,
    /// Set the user, and group, that it runs as; empty takes it away
    #[arg(long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Set the directory that it runs in; empty takes it away
    #[arg(long, value_name = "PATH")]
    workdir: Option<String>,
    /// Add ports that it listens on
    #[arg(
        long,
        visible_alias = "exposed-ports",
        value_name = "PORT,…",
        value_delimiter = ','
    )]
    expose: Vec<String>,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "What is said of it")]
struct About {
    /// Set a label
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = pair)]
    label: Vec<(String, String)>,
    /// Take a label away
    #[arg(long, value_name = "NAME")]
    no_label: Vec<String>,
    /// Set an annotation of the manifest
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = pair)]
    annotation: Vec<(String, String)>,
    /// Take an annotation of the manifest away
    #[arg(long, value_name = "NAME")]
    no_annotation: Vec<String>,
    /// Set an annotation of the index
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    index_annotation: Vec<(String, String)>,
    /// Take an annotation of the index away
    #[arg(long, value_name = "NAME")]
    no_index_annotation: Vec<String>,
    /// Set when it was made: RFC 3339, or a date alone for its beginning in UTC
    #[arg(long, value_name = "TIME", value_parser = moment)]
    created: Option<jiff::Timestamp>,
    /// Set what it runs on
    #[arg(long, value_name = "PLATFORM", value_parser = platform)]
    set_platform: Option<Platform>,
}

impl Verb for Edit {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let options = RewriteOptions {
            platforms: self.platforms.list(),
            index_annotations: settings(
                &self.about.index_annotation,
                &self.about.no_index_annotation,
            ),
        };
        let layers = super::append::layers(&self.append).await?;
        let append = Append {
            layers,
            created: self.about.created,
            created_by: None,
        };
        let edits: [Arc<dyn Change>; 2] = [Arc::new(append), Arc::new(self.changes()?)];
        let opened = session.open(&self.image).await?;
        let made = rewrite(&opened.store, &opened.reference, &edits, &options).await?;
        let like = opened.image.as_ref();
        self.target
            .write(session, Some(&self.image), like, made)
            .await
    }
}

impl Edit {
    fn changes(&self) -> Result<Changes, Failure> {
        let (run, about) = (&self.run, &self.about);
        Ok(Changes {
            labels: settings(&about.label, &about.no_label),
            env: settings(&run.env, &run.no_env),
            entrypoint: words(&run.entrypoint)?,
            cmd: words(&run.cmd)?,
            user: run.user.clone(),
            workdir: run.workdir.clone(),
            expose: run.expose.clone(),
            annotations: settings(&about.annotation, &about.no_annotation),
            created: about.created,
            platform: about.set_platform.clone(),
        })
    }
}

/// The words of a command; nothing when the flag was not given.
fn words(given: &[String]) -> Result<Option<Vec<String>>, Failure> {
    match given {
        [] => Ok(None),
        [only] if only.is_empty() => Ok(Some(Vec::new())),
        [only] if only.starts_with('[') => serde_json::from_str(only).map(Some).map_err(|error| {
            let message = format!("{only} is no list of words: {error}");
            Failure::usage(message).hint("write [\"word\", \"word\"]")
        }),
        words => Ok(Some(words.to_vec())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_command() {
        let read = |given: &[&str]| {
            let given: Vec<String> = given.iter().map(|one| (*one).to_owned()).collect();
            words(&given).ok()
        };
        let some = |words: &[&str]| Some(Some(words.iter().map(|one| (*one).to_owned()).collect()));
        assert_eq!(read(&[]), Some(None));
        assert_eq!(read(&[""]), some(&[]));
        assert_eq!(read(&["[]"]), some(&[]));
        assert_eq!(read(&["/bin/sh", "-c"]), some(&["/bin/sh", "-c"]));
        assert_eq!(read(&[r#"["a b", "c"]"#]), some(&["a b", "c"]));
        assert_eq!(read(&["[a]"]), None);
    }
}

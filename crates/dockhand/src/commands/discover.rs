//! `dockhand discover`: what refers to an image.

use std::io::{self, Write};

use clap::{Args, ValueEnum};
use dockhand_client::Filter;
use dockhand_client::artifact::{self, Node};
use dockhand_oci::{Descriptor, Platform};
use serde::Serialize;

use crate::flags;
use crate::image;
use crate::output::{Output, printable, size, table};
use crate::platforms::platform;
use crate::report::Failure;
use crate::session::{Session, Verb};

/// Levels of referrers that are shown as a tree, unless --depth says otherwise.
const DEPTH: usize = 8;

/// List what refers to an image: signatures, SBOMs, attestations
#[derive(Args, Clone, Debug)]
#[command(visible_alias = "referrers")]
pub(crate) struct Discover {
    /// Image
    image: String,
    /// Of an index, the image for this platform: os/arch[/variant], or `local`
    #[arg(long, value_name = "PLATFORM", value_parser = platform)]
    platform: Option<Platform>,
    /// Only of this artifact type
    #[arg(long, value_name = "TYPE")]
    artifact_type: Option<String>,
    /// Only with this annotation, of any value where none is named
    #[arg(short, long, value_name = "KEY[=VALUE]", value_parser = annotation)]
    annotation: Vec<(String, Option<String>)>,
    /// With what refers to those in turn
    #[arg(long)]
    tree: bool,
    /// How many levels of a tree [default: 8]
    #[arg(long, value_name = "N")]
    depth: Option<usize>,
    // As oras says it.
    /// Form of the answer: json, tree or table
    #[arg(short = 'o', long = "format", hide = true, value_name = "FORM")]
    format: Option<Form>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Json,
    Tree,
    #[value(alias = "text")]
    Table,
}

#[derive(Serialize)]
struct Answer {
    name: String,
    #[serde(flatten)]
    subject: Descriptor,
    referrers: Vec<Node>,
}

impl Verb for Discover {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let opened = session.open(&self.image).await?;
        let subject = image::subject(&opened, self.platform.as_ref()).await?;
        let tree = self.tree || self.format == Some(Form::Tree);
        let depth = match (self.depth, tree) {
            (Some(depth), _) => depth,
            (None, true) => DEPTH,
            (None, false) => 1,
        };
        let filter = Filter {
            artifact_type: self.artifact_type,
            annotations: self.annotation,
        };
        let referrers = artifact::discover(&opened.store, &subject.digest, depth, &filter).await?;
        if session.output.is_csv() {
            return session.answer(&referrers, |_, _| Ok(()));
        }
        let name = image::by_digest(&*opened.store, subject.digest);
        let answer = Answer {
            name,
            subject,
            referrers,
        };
        if self.format == Some(Form::Json) {
            session.progress().clear();
            return Output::new(flags::Form::Json).answer(&answer, |_, _| Ok(()));
        }
        if answer.referrers.is_empty() {
            let of = match (&filter.artifact_type, filter.annotations.is_empty()) {
                (Some(kind), _) => format!(" of type {kind}"),
                (None, false) => " with these annotations".to_owned(),
                (None, true) => String::new(),
            };
            session.note(&format!("nothing{of} refers to {}", answer.name));
        }
        session.answer(&answer, |out, answer| {
            if depth > 1 {
                writeln!(out, "{}", answer.name)?;
                return branches(out, &answer.referrers, "");
            }
            if answer.referrers.is_empty() {
                return Ok(());
            }
            let rows = answer.referrers.iter().map(|node| {
                let one = &node.descriptor;
                [
                    kind_of(one).to_owned(),
                    one.digest.to_string(),
                    size(one.size),
                ]
            });
            write!(
                out,
                "{}",
                table(&["ARTIFACT TYPE", "DIGEST", "MANIFEST"], rows)
            )
        })
    }
}

fn annotation(text: &str) -> Result<(String, Option<String>), String> {
    match text.split_once('=') {
        Some(("", _)) => Err("write KEY or KEY=VALUE".to_owned()),
        Some((key, value)) => Ok((key.to_owned(), Some(value.to_owned()))),
        None => Ok((text.to_owned(), None)),
    }
}

fn kind_of(one: &Descriptor) -> &str {
    one.artifact_type.as_deref().unwrap_or(&one.media_type)
}

fn branches(out: &mut dyn Write, nodes: &[Node], indent: &str) -> io::Result<()> {
    let last = nodes.len().saturating_sub(1);
    for (at, node) in nodes.iter().enumerate() {
        let (branch, below) = if at == last {
            ("└── ", "    ")
        } else {
            ("├── ", "│   ")
        };
        let one = &node.descriptor;
        writeln!(
            out,
            "{indent}{branch}{} {}",
            printable(kind_of(one)),
            one.digest
        )?;
        let deeper = format!("{indent}{below}");
        for (key, value) in &one.annotations {
            writeln!(out, "{deeper}  {}={}", printable(key), printable(value))?;
        }
        branches(out, &node.referrers, &deeper)?;
    }
    Ok(())
}

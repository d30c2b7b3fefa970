//! `dockhand diff`: how two images differ.

use std::io::{self, Write};

use clap::Args;
use dockhand_client::diff::{DiffOptions, FieldChange, FileChange, diff};
use dockhand_client::filesystem::{FileEntry, FileKind, Limits};
use dockhand_client::image::{Image, select};
use dockhand_oci::Platform;
use serde::Serialize;
use serde_json::{Value, json};

use crate::output::{printable, size};
use crate::platforms::platform;
use crate::report::{Failure, Kind};
use crate::session::{Opened, Session, Verb};

/// Show how two images differ: manifest, config and files
///
/// Exits with 8 when they do.
#[derive(Args, Clone, Debug)]
pub(crate) struct Diff {
    /// Image before
    before: String,
    /// Image after
    after: String,
    /// Of indexes, the images for this platform: os/arch[/variant] [default: the only one, or that for
    /// Linux on this machine]
    #[arg(long, value_name = "PLATFORM", value_parser = platform)]
    platform: Option<Platform>,
    /// Do not compare files, for which layers must be read
    #[arg(long)]
    no_files: bool,
    /// Also tell files of which only the time of change differs
    #[arg(long)]
    times: bool,
}

#[derive(Serialize)]
struct Answer {
    before: String,
    after: String,
    manifest: Vec<Field>,
    config: Vec<Field>,
    files: Vec<Entry>,
}

#[derive(Serialize)]
struct Field {
    pointer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Value>,
}

#[derive(Serialize)]
struct Entry {
    path: String,
    change: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Value>,
}

impl Verb for Diff {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let (before, old) = self.open(session, &self.before).await?;
        let (after, new) = self.open(session, &self.after).await?;
        let options = DiffOptions {
            files: !self.no_files,
            times: self.times,
            limits: Limits::default(),
        };
        let found = diff((&*before.store, &old), (&*after.store, &new), options).await?;
        let same = found.is_empty();
        let answer = Answer {
            before: before.name(),
            after: after.name(),
            manifest: found.manifest.into_iter().map(field).collect(),
            config: found.config.into_iter().map(field).collect(),
            files: found.files.iter().map(entry).collect(),
        };
        session.answer(&answer, |out, answer| answer.print(out))?;
        match same {
            true => Ok(()),
            false => Err(Failure::answer(Kind::Differs)),
        }
    }
}

impl Diff {
    async fn open(&self, session: &Session, image: &str) -> Result<(Opened, Image), Failure> {
        let opened = session.open(image).await?;
        let image = select(&*opened.store, &opened.reference, self.platform.as_ref()).await?;
        Ok((opened, image))
    }
}

fn field(change: FieldChange) -> Field {
    Field {
        pointer: change.pointer,
        before: change.before,
        after: change.after,
    }
}

fn entry(change: &FileChange) -> Entry {
    Entry {
        path: change.path.to_string(),
        change: match (&change.before, &change.after) {
            (None, _) => "added",
            (_, None) => "removed",
            _ => "changed",
        },
        before: change.before.as_ref().map(told),
        after: change.after.as_ref().map(told),
    }
}

/// What is said of a file.
fn told(entry: &FileEntry) -> Value {
    let kind = match &entry.kind {
        FileKind::File => "file",
        FileKind::Directory => "directory",
        FileKind::Symlink(_) => "symlink",
        FileKind::Hardlink(_) => "hardlink",
        FileKind::Special => "special",
    };
    let mut told = json!({
        "kind": kind, "mode": format!("{:04o}", entry.mode), "uid": entry.uid, "gid": entry.gid,
        "mtime": entry.mtime, "size": entry.size, "layer": entry.layer,
    });
    if let Some(digest) = entry.digest {
        told["digest"] = json!(digest);
    }
    match &entry.kind {
        FileKind::Symlink(target) => told["target"] = json!(String::from_utf8_lossy(target)),
        FileKind::Hardlink(target) => told["target"] = json!(target.to_string()),
        _ => {}
    }
    if !entry.attributes.is_empty() {
        let names: Vec<&String> = entry.attributes.keys().collect();
        told["attributes"] = json!(names);
    }
    told
}

impl Answer {
    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        for (name, fields) in [("manifest", &self.manifest), ("config", &self.config)] {
            for one in fields {
                let pointer = printable(&one.pointer);
                match (&one.before, &one.after) {
                    (None, Some(after)) => writeln!(out, "+ {name} {pointer} {after}")?,
                    (Some(before), None) => writeln!(out, "- {name} {pointer} {before}")?,
                    (before, after) => {
                        let [before, after] = [before, after]
                            .map(|value| value.as_ref().map(Value::to_string).unwrap_or_default());
                        writeln!(out, "~ {name} {pointer} {before} -> {after}")?;
                    }
                }
            }
        }
        for one in &self.files {
            let path = printable(&one.path);
            match (&one.before, &one.after) {
                (None, Some(after)) => writeln!(out, "+ {path}  {}", short(after))?,
                (Some(before), None) => writeln!(out, "- {path}  {}", short(before))?,
                (Some(before), Some(after)) => {
                    writeln!(out, "~ {path}  {}", changed(before, after))?;
                }
                (None, None) => {}
            }
        }
        Ok(())
    }
}

fn short(told: &Value) -> String {
    match told["kind"].as_str() {
        Some("file") => size(told["size"].as_u64().unwrap_or(0)),
        kind => kind.unwrap_or_default().to_owned(),
    }
}

/// What of a file changed: `size 3 B -> 4 B, mode 0644 -> 0755`, or its content.
fn changed(before: &Value, after: &Value) -> String {
    let mut said = Vec::new();
    for field in ["kind", "target", "mode", "uid", "gid", "size", "mtime"] {
        let (old, new) = (&before[field], &after[field]);
        let shown = |value: &Value| match value {
            Value::String(text) => printable(text).into_owned(),
            other => other.to_string(),
        };
        // The time follows every other change; it is worth a word only by itself.
        let alone = field != "mtime" || (said.is_empty() && before["digest"] == after["digest"]);
        if old != new && alone {
            said.push(format!("{field} {} -> {}", shown(old), shown(new)));
        }
    }
    if said.is_empty() {
        said.push(
            match before["digest"] == after["digest"] {
                true => "attributes",
                false => "content",
            }
            .to_owned(),
        );
    }
    said.join(", ")
}

//! `dockhand diff`: how two images differ.

mod indexes;

use std::io::{self, Write};

use clap::Args;
use dockhand_client::diff::{DiffOptions, FieldChange, FileChange, ImageDiff, diff, documents};
use dockhand_client::filesystem::{FileEntry, FileKind, Limits};
use dockhand_client::image::{Image, Listed, select};
use dockhand_client::{RawManifest, Store};
use dockhand_oci::Platform;
use serde::Serialize;
use serde_json::{Value, json};

use crate::output::{printable, size};
use crate::platforms::platform;
use crate::report::{Failure, Kind};
use crate::session::{Opened, Session, Verb};

/// Show how two images differ: manifest, config and files
///
/// Of indexes, first what they say and list themselves, then the images of each platform that both have.
/// Exits with 8 when the digests differ; with --platform when those images differ in something.
#[derive(Args, Clone, Debug)]
pub(crate) struct Diff {
    /// Image before
    before: String,
    /// Image after
    after: String,
    /// Of indexes, only the images for this platform: os/arch[/variant], or `local`
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
    same: bool,
    #[serde(flatten)]
    changes: Changes,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    index: Option<indexes::Changes>,
}

/// How two manifests differ, and what they name.
#[derive(Default, Serialize)]
struct Changes {
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
        let before = session.open(&self.before).await?;
        let after = session.open(&self.after).await?;
        let answer = match &self.platform {
            Some(platform) => self.chosen(&before, &after, platform).await?,
            None => self.all(&before, &after).await?,
        };
        session.answer(&answer, |out, answer| answer.print(out))?;
        match answer.same {
            true => Ok(()),
            false => Err(Failure::answer(Kind::Differs)),
        }
    }
}

impl Diff {
    /// Compares the images for one platform.
    async fn chosen(
        &self,
        before: &Opened,
        after: &Opened,
        platform: &Platform,
    ) -> Result<Answer, Failure> {
        let old = select(&*before.store, &before.reference, Some(platform)).await?;
        let new = select(&*after.store, &after.reference, Some(platform)).await?;
        let found = diff(
            (&*before.store, &old),
            (&*after.store, &new),
            self.options(),
        )
        .await?;
        let same = found.is_empty();
        Ok(Answer {
            before: before.name(),
            after: after.name(),
            same,
            changes: found.into(),
            index: None,
        })
    }

    /// Compares all that is named.
    async fn all(&self, before: &Opened, after: &Opened) -> Result<Answer, Failure> {
        let old = before.store.manifest(&before.reference).await?;
        let new = after.store.manifest(&after.reference).await?;
        let mut answer = Answer {
            before: before.name(),
            after: after.name(),
            same: old.digest == new.digest,
            changes: Changes::default(),
            index: None,
        };
        if answer.same {
            return Ok(answer);
        }
        let (old, new) = ((&*before.store, old), (&*after.store, new));
        if indexes::is_index(&old.1)? || indexes::is_index(&new.1)? {
            answer.changes.manifest = indexes::own_changes(&old.1, &new.1)?;
            answer.index = Some(indexes::changes(self, old, new).await?);
        } else {
            answer.changes = self.manifests(old, new).await?;
        }
        Ok(answer)
    }

    /// Compares two manifests that are no indexes.
    async fn manifests(
        &self,
        (before, old): (&dyn Store, RawManifest),
        (after, new): (&dyn Store, RawManifest),
    ) -> Result<Changes, Failure> {
        let is_image = |manifest: &RawManifest| {
            let manifest = manifest.clone();
            let descriptor = None;
            Listed {
                manifest,
                descriptor,
            }
            .is_image()
        };
        if !is_image(&old) || !is_image(&new) {
            return Ok(Changes {
                manifest: fields(documents(&old.bytes, &new.bytes)?),
                ..Changes::default()
            });
        }
        let old = Image::read(before, old).await?;
        let new = Image::read(after, new).await?;
        Ok(diff((before, &old), (after, &new), self.options())
            .await?
            .into())
    }

    fn options(&self) -> DiffOptions {
        DiffOptions {
            files: !self.no_files,
            times: self.times,
            limits: Limits::default(),
        }
    }
}

impl From<ImageDiff> for Changes {
    fn from(found: ImageDiff) -> Self {
        Self {
            manifest: fields(found.manifest),
            config: fields(found.config),
            files: found.files.iter().map(entry).collect(),
        }
    }
}

fn fields(changes: Vec<FieldChange>) -> Vec<Field> {
    changes.into_iter().map(field).collect()
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
        let name = match self.index {
            Some(_) => "index",
            None => "manifest",
        };
        print_fields(out, name, &self.changes.manifest)?;
        self.changes.print_rest(out)?;
        if let Some(index) = &self.index {
            index.print(out)?;
        }
        let silent = self.changes.is_empty() && { self.index.as_ref() }
            .is_none_or(indexes::Changes::is_empty);
        if silent && !self.same {
            writeln!(
                out,
                "~ {name} the same in another order, or written otherwise"
            )?;
        }
        Ok(())
    }
}

fn print_fields(out: &mut dyn Write, name: &str, fields: &[Field]) -> io::Result<()> {
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
    Ok(())
}

impl Changes {
    fn is_empty(&self) -> bool {
        self.manifest.is_empty() && self.config.is_empty() && self.files.is_empty()
    }

    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        print_fields(out, "manifest", &self.manifest)?;
        self.print_rest(out)
    }

    /// What is not of the manifest.
    fn print_rest(&self, out: &mut dyn Write) -> io::Result<()> {
        print_fields(out, "config", &self.config)?;
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

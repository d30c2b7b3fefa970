//! `dockhand inspect`: what a person wants to know of an image.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use clap::Args;
use dockhand_client::artifact::TITLE;
use dockhand_client::image::is_image_config;
use dockhand_client::{RawManifest, Store};
use dockhand_oci::{Descriptor, Digest, Manifest, ManifestKind, Platform, Reference, Tag};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;

use crate::image;
use crate::output::{count, printable, size, table};
use crate::platforms::platform;
use crate::report::{Failure, Kind};
use crate::session::{Opened, Session, Verb};

/// How many images of an index are read at once.
const LANES: usize = 16;

/// Show what an image is: platforms, sizes, when it was made, what it runs
#[derive(Args, Clone, Debug)]
pub(crate) struct Inspect {
    /// Image
    pub(super) image: String,
    /// Of an index, only the image for this platform: os/arch[/variant], or `local`
    #[arg(long, value_name = "PLATFORM", value_parser = platform)]
    pub(super) platform: Option<Platform>,
    /// List the tags of the repository too
    #[arg(long)]
    tags: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Inspected {
    schema_version: u8,
    name: String,
    digest: Digest,
    /// `image`, `index` or `artifact`.
    kind: &'static str,
    media_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    /// Bytes of all that is counted below, each once.
    size: u64,
    annotations: BTreeMap<String, String>,
    images: Vec<Image>,
    /// What an artifact has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<Content>,
    /// How many manifests refer to it; nothing where the place does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    referrers: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<Tag>>,
}

/// One image of those that an index lists, or the only one.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Image {
    digest: Digest,
    kind: &'static str,
    /// What is not there: `manifest` or `config`.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    platform: Option<String>,
    /// Bytes of manifest, config and layers.
    size: u64,
    layers: usize,
    layer_data: Vec<Content>,
    created: Option<String>,
    user: Option<String>,
    entrypoint: Vec<String>,
    cmd: Vec<String>,
    working_dir: Option<String>,
    env: Vec<String>,
    exposed_ports: Vec<String>,
    labels: BTreeMap<String, String>,
    #[serde(skip)]
    parts: BTreeMap<Digest, u64>,
}

/// A layer of an image, or a file of an artifact.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    media_type: String,
    size: u64,
    digest: Digest,
}

impl Verb for Inspect {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let opened = session.open(&self.image).await?;
        let inspected = self.inspect(&opened).await?;
        session.answer(&inspected, |out, inspected| inspected.print(out))?;
        inspected.check()
    }
}

impl Inspect {
    async fn inspect(&self, opened: &Opened) -> Result<Inspected, Failure> {
        let (root, parsed) = match &self.platform {
            Some(platform) => image::pick(opened, Some(platform)).await?,
            None => {
                let root = opened.store.manifest(&opened.reference).await?;
                let parsed = root.parse()?;
                (root, parsed)
            }
        };
        let images = images(opened, &root, &parsed).await?;
        let mut parts: BTreeMap<Digest, u64> = BTreeMap::new();
        parts.insert(root.digest, root.bytes.len() as u64);
        for image in &images {
            parts.extend(&image.parts);
        }
        let tags = match self.tags {
            true => Some(opened.store.tags().await?),
            false => None,
        };
        let kind = image::kind(&parsed);
        Ok(Inspected {
            schema_version: 1,
            name: opened.name(),
            digest: root.digest,
            kind,
            files: match kind {
                "artifact" => image::layers(&parsed).map(Content::of).collect(),
                _ => Vec::new(),
            },
            media_type: root.media_type,
            artifact_type: artifact_type(&parsed),
            size: parts.values().sum(),
            annotations: parsed.annotations,
            images,
            // What a place does not tell is no reason to show nothing.
            referrers: opened
                .store
                .referrers(&root.digest)
                .await
                .ok()
                .map(|list| list.len()),
            tags,
        })
    }
}

/// What an artifact is; nothing of an image.
fn artifact_type(manifest: &Manifest) -> Option<String> {
    let said = manifest.artifact_type.clone();
    said.filter(|kind| !is_image_config(kind))
}

async fn images(
    opened: &Opened,
    root: &RawManifest,
    parsed: &Manifest,
) -> Result<Vec<Image>, Failure> {
    let store = &opened.store;
    if parsed.kind == ManifestKind::Image {
        return Ok(vec![one(store, root, parsed, None).await?]);
    }
    let children = image::images(parsed).cloned();
    let read = stream::iter(children).map(|child| async move {
        let read = store.manifest(&Reference::Digest(child.digest)).await;
        let Some(manifest) = image::there(read)? else {
            return Ok(Image::missing(&child));
        };
        let parsed = manifest.parse()?;
        one(store, &manifest, &parsed, child.platform.as_ref()).await
    });
    read.buffered(LANES).try_collect().await
}

async fn one(
    store: &Arc<dyn Store>,
    manifest: &RawManifest,
    parsed: &Manifest,
    platform: Option<&Platform>,
) -> Result<Image, Failure> {
    let config = image::there(image::read_config(&**store, parsed).await)?;
    let missing = config.is_none().then_some("config");
    let config = config.unwrap_or_default();
    let said = Some(&config.platform).filter(|own| !own.os.is_empty());
    let mut parts: BTreeMap<Digest, u64> = parsed
        .links
        .iter()
        .map(|link| (link.descriptor.digest, link.descriptor.size))
        .collect();
    parts.insert(manifest.digest, manifest.bytes.len() as u64);
    let runtime = config.config.clone().unwrap_or_default();
    let some = |text: Option<String>| text.filter(|text| !text.is_empty());
    Ok(Image {
        digest: manifest.digest,
        kind: image::kind(parsed),
        missing,
        artifact_type: artifact_type(parsed),
        platform: platform.or(said).map(ToString::to_string),
        size: parts.values().sum(),
        layers: image::layers(parsed).count(),
        layer_data: image::layers(parsed).map(Content::of).collect(),
        created: config.created.clone(),
        user: some(runtime.user),
        entrypoint: runtime.entrypoint.unwrap_or_default(),
        cmd: runtime.cmd.unwrap_or_default(),
        working_dir: some(runtime.working_dir),
        env: runtime.env.unwrap_or_default(),
        exposed_ports: runtime
            .exposed_ports
            .unwrap_or_default()
            .into_keys()
            .collect(),
        labels: runtime.labels.unwrap_or_default(),
        parts,
    })
}

impl Content {
    fn of(one: &Descriptor) -> Self {
        Self {
            title: one.annotations.get(TITLE).cloned(),
            media_type: one.media_type.clone(),
            size: one.size,
            digest: one.digest,
        }
    }
}

impl Inspected {
    /// # Errors
    /// What is missing of it.
    fn check(&self) -> Result<(), Failure> {
        let missing: Vec<String> = { self.images.iter() }
            .filter_map(|image| {
                let what = image.missing?;
                let of = image.platform.as_ref().map(|name| format!(" for {name}"));
                Some(format!(
                    "{what}{} ({})",
                    of.unwrap_or_default(),
                    image.digest
                ))
            })
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let message = format!("{} lacks the {}", self.name, missing.join(", the "));
        let hint = "look at all of it with `dockhand validate`; push or copy it again to mend it";
        Err(Failure::plain(Kind::Partial, message).hint(hint))
    }

    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut head = vec![
            ["name".to_owned(), self.name.clone()],
            ["digest".to_owned(), self.digest.to_string()],
            ["kind".to_owned(), self.kind.to_owned()],
            ["size".to_owned(), size(self.size)],
        ];
        if let Some(kind) = &self.artifact_type {
            head.push(["artifact type".to_owned(), kind.clone()]);
        }
        if let Some(referrers) = self.referrers {
            head.push(["referrers".to_owned(), referrers.to_string()]);
        }
        write!(out, "{}", table(&[], head))?;
        pairs(out, "annotations", &self.annotations)?;
        match self.kind {
            "artifact" => print_files(out, &self.files)?,
            _ => self.print_images(out)?,
        }
        if let Some(tags) = &self.tags {
            writeln!(out, "\ntags:")?;
            for tag in tags {
                writeln!(out, "  {tag}")?;
            }
        }
        Ok(())
    }
}

impl Inspected {
    fn print_images(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.images.is_empty() {
            return Ok(());
        }
        let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let rows = self.images.iter().map(|image| {
            let name = image.platform.as_ref().or(image.artifact_type.as_ref());
            let (size, layers) = match image.missing {
                Some("manifest") => ("missing".to_owned(), "-".to_owned()),
                _ => (size(image.size), count(image.layers as u64, "layer")),
            };
            let created = match image.missing {
                Some("config") => "config missing".to_owned(),
                _ => known(&image.created),
            };
            let digest = image.digest.to_string();
            [known(&name.cloned()), size, layers, created, digest]
        });
        let head = ["PLATFORM", "SIZE", "LAYERS", "CREATED", "DIGEST"];
        write!(out, "\n{}", table(&head, rows))?;
        // What containers run is mostly the same for all platforms: that of the first says it.
        match self.images.iter().find(|image| image.missing.is_none()) {
            Some(image) => image.print(out),
            None => Ok(()),
        }
    }
}

fn print_files(out: &mut dyn Write, files: &[Content]) -> io::Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    let rows = files.iter().map(|file| {
        let title = file.title.clone().unwrap_or_else(|| "-".to_owned());
        let digest = file.digest.to_string();
        [title, file.media_type.clone(), size(file.size), digest]
    });
    let head = ["FILE", "TYPE", "SIZE", "DIGEST"];
    write!(out, "\n{}", table(&head, rows))
}

impl Image {
    /// What an index lists and nobody has.
    fn missing(child: &Descriptor) -> Self {
        Self {
            digest: child.digest,
            kind: "image",
            missing: Some("manifest"),
            artifact_type: child.artifact_type.clone(),
            platform: child.platform.as_ref().map(ToString::to_string),
            size: 0,
            layers: 0,
            layer_data: Vec::new(),
            created: None,
            user: None,
            entrypoint: Vec::new(),
            cmd: Vec::new(),
            working_dir: None,
            env: Vec::new(),
            exposed_ports: Vec::new(),
            labels: BTreeMap::new(),
            parts: BTreeMap::new(),
        }
    }

    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let words = |words: &[String]| serde_json::to_string(words).unwrap_or_default();
        let list = |list: &[String]| {
            if list.is_empty() {
                String::new()
            } else {
                words(list)
            }
        };
        let rows = [
            ("entrypoint", list(&self.entrypoint)),
            ("command", list(&self.cmd)),
            ("user", self.user.clone().unwrap_or_default()),
            ("folder", self.working_dir.clone().unwrap_or_default()),
            ("ports", self.exposed_ports.join(", ")),
        ];
        let rows = rows.into_iter().filter(|(_, value)| !value.is_empty());
        let rows: Vec<_> = rows.map(|(name, value)| [name.to_owned(), value]).collect();
        if !rows.is_empty() {
            write!(out, "\n{}", table(&[], rows))?;
        }
        if !self.env.is_empty() {
            writeln!(out, "\nenvironment:")?;
            for variable in &self.env {
                writeln!(out, "  {}", printable(variable))?;
            }
        }
        pairs(out, "labels", &self.labels)
    }
}

fn pairs(out: &mut dyn Write, name: &str, pairs: &BTreeMap<String, String>) -> io::Result<()> {
    if pairs.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{name}:")?;
    for (key, value) in pairs {
        writeln!(out, "  {}={}", printable(key), printable(value))?;
    }
    Ok(())
}

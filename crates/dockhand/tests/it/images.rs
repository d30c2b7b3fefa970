//! Images to work with, put into a registry by the command itself.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::serving::{Serving, dockhand, text};

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A registry and a folder to work in.
pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    pub(crate) server: Serving,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Serving::start(folder.path(), &[]);
        Self { folder, server }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `name` in the registry.
    pub(crate) fn at(&self, name: &str) -> String {
        format!("{}/{name}", self.server.host())
    }

    pub(crate) fn command(&self, line: &[&str]) -> Command {
        let mut command = dockhand(self.path());
        command.args(line).args(["--retries", "0"]);
        command
    }

    /// Runs the command in the folder; `%` in an argument is the registry.
    pub(crate) fn run(&self, line: &[&str]) -> Output {
        let line: Vec<String> = line
            .iter()
            .map(|word| word.replace('%', self.server.host()))
            .collect();
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        self.command(&line).output().unwrap()
    }

    /// The output of a command that must succeed.
    pub(crate) fn ok(&self, line: &[&str]) -> String {
        let output = self.run(line);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{line:?}: {error}");
        text(&output.stdout)
    }

    /// The output of a command that must succeed, as JSON.
    pub(crate) fn json(&self, line: &[&str]) -> Value {
        let printed = self.ok(&[line, &["--json"]].concat());
        serde_json::from_str(&printed)
            .unwrap_or_else(|error| panic!("{line:?}: {error}: {printed}"))
    }

    /// The errors of a command that must exit with this code, and print nothing.
    pub(crate) fn fails(&self, code: i32, line: &[&str]) -> String {
        let output = self.run(line);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{line:?}: {error}");
        error
    }

    /// Puts bytes as a blob and gives its descriptor.
    pub(crate) fn blob(&self, repository: &str, media_type: &str, bytes: &[u8]) -> Value {
        std::fs::write(self.path().join("blob.tmp"), bytes).unwrap();
        let digest = self.ok(&["blob", "put", &self.at(repository), "blob.tmp"]);
        json!({ "mediaType": media_type, "digest": digest.trim(), "size": bytes.len() })
    }

    /// Puts a manifest and gives its digest.
    pub(crate) fn manifest(&self, name: &str, manifest: &Value) -> String {
        std::fs::write(self.path().join("manifest.tmp"), manifest.to_string()).unwrap();
        let pinned = self.ok(&["manifest", "put", &self.at(name), "manifest.tmp"]);
        pinned.trim().split_once('@').unwrap().1.to_owned()
    }

    /// An image for a processor, made at a time, with a layer of these bytes.
    pub(crate) fn image(&self, name: &str, made: Made<'_>) -> Value {
        let repository = name.split([':', '@']).next().unwrap();
        let config = json!({
            "architecture": made.processor, "os": "linux", "created": made.at,
            "config": {
                "Entrypoint": ["/app"], "Cmd": ["--serve"], "User": "1000", "Env": ["A=b"],
                "ExposedPorts": { "80/tcp": {} }, "Labels": { "team": "blue" },
            },
            "rootfs": { "type": "layers", "diff_ids": [] },
        });
        let config = config.to_string();
        let config_type = "application/vnd.oci.image.config.v1+json";
        let config = self.blob(repository, config_type, config.as_bytes());
        let layer_type = "application/vnd.oci.image.layer.v1.tar";
        let layer = self.blob(repository, layer_type, made.layer);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer],
            "annotations": { "title": "app" },
        });
        let digest = self.manifest(name, &manifest);
        json!({
            "mediaType": MANIFEST, "digest": digest, "size": manifest.to_string().len(),
            "platform": { "os": "linux", "architecture": made.processor },
        })
    }

    /// An index of two images; gives its digest and theirs.
    pub(crate) fn index(&self, name: &str) -> (String, Vec<String>) {
        let repository = name.split(':').next().unwrap();
        let children: Vec<Value> = ["amd64", "arm64"]
            .map(|processor| {
                let layer = format!("layer of {name} for {processor}");
                let made = Made {
                    processor,
                    layer: layer.as_bytes(),
                    ..Made::default()
                };
                self.image(repository, made)
            })
            .to_vec();
        let digests = children
            .iter()
            .map(|child| child["digest"].as_str().unwrap().to_owned());
        let digests = digests.collect();
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": children });
        (self.manifest(name, &index), digests)
    }
}

/// What an image is made of.
#[derive(Clone, Copy)]
pub(crate) struct Made<'a> {
    pub(crate) processor: &'a str,
    pub(crate) at: &'a str,
    pub(crate) layer: &'a [u8],
}

impl Default for Made<'_> {
    fn default() -> Self {
        Self {
            processor: "amd64",
            at: "2024-01-02T03:04:05Z",
            layer: b"a layer",
        }
    }
}

//! A server around the router, without a port, and the words that tests are written in.

use std::fmt::Write;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use dockhand_oci::{Algorithm, Digest};
use dockhand_registry::blob_store::memory::Memory;
use dockhand_registry::metadata::Metadata;
use dockhand_registry::{Registry, Settings};
use dockhand_server::{App, Options, Peer};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

/// A registry in memory behind its router.
pub(crate) struct TestServer {
    pub(crate) app: Arc<App>,
    pub(crate) registry: Registry,
}

/// An answer with its body read.
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

impl TestServer {
    pub(crate) fn new() -> Self {
        Self::with(Settings::default(), Options::default())
    }

    pub(crate) fn with(settings: Settings, options: Options) -> Self {
        let options = Options {
            access_log: false,
            ..options
        };
        Self::as_set(settings, options)
    }

    /// One that logs each request.
    pub(crate) fn logging() -> Self {
        Self::as_set(Settings::default(), Options::default())
    }

    pub(crate) fn as_set(settings: Settings, options: Options) -> Self {
        let metadata = Arc::new(Metadata::in_memory().unwrap());
        let registry = Registry::new(Arc::new(Memory::new()), metadata, settings);
        Self {
            app: App::new(registry.clone(), options, true),
            registry,
        }
    }

    /// Sends a request as it stands: `"PUT /v2/…"`, headers as pairs, and a body.
    pub(crate) async fn send(
        &self,
        line: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answered {
        let (method, uri) = line.split_once(' ').unwrap();
        let uri = uri.strip_prefix("http://registry.test").unwrap_or(uri);
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(uri)
            .header("host", "registry.test");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(body.into()).unwrap();
        let peer = Peer {
            address: "192.0.2.1:1234".parse().unwrap(),
            local_port: Some(80),
            tls: false,
        };
        request.extensions_mut().insert(peer);
        let response: Response<Body> = self.app.router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answered {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    pub(crate) async fn get(&self, uri: &str) -> Answered {
        self.send(&format!("GET {uri}"), &[], "").await
    }

    /// Pushes a blob in one request and gives its digest.
    pub(crate) async fn push_blob(&self, repo: &str, bytes: &[u8]) -> Digest {
        let digest = Algorithm::Sha256.digest(bytes);
        let line = format!("POST /v2/{repo}/blobs/uploads/?digest={digest}");
        let answered = self.send(&line, &[], bytes.to_vec()).await;
        assert_eq!(answered.status, 201, "{}", answered.show());
        digest
    }

    /// Begins an upload and gives its `Location`.
    pub(crate) async fn begin(&self, repo: &str) -> String {
        let answered = self
            .send(&format!("POST /v2/{repo}/blobs/uploads/"), &[], "")
            .await;
        assert_eq!(answered.status, 202, "{}", answered.show());
        answered.header("location").to_owned()
    }

    /// Pushes an image of one config and one layer by a tag and gives its digest.
    pub(crate) async fn push_image(&self, repo: &str, tag: &str, layer: &[u8]) -> Digest {
        let config = self.push_blob(repo, b"{}").await;
        let layer_digest = self.push_blob(repo, layer).await;
        let manifest = image(&config, 2, &[(layer_digest, layer.len())], "");
        self.push_manifest(repo, tag, OCI_MANIFEST, &manifest).await
    }

    pub(crate) async fn push_manifest(
        &self,
        repo: &str,
        reference: &str,
        media_type: &str,
        bytes: &str,
    ) -> Digest {
        let line = format!("PUT /v2/{repo}/manifests/{reference}");
        let answered = self
            .send(&line, &[("content-type", media_type)], bytes.to_owned())
            .await;
        assert_eq!(answered.status, 201, "{}", answered.show());
        Algorithm::Sha256.digest(bytes.as_bytes())
    }
}

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// An image manifest; `more` is further JSON such as `,"subject":{…}`.
pub(crate) fn image(
    config: &Digest,
    config_size: usize,
    layers: &[(Digest, usize)],
    more: &str,
) -> String {
    let layers: Vec<String> = layers
        .iter()
        .map(|(digest, size)| {
            format!(r#"{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{digest}","size":{size}}}"#)
        })
        .collect();
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":{config_size}}},"layers":[{}]{more}}}"#,
        layers.join(",")
    )
}

impl Answered {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The code of the first error.
    pub(crate) fn code(&self) -> String {
        self.json()["errors"][0]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The whole answer as text, with what differs from run to run blanked.
    pub(crate) fn show(&self) -> String {
        let mut text = format!("{}\n", self.status);
        let mut names: Vec<_> = self
            .headers
            .keys()
            .map(|name| name.as_str().to_owned())
            .collect();
        names.sort();
        names.dedup();
        for name in names {
            for value in self.headers.get_all(&name) {
                let value = match name.as_str() {
                    "x-request-id" => "<id>",
                    _ => value.to_str().unwrap(),
                };
                writeln!(text, "{name}: {}", blank_upload(value)).unwrap();
            }
        }
        if !self.body.is_empty() {
            let body = String::from_utf8_lossy(&self.body);
            write!(text, "\n{}", blank_upload(&body)).unwrap();
        }
        text
    }
}

/// Replaces identities of uploads, which are random.
fn blank_upload(text: &str) -> String {
    let is_uuid = |part: &str| part.len() == 36 && part.matches('-').count() == 4;
    let mut out = String::new();
    let mut rest = text;
    while let Some(place) = rest.char_indices().map(|(at, _)| at).find(|at| {
        rest.get(*at..*at + 36).is_some_and(|part| {
            is_uuid(part) && part.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
        })
    }) {
        out.push_str(&rest[..place]);
        out.push_str("<upload>");
        rest = &rest[place + 36..];
    }
    out + rest
}

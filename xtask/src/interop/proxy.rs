//! Real clients through a real nginx in front of the registry, set up in the ways that people use, with no
//! key of the registry set but `prefix`.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};

use super::client::{Program, Session, has, same};
use super::front::Front;
use super::image::{Image, digest_of_layout, sha256};
use super::peer::Scheme;
use super::{podman, regctl, skopeo};
use crate::dockhand::Dockhand;
use crate::report::Report;

/// A way to put nginx in front of the registry.
struct Setting {
    name: &'static str,
    scheme: Scheme,
    /// The key `server.prefix`.
    prefix: &'static str,
    /// Directives of the `server` block; `UPSTREAM` stands for the address of the registry.
    directives: &'static str,
    /// Whether bodies of more than 1 MiB are refused.
    limited: bool,
}

const SETTINGS: &[Setting] = &[
    Setting {
        name: "nothing set but proxy_pass (HTTP/1.0 to the registry)",
        scheme: Scheme::Http,
        prefix: "",
        directives: "location / { proxy_pass http://UPSTREAM; }",
        limited: false,
    },
    Setting {
        name: "TLS ends at the proxy",
        scheme: Scheme::Https,
        prefix: "",
        directives: "location / { proxy_pass http://UPSTREAM; proxy_http_version 1.1; \
                     proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto $scheme; }",
        limited: false,
    },
    Setting {
        name: "TLS ends at the proxy, which loses the port",
        scheme: Scheme::Https,
        prefix: "",
        directives: "location / { proxy_pass http://UPSTREAM; proxy_set_header Host $host; }",
        limited: false,
    },
    Setting {
        name: "the port is lost",
        scheme: Scheme::Http,
        prefix: "",
        directives: "location / { proxy_pass http://UPSTREAM; proxy_http_version 1.1; \
                     proxy_set_header Host $host; }",
        limited: false,
    },
    Setting {
        name: "requests are not buffered",
        scheme: Scheme::Https,
        prefix: "",
        directives: "location / { proxy_pass http://UPSTREAM; proxy_http_version 1.1; \
                     proxy_request_buffering off; proxy_set_header Host $host; }",
        limited: false,
    },
    Setting {
        name: "below a path",
        scheme: Scheme::Https,
        prefix: "/registry",
        directives: "location /registry/ { proxy_pass http://UPSTREAM; proxy_set_header Host $host; } \
                     location /v2/ { proxy_pass http://UPSTREAM/registry/v2/; \
                     proxy_set_header Host $host; }",
        limited: false,
    },
    Setting {
        name: "bodies of at most 1 MiB",
        scheme: Scheme::Http,
        prefix: "",
        directives: "client_max_body_size 1m; \
                     location / { proxy_pass http://UPSTREAM; proxy_set_header Host $host; }",
        limited: true,
    },
];

impl Setting {
    fn start(&self, dockhand: &Dockhand) -> Result<Front> {
        let prefix = [("DOCKHAND_SERVER_PREFIX", self.prefix)];
        let environment = match self.prefix {
            "" => &[],
            _ => &prefix[..],
        };
        // Without a bound of its own, except where that is what is tried: nginx's default is 1 MiB.
        let unlimited = if self.limited {
            ""
        } else {
            "client_max_body_size 0; "
        };
        let directives = format!("{unlimited}{}", self.directives);
        Front::start(dockhand, self.scheme, environment, "", &directives)
    }
}

/// How a client pushes and pulls the image through the proxy.
type Check = fn(&Session<'_>) -> Result<String>;

/// The clients, and what they do.
const CLIENTS: &[(&str, Check)] = &[
    ("skopeo", with_skopeo),
    ("podman", with_podman),
    ("crane", with_crane),
    ("regctl", with_regctl),
    ("oras", with_oras),
];

/// Every client through every proxy.
pub(super) fn checks(dockhand: &Dockhand, image: &Image, report: &mut Report) -> Result<()> {
    for setting in SETTINGS {
        let front = setting.start(dockhand)?;
        for (name, check) in CLIENTS {
            let mut client = Session::new(name, &front.peer, image, report)?;
            trust(&mut client)?;
            let what = format!("push and pull, {}", setting.name);
            client.check(&what, |client| match setting.limited {
                false => check(client),
                true => refused(check(client)),
            });
        }
        let folder = front.peer.folder();
        let program = Program::new("dockhand", dockhand.binary().to_owned(), folder)?;
        let mut client = Session::of("dockhand", program, &front.peer, image, report);
        client.check(&format!("push and pull, {}", setting.name), |client| {
            with_ours(client, setting.prefix)
        });
    }
    Ok(())
}

/// Blobs that do not fit into one request. Most clients end with the status of the proxy. regctl goes on in
/// chunks, and now and then with a digest of what it read twice, with any registry: so it is asked for no
/// more than to fail by itself.
fn refused(outcome: Result<String>) -> Result<String> {
    let error = match outcome {
        Ok(digest) => return Ok(format!("{digest}, in chunks")),
        Err(error) => format!("{error:#}"),
    };
    if error.contains("413") {
        return Ok("refused by the proxy with 413".to_owned());
    }
    has(&error, "digest mismatch")?;
    Ok("failed by itself in chunks: digest mismatch".to_owned())
}

/// Has a client trust the authority of the proxy's certificate, where that is not said in its command line.
fn trust(client: &mut Session<'_>) -> Result<()> {
    if client.tls() {
        client.env("SSL_CERT_FILE", client.peer.authority_certificate.clone());
    }
    regctl::trust(client, &[&client.peer.authority])
}

fn with_skopeo(client: &Session<'_>) -> Result<String> {
    let (image, trust) = (client.repository("image"), skopeo::certificates(client)?);
    let (source, folder) = (client.image.reference(), client.folder("pulled"));
    client.run(&format!(
        "copy --all --dest-{trust} oci:{source} docker://{image}:v1"
    ))?;
    let raw = client.run(&format!("inspect --{trust} --raw docker://{image}:v1"))?;
    client.is_image(&sha256(raw.as_bytes()))?;
    client.run(&format!(
        "copy --all --src-{trust} docker://{image}:v1 oci:{}:v1",
        folder.display()
    ))?;
    client.is_image(&digest_of_layout(&folder)?)
}

fn with_podman(client: &Session<'_>) -> Result<String> {
    let (image, trust) = (client.repository("image"), skopeo::certificates(client)?);
    let engine = podman::engine(client)?;
    let id = client.image.amd64_config.trim_start_matches("sha256:");
    let source = client.image.reference();
    client.run(&format!("{engine} pull --arch amd64 oci:{source}"))?;
    client.run(&format!("{engine} tag {id} {image}:v1"))?;
    client.run(&format!("{engine} push --{trust} {image}:v1"))?;
    client.run(&format!("{engine} rmi --force {id}"))?;
    let pulled = client.run(&format!("{engine} pull --quiet --{trust} {image}:v1"))?;
    same("the id of the pulled image", &pulled, id)
}

fn with_crane(client: &Session<'_>) -> Result<String> {
    let (image, folder) = (client.repository("image"), client.folder("pulled"));
    client.run(&format!(
        "push {} {image}:v1",
        client.image.layout.display()
    ))?;
    client.is_image(&client.run(&format!("digest {image}:v1"))?)?;
    client.run(&format!(
        "pull --format oci {image}:v1 {}",
        folder.display()
    ))?;
    client.is_image(&digest_of_layout(&folder)?)
}

fn with_regctl(client: &Session<'_>) -> Result<String> {
    let (image, folder) = (client.repository("image"), client.folder("pulled"));
    let source = client.image.reference();
    client.run(&format!("image copy ocidir://{source} {image}:v1"))?;
    client.is_image(&client.run(&format!("image digest {image}:v1"))?)?;
    client.run(&format!(
        "image copy {image}:v1 ocidir://{}:v1",
        folder.display()
    ))?;
    client.is_image(&digest_of_layout(&folder)?)
}

fn with_oras(client: &Session<'_>) -> Result<String> {
    let (image, folder) = (client.repository("image"), client.folder("pulled"));
    let trust = |side: &str| match client.tls() {
        true => format!(
            "--{side}ca-file {}",
            client.peer.authority_certificate.display()
        ),
        false => format!("--{side}plain-http"),
    };
    let (source, to, from) = (client.image.reference(), trust("to-"), trust("from-"));
    client.run(&format!("cp --from-oci-layout {source} {to} {image}:v1"))?;
    client.run(&format!(
        "cp {from} {image}:v1 --to-oci-layout {}:v1",
        folder.display()
    ))?;
    client.is_image(&digest_of_layout(&folder)?)
}

/// Ours can also be told the path of the registry, and is, where there is one.
fn with_ours(client: &Session<'_>, prefix: &str) -> Result<String> {
    let (source, folder) = (client.image.reference(), client.folder("pulled"));
    let mut flags = String::new();
    if client.tls() {
        let authority = client.peer.authority_certificate.display();
        flags = format!(" --ca-file {authority}");
    }
    let mut image = client.repository("image");
    if !prefix.is_empty() {
        write!(flags, " --connection {}{prefix}", client.peer.url())?;
        image = image
            .split_once('/')
            .map(|(_, repository)| repository.to_owned())
            .context("a repository has no host")?;
    }
    let push = client.run(&format!("push{flags} oci:{source} {image}:v1"))?;
    ensure!(push.contains(&client.image.digest), "push printed {push}");
    client.run(&format!(
        "pull{flags} {image}:v1 -o {} --format oci",
        folder.display()
    ))?;
    client.is_image(&digest_of_layout(&folder)?)
}

//! What happens at the ends of connections: those that a proxy keeps for later, and answers that are ready
//! before their request is whole.

use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};

use super::client::{Session, has};
use super::front::Front;
use super::image::Image;
use super::peer::{Peer, Scheme};
use super::raw::send;
use crate::dockhand::Dockhand;
use crate::report::Report;

/// Clients that send a request now and then.
const CLIENTS: usize = 12;
/// How often each sends one.
const REQUESTS: usize = 12;
/// How much earlier than the registry has enough a request comes, and how much later, in microseconds. The
/// time between is gone through in equal steps, since a close is not seen for a fraction of a millisecond.
const SPREAD: (u64, u64) = (7000, 2000);
/// How often an early answer is tried.
const TRIES: usize = 20;
/// A manifest that is too large.
const MANIFEST: usize = 6_000_000;
/// The registry takes blobs of at most 1 MiB.
const LIMIT: (&str, &str) = ("DOCKHAND_SERVER_LIMITS_BLOB", "1MiB");
/// What it says to a larger one.
const TOO_LARGE: &str = "the blob is larger than the 1048576 bytes that this registry takes";

/// A proxy that keeps connections.
struct Keeping {
    name: &'static str,
    environment: &'static [(&'static str, &'static str)],
    /// Directives of the `upstream` block.
    upstream: &'static str,
    /// The times between two requests, in milliseconds, are around this.
    around: u64,
}

const KEEPING: &[Keeping] = &[
    Keeping {
        name: "for longer than a head may take",
        environment: &[("DOCKHAND_SERVER_LIMITS_HEADER_TIMEOUT", "500ms")],
        upstream: "keepalive 32;",
        around: 500,
    },
    Keeping {
        name: "for less long than the registry does",
        environment: &[("DOCKHAND_SERVER_LIMITS_IDLE_TIMEOUT", "1s")],
        upstream: "keepalive 32; keepalive_timeout 500ms;",
        around: 500,
    },
];

/// How nginx hands requests over.
const HANDING_OVER: &[(&str, &str)] = &[
    ("HTTP/1.0", "proxy_pass http://UPSTREAM;"),
    (
        "HTTP/1.1, kept",
        "proxy_pass http://kept; proxy_http_version 1.1; proxy_set_header Connection \"\";",
    ),
    (
        "not buffered",
        "proxy_pass http://kept; proxy_http_version 1.1; proxy_set_header Connection \"\"; \
         proxy_request_buffering off;",
    ),
];

/// All checks.
pub(super) fn checks(dockhand: &Dockhand, image: &Image, report: &mut Report) -> Result<()> {
    for keeping in KEEPING {
        let what = format!("connections: a proxy keeps them {}", keeping.name);
        report.check(&what, || kept(dockhand, keeping));
    }
    for (how, directives) in HANDING_OVER {
        let directives = format!("client_max_body_size 0; location / {{ {directives} }}");
        let blocks = "upstream kept { server UPSTREAM; keepalive 32; }";
        for scheme in Scheme::ALL {
            let front = Front::start(dockhand, scheme, &[LIMIT], blocks, &directives)?;
            let name = format!("connections {}: 413 through nginx, {how}", scheme.name());
            report.check(&name, || manifests(&front.peer));
            blobs(&front.peer, &format!("through nginx, {how}"), image, report)?;
        }
    }
    for scheme in Scheme::ALL {
        let peer = Peer::start(dockhand, scheme, &[LIMIT])?;
        let name = format!("connections {}: 413", scheme.name());
        report.check(&name, || manifests(&peer));
        blobs(&peer, "", image, report)?;
    }
    Ok(())
}

/// Requests that come about when the registry, or the proxy, has enough of the connection. nginx sends a
/// `POST` once, so that one into a closed connection is a 502.
fn kept(dockhand: &Dockhand, keeping: &Keeping) -> Result<String> {
    let blocks = format!("upstream kept {{ server UPSTREAM; {} }}", keeping.upstream);
    let directives = "location / { proxy_pass http://kept; proxy_http_version 1.1; \
                      proxy_set_header Connection \"\"; }";
    let front = Front::start(
        dockhand,
        Scheme::Http,
        keeping.environment,
        &blocks,
        directives,
    )?;
    let (peer, (early, late)) = (&front.peer, SPREAD);
    let ask = |client: usize| -> Result<()> {
        for number in 0..REQUESTS {
            let step = (number * CLIENTS + client) as u64;
            let steps = (REQUESTS * CLIENTS) as u64;
            let gap = keeping.around * 1000 - early + step * (early + late) / steps;
            let path = format!("/v2/kept/{client}/blobs/uploads/");
            send(peer, "POST", &path, &[], b"")?.expect(202)?;
            thread::sleep(Duration::from_micros(gap));
        }
        Ok(())
    };
    thread::scope(|scope| {
        let asking: Vec<_> = (0..CLIENTS)
            .map(|client| scope.spawn(move || ask(client)))
            .collect();
        asking.into_iter().try_for_each(|asking| {
            let asked = asking.join();
            asked.map_err(|_| anyhow!("a client panicked"))?
        })
    })?;
    Ok(format!("{} requests", CLIENTS * REQUESTS))
}

/// A manifest that is too large is refused with the words of the registry, every time.
fn manifests(peer: &Peer) -> Result<String> {
    let manifest = vec![b' '; MANIFEST];
    for _ in 0..TRIES {
        let answer = send(peer, "PUT", "/v2/large/manifests/v1", &[], &manifest)?.expect(413)?;
        let text = String::from_utf8_lossy(&answer.body);
        has(&text, "the manifest is larger than the 4194304 bytes")?;
        ensure!(!text.contains("nginx"), "nginx answers: {text}");
    }
    Ok(format!("{TRIES} times"))
}

/// Clients tell why a blob was refused.
fn blobs(peer: &Peer, how: &str, image: &Image, report: &mut Report) -> Result<()> {
    let source = image.reference();
    let what = format!("a blob that is too large {how}");
    let mut client = Session::new("skopeo", peer, image, report)?;
    client.check(what.trim_end(), |client| {
        let (image, trust) = (
            client.repository("large"),
            super::skopeo::certificates(client)?,
        );
        let said = client.refused(&format!(
            "copy --all --dest-{trust} oci:{source} docker://{image}:v1"
        ))?;
        has(&said, TOO_LARGE)?;
        Ok(TOO_LARGE.to_owned())
    });
    let mut client = Session::new("oras", peer, image, report)?;
    client.check(what.trim_end(), |client| {
        let image = client.repository("large");
        let trust = match client.tls() {
            true => format!("--to-ca-file {}", peer.authority_certificate.display()),
            false => "--to-plain-http".to_owned(),
        };
        let said = client.refused(&format!("cp --from-oci-layout {source} {trust} {image}:v1"))?;
        has(&said, TOO_LARGE)?;
        Ok(TOO_LARGE.to_owned())
    });
    Ok(())
}

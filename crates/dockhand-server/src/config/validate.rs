//! Checks that values fit together which are each right by themselves.

use super::Config;
use super::layers::Layers;
use super::problem::Origin;
use super::values::{Locations, Period, Size};

/// Smallest head of a request that is of use: a request line with a long name and a few headers.
const HEADER_SIZE: Size = Size::kib(4);
/// Smallest manifest limit that is of use: an image with a dozen layers fits.
const MANIFEST: Size = Size::kib(4);

/// Notes what does not fit.
pub(super) fn check(config: &Config, layers: &mut Layers) {
    bounds(config, layers);
    tls(config, layers);
    locations(config, layers);
    metrics(config, layers);
}

/// The name of a key and where it was set, as the operator knows it.
fn place(layers: &Layers, path: &str) -> (String, Origin) {
    match layers.place(path) {
        Some(place) => (place.name.clone(), place.at.clone()),
        None => (path.to_owned(), Origin::Default),
    }
}

fn bounds(config: &Config, layers: &mut Layers) {
    let limits = &config.server.limits;
    let periods = [
        ("server.limits.header-timeout", limits.header_timeout),
        ("server.limits.idle-timeout", limits.idle_timeout),
        ("server.limits.body-idle", limits.body_idle),
        ("server.limits.write-stall", limits.write_stall),
        ("server.limits.tls-handshake", limits.tls_handshake),
        ("server.limits.upload-expiry", limits.upload_expiry),
        (
            "server.limits.empty-upload-expiry",
            limits.empty_upload_expiry,
        ),
        ("server.tls.reload", config.server.tls.reload),
    ];
    for (path, _) in periods
        .into_iter()
        .filter(|(_, period)| *period == Period::default())
    {
        let (name, at) = place(layers, path);
        layers.problem(
            at,
            format!("`{name}` is 0, which leaves no time at all; it takes at least 1ms"),
        );
    }
    let sizes = [
        (
            "server.limits.header-size",
            Some(limits.header_size),
            HEADER_SIZE,
        ),
        ("server.limits.manifest", Some(limits.manifest), MANIFEST),
        ("server.limits.blob", limits.blob, Size(1)),
    ];
    for (path, size, least) in sizes {
        if let Some(size) = size.filter(|size| *size < least) {
            let (name, at) = place(layers, path);
            layers.problem(
                at,
                format!("`{name}` is {size}, too small to be of use; it takes at least {least}"),
            );
        }
    }
}

fn tls(config: &Config, layers: &mut Layers) {
    let tls = &config.server.tls;
    let halves = [
        ("server.tls.cert", &tls.cert, "server.tls.key", &tls.key),
        ("server.tls.key", &tls.key, "server.tls.cert", &tls.cert),
        (
            "server.tls.client-ca",
            &tls.client_ca,
            "server.tls.cert",
            &tls.cert,
        ),
    ];
    for (path, value, other_path, other) in halves {
        if value.is_some() && other.is_none() {
            let (name, at) = place(layers, path);
            layers.problem(
                at,
                format!("`{name}` is set without `{other_path}`; TLS needs both"),
            );
        }
    }
}

fn locations(config: &Config, layers: &mut Layers) {
    let server = &config.server;
    if server.locations == Locations::Relative && server.public_url.is_some() {
        let (name, at) = place(layers, "server.public-url");
        layers.warn(
            &at,
            format!("`{name}` is not used, since locations are relative"),
        );
    }
}

/// Paths that are taken on the registry's own address; the last two also on one for metrics.
const TAKEN: [&str; 3] = ["/v2", "/livez", "/readyz"];

fn metrics(config: &Config, layers: &mut Layers) {
    let metrics = &config.metrics;
    if !metrics.enabled {
        let usual = super::Metrics::default();
        for (path, set) in [
            ("metrics.listen", metrics.listen != usual.listen),
            ("metrics.path", metrics.path != usual.path),
        ] {
            if let Some(place) = layers.place(path).cloned().filter(|_| set) {
                let name = place.name;
                let message = format!("`{name}` is not used, since `metrics.enabled` is false");
                layers.warn(&place.at, message);
            }
        }
        return;
    }
    let ours = &config.server.listen;
    if metrics
        .listen
        .as_ref()
        .is_some_and(|listen| listen == ours && listen.port() != 0)
    {
        let (name, at) = place(layers, "metrics.listen");
        let message = format!(
            "`{name}` is the address of the registry itself; leave it out to serve metrics there"
        );
        layers.problem(at, message);
    }
    let path = metrics.path.as_str();
    let taken = if metrics.listen.is_some() {
        &TAKEN[1..]
    } else {
        &TAKEN[..]
    };
    let below = |taken: &&str| {
        path.strip_prefix(taken)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if taken.iter().any(below) {
        let (name, at) = place(layers, "metrics.path");
        let message = format!(
            "`{name}` is \"{path}\", where the registry itself answers; take another, such as \"/metrics\""
        );
        layers.problem(at, message);
    }
}

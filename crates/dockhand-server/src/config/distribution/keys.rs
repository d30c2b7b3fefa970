//! Every key of CNCF Distribution, and what becomes of it here.
//!
//! <https://distribution.github.io/distribution/about/configuration/>

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is honoured, by the native key of this name.
    Honoured(&'static str),
    /// It is accepted and has nothing to do here, for this reason.
    Moot(&'static str),
    /// It is ignored with a warning, with this effect.
    Ignored(&'static str),
    /// The server does not start with it, since ignoring it would be unsafe; this is what to do.
    Refused(&'static str),
}

/// A key of CNCF Distribution, with everything below it. A `*` at its end stands for any other name.
#[derive(Clone, Copy, Debug)]
pub struct ForeignKey {
    /// Its path, such as `http.tls.minimumtls`.
    pub path: &'static str,
    /// What becomes of it.
    pub fate: Fate,
}

use Fate::{Honoured, Ignored, Moot, Refused};

const OBJECT_STORE: &str =
    "blobs are kept on a file system (`storage.filesystem`) or in memory; object stores come later";
pub(in crate::config) const LOGIN: &str = "there is no authentication yet, so everybody could push and delete; put a proxy that \
     authenticates in front, and remove it here";
const READINESS: &str = "/readyz finds out whether the registry can write each time it is asked";
const UPLOADS: &str = "server.limits.upload-expiry";

/// All keys, in the order of Distribution's own reference.
pub const FOREIGN_KEYS: &[ForeignKey] = &[
    key("version", Honoured("(must be 0.1)")),
    key("log.accesslog.disabled", Honoured("log.access")),
    key("log.level", Honoured("log.level")),
    key("log.formatter", Honoured("log.format")),
    key("log.fields", Honoured("log.fields")),
    key(
        "log.reportcaller",
        Moot("lines name the module that wrote them"),
    ),
    key(
        "log.hooks",
        Ignored("no mail is sent; let what collects the log do it"),
    ),
    key("loglevel", Honoured("log.level")),
    key("storage.filesystem.rootdirectory", Honoured("storage.path")),
    key(
        "storage.filesystem.maxthreads",
        Moot("the number of threads follows the work"),
    ),
    key("storage.inmemory", Honoured("storage.backend")),
    key("storage.s3", Refused(OBJECT_STORE)),
    key("storage.s3aws", Refused(OBJECT_STORE)),
    key("storage.gcs", Refused(OBJECT_STORE)),
    key("storage.azure", Refused(OBJECT_STORE)),
    key("storage.delete.enabled", Honoured("storage.delete")),
    key(
        "storage.redirect.disable",
        Moot("no answer ever redirects to the store"),
    ),
    key(
        "storage.cache",
        Moot("the database of the registry knows every blob"),
    ),
    key(
        "storage.maintenance.uploadpurging.enabled",
        Honoured(UPLOADS),
    ),
    key("storage.maintenance.uploadpurging.age", Honoured(UPLOADS)),
    key(
        "storage.maintenance.uploadpurging.interval",
        Moot("expired uploads are dropped every minute"),
    ),
    key(
        "storage.maintenance.uploadpurging.dryrun",
        Honoured(UPLOADS),
    ),
    key(
        "storage.maintenance.readonly.enabled",
        Honoured("storage.readonly"),
    ),
    key(
        "storage.tag.concurrencylimit",
        Moot("the database looks up the tags of a manifest at once"),
    ),
    key("storage.*", Refused(OBJECT_STORE)),
    key("auth.none", Honoured("(nobody logs in)")),
    key("auth.silly", Refused(LOGIN)),
    key("auth.htpasswd", Refused(LOGIN)),
    key("auth.token", Refused(LOGIN)),
    key("auth.*", Refused(LOGIN)),
    key(
        "middleware",
        Refused("middlewares are not loaded; remove it, or set `disabled: true` in it"),
    ),
    key("http.addr", Honoured("server.listen")),
    key("http.net", Honoured("(must be tcp)")),
    key("http.prefix", Honoured("server.prefix")),
    key("http.host", Honoured("server.public-url")),
    key("http.relativeurls", Honoured("server.locations")),
    key("http.draintimeout", Honoured("server.drain")),
    key(
        "http.secret",
        Moot("uploads are kept in the database, not in signed links"),
    ),
    key("http.headers", Honoured("server.headers")),
    key("http.tls.certificate", Honoured("server.tls.cert")),
    key("http.tls.key", Honoured("server.tls.key")),
    key("http.tls.clientcas", Honoured("server.tls.client-ca")),
    key("http.tls.clientauth", Honoured("server.tls.client-ca")),
    key("http.tls.minimumtls", Honoured("server.tls.min-version")),
    key(
        "http.tls.ciphersuites",
        Moot("only suites with forward secrecy and authenticated encryption are offered"),
    ),
    key(
        "http.tls.letsencrypt",
        Refused(
            "certificates are not fetched; name the files of one in `http.tls.certificate` and `http.tls.key`, which are reloaded when they change",
        ),
    ),
    key("http.debug.addr", Honoured("metrics.listen")),
    key("http.debug.prometheus.enabled", Honoured("metrics.enabled")),
    key("http.debug.prometheus.path", Honoured("metrics.path")),
    key("http.http2.disabled", Honoured("server.http2")),
    key(
        "http.h2c.enabled",
        Moot("HTTP/2 is spoken without TLS too, to clients that begin with it"),
    ),
    key("notifications", Ignored("no events are delivered")),
    key("redis", Moot("nothing is cached outside of the process")),
    key("health.storagedriver", Moot(READINESS)),
    key(
        "health.file",
        Ignored("no file is watched; /readyz tells only whether the registry can write"),
    ),
    key(
        "health.http",
        Ignored("no address is watched; /readyz tells only whether the registry can write"),
    ),
    key(
        "health.tcp",
        Ignored("no address is watched; /readyz tells only whether the registry can write"),
    ),
    key("catalog.maxentries", Honoured("server.limits.page")),
    key("tags.maxtags", Honoured("server.limits.page")),
    key(
        "proxy",
        Refused(
            "there is no pull-through cache yet, and a plain registry in its place would take pushes; remove it",
        ),
    ),
    key("validation.enabled", Honoured("storage.sparse")),
    key("validation.disabled", Honoured("storage.sparse")),
    key(
        "validation.manifests.urls",
        Ignored("layers with `urls` are taken whatever they name, as the specification has it"),
    ),
    key(
        "validation.manifests.indexes",
        Ignored(
            "an index must have all its manifests; set `storage.sparse` in a native file to allow gaps",
        ),
    ),
    key("policy", Moot("repositories have no classes")),
];

const fn key(path: &'static str, fate: Fate) -> ForeignKey {
    ForeignKey { path, fate }
}

/// Names in the environment that are those of Distribution's Go fields where its YAML has another:
/// section, name in the environment, name in YAML.
pub(super) const FIELD_NAMES: [(&str, &str, &str); 4] = [
    ("notifications", "EVENTCONFIG", "events"),
    ("health", "FILECHECKERS", "file"),
    ("health", "HTTPCHECKERS", "http"),
    ("health", "TCPCHECKERS", "tcp"),
];

impl ForeignKey {
    /// Whether this is the key of a path, or one that a path lies below.
    pub(super) fn holds(&self, path: &str) -> bool {
        let (section, any) = match self.path.strip_suffix(".*") {
            Some(section) => (section, true),
            None => (self.path, false),
        };
        let Some(rest) = path.strip_prefix(section) else {
            return false;
        };
        let below = rest
            .strip_prefix('.')
            .and_then(|rest| rest.split('.').next());
        match below {
            // Any name, but not one that has keys of its own.
            Some(name) if any => !names_in(section).contains(&name),
            Some(_) => true,
            None => !any && rest.is_empty(),
        }
    }
}

/// The key that a path is, or lies below.
pub(super) fn find(path: &str) -> Option<&'static ForeignKey> {
    FOREIGN_KEYS.iter().find(|key| key.holds(path))
}

/// The names that may stand in a section, `*` left out; none when it is no section.
pub(super) fn names_in(section: &str) -> Vec<&'static str> {
    let mut names: Vec<&str> = Vec::new();
    for key in FOREIGN_KEYS {
        let rest = if section.is_empty() {
            Some(key.path)
        } else {
            key.path
                .strip_prefix(section)
                .and_then(|rest| rest.strip_prefix('.'))
        };
        let first = rest.and_then(|rest| rest.split('.').next());
        names.extend(first.filter(|first| *first != "*" && !names.contains(first)));
    }
    names
}

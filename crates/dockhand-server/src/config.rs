//! The configuration: every key of the server, with its default and the reason for it.
//!
//! A configuration is put together from four layers, each above the one before: the defaults written
//! here, a file (native or of CNCF Distribution), the environment, and flags.
//! What a key is stands once, in the `section!` blocks below: the type of its field, its
//! default, and the text that the reference in `docs/configuration.md` prints.

mod distribution;
mod environment;
mod file;
mod key;
mod layers;
mod load;
mod overrides;
mod print;
mod problem;
mod secret;
mod sniff;
mod suggest;
mod validate;
mod values;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use crate::cidr::Cidr;
pub use distribution::{FOREIGN_KEYS, Fate, ForeignKey};
pub use key::{Key, Shape};
pub use load::{Loaded, load};
pub use overrides::Overrides;
pub use problem::{ConfigError, Origin, Problem};
pub use secret::Secret;
pub use sniff::{Kind, sniff};
pub use values::{
    Address, Backend, Fields, Headers, Locations, LogFormat, LogLevel, Period, PublicUrl, Size,
    TlsVersion, UrlPath, ValueError,
};

use key::section;

/// Everything that an operator may set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// How the registry is reached.
    pub server: Server,
    /// Where and how it keeps what is pushed.
    pub storage: Storage,
    /// What it says about itself while it runs.
    pub log: Log,
    /// What it counts.
    pub metrics: Metrics,
}

section! {
    /// How the registry is reached.
    Server in "server" {
        /// Address to listen on, as `host:port`; port 0 takes a free one, an empty host is every
        /// address of the machine. Only this machine by default, since nobody has to log in yet.
        listen: Address = Address::LOCAL;
        /// Base of every `Location`, such as `https://registry.example.com`. Unset: the host that the
        /// client itself named, which is right unless a proxy in front hides it.
        public_url: Option<PublicUrl> = None;
        /// `auto`, `absolute` or `relative`: whether a `Location` begins with scheme and host. `auto` is
        /// right behind every proxy: relative where a header (`Forwarded`, `X-Forwarded-*`, `X-Real-IP`,
        /// `Via`) or the port in `Host` shows that a proxy is in between which is not trusted, absolute
        /// otherwise, because some old clients cannot follow a relative one.
        locations: Locations = Locations::Auto;
        /// Addresses of the proxies whose `Forwarded` and `X-Forwarded-*` headers count. None by default:
        /// anybody who is trusted can send clients elsewhere.
        trusted_proxies: Vec<Cidr> = Vec::new();
        /// Path in front of `/v2`, such as `/registry`. Unset: clients expect `/v2` at the root.
        prefix: Option<UrlPath> = None;
        /// How long a stopping server lets running requests finish. As long as Kubernetes waits
        /// before it kills.
        drain: Period = Period::seconds(30);
        /// Headers that every answer gets besides its own.
        headers: Headers = Headers::default();
        /// Whether HTTP/2 is spoken, besides HTTP/1.1. On, because clients that pull many layers
        /// share one connection with it.
        http2: bool = true;
    }
    with {
        /// TLS by certificate files.
        tls: ServerTls,
        /// What clients may take of time and room.
        limits: ServerLimits,
    }
}

section! {
    /// TLS by certificate files; plain HTTP when no certificate is set.
    ServerTls in "server.tls" {
        /// File of the certificate chain, PEM. Set with `key`, the server speaks HTTPS only.
        cert: Option<PathBuf> = None;
        /// File of the private key, PEM.
        key: Option<PathBuf> = None;
        /// How often the files are looked at again; what changed is taken over without a restart.
        /// Soon enough for short-lived certificates, too seldom to cost anything.
        reload: Period = Period::seconds(5);
        /// Oldest version of TLS that is spoken, `1.2` or `1.3`. Older container engines still in
        /// service end at 1.2.
        min_version: TlsVersion = TlsVersion::V1_2;
        /// File of certificate authorities, PEM. When set, every client must show a certificate that
        /// one of them signed.
        client_ca: Option<PathBuf> = None;
    }
    with {}
}

section! {
    /// What clients may take of time and room.
    ServerLimits in "server.limits" {
        /// Time for the head of a request to arrive, from its first byte on; for the first request of a
        /// connection, from its beginning. A client that is slower than this is stuck, or holds the
        /// connection on purpose.
        header_timeout: Period = Period::seconds(10);
        /// Time after which a connection without a request is closed. Longer than proxies keep
        /// connections for later (nginx 60 s, Traefik 90 s, Caddy 2 min, Google's load balancers 10 min):
        /// one that the server closes while a proxy sends a request on it is a 502 to the client. When
        /// there is no room for another connection, those idle for `header-timeout` are closed.
        idle_timeout: Period = Period::seconds(620);
        /// Time in which at least 1 KiB of a body that is being pushed must arrive, or its end; a byte
        /// now and then would hold a connection for ever. Longer than mobile networks pause; an upload
        /// that is cut resumes at the exact byte.
        body_idle: Period = Period::seconds(30);
        /// Time in which a connection must take at least 1 KiB of the answers that wait on it, or all
        /// that is left of them. Longer than `body-idle`, because clients stop reading while they
        /// unpack.
        write_stall: Period = Period::seconds(60);
        /// Time for a TLS handshake.
        tls_handshake: Period = Period::seconds(10);
        /// Connections at once. Each is a file descriptor, and a pull holds a second one.
        max_connections: NonZeroUsize = count(10_000);
        /// Connections at once from one address. No tighter than the whole by default: behind a proxy
        /// or a company's gateway, all clients have one address.
        max_connections_per_address: NonZeroUsize = count(10_000);
        /// Size of the head of a request. Tokens of large organisations reach 16 KiB.
        header_size: Size = Size::kib(32);
        /// Size of a manifest. The specification asks for at least 4 MiB.
        manifest: Size = Size::mib(4);
        /// Size of a blob. Unset: as large as the disk allows.
        blob: Option<Size> = None;
        /// Entries in one page of a list, however many are asked for. What clients expect from CNCF
        /// Distribution.
        page: NonZeroUsize = count(1000);
        /// Tags that one push of a manifest may set. The specification asks for at least 10; clients
        /// put them into one request line, which ends near 8 KiB.
        tags_per_push: NonZeroUsize = count(50);
        /// Uploads open at once. Each keeps a row and a file until it ends or expires. When there is no
        /// room for another one, the oldest without a byte ends, of the client that has most of them.
        /// Only when there is none, the new one is refused.
        uploads: NonZeroUsize = count(10_000);
        /// Uploads open at once in one repository, so that one cannot take the room of all.
        uploads_per_repository: NonZeroUsize = count(1000);
        /// Uploads open at once of one client: one address, or one network of 64 bits in IPv6; behind a
        /// proxy of `trusted-proxies` the address that it names. Unset: half of `uploads`, so that one
        /// client cannot take the room of all, and many behind one gateway have enough.
        uploads_per_client: Option<NonZeroUsize> = None;
        /// Time after which an upload that lies still is dropped. A week, as in CNCF Distribution, so
        /// that a push can go on after a weekend.
        upload_expiry: Period = Period::hours(7 * 24);
        /// The same for an upload without a byte, which costs nothing to begin again. Longer than any
        /// client takes to read what it is about to push.
        empty_upload_expiry: Period = Period::hours(1);
    }
    with {}
}

section! {
    /// Where and how the registry keeps what is pushed.
    Storage in "storage" {
        /// Folder of the data: blobs, uploads, the database, and 16 MiB that are set aside so that deletes
        /// go through when the disk is full. Relative to the working directory.
        path: PathBuf = PathBuf::from("dockhand-data");
        /// `filesystem`, or `memory` for tests: that one forgets everything when it stops.
        backend: Backend = Backend::Filesystem;
        /// Whether tags, manifests and blobs may be deleted over HTTP. It frees no space yet: bytes that
        /// nothing names any more stay on the disk until garbage collection, which is to come.
        delete: bool = true;
        /// Whether nothing may be written at all. Pushes and deletes are refused, and nothing in the folder
        /// is changed or created, so that it may be mounted read-only and be shared by several servers.
        readonly: bool = false;
        /// Whether a manifest may name content that its repository does not have. Off, so that what
        /// was pushed can be pulled.
        sparse: bool = false;
        /// Whether the size in a descriptor must be that of the stored content. On, because container
        /// engines refuse to pull an image with a wrong size.
        check_sizes: bool = true;
        /// Smallest chunk that clients are asked to send in a chunked upload (`OCI-Chunk-Min-Length`).
        /// Not sent when 0, because a file system takes any.
        chunk_min_length: Size = Size(0);
    }
    with {}
}

section! {
    /// What the server says about itself while it runs.
    Log in "log" {
        /// `error`, `warn`, `info`, `debug` or `trace`: the least important lines that are written.
        level: LogLevel = LogLevel::Info;
        /// `text` for people, `json` for machines.
        format: LogFormat = LogFormat::Text;
        /// Whether each request is a line.
        access: bool = true;
        /// Names and values that every line carries, such as the name of the machine.
        fields: Fields = Fields::default();
    }
    with {}
}

section! {
    /// What the server counts, for Prometheus.
    Metrics in "metrics" {
        /// Whether metrics are served. Off, because they tell what goes on here and nobody has to log in.
        enabled: bool = false;
        /// Address of their own to serve them on, as `host:port`. Unset: on the registry's own.
        listen: Option<Address> = None;
        /// Path to serve them at. Where Prometheus looks first.
        path: UrlPath = UrlPath::metrics();
    }
    with {}
}

/// All keys, in the order in which they are documented.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    let sections = [
        Server::KEYS,
        ServerTls::KEYS,
        ServerLimits::KEYS,
        Storage::KEYS,
        Log::KEYS,
        Metrics::KEYS,
    ];
    sections.into_iter().flatten()
}

/// A number of things, at least one.
const fn count(number: usize) -> NonZeroUsize {
    match NonZeroUsize::new(number) {
        Some(number) => number,
        None => NonZeroUsize::MIN,
    }
}

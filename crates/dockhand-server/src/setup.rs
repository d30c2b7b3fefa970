//! From a configuration to what a server is made of.

use crate::app::Options;
use crate::config::{Backend, Config, TlsVersion};
use crate::listen::Limits;
use crate::location::Addressing;
use crate::run::Setup;
use crate::tls::TlsFiles;
use dockhand_registry::Settings;
use dockhand_registry::metadata::UploadLimits;

impl Setup {
    /// Takes a configuration apart.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let (server, storage) = (&config.server, &config.storage);
        let metrics_listen = config
            .metrics
            .listen
            .as_ref()
            .filter(|_| config.metrics.enabled);
        let metrics_path = config.metrics.path.to_string();
        Self {
            data: (storage.backend == Backend::Filesystem).then(|| storage.path.clone()),
            new: false,
            listen: server.listen.clone(),
            settings: settings(config),
            options: options(config),
            limits: limits(config),
            tls: tls(config),
            tls_reload: server.tls.reload.get(),
            metrics: config.metrics.enabled,
            metrics_listen: metrics_listen.map(|address| (address.clone(), metrics_path)),
            drain: server.drain.get(),
        }
    }
}

fn settings(config: &Config) -> Settings {
    let (limits, storage) = (&config.server.limits, &config.storage);
    let number = |count: std::num::NonZeroUsize| u32::try_from(count.get()).unwrap_or(u32::MAX);
    Settings {
        manifest_limit: limits.manifest.0,
        blob_limit: limits.blob.map_or(u64::MAX, |size| size.0),
        tags_limit: limits.tags_per_push.get(),
        page_limit: limits.page.get(),
        uploads: UploadLimits {
            per_client: match limits.uploads_per_client {
                Some(count) => number(count),
                None => number(limits.uploads).div_ceil(2),
            },
            per_repository: number(limits.uploads_per_repository),
            in_all: number(limits.uploads),
        },
        upload_expiry: limits.upload_expiry.get(),
        empty_upload_expiry: limits.empty_upload_expiry.get(),
        delete: storage.delete,
        read_only: storage.readonly,
        sparse: storage.sparse,
        check_sizes: storage.check_sizes,
    }
}

fn options(config: &Config) -> Options {
    let server = &config.server;
    let on_main = config.metrics.enabled && config.metrics.listen.is_none();
    Options {
        addressing: Addressing {
            public_url: server.public_url.as_ref().map(ToString::to_string),
            locations: server.locations,
            prefix: server
                .prefix
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            trusted_proxies: server.trusted_proxies.clone(),
        },
        body_idle: server.limits.body_idle.get(),
        chunk_min_length: config.storage.chunk_min_length.0,
        headers: server.headers.to_vec(),
        access_log: config.log.access,
        metrics_path: on_main.then(|| config.metrics.path.to_string()),
    }
}

fn limits(config: &Config) -> Limits {
    let limits = &config.server.limits;
    Limits {
        header_timeout: limits.header_timeout.get(),
        idle_timeout: limits.idle_timeout.get(),
        handshake_timeout: limits.tls_handshake.get(),
        write_stall: limits.write_stall.get(),
        connections: limits.max_connections.get(),
        connections_per_address: limits.max_connections_per_address.get(),
        header_bytes: usize::try_from(limits.header_size.0).unwrap_or(usize::MAX),
        http2: config.server.http2,
    }
}

fn tls(config: &Config) -> Option<TlsFiles> {
    let tls = &config.server.tls;
    Some(TlsFiles {
        certificate: tls.cert.clone()?,
        key: tls.key.clone()?,
        client_authorities: tls.client_ca.clone(),
        only_1_3: tls.min_version == TlsVersion::V1_3,
        http2: config.server.http2,
    })
}

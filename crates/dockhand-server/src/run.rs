//! A whole server: stores opened, leftovers swept, addresses bound, requests answered until told to stop.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dockhand_registry::folder::FolderError;
use dockhand_registry::metadata::MetadataError;
use dockhand_registry::{Gone, NotReady, Registry, Settings, StoreError};
use tokio::net::TcpListener;

use crate::admin::Admin;
use crate::admin::socket::{AdminSocket, SocketFile};
use crate::app::{App, Options};
use crate::config::Address;
use crate::exposure;
use crate::listen::{self, Limits};
use crate::metrics_address;
use crate::sockets::{self, Sockets};
use crate::store;
use crate::tls::{Tls, TlsError, TlsFiles};

/// Everything that a server is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The folder of the data; without one, all is in memory and gone with the process.
    pub data: Option<PathBuf>,
    /// Whether to start with an empty registry, also in a folder that holds what is left of another one.
    pub new: bool,
    /// Where to listen.
    pub listen: Address,
    /// The rules.
    pub settings: Settings,
    /// The answers.
    pub options: Options,
    /// The connections.
    pub limits: Limits,
    /// TLS, when it is ours to do.
    pub tls: Option<TlsFiles>,
    /// How often the files of TLS are looked at.
    pub tls_reload: Duration,
    /// Whether metrics are counted.
    pub metrics: bool,
    /// Where metrics and health are served apart from everything else, and under which path.
    pub metrics_listen: Option<(Address, String)>,
    /// How long connections may go on when the server stops.
    pub drain: Duration,
}

/// Why a server did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// What lies in the folder of the data speaks against a start.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The folder of the data cannot be made, or not be had alone.
    #[error(transparent)]
    Blobs(#[from] StoreError),
    /// The metadata cannot be opened.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// What a crash left could not be swept.
    #[error("cannot clear what an earlier run left behind: {0}")]
    Sweep(#[source] dockhand_registry::Error),
    /// The address cannot be had.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// The cause.
        source: std::io::Error,
    },
    /// A socket for metrics was passed on, and there are none.
    #[error("a socket for metrics was passed on, but metrics are not served")]
    NoMetrics,
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The metadata failed while serving; going on could lose writes.
    #[error("the metadata failed; a restart recovers what was acknowledged")]
    StorageFailed,
    /// The files under the server are not those that it has open; going on would lose writes.
    #[error("{0}; stopped, since what is written now would be lost")]
    Gone(Gone),
}

impl RunError {
    /// What the operator can do about it.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Folder(error) => Some(error.advice()),
            Self::Metadata(MetadataError::Empty { .. }) => Some(
                "restore the database from a backup, or delete it and add --new to start with an empty \
                 registry; the blobs stay, and pushes write them again",
            ),
            Self::Metadata(MetadataError::Exists { .. }) => Some(
                "leave --new out to start with that registry, or name another folder with --data",
            ),
            Self::Gone(_) => {
                Some("put the data folder back, or check what is mounted there, and start again")
            }
            Self::Listen { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse => {
                Some("something else listens there; choose another with --listen HOST:PORT")
            }
            Self::NoMetrics => Some("set metrics.enabled, or remove the socket"),
            _ => None,
        }
    }
}

/// A server that listens but has not answered yet.
#[derive(Debug)]
pub struct Server {
    registry: Registry,
    app: Arc<App>,
    listener: TcpListener,
    metrics: Option<(TcpListener, String)>,
    tls: Option<Tls>,
    admin: Option<AdminSocket>,
    setup: Setup,
}

/// Has a running server read again what it can change without a restart: the certificate.
#[derive(Clone, Debug)]
pub struct Reload(Option<Tls>);

impl Reload {
    /// Reads the certificate files again. What came of it is a line in the log.
    pub async fn now(&self) {
        match &self.0 {
            Some(tls) => tls.reload().await,
            None => tracing::info!(
                "there is no certificate to reload; a changed configuration needs a restart"
            ),
        }
    }
}

/// How often expired uploads are looked for: one read of an index.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

impl Server {
    /// Opens the stores, clears what a crash left, and binds the addresses.
    ///
    /// # Errors
    /// [`RunError`] names what cannot be had.
    pub async fn start(setup: Setup) -> Result<Self, RunError> {
        Self::start_on(setup, Sockets::default()).await
    }

    /// As [`Server::start`], on sockets that listen already, in place of the addresses of `setup`.
    ///
    /// # Errors
    /// [`RunError`] names what cannot be had.
    pub async fn start_on(mut setup: Setup, sockets: Sockets) -> Result<Self, RunError> {
        let registry = store::open(&setup).await?;
        if !setup.settings.read_only {
            let orphans = registry.sweep_orphans().await.map_err(RunError::Sweep)?;
            if orphans > 0 {
                tracing::info!(
                    orphans,
                    "dropped the bytes of uploads that were never acknowledged"
                );
            }
        }
        let tls = setup.tls.clone().map(Tls::load).transpose()?;
        let listener = sockets::take_or_bind(sockets.registry, &setup.listen).await?;
        let metrics = sockets::for_metrics(sockets.metrics, &mut setup).await?;
        if let Ok(address) = listener.local_addr() {
            exposure::warn_of_address(address, &setup);
        }
        let admin = setup.data.as_deref().and_then(|data| admin(data, &setup));
        let app = App::new(registry.clone(), setup.options.clone(), setup.metrics);
        Ok(Self {
            registry,
            app,
            listener,
            metrics,
            tls,
            admin,
            setup,
        })
    }

    /// The address that it listens on.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Whether connections are encrypted.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// What has the server read its certificate again.
    #[must_use]
    pub fn reload(&self) -> Reload {
        Reload(self.tls.clone())
    }

    /// Answers requests until `shutdown` resolves and the busy connections are done.
    ///
    /// # Errors
    /// [`RunError::StorageFailed`] when the metadata cannot be trusted to write any more,
    /// [`RunError::Gone`] when the data folder is not the one that was opened.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
        let Self {
            registry,
            app,
            listener,
            metrics,
            tls,
            admin,
            setup,
        } = self;
        let mut background = Background::start(&registry, &app, &tls, metrics, setup.tls_reload);
        let socket = admin.map(|socket| background.administer(socket, registry.clone()));
        let broken = OnceLock::new();
        let stop = async {
            let error = tokio::select! {
                biased;
                gone = store::gone(&registry) => RunError::Gone(gone),
                () = registry.metadata().failed() => match registry.look().await {
                    Err(NotReady::Gone(gone)) => RunError::Gone(gone),
                    _ => RunError::StorageFailed,
                },
                () = shutdown => {
                    return tracing::info!("stopping: no new connections, busy ones may finish");
                }
            };
            tracing::error!(%error, "stopping");
            let _ = broken.set(error);
        };
        let cut = listen::serve(listener, app, tls, setup.limits, stop, setup.drain).await;
        drop(background);
        drop(socket);
        if cut > 0 {
            tracing::warn!(
                connections = cut,
                "connections were cut off after the drain time"
            );
        }
        registry.metadata().close().await;
        broken.into_inner().map_or(Ok(()), Err)
    }
}

/// What runs beside the connections, and ends with them.
struct Background(Vec<tokio::task::JoinHandle<()>>);

impl Background {
    fn start(
        registry: &Registry,
        app: &Arc<App>,
        tls: &Option<Tls>,
        metrics: Option<(TcpListener, String)>,
        reload: Duration,
    ) -> Self {
        let mut tasks = Vec::new();
        if !registry.settings().read_only {
            tasks.push(tokio::spawn(sweep(registry.clone())));
        }
        if let Some(tls) = tls {
            tasks.push(tokio::spawn(tls.clone().follow(reload)));
        }
        if let Some((listener, path)) = metrics {
            tasks.push(tokio::spawn(metrics_address::serve(
                listener,
                Arc::clone(app),
                path,
            )));
        }
        Self(tasks)
    }

    /// Answers on the socket too, whose file it gives.
    fn administer(&mut self, socket: AdminSocket, registry: Registry) -> SocketFile {
        let (serving, file) = socket.serve(Admin::new(registry));
        self.0.push(tokio::spawn(serving));
        file
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.0.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

async fn sweep(registry: Registry) {
    loop {
        match registry.sweep_expired().await {
            Ok(0) => {}
            Ok(dropped) => tracing::info!(dropped, "dropped uploads that had expired"),
            Err(error) => tracing::warn!(%error, "expired uploads could not be dropped"),
        }
        tokio::time::sleep(SWEEP_EVERY).await;
    }
}

/// The socket of the administration. A registry without one serves all the same.
fn admin(data: &Path, setup: &Setup) -> Option<AdminSocket> {
    if setup.settings.read_only {
        return None;
    }
    match AdminSocket::bind(data) {
        Ok(socket) => Some(socket),
        Err(error) => {
            tracing::warn!(
                folder = %data.display(), %error,
                "there is no socket for administration; commands for it need the server stopped"
            );
            None
        }
    }
}

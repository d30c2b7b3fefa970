//! `dockhand serve`: a registry, from nothing or from a configuration.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use dockhand_server::config::{self, LogFormat, Overrides};
use dockhand_server::{Reload, RunError, Server, Setup, Sockets};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use crate::logging;
use crate::report::{Failure, Kind};

mod supervisor;
mod systemd;

/// Run a registry
///
/// Without FILE, the registry keeps its data in one folder and listens on 127.0.0.1:5000. FILE is
/// Dockhand's own configuration (.toml) or that of CNCF Distribution (.yml), which is taken as it is.
/// Environment variables DOCKHAND_... set any key of the configuration; flags beat both.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Configuration file
    file: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
    /// Start with an empty registry, also in a folder that holds blobs without a database
    #[arg(long)]
    new: bool,
}

/// What can be said on the command line instead of in a file.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Folder of the data [default: ./dockhand-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address to listen on; port 0 takes a free one [default: 127.0.0.1:5000]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Certificate chain, PEM; speaks HTTPS
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key of the certificate, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Form of the log [default: text]
    #[arg(long, value_name = "FORM")]
    log_format: Option<Form>,
    /// Whether each request is a line in the log [default: on]
    #[arg(long, value_name = "ON|OFF")]
    access_log: Option<Switch>,
    /// Answer with paths instead of whole URLs in Location
    #[arg(long)]
    relative_locations: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Switch {
    On,
    Off,
}

impl Flags {
    /// As the top layer of the configuration.
    pub(crate) fn overrides(self) -> Overrides {
        Overrides {
            data: self.data,
            listen: self.listen,
            tls_cert: self.tls_cert,
            tls_key: self.tls_key,
            log_format: self.log_format.map(|form| match form {
                Form::Text => LogFormat::Text,
                Form::Json => LogFormat::Json,
            }),
            access_log: self.access_log.map(|switch| matches!(switch, Switch::On)),
            relative_locations: self.relative_locations.then_some(true),
        }
    }
}

/// Threads for what may block. More than this write or hash at once only on machines whose disks
/// would be the limit anyway.
const BLOCKING_THREADS: usize = 64;

impl Serve {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let loaded = config::load(
            self.file.as_deref(),
            std::env::vars_os(),
            &self.flags.overrides(),
        )
        .map_err(|error| Failure::new(Kind::Usage, &error))?;
        logging::start(&loaded.config.log);
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let setup = Setup {
            new: self.new,
            ..Setup::of(&loaded.config)
        };
        raise_descriptor_limit();
        // Before there are other threads: the variables are taken out of the environment.
        let sockets = systemd::sockets()?;
        supervisor::run(runtime()?, setup, sockets)
    }
}

/// Takes as many descriptors as the system lets a process have. The soft limit is often 1024, for the
/// sake of programs that use select(2).
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files stays where it is");
    }
}

fn runtime() -> Result<Runtime, Failure> {
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("dockhand")
        .build();
    runtime.map_err(|error| Failure::new(Kind::Failed, &error))
}

/// Serves until `stop` resolves. Tells `started` once requests are answered.
async fn serve(
    setup: Setup,
    sockets: Sockets,
    started: oneshot::Sender<Reload>,
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let data = setup.data.clone();
    let server = Server::start_on(setup, sockets)
        .await
        .map_err(|error| failed(&error))?;
    let address = server
        .address()
        .map_err(|error| Failure::new(Kind::Failed, &error))?;
    let _ = started.send(server.reload());
    announce(address, server.is_tls(), data.as_deref());
    systemd::ready(&address.to_string());
    // Ends with the runtime, which ends with the server.
    tokio::spawn(systemd::feed_watchdog());
    server.run(stop).await.map_err(|error| failed(&error))
}

fn failed(error: &RunError) -> Failure {
    let kind = match error {
        RunError::StorageFailed | RunError::Gone(_) => Kind::Storage,
        _ => Kind::Failed,
    };
    let failure = Failure::new(kind, error);
    match error.advice() {
        Some(advice) => failure.hint(advice),
        None => failure,
    }
}

/// One line for programs, then a few for people.
fn announce(address: std::net::SocketAddr, tls: bool, data: Option<&std::path::Path>) {
    let scheme = if tls { "https" } else { "http" };
    let mut out = anstream::stdout().lock();
    let _ = writeln!(out, "listening on {scheme}://{address}");
    let _ = match data {
        Some(path) => writeln!(out, "data is kept in {}", path.display()),
        None => writeln!(out, "data is kept in memory and gone when this stops"),
    };
    let plain = if tls { "" } else { " --dest-tls-verify=false" };
    let _ = writeln!(
        out,
        "\npush an image, for instance one of these:\n  \
         docker tag IMAGE {address}/IMAGE && docker push {address}/IMAGE\n  \
         skopeo copy{plain} oci:FOLDER:TAG docker://{address}/IMAGE:TAG\n  \
         crane push IMAGE.tar {address}/IMAGE:TAG"
    );
    let _ = out.flush();
}

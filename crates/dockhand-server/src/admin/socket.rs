//! The socket of a running server, in the folder of its data: made at the start, removed at the end.
//!
//! Whoever may open the file may do everything, so that it is for its owner alone from the moment at
//! which connections are taken. A crash leaves it there; the next server, which holds the lock of the
//! folder, replaces it.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dockhand_registry::layout::ADMIN_SOCKET;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Admin;

/// Connections at once: commands of people. More wait.
const CONNECTIONS: usize = 16;
/// Connections that wait.
const BACKLOG: i32 = 16;
/// How long to wait before accepting again when the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The longest path that the address of a socket can hold, with the zero that ends it.
const PATH_MAX: usize = if cfg!(target_os = "linux") { 108 } else { 104 };

/// A socket that takes connections.
#[derive(Debug)]
pub(crate) struct AdminSocket {
    listener: UnixListener,
    file: SocketFile,
}

/// The file of a socket, which is removed with this.
#[derive(Debug)]
pub(crate) struct SocketFile(PathBuf);

impl AdminSocket {
    /// Takes connections in the folder, which the caller holds the lock of.
    pub(crate) fn bind(data: &Path) -> io::Result<Self> {
        let file = data.join(ADMIN_SOCKET);
        match fs::symlink_metadata(&file) {
            Ok(found) if found.file_type().is_socket() => fs::remove_file(&file)?,
            Ok(_) => {
                let text = format!("{} is there and is no socket; remove it", file.display());
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let address = Address::of(data)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(&address.path)?)?;
        // Nobody can connect before it listens.
        fs::set_permissions(&file, Permissions::from_mode(0o600))?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        let listener = UnixListener::from_std(OwnedFd::from(socket).into())?;
        let file = SocketFile(file);
        Ok(Self { listener, file })
    }

    /// Answers requests, and gives the file to be kept for as long as they are answered.
    pub(crate) fn serve(
        self,
        admin: Arc<Admin>,
    ) -> (impl Future<Output = ()> + Send + 'static, SocketFile) {
        (accept(self.listener, admin), self.file)
    }
}

/// Until the task is dropped.
async fn accept(listener: UnixListener, admin: Arc<Admin>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let serving = Arc::clone(&admin).serve(stream);
                connections.spawn(async move {
                    serving.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "no connection to the administration");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::debug!(file = %self.0.display(), %error, "the socket was gone already");
        }
    }
}

/// Connects to the server that runs on a folder.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] and [`io::ErrorKind::ConnectionRefused`] when none runs; others as they
/// come from the system.
pub async fn connect(data: &Path) -> io::Result<UnixStream> {
    let address = Address::of(data)?;
    UnixStream::connect(&address.path).await
}

/// A path of the socket that is short enough for an address.
struct Address {
    path: PathBuf,
    /// The folder that a short path goes through.
    _folder: Option<OwnedFd>,
}

impl Address {
    fn of(data: &Path) -> io::Result<Self> {
        let path = data.join(ADMIN_SOCKET);
        if path.as_os_str().len() < PATH_MAX {
            return Ok(Self {
                path,
                _folder: None,
            });
        }
        Self::through_descriptor(data)
    }

    /// Linux has a short path for every open folder.
    #[cfg(target_os = "linux")]
    fn through_descriptor(data: &Path) -> io::Result<Self> {
        use std::os::fd::AsRawFd;

        use rustix::fs::{Mode, OFlags, open};
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = open(data, flags, Mode::empty())?;
        let short = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string());
        Ok(Self {
            path: short.join(ADMIN_SOCKET),
            _folder: Some(folder),
        })
    }

    #[cfg(not(target_os = "linux"))]
    fn through_descriptor(data: &Path) -> io::Result<Self> {
        let text = format!(
            "{} is too long a path for a socket, which may have {} bytes with the name of the file",
            data.display(),
            PATH_MAX - 1,
        );
        Err(io::Error::new(io::ErrorKind::InvalidInput, text))
    }
}

//! What a server listens on: addresses that it binds, or sockets that somebody passes on.

use std::io;

use tokio::net::TcpListener;

use crate::config::Address;
use crate::run::{RunError, Setup};

/// Sockets that listen already, as a service manager passes them on.
#[derive(Debug, Default)]
pub struct Sockets {
    /// For the registry, in place of `server.listen`.
    pub registry: Option<std::net::TcpListener>,
    /// For metrics and health, in place of `metrics.listen`.
    pub metrics: Option<std::net::TcpListener>,
}

/// The socket that was passed on, or one that is bound to the address.
pub(crate) async fn take_or_bind(
    passed: Option<std::net::TcpListener>,
    address: &Address,
) -> Result<TcpListener, RunError> {
    let Some(passed) = passed else {
        return bind(address).await;
    };
    let taken = take(passed).map_err(|source| RunError::Listen {
        address: "the socket that was passed on".to_owned(),
        source,
    })?;
    if let Ok(address) = taken.local_addr() {
        tracing::info!(%address, "listening on a socket that was passed on");
    }
    Ok(taken)
}

fn take(passed: std::net::TcpListener) -> io::Result<TcpListener> {
    passed.set_nonblocking(true)?;
    TcpListener::from_std(passed)
}

/// The socket for metrics and the path to serve them at, when they have one of their own. They are not
/// served on that of the registry then.
pub(crate) async fn for_metrics(
    passed: Option<std::net::TcpListener>,
    setup: &mut Setup,
) -> Result<Option<(TcpListener, String)>, RunError> {
    let on_main = setup.options.metrics_path.clone();
    match (passed, &setup.metrics_listen, on_main) {
        (None, None, _) => Ok(None),
        (passed, Some((address, path)), _) => {
            Ok(Some((take_or_bind(passed, address).await?, path.clone())))
        }
        (passed, None, Some(path)) => {
            setup.options.metrics_path = None;
            let listener = take_or_bind(passed, &setup.listen).await?;
            Ok(Some((listener, path)))
        }
        (Some(_), None, None) => Err(RunError::NoMetrics),
    }
}

async fn bind(address: &Address) -> Result<TcpListener, RunError> {
    let mut outcome = Err(io::Error::from(io::ErrorKind::AddrNotAvailable));
    for candidate in address.candidates() {
        outcome = TcpListener::bind(candidate).await;
        if outcome.is_ok() {
            break;
        }
    }
    outcome.map_err(|source| RunError::Listen {
        address: address.to_string(),
        source,
    })
}

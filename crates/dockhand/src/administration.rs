//! The administration of a registry on this machine, by the folder of its data: asked on the socket of the
//! server that runs there, or of the folder itself when none runs.

use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use dockhand_oci::{ErrorBody, Link};
use dockhand_server::admin::socket;
use dockhand_server::admin::stopped::{Stopped, StoppedError};
use http::header::{HOST, LINK};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::report::{Failure, Kind};

/// Where `serve` keeps its data unless it is told otherwise.
pub(crate) const DATA: &str = "./dockhand-data";

/// How long an answer may take. Writes of a busy registry wait in a queue, for seconds at most.
const WAIT: Duration = Duration::from_secs(60);
/// Bytes of an answer: a page of 1000 entries has a few hundred KiB.
const ANSWER_MAX: usize = 16 << 20;

/// A connection to the administration of a registry.
pub(crate) struct Administration {
    requests: SendRequest<Empty<Bytes>>,
    /// The folder, when no server runs on it.
    stopped: Option<Stopped>,
}

/// What was answered.
pub(crate) struct Answer {
    status: StatusCode,
    body: Bytes,
    /// Where the next page of a list is.
    next: Option<String>,
}

impl Administration {
    /// Connects to the server that runs on a folder, or opens the folder when none does.
    pub(crate) async fn open(data: &Path) -> Result<Self, Failure> {
        match socket::connect(data).await {
            Ok(stream) => Ok(Self {
                requests: speak(stream).await?,
                stopped: None,
            }),
            Err(error) if is_stopped(&error) => {
                let stopped = Stopped::open(data).map_err(|error| unopened(data, &error))?;
                Ok(Self {
                    requests: speak(stopped.connect()).await?,
                    stopped: Some(stopped),
                })
            }
            Err(error) => Err(unreachable(data, &error)),
        }
    }

    /// Asks for a path below that of the version, and what comes with it.
    pub(crate) async fn ask(&mut self, method: Method, target: &str) -> Result<Answer, Failure> {
        let asked = tokio::time::timeout(WAIT, self.exchange(method, target)).await;
        let late = || {
            let message = format!("the registry has not answered within {} s", WAIT.as_secs());
            Failure::plain(Kind::Network, message)
        };
        asked.map_err(|_| late())?
    }

    async fn exchange(&mut self, method: Method, target: &str) -> Result<Answer, Failure> {
        let lost = |error: &dyn std::fmt::Display| {
            let message = format!("the registry ended the connection: {error}");
            Failure::plain(Kind::Network, message)
        };
        let request = Request::builder().method(method).uri(target);
        let request = { request.header(HOST, "localhost") }
            .body(Empty::new())
            .map_err(|error| Failure::new(Kind::Failed, &error))?;
        self.requests.ready().await.map_err(|error| lost(&error))?;
        let response = self.requests.send_request(request).await;
        let (head, body) = response.map_err(|error| lost(&error))?.into_parts();
        let link = head.headers.get(LINK).and_then(|link| link.to_str().ok());
        let next = link.and_then(Link::parse_next).map(str::to_owned);
        let read = Limited::new(body, ANSWER_MAX).collect().await;
        Ok(Answer {
            status: head.status,
            body: read.map_err(|error| lost(&error))?.to_bytes(),
            next,
        })
    }

    /// Lets go of the folder, if it was opened here.
    pub(crate) async fn close(self) {
        drop(self.requests);
        if let Some(stopped) = self.stopped {
            stopped.close().await;
        }
    }
}

impl Answer {
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }

    /// The document of an answer that is no error.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        if !self.status.is_success() {
            return Err(self.failure());
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            let message = format!("the answer of the registry is not understood: {error}");
            Failure::plain(Kind::Failed, message)
                .hint("use the version of dockhand that the server has")
        })
    }

    /// What went wrong, as the registry says it.
    pub(crate) fn failure(&self) -> Failure {
        let kind = match self.status {
            StatusCode::NOT_FOUND => Kind::NotFound,
            _ => Kind::Failed,
        };
        let said = serde_json::from_slice::<ErrorBody>(&self.body).ok();
        let first = said.and_then(|body| body.errors.into_iter().next());
        let message = first.map_or_else(
            || format!("the registry answered with {}", self.status),
            |info| info.message,
        );
        Failure::plain(kind, message)
    }
}

/// Begins to speak HTTP on a connection.
async fn speak<S>(stream: S) -> Result<SendRequest<Empty<Bytes>>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (requests, connection) = handshake(TokioIo::new(stream))
        .await
        .map_err(|error| Failure::new(Kind::Network, &error))?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "the connection to the administration ended");
        }
    });
    Ok(requests)
}

/// Whether nobody listens: there is no socket, or one that a crash left.
fn is_stopped(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | ConnectionRefused | NotADirectory)
}

fn unreachable(data: &Path, error: &io::Error) -> Failure {
    let message = format!(
        "cannot reach the server that runs on {}: {error}",
        data.display()
    );
    let failure = Failure::plain(Kind::Failed, message);
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            failure.hint("run this as the user that the server runs as")
        }
        _ => failure,
    }
}

fn unopened(data: &Path, error: &StoppedError) -> Failure {
    match error {
        StoppedError::None(_) => Failure::new(Kind::NotFound, error)
            .hint("--data DIR names the folder in which `dockhand serve` keeps its data"),
        error => Failure::new(Kind::Failed, error).about(&data.display().to_string()),
    }
}

//! What went wrong: where, doing what, what the registry said, and what to do about it.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use dockhand_oci::ErrorInfo;
use http::StatusCode;

/// What kind of failure an [`Error`] is; it decides whether to try again and how a command exits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The repository, manifest, tag, blob or file is not there.
    NotFound,
    /// The registry asks for credentials, or does not accept those it was given (401).
    Unauthorized,
    /// The credentials do not allow this (403).
    Denied,
    /// Too many requests (429), and waiting as long as was asked would take too long.
    RateLimited,
    /// No answer, or no more bytes, in time.
    Timeout,
    /// The connection could not be made, or broke and stayed broken.
    Connect,
    /// The TLS handshake failed: an unknown authority, an expired certificate, the wrong name.
    Tls,
    /// The content is not what its digest says.
    DigestMismatch,
    /// The content is longer or shorter than it was said to be.
    SizeMismatch,
    /// The registry, or the kind of place, cannot do this.
    Unsupported,
    /// A text that a person wrote is no reference, URL, digest, platform or the like.
    Invalid,
    /// What is there already is in the way: an existing tag, a failed condition, shared content.
    Conflict,
    /// The registry refused the request as wrong (other 4xx).
    Refused,
    /// The registry failed (5xx).
    Server,
    /// The answer makes no sense for the protocol.
    Protocol,
    /// The configuration or the stored credentials cannot be used.
    Config,
    /// Reading or writing here failed: a file, a disk, a pipe.
    Io,
    /// Content would reach outside of where it belongs: a path with `..`, a device, a bomb.
    Unsafe,
}

/// A failure of an operation on a registry or another place of images.
///
/// It prints as one line: what was tried and where, what the other side said, and a hint where one is
/// known. [`source`](std::error::Error::source) has the cause when another library failed.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    doing: Option<String>,
    host: Option<String>,
    status: Option<StatusCode>,
    errors: Vec<ErrorInfo>,
    request_id: Option<String>,
    retry_after: Option<Duration>,
    attempts: u32,
    /// Whether no byte of an answer came.
    unanswered: bool,
    /// Whether there is no such host, or nobody who listens there.
    absent: bool,
    /// How the request came to a host that is not the registry.
    via: Option<String>,
    hint: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The longest message, in bytes. Some repeat what another program said.
const MESSAGE_MAX: usize = 8 * 1024;

/// The result of the operations of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure of this kind with what happened, in lower case and without a full stop.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.len() > MESSAGE_MAX {
            message.truncate(message.floor_char_boundary(MESSAGE_MAX));
            message.push('…');
        }
        Self(Box::new(Inner {
            kind,
            message,
            doing: None,
            host: None,
            status: None,
            errors: Vec::new(),
            request_id: None,
            retry_after: None,
            attempts: 1,
            unanswered: false,
            absent: false,
            via: None,
            hint: None,
            source: None,
        }))
    }

    /// A failure to read or write the file or folder `path`.
    #[must_use]
    pub fn io(path: impl AsRef<std::path::Path>, error: std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Io,
        };
        let path = path.as_ref().display();
        let message = match error.kind() {
            std::io::ErrorKind::NotFound => format!("{path} is not there"),
            std::io::ErrorKind::AlreadyExists => format!("{path} is there already"),
            std::io::ErrorKind::NotADirectory => format!("{path} is no folder"),
            std::io::ErrorKind::IsADirectory => format!("{path} is a folder"),
            std::io::ErrorKind::PermissionDenied => format!("{path}: permission denied"),
            std::io::ErrorKind::StorageFull => format!("{path}: no space is left on the disk"),
            _ => format!("{path}: {error}"),
        };
        Self::new(kind, message).with_source(error)
    }

    /// With what was tried, unless an inner call already said: `pull the manifest of team/app:1`.
    #[must_use]
    pub fn doing(mut self, doing: impl Into<String>) -> Self {
        self.0.doing.get_or_insert_with(|| doing.into());
        self
    }

    /// With the host, and port, that was talked to, unless it is known already.
    #[must_use]
    pub fn at(mut self, host: impl Into<String>) -> Self {
        self.0.host.get_or_insert_with(|| host.into());
        self
    }

    /// With how the request came to a host that is not the registry, unless it is known already.
    #[must_use]
    pub(crate) fn via(mut self, via: impl Into<String>) -> Self {
        self.0.via.get_or_insert_with(|| via.into());
        self
    }

    /// With what the person can do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// With the failure that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// With the answer's status, errors and request identity.
    #[must_use]
    pub(crate) fn answered(
        mut self,
        status: StatusCode,
        errors: Vec<ErrorInfo>,
        request_id: Option<String>,
    ) -> Self {
        self.0.status = Some(status);
        self.0.errors = errors;
        self.0.request_id = request_id;
        self
    }

    /// With how often it was tried, and how long the registry asks to wait.
    #[must_use]
    pub(crate) fn tried(mut self, attempts: u32, retry_after: Option<Duration>) -> Self {
        self.0.attempts = attempts;
        self.0.retry_after = retry_after.or(self.0.retry_after);
        self
    }

    /// Because not a byte of an answer came.
    #[must_use]
    pub(crate) fn unanswered(mut self) -> Self {
        self.0.unanswered = true;
        self
    }

    /// Whether not a byte of an answer came.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.0.unanswered
    }

    /// Because there is no such host, or nobody who listens there.
    #[must_use]
    pub(crate) fn absent(mut self) -> Self {
        self.0.absent = true;
        self
    }

    /// Whether there is no such host, or nobody who listens there.
    pub(crate) fn is_absent(&self) -> bool {
        self.0.absent
    }

    /// The same failure as one of another kind.
    #[must_use]
    pub(crate) fn of_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// The same failure with its message changed.
    #[must_use]
    pub(crate) fn reworded(mut self, change: impl FnOnce(&str) -> String) -> Self {
        self.0.message = change(&self.0.message);
        self
    }

    /// The same failure once more, without its cause.
    pub(crate) fn again(&self) -> Self {
        let inner = &*self.0;
        Self(Box::new(Inner {
            message: inner.message.clone(),
            doing: inner.doing.clone(),
            host: inner.host.clone(),
            errors: inner.errors.clone(),
            request_id: inner.request_id.clone(),
            via: inner.via.clone(),
            hint: inner.hint.clone(),
            source: None,
            ..*inner
        }))
    }

    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What happened, without where, how often, and what to do about it.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The host, with its port, that failed: the registry, or a host that it sent the request to.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.0.host.as_deref()
    }

    /// What was tried.
    #[must_use]
    pub fn operation(&self) -> Option<&str> {
        self.0.doing.as_deref()
    }

    /// The status of the answer, when there was one.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status
    }

    /// The errors in the body of the answer, their codes as they came.
    #[must_use]
    pub fn errors(&self) -> &[ErrorInfo] {
        &self.0.errors
    }

    /// Whether the answer had this error code.
    #[must_use]
    pub fn has_code(&self, code: &str) -> bool {
        self.0.errors.iter().any(|error| error.code == code)
    }

    /// The identity that the registry gave the request: what its operators ask for.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// How long the registry asked to wait before the next try.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// How often the request was sent.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// What the person can do next, when that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        if let Some(doing) = &inner.doing {
            write!(f, "cannot {doing}")?;
        }
        match (&inner.doing, &inner.host) {
            (Some(_), Some(host)) => write!(f, " at {host}: ")?,
            (None, Some(host)) => write!(f, "{host}: ")?,
            (Some(_), None) => f.write_str(": ")?,
            (None, None) => {}
        }
        f.write_str(&inner.message)?;
        if let Some(id) = &inner.request_id {
            write!(f, " (request {id})")?;
        }
        if inner.attempts > 1 {
            write!(f, ", tried {} times", inner.attempts)?;
        }
        if let Some(via) = &inner.via {
            write!(f, "; {via}")?;
        }
        match &inner.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// A word that a person or a registry wrote and that is none.
macro_rules! from_word {
    ($($error:ty),*) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::new(ErrorKind::Invalid, error.to_string()).with_source(error)
            }
        }
    )*};
}

from_word!(
    dockhand_oci::DigestError,
    dockhand_oci::ImageRefError,
    dockhand_oci::MediaTypeError,
    dockhand_oci::NameError,
    dockhand_oci::PlatformError,
    dockhand_oci::ReferenceError,
    dockhand_oci::TagError
);

impl From<dockhand_oci::ManifestError> for Error {
    fn from(error: dockhand_oci::ManifestError) -> Self {
        Self::new(ErrorKind::Protocol, error.to_string()).with_source(error)
    }
}

impl From<dockhand_oci::Mismatch> for Error {
    fn from(error: dockhand_oci::Mismatch) -> Self {
        Self::new(ErrorKind::DigestMismatch, error.to_string()).with_source(error)
    }
}

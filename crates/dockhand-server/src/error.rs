//! Every way in which a request is refused, and what it is on the wire.

use dockhand_oci::{EndpointError, ErrorCode, PageError, ReferenceError, TagError};
use dockhand_registry::Answer;
use http::Method;

use crate::head::HeadError;

/// Why a request was not carried out: a refusal of its words here, or of the rules below.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The registry says no.
    #[error(transparent)]
    Registry(#[from] dockhand_registry::Error),
    /// The path is not an endpoint, or a word in it is wrong.
    #[error(transparent)]
    Endpoint(EndpointError),
    /// What can be no tag cannot exist: who asks for it is told so, as of any other that is not there.
    #[error("there is no such manifest: {0}")]
    NoSuchTag(TagError),
    /// The path is none of the administration's.
    #[error(
        "this path is none of the administration API, which is at {}",
        crate::admin::PREFIX
    )]
    NoSuchResource,
    /// The endpoint exists, the method there does not.
    #[error("{method} is not possible here; allowed: {allowed}")]
    Method {
        /// What was tried.
        method: Method,
        /// The value of `Allow`.
        allowed: &'static str,
    },
    /// A parameter of the query is missing, doubled or malformed.
    #[error("the parameter `{name}` {problem}")]
    Parameter {
        /// Its name.
        name: &'static str,
        /// What is wrong, as the rest of a sentence.
        problem: String,
        /// The code that the specification has for it.
        code: ErrorCode,
    },
    /// A header is malformed.
    #[error("the header `{name}` {problem}")]
    Header {
        /// Its name.
        name: &'static str,
        /// What is wrong, as the rest of a sentence.
        problem: String,
        /// The code that the specification has for it.
        code: ErrorCode,
        /// The status that goes with it.
        status: u16,
    },
    /// The head is refused before anything else is looked at.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// `n` is not a number.
    #[error(transparent)]
    Page(#[from] PageError),
}

impl Error {
    /// What a path that is no endpoint means to a request of this method.
    pub(crate) fn of_path(method: &Method, error: EndpointError) -> Self {
        match error {
            EndpointError::Reference(ReferenceError::Tag(error)) if *method != Method::PUT => {
                Self::NoSuchTag(error)
            }
            error => Self::Endpoint(error),
        }
    }

    /// The code and the status: the second half of the one map, for what the rules never see.
    pub(crate) fn answer(&self) -> Answer {
        use ErrorCode as Code;
        let (code, status) = match self {
            Self::Registry(error) => return error.answer(),
            Self::Endpoint(error) => match error {
                EndpointError::NotFound => (Code::Unsupported, 404),
                EndpointError::Name(_) => (Code::NameInvalid, 400),
                EndpointError::Digest(_) | EndpointError::Reference(ReferenceError::Digest(_)) => {
                    (Code::DigestInvalid, 400)
                }
                EndpointError::Tag(_) | EndpointError::Reference(ReferenceError::Tag(_)) => {
                    (Code::TagInvalid, 400)
                }
                EndpointError::Upload(_) => (Code::BlobUploadUnknown, 404),
            },
            Self::NoSuchTag(_) => (Code::ManifestUnknown, 404),
            Self::NoSuchResource => (Code::Unsupported, 404),
            Self::Method { .. } => (Code::Unsupported, 405),
            Self::Parameter { code, .. } => (*code, 400),
            Self::Header { code, status, .. } => (*code, *status),
            Self::Head(error) => (Code::Unsupported, error.status()),
            Self::Page(_) => (Code::PaginationNumberInvalid, 400),
        };
        Answer {
            code,
            status,
            retry_after: None,
        }
    }
}

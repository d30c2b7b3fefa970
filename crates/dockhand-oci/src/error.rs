//! The error codes of the API and the body that carries them.
//!
//! Codes: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes>; the
//! last six are not in the specification; all but `PRECONDITION_FAILED` are known to clients through
//! CNCF Distribution.

use serde::{Deserialize, Serialize};

/// One row per code: variant, wire text, what it means to a person.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident $text:literal $meaning:literal)*) => {
        /// An error code that Dockhand sends.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(#[doc = $meaning] $variant,)*
        }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The code as it stands on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// What the code means, for a message that has nothing better to say.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

codes! {
    BlobUnknown "BLOB_UNKNOWN" "blob unknown to registry"
    BlobUploadInvalid "BLOB_UPLOAD_INVALID" "blob upload invalid"
    BlobUploadUnknown "BLOB_UPLOAD_UNKNOWN" "blob upload unknown to registry"
    DigestInvalid "DIGEST_INVALID" "provided digest did not match uploaded content"
    ManifestBlobUnknown "MANIFEST_BLOB_UNKNOWN" "manifest references a manifest or blob unknown to registry"
    ManifestInvalid "MANIFEST_INVALID" "manifest invalid"
    ManifestUnknown "MANIFEST_UNKNOWN" "manifest unknown to registry"
    NameInvalid "NAME_INVALID" "invalid repository name"
    NameUnknown "NAME_UNKNOWN" "repository name not known to registry"
    SizeInvalid "SIZE_INVALID" "provided length did not match content length"
    Unauthorized "UNAUTHORIZED" "authentication required"
    Denied "DENIED" "requested access to the resource is denied"
    Unsupported "UNSUPPORTED" "the operation is unsupported"
    TooManyRequests "TOOMANYREQUESTS" "too many requests"
    TagInvalid "TAG_INVALID" "manifest tag invalid"
    RangeInvalid "RANGE_INVALID" "invalid content range"
    PaginationNumberInvalid "PAGINATION_NUMBER_INVALID" "invalid number of results requested"
    PreconditionFailed "PRECONDITION_FAILED" "the condition of the request does not hold"
    Unavailable "UNAVAILABLE" "service unavailable"
    Unknown "UNKNOWN" "unknown error"
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One entry of an error body. Codes stay text here: a registry may send any.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorInfo {
    /// The code, one of [`ErrorCode`] when it is ours.
    #[serde(default)]
    pub code: String,
    /// What happened, for a person.
    #[serde(default)]
    pub message: String,
    /// Anything more: text, object or list.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub detail: serde_json::Value,
}

/// The body of a failed answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The errors; the status of the answer is that of the first.
    #[serde(default)]
    pub errors: Vec<ErrorInfo>,
}

#[cfg(test)]
mod tests;

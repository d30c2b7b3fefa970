//! What a caller may watch while work goes on: progress, retries, warnings.

use std::fmt;
use std::time::Duration;

use dockhand_oci::{Descriptor, Digest};
use http::StatusCode;

use crate::ErrorKind;

/// Something that happened on the way. New kinds may come.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A blob or manifest of so many bytes begins to move.
    Started(Descriptor),
    /// More of a blob has moved: how many bytes since the last event of this blob. Negative when a
    /// transfer broke and begins again further back.
    Progress(Digest, i64),
    /// A blob or manifest is where it should be.
    Done(Descriptor, Moved),
    /// A request failed and is sent again.
    Retried {
        /// The host that failed: the registry, or one that it sent the request to.
        host: String,
        /// What is tried.
        doing: String,
        /// What went wrong.
        why: String,
        /// What kind of failure that is.
        kind: ErrorKind,
        /// The status of the answer, when there was one.
        status: Option<StatusCode>,
        /// How long is waited before.
        wait: Duration,
    },
    /// The registry sent a `Warning` header, or something went on that a person should know.
    Warning {
        /// The host that it is about.
        host: String,
        /// What it says.
        text: String,
    },
    /// The registry said how many requests are left, in its own words: `76;w=21600`.
    RateLimit {
        /// The host that said so.
        host: String,
        /// The limit.
        limit: String,
        /// What is left of it.
        remaining: String,
    },
}

/// How content came to be where it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Moved {
    /// It was sent.
    Sent,
    /// The registry took it over from another of its repositories; no byte moved.
    Mounted,
    /// It was there before.
    Existed,
}

/// Watches what happens. Called in the middle of transfers, so it must not block.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn event(&self, event: &Event);
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn event(&self, _: &Event) {}
}

impl fmt::Debug for dyn Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

//! The server through its router: requests in, whole answers out.

mod bad_input;
mod blobs;
mod conditions;
mod connections;
mod lists;
mod manifests;
mod support;
mod uploads;

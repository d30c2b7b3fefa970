//! The server through its router: requests in, whole answers out.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod admin;
mod bad_input;
mod blobs;
mod conditions;
mod connections;
mod damage;
mod descriptors;
mod early_answers;
mod expectations;
mod files;
mod heads;
mod http2;
mod idle;
mod lists;
mod lost_bytes;
mod manifests;
mod observed;
mod support;
mod unread;
mod upload_room;
mod uploads;

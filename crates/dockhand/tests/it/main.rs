//! The command from outside, and what keeps the tree tidy.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod blobs;
mod cli;
mod client;
mod serving;
mod tidy;

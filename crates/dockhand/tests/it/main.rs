//! The command from outside, and what keeps the tree tidy.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod blobs;
mod capabilities;
mod cli;
mod client;
mod connecting;
mod content;
mod copying;
mod ending;
mod failing;
mod fingers;
mod folders;
mod helping;
mod images;
mod leaving_out;
mod listing;
mod login;
mod looking;
mod looking_indexes;
mod mirroring;
mod operating;
mod peer;
mod places;
mod reading;
mod reading_words;
mod rewriting;
mod rewriting_words;
mod serving;
mod systemd;
mod tidy;
mod upload_room;
mod writing;

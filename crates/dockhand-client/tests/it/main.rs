//! The client against our own server in this process, and against peers that play other registries.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod artifacts;
mod artifacts_folders;
mod auth_leaks;
mod auth_tokens;
mod copies;
mod downloads;
mod faults;
mod faults_uploads;
mod filesystem;
mod filesystem_unpack;
mod peer;
mod quirks_content;
mod quirks_errors;
mod quirks_lists;
mod quirks_referrers;
mod quirks_uploads;
mod registry;
mod repositories;
mod rewrite;
mod rewrite_data;
mod rewrite_layers;
mod stores;
mod stores_archive;
mod stores_docker;
mod stores_layout;
mod stores_place;
mod stores_prune;
mod syncs;
mod tars;
mod validating;

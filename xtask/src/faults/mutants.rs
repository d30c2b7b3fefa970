//! Shows that the power cuts find what they are for: the same server, with a part of its syncs
//! swallowed, has to be caught.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context as _, Result};
use fastrand::Rng;

use super::campaign::{self, Plan};
use super::site::{self, Site};
use super::target::Target;

/// A server that only pretends to sync.
pub(crate) struct Mutant {
    /// What it is called.
    pub(crate) name: &'static str,
    /// System calls that do nothing and say that they went well.
    swallowed: &'static str,
}

/// What strace looks at; the rest of the server runs at full speed.
const SYNCS: &str = "trace=fsync,fdatasync,sync_file_range,syncfs,sync";
/// A server that loses what it acknowledged is caught in so many cuts.
const CUTS: usize = 20;

/// Each of them loses something else: everything; blobs, which the standard library syncs by `fsync`;
/// metadata, which SQLite syncs by `fdatasync`.
pub(crate) const MUTANTS: [Mutant; 3] = [
    Mutant {
        name: "no sync at all",
        swallowed: "fsync,fdatasync,sync_file_range,syncfs,sync",
    },
    Mutant {
        name: "no fsync",
        swallowed: "fsync",
    },
    Mutant {
        name: "no fdatasync",
        swallowed: "fdatasync",
    },
];

/// Cuts the power of a mutant until something is found.
///
/// # Errors
/// When nothing is found: then the campaign proves nothing.
pub(crate) fn run(mutant: &Mutant, target: &Target, work: &Path, mut rng: Rng) -> Result<String> {
    let inject = format!("inject={}:retval=0", mutant.swallowed);
    let target = traced(target, &["-e", &inject])?;
    let site = Site::powered(work, &mut rng)?;
    let plan = Plan {
        target: &target,
        rounds: CUTS,
        must_find: true,
        work,
        rng,
    };
    let outcome = campaign::run(plan, site)?;
    let missed = || format!("it was not caught in {CUTS} cuts: {}", outcome.summary);
    let first = outcome.found.first().with_context(missed)?;
    let first = first.lines().next().unwrap_or_default();
    Ok(format!("caught in cut {}: {first}", outcome.rounds))
}

/// Cuts the power of the server as it is, run in the same way, as often.
///
/// # Errors
/// With whatever is found: then a mutant may have been caught for another reason.
pub(crate) fn control(target: &Target, work: &Path, mut rng: Rng) -> Result<String> {
    let target = traced(target, &[])?;
    let site = Site::powered(work, &mut rng)?;
    let plan = Plan {
        target: &target,
        rounds: CUTS,
        must_find: false,
        work,
        rng,
    };
    campaign::expect_clean(&campaign::run(plan, site)?)
}

/// The server under strace, with these further options.
fn traced(target: &Target, options: &[&str]) -> Result<Target> {
    site::check_can_mount(&["mkfs.ext4", "mount", "strace"])?;
    // -D: the server is our child, and strace is its grandchild, so that the kill hits the server.
    let words = [
        "strace",
        "-D",
        "-f",
        "-qq",
        "--seccomp-bpf",
        "-o",
        "/dev/null",
    ];
    let words = words
        .iter()
        .chain(&["-e", SYNCS])
        .chain(options)
        .chain(&["--"]);
    Ok(Target {
        wrapper: words.map(OsString::from).collect(),
        ..target.clone()
    })
}

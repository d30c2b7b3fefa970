//! Shows that the power cuts find what they are for: the same server, with a part of its syncs
//! swallowed, has to be caught; and as it is, run in the same way, not.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fastrand::Rng;

use super::campaign::{self, Plan};
use super::site::{self, Site};
use super::target::{Kind, Target};
use crate::process;

/// A server that only pretends to sync.
pub(crate) struct Mutant {
    /// What it is called.
    pub(crate) name: &'static str,
    /// What the shim below swallows.
    swallowed: &'static str,
}

/// Each of them loses something else. That the syncs of folders are needed cannot be shown on ext4:
/// the sync of the metadata that follows commits its one journal, and the names with it.
pub(crate) const MUTANTS: [Mutant; 3] = [
    Mutant {
        name: "no sync at all",
        swallowed: "everything",
    },
    Mutant {
        name: "no sync of bytes",
        swallowed: "bytes",
    },
    Mutant {
        name: "no sync of metadata",
        swallowed: "metadata",
    },
];

/// A server that loses what it acknowledged is caught in so many cuts.
const CUTS: usize = 20;
/// One small C file.
const COMPILE: Duration = Duration::from_secs(60);

/// Stands before the C library and says of some syncs that they went well.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int swallowed(int fd) {
    const char *what = getenv("FAULTS_SWALLOW");
    struct stat file;
    char link[64], path[4096] = "";
    if (what == NULL || fstat(fd, &file) != 0) return 0;
    if (strcmp(what, "everything") == 0) return 1;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (readlink(link, path, sizeof path - 1) < 0) return 0;
    int metadata = strstr(path, "/dockhand.db") != NULL;
    if (strcmp(what, "metadata") == 0) return metadata;
    if (strcmp(what, "bytes") == 0) return S_ISREG(file.st_mode) && !metadata;
    return 0;
}

int fsync(int fd) { return swallowed(fd) ? 0 : syscall(SYS_fsync, fd); }
int fdatasync(int fd) { return swallowed(fd) ? 0 : syscall(SYS_fdatasync, fd); }
int syncfs(int fd) { return swallowed(fd) ? 0 : syscall(SYS_syncfs, fd); }
"#;

/// Cuts the power of a mutant until something is found.
///
/// # Errors
/// When nothing is found: then the campaign proves nothing.
pub(crate) fn run(mutant: &Mutant, target: &Target, work: &Path, mut rng: Rng) -> Result<String> {
    let target = shimmed(target, mutant.swallowed, work)?;
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
    Ok(format!("caught by {first}"))
}

/// Cuts the power of the server as it is.
///
/// # Errors
/// With whatever is found: then a mutant may have been caught for another reason.
pub(crate) fn control(target: &Target, work: &Path, mut rng: Rng) -> Result<String> {
    let target = shimmed(target, "nothing", work)?;
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

/// The server with the shim before its C library.
fn shimmed(target: &Target, swallow: &str, work: &Path) -> Result<Target> {
    site::check_can_mount(&["mkfs.ext4", "mount", "cc"])?;
    ensure!(
        target.kind == Kind::Dockhand,
        "the shim is made for dockhand"
    );
    let (source, shim) = (work.join("shim.c"), work.join("shim.so"));
    fs::write(&source, SHIM).with_context(|| source.display().to_string())?;
    let mut compile = Command::new("cc");
    compile
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&shim)
        .arg(&source);
    process::run(&mut compile, COMPILE)?.success()?;
    let mut preload = OsString::from("LD_PRELOAD=");
    preload.push(&shim);
    let swallow = format!("FAULTS_SWALLOW={swallow}").into();
    Ok(Target {
        wrapper: vec!["env".into(), preload, swallow],
        ..target.clone()
    })
}

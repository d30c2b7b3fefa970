//! Programs that the checks need: found where they are, or installed; never skipped.
//!
//! Packages of the distribution come from `apt-get`; Go programs at pinned versions go to
//! `target/tools/bin`, so that a run is the same everywhere.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::dockhand::target_folder;
use crate::process::run;

/// Downloading and compiling the largest of the Go programs takes minutes on a small machine.
const INSTALL: Duration = Duration::from_secs(20 * 60);
/// Package lists younger than this are not fetched again.
const LISTS_FRESH: Duration = Duration::from_secs(24 * 60 * 60);

/// Where a program comes from.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// A Debian or Ubuntu package.
    Apt(&'static str),
    /// A Go program: the package to install, and its version.
    Go(&'static str, &'static str),
}

/// Every program that is known here. A Go program is pinned: a newer client may ask for more.
const TOOLS: &[(&str, Source)] = &[
    ("buildah", Source::Apt("buildah")),
    ("debootstrap", Source::Apt("debootstrap")),
    ("nginx", Source::Apt("nginx-light")),
    ("openssl", Source::Apt("openssl")),
    ("podman", Source::Apt("podman")),
    ("skopeo", Source::Apt("skopeo")),
    ("sqlite3", Source::Apt("sqlite3")),
    ("strace", Source::Apt("strace")),
    (
        "crane",
        Source::Go(
            "github.com/google/go-containerregistry/cmd/crane",
            "v0.22.1",
        ),
    ),
    ("oras", Source::Go("oras.land/oras/cmd/oras", "v1.3.2")),
    (
        "regctl",
        Source::Go("github.com/regclient/regclient/cmd/regctl", "v0.11.7"),
    ),
    // CNCF Distribution; its program is called `registry`.
    (
        "registry",
        Source::Go(
            "github.com/distribution/distribution/v3/cmd/registry",
            "v3.1.2",
        ),
    ),
];

/// The folder of programs and sources that were fetched for the checks.
pub(crate) fn tools_folder() -> PathBuf {
    target_folder().join("tools")
}

/// The path of a program, which is installed when it is not there.
///
/// An error says what is missing and how to get it.
pub(crate) fn require(name: &str) -> Result<PathBuf> {
    let bin = tools_folder().join("bin");
    let known = TOOLS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, source)| *source);
    // A pinned program lies under a name that carries the pin.
    let ours = match known {
        Some(Source::Go(_, version)) => bin.join(format!("{name}-{version}")),
        _ => bin.join(name),
    };
    if ours.is_file() {
        return Ok(ours);
    }
    match known {
        Some(Source::Go(package, version)) => match (on_path("go"), on_path(name)) {
            // Without Go, a program of any version is better than none.
            (None, Some(path)) => Ok(path),
            _ => go_install(package, version, &bin, &ours).map(|()| ours),
        },
        Some(Source::Apt(package)) => match on_path(name) {
            Some(path) => Ok(path),
            None => {
                apt_install(name, package)?;
                on_path(name).ok_or_else(|| anyhow!("package {package} has no program {name}"))
            }
        },
        None => on_path(name).ok_or_else(|| anyhow!("{name} is not on PATH; please install it")),
    }
}

/// Installs a package of the distribution.
fn apt_install(name: &str, package: &str) -> Result<()> {
    let how =
        format!("{name} is missing: run `apt-get install {package}` as root, or put it on PATH");
    if !rustix::process::geteuid().is_root() {
        bail!("{how} (not installed now: this is not root)");
    }
    let Some(apt) = on_path("apt-get") else {
        bail!("{how} (not installed now: no apt-get here)")
    };
    let apt = |words: &[&str]| {
        let mut command = Command::new(&apt);
        // Another run of these checks may hold the lock.
        command.args(["-o", "DPkg::Lock::Timeout=300"]).args(words);
        run(command.env("DEBIAN_FRONTEND", "noninteractive"), INSTALL)?.success()
    };
    let stamp = tools_folder().join("apt-lists-fetched");
    if !is_fresh(&stamp) {
        apt(&["update"]).context(how.clone())?;
        fs::create_dir_all(tools_folder())?;
        fs::write(&stamp, "")?;
    }
    println!("installing {package}");
    apt(&["install", "-y", "--no-install-recommends", package]).context(how)?;
    Ok(())
}

fn is_fresh(stamp: &Path) -> bool {
    let modified = fs::metadata(stamp).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|at| {
        SystemTime::now()
            .duration_since(at)
            .is_ok_and(|age| age < LISTS_FRESH)
    })
}

/// Installs a Go program under a name that carries its version.
fn go_install(package: &str, version: &str, bin: &Path, to: &Path) -> Result<()> {
    let wanted = format!("{package}@{version}");
    let how = || format!("{wanted} is missing: get it by `go install {wanted}`");
    println!("installing {wanted}");
    fs::create_dir_all(bin)?;
    // A folder of its own: `go install` names the program by its package, without a version.
    let fresh = tempfile::tempdir_in(bin)?;
    run(
        go()?.args(["install", &wanted]).env("GOBIN", fresh.path()),
        INSTALL,
    )?
    .success()
    .with_context(how)?;
    let program = package.rsplit('/').next().unwrap_or(package);
    fs::rename(fresh.path().join(program), to).with_context(how)
}

/// The `go` command, for what is built from source.
pub(crate) fn go() -> Result<Command> {
    let go = on_path("go").ok_or_else(|| {
        anyhow!("go is missing: install Go 1.24 or newer from https://go.dev/dl and put it on PATH")
    })?;
    Ok(Command::new(go))
}

/// Where the shell would find a program; `sbin` is looked into though users often lack it.
fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/local/go/bin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path)
        .chain(usual)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

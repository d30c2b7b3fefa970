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
    /// A Go program: its module, the version of it, and the folder of the program in it.
    Go(&'static str, &'static str, &'static str),
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
            "github.com/google/go-containerregistry",
            "v0.22.1",
            "cmd/crane",
        ),
    ),
    ("oras", Source::Go("oras.land/oras", "v1.3.2", "cmd/oras")),
    (
        "regctl",
        Source::Go("github.com/regclient/regclient", "v0.11.7", "cmd/regctl"),
    ),
    // CNCF Distribution; its program is called `registry`.
    (
        "registry",
        Source::Go(
            "github.com/distribution/distribution/v3",
            "v3.1.2",
            "cmd/registry",
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
        Some(Source::Go(_, version, _)) => bin.join(format!("{name}-{version}")),
        _ => bin.join(name),
    };
    if ours.is_file() {
        return Ok(ours);
    }
    match known {
        Some(Source::Go(module, version, program)) => match (on_path("go"), on_path(name)) {
            // Without Go, a program of any version is better than none.
            (None, Some(path)) => Ok(path),
            _ => go_install(module, version, program, &ours).map(|()| ours),
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

/// Builds a Go program from its module, with exactly the dependencies that the module pins.
///
/// Not by `go install`: that also asks for the newest version, which some proxies do not tell.
fn go_install(module: &str, version: &str, program: &str, to: &Path) -> Result<()> {
    let wanted = format!("{module}/{program}@{version}");
    let how = || format!("{wanted} is missing: get it by `go install {wanted}`");
    println!("installing {wanted}");
    let source = go_module(module, version, &[]).with_context(how)?;
    go_build(Path::new(&source.folder), program, to).with_context(how)
}

/// A module in Go's cache.
#[derive(Debug)]
pub(crate) struct GoModule {
    /// Where its sources lie; not to be written to.
    pub(crate) folder: PathBuf,
    /// Its checksum, as `go.sum` has it.
    pub(crate) sum: String,
}

/// Downloads a module; with variables of the environment of `go` that differ from the usual.
pub(crate) fn go_module(
    module: &str,
    version: &str,
    environment: &[(&str, &str)],
) -> Result<GoModule> {
    let wanted = format!("{module}@{version}");
    // Away from any `go.mod`, and with no flags of the caller's.
    let folder = tempfile::tempdir()?;
    let mut go = go()?;
    go.args(["mod", "download", "-json", &wanted])
        .current_dir(folder.path());
    let output = run(go.envs(environment.iter().copied()), INSTALL)?.success()?;
    let answer: serde_json::Value = serde_json::from_str(&output.stdout)?;
    let text = |key: &str| {
        let value = answer[key].as_str();
        value
            .map(str::to_owned)
            .with_context(|| format!("go says no {key} of {wanted}"))
    };
    Ok(GoModule {
        folder: text("Dir")?.into(),
        sum: text("Sum")?,
    })
}

/// Builds a program from a folder of Go sources.
pub(crate) fn go_build(folder: &Path, program: &str, to: &Path) -> Result<()> {
    let bin = to.parent().context("no folder to build into")?;
    fs::create_dir_all(bin)?;
    // Under another name first: another run may look for the program meanwhile.
    let fresh = tempfile::tempdir_in(bin)?;
    let built = fresh.path().join("program");
    let mut go = go()?;
    go.arg("build")
        .arg("-C")
        .arg(folder)
        .args(["-buildvcs=false", "-o"])
        .arg(&built);
    run(go.arg(format!("./{program}")), INSTALL)?.success()?;
    Ok(fs::rename(built, to)?)
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

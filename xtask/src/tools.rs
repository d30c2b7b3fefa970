//! Programs that the checks need: found where they are, or installed; never skipped.
//!
//! Packages of the distribution come from `apt-get`; Go programs at pinned versions, and programs of
//! packages that are unpacked and not installed, go to `target/tools/bin`, so that a run is the same
//! everywhere.

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
    /// A file of a package that is unpacked here: installed, it would start a service.
    Unpacked(&'static str, &'static str),
    /// A Go program: its module, the version of it, the folder of the program in it, and the tags of
    /// the build.
    Go(&'static str, &'static str, &'static str, &'static str),
}

/// Every program that is known here. A Go program is pinned: a newer client may ask for more.
const TOOLS: &[(&str, Source)] = &[
    ("buildah", Source::Apt("buildah")),
    ("debootstrap", Source::Apt("debootstrap")),
    // CNCF Distribution 2.8, as Debian and Ubuntu package it.
    (
        "docker-registry",
        Source::Unpacked("docker-registry", "usr/bin/docker-registry"),
    ),
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
            "",
        ),
    ),
    (
        "oras",
        Source::Go("oras.land/oras", "v1.3.2", "cmd/oras", ""),
    ),
    (
        "regctl",
        Source::Go(
            "github.com/regclient/regclient",
            "v0.11.7",
            "cmd/regctl",
            "",
        ),
    ),
    (
        "regsync",
        Source::Go(
            "github.com/regclient/regclient",
            "v0.11.7",
            "cmd/regsync",
            "",
        ),
    ),
    // CNCF Distribution; its program is called `registry`.
    (
        "registry",
        Source::Go(
            "github.com/distribution/distribution/v3",
            "v3.1.2",
            "cmd/registry",
            "",
        ),
    ),
    // zot without its extensions. Later ones go by another module path, which not every proxy has.
    (
        "zot",
        Source::Go(
            "github.com/project-zot/zot",
            "v1.4.3",
            "cmd/zot",
            "containers_image_openpgp",
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
        Some(Source::Go(_, version, ..)) => bin.join(format!("{name}-{version}")),
        _ => bin.join(name),
    };
    if ours.is_file() {
        return Ok(ours);
    }
    match known {
        Some(Source::Go(module, version, program, tags)) => {
            match (on_path("go"), on_path(name)) {
                // Without Go, a program of any version is better than none.
                (None, Some(path)) => Ok(path),
                _ => go_install(module, version, program, tags, &ours).map(|()| ours),
            }
        }
        Some(Source::Unpacked(package, file)) => match on_path(name) {
            Some(path) => Ok(path),
            None => apt_unpack(package, file, &ours).map(|()| ours),
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
    println!("installing {package}");
    let install = ["install", "-y", "--no-install-recommends", package];
    update_lists()
        .and_then(|()| apt(Path::new("/"), &install))
        .context(how)
}

/// Downloads a package of the distribution and takes one program out of it.
fn apt_unpack(package: &str, file: &str, to: &Path) -> Result<()> {
    let how = format!("{file} of the package {package} is missing; put it on PATH");
    let bin = to.parent().context("no folder to unpack into")?;
    fs::create_dir_all(bin)?;
    println!("unpacking {package}");
    let unpack = || -> Result<()> {
        let folder = tempfile::tempdir_in(bin)?;
        // Lists are fetched by root alone; others may have some already.
        if rustix::process::geteuid().is_root() {
            update_lists()?;
        }
        apt(folder.path(), &["download", package])?;
        let mut files = fs::read_dir(folder.path())?;
        let deb = files.next().context("apt-get downloaded nothing")??;
        let dpkg = on_path("dpkg-deb").context("no dpkg-deb here")?;
        let mut command = Command::new(dpkg);
        command.arg("-x").arg(deb.path()).arg(folder.path());
        run(&mut command, INSTALL)?.success()?;
        Ok(fs::rename(folder.path().join(file), to)?)
    };
    unpack().context(how)
}

/// Runs `apt-get` in a folder.
fn apt(folder: &Path, words: &[&str]) -> Result<()> {
    let apt = on_path("apt-get").context("no apt-get here")?;
    let mut command = Command::new(apt);
    // Another run of these checks may hold the lock. As root, it would want to download as another
    // user, who may not write here.
    command
        .args(["-o", "DPkg::Lock::Timeout=300"])
        .args(["-o", "APT::Sandbox::User=root"])
        .args(words)
        .current_dir(folder)
        .env("DEBIAN_FRONTEND", "noninteractive");
    run(&mut command, INSTALL)?.success().map(drop)
}

/// Fetches the lists of packages unless they are fresh.
fn update_lists() -> Result<()> {
    let stamp = tools_folder().join("apt-lists-fetched");
    if !is_fresh(&stamp) {
        apt(Path::new("/"), &["update"])?;
        fs::create_dir_all(tools_folder())?;
        fs::write(&stamp, "")?;
    }
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
fn go_install(module: &str, version: &str, program: &str, tags: &str, to: &Path) -> Result<()> {
    let wanted = format!("{module}/{program}@{version}");
    let how = || format!("{wanted} is missing: get it by `go install {wanted}`");
    println!("installing {wanted}");
    let source = go_module(module, version, &[]).with_context(how)?;
    go_build_with(Path::new(&source.folder), program, tags, to).with_context(how)
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
    go_build_with(folder, program, "", to)
}

fn go_build_with(folder: &Path, program: &str, tags: &str, to: &Path) -> Result<()> {
    let bin = to.parent().context("no folder to build into")?;
    fs::create_dir_all(bin)?;
    // Under another name first: another run may look for the program meanwhile.
    let fresh = tempfile::tempdir_in(bin)?;
    let built = fresh.path().join("program");
    let mut go = go()?;
    go.arg("build")
        .arg("-C")
        .arg(folder)
        .args(["-buildvcs=false", "-tags", tags, "-o"])
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

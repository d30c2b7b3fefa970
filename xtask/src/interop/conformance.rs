//! The conformance programs of the distribution specification: the current one, and the older suite
//! that many registries still quote.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use roxmltree::{Document, Node};

use super::peer::Peer;
use crate::process::{Output, run, tail};
use crate::tools::{go, go_build, go_module, tools_folder};

/// Either suite takes seconds; downloading and compiling it takes more.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// The module of both programs: the older is a test suite, the current one a program.
const MODULE: &str = "github.com/opencontainers/distribution-spec/conformance";
/// The newest version of the older suite that module proxies keep: the suite of specification 1.1,
/// referrers included.
const OLDER_VERSION: &str = "v0.0.0-20231101194043-f2182352d4cc";
/// Its checksum. The public checksum database does not list this version, so it is held here.
const OLDER_SUM: &str = "h1:jL+CgYEEZluGb08ZcLpEyhn389kNMlwrWOHaIqXazq0=";

/// What can be tested and has a switch, all of it switched on whatever the level.
const SWITCHES: &[&str] = &[
    "API_PING API_PULL API_PUSH API_REFERRER API_TAGS_ATOMIC API_TAGS_DELETE API_TAGS_LIST",
    "API_BLOBS_ATOMIC API_BLOBS_DELETE API_BLOBS_DIGEST_HEADER API_BLOBS_MOUNT_ANONYMOUS",
    "API_BLOBS_UPLOAD_CANCEL API_MANIFESTS_ATOMIC API_MANIFESTS_DELETE",
    "API_MANIFESTS_DIGEST_HEADER API_MANIFESTS_TAG_PARAM",
    "DATA_IMAGE DATA_INDEX DATA_INDEX_LIST DATA_ARTIFACT DATA_SUBJECT DATA_SUBJECT_MISSING",
    "DATA_ARTIFACT_LIST DATA_SUBJECT_LIST DATA_DATA_FIELD DATA_NONDISTRIBUTABLE",
    "DATA_CUSTOM_FIELDS DATA_NO_LAYERS DATA_EMPTY_BLOB DATA_SHA512",
];

/// A level of the current program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// The released specification.
    Stable,
    /// What the next one will have; here also manifests whose content was never pushed.
    Dev,
}

/// Runs the current program; passes only without failures and without skips.
pub(super) fn current(peer: &Peer, level: Level) -> Result<String> {
    let results = peer.folder().join("results");
    let mut command = Command::new(program()?);
    without_settings(&mut command).current_dir(peer.folder());
    command
        .env("OCI_REGISTRY", &peer.authority)
        .env("OCI_TLS", "disabled");
    for switch in SWITCHES.iter().flat_map(|line| line.split(' ')) {
        command.env(format!("OCI_{switch}"), "true");
    }
    let version = if level == Level::Dev { "dev" } else { "1.1" };
    command
        .env("OCI_VERSION", version)
        .env("OCI_RESULTS_DIR", &results);
    command.env("OCI_DATA_SPARSE", (level == Level::Dev).to_string());
    let output = run(&mut command, LIMIT)?;
    let tally = Tally::read(&results.join("junit.xml"), &output)?;
    ensure!(
        tally.failed.is_empty() && tally.skipped.is_empty(),
        "{tally}"
    );
    ensure!(
        tally.skips == 0,
        "{tally}, but {} steps were skipped",
        tally.skips
    );
    ensure!(
        output.status.success(),
        "{tally}, but it ended with {}",
        output.status
    );
    Ok(tally.to_string())
}

/// Where the current program is: named by the environment, or installed from its repository.
fn program() -> Result<PathBuf> {
    let built = tools_folder().join("bin/oci-conformance");
    if let Some(named) = env::var_os("DOCKHAND_CONFORMANCE") {
        let named = PathBuf::from(named);
        if named.is_dir() {
            go_build(&named, ".", &built).context("DOCKHAND_CONFORMANCE does not build")?;
            return Ok(built);
        }
        ensure!(
            named.is_file(),
            "DOCKHAND_CONFORMANCE names {}, which is not there",
            named.display()
        );
        return Ok(named);
    }
    let bin = tools_folder().join("conformance-main");
    let mut command = go()?;
    command
        .args(["install", &format!("{MODULE}@main")])
        .env("GOBIN", &bin);
    run(&mut command, LIMIT)?.success().context(
        "the conformance program is not here: clone \
         https://github.com/opencontainers/distribution-spec and set \
         DOCKHAND_CONFORMANCE=<clone>/conformance (a folder of sources, or a program built of it)",
    )?;
    Ok(bin.join("conformance"))
}

/// Runs the older suite with every workflow; passes only without failures.
pub(super) fn older(peer: &Peer) -> Result<String> {
    let program = older_program()?;
    let results = peer.folder().join("older-results");
    fs::create_dir_all(&results)?;
    let mut command = Command::new(program);
    without_settings(&mut command).current_dir(&results);
    command
        .env("OCI_ROOT_URL", peer.url())
        .env("OCI_NAMESPACE", "conformance/repo1")
        .env("OCI_CROSSMOUNT_NAMESPACE", "conformance/repo2")
        .env("OCI_REPORT_DIR", &results);
    for workflow in ["PULL", "PUSH", "CONTENT_DISCOVERY", "CONTENT_MANAGEMENT"] {
        command.env(format!("OCI_TEST_{workflow}"), "1");
    }
    let output = run(&mut command, LIMIT)?;
    let tally = Tally::read(&results.join("junit.xml"), &output)?;
    ensure!(tally.failed.is_empty(), "{tally}");
    ensure!(
        output.status.success(),
        "{tally}, but it ended with {}",
        output.status
    );
    Ok(format!("{tally} ({OLDER_VERSION})"))
}

/// Builds the older suite from its module, whose checksum is compared with the one held here.
fn older_program() -> Result<PathBuf> {
    let built = tools_folder().join(format!("bin/oci-conformance-{OLDER_VERSION}"));
    if built.is_file() {
        return Ok(built);
    }
    println!("installing {MODULE}@{OLDER_VERSION}");
    let module = go_module(MODULE, OLDER_VERSION, &[("GONOSUMDB", MODULE)]).with_context(|| {
        format!("cannot get the suite: `go mod download {MODULE}@{OLDER_VERSION}`")
    })?;
    ensure!(
        module.sum == OLDER_SUM,
        "the module {MODULE}@{OLDER_VERSION} has the checksum {}, wanted {OLDER_SUM}",
        module.sum
    );
    let bin = tools_folder().join("bin");
    fs::create_dir_all(&bin)?;
    let fresh = tempfile::tempdir_in(&bin)?;
    let program = fresh.path().join("program");
    let mut command = go()?;
    command
        .arg("test")
        .arg("-C")
        .arg(&module.folder)
        .arg("-c")
        .arg("-o")
        .arg(&program)
        .arg(".");
    run(&mut command, LIMIT)?
        .success()
        .context("the suite does not build")?;
    fs::rename(program, &built)?;
    Ok(built)
}

/// Settings of the caller's would silently change what is tested.
fn without_settings(command: &mut Command) -> &mut Command {
    let names = env::vars_os().map(|(name, _)| name);
    for name in names.filter(|name| name.to_string_lossy().starts_with("OCI_")) {
        command.env_remove(name);
    }
    command
}

/// How the single tests ended.
#[derive(Debug, Default)]
struct Tally {
    passed: usize,
    failed: Vec<String>,
    skipped: Vec<String>,
    /// What the report as a whole counts as skipped: the current program also counts steps of a test
    /// that passed in the end.
    skips: usize,
}

impl Tally {
    /// Reads a JUnit report; that it is there is the only proof that anything ran.
    fn read(path: &Path, output: &Output) -> Result<Self> {
        let Ok(text) = fs::read_to_string(path) else {
            bail!(
                "nothing was tested: no {}; `{}` said:\n{}{}",
                path.display(),
                output.line,
                tail(&output.stdout),
                tail(&output.stderr),
            );
        };
        let tally = Self::of(&text).with_context(|| format!("cannot read {}", path.display()))?;
        ensure!(tally.passed > 0, "not one test passed: {tally}");
        Ok(tally)
    }

    fn of(junit: &str) -> Result<Self> {
        let document = Document::parse(junit)?;
        let mut tally = Self {
            skips: count(document.root_element(), "skipped"),
            ..Self::default()
        };
        for case in document
            .descendants()
            .filter(|node| node.has_tag_name("testcase"))
        {
            let name = || case.attribute("name").unwrap_or("(no name)").to_owned();
            let has = |names: &[&str]| {
                case.children()
                    .find(|child| names.iter().any(|name| child.has_tag_name(*name)))
            };
            // The current program tells by the attribute alone, the older suite by both.
            let status = case.attribute("status").unwrap_or("passed");
            let failure = has(&["failure", "error"]);
            if failure.is_none() && (status == "skipped" || has(&["skipped"]).is_some()) {
                tally.skipped.push(name());
            } else if failure.is_none() && status == "passed" {
                tally.passed += 1;
            } else {
                let why = failure
                    .or(has(&["system-out"]))
                    .map(message_of)
                    .unwrap_or_default();
                tally.failed.push(format!("{}: {why}", name()));
            }
        }
        Ok(tally)
    }
}

/// A number of a suite; what is zero is left out by the current program.
fn count(suite: Node<'_, '_>, name: &str) -> usize {
    suite
        .attribute(name)
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

/// What a JUnit report says of a failure, on one line.
fn message_of(failure: Node<'_, '_>) -> String {
    let words = failure
        .attribute("message")
        .into_iter()
        .chain(failure.text());
    words
        .flat_map(str::split_whitespace)
        .take(60)
        .collect::<Vec<_>>()
        .join(" ")
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (failed, skipped) = (self.failed.len(), self.skipped.len());
        write!(
            f,
            "{} passed, {failed} failed, {skipped} skipped",
            self.passed
        )?;
        self.failed
            .iter()
            .try_for_each(|name| write!(f, "\n    failed {name}"))?;
        self.skipped
            .iter()
            .try_for_each(|name| write!(f, "\n    skipped {name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_counted_by_its_tests() {
        let junit = r#"<?xml version="1.0"?><testsuites tests="9" skipped="2"><testsuite name="s" failures="7">
            <testcase name="a"></testcase><testcase name="b"><system-out>x</system-out></testcase>
            <testcase name="c"><failure message="wanted 201">got
            500</failure></testcase>
            <testcase name="d"><skipped message="no"/></testcase>
            <testcase name="e" status="passed"/><testcase name="f" status="skipped"/>
            <testcase name="g" status="failure"><system-out>404</system-out></testcase>
            <testcase name="h" status="panicked"/></testsuite></testsuites>"#;
        let tally = Tally::of(junit).unwrap();
        let text = "3 passed, 3 failed, 2 skipped\n    failed c: wanted 201 got 500\n    failed g: 404\n    \
                    failed h: \n    skipped d\n    skipped f";
        assert_eq!(tally.to_string(), text);
        assert_eq!(tally.skips, 2);
    }
}

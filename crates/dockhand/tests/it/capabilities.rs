//! docs/capabilities.md is true: what it names is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::serving::run;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn document() -> String {
    fs::read_to_string(root().join("docs/capabilities.md")).unwrap()
}

/// The lines of a table that begin with the name of a capability, as cells.
fn lines(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines().filter(|line| line.starts_with("| "));
    let cells = lines.map(|line| line.trim_matches('|').split('|').map(str::trim).collect());
    cells
        .filter(|cells: &Vec<&str>| !cells[0].is_empty())
        .collect()
}

/// What stands in backticks.
fn words(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// All files below a folder, with what they hold.
fn sources(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else {
            let text = fs::read_to_string(&path).unwrap();
            found.insert(path, text);
        }
    }
    found
}

/// Whether `file::name` is a test of this crate.
fn is_test(crate_name: &str, test: &str) -> bool {
    let (file, name) = test.split_once("::").unwrap();
    let folder = root().join("crates").join(crate_name);
    let places = [format!("{file}.rs"), format!("{file}/tests.rs")];
    let mut all = sources(&folder.join("src"));
    all.extend(sources(&folder.join("tests/it")));
    all.iter().any(|(path, text)| {
        let fits = places.iter().any(|place| path.ends_with(place));
        let at = text.find(&format!("fn {name}()"));
        let marked = |at: usize| {
            let before = text[..at].trim_end().trim_end_matches("async").trim_end();
            before.ends_with("#[test]") || before.ends_with("#[tokio::test]")
        };
        fits && at.is_some_and(marked)
    })
}

/// Whether a public item is there: `Type`, `function`, `Type::of_it`, `module::item`.
fn is_item(all: &BTreeMap<PathBuf, String>, item: &str) -> bool {
    let (within, name) = item.rsplit_once("::").unwrap_or(("", item));
    let defines = |text: &str, name: &str, kinds: &[&str]| {
        kinds.iter().any(|kind| {
            let words = format!("{kind} {name}");
            let mut found = text.match_indices(&words);
            found.any(|(at, found)| {
                let next = text[at + found.len()..].chars().next();
                next.is_none_or(|next| !next.is_alphanumeric() && next != '_')
            })
        })
    };
    let types = ["pub struct", "pub enum", "pub trait"];
    let functions = ["pub fn", "pub async fn", "pub const fn"];
    if within.is_empty() {
        let kinds = [&types[..], &functions].concat();
        return all.values().any(|text| defines(text, name, &kinds));
    }
    let is_module = within.chars().all(|letter| !letter.is_uppercase());
    all.iter().any(|(path, text)| {
        let here = match is_module {
            true => path.components().any(|part| {
                let part = part.as_os_str().to_str().unwrap();
                part.trim_end_matches(".rs") == within
            }),
            false => defines(text, within, &["struct", "enum", "trait", "impl"]),
        };
        // Methods of traits, variants and fields stand without `pub` or alone.
        let inner = ["    fn", "    async fn", "    pub", "   "];
        let kinds = [&types[..], &functions, &inner].concat();
        here && defines(text, name, &kinds)
    })
}

#[test]
fn what_the_table_names_exists() {
    let text = document();
    let (table, _) = text.split_once("## Left out").unwrap();
    let pages = tempfile::tempdir().unwrap();
    assert!(run(pages.path(), &["man", "."]).status.success());
    let client = sources(&root().join("crates/dockhand-client/src"));
    let words_of_oci = sources(&root().join("crates/dockhand-oci/src"));
    let mut wrong = Vec::new();
    for cells in lines(table) {
        let [id, _, commands, their_tests, calls, its_tests] = cells[..] else {
            panic!("{cells:?}");
        };
        for command in words(commands) {
            let mut parts = command.split(' ');
            let name: Vec<&str> = { parts.by_ref() }
                .take_while(|part| !part.starts_with("--"))
                .collect();
            let page = pages.path().join(format!("dockhand-{}.1", name.join("-")));
            let page = fs::read_to_string(page)
                .unwrap_or_default()
                .replace('\\', "");
            let flags = command.split(' ').filter(|part| part.starts_with("--"));
            let known = |flag: &str| page.contains(&format!("fB{flag}fR"));
            wrong.extend(
                page.is_empty()
                    .then(|| format!("{id}: no command `{command}`")),
            );
            let unknown = flags.filter(|flag| !known(flag));
            wrong.extend(unknown.map(|flag| format!("{id}: no {flag} in `{command}`")));
        }
        for (crate_name, tests) in [("dockhand", their_tests), ("dockhand-client", its_tests)] {
            let absent = { words(tests).into_iter() }.filter(|test| !is_test(crate_name, test));
            wrong.extend(absent.map(|test| format!("{id}: no test {test} in {crate_name}")));
        }
        for call in words(calls) {
            if !is_item(&client, call) && !is_item(&words_of_oci, call) {
                wrong.push(format!("{id}: nothing public is called {call}"));
            }
        }
        let tested = !words(their_tests).is_empty() && !words(commands).is_empty();
        wrong.extend((!tested).then(|| format!("{id}: no command or no test")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_has_every_line_or_says_why_not() {
    let text = document();
    let (table, left_out) = text.split_once("## Left out").unwrap();
    let here: BTreeSet<&str> = lines(table).iter().map(|cells| cells[0]).collect();
    let out: BTreeSet<&str> = lines(left_out).iter().map(|cells| cells[0]).collect();
    let wanted = { (1..=40).map(|n| format!("C{n}")) }.chain((1..=10).map(|n| format!("L{n}")));
    let missing: Vec<String> = wanted
        .filter(|id| !here.contains(id.as_str()) && !out.contains(id.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    // The readers find it.
    for file in ["README.md", "docs/commands.md"] {
        let text = fs::read_to_string(root().join(file)).unwrap();
        assert!(text.contains("capabilities.md"), "{file}");
    }
}

#[test]
fn what_does_not_exist_is_noticed() {
    let client = sources(&root().join("crates/dockhand-client/src"));
    for (item, there) in [
        ("Client::ping", true),
        ("Client::pin", false),
        ("Store::manifest", true),
        ("Store::manifesto", false),
        ("sync::sync", true),
        ("nowhere::sync", false),
        ("Event::Warning", true),
        ("Event::Warnings", false),
        ("Connection::logging", true),
        ("RawManifest", true),
        ("RawManifests", false),
    ] {
        assert_eq!(is_item(&client, item), there, "{item}");
    }
    assert!(is_test(
        "dockhand",
        "capabilities::what_does_not_exist_is_noticed"
    ));
    assert!(!is_test("dockhand", "capabilities::what_does_not_exist"));
    assert!(!is_test("dockhand", "capabilities::document"));
    assert!(!is_test(
        "dockhand-client",
        "capabilities::what_does_not_exist_is_noticed"
    ));
}

//! Rules of the tree that nothing else checks: crate edges, headers, sizes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The drawing in ARCHITECTURE.md: who may use whom, and who may use whom in tests besides.
const EDGES: &[(&str, &[&str], &[&str])] = &[
    ("dockhand-oci", &[], &[]),
    ("dockhand-registry", &["dockhand-oci"], &[]),
    (
        "dockhand-server",
        &["dockhand-oci", "dockhand-registry"],
        &[],
    ),
    ("dockhand-client", &["dockhand-oci"], &["dockhand-server"]),
    (
        "dockhand",
        &["dockhand-client", "dockhand-oci", "dockhand-server"],
        &[],
    ),
];

/// A file longer than this is rarely one idea. Tests at its end do not count.
const LINES_MAX: usize = 400;
/// A function longer than this does not fit a screen.
const FUNCTION_MAX: usize = 60;
/// Longer functions, each with its reason.
const LONG_FUNCTIONS: &[(&str, &str)] = &[];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap().path().join("src"))
        .chain([root().join("xtask/src")])
        .collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().and_then(|stem| stem.to_str());
            // Tests beside the code are tables, as long as what they tabulate.
            if name == Some("tests") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(found.len() > 30, "the sources were not found");
    found
}

/// The part of a file before its tests.
fn code(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod ").next().unwrap_or(text)
}

#[test]
fn crates_use_each_other_as_drawn() {
    let folders: BTreeSet<String> = fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let drawn: BTreeSet<String> = EDGES.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(folders, drawn, "a crate is not in the drawing");
    for (name, used, tested) in EDGES {
        let path = root().join("crates").join(name).join("Cargo.toml");
        let manifest: toml::Table = fs::read_to_string(path).unwrap().parse().unwrap();
        let own = |table: &str| -> BTreeSet<String> {
            let table = manifest.get(table).and_then(toml::Value::as_table);
            let names = table.into_iter().flat_map(|table| table.keys().cloned());
            names.filter(|name| name.starts_with("dockhand")).collect()
        };
        let expect = |names: &[&str]| -> BTreeSet<String> {
            names.iter().map(|name| (*name).to_owned()).collect()
        };
        assert_eq!(own("dependencies"), expect(used), "edges of {name}");
        assert_eq!(
            own("dev-dependencies"),
            expect(tested),
            "test edges of {name}"
        );
    }
}

#[test]
fn every_file_says_what_it_is_for_and_is_short() {
    for (path, text) in sources() {
        assert!(
            text.starts_with("//!") || text.starts_with("#!"),
            "{path:?} has no header"
        );
        let lines = code(&text).lines().count();
        assert!(
            lines <= LINES_MAX,
            "{path:?} has {lines} lines before its tests"
        );
    }
}

#[test]
fn every_function_fits_a_screen() {
    for (path, text) in sources() {
        let lines: Vec<&str> = code(&text).lines().collect();
        for (start, line) in lines.iter().enumerate() {
            let trimmed = line.trim_start();
            let indent = line.len() - trimmed.len();
            let is_function = trimmed.contains("fn ")
                && ["fn ", "pub ", "pub(", "async ", "const "]
                    .iter()
                    .any(|w| trimmed.starts_with(w));
            if !is_function {
                continue;
            }
            let end = format!("{}}}", " ".repeat(indent));
            let length = lines
                .iter()
                .skip(start)
                .position(|line| *line == end)
                .unwrap_or(0);
            let name = trimmed
                .split("fn ")
                .nth(1)
                .unwrap_or("")
                .split(['(', '<'])
                .next()
                .unwrap_or("");
            let excepted = LONG_FUNCTIONS.iter().any(|(long, _)| *long == name);
            assert!(
                length < FUNCTION_MAX || excepted,
                "{name} in {path:?} has {length} lines"
            );
        }
    }
}

#[test]
fn no_module_is_a_drawer() {
    for (path, _) in sources() {
        let stem = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or("");
        assert!(
            !["utils", "util", "common", "helpers", "types", "misc"].contains(&stem),
            "{path:?}"
        );
    }
}

//! Runs every check over bytes of three kinds: any, the seeds, and seeds with edits.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

use crate::checks;

/// How often each check runs per kind of bytes: all of them in a few seconds of a debug build.
const CASES: u32 = 2_000;

/// Pieces that parsers treat as special; an edit puts one anywhere.
const PIECES: [&[u8]; 40] = [
    b"/",
    b"//",
    b":",
    b"@",
    b".",
    b"..",
    b"-",
    b"_",
    b"__",
    b"%2f",
    b"%3A",
    b"%00",
    b"%",
    b"\0",
    b"\r\n",
    b" ",
    b"\t",
    b"\"",
    b"\\",
    b"<",
    b">",
    b";",
    b",",
    b"=",
    b"+",
    b"*",
    b"[",
    b"]",
    b"(",
    b")",
    b"{",
    b"}",
    b"null",
    b"1e999",
    b"18446744073709551615",
    b"99999999999999999999",
    b"sha256:",
    b"\xff",
    b"\xc3\xa9",
    b"A",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The names of the files in a folder of the fuzz crate, without what comes after a dot.
fn names_in(path: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(folder().join(path)).expect("the folder is there");
    let stem = |path: PathBuf| {
        path.file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned()
    };
    entries
        .map(|entry| stem(entry.expect("readable").path()))
        .collect()
}

/// The seeds of a target, each with its name.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder().join("seeds").join(target)).expect("seeds are there");
    let seeds: Vec<_> = entries
        .map(|entry| {
            let entry = entry.expect("readable");
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, fs::read(entry.path()).expect("readable"))
        })
        .collect();
    assert!(!seeds.is_empty(), "{target} has no seeds");
    seeds
}

/// Puts a piece into the bytes, in place of as many bytes as `removed`.
fn edit(bytes: &mut Vec<u8>, at: &Index, piece: &[u8], removed: usize) {
    let at = at.index(bytes.len() + 1);
    let end = (at + removed).min(bytes.len());
    bytes.splice(at..end, piece.iter().copied());
}

fn edited_seed(target: &str) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => prop::sample::select(&PIECES[..]).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..3),
    ];
    let edits = prop::collection::vec((any::<Index>(), piece, 0..4_usize), 1..5);
    (prop::sample::select(seeds(target)), edits).prop_map(|((_, mut bytes), edits)| {
        for (at, piece, removed) in &edits {
            edit(&mut bytes, at, piece, *removed);
        }
        bytes
    })
}

fn run(target: &str, check: checks::Check, strategy: impl Strategy<Value = Vec<u8>>) {
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let result = TestRunner::new(config).run(&strategy, |bytes| {
        check(&bytes);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{target}: {error}");
    }
}

/// Seeds are there to be taken, but for those that say `refused` in their name.
#[test]
fn checks_hold_for_the_seeds() {
    for (target, check) in checks::ALL {
        for (name, seed) in seeds(target) {
            assert_eq!(
                check(&seed),
                !name.starts_with("refused"),
                "{target}/{name}"
            );
        }
    }
}

#[test]
fn checks_hold_for_edited_seeds() {
    for (target, check) in checks::ALL {
        run(target, check, edited_seed(target));
    }
}

#[test]
fn checks_hold_for_any_bytes() {
    for (target, check) in checks::ALL {
        run(target, check, prop::collection::vec(any::<u8>(), 0..300));
    }
}

#[test]
fn checks_hold_for_any_text() {
    for (target, check) in checks::ALL {
        run(target, check, any::<String>().prop_map(String::into_bytes));
    }
}

/// A check without a target would never be fuzzed, a target without a check never be tested.
#[test]
fn every_check_has_its_target_and_seeds() {
    let wanted: BTreeSet<_> = { checks::ALL }.map(|(name, _)| name.to_owned()).into();
    assert_eq!(names_in("fuzz_targets"), wanted);
    assert_eq!(names_in("seeds"), wanted);
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).expect("readable");
    for name in wanted {
        let target = folder().join(format!("fuzz_targets/{name}.rs"));
        let source = fs::read_to_string(target).expect("readable");
        assert!(
            source.contains(&format!("checks::{name}")),
            "{name}.rs calls another check"
        );
        assert!(
            manifest.contains(&format!("name = \"{name}\"")),
            "{name} is not in Cargo.toml"
        );
    }
}

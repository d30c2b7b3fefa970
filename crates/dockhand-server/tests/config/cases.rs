//! Runs the cases of `native.cases` and `distribution.cases`: a file, perhaps an environment, and
//! exactly what comes of them.
//!
//! A case is `### what it shows`, the file, perhaps `--- environment`, and then `--- error` with every
//! line of the message, or `--- loaded` with the keys that are not the defaults and the warnings.
//! With `BLESS=1` in the environment the outcomes are written anew, for a person to read.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use dockhand_server::config::Overrides;

use crate::{changes, load_text};

struct Case {
    title: String,
    file: String,
    environment: String,
    outcome: String,
}

fn read(text: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for block in text.split("### ").skip(1) {
        let (title, rest) = block.split_once('\n').unwrap();
        let outcome = ["--- error\n", "--- loaded\n"]
            .iter()
            .find_map(|mark| rest.find(mark));
        let (given, outcome) = rest.split_at(outcome.unwrap_or(rest.len()));
        let (file, environment) = given.split_once("--- environment\n").unwrap_or((given, ""));
        cases.push(Case {
            title: title.to_owned(),
            file: file.to_owned(),
            environment: environment.to_owned(),
            outcome: outcome.trim_end().to_owned(),
        });
    }
    cases
}

fn run(name: &str, case: &Case) -> String {
    let variables: Vec<(&str, &str)> = case
        .environment
        .lines()
        .filter_map(|line| line.split_once('='))
        .collect();
    match load_text(name, &case.file, &variables, &Overrides::default()) {
        Ok(loaded) => {
            let mut outcome = format!("--- loaded\n{}", changes(&loaded.config));
            for warning in &loaded.warnings {
                let _ = write!(outcome, "\n! {warning}");
            }
            outcome.trim_end().to_owned()
        }
        Err(message) => format!("--- error\n{message}"),
    }
}

/// Runs the cases of a file; says how many are errors.
fn check(cases: &str, name: &str) -> usize {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/config")
        .join(cases);
    let text = fs::read_to_string(&path).unwrap();
    let cases = read(&text);
    let outcomes: Vec<String> = cases.iter().map(|case| run(name, case)).collect();
    for outcome in &outcomes {
        assert!(!outcome.contains("canary"), "a secret is told: {outcome}");
    }
    if std::env::var_os("BLESS").is_some() {
        let mut text = text.split("### ").next().unwrap().to_owned();
        for (case, outcome) in cases.iter().zip(&outcomes) {
            let environment = match case.environment.as_str() {
                "" => String::new(),
                lines => format!("--- environment\n{lines}"),
            };
            let _ = write!(
                text,
                "### {}\n{}{environment}{outcome}\n\n",
                case.title, case.file
            );
        }
        fs::write(&path, text.trim_end().to_owned() + "\n").unwrap();
        return usize::MAX;
    }
    for (case, outcome) in cases.iter().zip(&outcomes) {
        assert_eq!(&case.outcome, outcome, "{}\n{}", case.title, case.file);
    }
    outcomes
        .iter()
        .filter(|outcome| outcome.starts_with("--- error"))
        .count()
}

#[test]
fn native_files() {
    assert!(check("native.cases", "dockhand.toml") >= 60);
}

#[test]
fn files_of_cncf_distribution() {
    assert!(check("distribution.cases", "config.yml") >= 40);
}

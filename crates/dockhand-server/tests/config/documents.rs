//! Holds `dockhand.example.toml` and the tables of `docs/configuration.md` to the code.
//!
//! With `BLESS=1` in the environment both are written anew.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use dockhand_server::config::{Config, FOREIGN_KEYS, Fate, Key, Overrides, keys};

use crate::load_text;

fn in_repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

/// Characters in a line of the example.
const WIDTH: usize = 98;

const EXAMPLE_HEAD: &str = "\
# Every key of Dockhand's configuration, with its default. `dockhand serve dockhand.toml` reads a
# file like this one; leave out what should stay as it is. Each key may also be set by a variable of
# the environment (DOCKHAND_SERVER_LISTEN is `listen` in [server]), which is above the file, and some
# by flags, which are above both. `dockhand check dockhand.toml` prints what comes of it.
#
# Times have units (ms, s, m, h, d), sizes too (B, KiB, MiB, GiB, kB, MB, GB).
";

/// A value for a key that has none, to show how it is written.
fn shown(key: &Key) -> &'static str {
    match key.path().as_str() {
        "server.public-url" => "\"https://registry.example.com\"",
        "server.prefix" => "\"/registry\"",
        "server.tls.cert" => "\"/etc/dockhand/cert.pem\"",
        "server.tls.key" => "\"/etc/dockhand/key.pem\"",
        "server.tls.client-ca" => "\"/etc/dockhand/clients.pem\"",
        "server.limits.blob" => "\"20GB\"",
        "server.limits.uploads-per-client" => "5000",
        "metrics.listen" => "\"127.0.0.1:5001\"",
        other => panic!("{other} has no default: show here how it is written"),
    }
}

fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(lines, "{line}");
            line = String::from("#");
        }
        let _ = write!(line, " {word}");
    }
    lines + &line + "\n"
}

fn example() -> String {
    let mut text = EXAMPLE_HEAD.to_owned();
    let mut section = "";
    for key in keys() {
        if key.section != section {
            section = key.section;
            let _ = write!(text, "\n[{section}]\n");
        }
        let _ = write!(text, "\n{}", wrapped(&key.doc()));
        let _ = match key.default_text() {
            Some(value) => writeln!(text, "{} = {value}", key.name()),
            None => writeln!(text, "#{} = {}", key.name(), shown(key)),
        };
    }
    text
}

/// Compares a text with a file, or writes it.
fn hold(path: &str, text: &str) {
    let path = in_repository(path);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap();
    assert!(
        written == text,
        "{} is not what the code says; BLESS=1 writes it",
        path.display()
    );
}

#[test]
fn the_example_is_the_defaults() {
    let text = example();
    hold("dockhand.example.toml", &text);
    let loaded = load_text("dockhand.toml", &text, &[], &Overrides::default()).unwrap();
    assert_eq!(loaded.config, Config::default());
    assert_eq!(loaded.warnings, Vec::<String>::new());
}

#[test]
fn what_the_example_only_shows_can_be_written_too() {
    let all: Vec<String> = example()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if !key.is_empty() && !key.starts_with(' ') => key.to_owned(),
            _ => line.to_owned(),
        })
        .collect();
    let all = all.join("\n").replace("enabled = false", "enabled = true");
    let config = load_text("dockhand.toml", &all, &[], &Overrides::default())
        .unwrap()
        .config;
    assert!(
        !config.to_toml().contains("is not set"),
        "{}",
        config.to_toml()
    );
}

/// The struct and the list of its keys come from one place; this holds them to each other all the same.
#[test]
fn every_key_is_a_field_and_every_field_a_key() {
    let text = Config::default().to_toml();
    let known = keys().count();
    assert_eq!(
        text.matches(" = ").count() + text.matches(" is not set").count(),
        known
    );
    assert!(
        known <= 48,
        "{known} keys: a new one takes a reason, or the place of another"
    );
    for key in keys() {
        assert!(
            key.doc().ends_with('.'),
            "{} is not explained in sentences",
            key.path()
        );
    }
    let sections = [
        "server",
        "server.tls",
        "server.limits",
        "storage",
        "log",
        "metrics",
    ];
    for section in sections {
        let file = format!("[{section}]\nzz-no-key = 1\n");
        let message = load_text("a.toml", &file, &[], &Overrides::default()).unwrap_err();
        let error = toml::from_str::<Config>(&file).unwrap_err().to_string();
        // serde names the fields between backticks, first of all the unknown one.
        let fields = error.split('`').skip(3).step_by(2);
        for field in fields {
            assert!(
                message.contains(field),
                "{section}.{field} is a field, but not in: {message}"
            );
        }
    }
}

fn native_table() -> String {
    let mut text = String::new();
    let mut section = "";
    for key in keys() {
        if key.section != section {
            section = key.section;
            let gap = if text.is_empty() { "" } else { "\n" };
            let head = "| Key | Default | Meaning |\n|---|---|---|";
            let _ = write!(text, "{gap}### `[{section}]`\n\n{head}\n");
        }
        let default = key
            .default_text()
            .map_or("–".to_owned(), |value| format!("`{value}`"));
        let names = format!("`{}`<br>`{}`", key.name(), key.variable());
        let _ = writeln!(text, "| {names} | {default} | {} |", key.doc());
    }
    text
}

fn foreign_table() -> String {
    let mut text = "| Key | Here |\n|---|---|\n".to_owned();
    for key in FOREIGN_KEYS {
        let here = match key.fate {
            Fate::Honoured(native) if native.starts_with('(') => format!("honoured {native}"),
            Fate::Honoured(native) => format!("honoured: `{native}`"),
            Fate::Moot(reason) => format!("accepted, nothing to do: {reason}"),
            Fate::Ignored(effect) => format!("**not yet**, with a warning: {effect}"),
            Fate::Refused(advice) => format!("**refused**: {advice}"),
        };
        let name = match key.path.strip_suffix(".*") {
            Some(section) => format!("anything else in `{section}`"),
            None => format!("`{}`", key.path),
        };
        let _ = writeln!(text, "| {name} | {here} |");
    }
    text
}

/// Puts a table between its two marks.
fn with_table(text: &str, name: &str, table: &str) -> String {
    let (begin, end) = (
        format!("<!-- {name} -->\n"),
        format!("<!-- end of {name} -->"),
    );
    let (before, rest) = text.split_once(&begin).unwrap();
    let (_, after) = rest.split_once(&end).unwrap();
    format!("{before}{begin}\n{table}\n{end}{after}")
}

#[test]
fn the_reference_is_what_the_code_says() {
    let path = "docs/configuration.md";
    let written = fs::read_to_string(in_repository(path)).unwrap();
    let text = with_table(&written, "native keys", &native_table());
    let text = with_table(&text, "keys of CNCF Distribution", &foreign_table());
    hold(path, &text);
}

/// An honoured key names a key that exists.
#[test]
fn what_is_honoured_exists() {
    for key in FOREIGN_KEYS {
        if let Fate::Honoured(native) = key.fate {
            let known = native.starts_with('(') || keys().any(|key| key.path() == native);
            assert!(
                known,
                "{} is honoured by {native}, which is no key",
                key.path
            );
        }
    }
}

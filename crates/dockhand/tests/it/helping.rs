//! Help and messages: what a person reads.

use crate::images::{Bench, Made};
use crate::serving::{dockhand, run, text};

/// Every command, by its words.
fn commands(folder: &std::path::Path) -> Vec<String> {
    let help = text(&run(folder, &["--help"]).stdout);
    let list = help.split("Commands:\n").nth(1).unwrap();
    let list = list.split("\n\n").next().unwrap();
    let words = list.lines().filter(|line| !line.starts_with("   "));
    let words = words.filter_map(|line| line.split_whitespace().next());
    words
        .map(str::to_owned)
        .filter(|word| word != "help")
        .collect()
}

#[test]
fn help_begins_with_what_the_command_has_for_itself() {
    let folder = tempfile::tempdir().unwrap();
    let commands = commands(folder.path());
    assert!(commands.len() > 35, "{commands:?}");
    for command in &commands {
        let of = |flag| text(&run(folder.path(), &[command, flag]).stdout);
        let (short, long) = (of("-h"), of("--help"));
        let own = ["serve", "check", "completion", "man"].contains(&command.as_str());
        assert_eq!(long.contains("--plain-http"), !own, "{long}");
        assert!(!short.contains("--password-stdin"), "{short}");
        if own {
            continue;
        }
        assert!(short.contains("dockhand help flags"), "{short}");
        assert!(short.lines().count() < 70, "{short}");
        assert!(long.contains("Examples:\n  "), "{command}: {long}");
        let at = |word: &str| long.find(&format!("\n{word}:\n"));
        let (registry, output) = (at("Registry").unwrap(), at("Output").unwrap());
        let options = at("Options").unwrap();
        assert!(options < registry && registry < output, "{long}");
        assert!(
            at("Arguments").is_none_or(|arguments| arguments < options),
            "{long}"
        );
        // What stands in angles in the usage stands below Arguments.
        assert!(!long[output..].contains("\n  <"), "{long}");
    }
}

#[test]
fn arguments_are_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let help = text(&run(folder.path(), &["cp", "--help"]).stdout);
    let at = |word: &str| help.find(word).unwrap_or_else(|| panic!("{word}: {help}"));
    assert!(at("\n  <SOURCE>") < at("\n  <DESTINATIONS>..."));
    assert!(at("\n  <DESTINATIONS>...") < at("\nWhat to copy:"));
    let flags = text(&run(folder.path(), &["help", "flags"]).stdout);
    for flag in ["--plain-http", "--retries", "--json"] {
        assert!(flags.contains(flag), "{flag}: {flags}");
    }
    assert_eq!(text(&run(folder.path(), &["flags"]).stdout), flags);
    let man = run(folder.path(), &["man", "pages"]);
    assert!(man.status.success(), "{}", text(&man.stderr));
    let page = std::fs::read_to_string(folder.path().join("pages/dockhand-cp.1")).unwrap();
    let at = |word: &str| page.find(word).unwrap_or_else(|| panic!("{word}: {page}"));
    assert!(
        at("<\\fISOURCE\\fR>") < at("<\\fIDESTINATIONS\\fR>"),
        "{page}"
    );
    let common = at("Speak HTTP without TLS");
    assert!(
        at("Leave tags alone") < common && common < at("cp debian:12"),
        "{page}"
    );
}

#[test]
fn messages_have_lines_that_a_person_can_read() {
    let bench = Bench::new();
    let wrong = "sync:\n  - source: a.example/x\n";
    std::fs::write(bench.path().join("bad.yaml"), wrong).unwrap();
    let error = bench.fails(2, &["sync", "bad.yaml"]);
    assert!(
        error.contains("bad.yaml: ") && error.contains("`target`"),
        "{error}"
    );
    assert!(
        !error.contains("\\n") && !error.contains("<input>"),
        "{error}"
    );
    assert_eq!(error.lines().count(), 1, "{error}");
    let error = bench.fails(2, &["search", "[", "%", "--regex"]);
    assert!(
        error.contains("unclosed") && !error.contains("\\n"),
        "{error}"
    );
    let said = text(&bench.run(&["ping", "%", "--debug"]).stderr);
    assert!(
        said.contains(bench.server.host()) && said.contains("status=200"),
        "{said}"
    );
    let error = bench.fails(3, &["push", "nothing", "%/a:1"]);
    assert!(error.contains("nothing is not there"), "{error}");
}

#[test]
fn no_means_no_for_plain_http() {
    let bench = Bench::new();
    bench.image("app:1", Made::default());
    bench.ok(&["digest", "%/app:1"]);
    bench.ok(&["digest", "%/app:1", "--plain-http=true"]);
    bench.fails(6, &["digest", "%/app:1", "--plain-http=false"]);
    for (value, code) in [("false", 6), ("true", 0), ("", 0), ("perhaps", 2)] {
        let mut command = bench.command(&["digest", &bench.at("app:1")]);
        let output = command.env("DOCKHAND_PLAIN_HTTP", value).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{value}: {output:?}");
    }
}

#[test]
fn a_date_is_enough_for_the_time_of_an_image() {
    let bench = Bench::new();
    bench.image("app:1", Made::default());
    bench.ok(&["edit", "%/app:1", "--created", "2026-11-01", "--to", ":2"]);
    let config = bench.ok(&["config", "%/app:2"]);
    assert!(
        config.contains("\"created\":\"2026-11-01T00:00:00Z\""),
        "{config}"
    );
}

#[test]
fn events_have_manifests_and_an_end() {
    let bench = Bench::new();
    let (index, children) = bench.index("app:1");
    let folder = tempfile::tempdir().unwrap();
    let target = format!("oci:{}:1", folder.path().join("layout").display());
    let mut copy = dockhand(bench.path());
    copy.args(["cp", &bench.at("app:1"), &target, "--progress", "json"]);
    let output = copy.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = text(&output.stderr);
    let events: Vec<serde_json::Value> = { said.lines() }
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |name: &str| -> Vec<&str> {
        let named = events.iter().filter(|event| event["event"] == name);
        named.filter_map(|event| event["digest"].as_str()).collect()
    };
    let (started, done) = (of("started"), of("done"));
    assert_eq!(started.len(), done.len(), "{events:?}");
    for manifest in [&index, &children[0], &children[1]] {
        assert!(done.contains(&manifest.as_str()), "{events:?}");
    }
    assert_eq!(
        events.last().unwrap(),
        &serde_json::json!({"event": "finished", "code": 0})
    );
}

//! Answers as lists: CSV, pages, signatures, annotations; progress on a terminal.

use std::io::Read;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::json;

use crate::images::{Bench, MANIFEST, Made};
use crate::serving::text;

#[test]
fn lists_come_as_csv() {
    let bench = Bench::new();
    let image = bench.image("app:1", Made::default());
    let digest = image["digest"].as_str().unwrap();
    bench.ok(&["tag", "%/app:1", "2"]);
    let app = bench.at("app");
    let csv = |line: &[&str]| bench.ok(&[line, &["--output", "csv"]].concat());
    let size = image["size"].as_u64().unwrap();
    let expected = format!(
        "tag,reference,digest,kind,mediaType,size\n\
         1,{app}:1,{digest},image,{MANIFEST},{size}\n2,{app}:2,{digest},image,{MANIFEST},{size}\n"
    );
    assert_eq!(csv(&["ls", "%/app", "--digests"]), expected);
    assert_eq!(
        csv(&["ls", "%/app"]),
        format!("tag,reference\n1,{app}:1\n2,{app}:2\n")
    );
    assert_eq!(csv(&["repos", "%"]), "name\napp\n");
    assert_eq!(csv(&["search", "none", "%"]), "");
    let found = csv(&[
        "blob",
        "head",
        &format!("%/app@{}", {
            let manifest = bench.json(&["manifest", "%/app:1"]);
            manifest["manifest"]["layers"][0]["digest"]
                .as_str()
                .unwrap()
                .to_owned()
        }),
    ]);
    assert!(
        found.starts_with("digest,size\nsha256:") && found.ends_with(",7\n"),
        "{found}"
    );
    let sizes = csv(&["du", "%/app"]);
    assert!(
        sizes.starts_with("tag,digest,total,unique,shared\n1,"),
        "{sizes}"
    );
    bench.ok(&["attach", "%/app:1", "--artifact-type", "example/sbom"]);
    let referrers = csv(&["discover", "%/app:1"]);
    assert!(
        referrers.starts_with("mediaType,digest,size,"),
        "{referrers}"
    );
    assert_eq!(referrers.lines().count(), 2);
    // The map from tags to digests, for programs.
    let map = bench.json(&["ls", "%/app", "--digests"]);
    assert_eq!(
        (&map[0]["tag"], &map[1]["digest"]),
        (&json!("1"), &json!(digest))
    );
}

#[test]
fn lists_come_in_pages_of_the_size_that_is_wanted() {
    let bench = Bench::new();
    bench.image("app:1", Made::default());
    bench.ok(&["tag", "%/app:1", "2", "3", "4", "5"]);
    let paged = bench.run(&["ls", "%/app", "--page-size", "2", "--debug"]);
    assert_eq!(text(&paged.stdout), "1\n2\n3\n4\n5\n");
    let asked = text(&paged.stderr).matches("tags/list").count();
    assert!(asked >= 3, "{}", text(&paged.stderr));
    let all = bench.run(&["ls", "%/app", "--debug"]);
    assert_eq!(text(&all.stderr).matches("tags/list").count(), 1);
    assert_eq!(bench.ok(&["repos", "%", "--page-size", "1"]), "app\n");
    bench.fails(2, &["ls", "%/app", "--page-size", "0"]);
}

#[test]
fn signatures_are_listed_and_referrers_chosen_by_annotation() {
    let bench = Bench::new();
    let image = bench.image("app:1", Made::default());
    let digest = image["digest"].as_str().unwrap();
    let none = bench.run(&["signatures", "%/app:1"]);
    assert!(none.status.success() && none.stdout.is_empty());
    assert!(text(&none.stderr).contains("has no signatures"));
    for (kind, team) in [
        ("application/vnd.cncf.notary.signature", "team=blue"),
        ("example/sbom", "team=red"),
    ] {
        bench.ok(&["attach", "%/app:1", "--artifact-type", kind, "-a", team]);
    }
    let tag = format!("%/app:{}.sig", digest.replace(':', "-"));
    let tag = tag.replace('%', bench.server.host());
    let repository = tag.rsplit_once('/').unwrap().1;
    bench.image(repository, Made::default());
    let found = bench.json(&["signatures", "%/app:1"]);
    let by = [&found[0]["signer"], &found[1]["signer"]];
    assert_eq!(by, ["notation", "cosign"]);
    assert_eq!(found.as_array().unwrap().len(), 2);
    let shown = bench.ok(&["signatures", "%/app:1"]);
    assert!(
        shown.contains(".sig") && shown.contains("referrer"),
        "{shown}"
    );
    for (wanted, many) in [
        ("team=red", 1),
        ("team", 2),
        ("other", 0),
        ("team=green", 0),
    ] {
        let found = bench.json(&["discover", "%/app:1", "--annotation", wanted]);
        assert_eq!(
            found["referrers"].as_array().unwrap().len(),
            many,
            "{wanted}"
        );
    }
    bench.fails(2, &["discover", "%/app:1", "-a", "=x"]);
}

#[test]
fn a_file_from_elsewhere_is_called_by_its_name() {
    let bench = Bench::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("sbom.json");
    std::fs::write(&file, "{}").unwrap();
    let typed = format!("{}:application/json", file.display());
    let push = [
        "artifact",
        "push",
        "%/files:1",
        &typed,
        "--artifact-type",
        "example/x",
    ];
    bench.ok(&push);
    let manifest = bench.json(&["manifest", "%/files:1"]);
    let layer = &manifest["manifest"]["layers"][0];
    let title = &layer["annotations"]["org.opencontainers.image.title"];
    assert_eq!(
        (title, &layer["mediaType"]),
        (&json!("sbom.json"), &json!("application/json"))
    );
    assert_eq!(
        bench.ok(&["artifact", "pull", "%/files:1", "-o", "out"]),
        "out/sbom.json\n"
    );
    std::fs::write(bench.path().join("sbom.json"), "{}").unwrap();
    let both = [&push[..], &["sbom.json"]].concat();
    let error = bench.fails(2, &both);
    assert!(
        error.contains("two files would be called \"sbom.json\""),
        "{error}"
    );
}

/// A terminal of 100 columns, and the end of it that a program writes to.
fn terminal() -> (OwnedFd, OwnedFd) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let size = Winsize {
        ws_row: 30,
        ws_col: 100,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&slave, size).unwrap();
    (master, slave)
}

#[test]
fn bars_are_drawn_on_a_terminal_and_nowhere_else() {
    let bench = Bench::new();
    let layer = vec![7; 3 << 20];
    bench.image(
        "app:1",
        Made {
            layer: &layer,
            ..Made::default()
        },
    );
    let drawn = |flags: &[&str], to: &str| {
        let (master, slave) = terminal();
        let line = ["cp", &bench.at("app:1"), &format!("oci:{to}:1")];
        let mut command = bench.command(&[&line, flags].concat());
        let child = command.env("TERM", "xterm").stderr(slave).spawn();
        // The end that programs write to is held by them alone from here on.
        drop(command);
        assert!(child.unwrap().wait().unwrap().success());
        let mut told = Vec::new();
        // When nobody has the other end any more, reading fails.
        let _ = std::fs::File::from(master).read_to_end(&mut told);
        String::from_utf8_lossy(&told).into_owned()
    };
    let bars = drawn(&[], "a");
    assert!(bars.contains("\u{1b}["), "{bars:?}");
    assert!(bars.contains("MiB"), "{bars:?}");
    assert_eq!(drawn(&["--quiet"], "b"), "");
    for (form, to) in [("none", "c"), ("plain", "d")] {
        let lines = drawn(&["--progress", form], to);
        let is_plain = !lines.contains('\u{1b}') && lines.contains("copied");
        assert!(is_plain, "{form}: {lines:?}");
    }
    // Not a terminal: no bars.
    let plain = bench.run(&["cp", "%/app:1", "oci:e:1"]);
    assert!(
        !text(&plain.stderr).contains('\u{1b}'),
        "{}",
        text(&plain.stderr)
    );
}

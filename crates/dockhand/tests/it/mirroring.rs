//! Whole registries, and again and again: `mirror`, `sync --repos`, `sync --watch`.

use std::time::{Duration, Instant};

use crate::copying::two;
use crate::images::Made;

#[test]
fn mirror_takes_the_repositories_that_are_meant_with_what_refers_to_them() {
    let (bench, _folder, there) = two();
    for name in ["team/app:1", "team/web:1", "other:1"] {
        bench.image(name, Made::default());
    }
    std::fs::write(bench.path().join("sbom.json"), "{}").unwrap();
    let sbom = ["--artifact-type", "application/spdx+json"];
    bench.ok(&[&["attach", "%/team/app:1", "sbom.json"], &sbom[..]].concat());
    let target = format!("{}/copy", there.host());
    let line = ["mirror", "%", &target, "--repos=^team/"];
    let planned = bench.json(&[&line[..], &["--dry-run"]].concat());
    assert_eq!(planned["copies"].as_array().unwrap().len(), 2);
    bench.ok(&line);
    let repositories = bench.ok(&["repos", there.host()]);
    assert_eq!(repositories, "copy/team/app\ncopy/team/web\n");
    let referrers = bench.json(&["discover", &format!("{target}/team/app:1")]);
    assert!(referrers.to_string().contains("spdx"), "{referrers}");

    // A file says the same, without the referrers.
    let file = format!(
        "sync:\n  - source: {}\n    target: {}/plain\n    repositories: ['^other$']\n",
        bench.server.host(),
        there.host()
    );
    std::fs::write(bench.path().join("plan.yaml"), file).unwrap();
    let done = bench.json(&["sync", "plan.yaml"]);
    let copied = format!("{}/plain/other:1", there.host());
    assert_eq!(done["copies"][0]["targets"][0], copied.as_str());
    bench.fails(2, &["sync", "plan.yaml", "--repos"]);
}

#[test]
fn watch_brings_what_comes_later_too() {
    let (bench, _folder, there) = two();
    bench.image("app:1", Made::default());
    let (source, target) = (bench.at("app"), format!("{}/app", there.host()));
    let mut watching = bench.command(&["sync", &source, &target, "--watch", "200ms", "--quiet"]);
    let mut watching = watching.spawn().unwrap();
    bench.image("app:2", Made::default());
    let arrived = format!("{target}:2");
    let began = Instant::now();
    while bench.run(&["exists", &arrived]).status.code() != Some(0) {
        assert!(began.elapsed() < Duration::from_secs(60), "it never came");
        assert!(watching.try_wait().unwrap().is_none(), "it ended");
        std::thread::sleep(Duration::from_millis(50));
    }
    watching.kill().unwrap();
    watching.wait().unwrap();
}

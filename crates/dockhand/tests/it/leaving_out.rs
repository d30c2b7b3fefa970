//! Nothing is left out in silence: commands that choose, or that pass something over, say so.

use std::path::Path;
use std::process::Command;

use dockhand_oci::Algorithm;
use serde_json::{Value, json};

use crate::copying::two;
use crate::images::{Bench, MANIFEST, Made};
use crate::peer::{Peer, json as answer};
use crate::serving::{run, text};

/// An archive as `docker save` writes it, of images with these names or none.
fn docker_archive(folder: &Path, file: &str, images: &[Option<&str>]) {
    let source = tempfile::tempdir().unwrap();
    let mut listed = Vec::new();
    for (number, name) in images.iter().enumerate() {
        let layer = format!("the layer of image {number}");
        let diff_id = Algorithm::Sha256.digest(layer.as_bytes());
        let config = json!({
            "architecture": "amd64", "os": "linux",
            "rootfs": { "type": "layers", "diff_ids": [diff_id] },
        });
        let paths = (format!("{number}.json"), format!("{number}.tar"));
        std::fs::write(source.path().join(&paths.0), config.to_string()).unwrap();
        std::fs::write(source.path().join(&paths.1), layer).unwrap();
        listed.push(json!({
            "Config": paths.0, "Layers": [paths.1],
            "RepoTags": name.map(|name| vec![name]),
        }));
    }
    let manifest = Value::from(listed).to_string();
    std::fs::write(source.path().join("manifest.json"), manifest).unwrap();
    let mut tar = Command::new("tar");
    tar.arg("-cf").arg(folder.join(file));
    let tar = tar.arg("-C").arg(source.path()).arg(".").status().unwrap();
    assert!(tar.success());
}

/// Standard output and standard error of a command that must succeed.
fn told(bench: &Bench, line: &[&str]) -> (String, String) {
    let output = bench.run(line);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{line:?}: {error}");
    (text(&output.stdout), error)
}

#[test]
fn an_archive_of_several_images_says_which_are_not_pushed() {
    let bench = Bench::new();
    docker_archive(bench.path(), "x.tar", &[Some("team/a:v1"), None]);
    let (_, error) = told(&bench, &["push", "x.tar", "%/app:1"]);
    let line = error.lines().next().unwrap();
    let (begin, rest) = line.split_once("sha256:").unwrap();
    assert_eq!(
        begin,
        "docker-archive:x.tar has another image, which is left out: "
    );
    let (hex, rest) = rest.split_once(';').unwrap();
    assert_eq!(
        rest,
        " choose one with docker-archive:x.tar:NAME or docker-archive:x.tar@DIGEST"
    );
    let other = format!("sha256:{hex}");
    let pushed = bench.json(&["push", "x.tar", "%/app:1"]);
    assert_eq!(pushed[0]["leftOut"], json!([other]));
    // Either is to be had, and what was named needs no words.
    for image in [
        "docker-archive:x.tar:team/a:v1",
        &format!("docker-archive:x.tar@{other}"),
    ] {
        let pushed = bench.json(&["push", image, "%/chosen:1"]);
        assert_eq!(pushed[0]["leftOut"], Value::Null, "{image}");
        let (_, error) = told(&bench, &["push", image, "%/chosen:1"]);
        assert!(!error.contains("left out"), "{error}");
    }
    assert_eq!(bench.ok(&["digest", "%/chosen:1"]).trim(), other);
    let quiet = bench.run(&["push", "x.tar", "%/app:1", "-q"]);
    assert_eq!(text(&quiet.stderr), "");
    // What is called latest is taken among several, and the others are told.
    docker_archive(
        bench.path(),
        "l.tar",
        &[Some("a:1"), Some("a:latest"), Some("b:1")],
    );
    let (_, error) = told(&bench, &["cp", "docker-archive:l.tar", "%/app:2"]);
    assert!(
        error.contains("has 2 other images, which are left out: a:1, b:1;"),
        "{error}"
    );
    // Where none stands out, nothing is chosen.
    docker_archive(bench.path(), "n.tar", &[None, None]);
    let error = bench.fails(1, &["push", "n.tar", "%/app:3"]);
    assert!(error.contains("has 2 images"), "{error}");
}

#[test]
fn every_name_of_a_layout_is_listed() {
    let bench = Bench::new();
    let (index, children) = bench.index("app:1");
    bench.image(
        "other:1",
        Made {
            layer: b"other",
            ..Made::default()
        },
    );
    bench.ok(&["cp", "%/app:1", "oci:lay:team/a:v1"]);
    bench.ok(&["cp", "%/other:1", "oci:lay:team/b:v1"]);
    bench.ok(&["cp", "%/other:1", "oci:lay:plain"]);
    let names = "plain\nteam/a:v1\nteam/b:v1\n";
    assert_eq!(bench.ok(&["ls", "oci:lay", "--sort", "name"]), names);
    let listed = bench.json(&["ls", "oci:lay", "-d", "--sort", "name"]);
    let row = |at: usize| (listed[at]["tag"].clone(), listed[at]["name"].clone());
    assert_eq!(row(0), (json!("plain"), Value::Null));
    assert_eq!(row(1), (json!("v1"), json!("team/a:v1")));
    assert_eq!(row(2), (json!("v1"), json!("team/b:v1")));
    assert_eq!(listed[1]["digest"], json!(index));
    assert_eq!(listed[1]["kind"], "index");
    assert_ne!(listed[2]["digest"], json!(index));
    // What is listed is what the next command takes.
    for at in 0..3 {
        let reference = listed[at]["reference"].as_str().unwrap();
        assert_eq!(
            json!(bench.ok(&["digest", reference]).trim()),
            listed[at]["digest"]
        );
    }
    let digest = bench.ok(&["ls", "oci:lay", "--digest", &index]);
    assert_eq!(digest, "team/a:v1\n");
    assert_eq!(
        bench.ok(&["ls", "oci:lay", "--match", "^v"]),
        "team/a:v1\nteam/b:v1\n"
    );
    // What has no name is not listed, which is said.
    docker_archive(bench.path(), "x.tar", &[Some("debian:12"), None]);
    let (listed, error) = told(&bench, &["ls", "docker-archive:x.tar"]);
    assert_eq!(listed, "debian:12\n");
    let begins = "without a name, and not listed: docker-archive:x.tar@sha256:";
    assert!(error.starts_with(begins), "{error}");
    assert_eq!(children.len(), 2);
}

#[test]
fn what_refers_to_an_image_in_files_and_is_not_copied_is_told() {
    let (bench, _folder, there) = two();
    bench.image("app:1", Made::default());
    bench.ok(&["attach", "%/app:1", "--artifact-type", "example/sbom"]);
    bench.ok(&["cp", "-r", "%/app:1", "oci:lay:1"]);
    let target = format!("{}/app:1", there.host());
    let told_of = |line: &[&str]| told(&bench, line).1;
    let error = told_of(&["cp", "oci:lay:1", &target]);
    let words = "left out: 1 referrer of the image in oci:lay; --referrers copies referrers too";
    assert!(error.contains(words), "{error}");
    // It is no other image that could have been meant.
    let error = told_of(&["push", "lay", &target]);
    assert!(
        error.contains(words) && !error.contains("another image"),
        "{error}"
    );
    let error = told_of(&["cp", "oci:lay:1", &target, "--referrers"]);
    assert!(!error.contains("left out"), "{error}");
    let repository = format!("{}/all", there.host());
    let error = told_of(&["cp", "-a", "oci:lay", &repository]);
    let words = "left out: 1 referrer in oci:lay; --referrers copies referrers too";
    assert!(error.contains(words), "{error}");
    let error = told_of(&["cp", "-a", "oci:lay", &repository, "-r"]);
    assert!(!error.contains("left out"), "{error}");
    assert_eq!(bench.ok(&["ls", "oci:lay"]), "1\n");
    assert_eq!(told_of(&["ls", "oci:lay"]), "");
}

#[test]
fn tags_that_a_copy_of_many_passes_over_are_counted() {
    let (bench, _folder, there) = two();
    let image = bench.image("app:1", Made::default());
    let digest = image["digest"].as_str().unwrap();
    let signature = format!("app:{}.sig", digest.replace(':', "-"));
    bench.image(
        &signature,
        Made {
            layer: b"sig",
            ..Made::default()
        },
    );
    let config = bench.blob("app", "application/vnd.example.config", b"none");
    let undated = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [config],
    });
    bench.manifest("app:undated", &undated);
    let target = format!("{}/app", there.host());
    let line = ["sync", "%/app", &target, "--older-than", "1d"];
    let (_, error) = told(&bench, &line);
    assert!(
        error.contains("left out: 1 tag with a digest in its name"),
        "{error}"
    );
    let undated = bench.at("app:undated");
    let words = format!("left out, because nothing says when it was made: {undated} (1 tag)");
    assert!(error.contains(&words), "{error}");
    let told_json = bench.json(&line);
    assert_eq!(
        told_json["leftOut"],
        json!({ "digestTags": 1, "undated": [undated] })
    );
    let (_, error) = told(&bench, &["sync", "%/app", &target, "--digest-tags"]);
    assert!(!error.contains("left out"), "{error}");
    let copied = bench.json(&["sync", "%/app", &target, "--digest-tags"]);
    assert_eq!(copied["leftOut"], Value::Null);
    let (_, error) = told(
        &bench,
        &["cp", "-a", "%/app", &target, "--older-than", "1d"],
    );
    assert!(
        error.contains("nothing says when it was made: undated"),
        "{error}"
    );
}

#[test]
fn blobs_of_an_artifact_without_a_name_are_told() {
    let bench = Bench::new();
    let mut named = bench.blob("app", "text/plain", b"named");
    named["annotations"] = json!({ "org.opencontainers.image.title": "named.txt" });
    let other = bench.blob("app", "text/plain", b"other");
    let config = bench.blob("app", "application/vnd.oci.empty.v1+json", b"{}");
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "example/files",
        "config": config, "layers": [named, other],
    });
    bench.manifest("app:1", &manifest);
    let (printed, error) = told(&bench, &["artifact", "pull", "%/app:1", "-o", "out"]);
    assert!(printed.contains("named.txt"), "{printed}");
    let words = "one blob of the artifact has no file name and is left out";
    assert!(error.contains(words), "{error}");
}

#[test]
fn names_that_are_none_are_told_of_a_list() {
    let peer = Peer::start(|asked| match asked.line.contains("_catalog") {
        true => answer(
            200,
            &json!({ "repositories": ["good", "Not Good", "also/good"] }),
        ),
        false => answer(
            200,
            &json!({ "tags": ["1", "sha256:abc", "-no"], "name": "good" }),
        ),
    });
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["repos", &peer.host]);
    assert_eq!(text(&output.stdout), "good\nalso/good\n");
    let told = text(&output.stderr);
    let words = "left out of the list: \"Not Good\" is no valid repository name";
    assert!(told.contains(words), "{told}");
    let output = run(folder.path(), &["ls", &format!("{}/good", peer.host)]);
    assert_eq!(text(&output.stdout), "1\n");
    assert!(
        text(&output.stderr).contains("\"-no\" is no valid tag"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn the_platform_that_is_exported_is_told() {
    let bench = Bench::new();
    let layer = bench.path().join("layer");
    std::fs::create_dir(&layer).unwrap();
    std::fs::write(layer.join("file"), "text").unwrap();
    let mut tar = Command::new("tar");
    tar.args(["-cf", "layer.tar", "-C", "layer", "file"]);
    let tar = tar.current_dir(bench.path()).status().unwrap();
    assert!(tar.success());
    let bytes = std::fs::read(bench.path().join("layer.tar")).unwrap();
    let images: Vec<Value> = ["amd64", "arm64"]
        .map(|processor| {
            bench.image(
                "app",
                Made {
                    processor,
                    layer: &bytes,
                    ..Made::default()
                },
            )
        })
        .to_vec();
    let index = json!({
        "schemaVersion": 2, "mediaType": crate::images::INDEX, "manifests": images,
    });
    bench.manifest("app:1", &index);
    let (_, error) = told(&bench, &["export", "%/app:1", "out.tar"]);
    let begin = format!(
        "{} is an index: this is its image for linux/",
        bench.at("app:1")
    );
    assert!(error.starts_with(&begin), "{error}");
    let line = ["export", "%/app:1", "out.tar", "--platform", "linux/arm64"];
    let (_, error) = told(&bench, &line);
    assert!(!error.contains("index"), "{error}");
}

//! How registries are reached from the command line: addresses, TLS, proxies, patience, who asks, the log.

use std::fs;
use std::net::TcpListener;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};

use crate::images::{Bench, Made};
use crate::peer::{Asked, Peer, json as said};
use crate::serving::{Serving, dockhand, run, text};

/// A peer that lets everybody in.
fn open() -> Peer {
    Peer::start(|_| said(200, &json!({})))
}

#[test]
fn an_address_is_taken_in_every_form_but_not_with_a_password() {
    let folder = tempfile::tempdir().unwrap();
    let peer = open();
    let host = &peer.host;
    for (address, path) in [
        (host.clone(), "/v2/"),
        (format!("http://{host}"), "/v2/"),
        (format!("http://{host}/v2"), "/v2/"),
        (format!("http://{host}/v2/"), "/v2/"),
        (format!("http://{host}/sub/path/"), "/sub/path/v2/"),
        (format!("{host}/sub/v2"), "/sub/v2/"),
    ] {
        let output = run(folder.path(), &["ping", &address]);
        assert!(
            output.status.success(),
            "{address}: {}",
            text(&output.stderr)
        );
        let asked: Vec<String> = peer.asked().into_iter().map(|one| one.line).collect();
        let (ping, _) = (&asked[asked.len() - 2], ());
        assert_eq!(*ping, format!("GET {path}"), "{address}");
    }
    let output = run(
        folder.path(),
        &["ping", &format!("http://me:canary@{host}")],
    );
    assert_eq!(output.status.code(), Some(2));
    assert!(
        !text(&output.stderr).contains("canary"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn certificates_are_checked_unless_that_is_not_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_key = KeyPair::generate().unwrap();
    let authority = root.self_signed(&root_key).unwrap().pem();
    let issuer = Issuer::new(root, root_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap().pem();
    for (name, content) in [
        ("ca.pem", authority),
        ("cert.pem", leaf),
        ("key.pem", key.serialize_pem()),
    ] {
        fs::write(folder.path().join(name), content).unwrap();
    }
    let server = Serving::start(
        folder.path(),
        &["--tls-cert", "cert.pem", "--tls-key", "key.pem"],
    );
    let ping = |flags: &[&str]| {
        let line = [&["ping", &server.url, "--retries", "0"], flags].concat();
        run(folder.path(), &line)
    };
    let refused = ping(&[]);
    assert_eq!(refused.status.code(), Some(6), "{}", text(&refused.stderr));
    assert!(
        text(&refused.stderr).contains("--ca-file"),
        "{}",
        text(&refused.stderr)
    );
    for flags in [
        &["--ca-file", "ca.pem"][..],
        &["--insecure"],
        &[
            "--ca-file",
            "ca.pem",
            "--cert-file",
            "cert.pem",
            "--key-file",
            "key.pem",
        ],
    ] {
        let output = ping(flags);
        assert!(
            output.status.success(),
            "{flags:?}: {}",
            text(&output.stderr)
        );
    }
    let half = ping(&["--cert-file", "cert.pem"]);
    assert_eq!(half.status.code(), Some(2), "{}", text(&half.stderr));
}

#[test]
fn a_proxy_of_the_environment_is_used_and_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let proxy = open();
    let ping = |without: &str| {
        let mut command = dockhand(folder.path());
        command.args(["ping", "http://registry.invalid", "--retries", "0"]);
        command.env("HTTP_PROXY", format!("http://{}", proxy.host));
        command.env("NO_PROXY", without).output().unwrap()
    };
    let output = ping("");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(proxy.asked()[0].line, "GET http://registry.invalid/v2/");
    let before = proxy.asked().len();
    assert_eq!(ping("registry.invalid").status.code(), Some(6));
    assert_eq!(proxy.asked().len(), before);
}

#[test]
fn waiting_ends() {
    let folder = tempfile::tempdir().unwrap();
    // Takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = silent.local_addr().unwrap().to_string();
    let line = ["ping", &host, "--timeout", "1s", "--retries", "0"];
    let output = run(folder.path(), &line);
    assert_eq!(output.status.code(), Some(6));
    assert!(
        text(&output.stderr).contains(&host),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn who_asks_is_set_up_by_variables_and_tables() {
    let home = tempfile::tempdir().unwrap();
    let peer = open();
    let base = format!("http://{}/v2/", peer.host);
    let pairs = |driver: &str, more: &[(&str, &str)]| {
        let own = [
            ("DOCKHAND_BASE_URI", base.as_str()),
            ("DOCKHAND_AUTH_DRIVER", driver),
        ];
        let all = own.iter().chain(more);
        all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<Vec<_>>()
    };
    let me = ("DOCKHAND_USERNAME", "me");
    let key = ("DOCKHAND_API_KEY", "zak_1");
    for (variables, expected) in [
        (pairs("none", &[]), ""),
        (pairs("null", &[]), ""),
        (
            pairs("basic", &[me, ("DOCKHAND_PASSWORD", "secret")]),
            "Basic bWU6c2VjcmV0",
        ),
        (pairs("bearer", &[("DOCKHAND_TOKEN", "abc")]), "Bearer abc"),
        (pairs("apikey", &[key]), "Bearer zak_1"),
        (
            pairs("apikey", &[me, key, ("DOCKHAND_DRIVER", "zot")]),
            "Basic bWU6emFrXzE=",
        ),
    ] {
        let mut command = dockhand(home.path());
        let output = command
            .arg("ping")
            .envs(variables.clone())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{variables:?}: {}",
            text(&output.stderr)
        );
        let asked = peer.asked();
        let shown = asked.last().unwrap().header("authorization");
        assert_eq!(shown, expected, "{variables:?}");
    }
    let mut command = dockhand(home.path());
    let output = command
        .arg("ping")
        .envs(pairs("jwt", &[]))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("token authority"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn connections_are_listed_without_their_secrets() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("dockhand.toml");
    let table = "[client]\ndefault = 'b'\n\
        [connections.a]\nbase-uri = 'https://a.example/v2/'\n\
        auth = { driver = 'basic', username = 'me', password = 'canary' }\n\
        logging = { level = 'debug' }\n\
        [connections.b]\nbase-uri = 'https://b.example/'\ndriver = 'distribution'\n\
        [connections.c]\ndriver = 'zot'\n";
    fs::write(&config, table).unwrap();
    let list = |args: &[&str], variables: &[(&str, &str)]| {
        let mut command = dockhand(home.path());
        command.env("DOCKHAND_CONFIG", &config).arg("connections");
        command
            .args(args)
            .envs(variables.iter().copied())
            .output()
            .unwrap()
    };
    let output = list(&["--json"], &[]);
    let shown = text(&output.stdout);
    assert!(!shown.contains("canary"), "{shown}");
    let rows: Value = serde_json::from_str(&shown).unwrap();
    let a = json!({
        "name": "a", "default": false, "driver": "oci", "baseUri": "https://a.example/",
        "auth": "basic", "user": "me", "logging": "debug", "variables": [], "problem": null,
    });
    assert_eq!(rows[0], a);
    assert_eq!(
        (&rows[1]["default"], &rows[1]["driver"]),
        (&json!(true), &json!("distribution"))
    );
    let problem = rows[2]["problem"].as_str().unwrap();
    assert!(problem.contains("base-uri"), "{problem}");
    let variables = [
        ("DOCKHAND_DRIVER", "gitlab"),
        ("DOCKHAND_LOG_DRIVER", "null"),
        ("DOCKHAND_CONNECTION", "a"),
    ];
    let output = list(&["a", "--json"], &variables);
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 1);
    let names = [
        "DOCKHAND_CONNECTION",
        "DOCKHAND_DRIVER",
        "DOCKHAND_LOG_DRIVER",
    ];
    assert_eq!(rows[0]["variables"], json!(names));
    assert_eq!(
        (&rows[0]["driver"], &rows[0]["logging"]),
        (&json!("gitlab"), &json!("off"))
    );
    let lines = text(&list(&[], &[]).stdout);
    assert!(
        lines.contains("basic as me") && lines.contains("default"),
        "{lines}"
    );
    let none = list(&["d"], &[]);
    assert_eq!(none.status.code(), Some(2));
    assert!(
        text(&none.stderr).contains("there are: a, b, c"),
        "{}",
        text(&none.stderr)
    );
}

#[test]
fn a_connection_logs_as_much_as_it_is_to_and_no_secret() {
    let home = tempfile::tempdir().unwrap();
    let (loud, other) = (open(), open());
    let config = home.path().join("dockhand.toml");
    let table = |level: &str| {
        format!(
            "[connections.loud]\nbase-uri = 'http://{}/v2/'\nlogging = {{ level = '{level}' }}\n\
             auth = {{ driver = 'bearer', token = 'canary' }}\n",
            loud.host
        )
    };
    let ping = |host: &str, level: &str, flags: &[&str]| {
        fs::write(&config, table(level)).unwrap();
        let mut command = dockhand(home.path());
        command.env("DOCKHAND_CONFIG", &config).args(["ping", host]);
        let output = command.args(flags).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stderr)
    };
    let log = ping(&loud.host, "debug", &[]);
    assert!(
        log.contains("path=\"/v2/\"") && log.contains("took="),
        "{log}"
    );
    assert!(!log.contains("canary"), "{log}");
    for (host, level, flags) in [
        (&loud.host, "info", &[][..]),
        (&loud.host, "off", &[]),
        (&other.host, "debug", &[]),
        (&other.host, "debug", &["-v"]),
    ] {
        let log = ping(host, level, flags);
        assert!(!log.contains("path="), "{host} {level} {flags:?}: {log}");
    }
    for (host, level) in [(&loud.host, "off"), (&other.host, "off")] {
        let log = ping(host, level, &["--debug"]);
        assert!(log.contains("status=") && !log.contains("canary"), "{log}");
    }
}

#[test]
fn what_a_registry_can_do_is_found_out() {
    let bench = Bench::new();
    bench.image("app:1", Made::default());
    let found = bench.json(&["ping", "%", "--capabilities", "--repository", "app"]);
    for (key, expected) in [
        ("driver", json!("oci")),
        ("apiVersion", json!("registry/2.0")),
        ("catalog", json!(true)),
        ("referrers", json!(true)),
        ("extensions", json!([])),
    ] {
        assert_eq!(found[key], expected, "{key}");
    }
    let zot = Peer::start(|asked: &Asked| match asked.line.as_str() {
        "GET /v2/" => said(200, &json!({})),
        "GET /v2/_oci/ext/discover" => {
            let paths = ["/v2/_zot/ext/search"];
            let zot = json!({ "name": "_zot", "url": "", "description": "", "endpoints": paths });
            said(200, &json!({ "extensions": [zot] }))
        }
        _ => said(
            404,
            &json!({ "errors": [{ "code": "NAME_UNKNOWN", "message": "no" }] }),
        ),
    });
    let shown = text(&run(bench.path(), &["ping", &zot.host, "--capabilities"]).stdout);
    for (name, value) in [
        ("kind", "zot"),
        ("extensions", "_zot"),
        ("lists repositories", "no"),
        ("lists referrers", "name a --repository"),
    ] {
        let line = shown.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(line.contains(value), "{shown}");
    }
    let plain = run(bench.path(), &["ping", &zot.host, "--json"]);
    let plain: Value = serde_json::from_slice(&plain.stdout).unwrap();
    assert_eq!(
        plain["extensions"][0]["endpoints"][0],
        "/v2/_zot/ext/search"
    );
    let alone = run(bench.path(), &["ping", &zot.host, "--repository", "app"]);
    assert_eq!(alone.status.code(), Some(2));
}

#[test]
fn limits_and_warnings_of_a_registry_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = json!({ "schemaVersion": 2, "manifests": [] }).to_string();
    let digest = dockhand_oci::Algorithm::Sha256.digest(manifest.as_bytes());
    let limited = |limits: bool| {
        let (manifest, digest) = (manifest.clone(), digest.to_string());
        Peer::start(move |_| {
            let mut headers = vec![
                ("Content-Type", crate::images::INDEX.to_owned()),
                ("Docker-Content-Digest", digest.clone()),
                ("Warning", "299 - \"moved to elsewhere\"".to_owned()),
                ("ETag", format!("\"{digest}\"")),
            ];
            if limits {
                headers.push(("RateLimit-Limit", "100;w=21600".to_owned()));
                headers.push(("RateLimit-Remaining", "76;w=21600".to_owned()));
            }
            (200, headers, manifest.clone())
        })
    };
    let peer = limited(true);
    let image = format!("{}/app:1", peer.host);
    let output = run(folder.path(), &["limits", &image, "--json"]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = json!([{ "host": peer.host, "limit": 100, "remaining": 76, "window": 21600 }]);
    assert_eq!(told, expected);
    let alone = run(folder.path(), &["limits", &peer.host, "--json"]);
    let alone: Value = serde_json::from_slice(&alone.stdout).unwrap();
    assert_eq!(alone, expected);
    let warned = text(&output.stderr);
    assert!(
        warned.contains(&format!("warning: {}: moved to elsewhere", peer.host)),
        "{warned}"
    );
    let lines = text(&run(folder.path(), &["limits", &image, "-q"]).stdout);
    assert!(
        lines.contains("100") && lines.contains("21600 s"),
        "{lines}"
    );
    let output = run(folder.path(), &["digest", &image, "--progress", "json"]);
    assert_eq!(text(&output.stdout).trim(), digest.to_string());
    let events = text(&output.stderr);
    let event = |name: &str| {
        let mut events = events
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        events.find(|event| event["event"] == name).unwrap()
    };
    assert_eq!(event("warning")["text"], "moved to elsewhere");
    assert_eq!(event("rateLimit")["remaining"], "76;w=21600");
    let silent = run(folder.path(), &["limits", &image, "--quiet"]);
    assert!(silent.stderr.is_empty(), "{}", text(&silent.stderr));
    let image = format!("{}/app:1", limited(false).host);
    let output = run(folder.path(), &["limits", &image]);
    assert_eq!(text(&output.stdout), "the registry tells no limits\n");
}

//! What is above what, and that nothing is lost on the way.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use dockhand_server::config::{Config, Kind, LogFormat, Overrides, keys, load};

use crate::{changes, load_text};

fn flags() -> Overrides {
    Overrides {
        data: Some("/flag".into()),
        listen: Some("flag:1".into()),
        tls_cert: Some("flag.crt".into()),
        tls_key: Some("flag.key".into()),
        log_format: Some(LogFormat::Json),
        access_log: Some(false),
        relative_locations: Some(true),
    }
}

const ALL_FLAGS: &str = r#"server.listen = "flag:1"
server.locations = "relative"
server.tls.cert = "flag.crt"
server.tls.key = "flag.key"
storage.path = "/flag"
log.format = "json"
log.access = false"#;

#[test]
fn without_anything_it_is_the_defaults() {
    let loaded = load(None, [], &Overrides::default()).unwrap();
    assert_eq!(loaded.config, Config::default());
    assert_eq!(loaded.warnings, Vec::<String>::new());
    assert_eq!(loaded.file, None);
}

#[test]
fn flags_are_above_everything() {
    let file = "[server]\nlisten = \"file:1\"\n[log]\naccess = true\n[storage]\npath = \"/file\"\n";
    let variables = [
        ("DOCKHAND_SERVER_LISTEN", "env:1"),
        ("DOCKHAND_STORAGE_PATH", "/env"),
    ];
    let loaded = load_text("dockhand.toml", file, &variables, &flags()).unwrap();
    assert_eq!(changes(&loaded.config), ALL_FLAGS);
    assert_eq!(loaded.file.unwrap().1, Kind::Native);

    let file =
        "version: 0.1\nstorage: {filesystem: {rootdirectory: /file}}\nhttp: {addr: 'file:1'}\n";
    let loaded = load_text("config.yml", file, &variables, &flags()).unwrap();
    let distribution = format!(
        "{}\n{}",
        ALL_FLAGS.split_once("\nserver.tls").unwrap().0,
        "server.trusted-proxies = [\"0.0.0.0/0\", \"::/0\"]"
    );
    let changed = changes(&loaded.config);
    for line in ALL_FLAGS.lines().chain(distribution.lines()) {
        assert!(
            changed.lines().any(|changed| changed == line),
            "{line}\n{changed}"
        );
    }
    assert_eq!(loaded.file.unwrap().1, Kind::Distribution);
}

#[test]
fn a_wrong_flag_is_named() {
    let flags = Overrides {
        listen: Some("5000".into()),
        ..Overrides::default()
    };
    let message = load(None, [], &flags).unwrap_err().to_string();
    assert_eq!(
        message,
        "--listen: `server.listen` is \"5000\", but takes a host and a port, such as \"127.0.0.1:5000\""
    );
    let flags = Overrides {
        tls_cert: Some("c.pem".into()),
        ..Overrides::default()
    };
    let message = load(None, [], &flags).unwrap_err().to_string();
    assert_eq!(
        message,
        "--tls-cert: `server.tls.cert` is set without `server.tls.key`; TLS needs both"
    );
}

#[test]
fn every_key_can_be_set_by_its_variable() {
    let special = |path: &str| match path {
        "server.listen" | "metrics.listen" => "h:7",
        "server.public-url" => "http://h",
        "server.locations" => "relative",
        "server.trusted-proxies" => "10.0.0.0/8",
        "server.prefix" | "metrics.path" => "/p",
        "server.limits.uploads-per-client" => "7",
        "server.headers" => "{ x-a = \"1\" }",
        "log.fields" => "{ a = \"1\" }",
        "server.tls.min-version" => "1.3",
        "storage.backend" => "memory",
        "log.level" => "trace",
        "log.format" => "json",
        _ => "",
    };
    for key in keys() {
        let path = key.path();
        let value = match (special(&path), key.default_text().as_deref()) {
            ("", Some("true")) => "false",
            ("", Some("false")) => "true",
            ("", Some(text))
                if text.ends_with("s\"") || text.ends_with("h\"") || text.ends_with("m\"") =>
            {
                "7s"
            }
            ("", Some(text)) if text.ends_with("B\"") => "7MB",
            ("", Some(text)) if text.parse::<i64>().is_ok() => "7",
            ("", None) if path == "server.limits.blob" => "7MB",
            ("", _) => "file.pem",
            (special, _) => special,
        };
        // What would not stand alone gets what it needs.
        let partners = [
            ("DOCKHAND_SERVER_TLS_CERT", "c"),
            ("DOCKHAND_SERVER_TLS_KEY", "k"),
        ];
        let mut variables: Vec<(String, String)> = Vec::new();
        if path.starts_with("server.tls.") {
            variables.extend(partners.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        variables.retain(|(name, _)| *name != key.variable());
        variables.push((key.variable(), value.to_owned()));
        let variables = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        let loaded = load(None, variables, &Overrides::default()).unwrap();
        let changed = changes(&loaded.config);
        assert!(
            changed.contains(&format!("{path} = ")),
            "{path}={value} changed: {changed}"
        );
    }
}

#[test]
fn what_is_printed_reads_as_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let again = |config: &Config| {
        let path = folder.path().join("again.toml");
        fs::write(&path, config.to_toml()).unwrap();
        load(Some(&path), [], &Overrides::default()).unwrap().config
    };
    let odd = "[server]\nheaders = { X-A = 'a\"b\\c' }\nprefix = '/p'\ndrain = '1h 1ms'\n[storage]\npath = \"/a b/ü'\\\"\\n\"\n[log]\nfields = { 'a.b c' = \"\\u0000\" }\n";
    let odd = load_text("a.toml", odd, &[], &Overrides::default())
        .unwrap()
        .config;
    for config in [Config::default(), odd] {
        assert_eq!(again(&config), config, "{}", config.to_toml());
    }
    let yaml = "version: 0.1\nstorage: inmemory\nhttp: {headers: {X-Two: [a, b]}, debug: {addr: ':1', prometheus: {enabled: true}}}\n";
    let loaded = load_text("config.yml", yaml, &[], &Overrides::default()).unwrap();
    assert_eq!(again(&loaded.config), loaded.config);
}

#[test]
fn a_file_may_be_named_by_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yml");
    fs::write(&path, "version: 0.1\nstorage: inmemory\n").unwrap();
    let name = || {
        [(
            "REGISTRY_CONFIGURATION_PATH".into(),
            path.clone().into_os_string(),
        )]
    };
    let loaded = load(None, name(), &Overrides::default()).unwrap();
    assert_eq!(loaded.file, Some((path.clone(), Kind::Distribution)));
    let other = folder.path().join("other");
    fs::write(&other, "[log]\nlevel = \"warn\"\n").unwrap();
    let loaded = load(Some(&other), name(), &Overrides::default()).unwrap();
    assert_eq!(loaded.file, Some((other, Kind::Native)));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let message = load(
        Some(Path::new("/nowhere/dockhand.toml")),
        [],
        &Overrides::default(),
    )
    .unwrap_err();
    let message = message.to_string();
    assert!(
        message.starts_with("cannot read the configuration /nowhere/dockhand.toml: "),
        "{message}"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yml");
    fs::write(&path, b"version: 0.1\n# \xff\n").unwrap();
    assert!(load(Some(&path), [], &Overrides::default()).is_err());
    assert!(load(Some(folder.path()), [], &Overrides::default()).is_err());
}

#[cfg(unix)]
#[test]
fn an_environment_that_is_not_text_does_no_harm() {
    use std::os::unix::ffi::OsStringExt;
    let odd = || OsString::from_vec(vec![0xff]);
    let pair = |name: &str| (OsString::from(name), odd());
    let loaded = load(None, [(odd(), odd()), pair("LANG")], &Overrides::default()).unwrap();
    assert_eq!(loaded.config, Config::default());
    let message = load(None, [pair("DOCKHAND_LOG_LEVEL")], &Overrides::default()).unwrap_err();
    assert_eq!(
        message.to_string(),
        "DOCKHAND_LOG_LEVEL: its value is not UTF-8"
    );
}

/// Cuts a text at every place, and puts something odd into every place; none of it may panic.
fn maul(name: &str, text: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let ends = text.char_indices().map(|(end, _)| end);
    let (mut good, mut bad) = (0, 0);
    for end in ends {
        let (before, after) = text.split_at(end);
        let odd = ["", "\0", ":", "[", "&a *a", "\n", "'é"];
        let mauled = odd.iter().map(|odd| format!("{before}{odd}{after}"));
        for text in mauled.chain([before.to_owned()]) {
            fs::write(&path, text).unwrap();
            match load(Some(&path), [], &Overrides::default()) {
                Ok(_) => good += 1,
                Err(error) => {
                    assert!(error.to_string().contains(name), "without a place: {error}");
                    bad += 1;
                }
            }
        }
    }
    assert!(good > 0 && bad > good / 4, "{good} {bad}");
}

#[test]
fn no_native_file_makes_it_panic() {
    maul(
        "a.toml",
        "[server]\nlisten = \"a:1\"\ntls = { min-version = \"1.3\" }\nheaders.X-A = \"1\"\n[[x]]\n",
    );
    maul(
        "a.toml",
        "[server]\nlisten = \"a:1\"\nlimits = { page = 7, blob = \"1MB\" }\nheaders.X-A = '1'\n",
    );
}

#[test]
fn no_file_of_cncf_distribution_makes_it_panic() {
    let text = "version: 0.1\nlog: {fields: {a: b}, level: info}\nstorage:\n  filesystem:\n  cache: &c {x: inmemory}\n  maintenance: {uploadpurging: {enabled: true, age: 168h}}\nhttp:\n  addr: :5000\n  headers: {X-A: [b]}\n  tls: {minimumtls: tls1.2}\n";
    maul("a.yml", text);
}

#[test]
fn no_variable_makes_it_panic() {
    let names = [
        "",
        "_",
        "HTTP",
        "HTTP_",
        "HTTP__",
        "HTTP_TLS_CLIENTCAS_",
        "STORAGE_",
        "AUTH_",
    ];
    let names = names.into_iter().chain([
        "HTTP_TLS_CLIENTCAS_99999999999999999999",
        "HTTP_TLS_CLIENTCAS_-1",
        "HTTP_TLS_CLIENTCAS_0_0_0",
        "HTTP_HEADERS_0",
        "HTTP_HEADERS_X_0",
        "STORAGE_FILESYSTEM_ROOTDIRECTORY_X",
        "STORAGE_MAINTENANCE_UPLOADPURGING",
        "STORAGE_MAINTENANCE_UPLOADPURGING_AGE_0",
        "LOG_FIELDS_0_1_2",
        "VERSION",
        "0",
    ]);
    let values = [
        "",
        "0",
        "[]",
        "{}",
        "{a: b}",
        "[[",
        "~",
        "-1",
        "*x",
        "\u{0}",
        "a: b: c",
        "!!binary x",
    ];
    let mut outcomes = 0;
    for name in names {
        for value in values {
            for prefix in ["REGISTRY_", "REGISTRY_REGISTRY_", "DOCKHAND_"] {
                let name = format!("{prefix}{name}");
                let file = "version: 0.1\nstorage: {filesystem: {}}\n";
                let loaded =
                    load_text("config.yml", file, &[(&name, value)], &Overrides::default());
                outcomes += 1;
                if let Err(message) = loaded {
                    assert!(message.starts_with(&name), "{name}={value}: {message}");
                }
            }
        }
    }
    assert!(outcomes > 600);
}

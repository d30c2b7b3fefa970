//! Connections as people write them.

use std::fmt::Write;
use std::fs;
use std::time::Duration;

use secrecy::ExposeSecret;
use tracing::level_filters::LevelFilter;

use super::*;
use crate::ProxySettings;

/// The connections of a file with this text, and of these variables.
fn load(text: &str, variables: &[(&str, &str)]) -> Result<Connections> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dockhand.toml");
    fs::write(&path, text).unwrap();
    let environment = Environment::new(variables.iter().copied());
    Connections::load(Some(&path), &environment)
}

/// What a test compares of who asks.
fn auth(settings: &Settings) -> String {
    match &settings.connection.auth {
        Auth::Anonymous => "none".into(),
        Auth::Challenge(_) => "challenge".into(),
        Auth::Basic(user, password) => format!("basic {user} {}", password.expose_secret()),
        Auth::Bearer(token) => format!("bearer {}", token.expose_secret()),
        Auth::ApiKey(user, key) => format!("apikey {user:?} {}", key.expose_secret()),
        Auth::Signed(_) => "signed".into(),
    }
}

#[test]
fn every_key_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dockhand.toml");
    let text = r#"
[server]
listen = ":5000"

[client]
default = "full"

[connections.full]
driver = "zot"
base-uri = "localhost:5000/v2/"
proxy = "http://proxy.example:3128"
user-agent = "ours/1"
headers = { X-Team = "canary" }
lanes = 4

[connections.full.auth]
driver = "basic"
username = "robot"
password-file = "robot.secret"

[connections.full.tls]
ca = ["a.pem", "/etc/b.pem"]
cert = "~/c.pem"
key = "k.pem"
insecure = true

[connections.full.timeouts]
connect = "1s"
answer = "2m"
idle = "1m 30s"

[connections.full.retries]
count = 0
first = "50ms"
longest = "1m"

[connections.full.logging]
level = "warn"

[connections.plain]
base-uri = "https://host.example:8443/sub"
tls.plain-http = true
proxy = "none"
"#;
    fs::write(&path, text).unwrap();
    fs::write(folder.path().join("robot.secret"), "canary\r\n").unwrap();
    let environment = Environment::new([("HOME", "/h")]);
    let connections = Connections::load(Some(&path), &environment).unwrap();
    assert_eq!(connections.names().collect::<Vec<_>>(), ["full", "plain"]);
    let full = connections.default().unwrap().unwrap();
    let connection = &full.connection;
    assert_eq!(
        (full.name.as_deref(), full.driver),
        (Some("full"), Driver::Zot)
    );
    assert_eq!(connection.base.to_string(), "http://localhost:5000/");
    assert_eq!(auth(&full), "basic robot canary");
    let tls = &connection.tls;
    assert_eq!(
        tls.authorities,
        [folder.path().join("a.pem"), "/etc/b.pem".into()]
    );
    let identity = ("/h/c.pem".into(), folder.path().join("k.pem"));
    assert_eq!(
        (tls.identity.as_ref(), tls.insecure),
        (Some(&identity), true)
    );
    let ProxySettings::Url(proxy) = &connection.proxy else {
        panic!("{:?}", connection.proxy)
    };
    assert_eq!(proxy, "http://proxy.example:3128");
    let timeouts = connection.timeouts;
    let lengths = [timeouts.connect, timeouts.answer, timeouts.idle];
    assert_eq!(lengths, [1, 120, 90].map(Duration::from_secs));
    let retries = connection.retries;
    assert_eq!(
        (
            retries.count,
            retries.first.as_millis(),
            retries.longest.as_secs()
        ),
        (0, 50, 60)
    );
    assert_eq!(
        (connection.lanes, connection.user_agent.as_str()),
        (4, "ours/1")
    );
    assert_eq!(connection.headers["x-team"], "canary");
    assert_eq!(connection.logging, LevelFilter::WARN);
    let plain = connections.get("plain").unwrap().connection;
    assert_eq!(plain.base.to_string(), "http://host.example:8443/sub/");
    assert!(matches!(plain.proxy, ProxySettings::None));
    let debug = format!("{connections:?} {full:?}");
    assert!(!debug.contains("canary"), "{debug}");
}

#[test]
fn what_may_be_written_is_what_is_read() {
    for (section, keys) in table::KEYS {
        for key in *keys {
            let is_section = table::KEYS.iter().any(|(name, _)| name == key);
            // A value of no type that any key has, so that each complains of it, and not of its name.
            let value = if is_section { "{}" } else { "1.5" };
            let dot = if section.is_empty() { "" } else { "." };
            let text = format!("{section}{dot}{key} = {value}");
            let read = toml::from_str::<Table>(&text);
            let error = read.map_or_else(|error| error.message().to_owned(), |_| String::new());
            assert!(!error.contains("unknown field"), "{text}: {error}");
            assert_eq!(error.is_empty(), is_section, "{text}: {error}");
        }
    }
}

#[test]
fn who_asks_is_said_in_many_ways() {
    let base = "base-uri = \"https://r.example/v2/\"\n";
    for (driver, table, expected) in [
        ("oci", "", "challenge"),
        ("oci", "driver = 'none'", "none"),
        ("oci", "driver = 'null'", "none"),
        ("oci", "username = 'u'\npassword = 'p'", "challenge"),
        (
            "oci",
            "driver = 'basic'\nusername = 'u'\npassword = 'p:q'",
            "basic u p:q",
        ),
        ("oci", "token = 't'", "bearer t"),
        ("oci", "driver = 'bearer'\ntoken = 't'", "bearer t"),
        (
            "distribution",
            "driver = 'apikey'\napi-key = 'k'",
            "apikey None k",
        ),
        (
            "zot",
            "username = 'u'\napi-key = 'k'",
            r#"apikey Some("u") k"#,
        ),
        (
            "zot",
            "api-key = 'k'",
            "auth.driver `apikey` needs auth.username; zot takes",
        ),
        ("gitlab", "api-key = 'k'", "needs auth.username"),
        (
            "oci",
            "driver = 'basic'\nusername = 'u'",
            "auth.driver `basic` needs auth.password",
        ),
        (
            "oci",
            "driver = 'basic'\npassword = 'p'",
            "auth.driver `basic` needs auth.username",
        ),
        (
            "oci",
            "driver = 'bearer'",
            "auth.driver `bearer` needs auth.token",
        ),
        (
            "oci",
            "driver = 'apikey'",
            "auth.driver `apikey` needs auth.api-key",
        ),
        (
            "oci",
            "password = 'p'",
            "auth.driver `challenge` needs auth.username",
        ),
        (
            "oci",
            "token = 't'\ntoken-file = 'f'",
            "auth.token and auth.token-file are both set",
        ),
        ("oci", "token-file = 'absent'", "absent: No such file"),
        (
            "oci",
            "driver = 'jwt'\nprivate-key = 'k.pem'",
            "comes with the token authority",
        ),
    ] {
        let text =
            format!("[connections.x]\n{base}driver = \"{driver}\"\n[connections.x.auth]\n{table}");
        let said = match load(&text, &[]).unwrap().get("x") {
            Ok(settings) => auth(&settings),
            Err(error) => error.to_string(),
        };
        assert!(said.contains(expected), "{table}: {said}");
        let is_error = said.starts_with("cannot use connection \"x\": ");
        assert_eq!(
            is_error,
            expected.contains(' ') && said != expected,
            "{table}: {said}"
        );
    }
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_what_was_meant() {
    for (text, expected) in [
        (
            "[clients]",
            "1:2: unknown table `clients`; did you mean `client`?",
        ),
        (
            "[conections.x]",
            "1:2: unknown table `conections`; did you mean `connections`?",
        ),
        ("zebra = 1", "1:1: unknown table `zebra`"),
        ("client = 1", "1:10: `client` is a table"),
        ("connections.x = 1", "1:17: `connections.x` is a table"),
        (
            "[client]\ndefualt = 'x'",
            "2:1: unknown key `client.defualt`; did you mean `default`?",
        ),
        (
            "[connections.x]\nbase_uri = 'a'",
            "2:1: unknown key `connections.x.base_uri`; did you mean `base-uri`?",
        ),
        (
            "[connections.x]\nusername = 'a'",
            "did you mean `auth.username`?",
        ),
        (
            "[connections.x.auth]\npasword = 'canary'",
            "2:1: unknown key `connections.x.auth.pasword`; did you mean `password`?",
        ),
        (
            "[connections.x]\ntls = { insecur = true }",
            "2:9: unknown key `connections.x.tls.insecur`; did you mean `insecure`?",
        ),
        (
            "[connections.x]\ntls = true",
            "2:7: `connections.x.tls` is a table",
        ),
        (
            "[connections.x]\ndriver = 'zott'",
            "2:10: \"zott\" is not a driver; did you mean `zot`? (there are: distribution, oci, zot, gitlab)",
        ),
        (
            "[connections.x.auth]\ndriver = 'token'",
            "is not an auth driver",
        ),
        (
            "[connections.x.auth]\npassword = 12345",
            "2:12: a secret is written as a text, in quotes",
        ),
        (
            "[connections.x]\nheaders = { A = 12345 }",
            "a secret is written as a text",
        ),
        (
            "[connections.x]\nbase-uri = 'https://me:canary@host'",
            "2:12: \"host\" is no registry's address",
        ),
        (
            "[connections.x.timeouts]\nidle = 30",
            "2:8: a length of time is written with its unit",
        ),
        ("[connections.x]\nlanes = 0", "2:9: "),
        ("[connections.x.logging]\nlevel = 'loud'", "is not a level"),
        ("[connections.x]\nuser-agent = \"canary", "2:"),
    ] {
        let error = load(text, &[]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{text}");
        let message = error.to_string();
        assert!(message.contains(expected), "{text}: {message}");
        for secret in ["canary", "12345"] {
            assert!(!message.contains(secret), "{text}: {message}");
        }
    }
    let many = load("[connections.x]\none = 1\n[connections.y]\ntwo = 2\n", &[]);
    assert_eq!(many.unwrap_err().to_string().lines().count(), 2);
}

#[test]
fn variables_beat_the_file_for_the_default_connection() {
    let text = "\
[client]
default = 'main'
[connections.main]
driver = 'zot'
base-uri = 'https://main.example'
auth = { driver = 'basic', username = 'u', password = 'p' }
[connections.other]
base-uri = 'https://other.example'
";
    for (variables, expected) in [
        (&[][..], "main https://main.example/ zot basic u p"),
        (
            &[("DOCKHAND_CONNECTION", "other")],
            "other https://other.example/ oci challenge",
        ),
        (
            &[("DOCKHAND_PASSWORD", "q")],
            "main https://main.example/ zot basic u q",
        ),
        (
            &[
                ("DOCKHAND_AUTH_DRIVER", "null"),
                ("DOCKHAND_DRIVER", "distribution"),
            ],
            "main https://main.example/ distribution none",
        ),
        (
            &[("DOCKHAND_BASE_URI", "http://main.example/v2/")],
            "main http://main.example/ zot basic u p",
        ),
        // Another registry does not get the credentials of this one.
        (
            &[("DOCKHAND_BASE_URI", "https://new.example")],
            "main https://new.example/ oci challenge",
        ),
        (
            &[("DOCKHAND_CONNECTION", "othr")],
            "there is no connection \"othr\"; did you mean `other`? (there are: main, other)",
        ),
    ] {
        let connections = load(text, variables).unwrap();
        let said = match connections.default() {
            Ok(settings) => shown(&settings.unwrap()),
            Err(error) => error.to_string(),
        };
        assert_eq!(said, expected, "{variables:?}");
    }
    let wrong = load(text, &[("DOCKHAND_DRIVER", "harbour")]).unwrap_err();
    assert!(
        wrong
            .to_string()
            .starts_with("DOCKHAND_DRIVER: \"harbour\" is not a driver"),
        "{wrong}"
    );
}

fn shown(settings: &Settings) -> String {
    let name = settings.name.as_deref().unwrap_or("-");
    format!(
        "{name} {} {} {}",
        settings.connection.base,
        settings.driver,
        auth(settings)
    )
}

#[test]
fn a_registry_finds_its_connection() {
    let text = "\
[connections.a]
base-uri = 'https://r.example/sub/v2/'
auth = { token = 'a' }
[connections.b]
base-uri = 'https://r.example'
auth = { token = 'b' }
[connections.hub]
base-uri = 'docker.io'
auth = { token = 'hub' }
";
    let mut said = String::new();
    for (default, host) in [
        ("", "r.example"),
        ("b", "r.example"),
        ("", "index.docker.io"),
        ("", "localhost:5000"),
        ("", "registry.gitlab.com"),
        ("", "https://r.example/other"),
        ("", "http://r.example"),
    ] {
        let connections = load(text, &[("DOCKHAND_CONNECTION", default)]).unwrap();
        let settings = connections.for_host(host).unwrap();
        writeln!(said, "{}", shown(&settings)).unwrap();
    }
    let expected = "\
a https://r.example/sub/ oci bearer a
b https://r.example/ oci bearer b
hub https://registry-1.docker.io/ oci bearer hub
- http://localhost:5000/ oci challenge
- https://registry.gitlab.com/ gitlab challenge
a https://r.example/sub/ oci bearer a
- http://r.example/ oci challenge
";
    assert_eq!(said, expected);
    assert!(load("", &[]).unwrap().for_host("a b").is_err());
}

#[tokio::test]
async fn who_asks_is_explained() {
    let text = "\
[connections.a]
base-uri = 'a.example'
driver = 'zot'
auth = { username = 'me', api-key = 'canary' }
[connections.b]
base-uri = 'b.example'
auth = { driver = 'none' }
[connections.c]
base-uri = 'c.example'
auth = { username = 'you', password = 'canary' }
";
    let connections = load(text, &[]).unwrap();
    for (host, first) in [
        ("a.example", "connection \"a\": used: API key of me"),
        (
            "b.example",
            "connection \"b\": not looked at: it asks as nobody",
        ),
        (
            "c.example",
            "1. what was given (-u, -p): used: password of you",
        ),
        ("d.example", "1. what was given (-u, -p): not there"),
    ] {
        let settings = connections.for_host(host).unwrap();
        let told = settings.explain(None).await.unwrap().to_string();
        assert_eq!(told.lines().next(), Some(first));
        assert!(!told.contains("canary"), "{told}");
    }
}

#[test]
fn nothing_has_to_be_set_up() {
    let nothing = Connections::load(None, &Environment::default()).unwrap();
    assert!(nothing.default().unwrap().is_none());
    let error = nothing.get("x").unwrap_err().to_string();
    assert_eq!(error, "there is no connection \"x\" (none is set up)");
    let variables = [
        ("DOCKHAND_BASE_URI", "http://localhost:5000/v2/"),
        ("DOCKHAND_LOG_DRIVER", "null"),
    ];
    let by_variables = Connections::load(None, &Environment::new(variables)).unwrap();
    let settings = by_variables.default().unwrap().unwrap();
    assert_eq!(
        shown(&settings),
        "default http://localhost:5000/ oci challenge"
    );
    assert_eq!(settings.connection.logging, LevelFilter::OFF);
    // One that is named has to be there, except where the name is for a server of another kind.
    let absent = Environment::new([("DOCKHAND_CONFIG", "/absent/dockhand.toml")]);
    assert!(Connections::load(None, &absent).is_err());
    let foreign = Environment::new([("DOCKHAND_CONFIG", "/absent/config.yml")]);
    assert!(Connections::load(None, &foreign).is_ok());
}

#[test]
fn a_persons_own_file_is_found() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".config/dockhand");
    fs::create_dir_all(&folder).unwrap();
    let text = "[connections.default]\nbase-uri = 'own.example'\ndriver = 'gitlab'";
    fs::write(folder.join("dockhand.toml"), text).unwrap();
    let environment = Environment::new([("HOME", home.path())]);
    let connections = Connections::load(None, &environment).unwrap();
    let settings = connections.default().unwrap().unwrap();
    assert_eq!(
        shown(&settings),
        "default https://own.example/ gitlab challenge"
    );
}

#[test]
fn the_file_of_the_server_is_that_of_the_client() {
    let sections = dockhand_server::config::keys().map(|key| key.section);
    for section in sections {
        let first = section.split('.').next().unwrap();
        assert!(read::SERVER.contains(&first), "{first}");
    }
    // And the other way round: the server takes a file with connections, and their variables.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dockhand.toml");
    let text =
        "[client]\ndefault = 'x'\n[connections.x]\nbase-uri = 'r.example'\n[log]\naccess = false\n";
    fs::write(&path, text).unwrap();
    let variables = variables::VARIABLES
        .iter()
        .copied()
        .chain(["DOCKHAND_CONNECTION"]);
    let variables = variables.map(|name| (name.into(), "x".into()));
    let loaded = dockhand_server::config::load(Some(&path), variables, &Default::default());
    let loaded = loaded.unwrap();
    assert!(!loaded.config.log.access);
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

//! Signing in and out, and what the command says of credentials: each with a home of its own.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::serving::{dockhand, run, text};

/// `me:secret` as Basic credentials.
const BASIC: &str = "Basic bWU6c2VjcmV0";

/// A registry that lets in whoever says `me:secret`, or who has its token; its token service gives
/// tokens for nothing to nobody as well.
struct Guarded {
    host: String,
}

impl Guarded {
    fn start(bearer: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let own = host.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let _ = answer(stream, &own, bearer);
            }
        });
        Self { host }
    }
}

fn answer(stream: TcpStream, host: &str, bearer: bool) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let mut says = String::new();
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("authorization")
        {
            value.clone_into(&mut says);
        }
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    let (status, challenge, body) = match path.split('?').next() {
        Some("/token") if says == BASIC => {
            let scope = path.contains("scope=repository%3Aa%2Fb%3Apull");
            ("200 OK", "", format!("{{\"token\":\"for-me-{scope}\"}}"))
        }
        Some("/token") if says.is_empty() => ("200 OK", "", "{\"token\":\"for-all\"}".to_owned()),
        Some("/v2/") if bearer && says.starts_with("Bearer for-") => {
            ("200 OK", "", "{}".to_owned())
        }
        Some("/v2/") if !bearer && says == BASIC => ("200 OK", "", "{}".to_owned()),
        _ if bearer => ("401 Unauthorized", "bearer", String::new()),
        _ => ("401 Unauthorized", "basic", String::new()),
    };
    let challenge = match challenge {
        "bearer" => {
            format!("WWW-Authenticate: Bearer realm=\"http://{host}/token\",service=\"s\"\r\n")
        }
        "basic" => "WWW-Authenticate: Basic realm=\"s\"\r\n".to_owned(),
        _ => String::new(),
    };
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status}\r\nDocker-Distribution-Api-Version: registry/2.0\r\n{challenge}\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn told(output: &Output) -> String {
    text(&output.stdout) + &text(&output.stderr)
}

fn file(home: &Path) -> Value {
    let text = fs::read_to_string(home.join(".docker/config.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Runs it with something on standard input.
fn with_input(home: &Path, args: &[&str], input: &str) -> Output {
    let mut command = dockhand(home);
    command.args(args).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_login_is_checked_kept_used_and_forgotten() {
    for bearer in [false, true] {
        let home = tempfile::tempdir().unwrap();
        let registry = Guarded::start(bearer);
        let host = registry.host.as_str();
        let login = ["login", host, "-u", "me", "--password-stdin"];
        let refused = with_input(home.path(), &login, "wrong\n");
        assert_eq!(refused.status.code(), Some(4), "{}", told(&refused));
        let said = told(&refused);
        let doing = ["cannot check the credentials", "cannot get a token"];
        assert!(said.contains(doing[usize::from(bearer)]), "{said}");
        assert!(
            said.contains(host) && said.contains("nothing was kept"),
            "{said}"
        );
        assert!(!home.path().join(".docker").exists());
        let before = run(home.path(), &["ping", host, "--retries", "0"]);
        assert_eq!(before.status.success(), bearer, "{}", told(&before));

        let done = with_input(home.path(), &login, "secret\r\n");
        assert!(done.status.success(), "{}", told(&done));
        let said = text(&done.stdout);
        assert!(
            said.starts_with(&format!("logged in to {host} as me; kept in ")),
            "{said}"
        );
        assert!(
            text(&done.stderr).contains("the credentials are not encrypted"),
            "{}",
            told(&done)
        );
        assert_eq!(file(home.path())["auths"][host]["auth"], "bWU6c2VjcmV0");
        let after = run(home.path(), &["ping", host]);
        assert!(after.status.success(), "{}", told(&after));

        let out = run(home.path(), &["logout", host, "--json"]);
        let out: Value = serde_json::from_slice(&out.stdout).unwrap();
        assert_eq!(out["erased"].as_array().unwrap().len(), 1, "{out}");
        assert_eq!(file(home.path())["auths"], serde_json::json!({}));
        let again = run(home.path(), &["logout", host]);
        assert_eq!(text(&again.stdout), format!("not logged in to {host}\n"));
        assert!(again.status.success());
    }
}

#[test]
fn a_login_needs_somebody_to_log_in() {
    let home = tempfile::tempdir().unwrap();
    for (args, words) in [
        (&["login"][..], "no registry is named"),
        (&["login", "127.0.0.1:1"], "--username"),
        (&["login", "127.0.0.1:1", "-u", "me"], "--password-stdin"),
        (
            &["login", "127.0.0.1:1", "--identity-token-stdin"],
            "no identity token",
        ),
    ] {
        let output = run(home.path(), args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", told(&output));
        assert!(told(&output).contains(words), "{args:?}: {}", told(&output));
    }
    let args = [
        "login",
        "127.0.0.1:1",
        "-u",
        "me",
        "-p",
        "canary",
        "--retries",
        "0",
    ];
    let output = run(home.path(), &args);
    assert_eq!(output.status.code(), Some(6), "{}", told(&output));
    assert!(!told(&output).contains("canary"), "{}", told(&output));
}

#[test]
fn a_helper_that_is_missing_stops_a_login_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let registry = Guarded::start(true);
    let host = registry.host.as_str();
    fs::create_dir(home.path().join(".docker")).unwrap();
    fs::write(
        home.path().join(".docker/config.json"),
        r#"{"credsStore": "desktop"}"#,
    )
    .unwrap();
    let ping = run(home.path(), &["ping", host]);
    assert!(ping.status.success(), "{}", told(&ping));
    let missing = "docker-credential-desktop is not installed";
    assert!(text(&ping.stderr).contains(missing), "{}", told(&ping));
    let login = run(home.path(), &["login", host, "-u", "me", "-p", "secret"]);
    assert_eq!(login.status.code(), Some(2), "{}", told(&login));
    assert!(told(&login).contains(missing), "{}", told(&login));
    assert_eq!(
        file(home.path()),
        serde_json::json!({"credsStore": "desktop"})
    );
}

#[test]
fn credentials_are_explained_and_handed_out() {
    let home = tempfile::tempdir().unwrap();
    let registry = Guarded::start(true);
    let host = registry.host.as_str();
    let named = format!("{host}/a/b");
    let file = home.path().join("own.json");
    let file = file.to_str().unwrap();
    let none = run(home.path(), &["auth", "get", host]);
    assert_eq!(none.status.code(), Some(3), "{}", told(&none));
    let token = run(home.path(), &["auth", "token", &named]);
    assert_eq!(text(&token.stdout), "for-all\n", "{}", told(&token));

    let login = [
        "login",
        host,
        "-u",
        "me",
        "-p",
        "secret",
        "--authfile",
        file,
    ];
    assert!(run(home.path(), &login).status.success());
    let get = run(home.path(), &["auth", "get", &named, "--authfile", file]);
    let got: Value = serde_json::from_slice(&get.stdout).unwrap();
    let kept = serde_json::json!({"ServerURL": host, "Username": "me", "Secret": "secret"});
    assert_eq!(got, kept, "{}", told(&get));
    let token = run(home.path(), &["auth", "token", &named, "--authfile", file]);
    assert_eq!(text(&token.stdout), "for-me-true\n", "{}", told(&token));

    let explain = run(
        home.path(),
        &["auth", "explain", &named, "--authfile", file],
    );
    let expected = format!("\n2. {file} [{host}]: used: password of me\n");
    let said = text(&explain.stdout);
    assert!(said.contains(&expected), "{said}");
    assert!(
        said.starts_with("1. what was given (-u, -p): not there\n"),
        "{said}"
    );
    let explain = run(home.path(), &["auth", "explain", host, "--json"]);
    let told: Value = serde_json::from_slice(&explain.stdout).unwrap();
    assert_eq!(told["host"], host);
    assert!(
        told["steps"]
            .as_array()
            .unwrap()
            .iter()
            .all(|step| step["outcome"] == "absent"),
        "{told}"
    );
    let typo = run(
        home.path(),
        &["auth", "get", host, "--authfile", "typo.json"],
    );
    assert!(
        text(&typo.stderr).contains("typo.json is not there"),
        "{}",
        self::told(&typo)
    );
}

#[test]
fn a_connection_of_the_file_is_used_by_its_name_and_for_its_registry() {
    let home = tempfile::tempdir().unwrap();
    let registry = Guarded::start(false);
    let host = registry.host.as_str();
    fs::write(home.path().join("secret"), "secret\n").unwrap();
    let config = home.path().join("dockhand.toml");
    let table = format!(
        "[connections.work]\nbase-uri = \"http://{host}/v2/\"\n\
         auth = {{ driver = \"basic\", username = \"me\", password-file = \"secret\" }}\n"
    );
    fs::write(&config, &table).unwrap();
    let ping = |args: &[&str], default: &str| {
        let mut command = dockhand(home.path());
        command
            .env("DOCKHAND_CONFIG", &config)
            .arg("ping")
            .args(args);
        if !default.is_empty() {
            command.env("DOCKHAND_CONNECTION", default);
        }
        command.output().unwrap()
    };
    for (args, default) in [
        (&["--connection", "work"][..], ""),
        (&[host], ""),
        (&[], "work"),
    ] {
        let output = ping(args, default);
        assert!(output.status.success(), "{args:?}: {}", told(&output));
    }
    let output = ping(&["--connection", "wrok"], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        told(&output).contains("did you mean `work`?"),
        "{}",
        told(&output)
    );
    fs::write(&config, table + "[client]\ndefualt = 'work'\n").unwrap();
    let output = ping(&[host], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        told(&output).contains("dockhand.toml:5:1: unknown key `client.defualt`"),
        "{}",
        told(&output)
    );
}

#[test]
fn variables_are_for_one_registry_unless_they_name_it() {
    let home = tempfile::tempdir().unwrap();
    let (one, other) = (Guarded::start(false), Guarded::start(false));
    let run = |args: &[&str], variables: &[(String, &str)]| {
        let mut command = dockhand(home.path());
        command.args(args).args(["--retries", "0"]);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        command.output().unwrap()
    };
    let pair = |ending: &str, password| {
        let name = |name| format!("DOCKHAND_{name}{ending}");
        [(name("USERNAME"), "me"), (name("PASSWORD"), password)]
    };
    let own = format!("_{}", one.host.replace(['.', ':'], "_"));
    let (common, own) = (pair("", "secret"), pair(&own, "secret"));
    let ping = ["ping", one.host.as_str()];
    assert!(!run(&ping, &[]).status.success());
    assert!(run(&ping, &common).status.success());
    assert!(run(&ping, &own).status.success());
    let both = [pair("", "wrong"), own.clone()].concat();
    assert!(run(&ping, &both).status.success());
    // One half of the pair may be a flag.
    let half = run(&["ping", one.host.as_str(), "-u", "me"], &common[1..]);
    assert!(half.status.success(), "{}", told(&half));

    let (from, to) = (format!("{}/a:1", one.host), format!("{}/a:1", other.host));
    let copy = run(&["cp", &from, &to], &common);
    assert_eq!(copy.status.code(), Some(2), "{}", told(&copy));
    assert!(
        told(&copy).contains("are for one registry"),
        "{}",
        told(&copy)
    );
    let copy = run(&["cp", &from, &to], &[common, own].concat());
    assert!(
        !told(&copy).contains("are for one registry"),
        "{}",
        told(&copy)
    );
}

#[test]
fn whoami_tells_who_is_asked_for_and_whether_that_one_is_let_in() {
    let home = tempfile::tempdir().unwrap();
    let registry = Guarded::start(false);
    let host = registry.host.as_str();
    let nobody = run(home.path(), &["whoami", host]);
    assert_eq!(nobody.status.code(), Some(4), "{}", told(&nobody));
    let hint = format!("dockhand login {host}");
    assert!(told(&nobody).contains(&hint), "{}", told(&nobody));
    let login = ["login", host, "-u", "me", "-p", "secret"];
    assert!(run(home.path(), &login).status.success());
    let me = run(home.path(), &["whoami", host]);
    assert_eq!(text(&me.stdout), "me\n", "{}", told(&me));
    let me = run(home.path(), &["whoami", &format!("{host}/a/b"), "--json"]);
    let me: Value = serde_json::from_slice(&me.stdout).unwrap();
    assert_eq!(
        (&me["kind"], &me["checked"]),
        (&"password".into(), &true.into())
    );
    assert!(
        me["place"].as_str().unwrap().ends_with("config.json"),
        "{me}"
    );
    let wrong = run(home.path(), &["whoami", host, "-u", "you", "-p", "canary"]);
    assert_eq!(wrong.status.code(), Some(4), "{}", told(&wrong));
    assert!(!told(&wrong).contains("canary"), "{}", told(&wrong));
    // Where nobody is asked who he is, nothing was checked.
    let open = crate::peer::Peer::start(|_| crate::peer::json(200, &serde_json::json!({})));
    let asked = run(home.path(), &["whoami", &open.host, "-u", "me", "-p", "x"]);
    assert_eq!(text(&asked.stdout), "me\n", "{}", told(&asked));
    assert!(
        text(&asked.stderr).contains("were not checked"),
        "{}",
        told(&asked)
    );
}

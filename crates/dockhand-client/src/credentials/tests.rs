//! The chain as a whole, in invented homes.
#![cfg(unix)]

use std::fs;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::ErrorKind;

/// A home of its own, with what a test puts there.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn write(&self, file: &str, text: &str) -> &Self {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn json(&self, file: &str) -> Value {
        serde_json::from_str(&fs::read_to_string(self.path(file)).unwrap()).unwrap()
    }

    fn chain(&self, variables: &[(&str, &str)]) -> Chain {
        let home = self.0.path().to_str().unwrap();
        let path = format!("{home}/bin:/usr/bin:/bin");
        let own = [("HOME", home), ("PATH", &path), ("FAKE_STORE", home)];
        Chain::new(Environment::new(
            own.into_iter().chain(variables.iter().copied()),
        ))
    }

    /// With the fake helper as `docker-credential-NAME`.
    fn helper(&self, name: &str) -> &Self {
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/testdata/docker-credential-fake"
        );
        fs::create_dir_all(self.path("bin")).unwrap();
        let program = self.path(&format!("bin/docker-credential-{name}"));
        std::os::unix::fs::symlink(script, program).unwrap();
        self
    }

    /// How often the fake helper was called.
    fn calls(&self) -> usize {
        fs::read_to_string(self.path("calls")).map_or(0, |calls| calls.lines().count())
    }
}

const DOCKER: &str = ".docker/config.json";
const PODMAN: &str = ".config/containers/auth.json";

/// `auths` with these keys, each with its user name, the password being `p`.
fn auths(entries: &[(&str, &str)]) -> String {
    let entries = entries.iter().map(|(key, user)| {
        let entry = entry::write(&basic(user, "p"));
        ((*key).to_owned(), entry)
    });
    serde_json::json!({"auths": entries.collect::<serde_json::Map<_, _>>()}).to_string()
}

fn basic(user: &str, password: &str) -> Credential {
    Credential::Basic(user.to_owned(), password.into())
}

async fn look(chain: &Chain, host: &str, repository: Option<&str>) -> Result<String> {
    let repository = repository.map(|name| name.parse().unwrap());
    let found = chain.credential(host, repository.as_ref()).await?;
    Ok(match found {
        None => "nobody".to_owned(),
        Some(Credential::Basic(user, password)) => format!("{user}:{}", password.expose_secret()),
        Some(Credential::Identity(token)) => format!("identity {}", token.expose_secret()),
        Some(Credential::Registry(token)) => format!("registry {}", token.expose_secret()),
    })
}

async fn user(chain: &Chain, host: &str, repository: Option<&str>) -> String {
    let found = look(chain, host, repository).await.unwrap();
    found.trim_end_matches(":p").to_owned()
}

#[tokio::test]
async fn the_most_specific_key_wins_and_of_equals_docker() {
    let home = Home::new();
    home.write(
        DOCKER,
        &auths(&[
            ("quay.io", "docker"),
            ("https://index.docker.io/v1/", "hub"),
            ("https://old.example/v1/", "old"),
        ]),
    );
    home.write(
        PODMAN,
        &auths(&[
            ("quay.io", "podman"),
            ("quay.io/org", "org"),
            ("quay.io/org/app", "app"),
            ("only.example", "podman"),
        ]),
    );
    home.write(
        ".netrc",
        "machine quay.io login netrc password p\n machine net.example login netrc password p",
    );
    let legacy = auths(&[("legacy.example", "legacy")]);
    let legacy: Value = serde_json::from_str(&legacy).unwrap();
    home.write(".dockercfg", &legacy["auths"].to_string());
    let chain = home.chain(&[]);
    for (host, repository, expected) in [
        ("quay.io", None, "docker"),
        ("quay.io", Some("other/app"), "docker"),
        ("quay.io", Some("org/other"), "org"),
        ("quay.io", Some("org/app"), "app"),
        ("quay.io", Some("organ/app"), "docker"),
        ("docker.io", Some("library/x"), "hub"),
        ("old.example", None, "old"),
        ("only.example", None, "podman"),
        ("legacy.example", None, "legacy"),
        ("net.example", None, "netrc"),
        ("net.example:5000", None, "netrc"),
        ("none.example", None, "nobody"),
    ] {
        let found = user(&chain, host, repository).await;
        assert_eq!(found, expected, "{host} {repository:?}");
    }
}

#[tokio::test]
async fn each_place_hides_those_after_it() {
    let home = Home::new();
    home.write(DOCKER, &auths(&[("r.example", "file")]));
    home.write("alone.json", &auths(&[("r.example", "alone")]));
    home.write("empty.json", "{}");
    home.write(".netrc", "machine r.example login netrc password p");
    let alone = home.path("alone.json").display().to_string();
    let empty = home.path("empty.json").display().to_string();
    let inline = auths(&[("r.example", "inline")]);
    let own = [
        ("DOCKHAND_USERNAME_R_EXAMPLE", "own"),
        ("DOCKHAND_PASSWORD_R_EXAMPLE", "p"),
    ];
    let any = [("DOCKHAND_USERNAME", "any"), ("DOCKHAND_PASSWORD", "p")];
    let (inline, alone_set) = (
        ("DOCKER_AUTH_CONFIG", inline.as_str()),
        ("REGISTRY_AUTH_FILE", alone.as_str()),
    );
    let other_base = ("DOCKHAND_BASE_URI", "https://other.example/v2/");
    for (variables, expected) in [
        (vec![], "file"),
        (vec![alone_set], "alone"),
        (vec![("REGISTRY_AUTH_FILE", empty.as_str())], "nobody"),
        (vec![alone_set, inline], "inline"),
        (vec![alone_set, inline, any[0], any[1]], "any"),
        (vec![inline, any[0], any[1], own[0], own[1]], "own"),
        (vec![inline, any[0], any[1], other_base], "inline"),
        (vec![inline, any[1]], "inline"),
    ] {
        let chain = home.chain(&variables);
        assert_eq!(
            user(&chain, "r.example", None).await,
            expected,
            "{variables:?}"
        );
        let is_common = chain.uses_common_variables("r.example");
        assert_eq!(is_common, expected == "any", "{variables:?}");
        let named = chain.clone().authfile(&empty);
        assert_eq!(
            user(&named, "r.example", None).await,
            "nobody",
            "{variables:?}"
        );
        let given = named.given(basic("given", "p"));
        assert_eq!(
            user(&given, "r.example", None).await,
            "given",
            "{variables:?}"
        );
    }
}

#[tokio::test]
async fn a_helper_is_asked_once_and_only_when_it_is_needed() {
    let home = Home::new();
    home.helper("fake");
    home.write(
        "https___index.docker.io_v1_",
        r#"{"Username":"me","Secret":"s"}"#,
    );
    home.write(
        "cloud.example",
        r#"{"ServerURL":"x","Username":"<token>","Secret":"t"}"#,
    );
    home.write(
        DOCKER,
        r#"{"auths": {"plain.example": {"auth": "bWU6cA=="}}, "credsStore": "fake"}"#,
    );
    home.write(PODMAN, &auths(&[("cloud.example/team", "team")]));
    let chain = home.chain(&[]);
    assert_eq!(user(&chain, "cloud.example", Some("team/a")).await, "team");
    assert_eq!(home.calls(), 0);
    let copy = chain.clone();
    let (one, other) = tokio::join!(
        look(&chain, "docker.io", None),
        look(&copy, "docker.io", None)
    );
    assert_eq!(
        (one.unwrap(), other.unwrap()),
        ("me:s".into(), "me:s".into())
    );
    assert_eq!(home.calls(), 1);
    assert_eq!(
        look(&chain, "cloud.example", None).await.unwrap(),
        "identity t"
    );
    // What it does not know may still stand in the file.
    assert_eq!(user(&chain, "plain.example", None).await, "me");
    assert_eq!(user(&chain, "none.example", None).await, "nobody");
    assert_eq!(home.calls(), 4);
}

#[derive(Default)]
struct Heard(std::sync::Mutex<Vec<String>>);

impl Observer for Heard {
    fn event(&self, event: &Event) {
        if let Event::Warning { text, .. } = event {
            self.0.lock().unwrap().push(text.clone());
        }
    }
}

#[tokio::test]
async fn a_helper_that_does_not_help_is_a_warning_to_readers_and_an_error_to_writers() {
    for (mode, said) in [
        ("missing", "docker-credential-fake is not installed"),
        ("broken", "the keychain is locked"),
        ("garbage", "not the JSON of a credential"),
        ("deaf", "longer than 10 s"),
    ] {
        if mode == "deaf" {
            // Nothing else happens then, so the clock runs ahead to the end of patience.
            tokio::time::pause();
        }
        let home = Home::new();
        home.write(DOCKER, r#"{"credsStore": "fake"}"#);
        if mode != "missing" {
            home.helper("fake");
        }
        let heard = Arc::new(Heard::default());
        let chain = home.chain(&[("FAKE_MODE", mode)]).observed(heard.clone());
        for _ in 0..2 {
            assert_eq!(user(&chain, "r.example", None).await, "nobody", "{mode}");
        }
        let warnings = heard.0.lock().unwrap().clone();
        assert_eq!(warnings.len(), 1, "{mode}: {warnings:?}");
        assert!(warnings[0].contains(said), "{mode}: {warnings:?}");
        assert!(!warnings[0].contains("canary"), "{mode}: {warnings:?}");
        if mode != "garbage" {
            let error = chain
                .store("r.example", &basic("me", "p"))
                .await
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{mode}");
            assert!(error.to_string().contains(said), "{mode}: {error}");
        }
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_understood_is_an_error_with_its_place() {
    let home = Home::new();
    home.write(DOCKER, "{\n  \"auths\": {\"r.example\": canary}\n}");
    let chain = home.chain(&[]);
    let error = look(&chain, "r.example", None).await.unwrap_err();
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(
        text.contains("config.json") && text.contains("line 2"),
        "{text}"
    );
    assert!(!text.contains("canary"), "{text}");
    // Whoever says who asks does not need the file, and nobody writes over it.
    let given = chain.given(basic("given", "p"));
    assert_eq!(user(&given, "r.example", None).await, "given");
    assert!(given.store("r.example", &basic("me", "p")).await.is_err());
    assert!(
        fs::read_to_string(home.path(DOCKER))
            .unwrap()
            .contains("canary")
    );
}

#[tokio::test]
async fn the_walk_is_told_without_secrets() {
    let home = Home::new();
    home.helper("fake");
    home.write(
        DOCKER,
        r#"{"auths": {"r.example": {}}, "credHelpers": {"r.example": "fake"}}"#,
    );
    home.write(
        PODMAN,
        r#"{"auths": {"r.example": {"auth": "bWU6Y2FuYXJ5"}, "r.example/x": {"auth": "?"}}}"#,
    );
    home.write(".netrc", "machine r.example login net password canary");
    let chain = home.chain(&[("DOCKHAND_PASSWORD", "canary")]);
    let repository = "x/y".parse().unwrap();
    let told = chain.explain("r.example", Some(&repository)).await.unwrap();
    let root = home.0.path().display().to_string();
    let text = told.to_string().replace(&root, "~");
    let expected = "\
1. what was given (-u, -p): not there
2. a file that was named (--authfile): not there
3. DOCKHAND_PASSWORD_R_EXAMPLE: not there
4. DOCKHAND_PASSWORD: cannot be used: DOCKHAND_USERNAME is not set
5. DOCKER_AUTH_CONFIG: not there
6. REGISTRY_AUTH_FILE: not there
7. docker-credential-fake, named by ~/.docker/config.json [r.example]: nothing for this registry
7. ~/.docker/config.json [r.example]: an entry without a credential
7. ~/.config/containers/auth.json [r.example/x]: cannot be used: its `auth` is not the base64 of USER:PASSWORD
7. ~/.config/containers/auth.json [r.example]: used: password of me
7. ~/.dockercfg: not there
8. ~/.netrc [r.example]: not used: another one is
";
    assert_eq!(text, expected);
    assert_eq!(told.used().unwrap().key.as_deref(), Some("r.example"));
    let json = serde_json::to_string(&told).unwrap();
    assert!(
        !json.contains("canary") && json.contains(r#""outcome":"used""#),
        "{json}"
    );
    let debug = format!("{chain:?} {:?}", chain.credential("r.example", None).await);
    assert!(!debug.contains("canary"), "{debug}");
}

#[tokio::test]
async fn a_login_goes_to_the_file_that_is_there() {
    for (there, written, key) in [
        (&[][..], DOCKER, "https://index.docker.io/v1/"),
        (&[DOCKER, PODMAN], DOCKER, "https://index.docker.io/v1/"),
        (&[PODMAN], PODMAN, "docker.io"),
        (&[".dockercfg"], DOCKER, "https://index.docker.io/v1/"),
    ] {
        let home = Home::new();
        for file in there {
            home.write(
                file,
                r#"{"auths":{"index.docker.io":{},"keep":{"x":1}},"HttpHeaders":{"A":1.50}}"#,
            );
        }
        let chain = home.chain(&[]);
        let stored = chain.store("docker.io", &basic("me", "a:b")).await.unwrap();
        assert_eq!(stored.helper, None);
        assert_eq!(Path::new(&stored.file), home.path(written));
        let json = home.json(written);
        assert_eq!(json["auths"][key]["auth"], "bWU6YTpi", "{json}");
        assert!(json["auths"].get("index.docker.io").is_none(), "{json}");
        if there.contains(&written) {
            let text = fs::read_to_string(home.path(written)).unwrap();
            assert!(
                text.contains(r#"{"A":1.50}"#) && text.contains(r#"{"x":1}"#),
                "{text}"
            );
        }
        assert_eq!(look(&chain, "docker.io", None).await.unwrap(), "me:a:b");
        let erased = chain.erase("index.docker.io").await.unwrap();
        assert_eq!(erased[0].place, stored.file);
        assert_eq!(look(&chain, "docker.io", None).await.unwrap(), "nobody");
        assert_eq!(chain.erase("docker.io").await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_login_goes_through_links_and_stays_private() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    let home = Home::new();
    fs::create_dir_all(home.path("dotfiles")).unwrap();
    fs::create_dir_all(home.path(".docker")).unwrap();
    std::os::unix::fs::symlink("../dotfiles/docker.json", home.path(DOCKER)).unwrap();
    let chain = home.chain(&[]);
    for name in ["one", "two"] {
        chain.store("r.example", &basic(name, "p")).await.unwrap();
        assert!(home.path(DOCKER).is_symlink());
        let real = fs::metadata(home.path("dotfiles/docker.json")).unwrap();
        assert_eq!(
            (real.permissions().mode() & 0o777, real.nlink()),
            (0o600, 1)
        );
        assert_eq!(user(&chain, "r.example", None).await, name);
        // Were it readable for others, it would no longer be after the next login.
        let open = fs::Permissions::from_mode(0o644);
        fs::set_permissions(home.path("dotfiles/docker.json"), open).unwrap();
    }
    let folder = home.chain(&[("DOCKER_CONFIG", home.path("new/folder").to_str().unwrap())]);
    folder.store("r.example", &basic("me", "p")).await.unwrap();
    let mode = fs::metadata(home.path("new/folder")).unwrap().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test]
async fn a_login_goes_to_the_helper_that_the_file_names() {
    let home = Home::new();
    home.helper("fake");
    home.write(
        DOCKER,
        r#"{"auths": {"https://r.example/v1/": {"auth": "b2xkOnA="}}, "credHelpers": {"r.example": "fake"}}"#,
    );
    let chain = home.chain(&[]);
    let stored = chain.store("r.example", &basic("me", "p")).await.unwrap();
    assert_eq!(stored.helper.as_deref(), Some("docker-credential-fake"));
    assert_eq!(
        home.json(DOCKER)["auths"],
        serde_json::json!({"r.example": {}})
    );
    assert_eq!(home.json("r.example")["Secret"], "p");
    assert_eq!(user(&chain, "r.example", None).await, "me");
    let token = Credential::Identity("t".into());
    chain.store("r.example", &token).await.unwrap();
    assert_eq!(look(&chain, "r.example", None).await.unwrap(), "identity t");
    let access = Credential::Registry("t".into());
    assert!(chain.store("r.example", &access).await.is_err());
    let erased: Vec<_> = chain.erase("r.example").await.unwrap();
    assert_eq!(erased.len(), 2, "{erased:?}");
    assert!(!home.path("r.example").exists());
    assert_eq!(look(&chain, "r.example", None).await.unwrap(), "nobody");
}

#[tokio::test]
async fn a_namespace_is_for_the_file_of_podman() {
    let home = Home::new();
    home.write("auth.json", "{}");
    let chain = home.chain(&[]);
    assert!(chain.store("quay.io/org", &basic("me", "p")).await.is_err());
    let podman = chain.authfile(home.path("auth.json"));
    podman.store("quay.io", &basic("all", "p")).await.unwrap();
    podman
        .store("quay.io/org", &basic("org", "p"))
        .await
        .unwrap();
    assert_eq!(user(&podman, "quay.io", Some("org/x")).await, "org");
    podman.erase("quay.io/org").await.unwrap();
    assert_eq!(user(&podman, "quay.io", Some("org/x")).await, "all");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_at_the_same_time_lose_nothing() {
    let home = Home::new();
    home.write(DOCKER, "{}");
    let chain = home.chain(&[]);
    let writers = (0..16).map(|number| {
        // Chains of their own, as other processes would have.
        let chain = home.chain(&[]);
        tokio::spawn(async move {
            let host = format!("r{number}.example");
            chain.store(&host, &basic("me", "p")).await.unwrap();
        })
    });
    let reader = async {
        for _ in 0..50 {
            look(&chain, "r0.example", None).await.unwrap();
        }
    };
    let (_, written) = tokio::join!(reader, futures_util::future::join_all(writers));
    assert!(written.iter().all(std::result::Result::is_ok));
    assert_eq!(home.json(DOCKER)["auths"].as_object().unwrap().len(), 16);
    let left = fs::read_dir(home.path(".docker")).unwrap().count();
    assert_eq!(left, 2, "only the file and its lock");
}

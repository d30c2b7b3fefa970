//! Hosts that a registry sends its clients to, and that fail: the message names both.

use dockhand_client::{
    Auth, Client, Connection, Credential, Error, ErrorKind, ProxySettings, Repository, Store,
};

use crate::peer::{Answer, Authority, Peer, Script, Stored, fetch, layer, send, tagged};

const BEGIN: &str = "POST /v2/app/blobs/uploads/";

/// A port of this machine at which nobody listens.
fn dead_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// `app` at a peer, once.
fn impatient(peer: &Peer) -> Repository {
    let mut connection = peer.connection();
    connection.retries.count = 0;
    let client = Client::new(connection).unwrap();
    client.repository("app".parse().unwrap())
}

fn has(error: &Error, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

#[tokio::test]
async fn an_upload_that_is_sent_to_a_lost_port() {
    let (blob, content) = layer(1, 1000);
    let script = Script::new().on(BEGIN, |_| Answer::accepted("http://registry.example/up/1"));
    let peer = Peer::start(script).await;
    let home = format!("registry.example:{}", peer.port);
    let mut connection = Connection::to(&format!("http://{home}")).unwrap();
    connection.auth = Auth::Anonymous;
    connection.proxy = ProxySettings::None;
    connection.retries.count = 0;
    // The port of a URL counts; where it has none, this one.
    let here = "127.0.0.1:0".parse().unwrap();
    let rule = ("registry.example".to_owned(), dead_port(), here);
    connection.resolve.push(rule);
    let client = Client::new(connection).unwrap();
    let repository = client.repository("app".parse().unwrap());
    let error = send(&repository, &blob, &content).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert_eq!(error.host(), Some("registry.example:80"));
    let expected = format!(
        "cannot send a blob to app at registry.example:80: no connection: Connection refused (os error 111); \
         {home} sent us to http://registry.example:80; a proxy in front of it seems to drop the port: have it \
         pass on `Host` with the port {} (nginx: proxy_set_header Host $http_host)",
        peer.port
    );
    assert_eq!(error.to_string(), expected);
    // Tried again, it is still the blob that could not be sent.
    let mut connection = client.connection().clone();
    connection.retries.count = 1;
    connection.retries.first = std::time::Duration::from_millis(1);
    let client = Client::new(connection).unwrap();
    let repository = client.repository("app".parse().unwrap());
    let error = send(&repository, &blob, &content).await.unwrap_err();
    let begin = "cannot send a blob to app at registry.example:80: no connection";
    has(&error, &[begin, "tried 3 times", "drop the port"]);
}

#[tokio::test]
async fn an_upload_that_is_sent_to_a_host_that_does_not_have_it() {
    let (blob, content) = layer(1, 1000);
    let web = Peer::start(Script::new().on("* /*", |_| Answer::html(404))).await;
    let location = format!("{}/up/1", web.other_url());
    let script = Script::new().on(BEGIN, move |_| Answer::accepted(&location));
    let peer = Peer::start(script).await;
    let error = send(&impatient(&peer), &blob, &content).await.unwrap_err();
    assert_eq!(error.host(), Some(&*format!("localhost:{}", web.port)));
    has(
        &error,
        &[
            &format!(
                "cannot send a blob to app at localhost:{}: 404 Not Found; ",
                web.port
            ),
            &format!(
                "{} sent us to http://localhost:{}",
                peer.address(),
                web.port
            ),
        ],
    );
}

#[tokio::test]
async fn content_that_is_elsewhere_and_cannot_be_had() {
    let (blob, content) = layer(2, 5000);
    let authority = Authority::new(&["localhost"], false);
    let part = content.clone();
    for (storage, kind, parts) in [
        (
            Script::new().on("GET *", |_| Answer::new(503)),
            ErrorKind::Server,
            vec!["503 Service Unavailable"],
        ),
        (
            Script::new().on("GET *", |_| Answer::html(403)),
            ErrorKind::Denied,
            vec!["403 Forbidden", "are not sent there"],
        ),
        (
            Script::new().on("GET *", |_| Answer::challenge(&["Basic realm=\"x\""])),
            ErrorKind::Unauthorized,
            vec!["401 Unauthorized", "are not sent there"],
        ),
        (
            Script::new().on("GET *", move |_| {
                Answer::new(200).body(part.clone()).cut_after(50)
            }),
            ErrorKind::Connect,
            vec!["the connection broke"],
        ),
    ] {
        let storage = Peer::start(storage).await;
        let target = format!("{}/bucket?sig=s3cret", storage.other_url());
        let script = Script::new().on("GET *", move |_| Answer::to(307, &target));
        let registry = Peer::start(script).await;
        let error = fetch(&impatient(&registry), &blob).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        let there = format!("localhost:{}", storage.port);
        assert_eq!(error.host(), Some(&*there), "{error}");
        let sent = format!("{} sent us to http://{there}", registry.address());
        has(&error, &parts);
        has(&error, &[&sent]);
        let text = error.to_string();
        assert!(
            !text.contains("s3cret") && !text.contains("login"),
            "{text}"
        );
    }
    // Nobody listens; a certificate that nobody knows.
    let tls = Peer::start_tls(&authority, Script::new()).await;
    for (target, kind, part) in [
        (
            format!("http://localhost:{}", dead_port()),
            ErrorKind::Connect,
            "can be reached from here",
        ),
        (tls.other_url(), ErrorKind::Tls, "--ca-file"),
    ] {
        let location = format!("{target}/x");
        let script = Script::new().on("GET *", move |_| Answer::to(307, &location));
        let registry = Peer::start(script).await;
        let error = fetch(&impatient(&registry), &blob).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        has(&error, &[&format!("sent us to {target}"), part]);
    }
}

#[tokio::test]
async fn an_address_that_is_not_followed_says_what_is_wrong() {
    let (blob, content) = layer(3, 10);
    let authority = Authority::new(&["127.0.0.1"], false);
    let script = Script::new().on(BEGIN, |_| Answer::accepted("http://registry:5000/up/1"));
    let peer = Peer::start_tls(&authority, script).await;
    let mut connection = peer.connection();
    connection.tls.authorities.push(authority.file());
    let client = Client::new(connection).unwrap();
    let repository = client.repository("app".parse().unwrap());
    let error = send(&repository, &blob, &content).await.unwrap_err();
    has(
        &error,
        &[
            "it leads to \"http://registry:5000/up/1\", which gives up TLS",
            "X-Forwarded-Proto",
        ],
    );
}

#[tokio::test]
async fn a_token_service_that_is_not_there() {
    let realm = format!("http://127.0.0.1:{}/token", dead_port());
    let challenge = format!("Bearer realm=\"{realm}\",service=\"s\"");
    let script = Script::new().on("GET *", move |_| Answer::challenge(&[&challenge]));
    let peer = Peer::start(script).await;
    let error = impatient(&peer).manifest(&tagged("1")).await.unwrap_err();
    let place = realm.trim_end_matches("/token");
    has(
        &error,
        &[
            &format!("cannot get a token for {} at", peer.address()),
            &format!("{} names {place} as its token service", peer.address()),
            "refused",
        ],
    );
}

#[tokio::test]
async fn a_password_that_ends_with_a_newline() {
    let with_basic = || Script::new().on("GET *", |_| Answer::challenge(&["Basic realm=\"x\""]));
    let token = |port: u16| format!("Bearer realm=\"http://127.0.0.1:{port}/token\",service=\"s\"");
    let service = Peer::start(Script::new().on("* /token", |_| Answer::error(401, "NO"))).await;
    let port = service.port;
    let with_token = || Script::new().on("GET *", move |_| Answer::challenge(&[&token(port)]));
    let newline = "canary\n";
    let basic = || Stored::basic("me", newline);
    for (script, auth, what) in [
        (with_basic(), basic(), "the password ends with a newline"),
        (with_token(), basic(), "the password ends with a newline"),
        (
            with_token(),
            Stored::identity(newline),
            "the token ends with a newline",
        ),
        (
            with_basic(),
            Auth::Basic("me".into(), "canary\r\n".into()),
            "the password ends with a carriage return and a newline",
        ),
        (
            with_basic(),
            Auth::Bearer("canary\n".into()),
            "the token ends with a newline",
        ),
        (
            with_basic(),
            Auth::Challenge(Stored::new(Credential::Registry("canary ".into()))),
            "the token ends with white space",
        ),
    ] {
        let peer = Peer::start(script).await;
        let repository = peer.repository_as(auth);
        let error = repository.manifest(&tagged("1")).await.unwrap_err();
        has(&error, &[what]);
        assert!(!error.to_string().contains("canary"), "{error}");
    }
    let peer = Peer::start(with_basic()).await;
    let repository = peer.repository_as(Stored::basic("me", "canary"));
    let error = repository.manifest(&tagged("1")).await.unwrap_err();
    has(&error, &["the credentials were refused; sign in again"]);
}

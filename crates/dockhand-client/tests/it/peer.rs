//! A peer that plays a registry, a token service or a storage as a script says, at the socket, and
//! writes down all that it is asked: for what real registries do, and for what breaks on the way.
//!
//! A [`Script`] is a list of rules, `METHOD path` with `*` for any text; the first that fits and is not
//! used up is played. What no rule fits goes to the registry that the peer fronts, or is a 404.

mod answer;
mod cast;
mod front;
mod tls;
mod wire;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use dockhand_client::{Auth, Client, Connection, ProxySettings, Repository, Retries};
use http::HeaderMap;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) use answer::Answer;
pub(crate) use cast::{Stored, Watch, fetch, layer, send, small_image, tagged};
pub(crate) use tls::Authority;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query, letter for letter.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    /// As much of it as was read.
    pub(crate) body: Bytes,
    /// The head as text, credentials included.
    head: String,
    pub(crate) at: std::time::Instant,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    /// The parameters of the query, decoded; of a form when there is one.
    pub(crate) fn parameters(&self) -> Vec<(String, String)> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let form = self.header("content-type") == Some("application/x-www-form-urlencoded");
        let text = if form { &self.body } else { query.as_bytes() };
        url::form_urlencoded::parse(text).into_owned().collect()
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let mut found = self.parameters().into_iter();
        found.find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The user and password of a `Basic` header.
    pub(crate) fn basic(&self) -> Option<String> {
        use base64::Engine as _;
        let text = self.header("authorization")?.strip_prefix("Basic ")?;
        let decoded = base64::engine::general_purpose::STANDARD
            .decode(text)
            .unwrap();
        Some(String::from_utf8(decoded).unwrap())
    }

    /// The same, or nothing where there is none.
    pub(crate) fn basic_or_nothing(&self) -> String {
        let is_basic = { self.header("authorization") }.is_some_and(|one| one.starts_with("Basic"));
        is_basic.then(|| self.basic()).flatten().unwrap_or_default()
    }

    fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }
}

/// How much of the body of a request is read before the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intake {
    All,
    /// So many bytes; then the connection is cut.
    Cut(usize),
    /// So many bytes; then nothing more is read, and nothing said.
    Silent(usize),
    /// None: the answer comes at once.
    None,
}

type Play = Box<dyn Fn(&Seen) -> Answer + Send + Sync>;
type Alter = Box<dyn Fn(&Seen, Answer) -> Answer + Send + Sync>;

type Test = Box<dyn Fn(&Seen) -> bool + Send + Sync>;

enum Action {
    Play(Play),
    Alter(Alter),
}

struct Rule {
    pattern: String,
    test: Option<Test>,
    /// How often it is played; `usize::MAX` for always.
    left: usize,
    intake: Intake,
    action: Arc<Action>,
}

/// What a peer does.
#[derive(Default)]
pub(crate) struct Script {
    rules: Vec<Rule>,
    front: Option<String>,
}

impl Script {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Plays `play` for every request that fits `pattern`.
    pub(crate) fn on(
        self,
        pattern: &str,
        play: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
    ) -> Self {
        self.rule(
            pattern,
            usize::MAX,
            Intake::All,
            Action::Play(Box::new(play)),
        )
    }

    /// Plays `play` for the first request that fits and was not played to before.
    pub(crate) fn once(
        self,
        pattern: &str,
        play: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
    ) -> Self {
        self.rule(pattern, 1, Intake::All, Action::Play(Box::new(play)))
    }

    /// Does something else with the body of the first request that fits.
    pub(crate) fn take(
        self,
        pattern: &str,
        intake: Intake,
        play: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
    ) -> Self {
        self.rule(pattern, 1, intake, Action::Play(Box::new(play)))
    }

    /// Changes what the registry behind answers to the first request that fits.
    pub(crate) fn alter(
        self,
        pattern: &str,
        change: impl Fn(&Seen, Answer) -> Answer + Send + Sync + 'static,
    ) -> Self {
        self.rule(pattern, 1, Intake::All, Action::Alter(Box::new(change)))
    }

    /// Plays `play` for every request that fits `pattern` and passes `test`.
    pub(crate) fn when(
        self,
        pattern: &str,
        test: impl Fn(&Seen) -> bool + Send + Sync + 'static,
        play: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let mut script = self.on(pattern, play);
        if let Some(rule) = script.rules.last_mut() {
            rule.test = Some(Box::new(test));
        }
        script
    }

    /// These rules first, and those of `other` after them.
    pub(crate) fn then(mut self, other: Self) -> Self {
        self.rules.extend(other.rules);
        self
    }

    /// Hands what no rule fits to the registry at this address.
    pub(crate) fn front(mut self, address: &str) -> Self {
        self.front = Some(address.to_owned());
        self
    }

    fn rule(mut self, pattern: &str, left: usize, intake: Intake, action: Action) -> Self {
        self.rules.push(Rule {
            pattern: pattern.to_owned(),
            test: None,
            left,
            intake,
            action: Arc::new(action),
        });
        self
    }

    /// What is to be done with this request.
    fn next(&mut self, seen: &Seen) -> Option<(Intake, Arc<Action>)> {
        let line = format!("{} {}", seen.method, seen.path());
        let rule = { self.rules.iter_mut() }
            .filter(|rule| rule.left > 0 && fits(&rule.pattern, &line))
            .find(|rule| rule.test.as_ref().is_none_or(|test| test(seen)))?;
        if rule.left != usize::MAX {
            rule.left -= 1;
        }
        Some((rule.intake, Arc::clone(&rule.action)))
    }
}

/// Whether `text` is `pattern`, where `*` is any text.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len())
                .filter(|at| rest.is_char_boundary(*at))
                .any(|at| fits(after, &rest[at..]))
        }),
    }
}

struct State {
    script: Mutex<Script>,
    seen: Mutex<Vec<Seen>>,
    front: Option<String>,
}

/// A peer at work, gone when it is dropped.
pub(crate) struct Peer {
    pub(crate) port: u16,
    state: Arc<State>,
    scheme: &'static str,
    task: JoinHandle<()>,
}

impl Peer {
    pub(crate) async fn start(script: Script) -> Self {
        Self::start_with(None, script).await
    }

    /// One that speaks TLS, with a certificate of this authority.
    pub(crate) async fn start_tls(authority: &Authority, script: Script) -> Self {
        Self::start_with(Some(authority.acceptor()), script).await
    }

    /// One that speaks TLS, and only with whoever shows a certificate of this authority.
    pub(crate) async fn start_mutual_tls(authority: &Authority, script: Script) -> Self {
        Self::start_with(Some(authority.mutual_acceptor()), script).await
    }

    async fn start_with(tls: Option<tokio_rustls::TlsAcceptor>, script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            front: script.front.clone(),
            script: Mutex::new(script),
            seen: Mutex::default(),
        });
        let scheme = if tls.is_some() { "https" } else { "http" };
        let task = tokio::spawn(wire::serve(listener, tls, Arc::clone(&state)));
        Self {
            port,
            state,
            scheme,
            task,
        }
    }

    /// `http://127.0.0.1:port`.
    pub(crate) fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    /// The same place by another name, which makes it another host.
    pub(crate) fn other_url(&self) -> String {
        format!("{}://localhost:{}", self.scheme, self.port)
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A connection that asks as nobody, tries again soon, and knows no proxy.
    pub(crate) fn connection(&self) -> Connection {
        let mut connection = Connection::to(&self.url()).unwrap();
        connection.auth = Auth::Anonymous;
        connection.proxy = ProxySettings::None;
        connection.retries = Retries {
            first: std::time::Duration::from_millis(1),
            ..Retries::default()
        };
        connection
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.connection()).unwrap()
    }

    pub(crate) fn repository(&self) -> Repository {
        self.client().repository("app".parse().unwrap())
    }

    /// The repository `app` for whoever `auth` is.
    pub(crate) fn repository_as(&self, auth: Auth) -> Repository {
        let mut connection = self.connection();
        connection.auth = auth;
        let client = Client::new(connection).unwrap();
        client.repository("app".parse().unwrap())
    }

    /// All requests so far, in the order in which their heads came.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// The requests that fit `METHOD path`.
    pub(crate) fn matching(&self, pattern: &str) -> Vec<Seen> {
        let fits = |seen: &Seen| fits(pattern, &format!("{} {}", seen.method, seen.path()));
        self.seen().into_iter().filter(fits).collect()
    }

    pub(crate) fn count(&self, pattern: &str) -> usize {
        self.matching(pattern).len()
    }

    /// `METHOD target` of all requests so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().iter().map(Seen::line).collect()
    }

    /// All heads and bodies so far, to look for what must not be there.
    pub(crate) fn everything(&self) -> String {
        let text = |seen: &Seen| format!("{}{}", seen.head, String::from_utf8_lossy(&seen.body));
        self.seen().iter().map(text).collect()
    }

    /// How often each header value came, to look for who sent what.
    pub(crate) fn authorizations(&self) -> HashMap<Option<String>, usize> {
        let mut found = HashMap::new();
        for seen in self.seen() {
            let value = seen.header("authorization").map(str::to_owned);
            *found.entry(value).or_default() += 1;
        }
        found
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[test]
fn patterns_fit_as_written() {
    for (pattern, text, expected) in [
        ("GET /v2/", "GET /v2/", true),
        ("GET /v2/", "GET /v2/x", false),
        ("* /v2/*", "PUT /v2/x", true),
        ("GET /*/manifests/*", "GET /v2/a/manifests/1", true),
        ("GET /*/blobs/*", "GET /v2/a/manifests/1", false),
    ] {
        assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
    }
}

//! The only code that touches the network: sends a request, signs in when asked, tries again, follows
//! redirects without taking credentials along, and bounds everything.

mod answer;
mod elsewhere;
mod failure;
mod rate;
mod redirect;
mod request;
mod retry;
mod secrets;
mod tls;
mod transport;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use url::Url;

pub(crate) use answer::Answer;
pub(crate) use elsewhere::{Elsewhere, Role, host_of};
pub(crate) use redirect::{resolve, same_origin};
pub(crate) use request::{Body, Request};
pub(crate) use retry::Patience;
pub(crate) use secrets::Secrets;

use rate::Rate;

use crate::auth::{Authenticator, Scopes};
use crate::{Connection, Error, ErrorKind, Event, Observer, Result};

/// One registry on the network.
pub(crate) struct Http {
    pub(crate) connection: Connection,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) web: reqwest::Client,
    auth: Authenticator,
    lanes: Semaphore,
    /// For what is read, and for what is sent.
    rates: Option<[Arc<Rate>; 2]>,
    /// Until when nothing is sent, because the registry asked for a pause.
    pause: watch::Sender<Option<Instant>>,
    scheme: AtomicU8,
    /// Whether the registry has ever answered. One that never has is more likely a typing error than one
    /// that comes back.
    met: AtomicBool,
}

/// What is known about the scheme of a registry for which none was written.
const SCHEME_AS_GUESSED: u8 = 0;
const SCHEME_SURE: u8 = 1;
const SCHEME_TLS: u8 = 2;

impl Http {
    pub(crate) fn new(connection: Connection, observer: Arc<dyn Observer>) -> Result<Self> {
        let guessed = connection.base.is_guessed() && connection.base.is_plain();
        Ok(Self {
            web: transport::client(&connection)?,
            auth: Authenticator::new(&connection),
            lanes: Semaphore::new(connection.lanes.max(1)),
            rates: connection
                .rate
                .map(|bytes| [Rate::new(bytes), Rate::new(bytes)]),
            pause: watch::Sender::new(None),
            scheme: AtomicU8::new(if guessed {
                SCHEME_AS_GUESSED
            } else {
                SCHEME_SURE
            }),
            met: AtomicBool::new(false),
            observer,
            connection,
        })
    }

    /// The name of the registry in messages.
    pub(crate) fn host(&self) -> String {
        self.connection.base.host()
    }

    /// What the registry asks of whoever comes, as far as it was seen.
    pub(crate) async fn auth_kind(&self) -> Option<&'static str> {
        self.auth.kind().await
    }

    /// The header by which the registry would know who asks for `scopes`, as far as it has asked.
    pub(crate) async fn authorization(&self, scopes: &Scopes) -> Result<Option<HeaderValue>> {
        self.auth.before(self, scopes).await
    }

    /// Sends a request until it is answered with success, fails for good, or patience ends.
    pub(crate) async fn send(&self, request: &Request) -> Result<Answer> {
        let failed = |error: Error| error.doing(request.doing.as_str()).at(self.host());
        let mut patience = Patience::new(&self.connection.retries);
        loop {
            let attempt = self.attempt(request).await;
            if attempt.is_ok() {
                self.met.store(true, Ordering::Relaxed);
            }
            let tried = match (attempt, request.whole) {
                (Ok(answer), Some(max)) if answer.status().is_success() => {
                    answer.in_memory(max).await
                }
                (tried, _) => tried,
            };
            let error = match tried {
                Ok(answer)
                    if answer.status().is_success() && request.writes() && is_page(&answer) =>
                {
                    let message = "a page for people answers instead of the registry";
                    Error::new(ErrorKind::Protocol, message)
                        .with_hint("look whether something before the registry wants a sign-in")
                }
                Ok(mut answer) if answer.status().is_success() => {
                    answer.attempts = patience.tries();
                    self.notice(&answer);
                    return Ok(answer);
                }
                Ok(answer) if request.optional && !same_origin(answer.url(), &self.home()) => {
                    let message = "the registry leads elsewhere, where it is not either";
                    Error::new(ErrorKind::Unsupported, message)
                }
                Ok(answer) => answer.into_error().await,
                Err(error) => error,
            };
            let error = match error.is_absent() && !self.met.load(Ordering::Relaxed) {
                true => error.unanswered(),
                false => error,
            };
            // What was tried more often on the way, like getting a token, says so itself.
            let error = match error.attempts() > patience.tries() {
                true => error,
                false => error.tried(patience.tries(), None),
            };
            if !request.repeatable {
                return Err(failed(self.explain(error).await));
            }
            let Some(wait) = patience.wait(&error) else {
                return Err(failed(self.explain(error).await));
            };
            self.wait(request, &error, wait).await;
        }
    }

    /// Waits before the next try, and lets everything else for this registry wait when it asked for a
    /// pause.
    pub(crate) async fn wait(&self, request: &Request, error: &Error, wait: Duration) {
        self.observer.event(&Event::Retried {
            host: error.host().map_or_else(|| self.host(), str::to_owned),
            doing: request.doing.clone(),
            why: error.message().to_owned(),
            kind: error.kind(),
            status: error.status(),
            wait,
        });
        if error.kind() == ErrorKind::RateLimited {
            let until = Instant::now().checked_add(wait);
            self.pause.send_if_modified(|known| {
                let later = until > *known;
                *known = until.max(*known);
                later
            });
        }
        tokio::time::sleep(wait).await;
    }

    /// Sends it once, signing in and following redirects as needed.
    async fn attempt(&self, request: &Request) -> Result<Answer> {
        let _lane = match request.body {
            // An upload may wait for the download that feeds it, so it must not hold a lane.
            Body::Source { .. } => None,
            _ => self.lanes.acquire().await.ok(),
        };
        // Only now: the pause may have begun while this waited for its lane.
        self.pause_over().await;
        let url = self.with_scheme(&request.url);
        let at_home = same_origin(&url, &self.home());
        let mut token = match at_home {
            true => self.auth.before(self, &request.scopes).await?,
            false => None,
        };
        let mut answer = self.try_schemes(request, url, token.as_ref()).await?;
        let mut refused = 0;
        while answer.status() == StatusCode::UNAUTHORIZED && at_home && refused < 2 {
            let answered_at_home = same_origin(answer.url(), &self.home());
            if !answered_at_home {
                break;
            }
            let fresh = self
                .auth
                .after(self, &answer, &request.scopes, token.as_ref())
                .await?;
            let Some(fresh) = fresh else { break };
            token = Some(fresh);
            refused += 1;
            let url = self.with_scheme(&request.url);
            answer = self.follow(request, url, token.as_ref()).await?;
        }
        Ok(answer)
    }

    /// Waits until the pause that the registry asked for is over.
    async fn pause_over(&self) {
        loop {
            let paused = *self.pause.borrow();
            match paused {
                Some(until) if until > Instant::now() => tokio::time::sleep_until(until).await,
                _ => return,
            }
        }
    }

    /// Sends it, with TLS when the registry turns out to want that and nobody said which.
    async fn try_schemes(
        &self,
        request: &Request,
        url: Url,
        token: Option<&HeaderValue>,
    ) -> Result<Answer> {
        if self.scheme.load(Ordering::Relaxed) != SCHEME_AS_GUESSED || url.scheme() != "http" {
            return self.follow(request, url, token).await;
        }
        let plain = self.follow(request, url.clone(), token).await;
        let wants_tls = match &plain {
            Ok(answer) => answer.status() == StatusCode::BAD_REQUEST && !answer.is_registry(),
            Err(error) => match error.kind() {
                // Where nobody listens TLS would not help.
                ErrorKind::Connect => !error.is_absent(),
                kind => kind == ErrorKind::Protocol,
            },
        };
        if !wants_tls {
            self.scheme.store(SCHEME_SURE, Ordering::Relaxed);
            return plain;
        }
        let mut secure = url;
        let _ = secure.set_scheme("https");
        match self.follow(request, secure, token).await {
            Ok(answer) => {
                self.scheme.store(SCHEME_TLS, Ordering::Relaxed);
                Ok(answer)
            }
            Err(error) if failure::is_of_tls(&error) => Err(error),
            Err(_) => plain,
        }
    }

    /// Where the registry is, by what is known by now.
    pub(crate) fn home(&self) -> Url {
        self.with_scheme(self.connection.base.url())
    }

    fn with_scheme(&self, url: &Url) -> Url {
        let mut url = url.clone();
        let home = self.connection.base.url();
        let is_home = url.host() == home.host() && url.port() == home.port();
        if is_home && self.scheme.load(Ordering::Relaxed) == SCHEME_TLS {
            let _ = url.set_scheme("https");
        }
        url
    }

    /// Sends it and goes where it is sent on to, at most [`redirect::REDIRECTS_MAX`] times.
    async fn follow(
        &self,
        request: &Request,
        url: Url,
        token: Option<&HeaderValue>,
    ) -> Result<Answer> {
        let mut url = url;
        for _ in 0..redirect::REDIRECTS_MAX {
            let token = token.filter(|_| same_origin(&url, &self.home()));
            let answer = self.transmit(request, &url, token).await?;
            if !redirect::leads_on(answer.status()) {
                return Ok(answer);
            }
            let Some(target) = answer.header(LOCATION) else {
                return Ok(answer);
            };
            url = resolve(&url, target)
                .map_err(|error| error.reworded(|message| answer.shown(message)))?;
        }
        Err(Error::new(ErrorKind::Protocol, "it redirects in a circle"))
    }

    /// What the registry says about itself beside the answer.
    fn notice(&self, answer: &Answer) {
        for warning in answer.headers().get_all(http::header::WARNING) {
            let text = warning.to_str().unwrap_or_default();
            // `299 - "text"`: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#warnings
            let text = text.splitn(3, ' ').nth(2).unwrap_or(text).trim_matches('"');
            self.observer.event(&Event::Warning {
                host: self.host(),
                text: answer.shown(text),
            });
        }
        let limits = ("ratelimit-limit", "ratelimit-remaining");
        if let (Some(limit), Some(remaining)) = (answer.header(limits.0), answer.header(limits.1)) {
            self.observer.event(&Event::RateLimit {
                host: self.host(),
                limit: answer.shown(limit),
                remaining: answer.shown(remaining),
            });
        }
    }

    /// The hint that this registry's failure deserves.
    async fn explain(&self, error: Error) -> Error {
        if error.hint().is_some() {
            return error;
        }
        let host = self.host();
        let refused = matches!(error.kind(), ErrorKind::Unauthorized | ErrorKind::Denied);
        if refused && let Some(flaw) = self.auth.flaw().await {
            return error.with_hint(format!(
                "{flaw}, which is sent as a part of it; `dockhand auth explain {host}` shows where it \
                 comes from: store it there without"
            ));
        }
        match error.kind() {
            ErrorKind::Unauthorized if self.auth.has_credential().await => {
                let hint = "the credentials were refused; sign in again with `dockhand login";
                error.with_hint(format!("{hint} {host}`"))
            }
            ErrorKind::Unauthorized => {
                error.with_hint(format!("sign in with `dockhand login {host}`"))
            }
            ErrorKind::RateLimited => match error.retry_after() {
                Some(wait) => error.with_hint(format!("try again in {} s", wait.as_secs())),
                None => error.with_hint("try again later, or sign in for a higher limit"),
            },
            ErrorKind::NotFound if error.has_code("NAME_UNKNOWN") && host.contains(".dkr.ecr.") => {
                error.with_hint(
                    "create it first: `aws ecr create-repository --repository-name NAME`",
                )
            }
            _ => error,
        }
    }
}

/// Whether it is a page of a proxy or of a sign-in, and not what an API answers to a change: that is
/// another status, or has no body, whatever type some give it.
fn is_page(answer: &Answer) -> bool {
    let kind = answer.header(http::header::CONTENT_TYPE);
    let is_html = kind.is_some_and(|kind| kind.starts_with("text/html"));
    is_html && answer.status() == StatusCode::OK && answer.length() != Some(0)
}

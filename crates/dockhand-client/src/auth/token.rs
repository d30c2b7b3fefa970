//! Fetching a token from the service that the registry names.
//!
//! GET: <https://distribution.github.io/distribution/spec/auth/token/>,
//! POST: <https://distribution.github.io/distribution/spec/auth/oauth/>

use std::fmt;
use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;
use url::form_urlencoded;

use super::{Bearer, Scopes, basic, flaw};
use crate::http::{Answer, Body, Http, Patience, Request, Role, Secrets, host_of, resolve};
use crate::{Credential, Error, ErrorKind, Event, Result};

/// How long a token is good for when the service does not say, or says less: some services say so
/// little that a token would be stale before its first use.
const LIFE_MIN: Duration = Duration::from_secs(60);
/// How long before its end a token is no longer used: a request may be on its way that long.
const GUARD: Duration = Duration::from_secs(10);
/// The longest answer of a token service, in bytes.
const ANSWER_MAX: u64 = 64 * 1024;
/// What this program calls itself where OAuth 2 asks for it.
const CLIENT_ID: &str = "dockhand";

/// A token of access.
pub(super) struct Token {
    pub(super) secret: SecretString,
    until: Instant,
}

impl Token {
    pub(super) fn is_fresh(&self) -> bool {
        Instant::now() + GUARD < self.until
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// The answer of a token service; either name of the token is in use.
#[derive(Deserialize)]
struct Granted {
    token: Option<SecretString>,
    access_token: Option<SecretString>,
    expires_in: Option<f64>,
}

/// Fetches a token that allows `wanted`, for a request that needs `scopes`.
pub(super) async fn fetch(
    http: &Http,
    to: &Bearer,
    scopes: &Scopes,
    wanted: &Scopes,
    credential: Option<&Credential>,
) -> Result<Token> {
    if let Some(Credential::Registry(token)) = credential {
        let until = Instant::now() + LIFE_MIN;
        return Ok(Token {
            secret: token.clone(),
            until,
        });
    }
    let service = Service {
        http,
        to,
        realm: realm(http, &to.realm)?,
    };
    let all = wanted.texts();
    let mut granted = service.ask(&all, credential).await;
    // Some services take one scope at a time.
    let one = wanted.main_text(scopes).filter(|_| all.len() > 1);
    if let (Err(error), Some(one)) = (&granted, one)
        && is_refusal(error)
    {
        granted = service.ask(&[one], credential).await;
    }
    let Some(credential) = credential else {
        return granted;
    };
    match granted {
        // A stored credential that has expired must not keep anybody from what is public.
        Err(error) if scopes.is_pull() && is_refusal(&error) => {
            let token = service.ask(&all, None).await.map_err(|_| error)?;
            let text = "the stored credential was refused; going on without it";
            let text = match flaw::of_credential(credential) {
                Some(flaw) => format!("{text} ({flaw})"),
                None => text.to_owned(),
            };
            let host = http.host();
            http.observer.event(&Event::Warning { host, text });
            Ok(token)
        }
        other => other,
    }
}

fn is_refusal(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unauthorized | ErrorKind::Denied | ErrorKind::Refused
    )
}

/// The URL of the service: not one that gives up TLS or leads into this machine.
fn realm(http: &Http, text: &str) -> Result<Url> {
    resolve(&http.home(), text).map_err(|error| {
        error
            .doing("ask the token service that the registry names")
            .at(http.host())
    })
}

struct Service<'a> {
    http: &'a Http,
    to: &'a Bearer,
    realm: Url,
}

impl Service<'_> {
    async fn ask(&self, scopes: &[String], credential: Option<&Credential>) -> Result<Token> {
        match credential {
            Some(Credential::Identity(identity)) => {
                let posted = self.post(scopes, "refresh_token", identity).await;
                match posted {
                    Err(error) if is_absent(&error) => {
                        self.get(scopes, Some(("<token>", identity))).await
                    }
                    other => other,
                }
            }
            Some(Credential::Basic(user, password)) => {
                let got = self.get(scopes, Some((user, password))).await;
                match got {
                    Err(error) if is_absent(&error) => {
                        self.post_password(scopes, user, password).await
                    }
                    other => other,
                }
            }
            Some(Credential::Registry(_)) | None => self.get(scopes, None).await,
        }
    }

    async fn get(&self, scopes: &[String], who: Option<(&str, &SecretString)>) -> Result<Token> {
        let mut url = self.realm.clone();
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = &self.to.service {
                query.append_pair("service", service);
            }
            for scope in scopes {
                query.append_pair("scope", scope);
            }
            if let Some((user, _)) = who {
                query.append_pair("account", user);
            }
        }
        let mut headers = HeaderMap::new();
        if let Some((user, password)) = who {
            headers.insert(AUTHORIZATION, basic(user, password)?);
        }
        let request = self.request(Method::GET, url, headers);
        self.exchange(request).await
    }

    async fn post(&self, scopes: &[String], grant: &str, secret: &SecretString) -> Result<Token> {
        let fields = [("grant_type", grant), (grant, secret.expose_secret())];
        self.post_form(scopes, &fields, secret).await
    }

    async fn post_password(
        &self,
        scopes: &[String],
        user: &str,
        password: &SecretString,
    ) -> Result<Token> {
        let fields = [
            ("grant_type", "password"),
            ("username", user),
            ("password", password.expose_secret()),
        ];
        self.post_form(scopes, &fields, password).await
    }

    async fn post_form(
        &self,
        scopes: &[String],
        fields: &[(&str, &str)],
        secret: &SecretString,
    ) -> Result<Token> {
        let form = self.form(scopes, fields);
        let mut headers = HeaderMap::new();
        let form_type = http::HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, form_type);
        let mut request = self.request(Method::POST, self.realm.clone(), headers);
        request.body = Body::Bytes(form.into());
        request.secrets = Secrets::field(secret.clone());
        self.exchange(request).await
    }

    fn form(&self, scopes: &[String], fields: &[(&str, &str)]) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields)
            .append_pair("client_id", CLIENT_ID);
        form.append_pair("scope", &scopes.join(" "));
        if let Some(service) = &self.to.service {
            form.append_pair("service", service);
        }
        form.finish()
    }

    fn request(&self, method: Method, url: Url, headers: HeaderMap) -> Request {
        let mut request = Request::new(method, url, "get a token");
        request.role = Role::TokenService;
        request.headers = headers;
        request
    }

    /// Sends it to the service and nowhere else, and reads the token.
    async fn exchange(&self, request: Request) -> Result<Token> {
        let failed = |error: Error| {
            error
                .doing(format!("get a token for {}", self.http.host()))
                .at(host_of(&self.realm))
        };
        let mut patience = Patience::new(&self.http.connection.retries);
        loop {
            let error = match self.http.transmit(&request, &request.url, None).await {
                Ok(answer) if answer.status() == StatusCode::OK => match read(answer).await {
                    Ok(token) => return Ok(token),
                    Err(error) => error,
                },
                Ok(answer) => answer.into_error().await,
                Err(error) => error,
            };
            let Some(wait) = patience.wait(&error) else {
                return Err(failed(error.tried(patience.tries(), None)));
            };
            self.http.wait(&request, &error, wait).await;
        }
    }
}

/// Whether the service does not know this way of asking.
fn is_absent(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Unsupported)
}

async fn read(answer: Answer) -> Result<Token> {
    let body = answer.bytes(ANSWER_MAX).await?;
    // The body may be a secret, so what is wrong with it is not shown.
    let wrong = |_| {
        Error::new(
            ErrorKind::Protocol,
            "the answer of the token service is no token",
        )
    };
    let granted: Granted = serde_json::from_slice(&body).map_err(wrong)?;
    let some = |secret: &SecretString| !secret.expose_secret().is_empty();
    let secret = { granted.token.filter(some) }.or(granted.access_token.filter(some));
    let Some(secret) = secret else {
        let message = "the answer of the token service has no token";
        return Err(Error::new(ErrorKind::Protocol, message));
    };
    let said = granted.expires_in.unwrap_or(0.0).clamp(0.0, 86_400.0);
    let life = Duration::from_secs_f64(said).max(LIFE_MIN);
    Ok(Token {
        secret,
        until: Instant::now() + life,
    })
}

//! Signing in: what goes into `Authorization` before a request, and after a 401.

mod challenge;
mod flaw;
mod scopes;
mod token;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dockhand_oci::RepoName;
use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Mutex, RwLock};

use challenge::{Bearer, Challenge};
pub(crate) use scopes::Scopes;
use token::Token;

use crate::http::{Answer, Http};
use crate::{Auth, Connection, Credential, Error, ErrorKind, Result};

/// What one connection knows of signing in.
pub(crate) struct Authenticator {
    auth: Auth,
    /// What the registry asked for last, so that later requests need not be refused first.
    known: RwLock<Option<Challenge>>,
    tokens: Mutex<HashMap<Key, Slot>>,
    /// For what more the registry wanted a token than was asked for.
    widened: Mutex<HashMap<Scopes, Scopes>>,
    credentials: Mutex<HashMap<Option<RepoName>, Option<Credential>>>,
}

/// What a token is for: the service that gives it and what it allows.
type Key = (String, Option<String>, Scopes);
/// A token, fetched by one while others wait for it.
type Slot = Arc<Mutex<Fetched>>;

/// What came of fetching a token.
#[derive(Default)]
struct Fetched {
    token: Option<Token>,
    /// When it failed last: whoever waited meanwhile need not wait for the same again.
    failed: Option<(Instant, Error)>,
}

/// More tokens, or wishes of the registry, than this are forgotten: a registry that names another service
/// each time could fill the memory.
const KEPT_MAX: usize = 10_000;

impl Authenticator {
    pub(crate) fn new(connection: &Connection) -> Self {
        Self {
            auth: connection.auth.clone(),
            known: RwLock::new(None),
            tokens: Mutex::default(),
            widened: Mutex::default(),
            credentials: Mutex::default(),
        }
    }

    /// What the registry asks of whoever signs in, as far as it has been seen: `bearer`, `basic`.
    pub(crate) async fn kind(&self) -> Option<&'static str> {
        match self.known.read().await.as_ref()? {
            Challenge::Basic => Some("basic"),
            Challenge::Bearer(_) => Some("bearer"),
        }
    }

    /// Whether anybody's credentials were used, and not only anonymous tokens.
    pub(crate) async fn has_credential(&self) -> bool {
        match self.auth {
            Auth::Anonymous => false,
            Auth::Challenge(_) => self.credentials.lock().await.values().any(Option::is_some),
            _ => true,
        }
    }

    /// What is odd about the credentials that were used, to complete a sentence: `the password ends with a
    /// newline`.
    pub(crate) async fn flaw(&self) -> Option<String> {
        match &self.auth {
            Auth::Anonymous | Auth::Signed(_) => None,
            Auth::Basic(user, secret) | Auth::ApiKey(Some(user), secret) => {
                flaw::of_pair(user, secret)
            }
            Auth::Bearer(token) | Auth::ApiKey(None, token) => flaw::of_token(token),
            Auth::Challenge(_) => {
                let known = self.credentials.lock().await;
                known.values().flatten().find_map(flaw::of_credential)
            }
        }
    }

    /// The header for a request that was not refused yet.
    pub(crate) async fn before(&self, http: &Http, scopes: &Scopes) -> Result<Option<HeaderValue>> {
        match &self.auth {
            Auth::Basic(user, password) => basic(user, password).map(Some),
            Auth::Bearer(token) | Auth::ApiKey(None, token) => bearer(token).map(Some),
            Auth::ApiKey(Some(user), key) => basic(user, key).map(Some),
            Auth::Signed(signer) => bearer(&signer.token(&scopes.texts())?).map(Some),
            Auth::Anonymous | Auth::Challenge(_) => {
                let known = self.known.read().await.clone();
                match known {
                    None => Ok(None),
                    Some(Challenge::Basic) => self.basic(http, scopes).await,
                    Some(Challenge::Bearer(_)) if scopes.is_empty() => Ok(None),
                    Some(Challenge::Bearer(to)) => {
                        let wanted = self.widened.lock().await.get(scopes).cloned();
                        let wanted = wanted.unwrap_or_else(|| scopes.clone());
                        let token = self.token(http, &to, scopes, &wanted, None).await;
                        token.map(Some)
                    }
                }
            }
        }
    }

    /// The header for the request that `answer` refused although it carried `used`; `None` when there
    /// is nothing else to try.
    pub(crate) async fn after(
        &self,
        http: &Http,
        answer: &Answer,
        scopes: &Scopes,
        used: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>> {
        if !matches!(self.auth, Auth::Anonymous | Auth::Challenge(_)) {
            return Ok(None);
        }
        for challenge in Challenge::all(answer.headers()) {
            let header = match &challenge {
                Challenge::Basic => self.basic(http, scopes).await?,
                Challenge::Bearer(to) => {
                    let asked = Scopes::parse(to.scope.as_deref().unwrap_or_default());
                    let wanted = self.widen(scopes, asked).await;
                    Some(self.token(http, to, scopes, &wanted, used).await?)
                }
            };
            if header.is_some() && header.as_ref() != used {
                *self.known.write().await = Some(challenge);
                return Ok(header);
            }
        }
        Ok(None)
    }

    /// What a token must allow for `scopes` when the registry asks for `asked`, now and later.
    async fn widen(&self, scopes: &Scopes, asked: Scopes) -> Scopes {
        let mut widened = self.widened.lock().await;
        let before = widened.get(scopes).unwrap_or(scopes).clone();
        let wanted = before.and(asked);
        if wanted != *scopes {
            bound(&mut widened);
            widened.insert(scopes.clone(), wanted.clone());
        }
        wanted
    }

    async fn basic(&self, http: &Http, scopes: &Scopes) -> Result<Option<HeaderValue>> {
        match self.credential(http, scopes).await? {
            Some(Credential::Basic(user, password)) => basic(&user, &password).map(Some),
            Some(Credential::Registry(token)) => bearer(&token).map(Some),
            Some(Credential::Identity(_)) | None => Ok(None),
        }
    }

    /// A token that allows `wanted`, for a request that needs `scopes`; another one than `used`.
    async fn token(
        &self,
        http: &Http,
        to: &Bearer,
        scopes: &Scopes,
        wanted: &Scopes,
        used: Option<&HeaderValue>,
    ) -> Result<HeaderValue> {
        let key = (to.realm.clone(), to.service.clone(), wanted.clone());
        let slot = {
            let mut tokens = self.tokens.lock().await;
            bound(&mut tokens);
            Arc::clone(tokens.entry(key).or_default())
        };
        let begun = Instant::now();
        let mut slot = slot.lock().await;
        if let Some((when, error)) = &slot.failed
            && *when >= begun
        {
            return Err(error.again());
        }
        if let Some(token) = &slot.token
            && token.is_fresh()
        {
            let header = bearer(&token.secret)?;
            if Some(&header) != used {
                return Ok(header);
            }
        }
        let credential = self.credential(http, scopes).await?;
        let token = match token::fetch(http, to, scopes, wanted, credential.as_ref()).await {
            Ok(token) => token,
            Err(error) => {
                slot.failed = Some((Instant::now(), error.again()));
                return Err(error);
            }
        };
        let header = bearer(&token.secret)?;
        slot.token = Some(token);
        Ok(header)
    }

    /// The credential for this registry, looked up once.
    async fn credential(&self, http: &Http, scopes: &Scopes) -> Result<Option<Credential>> {
        let Auth::Challenge(source) = &self.auth else {
            return Ok(None);
        };
        let repository = scopes.repository_meant();
        let mut known = self.credentials.lock().await;
        if let Some(found) = known.get(&repository) {
            return Ok(found.clone());
        }
        let found = source.credential(&http.host(), repository.as_ref()).await?;
        known.insert(repository, found.clone());
        Ok(found)
    }
}

/// Room for one more.
fn bound<K, V>(kept: &mut HashMap<K, V>) {
    if kept.len() >= KEPT_MAX {
        kept.clear();
    }
}

/// `Basic …`.
pub(crate) fn basic(user: &str, password: &SecretString) -> Result<HeaderValue> {
    let pair = format!("{user}:{}", password.expose_secret());
    secret_header(&format!("Basic {}", STANDARD.encode(pair)))
}

fn bearer(token: &SecretString) -> Result<HeaderValue> {
    let header = secret_header(&format!("Bearer {}", token.expose_secret()));
    header.map_err(|error| match flaw::of_token(token) {
        Some(flaw) => error.with_hint(flaw),
        None => error,
    })
}

/// A header that does not print.
fn secret_header(text: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        let message = "the credential has characters that no header can carry";
        Error::new(ErrorKind::Config, message)
    })?;
    value.set_sensitive(true);
    Ok(value)
}

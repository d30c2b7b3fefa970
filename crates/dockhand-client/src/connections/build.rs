//! Makes a connection of what its table says.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::driver::{ApiKeyUse, AuthDriver, Driver};
use super::table::{AuthTable, Table, TlsTable};
use super::words::{Period, Secret};
use crate::credentials::Chain;
use crate::{
    Auth, Connection, Credential, Error, ErrorKind, ProxySettings, Result, Retries, Timeouts,
    TlsSettings,
};

/// The connection, with credentials from `chain` where the registry is to say what it wants; the chain
/// beside it is the one that it uses.
pub(super) fn connection(
    table: &Table,
    driver: Driver,
    chain: &Chain,
) -> Result<(Connection, Option<Chain>)> {
    let Some(base) = table.base() else {
        let hint = "say where the registry is, such as \"https://registry.example.com/v2/\"";
        return Err(wrong("it has no base-uri").with_hint(hint));
    };
    let fresh = Connection::new(base);
    let (timeouts, retries) = (&table.timeouts, &table.retries);
    let or = |period: Option<Period>, other| period.map_or(other, |Period(length)| length);
    let (auth, credentials) = match auth(&table.auth, driver, chain)? {
        Asking::Fixed(auth) => (auth, None),
        Asking::Chain(chain) => (Auth::Challenge(Arc::new(chain.clone())), Some(chain)),
    };
    let connection = Connection {
        auth,
        tls: tls(&table.tls)?,
        proxy: table.proxy.as_ref().map_or(ProxySettings::System, proxy),
        timeouts: Timeouts {
            connect: or(timeouts.connect, fresh.timeouts.connect),
            answer: or(timeouts.answer, fresh.timeouts.answer),
            idle: or(timeouts.idle, fresh.timeouts.idle),
        },
        retries: Retries {
            count: retries.count.unwrap_or(fresh.retries.count),
            first: or(retries.first, fresh.retries.first),
            longest: or(retries.longest, fresh.retries.longest),
        },
        headers: headers(table)?,
        user_agent: table.user_agent.clone().unwrap_or(fresh.user_agent),
        lanes: table.lanes.map_or(fresh.lanes, std::num::NonZero::get),
        rate: fresh.rate,
        logging: table.logging.level.map_or(fresh.logging, |level| level.0),
        base: fresh.base,
        resolve: fresh.resolve,
    };
    Ok((connection, credentials))
}

/// Who asks.
enum Asking {
    Fixed(Auth),
    Chain(Chain),
}

fn wrong(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, message)
}

fn auth(table: &AuthTable, driver: Driver, chain: &Chain) -> Result<Asking> {
    let password = || {
        secret(
            "password",
            table.password.as_ref(),
            table.password_file.as_ref(),
        )
    };
    let token = || secret("token", table.token.as_ref(), table.token_file.as_ref());
    let key = || {
        secret(
            "api-key",
            table.api_key.as_ref(),
            table.api_key_file.as_ref(),
        )
    };
    let user = || table.username.clone();
    let chosen = table.driver.unwrap_or_else(|| implied(table));
    let fixed = match chosen {
        AuthDriver::None => Auth::Anonymous,
        AuthDriver::Basic => {
            let user = user().ok_or_else(|| missing("username", "basic"))?;
            let password = password()?.ok_or_else(|| missing("password", "basic"))?;
            Auth::Basic(user, password)
        }
        AuthDriver::Bearer => Auth::Bearer(token()?.ok_or_else(|| missing("token", "bearer"))?),
        AuthDriver::ApiKey => {
            let key = key()?.ok_or_else(|| missing("api-key", "apikey"))?;
            match (driver.api_key(), user()) {
                (ApiKeyUse::Bearer, user) => Auth::ApiKey(user, key),
                (ApiKeyUse::Password, Some(user)) => Auth::ApiKey(Some(user), key),
                (ApiKeyUse::Password, None) => {
                    let hint = format!("{driver} takes an API key as the password of its user");
                    return Err(missing("username", "apikey").with_hint(hint));
                }
            }
        }
        AuthDriver::Jwt => {
            let message = "auth.driver `jwt` needs tokens that are signed here, which comes with the \
                 token authority";
            return Err(
                wrong(message).with_hint("until then, take basic, bearer, apikey or challenge")
            );
        }
        AuthDriver::Challenge => {
            return Ok(Asking::Chain(match (user(), password()?) {
                (Some(user), Some(password)) => {
                    chain.clone().given(Credential::Basic(user, password))
                }
                (None, Some(_)) => return Err(missing("username", "challenge")),
                _ => chain.clone(),
            }));
        }
    };
    Ok(Asking::Fixed(fixed))
}

/// The driver that is meant when none is written.
fn implied(table: &AuthTable) -> AuthDriver {
    let set = |value: &Option<Secret>, file: &Option<PathBuf>| value.is_some() || file.is_some();
    if set(&table.token, &table.token_file) {
        AuthDriver::Bearer
    } else if set(&table.api_key, &table.api_key_file) {
        AuthDriver::ApiKey
    } else {
        AuthDriver::Challenge
    }
}

fn missing(key: &str, driver: &str) -> Error {
    wrong(format!("auth.driver `{driver}` needs auth.{key}"))
}

/// A secret that stands in the table, or in a file that it names: that without the end of its last
/// line.
fn secret(
    key: &str,
    value: Option<&Secret>,
    file: Option<&PathBuf>,
) -> Result<Option<SecretString>> {
    match (value, file) {
        (Some(_), Some(_)) => Err(wrong(format!(
            "auth.{key} and auth.{key}-file are both set"
        ))),
        (Some(Secret(secret)), None) => Ok(Some(secret.clone())),
        (None, Some(path)) => read(path).map(Some),
        (None, None) => Ok(None),
    }
}

fn read(path: &Path) -> Result<SecretString> {
    let text = fs::read_to_string(path).map_err(|error| {
        wrong(format!("cannot read {}: {error}", path.display())).with_source(error)
    })?;
    Ok(text.trim_end_matches(['\r', '\n']).into())
}

fn tls(table: &TlsTable) -> Result<TlsSettings> {
    let identity = match (&table.cert, &table.key) {
        (Some(cert), Some(key)) => Some((cert.clone(), key.clone())),
        (None, None) => None,
        (Some(_), None) => return Err(wrong("tls.cert needs tls.key")),
        (None, Some(_)) => return Err(wrong("tls.key needs tls.cert")),
    };
    Ok(TlsSettings {
        authorities: table.ca.clone(),
        identity,
        insecure: table.insecure,
    })
}

fn proxy(Secret(text): &Secret) -> ProxySettings {
    match text.expose_secret() {
        "system" => ProxySettings::System,
        "none" => ProxySettings::None,
        url => ProxySettings::Url(url.to_owned()),
    }
}

fn headers(table: &Table) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, Secret(value)) in &table.headers {
        let parsed = name.parse::<HeaderName>();
        let name = parsed.map_err(|_| wrong(format!("headers: {name:?} is no header's name")))?;
        let parsed = HeaderValue::from_str(value.expose_secret());
        let mut value =
            parsed.map_err(|_| wrong(format!("headers: the value of {name} is none")))?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

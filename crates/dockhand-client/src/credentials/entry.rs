//! One entry of `auths`, as Docker and Podman write it.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::Credential;

/// The user name that says that the secret beside it is an identity token.
const TOKEN_USER: &str = "<token>";

/// Base64 with or without its padding: some tools leave it out.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Deserialize)]
struct Entry {
    auth: Option<SecretString>,
    username: Option<String>,
    password: Option<SecretString>,
    identitytoken: Option<SecretString>,
    registrytoken: Option<SecretString>,
}

/// Reads an entry; `None` when it only marks that a helper has the credential. What is wrong is said
/// without what is there.
pub(super) fn read(raw: &RawValue) -> Result<Option<Credential>, &'static str> {
    let entry: Option<Entry> =
        serde_json::from_str(raw.get()).map_err(|_| "the entry is not as Docker writes them")?;
    let Some(entry) = entry else { return Ok(None) };
    let some = |secret: &SecretString| !secret.expose_secret().is_empty();
    if let Some(token) = entry.registrytoken.filter(some) {
        return Ok(Some(Credential::Registry(token)));
    }
    if let Some(token) = entry.identitytoken.filter(some) {
        return Ok(Some(Credential::Identity(token)));
    }
    if let Some(auth) = entry.auth.filter(some) {
        return decode(auth.expose_secret()).map(Some);
    }
    let user = entry.username.filter(|user| !user.is_empty());
    let password = entry.password.filter(some);
    Ok(user
        .zip(password)
        .map(|(user, password)| pair(user, password)))
}

/// A user name and a password, or the identity token that they stand for.
pub(super) fn pair(user: String, password: SecretString) -> Credential {
    match user.as_str() {
        TOKEN_USER => Credential::Identity(password),
        _ => Credential::Basic(user, password),
    }
}

fn decode(auth: &str) -> Result<Credential, &'static str> {
    let wrong = "its `auth` is not the base64 of USER:PASSWORD";
    let bytes = LENIENT.decode(auth.trim()).map_err(|_| wrong)?;
    let text = String::from_utf8(bytes).map_err(|_| wrong)?;
    // The password may have colons, the user name has none.
    let (user, password) = text.split_once(':').ok_or(wrong)?;
    // Old versions of Docker padded with zeros.
    let password = password.trim_end_matches('\0');
    Ok(pair(user.to_owned(), password.into()))
}

/// Writes an entry.
pub(super) fn write(credential: &Credential) -> Value {
    match credential {
        Credential::Basic(user, password) => {
            let text = format!("{user}:{}", password.expose_secret());
            json!({"auth": STANDARD.encode(text)})
        }
        Credential::Identity(token) => json!({"identitytoken": token.expose_secret()}),
        Credential::Registry(token) => json!({"registrytoken": token.expose_secret()}),
    }
}

/// The user name and secret that a helper keeps for it; a token of access is nothing for a helper.
pub(super) fn for_helper(credential: &Credential) -> Option<(&str, &SecretString)> {
    match credential {
        Credential::Basic(user, password) => Some((user, password)),
        Credential::Identity(token) => Some((TOKEN_USER, token)),
        Credential::Registry(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a test compares: the variant, and what is in it.
    fn shown(credential: Option<Credential>) -> String {
        match credential {
            None => "none".into(),
            Some(Credential::Basic(user, password)) => {
                format!("basic {user} {}", password.expose_secret())
            }
            Some(Credential::Identity(token)) => format!("identity {}", token.expose_secret()),
            Some(Credential::Registry(token)) => format!("registry {}", token.expose_secret()),
        }
    }

    #[test]
    fn entries_are_read_as_tools_write_them() {
        for (json, expected) in [
            (r#"{"auth":"bWU6c2VjcmV0"}"#, "basic me secret"),
            (r#"{"auth":"bWU6YTpiOmM="}"#, "basic me a:b:c"),
            (r#"{"auth":"bWU6YTpiOmM"}"#, "basic me a:b:c"),
            (r#"{"auth":"bWU6c2VjcmV0AAA="}"#, "basic me secret"),
            (r#"{"username":"me","password":"p"}"#, "basic me p"),
            (r#"{"auth":"bWU6","identitytoken":"t"}"#, "identity t"),
            (r#"{"registrytoken":"r","email":"a@b"}"#, "registry r"),
            (r#"{"auth":"PHRva2VuPjp0"}"#, "identity t"),
            (r#"{"username":"me"}"#, "none"),
            (r#"{"auth":""}"#, "none"),
            ("{}", "none"),
            ("null", "none"),
        ] {
            let raw: Box<RawValue> = serde_json::from_str(json).unwrap();
            assert_eq!(shown(read(&raw).unwrap()), expected, "{json}");
        }
    }

    #[test]
    fn what_is_no_entry_is_said_without_showing_it() {
        for json in [
            r#""canary""#,
            r#"{"auth":"canary!"}"#,
            r#"{"auth":"Y2FuYXJ5"}"#,
            r#"{"auth":5}"#,
        ] {
            let raw: Box<RawValue> = serde_json::from_str(json).unwrap();
            assert!(!read(&raw).unwrap_err().contains("canary"), "{json}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for credential in [
            Credential::Basic("me".into(), "a:b ü".into()),
            Credential::Identity("t".into()),
            Credential::Registry("r".into()),
        ] {
            let text = write(&credential).to_string();
            let raw: Box<RawValue> = serde_json::from_str(&text).unwrap();
            assert_eq!(shown(read(&raw).unwrap()), shown(Some(credential)));
        }
    }
}

//! What a request shows of credentials, so that an answer that repeats it is not printed with them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

/// Shorter texts are found in any message by chance; as secrets they are none.
const LENGTH_MIN: usize = 4;
/// What stands where a secret stood.
const HIDDEN: &str = "***";

/// The secrets of one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secrets {
    headers: Vec<HeaderValue>,
    fields: Vec<SecretString>,
}

impl Secrets {
    /// A secret that goes in the body.
    pub(crate) fn field(secret: SecretString) -> Self {
        Self {
            headers: Vec::new(),
            fields: vec![secret],
        }
    }

    /// With those among the headers: the values that do not print.
    pub(super) fn with_headers(mut self, headers: &HeaderMap) -> Self {
        let sensitive = headers.values().filter(|value| value.is_sensitive());
        self.headers.extend(sensitive.cloned());
        self
    }

    /// `text` without them.
    pub(super) fn redact(&self, text: &str) -> String {
        let fields = self.fields.iter().cloned();
        let headers = self.headers.iter().flat_map(forms);
        let mut secrets: Vec<SecretString> = fields.chain(headers).collect();
        // Those that contain others first.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose_secret().len()));
        let long = secrets
            .iter()
            .filter(|secret| secret.expose_secret().len() >= LENGTH_MIN);
        long.fold(text.to_owned(), |text, secret| {
            text.replace(secret.expose_secret(), HIDDEN)
        })
    }
}

/// The forms in which a header may be repeated: as it is, without its scheme, and the user and password
/// that it stands for.
fn forms(value: &HeaderValue) -> Vec<SecretString> {
    let Ok(text) = value.to_str() else {
        return Vec::new();
    };
    let mut forms = vec![SecretString::from(text)];
    if let Some((scheme, rest)) = text.split_once(' ') {
        forms.push(rest.into());
        let pair = STANDARD.decode(rest).ok();
        let pair = pair.and_then(|bytes| String::from_utf8(bytes).ok());
        if let Some(pair) = pair.filter(|_| scheme.eq_ignore_ascii_case("basic")) {
            if let Some((_, password)) = pair.split_once(':') {
                forms.push(password.into());
            }
            forms.push(pair.into());
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_in_every_form() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Basic bWU6czNjcmV0"),
            ("x-key", "k3y-value"),
        ] {
            let mut value = HeaderValue::from_static(value);
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        headers.insert("accept", HeaderValue::from_static("application/json"));
        let secrets = Secrets::field("1dentity".into()).with_headers(&headers);
        for (text, shown) in [
            ("got Basic bWU6czNjcmV0 from you", "got *** from you"),
            ("bWU6czNjcmV0", "***"),
            ("wrong password s3cret of me", "wrong password *** of me"),
            ("me:s3cret", "***"),
            ("k3y-value, 1dentity", "***, ***"),
            ("application/json", "application/json"),
        ] {
            assert_eq!(secrets.redact(text), shown);
        }
    }
}

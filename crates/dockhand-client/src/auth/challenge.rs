//! What a registry asks for with a 401: `WWW-Authenticate`, as registries write it.
//!
//! Syntax: <https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1>, the Bearer parameters:
//! <https://distribution.github.io/distribution/spec/auth/token/>. Values without the quotes that the
//! syntax asks for are read too, since some registries send them.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// One thing that would satisfy the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// A user name and a password.
    Basic,
    /// A token from a service.
    Bearer(Bearer),
}

/// Where a token is to be had, and for what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Bearer {
    /// The URL of the service, as it was written.
    pub(crate) realm: String,
    /// What the registry is called there.
    pub(crate) service: Option<String>,
    /// What the token must allow, separated by spaces.
    pub(crate) scope: Option<String>,
    /// Why the last token was not enough: `insufficient_scope`, `invalid_token`.
    pub(crate) error: Option<String>,
}

impl Challenge {
    /// The challenges of an answer, Bearer before Basic: a token shows the password to fewer.
    pub(crate) fn all(headers: &HeaderMap) -> Vec<Self> {
        let texts = headers.get_all(WWW_AUTHENTICATE).iter();
        let mut found: Vec<Self> = texts
            .filter_map(|value| value.to_str().ok())
            .flat_map(parse)
            .collect();
        found.sort_by_key(|challenge| matches!(challenge, Self::Basic));
        found
    }
}

/// The challenges of one header line.
fn parse(line: &str) -> Vec<Challenge> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some((scheme, parameters, behind)) = next_challenge(rest) {
        rest = behind;
        if scheme.eq_ignore_ascii_case("basic") {
            found.push(Challenge::Basic);
        } else if scheme.eq_ignore_ascii_case("bearer") {
            let bearer = bearer(&parameters);
            if !bearer.realm.is_empty() {
                found.push(Challenge::Bearer(bearer));
            }
        }
    }
    found
}

fn bearer(parameters: &[(&str, String)]) -> Bearer {
    let get = |wanted: &str| {
        let found = parameters.iter();
        { found }
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.clone())
            .filter(|value| !value.is_empty())
    };
    Bearer {
        realm: get("realm").unwrap_or_default(),
        service: get("service"),
        scope: get("scope"),
        error: get("error"),
    }
}

type Parameters<'a> = Vec<(&'a str, String)>;

/// The scheme in front, its parameters, and what comes after them.
fn next_challenge(text: &str) -> Option<(&str, Parameters<'_>, &str)> {
    let text = text.trim_start_matches([' ', '\t', ',']);
    let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
    let (scheme, mut rest) = text.split_at(end);
    if scheme.is_empty() {
        return None;
    }
    let mut parameters = Vec::new();
    while let Some((name, value, behind)) = next_parameter(rest) {
        parameters.push((name, value));
        rest = behind;
    }
    Some((scheme, parameters, rest))
}

/// `name=value` or `name="value"` in front, if that is what comes next and not another scheme.
fn next_parameter(text: &str) -> Option<(&str, String, &str)> {
    let text = text.trim_start_matches([' ', '\t', ',']);
    let (name, after) = text.split_once('=')?;
    let name = name.trim_end();
    if name.is_empty() || name.contains([' ', '\t', ',', '"']) {
        return None;
    }
    let after = after.trim_start();
    if let Some(quoted) = after.strip_prefix('"') {
        let (value, behind) = unquote(quoted);
        return Some((name, value, behind));
    }
    let end = after.find([' ', '\t', ',']).unwrap_or(after.len());
    let (value, behind) = after.split_at(end);
    Some((name, value.to_owned(), behind))
}

/// The text up to the closing quote, and what comes behind that. A backslash takes the next character
/// with it; a missing quote ends the value at the end of the line.
fn unquote(quoted: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer(Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
            error: None,
        })
    }

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let hub = "https://auth.docker.io/token";
        for (lines, expected) in [
            (&[][..], vec![]),
            (&["Negotiate"], vec![]),
            (&["Basic"], vec![Challenge::Basic]),
            (&["BASIC realm=\"x, y\""], vec![Challenge::Basic]),
            (
                &[
                    "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",scope=\"repository:a/b:pull,push\"",
                ],
                vec![bearer(
                    hub,
                    Some("registry.docker.io"),
                    Some("repository:a/b:pull,push"),
                )],
            ),
            (
                &["bearer Realm = https://auth.docker.io/token , service=x"],
                vec![bearer(hub, Some("x"), None)],
            ),
            (
                &["Basic realm=\"a\", Bearer realm=\"https://auth.docker.io/token\""],
                vec![bearer(hub, None, None), Challenge::Basic],
            ),
            (
                &[
                    "Basic realm=\"a\"",
                    "Bearer realm=\"https://auth.docker.io/token\", scope=\"\"",
                ],
                vec![bearer(hub, None, None), Challenge::Basic],
            ),
            (&["Bearer service=\"no realm\""], vec![]),
            (&["Bearer realm=\"open"], vec![bearer("open", None, None)]),
            (
                &["Bearer realm=\"a\\\"b\",,service=\"c\""],
                vec![bearer("a\"b", Some("c"), None)],
            ),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(WWW_AUTHENTICATE, line.parse().unwrap());
            }
            assert_eq!(Challenge::all(&headers), expected, "{lines:?}");
        }
    }

    #[test]
    fn the_reason_of_a_refusal_is_kept() {
        let mut headers = HeaderMap::new();
        let line = "Bearer realm=\"https://a/t\",error=\"insufficient_scope\"";
        headers.append(WWW_AUTHENTICATE, line.parse().unwrap());
        let all = Challenge::all(&headers);
        let [Challenge::Bearer(bearer)] = &all[..] else {
            panic!("{all:?}");
        };
        assert_eq!(bearer.error.as_deref(), Some("insufficient_scope"));
    }
}

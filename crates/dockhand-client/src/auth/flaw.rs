//! White space around a secret: it is sent as a part of it, and nobody sees why the registry refuses.

use secrecy::{ExposeSecret, SecretString};

use crate::Credential;

/// What is odd about a credential, if anything is.
pub(super) fn of_credential(credential: &Credential) -> Option<String> {
    match credential {
        Credential::Basic(user, password) => of_pair(user, password),
        Credential::Identity(token) | Credential::Registry(token) => of_token(token),
    }
}

/// What is odd about a user name and password.
pub(super) fn of_pair(user: &str, password: &SecretString) -> Option<String> {
    found("the password", password.expose_secret()).or_else(|| found("the user name", user))
}

/// What is odd about a token.
pub(super) fn of_token(token: &SecretString) -> Option<String> {
    found("the token", token.expose_secret())
}

fn found(what: &str, secret: &str) -> Option<String> {
    let ends = match secret.chars().next_back()? {
        '\n' if secret.ends_with("\r\n") => Some("a carriage return and a newline"),
        '\n' => Some("a newline"),
        '\r' => Some("a carriage return"),
        last if last.is_whitespace() => Some("white space"),
        _ => None,
    };
    match ends {
        Some(end) => Some(format!("{what} ends with {end}")),
        None if secret.starts_with(char::is_whitespace) => {
            Some(format!("{what} begins with white space"))
        }
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_around_a_secret_is_named_and_the_secret_is_not() {
        for (user, password, expected) in [
            ("me", "canary", None),
            ("me", "", None),
            ("me", "can ary", None),
            ("me", "canary\n", Some("the password ends with a newline")),
            (
                "me",
                "canary\r\n",
                Some("the password ends with a carriage return and a newline"),
            ),
            (
                "me",
                "canary\r",
                Some("the password ends with a carriage return"),
            ),
            (
                "me",
                "canary\u{a0}",
                Some("the password ends with white space"),
            ),
            (
                "me",
                " canary",
                Some("the password begins with white space"),
            ),
            ("me\n", "canary", Some("the user name ends with a newline")),
        ] {
            let credential = Credential::Basic(user.into(), password.into());
            assert_eq!(
                of_credential(&credential).as_deref(),
                expected,
                "{password:?}"
            );
        }
        let token = Credential::Identity("canary\n".into());
        let flaw = of_credential(&token).unwrap();
        assert_eq!(flaw, "the token ends with a newline");
    }
}

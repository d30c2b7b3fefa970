//! `.netrc`: what curl, git and ftp keep.
//!
//! Its `default` entry is not used: it would send a password to any registry that asks.
//! <https://www.gnu.org/software/inetutils/manual/html_node/The-_002enetrc-file.html>

use secrecy::SecretString;

use crate::Credential;

/// The credential for the first of these machines that the text has.
pub(super) fn find(text: &str, machines: &[&str]) -> Option<(String, Credential)> {
    let entries = entries(text);
    let of = |machine: &&str| {
        let entry = entries.iter().find(|entry| entry.machine == **machine)?;
        let password = entry.password.clone()?;
        let credential = Credential::Basic(entry.login.clone(), password);
        Some((entry.machine.clone(), credential))
    };
    // An entry without a machine is that of `default`.
    let named = machines.iter().filter(|machine| !machine.is_empty());
    { named }.find_map(of)
}

#[derive(Default)]
struct Entry {
    machine: String,
    login: String,
    password: Option<SecretString>,
}

fn entries(text: &str) -> Vec<Entry> {
    let mut entries = Vec::<Entry>::new();
    let mut words = words(text).into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "machine" => entries.push(Entry {
                machine: words.next().unwrap_or_default().to_ascii_lowercase(),
                ..Entry::default()
            }),
            "default" => entries.push(Entry::default()),
            "login" | "password" | "account" => {
                let value = words.next().unwrap_or_default();
                match (word.as_str(), entries.last_mut()) {
                    ("login", Some(entry)) => entry.login = value,
                    ("password", Some(entry)) => entry.password = Some(value.into()),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    entries
}

/// The words of a text: without comments and macros, quotes and backslashes resolved.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim_start().starts_with("macdef") {
            // A macro ends at an empty line.
            lines.by_ref().find(|line| line.trim().is_empty());
            continue;
        }
        words_of(line, &mut words);
    }
    words
}

fn words_of(line: &str, words: &mut Vec<String>) {
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        // A password may begin with `#`, so a comment is only where a keyword is expected.
        let in_value = words.last().is_some_and(|word| {
            matches!(word.as_str(), "machine" | "login" | "password" | "account")
        });
        if rest.starts_with('#') && !in_value {
            return;
        }
        let (word, after) = word(rest);
        words.push(word);
        rest = after.trim_start();
    }
}

/// The first word, and what comes after it.
fn word(text: &str) -> (String, &str) {
    let quoted = text.starts_with('"');
    let mut word = String::new();
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(usize::from(quoted)) {
        let ends = if quoted { c == '"' } else { c.is_whitespace() };
        match (escaped, c) {
            (false, '\\') => escaped = true,
            (false, _) if ends => return (word, text.get(at + c.len_utf8()..).unwrap_or_default()),
            _ => {
                escaped = false;
                word.push(c);
            }
        }
    }
    (word, "")
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    const TEXT: &str = "\
# a comment with machine words login x
machine Plain.example login me password secret
machine tabs.example\n\tlogin me\n\taccount x\n\tpassword #hash # trailing
macdef init
machine macro.example login no password no

machine quoted.example login \"a b\" password \"q\\\"uo te\"
machine nothing.example login me
default login anyone password canary
";

    #[test]
    fn machines_are_found() {
        for (machine, expected) in [
            ("plain.example", Some(("me", "secret"))),
            ("tabs.example", Some(("me", "#hash"))),
            ("quoted.example", Some(("a b", "q\"uo te"))),
            ("macro.example", None),
            ("nothing.example", None),
            ("other.example", None),
            ("", None),
        ] {
            let found = find(TEXT, &[machine]).map(|(_, credential)| credential);
            let found = found.map(|credential| match credential {
                Credential::Basic(user, password) => (user, password.expose_secret().to_owned()),
                other => panic!("{other:?}"),
            });
            let expected = expected.map(|(user, password)| (user.to_owned(), password.to_owned()));
            assert_eq!(found, expected, "{machine}");
        }
    }
}

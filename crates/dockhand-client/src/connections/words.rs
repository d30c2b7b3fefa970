//! The words of settings: names that may be misspelt, periods, secrets.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};
use secrecy::SecretString;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// How alike two names must be to be a slip of the pen (Jaro–Winkler, 1 is equal).
const ALIKE: f64 = 0.85;
/// Names shorter than this are too easily another by one letter.
const SHORT: usize = 3;

/// The name that was meant, if one is like enough.
pub(super) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let name = name.to_lowercase();
    let likeness = |candidate: &str| match strsim::osa_distance(&name, candidate) {
        0 | 1 if name.len() >= SHORT => 1.0,
        _ => strsim::jaro_winkler(&name, candidate),
    };
    let scored = candidates.into_iter().map(|name| (likeness(name), name));
    let near = scored.filter(|(likeness, _)| *likeness >= ALIKE);
    near.max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}

/// `; did you mean …?`, or nothing.
pub(super) fn hint<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, candidates).map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"))
}

/// What a text names.
pub(super) fn one_of<T: Copy, const N: usize>(
    what: &str,
    text: &str,
    names: [(&str, T); N],
) -> Result<T, String> {
    let found = names.iter().find(|(name, _)| *name == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let known = names.map(|(name, _)| name);
        let hint = hint(text, known);
        let shown: String = text.chars().take(40).collect();
        format!(
            "{shown:?} is not {what}{hint} (there are: {})",
            known.join(", ")
        )
    })
}

/// A length of time: `30s`, `1m 30s`; a bare number has no meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Period(pub(super) Duration);

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = "a length of time is written with its unit, such as \"30s\" or \"1m 30s\"";
        let text = String::deserialize(deserializer).map_err(|_| Error::custom(wrong))?;
        let length = { text.parse::<Span>().ok() }
            .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok())
            .and_then(|length| Duration::try_from(length).ok());
        length.map(Self).ok_or_else(|| Error::custom(wrong))
    }
}

/// A secret; what stands there instead of one is not shown.
#[derive(Clone, Debug)]
pub(super) struct Secret(pub(super) SecretString);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = |_| Error::custom("a secret is written as a text, in quotes");
        let text = String::deserialize(deserializer).map_err(wrong)?;
        Ok(Self(text.into()))
    }
}

/// A text that is parsed.
pub(super) fn parsed<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(Error::custom)
}

/// One text, or a list of them.
pub(super) fn one_or_more<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a text or a list of texts is needed")]
    enum Form<T> {
        One(T),
        More(Vec<T>),
    }
    Ok(match Form::deserialize(deserializer)? {
        Form::One(one) => vec![one],
        Form::More(more) => more,
    })
}

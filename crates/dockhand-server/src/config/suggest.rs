//! What somebody meant who wrote a name that does not exist.

/// How alike two names must be (Jaro–Winkler, 1 is equal): `listne` and `certificate` pass, what only
/// shares a few letters does not.
const ALIKE: f64 = 0.85;
/// Names shorter than this are too easily another by one letter.
const SHORT: usize = 3;

/// The candidate that a name is most like, if any is like enough.
pub(super) fn nearest<S: AsRef<str>>(
    name: &str,
    candidates: impl IntoIterator<Item = S>,
) -> Option<S> {
    best(candidates, |candidate| likeness(name, candidate.as_ref()))
}

/// Whether somebody who wrote a name may have meant this one.
pub(super) fn is_near(name: &str, candidate: &str) -> bool {
    likeness(name, candidate).is_some()
}

/// How much a name is like another one, if it is enough.
fn likeness(name: &str, candidate: &str) -> Option<f64> {
    let (name, candidate) = (name.to_lowercase(), candidate.to_lowercase());
    // One letter too many, too few, wrong, or two in the wrong order.
    let slip = name.len() >= SHORT && strsim::osa_distance(&name, &candidate) <= 1;
    let likeness = strsim::jaro_winkler(&name, &candidate);
    if slip {
        Some(1.0)
    } else {
        (likeness >= ALIKE).then_some(likeness)
    }
}

/// How alike two variables must be (Damerau–Levenshtein, 1 is equal). They begin alike, which
/// Jaro–Winkler would overrate.
const ALIKE_VARIABLES: f64 = 0.75;

/// The variable that a name is most like, if any is like enough.
pub(super) fn nearest_variable(name: &str, variables: Vec<String>) -> Option<String> {
    best(variables, |variable| {
        let likeness = strsim::normalized_damerau_levenshtein(name, variable);
        (likeness >= ALIKE_VARIABLES).then_some(likeness)
    })
}

fn best<S>(
    candidates: impl IntoIterator<Item = S>,
    score: impl Fn(&S) -> Option<f64>,
) -> Option<S> {
    let scored = candidates
        .into_iter()
        .filter_map(|candidate| Some((score(&candidate)?, candidate)));
    scored
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_of_those_that_are_near() {
        let names = [
            "listen",
            "public-url",
            "locations",
            "headers",
            "cert",
            "key",
        ];
        for (typed, meant) in [
            ("listne", Some("listen")),
            ("Listen", Some("listen")),
            ("public_url", Some("public-url")),
            ("location", Some("locations")),
            ("certificate", Some("cert")),
            ("kye", Some("key")),
            ("ke", Some("key")),
            ("xy", None),
            ("zebra", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, names), meant, "{typed}");
        }
    }
}

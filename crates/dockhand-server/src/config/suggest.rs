//! What somebody meant who wrote a name that does not exist.

/// How alike two names must be (Jaro–Winkler, 1 is equal): `listne` and `cert-file` pass, what only
/// shares a few letters does not.
const ALIKE: f64 = 0.85;

/// The candidate that a name is most like, if any is like enough.
pub(super) fn nearest<S: AsRef<str>>(
    name: &str,
    candidates: impl IntoIterator<Item = S>,
) -> Option<S> {
    let score = |candidate: &S| {
        let likeness =
            strsim::jaro_winkler(&name.to_lowercase(), &candidate.as_ref().to_lowercase());
        (likeness >= ALIKE).then_some(likeness)
    };
    candidates
        .into_iter()
        .filter_map(|candidate| Some((score(&candidate)?, candidate)))
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
            ("zebra", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, names), meant, "{typed}");
        }
    }
}

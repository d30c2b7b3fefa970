//! Where symbolic links may lead.

/// What a link says when it is to stay within the folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// What it says already.
    Same,
    /// This, which leads to the same place when the folder is the root.
    Other(Vec<u8>),
}

/// Whether a link says by its words alone that it leads out: from the root, or above it.
pub(crate) fn leads_out(target: &[u8], depth: usize) -> bool {
    let mut depth = depth;
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => match depth.checked_sub(1) {
                Some(up) => depth = up,
                None => return true,
            },
            _ => depth += 1,
        }
    }
    target.starts_with(b"/")
}

/// What a link must say that lies `depth` directories deep. The result climbs at its beginning only,
/// and no further than the folder: what it goes through after that may be links, but going up from
/// where another link leads is how one gets out.
pub(super) fn within(target: &[u8], depth: usize) -> Target {
    let absolute = target.starts_with(b"/");
    let mut changed = absolute;
    let mut up = if absolute { depth } else { 0 };
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if parts.pop().is_some() => changed = true,
            b".." if up < depth => up += 1,
            b".." => changed = true,
            _ => parts.push(part),
        }
    }
    if !changed {
        return Target::Same;
    }
    let climb = std::iter::repeat_n(&b".."[..], up);
    let whole: Vec<&[u8]> = climb.chain(parts).collect();
    match whole.is_empty() {
        true => Target::Other(b".".to_vec()),
        false => Target::Other(whole.join(&b'/')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_within() {
        for (depth, target, expected) in [
            (0, "usr/bin", None),
            (1, "../usr/bin", None),
            (2, "./x//y", None),
            (0, "/usr/bin", Some("usr/bin")),
            (2, "/usr/bin", Some("../../usr/bin")),
            (1, "/", Some("..")),
            (0, "/", Some(".")),
            (0, "..", Some(".")),
            (1, "../../../etc/shadow", Some("../etc/shadow")),
            (0, "a/../../etc", Some("etc")),
            (1, "a/../b", Some("b")),
            (3, "/../../etc", Some("../../../etc")),
        ] {
            let expected = match expected {
                None => Target::Same,
                Some(text) => Target::Other(text.as_bytes().to_vec()),
            };
            assert_eq!(within(target.as_bytes(), depth), expected, "{target}");
        }
    }

    #[test]
    fn links_that_lead_out_are_known() {
        for (depth, target, out) in [
            (0, "usr/bin", false),
            (1, "../usr", false),
            (0, "a/../b", false),
            (0, "../usr", true),
            (1, "../a/../../b", true),
            (5, "/usr", true),
        ] {
            assert_eq!(leads_out(target.as_bytes(), depth), out, "{target}");
        }
    }
}

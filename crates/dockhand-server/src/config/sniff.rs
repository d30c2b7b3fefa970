//! Tells which kind of file a configuration is.

use std::path::Path;

/// A kind of configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Our own, TOML.
    Native,
    /// That of CNCF Distribution, YAML.
    Distribution,
}

/// Tells by the name when it says so, else by the first line that is not a comment: TOML has `[` or
/// `name =` there, YAML `---` or `name:`. An empty file is native, where nothing is mandatory.
#[must_use]
pub fn sniff(path: &Path, text: &str) -> Kind {
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "toml" => return Kind::Native,
        "yml" | "yaml" => return Kind::Distribution,
        _ => {}
    }
    let mut lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let first = lines
        .find(|line| !line.is_empty() && !line.starts_with('#'))
        .unwrap_or_default();
    let name_end = first.find(['=', ':']).map(|end| first.as_bytes()[end]);
    let yaml = first.starts_with("---") || first.starts_with('%') || first.starts_with('{');
    if yaml || (!first.starts_with('[') && name_end == Some(b':')) {
        Kind::Distribution
    } else {
        Kind::Native
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_name_then_by_content() {
        for (path, text, kind) in [
            ("a.toml", "version: 0.1", Kind::Native),
            ("a.TOML", "", Kind::Native),
            ("a.yml", "[server]", Kind::Distribution),
            ("a.yaml", "", Kind::Distribution),
            ("config", "", Kind::Native),
            ("config", "# x: y\n\n[server]\n", Kind::Native),
            ("config", "server.listen = \"a:1\"", Kind::Native),
            ("config", "# a = 1\nversion: 0.1\n", Kind::Distribution),
            ("config", "---\nversion: 0.1\n", Kind::Distribution),
            ("config", "{version: 0.1}", Kind::Distribution),
            ("config.json", "{\"version\": 0.1}", Kind::Distribution),
        ] {
            assert_eq!(sniff(Path::new(path), text), kind, "{path} {text}");
        }
    }
}

//! The keys under which files and helpers keep credentials: a registry, or a namespace in it.

use dockhand_oci::RepoName;

/// Docker Hub as image references call it, and as Podman's files do.
const HUB: &str = "docker.io";
/// Docker Hub as Docker's files and helpers call it.
const HUB_KEY: &str = "https://index.docker.io/v1/";
const HUB_NAMES: [&str; 3] = [HUB, "index.docker.io", "registry-1.docker.io"];

/// What a key, or a person, names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// The registry as image references name it, in lower case.
    pub(super) host: String,
    /// The part of it, `org/team`; empty for all of it.
    namespace: String,
}

impl Key {
    /// Reads `host`, `host:port`, `https://host/v1/` or Podman's `host/org/team`.
    pub(super) fn parse(text: &str) -> Self {
        let text = text.trim();
        let bare = { text.strip_prefix("https://") }.or_else(|| text.strip_prefix("http://"));
        let (host, path) =
            { bare.unwrap_or(text).split_once('/') }.unwrap_or_else(|| (bare.unwrap_or(text), ""));
        let path = path.trim_matches('/');
        // Old files hold the URL of the API; only without a scheme can the path be a namespace.
        let is_api = bare.is_some() || path == "v1" || path == "v2";
        let host = host.to_ascii_lowercase();
        let host = host.strip_suffix(":443").unwrap_or(&host);
        let host = if HUB_NAMES.contains(&host) { HUB } else { host };
        Self {
            host: host.to_owned(),
            namespace: if is_api { "" } else { path }.to_owned(),
        }
    }

    /// How closely it fits what is wanted, in parts of its namespace; `None` when it is for something
    /// else.
    pub(super) fn fits(&self, host: &str, repository: Option<&RepoName>) -> Option<usize> {
        if self.host != host {
            return None;
        }
        if self.namespace.is_empty() {
            return Some(0);
        }
        let rest = repository?.as_str().strip_prefix(&self.namespace)?;
        let whole = rest.is_empty() || rest.starts_with('/');
        whole.then(|| self.namespace.split('/').count())
    }

    /// The key as Docker writes it.
    pub(super) fn docker(&self) -> &str {
        match self.host.as_str() {
            HUB => HUB_KEY,
            host => host,
        }
    }

    /// Whether it names a part of a registry.
    pub(super) fn is_namespace(&self) -> bool {
        !self.namespace.is_empty()
    }

    /// The key as Podman writes it.
    pub(super) fn podman(&self) -> String {
        match self.is_namespace() {
            true => format!("{}/{}", self.host, self.namespace),
            false => self.host.clone(),
        }
    }

    /// The names that netrc may have for the machine.
    pub(super) fn machines(&self) -> Vec<&str> {
        if self.host == HUB {
            return HUB_NAMES.to_vec();
        }
        let without_port = { self.host.rsplit_once(':') }
            .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
        let bare = without_port.map(|(name, _)| name);
        std::iter::once(self.host.as_str()).chain(bare).collect()
    }

    /// How the host ends a variable's name: `GHCR_IO`, `LOCALHOST_5000`. A hyphen is two underscores, so
    /// that nobody gets a password who registers `my-registry.example` beside `my.registry.example`.
    pub(super) fn variable(&self) -> String {
        let mut variable = String::new();
        for c in self.host.chars() {
            match c {
                '-' => variable.push_str("__"),
                _ if c.is_ascii_alphanumeric() => variable.push(c.to_ascii_uppercase()),
                _ => variable.push('_'),
            }
        }
        variable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_fits_its_registry_and_its_namespace() {
        for (key, host, repository, fits) in [
            ("ghcr.io", "ghcr.io", None, Some(0)),
            ("GHCR.io", "ghcr.io", Some("a/b"), Some(0)),
            ("https://ghcr.io/v1/", "ghcr.io", None, Some(0)),
            ("http://ghcr.io/v2", "ghcr.io", None, Some(0)),
            ("ghcr.io/v2/", "ghcr.io", None, Some(0)),
            ("https://host/any/path", "host", None, Some(0)),
            ("host:443", "host", None, Some(0)),
            ("host:5000", "host", None, None),
            ("host", "host:5000", None, None),
            ("localhost:5000", "localhost:5000", None, Some(0)),
            ("https://index.docker.io/v1/", "docker.io", None, Some(0)),
            ("index.docker.io", "docker.io", None, Some(0)),
            ("registry-1.docker.io", "docker.io", None, Some(0)),
            ("docker.io", "docker.io", None, Some(0)),
            ("quay.io/org", "quay.io", Some("org/app"), Some(1)),
            ("quay.io/org/app", "quay.io", Some("org/app"), Some(2)),
            ("quay.io/org/", "quay.io", Some("org/app"), Some(1)),
            ("quay.io/org", "quay.io", Some("organ/app"), None),
            ("quay.io/org", "quay.io", None, None),
            ("quay.io.evil.example", "quay.io", None, None),
        ] {
            let repository = repository.map(|name: &str| name.parse().unwrap());
            assert_eq!(
                Key::parse(key).fits(host, repository.as_ref()),
                fits,
                "{key} {host}"
            );
        }
    }

    #[test]
    fn a_key_has_the_names_that_others_use() {
        let hub = Key::parse("registry-1.docker.io");
        assert_eq!((hub.docker(), hub.host.as_str()), (HUB_KEY, HUB));
        let port = Key::parse("localhost:5000");
        assert_eq!(port.machines(), ["localhost:5000", "localhost"]);
        assert_eq!(port.variable(), "LOCALHOST_5000");
        let of = |host| Key::parse(host).variable();
        assert_eq!(of("my.registry.example"), "MY_REGISTRY_EXAMPLE");
        assert_eq!(of("my-registry.example"), "MY__REGISTRY_EXAMPLE");
        assert_eq!(Key::parse("[::1]:5000").machines(), ["[::1]:5000", "[::1]"]);
    }
}

//! What a token must allow, in the words of the token service.
//!
//! <https://distribution.github.io/distribution/spec/auth/scope/>

use std::collections::{BTreeMap, BTreeSet};

use dockhand_oci::RepoName;

/// A set of `type:name:actions`, each name once with all its actions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Scopes(BTreeMap<String, BTreeSet<String>>);

impl Scopes {
    /// Reading a repository.
    pub(crate) fn pull(repository: &RepoName) -> Self {
        Self::repository(repository, &["pull"])
    }

    /// Reading and writing a repository.
    pub(crate) fn push(repository: &RepoName) -> Self {
        Self::repository(repository, &["pull", "push"])
    }

    /// Deleting in a repository.
    pub(crate) fn delete(repository: &RepoName) -> Self {
        Self::repository(repository, &["delete", "pull"])
    }

    /// Listing the repositories of the registry.
    pub(crate) fn catalog() -> Self {
        let actions = BTreeSet::from(["*".to_owned()]);
        Self(BTreeMap::from([("registry:catalog".to_owned(), actions)]))
    }

    fn repository(name: &RepoName, actions: &[&str]) -> Self {
        let actions = actions.iter().map(|action| (*action).to_owned()).collect();
        Self(BTreeMap::from([(format!("repository:{name}"), actions)]))
    }

    /// Both.
    pub(crate) fn and(mut self, other: Self) -> Self {
        for (name, actions) in other.0 {
            self.0.entry(name).or_default().extend(actions);
        }
        self
    }

    /// The scopes of a challenge, separated by spaces. What is no scope is passed over.
    pub(crate) fn parse(text: &str) -> Self {
        let mut read = Self::default();
        for scope in text.split_ascii_whitespace() {
            if let Some((name, actions)) = scope.rsplit_once(':') {
                let actions = actions.split(',').map(str::to_owned);
                read.0.entry(name.to_owned()).or_default().extend(actions);
            }
        }
        read
    }

    /// Whether nothing is asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is asked for reading, and for nothing else.
    pub(crate) fn is_pull(&self) -> bool {
        !self.is_empty() && self.0.values().flatten().all(|action| action == "pull")
    }

    /// Each as a text.
    pub(crate) fn texts(&self) -> Vec<String> {
        let text = |(name, actions): (&String, &BTreeSet<String>)| {
            let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
            format!("{name}:{}", actions.join(","))
        };
        self.0.iter().map(text).collect()
    }

    /// The first repository among them.
    pub(crate) fn first_repository(&self) -> Option<RepoName> {
        let names = self.0.keys();
        { names }.find_map(|name| name.strip_prefix("repository:")?.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_unite_by_name() {
        let name: RepoName = "team/app".parse().unwrap();
        let both = Scopes::pull(&name).and(Scopes::parse(
            "repository:team/app:push,pull repository:base:pull registry:catalog:* nonsense",
        ));
        assert_eq!(
            both.texts(),
            [
                "registry:catalog:*",
                "repository:base:pull",
                "repository:team/app:pull,push"
            ]
        );
        assert!(!both.is_pull() && Scopes::pull(&name).is_pull());
        assert_eq!(both.first_repository().unwrap().as_str(), "base");
        let nothing = Scopes::parse("");
        assert!(nothing.is_empty() && !nothing.is_pull());
    }
}

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

    /// The name of that which they are really about: where more is wanted than to read, else the first.
    fn main(&self) -> Option<&str> {
        let reads = |actions: &BTreeSet<String>| actions.iter().all(|action| action == "pull");
        let main = self.0.iter().find(|(_, actions)| !reads(actions));
        main.or_else(|| self.0.iter().next())
            .map(|(name, _)| name.as_str())
    }

    /// That of these which is about what `own` is really about, as a text.
    pub(crate) fn main_text(&self, own: &Self) -> Option<String> {
        let name = own.main().filter(|name| self.0.contains_key(*name));
        let name = name.or_else(|| self.main())?;
        let alone = self.0.get_key_value(name)?;
        let alone = Self(BTreeMap::from([(alone.0.clone(), alone.1.clone())]));
        alone.texts().pop()
    }

    /// The repository that they are really about: whose credential is needed.
    pub(crate) fn repository_meant(&self) -> Option<RepoName> {
        self.main()?.strip_prefix("repository:")?.parse().ok()
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
        let alone = Scopes::parse("repository:team/app:push,pull repository:base:pull");
        assert_eq!(alone.repository_meant().unwrap().as_str(), "team/app");
        let own = Scopes::pull(&"base".parse().unwrap());
        assert_eq!(alone.main_text(&own).unwrap(), "repository:base:pull");
        let other = Scopes::pull(&"other".parse().unwrap());
        let main = "repository:team/app:pull,push";
        assert_eq!(alone.main_text(&other).unwrap(), main);
        let nothing = Scopes::parse("");
        assert!(nothing.is_empty() && !nothing.is_pull());
    }
}

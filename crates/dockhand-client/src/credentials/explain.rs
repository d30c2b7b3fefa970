//! The walk through the places as data: what was looked at, what was there, why it was not used.

use std::fmt;

use dockhand_oci::RepoName;
use serde::Serialize;

use crate::Credential;

/// How a credential was looked for, without any secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The registry, as image references name it.
    pub host: String,
    /// The repository in it that was meant.
    pub repository: Option<String>,
    /// Every place, in the order in which they are looked at.
    pub steps: Vec<Step>,
}

impl Explanation {
    /// A walk that ends where it begins.
    pub(crate) fn of_one(
        host: String,
        repository: Option<&RepoName>,
        place: String,
        outcome: Outcome,
    ) -> Self {
        let step = Step {
            number: None,
            place,
            key: None,
            outcome,
        };
        Self {
            host,
            repository: repository.map(ToString::to_string),
            steps: vec![step],
        }
    }

    /// The step whose credential is used; without one, the registry is asked as nobody.
    #[must_use]
    pub fn used(&self) -> Option<&Step> {
        let is_used = |step: &&Step| matches!(step.outcome, Outcome::Used { .. });
        self.steps.iter().find(is_used)
    }
}

/// One place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Step {
    /// Which of the steps of the walk it belongs to, from 1 on, as the documentation numbers them. Places
    /// of one number are looked at together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u8>,
    /// The flags, the variable, the file, or the helper with the file that names it.
    pub place: String,
    /// The key in it that fits.
    pub key: Option<String>,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of looking at one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Outcome {
    /// There is no such file, or the variable is not set.
    Absent,
    /// It has nothing for this registry.
    NoEntry,
    /// It has an entry that holds no credential: a mark that a helper has it.
    Empty,
    /// It is there, but cannot be used.
    Unusable {
        /// What is wrong with it.
        why: String,
    },
    /// Its credential is used.
    Used {
        /// What it is.
        kind: Kind,
        /// Whose it is, when it says so.
        user: Option<String>,
    },
    /// It fits, but another one is used already: one before it, or of one step the closer. A helper was not even asked.
    Shadowed,
    /// It is not looked at.
    Skipped {
        /// The reason.
        why: String,
    },
}

/// A kind of credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// A user name and a password.
    Password,
    /// An identity token.
    IdentityToken,
    /// A token of access for the registry itself.
    RegistryToken,
    /// An API key.
    ApiKey,
}

impl Outcome {
    /// That this credential is used.
    pub(super) fn used(credential: &Credential) -> Self {
        let (kind, user) = match credential {
            Credential::Basic(user, _) => (Kind::Password, Some(user.clone())),
            Credential::Identity(_) => (Kind::IdentityToken, None),
            Credential::Registry(_) => (Kind::RegistryToken, None),
        };
        Self::Used { kind, user }
    }

    pub(super) fn unusable(why: impl Into<String>) -> Self {
        Self::Unusable { why: why.into() }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password => "password",
            Self::IdentityToken => "identity token",
            Self::RegistryToken => "registry token",
            Self::ApiKey => "API key",
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("not there"),
            Self::NoEntry => f.write_str("nothing for this registry"),
            Self::Empty => f.write_str("an entry without a credential"),
            Self::Unusable { why } => write!(f, "cannot be used: {why}"),
            Self::Used { kind, user } => {
                write!(f, "used: {kind}")?;
                user.iter().try_for_each(|user| write!(f, " of {user}"))
            }
            Self::Shadowed => f.write_str("not used: another one is"),
            Self::Skipped { why } => write!(f, "not looked at: {why}"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        { self.number.iter() }.try_for_each(|number| write!(f, "{number}. "))?;
        f.write_str(&self.place)?;
        self.key.iter().try_for_each(|key| write!(f, " [{key}]"))?;
        write!(f, ": {}", self.outcome)
    }
}

/// One line for each place.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        Ok(())
    }
}

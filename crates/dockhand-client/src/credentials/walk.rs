//! The walk: every place in order, the first credential that fits wins.

use std::path::Path;

use dockhand_oci::RepoName;

use super::explain::{Outcome, Step};
use super::file::{AuthFile, Dialect, Place, Unreadable};
use super::helper::Failure;
use super::key::Key;
use super::{Chain, entry, file, netrc};
use crate::{Credential, Result};

/// The flags of the command, or what a connection of the configuration says.
const GIVEN: &str = "what was given (-u, -p)";

/// What a credential is looked for.
pub(super) struct Walk<'a> {
    chain: &'a Chain,
    pub(super) key: Key,
    repository: Option<&'a RepoName>,
    /// What was looked at so far.
    pub(super) steps: Vec<Step>,
    /// Which step of the walk this is, as docs/connections.md numbers them.
    number: u8,
    /// What was found.
    pub(super) found: Option<Credential>,
    /// What a person should hear even when all goes well.
    pub(super) warnings: Vec<String>,
}

/// An entry that fits, or a helper that may have one.
struct Candidate {
    /// How closely its key fits.
    fit: usize,
    place: String,
    key: String,
    what: What,
}

enum What {
    Entry(Result<Option<Credential>, &'static str>),
    Helper(String),
}

impl<'a> Walk<'a> {
    pub(super) fn new(chain: &'a Chain, host: &str, repository: Option<&'a RepoName>) -> Self {
        Self {
            chain,
            key: Key::parse(host),
            repository,
            steps: Vec::new(),
            number: 0,
            found: None,
            warnings: Vec::new(),
        }
    }

    /// Looks at every place. A file that is not what it should be ends it.
    pub(super) async fn walk(&mut self) -> Result<()> {
        self.number = 1;
        match &self.chain.given {
            Some(credential) => self.offer(GIVEN, None, Ok(Some(credential.clone()))),
            None => self.step(GIVEN, None, Outcome::Absent),
        }
        self.number = 2;
        if let Some(path) = &self.chain.authfile {
            self.files(&[Place::named(path.clone())], true).await?;
            self.number = 3;
            self.step("everything else", None, alone("the file that was named"));
            return Ok(());
        }
        self.step("a file that was named (--authfile)", None, Outcome::Absent);
        self.variables();
        self.number = 5;
        self.inline().await?;
        self.number = 6;
        if let Some(path) = self.chain.environment.path("REGISTRY_AUTH_FILE") {
            self.files(&[Place::named(path)], true).await?;
            self.number = 7;
            self.step("everything else", None, alone("REGISTRY_AUTH_FILE"));
            return Ok(());
        }
        self.step("REGISTRY_AUTH_FILE", None, Outcome::Absent);
        self.number = 7;
        let places = Place::all(&self.chain.environment);
        self.files(&places, false).await?;
        self.number = 8;
        self.netrc().await;
        Ok(())
    }

    /// `DOCKHAND_USERNAME` and `DOCKHAND_PASSWORD`, those of this registry first.
    fn variables(&mut self) {
        let environment = &self.chain.environment;
        let ending = format!("_{}", self.key.variable());
        for (number, ending) in [(3, ending.as_str()), (4, "")] {
            self.number = number;
            let name = format!("DOCKHAND_USERNAME{ending}");
            let secret = format!("DOCKHAND_PASSWORD{ending}");
            let pair = (environment.text(&name), environment.text(&secret));
            let outcome = match pair {
                (None, None) => None,
                (Some(_), None) => Some(Err(format!("{secret} is not set"))),
                (None, Some(_)) => Some(Err(format!("{name} is not set"))),
                (Some(_), Some(_)) if ending.is_empty() && !self.is_meant() => {
                    let why = "it is for the registry of DOCKHAND_BASE_URI".to_owned();
                    self.step(&secret, None, Outcome::Skipped { why });
                    continue;
                }
                (Some(user), Some(password)) => {
                    Some(Ok(Some(entry::pair(user.to_owned(), password.into()))))
                }
            };
            match outcome {
                None => self.step(&secret, None, Outcome::Absent),
                Some(outcome) => self.offer(&secret, None, outcome),
            }
        }
    }

    /// Whether the pair that names no registry is what is used.
    pub(super) fn uses_common_variables(&self) -> bool {
        let is_pair = |ending: &str| {
            let is_set = |name: &str| {
                self.chain
                    .environment
                    .get(&format!("{name}{ending}"))
                    .is_some()
            };
            is_set("DOCKHAND_USERNAME") && is_set("DOCKHAND_PASSWORD")
        };
        is_pair("") && self.is_meant() && !is_pair(&format!("_{}", self.key.variable()))
    }

    /// Whether the variables that name no registry are for this one.
    fn is_meant(&self) -> bool {
        let Some(base) = self.chain.environment.text("DOCKHAND_BASE_URI") else {
            return true;
        };
        let base = base.parse::<crate::BaseUrl>();
        base.is_ok_and(|base| Key::parse(&base.host()).host == self.key.host)
    }

    /// `DOCKER_AUTH_CONFIG`: a whole file in a variable.
    async fn inline(&mut self) -> Result<()> {
        let name = "DOCKER_AUTH_CONFIG";
        let Some(text) = self.chain.environment.text(name) else {
            self.step(name, None, Outcome::Absent);
            return Ok(());
        };
        let file = match AuthFile::parse(text, Dialect::Docker) {
            Ok(file) => file,
            Err(what) => return self.unreadable(Path::new(name), Unreadable::Malformed(what)),
        };
        let candidates = self.candidates(name, &file, Dialect::Docker);
        if candidates.is_empty() {
            self.step(name, None, Outcome::NoEntry);
        }
        for candidate in candidates {
            self.consider(candidate).await;
        }
        Ok(())
    }

    /// These files together: the closest key wins, of equals the one in the earlier file. They are told in
    /// the order of the files.
    async fn files(&mut self, places: &[Place], alone: bool) -> Result<()> {
        let first = self.steps.len();
        // Of each step that comes here, the file.
        let mut told = Vec::new();
        let mut candidates = Vec::new();
        for (at, place) in places.iter().enumerate() {
            let shown = place.path.display().to_string();
            let file = match place.read().await {
                Ok(Some(file)) => file,
                Ok(None) => {
                    if alone {
                        self.warn(format!("{shown} is not there"));
                    }
                    self.step(&shown, None, Outcome::Absent);
                    told.push(at);
                    continue;
                }
                Err(error) => {
                    self.unreadable(&place.path, error)?;
                    told.push(at);
                    continue;
                }
            };
            let found = self.candidates(&shown, &file, place.dialect);
            if found.is_empty() {
                self.step(&shown, None, Outcome::NoEntry);
                told.push(at);
            }
            candidates.extend(found.into_iter().map(|candidate| (at, candidate)));
        }
        // The sort is stable, so equals stay in the order of their files.
        candidates.sort_by_key(|(_, candidate)| std::cmp::Reverse(candidate.fit));
        for (at, candidate) in candidates {
            self.consider(candidate).await;
            told.push(at);
        }
        let steps = self.steps.split_off(first);
        let mut steps: Vec<(usize, Step)> = told.into_iter().zip(steps).collect();
        steps.sort_by_key(|(at, _)| *at);
        self.steps.extend(steps.into_iter().map(|(_, step)| step));
        Ok(())
    }

    /// A file that says nothing is an error, since it may have what is needed; unless it is kept from
    /// this user, as another's is.
    fn unreadable(&mut self, path: &Path, error: Unreadable) -> Result<()> {
        let shown = path.display().to_string();
        if self.found.is_none() && !matches!(error, Unreadable::Forbidden) {
            return Err(error.into_error(path));
        }
        self.warn(format!("{shown} is passed over: {}", error.text()));
        self.step(&shown, None, Outcome::unusable(error.text()));
        Ok(())
    }

    /// What fits in one file, the closest first; a helper before the entries it stands for.
    fn candidates(&self, place: &str, file: &AuthFile, dialect: Dialect) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        if let Some(name) = file.helper(&self.key.host) {
            let key = match dialect {
                Dialect::Docker => self.key.docker(),
                Dialect::Podman | Dialect::Legacy => &self.key.host,
            };
            candidates.push(Candidate {
                fit: 0,
                place: format!("docker-credential-{name}, named by {place}"),
                key: key.to_owned(),
                what: What::Helper(name.to_owned()),
            });
        }
        for (key, raw) in &file.auths {
            let Some(fit) = Key::parse(key).fits(&self.key.host, self.repository) else {
                continue;
            };
            candidates.push(Candidate {
                fit,
                place: place.to_owned(),
                key: key.clone(),
                what: What::Entry(entry::read(raw)),
            });
        }
        // Of several names of one registry, that which the tool itself writes.
        let own = |key: &str| key == self.key.docker() || key == self.key.host;
        candidates.sort_by_key(|candidate| {
            let is_entry = matches!(candidate.what, What::Entry(_));
            (
                std::cmp::Reverse(candidate.fit),
                is_entry,
                !own(&candidate.key),
            )
        });
        candidates
    }

    async fn consider(&mut self, candidate: Candidate) {
        let Candidate {
            place, key, what, ..
        } = candidate;
        if self.found.is_some() {
            return self.step(&place, Some(&key), Outcome::Shadowed);
        }
        match what {
            What::Entry(read) => self.offer(&place, Some(&key), read.map_err(str::to_owned)),
            What::Helper(name) => match self.chain.ask(&name, &key).await {
                Ok(Some(credential)) => self.offer(&place, Some(&key), Ok(Some(credential))),
                Ok(None) => self.step(&place, Some(&key), Outcome::NoEntry),
                Err(failure) => self.unhelped(&place, &key, &failure),
            },
        }
    }

    /// A helper that does not help keeps nobody from what is public.
    fn unhelped(&mut self, place: &str, key: &str, failure: &Failure) {
        self.warn(format!("{}; going on without it", failure.text()));
        self.step(place, Some(key), Outcome::unusable(failure.text()));
    }

    async fn netrc(&mut self) {
        let environment = &self.chain.environment;
        let name = if cfg!(windows) { "_netrc" } else { ".netrc" };
        let path = { environment.path("NETRC") }
            .or_else(|| environment.home().map(|home| home.join(name)));
        let Some(path) = path else { return };
        let shown = path.display().to_string();
        match file::read(&path).await {
            Ok(Some(text)) => match netrc::find(&text, &self.key.machines()) {
                Some((machine, credential)) => {
                    self.offer(&shown, Some(&machine), Ok(Some(credential)));
                }
                None => self.step(&shown, None, Outcome::NoEntry),
            },
            Ok(None) => self.step(&shown, None, Outcome::Absent),
            // Other programs keep it, and for other things.
            Err(error) => self.step(&shown, None, Outcome::unusable(error.text())),
        }
    }

    /// Takes a credential unless one was found before.
    fn offer(&mut self, place: &str, key: Option<&str>, read: Result<Option<Credential>, String>) {
        let outcome = match read {
            _ if self.found.is_some() => Outcome::Shadowed,
            Ok(Some(credential)) => {
                let outcome = Outcome::used(&credential);
                self.found = Some(credential);
                outcome
            }
            Ok(None) => Outcome::Empty,
            Err(why) => {
                self.warn(format!("{place} is passed over: {why}"));
                Outcome::Unusable { why }
            }
        };
        self.step(place, key, outcome);
    }

    /// Notes what a person should hear, as long as it can matter.
    fn warn(&mut self, text: String) {
        if self.found.is_none() {
            self.warnings.push(text);
        }
    }

    fn step(&mut self, place: &str, key: Option<&str>, outcome: Outcome) {
        self.steps.push(Step {
            number: Some(self.number),
            place: place.to_owned(),
            key: key.map(str::to_owned),
            outcome,
        });
    }
}

fn alone(what: &str) -> Outcome {
    Outcome::Skipped {
        why: format!("{what} is used alone"),
    }
}

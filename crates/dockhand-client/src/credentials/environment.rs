//! What the chain knows of the process around it, so that a test can invent one.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;

/// The environment variables and the home folder that credentials and settings are looked up with.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
    home: Option<PathBuf>,
    /// Podman's folder when `XDG_RUNTIME_DIR` is not set.
    run: Option<PathBuf>,
}

impl Environment {
    /// An invented environment: these variables and no other, `HOME` being one of them.
    pub fn new<K, V>(variables: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<OsString>,
        V: Into<OsString>,
    {
        let pair = |(name, value): (K, V)| (name.into(), value.into());
        let variables: BTreeMap<_, _> = variables.into_iter().map(pair).collect();
        let home = variables.get(OsStr::new("HOME")).map(PathBuf::from);
        Self {
            variables,
            home: home.filter(|home| !home.as_os_str().is_empty()),
            run: None,
        }
    }

    /// The environment of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let variables = std::env::vars_os().collect();
        Self {
            variables,
            home: std::env::home_dir().filter(|home| !home.as_os_str().is_empty()),
            run: run_folder(),
        }
    }

    /// A variable that is set to anything but nothing.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        let value = self.variables.get(OsStr::new(name))?;
        (!value.is_empty()).then_some(value.as_os_str())
    }

    /// A variable that is set to a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.to_str()
    }

    /// A variable that names a file or folder.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from)
    }

    /// The person's home folder.
    #[must_use]
    pub fn home(&self) -> Option<PathBuf> {
        self.home.clone()
    }

    /// The folder of settings: `XDG_CONFIG_HOME`, else `.config` at home.
    #[must_use]
    pub fn config_folder(&self) -> Option<PathBuf> {
        let named = self.path("XDG_CONFIG_HOME");
        named.or_else(|| Some(self.home.as_ref()?.join(".config")))
    }

    /// Podman's folder of what lasts as long as a session.
    pub(super) fn podman_runtime(&self) -> Option<PathBuf> {
        let named = self.path("XDG_RUNTIME_DIR");
        named.map_or_else(
            || self.run.clone(),
            |folder| Some(folder.join("containers")),
        )
    }

    /// All of it, for a program that is started.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&OsString, &OsString)> {
        self.variables.iter()
    }
}

/// <https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md>
#[cfg(target_os = "linux")]
fn run_folder() -> Option<PathBuf> {
    let user = rustix::process::getuid().as_raw();
    Some(PathBuf::from(format!("/run/containers/{user}")))
}

#[cfg(not(target_os = "linux"))]
fn run_folder() -> Option<PathBuf> {
    None
}

/// Names only: values may be secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("variables", &self.variables.keys())
            .field("home", &self.home)
            .finish_non_exhaustive()
    }
}

//! Loads a configuration: defaults, file, environment, flags, each above the one before.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::environment::{self, Environment};
use super::layers::Layers;
use super::overrides::Overrides;
use super::problem::ConfigError;
use super::sniff::{Kind, sniff};
use super::{Config, distribution, file};

/// A configuration that was loaded.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The effective configuration.
    pub config: Config,
    /// What the operator should know, a line each.
    pub warnings: Vec<String>,
    /// The file that it came from, and its kind; nothing when there is none.
    pub file: Option<(PathBuf, Kind)>,
}

/// Names the file when the command line does not, as CNCF Distribution has it.
const PATH_VARIABLE: &str = "REGISTRY_CONFIGURATION_PATH";

/// Loads the configuration of a file, or of none, with an environment such as
/// [`std::env::vars_os`] gives and what the command line says.
///
/// # Errors
/// [`ConfigError`] names everything that is wrong, each with its place.
pub fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    overrides: &Overrides,
) -> Result<Loaded, ConfigError> {
    let named = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value));
    let environment: Environment = environment.into_iter().filter_map(named).collect();
    let by_variable = || {
        environment
            .get(PATH_VARIABLE)
            .filter(|path| !path.is_empty())
    };
    let path = file
        .map(Path::to_owned)
        .or_else(|| by_variable().map(PathBuf::from));
    let mut layers = Layers::default();
    let file = match path {
        Some(path) => {
            let kind = read(&mut layers, &path, &environment)?;
            Some((path, kind))
        }
        None => None,
    };
    if !matches!(file, Some((_, Kind::Distribution))) {
        distribution::warn_unread(&mut layers, &environment);
    }
    environment::read(&mut layers, &environment);
    overrides.apply(&mut layers);
    let (config, warnings) = layers.finish()?;
    Ok(Loaded {
        config,
        warnings,
        file,
    })
}

/// Reads a file of either kind.
fn read(layers: &mut Layers, path: &Path, environment: &Environment) -> Result<Kind, ConfigError> {
    let text = fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    let kind = sniff(path, &text);
    match kind {
        Kind::Native => file::read(layers, path, &text),
        Kind::Distribution => distribution::read(layers, path, &text, environment),
    }
    Ok(kind)
}

//! The variables that set up the default connection, named as in Laravel Dockhand.

use tracing::level_filters::LevelFilter;

use super::table::{Level, Table};
use super::words::Secret;
use crate::credentials::Environment;
use crate::{BaseUrl, Error, ErrorKind, Result};

/// Where the default connection leads.
const BASE_URI: &str = "DOCKHAND_BASE_URI";

/// What else of the default connection has a variable. Each beats the file.
pub(super) const VARIABLES: [&str; 11] = [
    "DOCKHAND_DRIVER",
    "DOCKHAND_AUTH_DRIVER",
    "DOCKHAND_USERNAME",
    "DOCKHAND_PASSWORD",
    "DOCKHAND_TOKEN",
    "DOCKHAND_API_KEY",
    "DOCKHAND_PRIVATE_KEY",
    "DOCKHAND_PUBLIC_KEY",
    "DOCKHAND_AUTHORITY_NAME",
    "DOCKHAND_REGISTRY_NAME",
    "DOCKHAND_LOG_DRIVER",
];

/// Whether the variables lead to a registry, with or without a file.
pub(super) fn lead_somewhere(environment: &Environment) -> bool {
    environment.get(BASE_URI).is_some()
}

/// The variables that are set.
pub(super) fn that_are_set(environment: &Environment) -> Vec<&'static str> {
    let choice = ["DOCKHAND_CONNECTION", BASE_URI].into_iter();
    let all = choice.chain(VARIABLES);
    all.filter(|name| environment.get(name).is_some()).collect()
}

/// Puts what the variables say above what the file says.
///
/// # Errors
/// [`ErrorKind::Config`] that names the variable.
pub(super) fn overlay(table: &mut Table, environment: &Environment) -> Result<()> {
    let wrong = |name: &str, why: &str| Error::new(ErrorKind::Config, format!("{name}: {why}"));
    if let Some(text) = environment.text(BASE_URI) {
        let base: BaseUrl =
            { text.parse() }.map_err(|error: Error| wrong(BASE_URI, &error.to_string()))?;
        // What the file says of another registry, its credentials before all, is not for this one.
        let same = { table.base_uri.as_ref() }.is_some_and(|old| old.host() == base.host());
        if !same {
            *table = Table::default();
        }
        table.base_uri = Some(base);
    }
    for name in VARIABLES {
        if let Some(text) = environment.text(name) {
            set(table, name, text).map_err(|why| wrong(name, &why))?;
        }
    }
    Ok(())
}

fn set(table: &mut Table, name: &str, text: &str) -> Result<(), String> {
    let secret = || Some(Secret(text.into()));
    let auth = &mut table.auth;
    match name {
        "DOCKHAND_DRIVER" => table.driver = Some(text.parse()?),
        "DOCKHAND_AUTH_DRIVER" => auth.driver = Some(text.parse()?),
        "DOCKHAND_USERNAME" => auth.username = Some(text.to_owned()),
        "DOCKHAND_PASSWORD" => (auth.password, auth.password_file) = (secret(), None),
        "DOCKHAND_TOKEN" => (auth.token, auth.token_file) = (secret(), None),
        "DOCKHAND_API_KEY" => (auth.api_key, auth.api_key_file) = (secret(), None),
        "DOCKHAND_PRIVATE_KEY" => auth.private_key = Some(text.into()),
        "DOCKHAND_PUBLIC_KEY" => auth.public_key = Some(text.into()),
        "DOCKHAND_AUTHORITY_NAME" => auth.authority_name = Some(text.to_owned()),
        "DOCKHAND_REGISTRY_NAME" => auth.registry_name = Some(text.to_owned()),
        // The names of channels are the application's; only that of none means something here.
        "DOCKHAND_LOG_DRIVER" if matches!(text, "none" | "null") => {
            table.logging.level = Some(Level(LevelFilter::OFF));
        }
        _ => {}
    }
    Ok(())
}

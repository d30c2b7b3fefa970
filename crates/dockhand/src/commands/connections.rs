//! `dockhand connections`: which registries have names and settings here.

use clap::Args;
use dockhand_client::{Auth, Connections as Known, Settings};
use serde::Serialize;

use crate::output::table;
use crate::report::Failure;
use crate::session::{Session, Verb};

/// List the connections that are set up, in dockhand.toml and by DOCKHAND_* variables; shows no secret
#[derive(Args, Clone, Debug)]
pub(crate) struct Connections {
    /// Only the connection of this name
    name: Option<String>,
}

/// A connection, as far as it may be shown.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    name: String,
    /// Whether it is used when none is named.
    default: bool,
    driver: Option<String>,
    base_uri: Option<String>,
    /// How it says who asks, or where that is found out.
    auth: Option<&'static str>,
    user: Option<String>,
    logging: Option<String>,
    /// The variables that say something of it.
    variables: Vec<&'static str>,
    /// Why it cannot be used.
    problem: Option<String>,
}

impl Verb for Connections {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let known = session.known_connections();
        let names: Vec<&str> = match &self.name {
            // That it is not there is said, with what is.
            Some(name) => vec![known.get(name).map(|_| name.as_str())?],
            None => known.names().collect(),
        };
        let rows: Vec<Row> = names.into_iter().map(|name| row(known, name)).collect();
        if rows.is_empty() {
            session
                .note("no connection is set up, and none is needed; docs/connections.md has how");
        }
        session.answer(&rows, |out, rows| {
            if rows.is_empty() {
                return Ok(());
            }
            let lines = rows.iter().map(Row::line);
            write!(
                out,
                "{}",
                table(&["NAME", "DRIVER", "BASE URI", "AUTH", "LOG", ""], lines)
            )
        })
    }
}

fn row(known: &Known, name: &str) -> Row {
    let default = known.default_name() == Some(name);
    let mut row = Row {
        name: name.to_owned(),
        default,
        ..Row::default()
    };
    if default {
        row.variables = known.variables().to_vec();
    }
    match known.get(name) {
        Err(error) => row.problem = Some(error.to_string()),
        Ok(settings) => row.fill(&settings),
    }
    row
}

impl Row {
    fn fill(&mut self, settings: &Settings) {
        let (auth, user) = match &settings.connection.auth {
            Auth::Anonymous => ("none", None),
            Auth::Challenge(_) => ("challenge", None),
            Auth::Basic(user, _) => ("basic", Some(user.clone())),
            Auth::Bearer(_) => ("bearer", None),
            Auth::ApiKey(user, _) => ("apikey", user.clone()),
            Auth::Signed(_) => ("jwt", None),
        };
        self.auth = Some(auth);
        self.user = user;
        self.driver = Some(settings.driver.to_string());
        self.base_uri = Some(settings.connection.base.to_string());
        self.logging = settings.logging.map(|level| level.to_string());
    }

    fn line(&self) -> [String; 6] {
        let known = |text: Option<&str>| text.unwrap_or("-").to_owned();
        let who = match &self.user {
            Some(user) => format!("{} as {user}", known(self.auth)),
            None => known(self.auth),
        };
        let mut notes = Vec::new();
        if self.default {
            notes.push("default".to_owned());
        }
        if !self.variables.is_empty() {
            notes.push(format!("with {}", self.variables.join(", ")));
        }
        notes.extend(self.problem.clone());
        [
            self.name.clone(),
            known(self.driver.as_deref()),
            known(self.base_uri.as_deref()),
            who,
            known(self.logging.as_deref()),
            notes.join("; "),
        ]
    }
}

//! `dockhand login`: credentials are checked with the registry, and kept where Docker and Podman find
//! them too.

use std::io::IsTerminal;
use std::sync::Arc;

use clap::Args;
use console::Term;
use dockhand_client::credentials::Stored;
use dockhand_client::{Auth, Client, Credential, Error, ErrorKind};
use secrecy::SecretString;
use serde::Serialize;

use crate::flags::secret;
use crate::report::{Failure, Kind};
use crate::session::{Session, Verb, read_secret};

/// Sign in to a registry and keep the credentials, where Docker and Podman find them too
#[derive(Args, Clone, Debug)]
pub(crate) struct Login {
    /// Registry: host, host:port or URL; in a file of Podman also a part of one, host/org
    registry: Option<String>,
    /// Identity token, instead of user name and password; others on this machine can see it
    #[arg(long, value_name = "TOKEN", value_parser = secret)]
    identity_token: Option<SecretString>,
    /// Read the identity token from standard input
    #[arg(long, conflicts_with_all = ["identity_token", "password_stdin"])]
    identity_token_stdin: bool,
}

#[derive(Serialize)]
struct LoggedIn {
    registry: String,
    user: Option<String>,
    /// Whether the registry asked for the credentials and took them.
    checked: bool,
    #[serde(flatten)]
    stored: Stored,
}

impl Verb for Login {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let registry = session.registry_or_default(self.registry.as_deref())?;
        let credential = self.credential(session)?;
        let checked = check(session, &registry, &credential).await?;
        let chain = session.chain(&session.flags.access);
        let key = registry.trim_end_matches('/');
        let stored = chain.store(key, &credential).await?;
        if !checked {
            session.note("the registry asks for no credentials, so these were not checked");
        }
        let user = match credential {
            Credential::Basic(user, _) => Some(user),
            _ => None,
        };
        let answer = LoggedIn {
            registry,
            user,
            checked,
            stored,
        };
        session.answer(&answer, |out, answer| {
            write!(out, "logged in to {}", answer.registry)?;
            { answer.user.iter() }.try_for_each(|user| write!(out, " as {user}"))?;
            match &answer.stored.helper {
                Some(helper) => writeln!(out, "; kept by {helper}"),
                None => writeln!(out, "; kept in {}", answer.stored.file),
            }
        })?;
        if answer.stored.helper.is_none() {
            session.note(
                "the credentials are not encrypted there; a credential helper would keep them safer",
            );
        }
        Ok(())
    }
}

impl Login {
    /// What was given, or is typed when somebody is there to do that.
    fn credential(&self, session: &Session) -> Result<Credential, Failure> {
        if let Some(token) = &self.identity_token {
            return Ok(Credential::Identity(token.clone()));
        }
        if self.identity_token_stdin {
            return read_secret("identity token").map(Credential::Identity);
        }
        let access = &session.flags.access;
        let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let user = match access
            .username
            .clone()
            .or_else(|| variable("DOCKHAND_USERNAME"))
        {
            Some(user) => user,
            None => typed("User name: ", "--username", Term::read_line)?,
        };
        let variable = || variable("DOCKHAND_PASSWORD").map(SecretString::from);
        let password = match access.password.clone().or_else(variable) {
            Some(password) => password,
            None => typed("Password: ", "--password-stdin", Term::read_secure_line)?.into(),
        };
        Ok(Credential::Basic(user, password))
    }
}

/// What a person types; `flag` is for programs.
fn typed(
    prompt: &str,
    flag: &str,
    read: impl FnOnce(&Term) -> std::io::Result<String>,
) -> Result<String, Failure> {
    let missing =
        || Failure::usage("nobody is there to ask for credentials").hint(format!("give {flag}"));
    let terminal = Term::stderr();
    if !terminal.is_term() || !std::io::stdin().is_terminal() {
        return Err(missing());
    }
    let text = terminal.write_str(prompt).and_then(|()| read(&terminal));
    let text = text.map_err(|error| Failure::new(Kind::Failed, &error))?;
    match text.is_empty() {
        true => Err(missing()),
        false => Ok(text),
    }
}

/// Whether the registry asks for credentials; those that it does not take are an error.
async fn check(
    session: &Session,
    registry: &str,
    credential: &Credential,
) -> Result<bool, Failure> {
    let mut access = session.flags.access.clone();
    (access.username, access.password) = (None, None);
    let mut connection = session.settings(&access, registry)?.connection;
    let chain = session.chain(&access).given(credential.clone());
    connection.auth = Auth::Challenge(Arc::new(chain));
    let client = Client::with_observer(connection, session.observer())?;
    let refused = |error: Error| match error.kind() {
        ErrorKind::Unauthorized | ErrorKind::Denied => error.with_hint(
            "nothing was kept; is the user name right, and the password or token valid?",
        ),
        _ => error,
    };
    let ping = client.check_credentials().await.map_err(refused)?;
    Ok(ping.auth.is_some())
}

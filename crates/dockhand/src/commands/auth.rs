//! `dockhand auth`: which credentials are used, and why; tokens for other programs.

use clap::{Args, Subcommand};
use dockhand_client::{Auth as Asking, Client, Credential, Settings};
use dockhand_oci::RepoName;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::report::{Failure, Kind};
use crate::session::{Session, Verb};

/// Tell which credentials are used, and hand them to other programs
#[derive(Args, Clone, Debug)]
pub(crate) struct Auth {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Tell where credentials are looked for, what is there, and what is used; shows no secret
    Explain(Named),
    /// Print the credentials as a credential helper would, secret included
    Get(Named),
    /// Print a bearer token, as the registry's token service gives it
    Token(Token),
    // As crane has it.
    /// Sign in, as `dockhand login`
    #[command(hide = true)]
    Login(super::login::Login),
    /// Sign out, as `dockhand logout`
    #[command(hide = true)]
    Logout(super::logout::Logout),
}

#[derive(Args, Clone, Debug)]
pub(super) struct Named {
    /// Registry, or a repository in it
    #[arg(value_name = "REGISTRY[/REPOSITORY]")]
    name: Option<String>,
}

#[derive(Args, Clone, Debug)]
struct Token {
    #[command(flatten)]
    named: Named,
    /// For writing too
    #[arg(long)]
    push: bool,
    /// For this, in the words of token services, instead: repository:team/app:pull,push
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
}

/// What is meant, and how to reach it.
pub(super) struct Meant {
    pub(super) host: String,
    pub(super) repository: Option<RepoName>,
    pub(super) settings: Settings,
}

/// As credential helpers answer.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Kept<'a> {
    #[serde(rename = "ServerURL")]
    server: &'a str,
    username: &'a str,
    secret: &'a str,
}

impl Verb for Auth {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        match self.what {
            What::Explain(named) => explain(session, named.meant(session)?).await,
            What::Get(named) => get(session, named.meant(session)?).await,
            What::Token(token) => token.print(session).await,
            What::Login(login) => login.run(session).await,
            What::Logout(logout) => logout.run(session).await,
        }
    }
}

impl Named {
    pub(super) fn meant(&self, session: &Session) -> Result<Meant, Failure> {
        let name = session.registry_or_default(self.name.as_deref())?;
        // What is set up with a sub-path is all a registry.
        let whole = session.settings(&session.flags.access, &name);
        let is_known = whole.is_ok_and(|settings| settings.name.is_some());
        let (registry, repository) = match name.split_once('/') {
            Some((registry, path)) if !is_known && !name.contains("://") && !path.is_empty() => {
                let repository = path.parse().map_err(dockhand_client::Error::from)?;
                (registry, Some(repository))
            }
            _ => (name.as_str(), None),
        };
        let settings = session.settings(&session.flags.access, registry)?;
        Ok(Meant {
            host: settings.connection.base.host(),
            repository,
            settings,
        })
    }
}

async fn explain(session: &Session, meant: Meant) -> Result<(), Failure> {
    let told = meant.settings.explain(meant.repository.as_ref()).await?;
    session.answer(&told, |out, told| {
        write!(out, "{told}")?;
        match told.used() {
            Some(_) => Ok(()),
            None => writeln!(out, "{} is asked without credentials", told.host),
        }
    })
}

async fn get(session: &Session, meant: Meant) -> Result<(), Failure> {
    let Meant {
        host,
        repository,
        settings,
    } = meant;
    let found = match settings.connection.auth {
        Asking::Challenge(source) => source.credential(&host, repository.as_ref()).await?,
        Asking::Basic(user, secret) | Asking::ApiKey(Some(user), secret) => {
            Some(Credential::Basic(user, secret))
        }
        Asking::Bearer(token) | Asking::ApiKey(None, token) => Some(Credential::Registry(token)),
        Asking::Anonymous | Asking::Signed(_) => None,
    };
    let Some(found) = found else {
        let message = format!("there are no credentials for {host}");
        let hint = format!("`dockhand auth explain {host}` tells where they were looked for");
        return Err(Failure::plain(Kind::NotFound, message).hint(hint));
    };
    let (username, secret) = match &found {
        Credential::Basic(user, password) => (user.as_str(), password),
        Credential::Identity(token) => ("<token>", token),
        Credential::Registry(token) => ("", token),
    };
    let kept = Kept {
        server: &host,
        username,
        secret: secret.expose_secret(),
    };
    session.answer(&kept, |out, kept| {
        serde_json::to_writer(&mut *out, kept)?;
        writeln!(out)
    })
}

impl Token {
    async fn print(self, session: &Session) -> Result<(), Failure> {
        let meant = self.named.meant(session)?;
        let scopes = match (self.scope.is_empty(), &meant.repository) {
            (false, _) => self.scope.join(" "),
            (true, Some(repository)) if self.push => format!("repository:{repository}:pull,push"),
            (true, Some(repository)) => format!("repository:{repository}:pull"),
            (true, None) => String::new(),
        };
        let client = Client::with_observer(meant.settings.connection, session.observer())?;
        let Some(token) = client.token(&scopes).await? else {
            let message = format!("{} asks for no bearer token", meant.host);
            return Err(Failure::plain(Kind::NotFound, message));
        };
        print(session, &token)
    }
}

fn print(session: &Session, token: &SecretString) -> Result<(), Failure> {
    let answer = serde_json::json!({"token": token.expose_secret()});
    session.answer(&answer, |out, _| writeln!(out, "{}", token.expose_secret()))
}

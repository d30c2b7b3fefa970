//! `dockhand whoami`: as whom a registry is asked, and whether it lets that one in.

use clap::Args;
use dockhand_client::Client;
use dockhand_client::credentials::{Kind as Credential, Outcome};
use serde::Serialize;

use super::auth::Named;
use crate::report::{Failure, Kind};
use crate::session::{Session, Verb};

/// Tell as whom a registry is asked, and ask whether it lets that one in
///
/// Exits with 4 when it is asked as nobody, or does not let that one in.
#[derive(Args, Clone, Debug)]
pub(crate) struct Whoami {
    #[command(flatten)]
    named: Named,
}

#[derive(Serialize)]
struct Answer {
    registry: String,
    /// The user's name, where the credential says it.
    user: Option<String>,
    kind: Credential,
    /// Where the credential is kept.
    place: String,
    /// Whether the registry asked for it: only then it was checked.
    checked: bool,
}

impl Verb for Whoami {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let meant = self.named.meant(session)?;
        let explained = meant.settings.explain(meant.repository.as_ref()).await?;
        let used = explained.used().map(|step| (&step.place, &step.outcome));
        let Some((place, Outcome::Used { kind, user })) = used else {
            let message = format!("{} is asked as nobody", meant.host);
            let hint = format!("sign in with `dockhand login {}`", meant.host);
            return Err(Failure::plain(Kind::Auth, message).hint(hint));
        };
        let client = Client::with_observer(meant.settings.connection.clone(), session.observer())?;
        let ping = client.ping().await?;
        let answer = Answer {
            registry: meant.host.clone(),
            user: user.clone(),
            kind: *kind,
            place: place.clone(),
            // What is shown with every request is not asked for.
            checked: ping.auth.is_some() || meant.settings.credentials.is_none(),
        };
        if !answer.checked {
            session.note("the registry asks for no credentials, so these were not checked");
        }
        session.answer(&answer, |out, answer| match &answer.user {
            Some(user) => writeln!(out, "{user}"),
            None => writeln!(out, "({})", answer.kind),
        })
    }
}

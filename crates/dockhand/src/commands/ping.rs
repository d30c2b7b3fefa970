//! `dockhand ping`: whether a registry answers, and what it says of itself.

use clap::Args;
use dockhand_client::Extension;
use serde::Serialize;

use crate::output::table;
use crate::report::Failure;
use crate::session::{Session, Verb};

/// Ask a registry whether it is there, speaks the API and lets you in
#[derive(Args, Clone, Debug)]
pub(crate) struct Ping {
    /// Registry: host, host:port or URL
    registry: Option<String>,
}

#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    ping: dockhand_client::Ping,
    extensions: Vec<Extension>,
}

impl Verb for Ping {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let client = session.client_or_default(self.registry.as_deref())?;
        let ping = client.ping().await?;
        // Not every registry lets everybody ask for this.
        let extensions = client.extensions().await.unwrap_or_default();
        session.answer(&Answer { ping, extensions }, |out, answer| {
            let Answer { ping, extensions } = answer;
            let names: Vec<&str> = { extensions.iter() }.map(|one| one.name.as_str()).collect();
            let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
            let rows = [
                ("registry", ping.host.clone()),
                ("answers in", format!("{:.0?}", ping.took)),
                ("API", known(&ping.api_version)),
                ("server", known(&ping.server)),
                (
                    "asks for",
                    ping.auth.clone().unwrap_or_else(|| "nothing".to_owned()),
                ),
                ("extensions", names.join(", ")),
            ];
            let rows = rows.into_iter().filter(|(_, value)| !value.is_empty());
            let rows = rows.map(|(name, value)| [name.to_owned(), value]);
            write!(out, "{}", table(&[], rows))
        })
    }
}

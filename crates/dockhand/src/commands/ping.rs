//! `dockhand ping`: whether a registry answers, and what it says of itself.

use clap::Args;
use dockhand_client::{Capabilities, Extension};
use dockhand_oci::RepoName;
use serde::Serialize;

use crate::output::table;
use crate::report::Failure;
use crate::session::{Session, Verb};

/// Ask a registry whether it is there, speaks the API and lets you in
#[derive(Args, Clone, Debug)]
pub(crate) struct Ping {
    /// Registry: host, host:port or URL
    registry: Option<String>,
    /// Find out what it can do, too: what kind it is, whether it lists repositories and referrers
    #[arg(long)]
    capabilities: bool,
    /// Repository to ask for referrers in, for --capabilities
    #[arg(long, value_name = "NAME", requires = "capabilities")]
    repository: Option<RepoName>,
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
        if self.capabilities {
            let found = client.capabilities(self.repository.as_ref()).await?;
            return session.answer(&found, |out, found| {
                let rows = [
                    rows(&found.ping, &found.extensions),
                    capabilities(found).to_vec(),
                ];
                write!(out, "{}", shown(rows.concat()))
            });
        }
        let ping = client.ping().await?;
        // Not every registry lets everybody ask for this.
        let extensions = client.extensions().await.unwrap_or_default();
        session.answer(&Answer { ping, extensions }, |out, answer| {
            let rows = rows(&answer.ping, &answer.extensions);
            write!(out, "{}", shown(rows))
        })
    }
}

type Row = (&'static str, String);

fn shown(rows: Vec<Row>) -> String {
    let rows = rows.into_iter().filter(|(_, value)| !value.is_empty());
    let rows = rows.map(|(name, value)| [name.to_owned(), value]);
    table(&[], rows)
}

fn rows(ping: &dockhand_client::Ping, extensions: &[Extension]) -> Vec<Row> {
    let names: Vec<&str> = { extensions.iter() }.map(|one| one.name.as_str()).collect();
    let known = |text: &Option<String>, other: &str| text.as_deref().unwrap_or(other).to_owned();
    vec![
        ("registry", ping.host.clone()),
        ("answers in", format!("{:.0?}", ping.took)),
        ("API", known(&ping.api_version, "-")),
        ("server", known(&ping.server, "-")),
        ("asks for", known(&ping.auth, "nothing")),
        ("extensions", names.join(", ")),
    ]
}

fn capabilities(found: &Capabilities) -> [Row; 3] {
    let yes = |can: bool| if can { "yes" } else { "no" }.to_owned();
    let referrers = match found.referrers {
        Some(true) => "yes",
        Some(false) => "no, they are kept under a tag",
        None => "name a --repository to find out",
    };
    [
        ("kind", found.ping.driver.to_string()),
        ("lists repositories", yes(found.catalog)),
        ("lists referrers", referrers.to_owned()),
    ]
}

//! `dockhand logout`: what was kept for a registry is forgotten.

use clap::Args;
use dockhand_client::credentials::Erased;
use serde::Serialize;

use crate::report::Failure;
use crate::session::{Session, Verb};

/// Forget the credentials of a registry, in every file and helper that has them
#[derive(Args, Clone, Debug)]
pub(crate) struct Logout {
    /// Registry: host, host:port or URL; in a file of Podman also a part of one, host/org
    registry: Option<String>,
}

#[derive(Serialize)]
struct LoggedOut {
    registry: String,
    erased: Vec<Erased>,
    /// Where credentials still come from.
    left: Option<String>,
}

impl Verb for Logout {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let registry = session.registry_or_default(self.registry.as_deref())?;
        let chain = session.chain(&session.flags.access);
        let erased = chain.erase(registry.trim_end_matches('/')).await?;
        let told = chain.explain(&registry, None).await?;
        let left = told.used().map(|step| step.place.clone());
        if let Some(place) = &left {
            session.note(&format!(
                "credentials for {registry} still come from {place}"
            ));
        }
        let answer = LoggedOut {
            registry,
            erased,
            left,
        };
        session.answer(&answer, |out, answer| {
            if answer.erased.is_empty() {
                writeln!(out, "not logged in to {}", answer.registry)?;
            }
            for erased in &answer.erased {
                writeln!(
                    out,
                    "logged out of {}: removed from {}",
                    answer.registry, erased.place
                )?;
            }
            Ok(())
        })
    }
}

//! `dockhand limits`: how many pulls a registry still allows.

use clap::Args;
use serde::Serialize;

use crate::output::table;
use crate::report::Failure;
use crate::session::{Session, Verb, is_host};

/// Print how many pulls the registry still allows
///
/// Asks for an image without pulling it, which does not count. Only some registries, Docker Hub for one, tell
/// their limits.
#[derive(Args, Clone, Debug)]
#[command(visible_alias = "ratelimit")]
pub(crate) struct Limits {
    /// Any image of the registry, or the registry alone where it tells its limits with every answer
    #[arg(default_value = PREVIEW)]
    image: String,
}

/// What Docker Hub has for this, and counts for nobody.
const PREVIEW: &str = "docker.io/ratelimitpreview/test";

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Limit {
    host: String,
    /// How many pulls are allowed in a window.
    limit: Option<u64>,
    /// How many of them are left.
    remaining: Option<u64>,
    /// The length of the window in seconds.
    window: Option<u64>,
}

impl Verb for Limits {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        match self.image.as_str() {
            "docker.io" | "index.docker.io" | "registry-1.docker.io" => {
                ask(session, PREVIEW).await?;
            }
            host if is_host(host) => {
                session.client(host)?.ping().await?;
            }
            image => ask(session, image).await?,
        }
        let told = session.progress().limits().into_iter();
        let limits: Vec<Limit> = told
            .map(|(host, (limit, remaining))| Limit {
                host,
                limit: number(&limit),
                remaining: number(&remaining),
                window: window(&limit).or_else(|| window(&remaining)),
            })
            .collect();
        session.answer(&limits, |out, limits| {
            if limits.is_empty() {
                return writeln!(out, "the registry tells no limits");
            }
            let known =
                |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |n| n.to_string());
            let rows = limits.iter().map(|one| {
                let window = one
                    .window
                    .map_or_else(|| "-".to_owned(), |seconds| format!("{seconds} s"));
                [
                    one.host.clone(),
                    known(one.limit),
                    known(one.remaining),
                    window,
                ]
            });
            write!(
                out,
                "{}",
                table(&["REGISTRY", "LIMIT", "REMAINING", "PER"], rows)
            )
        })
    }
}

/// Asks for an image without pulling it.
async fn ask(session: &Session, image: &str) -> Result<(), Failure> {
    let opened = session.open(image).await?;
    opened.store.resolve(&opened.reference).await?;
    Ok(())
}

/// The number of `100;w=21600`.
fn number(text: &str) -> Option<u64> {
    text.split([';', ',']).next()?.trim().parse().ok()
}

/// The window of `100;w=21600`, in seconds.
fn window(text: &str) -> Option<u64> {
    let found = text
        .split(';')
        .find_map(|part| part.trim().strip_prefix("w="));
    found?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_hub_writes_them() {
        assert_eq!(
            (number("100;w=21600"), window("100;w=21600")),
            (Some(100), Some(21600))
        );
        assert_eq!((number("76"), window("76")), (Some(76), None));
        assert_eq!((number("lots"), window("")), (None, None));
    }
}

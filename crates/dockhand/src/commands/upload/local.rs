//! `dockhand upload ls` and `rm`: all uploads of a registry on this machine.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use dockhand_oci::UploadId;
use dockhand_server::admin::PREFIX;
use http::{Method, StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::administration::{Administration, DATA};
use crate::flags::duration;
use crate::output::{count, size, table};
use crate::report::{Failure, Kind};
use crate::session::Session;

/// List the uploads that a registry on this machine has not finished
///
/// Asks the server that runs on the folder, or reads the folder when none runs.
#[derive(Args, Clone, Debug)]
pub(super) struct Ls {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    which: Which,
}

/// Drop uploads that a registry on this machine has not finished, with their bytes
///
/// One that a request is writing to stays. So does one that has got bytes since it was chosen by
/// --older-than or --empty.
#[derive(Args, Clone, Debug)]
pub(super) struct Rm {
    /// Uploads, as `upload ls` names them
    #[arg(value_name = "ID", conflicts_with_all = ["older_than", "empty"])]
    ids: Vec<UploadId>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    which: Which,
    /// Drop all that --older-than and --empty choose
    #[arg(short, long)]
    yes: bool,
    /// Only say what would be dropped
    #[arg(long)]
    dry_run: bool,
}

#[derive(Args, Clone, Debug)]
struct Place {
    /// Folder in which `dockhand serve` keeps its data
    #[arg(long, value_name = "DIR", default_value = DATA)]
    data: PathBuf,
}

#[derive(Args, Clone, Debug)]
struct Which {
    /// Only those that have got no bytes for longer than this: 12h, 7d
    #[arg(long, value_name = "AGE", value_parser = duration)]
    older_than: Option<Duration>,
    /// Only those without a byte
    #[arg(long)]
    empty: bool,
}

/// An upload, as it is listed.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Entry {
    id: String,
    repository: String,
    /// Who began it, where that is known.
    client: Option<String>,
    started: Timestamp,
    /// When it last got bytes, or began.
    touched: Timestamp,
    bytes: u64,
}

/// A page of them.
#[derive(Deserialize)]
struct Page {
    uploads: Vec<Entry>,
}

/// An upload that was dropped, or would be.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Gone {
    #[serde(flatten)]
    entry: Entry,
    dry_run: bool,
}

impl Ls {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let mut administration = Administration::open(&self.place.data).await?;
        let listed = list(&mut administration).await;
        administration.close().await;
        let uploads = self.which.of(listed?);
        session.answer(&uploads, |out, uploads| {
            let rows = uploads.iter().map(|entry| {
                [
                    entry.id.clone(),
                    entry.repository.clone(),
                    entry.client.clone().unwrap_or_else(|| "-".to_owned()),
                    seconds(entry.started),
                    seconds(entry.touched),
                    size(entry.bytes),
                ]
            });
            let head = [
                "ID",
                "REPOSITORY",
                "CLIENT",
                "STARTED",
                "LAST WRITE",
                "SIZE",
            ];
            write!(out, "{}", table(&head, rows))
        })
    }
}

impl Rm {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        if self.ids.is_empty() && self.which.is_all() {
            let message = "it is not said which uploads are to be dropped";
            let hint = "name their IDs, or say --older-than AGE or --empty";
            return Err(Failure::usage(message).hint(hint));
        }
        let mut administration = Administration::open(&self.place.data).await?;
        let done = self.drop_all(session, &mut administration).await;
        administration.close().await;
        done
    }

    async fn drop_all(
        &self,
        session: &Session,
        administration: &mut Administration,
    ) -> Result<(), Failure> {
        let listed = list(administration).await?;
        let (chosen, mut failures) = self.choose(listed);
        let many = chosen.len() + failures.len();
        if self.ids.is_empty() && !chosen.is_empty() && !self.yes && !self.dry_run {
            return Err(not_dropped(&chosen));
        }
        let mut gone = Vec::new();
        for entry in chosen {
            match self.drop_one(session, administration, &entry).await {
                Ok(true) => gone.push(Gone {
                    entry,
                    dry_run: self.dry_run,
                }),
                Ok(false) => {}
                Err(failure) => failures.push(failure),
            }
        }
        let word = if self.dry_run {
            "would drop"
        } else {
            "dropped"
        };
        session.answer(&gone, |out, gone| {
            gone.iter().try_for_each(|Gone { entry, .. }| {
                let (id, repository, bytes) = (&entry.id, &entry.repository, size(entry.bytes));
                writeln!(out, "{word} {id} of {repository}, {bytes}")
            })
        })?;
        Failure::of_some(session, failures, many)
    }

    /// The uploads that are to go, and what is named and not there.
    fn choose(&self, listed: Vec<Entry>) -> (Vec<Entry>, Vec<Failure>) {
        if self.ids.is_empty() {
            return (self.which.of(listed), Vec::new());
        }
        let mut chosen = Vec::new();
        let mut failures = Vec::new();
        for id in self.ids.iter().map(UploadId::to_string) {
            match listed.iter().find(|entry| entry.id == id) {
                Some(entry) => chosen.push(entry.clone()),
                None => failures.push(absent(&id)),
            }
        }
        (chosen, failures)
    }

    /// Whether it is gone, or would be; one that has gone on since it was chosen by a rule stays.
    async fn drop_one(
        &self,
        session: &Session,
        administration: &mut Administration,
        entry: &Entry,
    ) -> Result<bool, Failure> {
        if self.dry_run {
            return Ok(true);
        }
        let (id, by_rule) = (&entry.id, self.ids.is_empty());
        let target = match by_rule {
            true => format!("{PREFIX}/uploads/{id}?bytes={}", entry.bytes),
            false => format!("{PREFIX}/uploads/{id}"),
        };
        let answer = administration.ask(Method::DELETE, &target).await?;
        match answer.status() {
            status if status.is_success() => Ok(true),
            StatusCode::NOT_FOUND if by_rule => Ok(false),
            StatusCode::NOT_FOUND => Err(absent(id)),
            StatusCode::CONFLICT if by_rule => {
                session.note(&format!("upload {id} goes on and was left"));
                Ok(false)
            }
            _ => Err(answer.failure()),
        }
    }
}

impl Which {
    fn is_all(&self) -> bool {
        self.older_than.is_none() && !self.empty
    }

    fn of(&self, mut listed: Vec<Entry>) -> Vec<Entry> {
        let now = Timestamp::now();
        let is_old = |entry: &Entry, age| {
            let lain = now.duration_since(entry.touched);
            Duration::try_from(lain).is_ok_and(|lain| lain > age)
        };
        listed.retain(|entry| {
            let old = self.older_than.is_none_or(|age| is_old(entry, age));
            old && (!self.empty || entry.bytes == 0)
        });
        listed
    }
}

/// All uploads that are open.
async fn list(administration: &mut Administration) -> Result<Vec<Entry>, Failure> {
    let mut all = Vec::new();
    let mut next = Some(format!("{PREFIX}/uploads"));
    while let Some(target) = next {
        let answer = administration.ask(Method::GET, &target).await?;
        all.extend(answer.json::<Page>()?.uploads);
        next = answer.next().map(str::to_owned);
    }
    Ok(all)
}

fn absent(id: &str) -> Failure {
    Failure::plain(Kind::NotFound, format!("upload {id} is not open"))
        .hint("`dockhand upload ls` lists those that are")
}

fn not_dropped(chosen: &[Entry]) -> Failure {
    let many = count(chosen.len() as u64, "upload");
    let bytes = size(chosen.iter().map(|entry| entry.bytes).sum());
    let message = format!("{many} with {bytes} would be dropped, and none was");
    Failure::usage(message).hint("say --yes to drop them, --dry-run to see them")
}

/// A time to the second.
fn seconds(time: Timestamp) -> String {
    time.strftime("%FT%TZ").to_string()
}

//! `dockhand exists`: a question whose answer is the exit code.

use std::time::{Duration, SystemTime};

use clap::Args;
use dockhand_oci::Digest;
use jiff::Timestamp;
use serde::Serialize;

use crate::flags::duration;
use crate::image;
use crate::report::{Failure, Kind};
use crate::session::{Session, Verb};
use crate::tags::is_older;

/// Ask whether an image is there, and how old it is; the exit code answers
///
/// Exits with 0 when it is there (and as old or as new as was asked), with 3 when it is not there, with 8
/// when it is of another age, and with others when that cannot be found out.
#[derive(Args, Clone, Debug)]
pub(crate) struct Exists {
    /// Image
    image: String,
    /// It must have been made longer ago than this: 12h, 30d
    #[arg(long, value_name = "TIME", value_parser = duration)]
    older_than: Option<Duration>,
    /// It must have been made since: 12h, 30d
    #[arg(long, value_name = "TIME", value_parser = duration)]
    newer_than: Option<Duration>,
}

#[derive(Debug, Serialize)]
struct Answer {
    exists: bool,
    digest: Option<Digest>,
    created: Option<Timestamp>,
    /// Whether it is of the age that was asked for.
    fits: bool,
}

impl Verb for Exists {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let answer = self.ask(session).await?;
        session.answer(&answer, |_, _| Ok(()))?;
        match answer {
            Answer { exists: false, .. } => Err(Failure::answer(Kind::NotFound)),
            Answer { fits: false, .. } => Err(Failure::answer(Kind::Differs)),
            _ => Ok(()),
        }
    }
}

impl Exists {
    async fn ask(&self, session: &Session) -> Result<Answer, Failure> {
        let absent = Answer {
            exists: false,
            digest: None,
            created: None,
            fits: false,
        };
        let gone = |failure: Failure| match failure.kind() {
            Kind::NotFound => Ok(None),
            _ => Err(failure),
        };
        let opened = match session.open(&self.image).await {
            Ok(opened) => opened,
            Err(failure) => return gone(failure).map(|_: Option<()>| absent),
        };
        let found = match opened.store.resolve(&opened.reference).await {
            Ok(found) => found,
            Err(error) => return gone(error.into()).map(|_: Option<()>| absent),
        };
        let mut answer = Answer {
            exists: true,
            digest: Some(found.digest),
            created: None,
            fits: true,
        };
        if self.older_than.is_none() && self.newer_than.is_none() {
            return Ok(answer);
        }
        answer.created = image::created(&opened.store, &found.digest.into()).await?;
        let now = Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::MAX);
        // What does not say when it was made is neither old nor new.
        let older = |age: Duration| answer.created.map(|made| is_older(made, now, age));
        answer.fits = self.older_than.is_none_or(|age| older(age) == Some(true))
            && self.newer_than.is_none_or(|age| older(age) == Some(false));
        Ok(answer)
    }
}

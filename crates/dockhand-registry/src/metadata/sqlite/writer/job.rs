//! What the writer runs: work with a way to answer whoever asked for it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::oneshot;

use crate::metadata::error::MetadataError;
use crate::metadata::sql::{DbError, Sql};

/// Work whose result type is forgotten.
pub(super) trait Job: Send {
    /// Whether nobody waits for it any more, so that it need not be begun.
    fn abandoned(&self) -> bool;
    /// Does the work and keeps its result.
    fn run(&mut self, sql: &mut dyn Sql) -> Ran;
    /// Answers with the result, or with what happened to the transaction around it.
    fn answer(self: Box<Self>, lost: Option<Lost>);
}

/// How a job went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ran {
    /// It is to be committed.
    Done,
    /// It failed alone, and is to be taken back.
    Refused,
    /// It failed for lack of space, and is to be taken back.
    Full,
    /// The disk failed under it.
    Fatal,
}

/// Why the transaction around a job did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// No space is left.
    Full,
    /// Another process holds the database.
    Busy,
    /// The writer has failed; whether it happened is not known.
    Unavailable,
}

impl From<Lost> for MetadataError {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Full => Self::Full,
            Lost::Busy => Self::Busy,
            Lost::Unavailable => Self::Unavailable,
        }
    }
}

/// A job of a certain result.
pub(super) struct Task<T, F> {
    doing: &'static str,
    work: Option<F>,
    outcome: Option<Result<T, DbError>>,
    reply: Reply<T>,
}

type Reply<T> = oneshot::Sender<Result<T, MetadataError>>;
pub(super) type Answer<T> = oneshot::Receiver<Result<T, MetadataError>>;

impl<T, F> Task<T, F>
where
    T: Send + 'static,
    F: FnOnce(&mut dyn Sql) -> Result<T, DbError> + Send + 'static,
{
    pub(super) fn boxed(doing: &'static str, work: F) -> (Box<dyn Job>, Answer<T>) {
        let (reply, answer) = oneshot::channel();
        (
            Box::new(Self {
                doing,
                work: Some(work),
                outcome: None,
                reply,
            }),
            answer,
        )
    }
}

impl<T, F> Job for Task<T, F>
where
    T: Send + 'static,
    F: FnOnce(&mut dyn Sql) -> Result<T, DbError> + Send + 'static,
{
    fn abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn run(&mut self, sql: &mut dyn Sql) -> Ran {
        let Some(work) = self.work.take() else {
            return Ran::Refused;
        };
        // A bug in one job is not to take the writer away from all others. What it wrote is taken
        // back, and nothing else is shared with it.
        let outcome = catch_unwind(AssertUnwindSafe(|| work(sql)))
            .unwrap_or_else(|_| Err(DbError::Other("the operation panicked".into())));
        let ran = match &outcome {
            Ok(_) => Ran::Done,
            Err(DbError::Full(_)) => Ran::Full,
            Err(DbError::Io(_) | DbError::Corrupt(_)) => Ran::Fatal,
            Err(DbError::Busy(_) | DbError::Damaged(_) | DbError::Other(_)) => Ran::Refused,
        };
        self.outcome = Some(outcome);
        ran
    }

    fn answer(self: Box<Self>, lost: Option<Lost>) {
        let answer = match (self.outcome, lost) {
            (Some(Err(error)), _) => Err(error.writing(self.doing)),
            (_, Some(lost)) => Err(lost.into()),
            (Some(Ok(value)), None) => Ok(value),
            (None, None) => Err(MetadataError::Unavailable),
        };
        // Whoever asked may be gone; what was done is done.
        let _ = self.reply.send(answer);
    }
}

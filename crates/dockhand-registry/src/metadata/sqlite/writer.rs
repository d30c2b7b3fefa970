//! Writing: one thread that takes all that waits, and commits it at once.
//!
//! A commit costs one wait for the disk, whether it holds one job or many. So the writer never waits
//! for more to come, but takes what has come while it was busy. Each job of a batch is whole or absent
//! on its own, behind a savepoint; nobody is answered before the commit of all.

use std::sync::{Arc, Weak};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{mpsc, oneshot, watch};

use self::job::{Job, Lost, Ran, Task};
use super::connection::Session;
use super::reserve::Reserve;
use crate::metadata::error::MetadataError;
use crate::metadata::sql::{DbError, Sql};

mod job;

/// Jobs in one commit, so that the first of them does not wait for long: 64 pushes take some 5 ms.
const BATCH: usize = 64;

/// Jobs that may wait: four batches. Whoever comes then waits before he is let in.
pub(super) const QUEUE: usize = 256;

/// How long to wait for a place in the queue. More and clients give up by themselves.
const QUEUE_WAIT: Duration = Duration::from_secs(10);

/// How long to wait for an answer. A disk that takes longer than this has failed for all we know.
const ANSWER_WAIT: Duration = Duration::from_secs(60);

/// Pages in the log after which it is taken back into the file: 16 MiB, which keeps reads through the
/// log cheap and each such pause short.
const CHECKPOINT: u64 = 4096;

/// The way to the thread that writes.
#[derive(Debug)]
pub(super) struct Writer {
    queue: mpsc::Sender<Message>,
    health: watch::Receiver<Health>,
    /// The thread's own, so that it is gone when the thread is.
    report: Weak<watch::Sender<Health>>,
}

/// How the thread is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Running,
    Failed,
    Closed,
}

enum Message {
    Run(Box<dyn Job>),
    /// To be run alone, with a piece of the reserve.
    MakeRoom(Box<dyn Job>),
    Close(oneshot::Sender<()>),
}

impl Writer {
    /// Starts the thread. It ends when it is closed, or when nobody can reach it any more.
    pub(super) fn start(connection: Connection, reserve: Reserve) -> Result<Self, MetadataError> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let (report, health) = watch::channel(Health::Running);
        let report = Arc::new(report);
        let writer = Self {
            queue,
            health,
            report: Arc::downgrade(&report),
        };
        let thread = Thread {
            connection,
            reserve,
            jobs,
            report,
            pages: 0,
        };
        std::thread::Builder::new()
            .name("dockhand-metadata".to_owned())
            .spawn(move || thread.run())
            .map_err(|e| MetadataError::Other {
                doing: "starting the thread that writes",
                source: Box::new(e),
            })?;
        Ok(writer)
    }

    pub(super) async fn write<T, F>(&self, doing: &'static str, work: F) -> Result<T, MetadataError>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Sql) -> Result<T, DbError> + Send + 'static,
    {
        let (task, answer) = Task::boxed(doing, work);
        self.send(Message::Run(task)).await?;
        answered(answer).await
    }

    /// As `write`, for work that makes room, after the disk was found full.
    pub(super) async fn make_room<T, F>(
        &self,
        doing: &'static str,
        work: F,
    ) -> Result<T, MetadataError>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Sql) -> Result<T, DbError> + Send + 'static,
    {
        let (task, answer) = Task::boxed(doing, work);
        self.send(Message::MakeRoom(task)).await?;
        answered(answer).await
    }

    async fn send(&self, message: Message) -> Result<(), MetadataError> {
        if *self.health.borrow() != Health::Running {
            return Err(MetadataError::Unavailable);
        }
        let sent = self.queue.send_timeout(message, QUEUE_WAIT).await;
        sent.map_err(|error| match error {
            SendTimeoutError::Timeout(_) => MetadataError::Busy,
            SendTimeoutError::Closed(_) => MetadataError::Unavailable,
        })
    }

    /// Takes no more writes, whatever waits: it is to be treated as one that has failed.
    pub(super) fn fail(&self) {
        let Some(report) = self.report.upgrade() else {
            return;
        };
        report.send_if_modified(|health| {
            let running = *health == Health::Running;
            if running {
                *health = Health::Failed;
            }
            running
        });
    }

    /// Waits until the writer has failed; forever when it is closed in good order. A thread that is
    /// gone without having said so has failed too.
    pub(super) async fn failed(&self) {
        let mut health = self.health.clone();
        let ended = health.wait_for(|health| *health != Health::Running).await;
        if ended.is_ok_and(|health| *health == Health::Closed) {
            std::future::pending().await
        }
    }

    /// Lets the thread finish what waits, and waits for that.
    pub(super) async fn close(&self) {
        let (done, finished) = oneshot::channel();
        let sent = self
            .queue
            .send_timeout(Message::Close(done), QUEUE_WAIT)
            .await;
        if sent.is_ok() && tokio::time::timeout(ANSWER_WAIT, finished).await.is_err() {
            tracing::error!(
                "the metadata did not close in time; it is recovered at the next start"
            );
        }
    }
}

async fn answered<T>(answer: job::Answer<T>) -> Result<T, MetadataError> {
    match tokio::time::timeout(ANSWER_WAIT, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) | Err(_) => Err(MetadataError::Unavailable),
    }
}

struct Thread {
    connection: Connection,
    reserve: Reserve,
    jobs: mpsc::Receiver<Message>,
    report: Arc<watch::Sender<Health>>,
    /// An estimate of the pages in the log.
    pages: u64,
}

impl Thread {
    fn run(mut self) {
        let mut waiting = Vec::with_capacity(BATCH);
        let mut closing = Vec::new();
        while self.jobs.blocking_recv_many(&mut waiting, BATCH) > 0 {
            let mut batch = Vec::with_capacity(waiting.len());
            for message in waiting.drain(..) {
                match message {
                    Message::Run(job) => batch.push(job),
                    Message::MakeRoom(job) => {
                        self.reserve.give();
                        self.commit(vec![job]);
                    }
                    Message::Close(done) => {
                        self.jobs.close();
                        closing.push(done);
                    }
                }
            }
            self.commit(batch);
        }
        self.end();
        for done in closing {
            // Whoever asked may have stopped waiting.
            let _ = done.send(());
        }
    }

    /// Runs a batch, commits it, then answers each of its jobs.
    fn commit(&mut self, mut batch: Vec<Box<dyn Job>>) {
        batch.retain(|job| !job.abandoned());
        if batch.is_empty() {
            return;
        }
        let lost = if *self.report.borrow() == Health::Failed {
            Some(Lost::Unavailable)
        } else {
            self.transact(&mut batch).err()
        };
        for job in batch {
            job.answer(lost);
        }
        match lost {
            None => self.reserve.refill(),
            // Taken back into the file, the log begins anew in the space that it has.
            Some(Lost::Full) => self.pages = CHECKPOINT,
            Some(Lost::Busy | Lost::Unavailable) => {}
        }
        if self.pages >= CHECKPOINT {
            self.checkpoint("PRAGMA wal_checkpoint(PASSIVE)");
        }
    }

    /// One transaction around a batch. After an error none of it has happened, or, when the writer has
    /// failed, nobody knows.
    fn transact(&mut self, batch: &mut [Box<dyn Job>]) -> Result<(), Lost> {
        self.control("BEGIN IMMEDIATE")?;
        let alone = batch.len() == 1;
        for job in batch {
            if !alone {
                self.control("SAVEPOINT job")?;
            }
            let mut session = Session::new(&self.connection);
            let ran = job.run(&mut session);
            self.pages += session.pages;
            match ran {
                Ran::Fatal => return Err(self.fail("running a statement")),
                // Out of space, SQLite may take the whole transaction back.
                Ran::Full | Ran::Refused if self.connection.is_autocommit() => {
                    return Err(if ran == Ran::Full {
                        Lost::Full
                    } else {
                        Lost::Busy
                    });
                }
                Ran::Full | Ran::Refused if alone => return self.control("ROLLBACK"),
                Ran::Full | Ran::Refused => {
                    self.control("ROLLBACK TO job")?;
                    self.control("RELEASE job")?;
                }
                Ran::Done if alone => {}
                Ran::Done => self.control("RELEASE job")?,
            }
        }
        self.control("COMMIT")
    }

    /// Runs a statement that steers the transaction. When it fails, the transaction is over.
    fn control(&mut self, statement: &'static str) -> Result<(), Lost> {
        let Err(error) = Session::new(&self.connection).execute(statement, &[]) else {
            return Ok(());
        };
        tracing::error!(
            statement,
            error = chain(&error),
            "the metadata could not be written"
        );
        let lost = match error {
            DbError::Full(_) => Lost::Full,
            DbError::Busy(_) => Lost::Busy,
            // Whether the disk has it is not known, and asking the disk again would be believing it.
            DbError::Io(_) | DbError::Corrupt(_) | DbError::Damaged(_) | DbError::Other(_) => {
                return Err(self.fail(statement));
            }
        };
        if !self.connection.is_autocommit() && self.connection.execute_batch("ROLLBACK").is_err() {
            return Err(self.fail("ROLLBACK"));
        }
        Err(lost)
    }

    /// From here on nothing is written: only recovery, at the next start, can tell what the disk has.
    fn fail(&self, doing: &'static str) -> Lost {
        tracing::error!(
            doing,
            "the metadata has failed and takes no more writes; restart to recover"
        );
        self.report.send_replace(Health::Failed);
        Lost::Unavailable
    }

    /// Takes the log back into the file, as far as readers let go of it.
    fn checkpoint(&mut self, statement: &'static str) {
        self.pages = 0;
        match Session::new(&self.connection).query(statement, &[], &mut |_| Ok(())) {
            Ok(()) => {}
            Err(error @ (DbError::Io(_) | DbError::Corrupt(_))) => {
                tracing::error!(
                    error = chain(&error),
                    "the log of the metadata cannot be taken back"
                );
                self.fail("taking the log back into the file");
            }
            Err(error) => {
                tracing::warn!(
                    error = chain(&error),
                    "the log of the metadata waits for later"
                );
            }
        }
    }

    fn end(mut self) {
        if *self.report.borrow() == Health::Failed {
            // Closing would take the log back into the file, which is recovery's to decide.
            std::mem::forget(self.connection);
            return;
        }
        self.checkpoint("PRAGMA wal_checkpoint(TRUNCATE)");
        self.report.send_replace(Health::Closed);
    }
}

/// An error with its causes.
fn chain(error: &DbError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

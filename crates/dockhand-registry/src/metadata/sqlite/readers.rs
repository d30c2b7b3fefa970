//! Reading: connections that wait for no writer, used on the calling task.
//!
//! A point read takes about five microseconds, less than handing it to another thread would. So it
//! runs where it is asked for, and only pages of many rows go to the blocking pool.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::connection::{Mode, Session, open_reader};
use crate::metadata::engine::Effort;
use crate::metadata::error::MetadataError;
use crate::metadata::sql::{DbError, Sql};

/// Rows that a read may bring on the calling task: some 40 microseconds of it.
const INLINE: usize = 200;

/// How long a read waits for a connection. Reads take micro- to milliseconds, so this is reached only
/// when the disk stands still.
const WAIT: Duration = Duration::from_secs(5);

/// Connections that read, opened as they are needed and kept.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    mode: Mode,
    idle: Mutex<Vec<Connection>>,
    free: Semaphore,
    bound: u32,
}

impl Readers {
    pub(super) fn new(path: &Path, mode: Mode) -> Self {
        let bound = bound();
        let free = Semaphore::new(bound as usize);
        Self {
            path: path.to_owned(),
            mode,
            idle: Mutex::default(),
            free,
            bound,
        }
    }

    pub(super) async fn read<T, F>(
        self: &Arc<Self>,
        doing: &'static str,
        effort: Effort,
        work: F,
    ) -> Result<T, MetadataError>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Sql) -> Result<T, DbError> + Send + 'static,
    {
        let permit = self.permit().await?;
        let result = match effort {
            Effort::Page(rows) if rows > INLINE => {
                // The permit goes back when the thread is done, even if nobody waits for it then.
                permit.forget();
                let this = Arc::clone(self);
                let apart = tokio::task::spawn_blocking(move || {
                    let _back = GiveBack(&this.free);
                    this.run(work)
                });
                apart
                    .await
                    .unwrap_or_else(|e| Err(DbError::Other(Box::new(e))))
            }
            Effort::Point | Effort::Page(_) => {
                let result = self.run(work);
                drop(permit);
                result
            }
        };
        result.map_err(|error| error.reading(doing))
    }

    async fn permit(&self) -> Result<SemaphorePermit<'_>, MetadataError> {
        if let Ok(permit) = self.free.try_acquire() {
            return Ok(permit);
        }
        match tokio::time::timeout(WAIT, self.free.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(MetadataError::Unavailable),
            Err(_) => Err(MetadataError::Busy),
        }
    }

    fn run<T>(&self, work: impl FnOnce(&mut dyn Sql) -> Result<T, DbError>) -> Result<T, DbError> {
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open_reader(&self.path, self.mode)?,
        };
        let result = work(&mut Session::new(&connection));
        if !self.free.is_closed() {
            self.idle().push(connection);
        }
        result
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the reads that are running, and turns away those that come.
    pub(super) async fn close(&self) {
        let all = tokio::time::timeout(WAIT, self.free.acquire_many(self.bound)).await;
        self.free.close();
        drop(all);
        self.idle().clear();
    }
}

struct GiveBack<'a>(&'a Semaphore);

impl Drop for GiveBack<'_> {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

/// A thread runs at most one read at a time, so twice the processors serve all tasks and as many pages
/// on the blocking pool; at 1 MiB of cache each, 32 are what memory should cost at most.
fn bound() -> u32 {
    let processors = available_parallelism().map_or(1, usize::from);
    u32::try_from(processors * 2)
        .unwrap_or(u32::MAX)
        .clamp(8, 32)
}

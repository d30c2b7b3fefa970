//! Which database runs the SQL, and how work gets to it.

use super::error::MetadataError;
use super::sql::{DbError, Sql};
use super::sqlite::Sqlite;

/// The database under the metadata.
///
/// Work is a plain function over [`Sql`] and owns what it needs, so that an engine may run it where it
/// likes: SQLite reads on the calling task and writes on one thread; PostgreSQL, when it comes, does
/// both on the blocking pool.
#[derive(Debug)]
pub(super) enum Engine {
    /// The embedded default.
    Sqlite(Sqlite),
}

/// How much a read may bring.
#[derive(Clone, Copy, Debug)]
pub(super) enum Effort {
    /// A row or two.
    Point,
    /// A page of at most so many rows.
    Page(usize),
}

impl Engine {
    /// Runs `work` on a recent state of the database: at least that of the last answered write.
    pub(super) async fn read<T, F>(
        &self,
        doing: &'static str,
        effort: Effort,
        work: F,
    ) -> Result<T, MetadataError>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Sql) -> Result<T, DbError> + Send + 'static,
    {
        match self {
            Self::Sqlite(sqlite) => sqlite.read(doing, effort, work).await,
        }
    }

    /// Runs `work` in a transaction of its own. It is durable when this returns, or did not happen;
    /// only after [`MetadataError::Unavailable`] it is not known which.
    pub(super) async fn write<T, F>(&self, doing: &'static str, work: F) -> Result<T, MetadataError>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Sql) -> Result<T, DbError> + Send + 'static,
    {
        match self {
            Self::Sqlite(sqlite) => sqlite.write(doing, work).await,
        }
    }

    /// As [`Engine::write`], for work after which less is stored: a full disk does not refuse it as
    /// long as it can be helped, for which it may be run more than once.
    pub(super) async fn make_room<T, F>(
        &self,
        doing: &'static str,
        work: F,
    ) -> Result<T, MetadataError>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Sql) -> Result<T, DbError> + Clone + Send + 'static,
    {
        match self {
            Self::Sqlite(sqlite) => sqlite.make_room(doing, work).await,
        }
    }

    /// Whether it was opened for reading only.
    pub(super) const fn read_only(&self) -> bool {
        match self {
            Self::Sqlite(sqlite) => sqlite.read_only(),
        }
    }

    /// Takes no more writes, as after a failure.
    pub(super) fn fail(&self) {
        match self {
            Self::Sqlite(sqlite) => sqlite.fail(),
        }
    }

    /// Waits until the engine has failed in a way that only a restart can mend.
    pub(super) async fn failed(&self) {
        match self {
            Self::Sqlite(sqlite) => sqlite.failed().await,
        }
    }

    /// Finishes what was begun and lets go of the database.
    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite(sqlite) => sqlite.close().await,
        }
    }
}

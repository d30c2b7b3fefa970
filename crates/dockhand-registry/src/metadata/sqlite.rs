//! SQLite under the seam: one thread that writes, and connections that read on the calling task.

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use self::connection::Mode;
use self::readers::Readers;
use self::reserve::Reserve;
use self::writer::Writer;
use super::Opening;
use super::engine::Effort;
use super::error::MetadataError;
use super::sql::{DbError, Sql};

mod connection;
mod migrate;
mod readers;
mod reserve;
mod writer;

#[cfg(test)]
mod tests;

/// A SQLite database that is open.
#[derive(Debug)]
pub(super) struct Sqlite {
    readers: Arc<Readers>,
    /// None of a database that is only read.
    writer: Option<Writer>,
    /// The folder of a database that is to leave nothing behind.
    _folder: Option<TempDir>,
}

/// Whether writes are to survive a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Durability {
    /// Every commit is on the disk when it returns.
    Full,
    /// None needs to: the database goes when the process does.
    None,
}

impl Sqlite {
    /// Opens the database at `path`, which is created or brought to the format of this program as far as
    /// `opening` says.
    pub(super) fn open_as(path: &Path, opening: Opening) -> Result<Self, MetadataError> {
        match opening {
            Opening::ReadOnly => Self::open_read_only(path),
            opening => Self::open_with(path, Durability::Full, opening, None),
        }
    }

    fn open_read_only(path: &Path) -> Result<Self, MetadataError> {
        let mode = Mode::read_only(path)?;
        let connection = connection::open_reader(path, mode)
            .map_err(|error| connection::cannot_open(path, error))?;
        migrate::check(&connection, path)?;
        Ok(Self {
            readers: Arc::new(Readers::new(path, mode)),
            writer: None,
            _folder: None,
        })
    }

    /// A database that nobody will see again. It lies in a folder of its own and not in memory,
    /// because the memory mode of SQLite lets readers wait for the writer.
    pub(super) fn temporary() -> Result<Self, MetadataError> {
        let doing = "making a folder for a temporary database";
        let folder = tempfile::Builder::new()
            .prefix("dockhand-")
            .tempdir()
            .map_err(|e| MetadataError::Other {
                doing,
                source: Box::new(e),
            })?;
        let path = folder.path().join(crate::layout::DATABASE);
        Self::open_with(&path, Durability::None, Opening::Any, Some(folder))
    }

    fn open_with(
        path: &Path,
        durability: Durability,
        opening: Opening,
        folder: Option<TempDir>,
    ) -> Result<Self, MetadataError> {
        let mut connection = connection::open_writer(path, durability, opening)?;
        migrate::migrate(&mut connection, path, opening)?;
        let readers = Arc::new(Readers::new(path, Mode::Beside));
        let reserve = match durability {
            Durability::Full => Reserve::open(&path.with_extension(crate::layout::RESERVE)),
            Durability::None => Reserve::none(),
        };
        let writer = Writer::start(connection, reserve)?;
        Ok(Self {
            readers,
            writer: Some(writer),
            _folder: folder,
        })
    }

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
        self.readers.read(doing, effort, work).await
    }

    pub(super) async fn write<T, F>(&self, doing: &'static str, work: F) -> Result<T, MetadataError>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Sql) -> Result<T, DbError> + Send + 'static,
    {
        self.writer()?.write(doing, work).await
    }

    fn writer(&self) -> Result<&Writer, MetadataError> {
        self.writer.as_ref().ok_or(MetadataError::ReadOnly)
    }

    /// As `write`, for work that makes room: when the disk is full, it gets of the reserve.
    pub(super) async fn make_room<T, F>(
        &self,
        doing: &'static str,
        work: F,
    ) -> Result<T, MetadataError>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Sql) -> Result<T, DbError> + Clone + Send + 'static,
    {
        let writer = self.writer()?;
        let mut outcome = writer.write(doing, work.clone()).await;
        for _ in 0..reserve::PIECES {
            if !matches!(outcome, Err(MetadataError::Full)) {
                break;
            }
            outcome = writer.make_room(doing, work.clone()).await;
        }
        outcome
    }

    pub(super) const fn read_only(&self) -> bool {
        self.writer.is_none()
    }

    pub(super) fn fail(&self) {
        if let Some(writer) = &self.writer {
            writer.fail();
        }
    }

    pub(super) async fn failed(&self) {
        match &self.writer {
            Some(writer) => writer.failed().await,
            None => std::future::pending().await,
        }
    }

    /// Readers first: the last connection to go, the writer's, puts the file in order.
    pub(super) async fn close(&self) {
        self.readers.close().await;
        if let Some(writer) = &self.writer {
            writer.close().await;
        }
    }
}

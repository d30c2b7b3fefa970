//! A connection of SQLite: how it is opened, how it runs statements, what its errors mean.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql, ffi};

use super::Durability;
use crate::layout::{LOG, LOG_INDEX};
use crate::metadata::Opening;
use crate::metadata::error::MetadataError;
use crate::metadata::sql::{DbError, Row, Sql, Value};

/// More than there are statements, so that each is prepared once per connection.
const STATEMENTS: usize = 96;

/// How long to wait for another process, a backup for instance, to let go of the database. Our own
/// connections never wait for each other.
const WRITER_WAIT: Duration = Duration::from_secs(5);

/// The same for readers, which keep a thread of the runtime waiting with them.
const READER_WAIT: Duration = Duration::from_secs(1);

/// What every connection is told. Nothing in the file may call functions, memory maps would turn a
/// disk error into a signal, and pages are checked before they are believed.
const EVERY: &str = "
    PRAGMA trusted_schema = OFF;
    PRAGMA cell_size_check = ON;
    PRAGMA mmap_size = 0;
    PRAGMA foreign_keys = ON;
";

/// What the writer is told on top. It takes the log back into the file by itself, after it has
/// answered, and cuts a log that has grown beyond 64 MiB when it begins anew.
const WRITER: &str = "
    PRAGMA journal_size_limit = 67108864;
    PRAGMA wal_autocheckpoint = 0;
    PRAGMA cache_size = -16384;
";

/// What readers are told on top. Their caches are small because each commit empties them anyway; the
/// pages come from the cache of the operating system.
const READER: &str = "
    PRAGMA query_only = ON;
    PRAGMA cache_size = -1024;
";

/// What a connection that reads can count on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// There is a connection that writes, which keeps log and index.
    Beside,
    /// Nobody writes, and there is no log: the file is all there is.
    /// <https://www.sqlite.org/uri.html#uriimmutable>
    Immutable,
    /// Nobody writes, and there is a log that a crash left: it is read with an index in memory.
    /// <https://www.sqlite.org/wal.html#readonly>
    Log,
}

impl Mode {
    /// How a database is read of which nothing may be written.
    pub(super) fn read_only(path: &Path) -> Result<Self, MetadataError> {
        let beside = |name| path.with_file_name(name);
        let log = std::fs::metadata(beside(LOG)).map_or(0, |found| found.len());
        if log == 0 {
            return Ok(Self::Immutable);
        }
        // SQLite looks for it before it makes one of its own.
        if beside(LOG_INDEX).exists() {
            return Ok(Self::Log);
        }
        let reason = "the last writes are still in its log, and the index of the log is missing; start \
                      once with a folder that may be written, and stop";
        Err(MetadataError::Foreign {
            path: path.to_owned(),
            reason: reason.to_owned(),
        })
    }
}

const OPENING: &str = "opening the database";

/// Why a database could not be opened.
pub(super) fn cannot_open(path: &Path, error: DbError) -> MetadataError {
    match error {
        DbError::Corrupt(_) => MetadataError::Foreign {
            path: path.to_owned(),
            reason: "this is no database, or a damaged one; restore it from a backup".to_owned(),
        },
        error => error.reading(OPENING),
    }
}

/// Opens the connection that writes, and creates the file if `opening` lets it.
pub(super) fn open_writer(
    path: &Path,
    durability: Durability,
    opening: Opening,
) -> Result<Connection, MetadataError> {
    if matches!(opening, Opening::Any | Opening::New) {
        create(path).map_err(|e| MetadataError::Other {
            doing: OPENING,
            source: Box::new(e),
        })?;
    }
    let open = || -> rusqlite::Result<(Connection, String)> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = connect(path, flags, WRITER_WAIT)?;
        let mode = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        connection.execute_batch(WRITER)?;
        connection.execute_batch(match durability {
            Durability::Full => "PRAGMA synchronous = FULL",
            Durability::None => "PRAGMA synchronous = OFF",
        })?;
        Ok((connection, mode))
    };
    let (connection, mode) = open().map_err(|e| cannot_open(path, DbError::from(e)))?;
    if mode != "wal" {
        let reason = "the file system has no shared memory for SQLite's log; \
                      keep the data on a local disk";
        return Err(MetadataError::Foreign {
            path: path.to_owned(),
            reason: reason.to_owned(),
        });
    }
    Ok(connection)
}

/// Opens a connection that reads.
pub(super) fn open_reader(path: &Path, mode: Mode) -> Result<Connection, DbError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match mode {
        Mode::Beside => connect(path, flags, READER_WAIT)?,
        Mode::Immutable => connect_by(path, "immutable=1", flags)?,
        Mode::Log => connect_by(path, "readonly_shm=1", flags)?,
    };
    connection.execute_batch(READER)?;
    Ok(connection)
}

/// Connects by a URI, the only way to say what is not a flag.
/// <https://www.sqlite.org/uri.html>
fn connect_by(path: &Path, how: &str, flags: OpenFlags) -> Result<Connection, DbError> {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};

    // Absolute: what follows two slashes would be taken for a host.
    let absolute = path
        .canonicalize()
        .map_err(|error| DbError::Other(Box::new(error)))?;
    let mut uri = b"file:".to_vec();
    for byte in absolute.as_os_str().as_bytes() {
        match byte {
            b'%' => uri.extend_from_slice(b"%25"),
            b'?' => uri.extend_from_slice(b"%3f"),
            b'#' => uri.extend_from_slice(b"%23"),
            byte => uri.push(*byte),
        }
    }
    uri.push(b'?');
    uri.extend_from_slice(how.as_bytes());
    let uri = std::ffi::OsString::from_vec(uri);
    let flags = flags | OpenFlags::SQLITE_OPEN_URI;
    Ok(connect(Path::new(&uri), flags, READER_WAIT)?)
}

fn connect(path: &Path, flags: OpenFlags, wait: Duration) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(wait)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Plans do not depend on parameters. Otherwise whoever binds one to a statement that might use a
    // partial index has it prepared anew each time, which costs three times the read.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.execute_batch(EVERY)?;
    Ok(connection)
}

/// Creates the file for this user alone (SQLite gives its log the same mode), and makes its name
/// durable.
fn create(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(file) => file.sync_all()?,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(error),
    }
    match path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        Some(folder) => File::open(folder)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

/// A connection that statements run on.
pub(super) struct Session<'c> {
    connection: &'c Connection,
    /// An estimate of the pages that were changed.
    pub(super) pages: u64,
}

/// Pages that a statement changes: one of a table and one of an index.
const PAGES_PER_CHANGE: u64 = 2;
/// The bytes of a page, SQLite's default.
const PAGE: usize = 4096;

impl<'c> Session<'c> {
    pub(super) const fn new(connection: &'c Connection) -> Self {
        Self {
            connection,
            pages: 0,
        }
    }
}

impl Sql for Session<'_> {
    fn execute(&mut self, sql: &'static str, params: &[Value<'_>]) -> Result<usize, DbError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        bind(&mut statement, params)?;
        let changed = statement.raw_execute()?;
        if changed > 0 {
            let bytes: usize = params.iter().map(Value::size).sum();
            self.pages += PAGES_PER_CHANGE * changed as u64 + (bytes / PAGE) as u64;
        }
        Ok(changed)
    }

    fn query(
        &mut self,
        sql: &'static str,
        params: &[Value<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<(), DbError>,
    ) -> Result<(), DbError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        bind(&mut statement, params)?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            each(row)?;
        }
        Ok(())
    }
}

fn bind(statement: &mut rusqlite::Statement<'_>, params: &[Value<'_>]) -> rusqlite::Result<()> {
    params
        .iter()
        .zip(1..)
        .try_for_each(|(value, place)| statement.raw_bind_parameter::<usize, _>(place, value))
}

impl Value<'_> {
    const fn size(&self) -> usize {
        match self {
            Self::Null | Self::Int(_) => 8,
            Self::Text(text) => text.len(),
            Self::Blob(bytes) => bytes.len(),
        }
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Int(number) => ValueRef::Integer(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl Row for rusqlite::Row<'_> {
    fn int_or_null(&self, column: usize) -> Result<Option<i64>, DbError> {
        self.get_ref(column)?
            .as_i64_or_null()
            .map_err(|e| DbError::damaged(Box::new(e)))
    }

    fn text_or_null(&self, column: usize) -> Result<Option<&str>, DbError> {
        self.get_ref(column)?
            .as_str_or_null()
            .map_err(|e| DbError::damaged(Box::new(e)))
    }

    fn blob_or_null(&self, column: usize) -> Result<Option<&[u8]>, DbError> {
        self.get_ref(column)?
            .as_blob_or_null()
            .map_err(|e| DbError::damaged(Box::new(e)))
    }
}

impl From<rusqlite::Error> for DbError {
    fn from(error: rusqlite::Error) -> Self {
        let rusqlite::Error::SqliteFailure(failure, _) = &error else {
            return Self::Other(Box::new(error));
        };
        match failure.code {
            ErrorCode::DiskFull => Self::Full(Box::new(error)),
            // The index of the log could not grow: the same full disk by another name.
            ErrorCode::SystemIoFailure if failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE => {
                Self::Full(Box::new(error))
            }
            // A file system that has turned read-only has failed before.
            ErrorCode::SystemIoFailure | ErrorCode::ReadOnly => Self::Io(Box::new(error)),
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Self::Corrupt(Box::new(error)),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Busy(Box::new(error)),
            _ => Self::Other(Box::new(error)),
        }
    }
}

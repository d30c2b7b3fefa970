//! Brings a file to the format of this program: forward only, each step in one transaction.

use std::path::Path;
use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::metadata::Opening;
use crate::metadata::codec;
use crate::metadata::dialect;
use crate::metadata::error::MetadataError;
use crate::metadata::schema::{FORMAT, MIGRATIONS};
use crate::metadata::sql::DbError;

/// `dock` in the header of the file, which tells tools (and us) whose database it is.
const APPLICATION_ID: i64 = 0x646f_636b;

/// What a file is before any migration has run.
enum State {
    Empty,
    Ours { format: i64 },
    Foreign,
}

/// Runs the migrations that the file lacks.
pub(super) fn migrate(
    connection: &mut Connection,
    path: &Path,
    opening: Opening,
) -> Result<(), MetadataError> {
    let found = match (known(connection, path)?, opening) {
        (None, Opening::Any | Opening::New) => 0,
        (None, _) => return Err(MetadataError::Empty { path: path.into() }),
        (Some(_), Opening::New) => return Err(MetadataError::Exists { path: path.into() }),
        (Some(format), _) => format,
    };
    let done = usize::try_from(found).unwrap_or_default();
    for (step, schema) in MIGRATIONS.iter().enumerate().skip(done) {
        let doing = "bringing the database to the format of this version";
        run(connection, step + 1, schema).map_err(|e| DbError::from(e).reading(doing))?;
    }
    Ok(())
}

/// Checks that a file which is only read needs no migration.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), MetadataError> {
    match known(connection, path)? {
        Some(FORMAT) => Ok(()),
        Some(format) => Err(refused(
            path,
            format!(
                "this database has format {format} and has to be brought to format {FORMAT}; start \
                 this version once with a folder that it may write"
            ),
        )),
        None => Err(MetadataError::Empty { path: path.into() }),
    }
}

/// The format of a file, one that this program knows; `None` of a file without tables.
fn known(connection: &Connection, path: &Path) -> Result<Option<i64>, MetadataError> {
    let state = state(connection)
        .map_err(|error| super::connection::cannot_open(path, DbError::from(error)))?;
    match state {
        State::Empty => Ok(None),
        State::Ours { format } if format <= FORMAT => Ok(Some(format)),
        State::Ours { format } => Err(refused(
            path,
            format!(
                "this database has format {format} and this version of dockhand knows formats up to \
                 {FORMAT}; start the version that wrote it, or a newer one"
            ),
        )),
        State::Foreign => Err(refused(
            path,
            "this database belongs to another program".to_owned(),
        )),
    }
}

fn refused(path: &Path, reason: String) -> MetadataError {
    MetadataError::Foreign {
        path: path.to_owned(),
        reason,
    }
}

fn state(connection: &Connection) -> rusqlite::Result<State> {
    let application = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
    let application = connection.query_row("PRAGMA application_id", [], application)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION_ID {
        let empty = application == 0 && tables == 0;
        return Ok(if empty { State::Empty } else { State::Foreign });
    }
    let format = connection.query_row("SELECT format FROM store", [], |row| row.get(0));
    Ok(format
        .optional()?
        .map_or(State::Foreign, |format| State::Ours { format }))
}

/// One step: the schema, and the format counted up, or neither.
fn run(connection: &mut Connection, format: usize, schema: &str) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(&dialect::sqlite(schema))?;
    if format == 1 {
        let now = codec::time(SystemTime::now());
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.execute(
            "INSERT INTO store (one, id, format, created, probed)
             VALUES (1, lower(hex(randomblob(16))), 0, ?1, ?1)",
            params![now],
        )?;
    }
    let format = i64::try_from(format).unwrap_or(i64::MAX);
    transaction.execute("UPDATE store SET format = ?1", params![format])?;
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(connection: &Connection) -> i64 {
        connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn a_step_happens_whole_or_not_at_all() {
        let mut connection = Connection::open_in_memory().unwrap();
        let broken = format!("{} CREATE TABLE store (again <int>) <heap>;", MIGRATIONS[0]);
        assert!(run(&mut connection, 1, &broken).is_err());
        assert_eq!(tables(&connection), 0);
        migrate(&mut connection, Path::new("db"), Opening::Any).unwrap();
        let before = tables(&connection);
        assert!(before > 10);
        migrate(&mut connection, Path::new("db"), Opening::Any).unwrap();
        assert_eq!(tables(&connection), before);
        assert!(matches!(
            state(&connection).unwrap(),
            State::Ours { format: FORMAT }
        ));
    }

    #[test]
    fn an_upload_that_an_older_version_began_is_kept() {
        let mut connection = Connection::open_in_memory().unwrap();
        for (step, schema) in MIGRATIONS.iter().enumerate().take(2) {
            run(&mut connection, step + 1, schema).unwrap();
        }
        let begun = "INSERT INTO repository (id, name, created) VALUES (1, 'app', 0);
            INSERT INTO upload (id, repository, epoch, length, notes, hash, started, touched)
            VALUES ('u', 1, 3, 5, x'', x'07', 1, 2);";
        connection.execute_batch(begun).unwrap();
        migrate(&mut connection, Path::new("db"), Opening::Any).unwrap();
        let find = "SELECT length, touched, client FROM upload WHERE repository = 1";
        let row = connection.query_row(find, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        assert_eq!(row.unwrap(), (5, 2, String::new()));
    }

    #[test]
    fn the_database_of_another_program_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE recipes (name TEXT)")
            .unwrap();
        let refused = migrate(&mut connection, Path::new("recipes.db"), Opening::Any).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "recipes.db: this database belongs to another program"
        );
        assert_eq!(tables(&connection), 1);
    }
}

//! Whether the metadata takes writes: found out by writing. Where it takes none on purpose, by reading.

use std::time::{Duration, SystemTime};

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::codec::time;
use super::engine::{Effort, Engine};
use super::error::MetadataError;
use super::sql::{DbError, Sql, Value, first};

const READ: &str = "SELECT probed FROM store";
const PROBE: &str = "UPDATE store SET probed = ?1";

/// How long a good answer holds, so that probing costs at most one commit a second.
const HOLDS: Duration = Duration::from_secs(1);

/// When a write last went well. Those who ask at once wait for one probe.
#[derive(Debug, Default)]
pub(super) struct Probed(Mutex<Option<Instant>>);

impl Probed {
    pub(super) async fn probe(&self, engine: &Engine) -> Result<(), MetadataError> {
        let mut last = self.0.lock().await;
        if last.is_some_and(|at| at.elapsed() < HOLDS) {
            return Ok(());
        }
        *last = None;
        let doing = "probing the database";
        if engine.read_only() {
            engine.read(doing, Effort::Point, read).await?;
        } else {
            engine.write(doing, probe).await?;
        }
        *last = Some(Instant::now());
        Ok(())
    }
}

const ROW_GONE: &str = "the row that says what this database is has gone";

fn read(sql: &mut dyn Sql) -> Result<(), DbError> {
    let found = first(sql, READ, &[], |row| row.int(0))?;
    found.map(|_| ()).ok_or_else(|| DbError::damaged(ROW_GONE))
}

fn probe(sql: &mut dyn Sql) -> Result<(), DbError> {
    let now = Value::Int(time(SystemTime::now()));
    match sql.execute(PROBE, &[now])? {
        1 => Ok(()),
        _ => Err(DbError::damaged(ROW_GONE)),
    }
}
